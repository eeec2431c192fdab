//! The internet layer, for both families: what is common here, IPv4 in `v4.rs`.
//!
//! ```text
//!   eth.input ─► ip.input ─► Datagram ─► icmp, udp, tcp .input
//!   transports ─► ip.output: header, next hop, neighbor ─► eth.output
//!                                              │ not known yet
//!                                              └► waits in the neighbor's entry, ARP asks
//! ```

use simoom_ring::{MacAddr, RxPacket, TxPacket, TxRing};

use crate::addr::Addr;
use crate::arp::{self, Lookup};
use crate::counters::DropReason;
use crate::eth::{self, EtherType};
use crate::net::{Net, NextHop};
use crate::time::Instant;
use crate::wire::ipv4::HEADER_LEN as V4_HEADER_LEN;

pub use crate::net::unsent::Unsent;
pub use crate::wire::ipv4::proto;

pub(crate) mod pmtu;
mod v4;

pub(crate) use pmtu::plateau_below;

/// A datagram that came in. What is left in the packet is its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it: a unicast address.
    pub src: Addr,
    /// Whom it was for: our address or, with `is_broadcast`, a broadcast address.
    pub dst: Addr,
    /// What it carries.
    pub proto: u8,
    /// Time to live that was left.
    pub ttl: u8,
    /// Type of service or traffic class: DSCP in the upper six bits, ECN in the lower two.
    pub tos: u8,
    /// Whether it was for more hosts than us.
    pub is_broadcast: bool,
    /// Bytes of the header that was pulled, which lie in front of the payload still.
    pub header_len: u16,
    /// Bytes of payload.
    pub payload_len: u16,
}

/// What the header of a datagram to send says, whatever its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who sends it: our address, or unspecified as long as there is none.
    pub src: Addr,
    /// Whom it is for.
    pub dst: Addr,
    /// What it carries.
    pub proto: u8,
    /// Type of service or traffic class.
    pub tos: u8,
}

impl Header {
    /// A header with the interface's time to live and no special service.
    #[inline]
    pub fn new(src: Addr, dst: Addr, proto: u8) -> Self {
        Self {
            src,
            dst,
            proto,
            tos: 0,
        }
    }
}

/// A datagram came in, at the front of the packet: checks its header, pulls it, and trims what
/// Ethernet has padded.
///
/// `None` when it is not to be taken; then the reason is counted. `is_broadcast` is what
/// [`eth::input`] said of the frame.
#[inline]
pub(crate) fn input<'p>(
    net: &mut Net<'p>,
    pkt: &mut RxPacket<'p>,
    is_broadcast: bool,
) -> Option<Datagram> {
    match v4::input(net, pkt, is_broadcast) {
        Ok(datagram) => Some(datagram),
        Err(reason) => {
            net.counters.drop(reason);
            None
        }
    }
}

/// Sends a datagram whose transport header and payload are in `packet`: puts the IP header in
/// front, finds the next hop, and puts the packet on the ring, or lets it wait for the next hop's
/// station address (RFC 1122 2.3.2.2).
///
/// Offload requests are the caller's: they count from the Ethernet header on, whose length with
/// that of the IP header is [`HEADERS_LEN`].
///
/// # Errors
/// [`Unsent`] with the packet as it came.
#[allow(clippy::result_large_err)]
#[inline]
pub(crate) fn output<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    packet: TxPacket<'p>,
    header: &Header,
) -> Result<(), Unsent<'p>> {
    output_hinted(net, tx, now, packet, header, &mut 0)
}

/// [`output`], with the place in the neighbor table where the next hop was found last time: a
/// connection that keeps it saves the search.
#[allow(clippy::result_large_err)]
#[inline]
pub(crate) fn output_hinted<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    mut packet: TxPacket<'p>,
    header: &Header,
    hint: &mut u8,
) -> Result<(), Unsent<'p>> {
    if tx.space() == 0 {
        return Err(Unsent::RingFull(packet));
    }
    let Some(next_hop) = net.next_hop(header.src, header.dst) else {
        net.counters.drop(DropReason::TxNoRoute);
        return Err(Unsent::NoRoute(packet));
    };
    // In front of our headers the driver wants room for its own.
    let needed = HEADERS_LEN + usize::from(net.caps.headroom);
    if packet.head().headroom() < needed || v4::prepend(net, &mut packet, header).is_none() {
        net.counters.drop(DropReason::TxNoRoom);
        return Err(Unsent::NoRoom(packet));
    }
    let mut doubted = None;
    let mac = match next_hop {
        NextHop::Broadcast => MacAddr::BROADCAST,
        NextHop::Neighbor(addr) => match net.neighbors.lookup(addr, hint) {
            Lookup::Found(mac) => mac,
            Lookup::Stale(mac) => {
                doubted = Some(addr);
                mac
            }
            Lookup::Unknown => {
                arp::wait(net, tx, now, addr, packet);
                return Ok(());
            }
        },
    };
    match eth::output(net, tx, packet, mac, EtherType::Ipv4) {
        Err(Unsent::RingFull(mut packet)) => {
            packet.head_mut().pull(V4_HEADER_LEN);
            Err(Unsent::RingFull(packet))
        }
        sent => {
            // Behind the packet: the last place on the ring is for what was asked to be sent.
            if let Some(addr) = doubted {
                arp::probe(net, tx, now, addr);
            }
            sent
        }
    }
}

/// Bytes of the headers in front of a transport's: Ethernet's and IPv4's.
pub(crate) const HEADERS_LEN: usize = crate::wire::ethernet::HEADER_LEN + V4_HEADER_LEN;

#[cfg(test)]
mod tests;
