//! What lies below the transports: the port's facts, our addresses, the neighbors, the counters.
//!
//! Every `input` and `output` below TCP and UDP works on this, so that a call chain can hold it
//! and a transport's tables at the same time.

pub(crate) mod cuts;
mod fallback;
pub(crate) mod unsent;

use core::net::Ipv4Addr;
use core::num::NonZeroU8;

use simoom_ring::{Caps, FramePool, LinkState, MacAddr};

use self::cuts::Cuts;
use crate::addr::{Addr, Cidr};
use crate::arp::neighbors::{Lookup, Neighbors};
use crate::config::{MSS_MIN, TTL_DEFAULT};
use crate::counters::{Counters, DropReason};
use crate::icmp::limit::ErrorLimit;
use crate::iface::others::Others;
use crate::ip::pmtu::PathMtus;
use crate::tcp::Budget;
use crate::time::Instant;
use crate::wire::{ethernet, ipv4, tcp};

/// The state of the network layer.
pub struct Net<'p> {
    pub(crate) pool: &'p FramePool<'p>,
    pub(crate) caps: Caps,
    /// Payload bytes of a super-segment at most; 0 while there are none.
    pub(crate) super_len: u32,
    /// Whether they arrive.
    pub(crate) cuts: Cuts,
    /// SYNs that came again before any connection was accepted.
    pub(crate) syns_again: u8,
    pub(crate) mac: MacAddr,
    pub(crate) link: LinkState,
    /// IP MTU in bytes: the port's, or what DHCP has lowered it to.
    mtu: u16,
    /// The largest segment that it holds.
    rmss: u16,
    /// Our address and network, once there is one.
    pub(crate) cidr: Option<Cidr>,
    /// Address and mask of that, if it is IPv4's: zero if not.
    v4: (u32, u32),
    /// The next hop for what is not on our network.
    pub(crate) gateway: Option<Addr>,
    pub(crate) neighbors: Neighbors<'p>,
    pub(crate) path_mtus: PathMtus,
    pub(crate) icmp_errors: ErrorLimit,
    pub(crate) counters: Counters,
    /// Frames that the pool had at the start.
    pub(crate) frames_max: u32,
    /// Connections that hold received data.
    pub(crate) receivers: u32,
    /// Identification of the next IPv4 datagram.
    pub(crate) ident: u16,
    /// Time to live of what is sent.
    pub(crate) ttl: NonZeroU8,
    /// Other stacks with our address.
    pub(crate) others: Others<'p>,
}

impl<'p> Net<'p> {
    pub(crate) fn new(pool: &'p FramePool<'p>, caps: Caps, mac: MacAddr) -> Self {
        Self {
            pool,
            caps,
            super_len: super_payload_max(&caps),
            cuts: Cuts::default(),
            syns_again: 0,
            mac,
            link: LinkState::Up,
            mtu: caps.mtu,
            rmss: rmss_of(caps.mtu),
            cidr: None,
            v4: (0, 0),
            gateway: None,
            neighbors: Neighbors::new(),
            path_mtus: PathMtus::new(),
            icmp_errors: ErrorLimit::new(),
            counters: Counters::new(),
            frames_max: pool.free_cnt(),
            receivers: 0,
            ident: 0,
            ttl: TTL_DEFAULT,
            others: Others::default(),
        }
    }

    /// IP MTU in bytes.
    #[inline]
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Has datagrams be no longer than so many bytes.
    pub(crate) fn set_mtu(&mut self, mtu: u16) {
        (self.mtu, self.rmss) = (mtu, rmss_of(mtu));
    }

    /// The largest segment that the port carries: the MTU without the headers of IPv4 and TCP.
    #[inline]
    pub(crate) fn rmss(&self) -> u16 {
        self.rmss
    }

    /// The frames for received data.
    #[inline]
    pub(crate) fn budget(&self) -> Budget<'p> {
        Budget {
            pool: self.pool,
            frames_max: self.frames_max,
            receivers: self.receivers,
            rmss: self.rmss(),
        }
    }

    /// Our address, once there is one.
    pub fn addr(&self) -> Option<Addr> {
        self.cidr.map(|cidr| cidr.addr())
    }

    /// Whether `addr` is one of ours.
    #[inline]
    pub fn is_ours(&self, addr: Addr) -> bool {
        self.addr() == Some(addr)
    }

    /// The same, of an address as IPv4 has it.
    #[inline]
    pub(crate) fn is_ours_v4(&self, addr: [u8; 4]) -> bool {
        // Nobody has the address zero.
        let (ours, _) = self.v4;
        ours == u32::from_be_bytes(addr) && ours != 0
    }

    /// Whether a datagram may come from `addr`: one host, on the wire, and another than us (RFC
    /// 1122 3.2.1.3).
    #[inline]
    pub(crate) fn is_host(&self, addr: Ipv4Addr) -> bool {
        let (ours, mask) = self.v4;
        let from = addr.to_bits();
        // Groups, and what is reserved but for 255.255.255.255, are at the top; 0.0.0.0 is nobody.
        let is_unicast = from != 0 && from >> 28 != 0xe && from != u32::MAX;
        // A network of two has no address for all (RFC 3021).
        let is_for_all = from == ours | !mask && mask < u32::MAX - 1;
        is_unicast && !addr.is_loopback() && from != ours && !is_for_all
    }

    /// Ours, as IPv4 has it; zero while there is none.
    #[inline]
    pub(crate) fn ours_v4(&self) -> u32 {
        self.v4.0
    }

    /// Takes an address, its network and the way out of it, and announces the address at the next
    /// poll. Nothing changes if they are those that we have.
    pub fn configure(&mut self, cidr: Cidr, gateway: Option<Addr>) {
        if (self.cidr, self.gateway) == (Some(cidr), gateway) {
            return;
        }
        self.share(cidr, gateway);
        self.neighbors.announce();
    }

    /// As [`configure`](Self::configure), with an address that another stack of the same station
    /// announces and defends.
    pub fn share(&mut self, cidr: Cidr, gateway: Option<Addr>) {
        self.forget_neighbors();
        self.cidr = Some(cidr);
        self.v4 = cidr.v4_parts().unwrap_or((0, 0));
        self.gateway = gateway;
    }

    /// Gives the address up, and all that was learned with it.
    pub fn deconfigure(&mut self) {
        self.forget_neighbors();
        self.cidr = None;
        self.v4 = (0, 0);
        self.gateway = None;
        self.set_mtu(self.caps.mtu);
    }

    fn forget_neighbors(&mut self) {
        self.path_mtus.clear();
        for _ in 0..self.neighbors.clear() {
            self.counters.drop(DropReason::TxUnresolved);
        }
    }

    /// Whether `addr` is the limited broadcast address or that of our network.
    #[inline]
    pub(crate) fn is_broadcast(&self, addr: Addr) -> bool {
        addr == Addr::BROADCAST || self.cidr.and_then(|cidr| cidr.broadcast()) == Some(addr)
    }

    /// Where a datagram goes first (RFC 1122 3.3.1.1). `None` when `dst` is out of reach, when it
    /// is ourselves or a group, or when `src` is not (or no longer) our address.
    #[inline]
    pub(crate) fn next_hop(&self, src: Addr, dst: Addr) -> Option<NextHop> {
        // The one thing that can be sent without an address: a question to everybody.
        if dst == Addr::BROADCAST && (src == Addr::UNSPECIFIED || self.is_ours(src)) {
            return Some(NextHop::Broadcast);
        }
        let cidr = self.cidr?;
        if src != cidr.addr() || dst == src || !dst.is_unicast() {
            return None;
        }
        if !cidr.contains(dst) {
            // RFC 1122 3.2.1.3 (g): 127/8 never leaves a host.
            let is_loopback = dst.as_v4().is_some_and(|dst| dst.is_loopback());
            return self.gateway.filter(|_| !is_loopback).map(NextHop::Neighbor);
        }
        match cidr.broadcast() == Some(dst) {
            true => Some(NextHop::Broadcast),
            false => Some(NextHop::Neighbor(dst)),
        }
    }

    /// The neighbor that a datagram from `src` to another host goes to first, where there is no
    /// doubt: what [`next_hop`](Self::next_hop) says of the same, at less cost. `None` if in doubt.
    #[inline]
    pub(crate) fn next_neighbor(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Option<Addr> {
        let (ours, mask) = self.v4;
        if src.to_bits() != ours || ours == 0 || !self.is_host(dst) {
            return None;
        }
        match (dst.to_bits() ^ ours) & mask {
            0 => Some(Addr::v4(dst)),
            _ => self.gateway,
        }
    }

    /// The station that a datagram from `src` to another host goes to first, if its answer is not
    /// old; `hint` is where the neighbor table had it last. `None` if in doubt.
    #[inline]
    pub(crate) fn station_of(
        &self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        hint: &mut u8,
    ) -> Option<MacAddr> {
        let addr = match self.next_neighbor(src, dst) {
            Some(addr) => addr,
            None => match self.next_hop(src.into(), dst.into())? {
                NextHop::Neighbor(addr) => addr,
                NextHop::Broadcast => return None,
            },
        };
        match self.neighbors.lookup(addr, hint) {
            Lookup::Found(mac) => Some(mac),
            _ => None,
        }
    }

    /// What goes to `dst` seems to get lost: the next hop may be gone (RFC 1122 3.3.1.4).
    pub(crate) fn doubt_next_hop(&mut self, src: Addr, dst: Addr, now: Instant) {
        if let Some(NextHop::Neighbor(addr)) = self.next_hop(src, dst) {
            self.neighbors.doubt(addr, now);
        }
    }

    /// Room that a transport leaves in front of its header: the driver's own, Ethernet, IP.
    #[inline]
    pub(crate) fn headroom(&self) -> usize {
        self.headroom_of_frame() + IP_HEADER_LEN_MAX
    }

    /// Room in front of what Ethernet carries.
    pub(crate) fn headroom_of_frame(&self) -> usize {
        usize::from(self.caps.headroom) + ETHERNET_HEADER_LEN
    }
}

fn rmss_of(mtu: u16) -> u16 {
    mtu.saturating_sub(40).max(MSS_MIN)
}

/// Where a datagram goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// To all stations on the link.
    Broadcast,
    /// To the station with this address.
    Neighbor(Addr),
}

/// Bytes of an Ethernet header without tags.
const ETHERNET_HEADER_LEN: usize = 14;

/// Bytes of the longest IP header that we send: IPv4's, without options. No more than that, so that
/// frames begin where their buffer does, as a port without offsets (netmap, AF_XDP) must have them.
const IP_HEADER_LEN_MAX: usize = 20;

/// Payload bytes of a super-segment at most, for a port with `caps`; 0 when there are none: without
/// gathering one frame holds no more than a segment, and the device sums what it cuts.
fn super_payload_max(caps: &Caps) -> u32 {
    let can = caps.tso.tcp_v4 && caps.checksums.tx && caps.fragments_max > 1;
    let headers_len = ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN_MAX;
    // A datagram's length is 16 bits.
    let datagram_len = caps.tso.len_max.min(u16::MAX.into());
    let payload_len = datagram_len.saturating_sub(headers_len as u32);
    if can { payload_len } else { 0 }
}

#[cfg(test)]
mod tests;
