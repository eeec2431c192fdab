//! What a server has lent us, and for how long.

use core::net::Ipv4Addr;

use heapless::Vec;

use crate::addr::{Addr, Cidr};
use crate::config;
use crate::time::{Duration, Instant};
use crate::wire::dhcpv4::{DNS_MAX, Message};

/// An address for a time, and what was told with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address and network.
    pub cidr: Cidr,
    /// The way out of that network.
    pub gateway: Option<Addr>,
    /// DNS servers, in order of preference.
    pub dns: Vec<Ipv4Addr, DNS_MAX>,
    /// IP MTU of the link, if the server told one that is worth believing.
    pub mtu: Option<u16>,
    /// Who lent it.
    pub server: Ipv4Addr,
    /// How long it lasts; `None` for ever.
    pub duration: Option<Duration>,
    /// When to ask the server to renew it (T1, RFC 2131 4.4.5).
    pub(super) renew_at: Instant,
    /// When to ask any server (T2).
    pub(super) rebind_at: Instant,
    /// When it is over.
    pub(super) expires_at: Instant,
}

impl Lease {
    /// Reads what a server acknowledged; `None` when it makes no sense: no server, an address that
    /// no host may have, no duration or next to none. `asked_at` is when we asked: the lease runs
    /// from then, not from the answer (RFC 2131 4.4.1).
    pub(super) fn from_ack(ack: &Message, asked_at: Instant) -> Option<Self> {
        let server = ack.server_id?;
        let cidr = cidr(ack)?;
        let lease_s = ack.lease_s?;
        let router = ack.router.map(Addr::v4);
        let mut lease = Self {
            cidr,
            gateway: router.filter(|router| router.is_unicast() && *router != cidr.addr()),
            dns: ack.dns.clone(),
            mtu: ack.mtu.filter(|mtu| *mtu >= config::DHCP_MTU_MIN),
            server,
            duration: None,
            renew_at: Instant::NEVER,
            rebind_at: Instant::NEVER,
            expires_at: Instant::NEVER,
        };
        if lease_s == FOR_EVER {
            return Some(lease);
        }
        let duration = Duration::from_secs(lease_s.into());
        if duration < config::DHCP_LEASE_MIN {
            return None;
        }
        let (t1, t2) = timers(ack, duration);
        lease.duration = Some(duration);
        lease.renew_at = asked_at + t1;
        lease.rebind_at = asked_at + t2;
        lease.expires_at = asked_at + duration;
        Some(lease)
    }
}

/// Our address and network, if a host may have that address.
fn cidr(ack: &Message) -> Option<Cidr> {
    let addr = Addr::v4(ack.yiaddr);
    let prefix_len = ack
        .subnet_mask
        .and_then(prefix_len)
        .unwrap_or(class_prefix_len(ack.yiaddr));
    let cidr = Cidr::new(addr, prefix_len)?;
    let is_host = addr.is_unicast() && !ack.yiaddr.is_loopback() && cidr.broadcast() != Some(addr);
    is_host.then_some(cidr)
}

/// The ones at the front of a mask that has ones only there, and at least one.
fn prefix_len(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    let is_mask = ones > 0 && ones.saturating_add(bits.trailing_zeros()) == u32::BITS;
    u8::try_from(ones).ok().filter(|_| is_mask)
}

/// The prefix of the address's class, for a server that tells no mask (RFC 950 2.1).
fn class_prefix_len(addr: Ipv4Addr) -> u8 {
    match addr.to_bits().leading_ones() {
        0 => 8,
        1 => 16,
        _ => 24,
    }
}

/// T1 and T2 as the server says, if they are in order; else half and seven eighths of the lease.
fn timers(ack: &Message, duration: Duration) -> (Duration, Duration) {
    let share = |eighths| Duration::from_micros(duration.as_micros() / 8 * eighths);
    let told = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let t1 = told(ack.t1_s).unwrap_or(share(4));
    let t2 = told(ack.t2_s).unwrap_or(share(7));
    match Duration::ZERO < t1 && t1 < t2 && t2 < duration {
        true => (t1, t2),
        false => (share(4), share(7)),
    }
}

/// A lease without end (RFC 2131 3.3).
const FOR_EVER: u32 = u32::MAX;
