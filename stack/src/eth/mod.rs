//! Ethernet: whom a frame is for and what it carries; our header in front of what goes out.

use simoom_ring::{MacAddr, RxPacket, TxPacket, TxRing};

use crate::counters::DropReason;
use crate::net::Net;
use crate::net::unsent::Unsent;
use crate::wire::ethernet::{HEADER_LEN, Repr};

pub use crate::wire::ethernet::EtherType;

/// What [`input`] found out about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it carries: [`EtherType::Ipv4`] or [`EtherType::Arp`], nothing else comes through.
    pub ethertype: EtherType,
    /// Whether it was for all stations, and not for ours alone.
    pub is_broadcast: bool,
}

/// A frame came in: counts it, checks whom it is for, drops the header from its front.
///
/// `None` when it is not for us; then the reason is counted.
#[inline]
pub(crate) fn input<'p>(net: &mut Net<'p>, pkt: &mut RxPacket<'p>) -> Option<Received> {
    net.counters.rx_frames += 1;
    net.counters.rx_bytes += pkt.frame_len() as u64;
    let Some(header) = Repr::parse(pkt.frame.bytes()) else {
        net.counters.drop(DropReason::EthTruncated);
        return None;
    };
    let is_broadcast = header.dst == MacAddr::BROADCAST;
    if header.dst != net.mac && !is_broadcast {
        net.counters.drop(DropReason::EthNotForUs);
        return None;
    }
    if let EtherType::Unknown(_) = header.ethertype {
        net.counters.drop(DropReason::EthUnknownType);
        return None;
    }
    pkt.frame.pull(HEADER_LEN);
    Some(Received {
        ethertype: header.ethertype,
        is_broadcast,
    })
}

/// Puts the header in front of a packet, and the packet on the ring.
///
/// # Errors
/// [`Unsent::RingFull`] with the packet as it came, [`Unsent::NoRoom`] when its head frame has no
/// headroom left.
// The error is the packet itself on purpose: a full ring must not lose it, nor box it.
#[allow(clippy::result_large_err)]
#[inline]
pub(crate) fn output<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    mut packet: TxPacket<'p>,
    dst: MacAddr,
    ethertype: EtherType,
) -> Result<(), Unsent<'p>> {
    let header = Repr {
        dst,
        src: net.mac,
        ethertype,
    };
    if packet.head_mut().prepend(&header.emit()).is_err() {
        return Err(Unsent::NoRoom(packet));
    }
    let frame_len = packet.frame_len();
    match tx.send(packet) {
        Ok(()) => {
            net.counters.tx_packets += 1;
            net.counters.tx_bytes += frame_len as u64;
            Ok(())
        }
        Err(mut packet) => {
            packet.head_mut().pull(HEADER_LEN);
            Err(Unsent::RingFull(packet))
        }
    }
}

#[cfg(test)]
mod tests;
