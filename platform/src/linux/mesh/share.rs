//! Whose a frame is, by its first bytes.

use core::net::Ipv4Addr;

use simoom::wire::arp::{Op, Repr};

/// Who gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// The stack whose queue it came by.
    Ours,
    /// All of them.
    All,
    /// The first core alone.
    First,
}

/// Whether it is one of a flow's: TCP. That is all there is to be looked at, as a rule.
#[inline]
pub(super) fn is_flow(frame: &[u8]) -> bool {
    frame.get(PROTO_AT) == Some(&PROTO_TCP)
        && frame.get(ETHERTYPE_AT) == Some(&0x08)
        && frame.get(ETHERTYPE_AT + 1) == Some(&0x00)
}

/// Whose a frame is; `addr` is our address.
pub(super) fn share_of(frame: &[u8], addr: Option<Ipv4Addr>) -> Share {
    let Some((header, payload)) = frame.split_first_chunk::<14>() else {
        return Share::Ours;
    };
    match header[ETHERTYPE_AT..] {
        [0x08, 0x06] => arp(payload, addr),
        [0x08, 0x00] => ipv4(payload),
        _ => Share::Ours,
    }
}

fn arp(payload: &[u8], addr: Option<Ipv4Addr>) -> Share {
    let Some(Repr { op, spa, tpa, .. }) = Repr::parse(payload) else {
        return Share::Ours;
    };
    let is_for_us = addr == Some(tpa);
    if addr == Some(spa) {
        // RFC 5227 2.4: a conflict.
        Share::First
    } else if spa == tpa || (op == Op::Reply && is_for_us) {
        Share::All
    } else {
        Share::Ours
    }
}

fn ipv4(datagram: &[u8]) -> Share {
    let ihl = datagram
        .first()
        .map_or(0, |first| usize::from(first & 0x0f) * 4);
    let is_fragment = !matches!(datagram.get(6..8), Some([flags, 0]) if flags & 0x3f == 0);
    let (Some(proto), Some(upper)) = (datagram.get(9), datagram.get(ihl..)) else {
        return Share::Ours;
    };
    match (*proto, upper) {
        _ if ihl < 20 || is_fragment => Share::Ours,
        // RFC 2131 4.1: from a server's port to a client's.
        (PROTO_UDP, [0, 67, 0, 68, ..]) => Share::First,
        // RFC 792: destination unreachable (path MTU among it), source quench, time exceeded,
        // parameter problem.
        (PROTO_ICMP, [3 | 4 | 11 | 12, ..]) => Share::All,
        _ => Share::Ours,
    }
}

const ETHERTYPE_AT: usize = 12;
const PROTO_AT: usize = 14 + 9;
const PROTO_ICMP: u8 = 1;
const PROTO_TCP: u8 = 6;
const PROTO_UDP: u8 = 17;
