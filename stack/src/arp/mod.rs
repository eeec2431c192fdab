//! ARP (RFC 826): who has which station address, asked and answered.
//!
//! What is learned is kept in [`Neighbors`] (`neighbors.rs`), our own address in `claim.rs`. Here
//! is the protocol: requests and replies that come in, requests that go out again and again until
//! answered.
//!
//! ```text
//!              wait: request             reply                60 s
//!   (none) ───────────────► Incomplete ───────► Reachable ───────────► Stale
//!      ▲                        │ 3 requests        ▲                    │ used: unicast request,
//!      ├────────────────────────┘ unanswered        └────────────────────┤ the entry serves on
//!      └─────────────────────────────────────────────────────────────────┘ 3 unanswered
//! ```

use core::net::Ipv4Addr;

use simoom_ring::{Frame, MacAddr, RxPacket, TxOffload, TxPacket, TxRing};

use crate::addr::Addr;
use crate::config;
use crate::counters::DropReason;
use crate::eth::{self, EtherType};
use crate::net::Net;
use crate::time::Instant;
use crate::wire::arp::{Op, PACKET_LEN, Repr};

mod claim;
pub(crate) mod neighbors;

use claim::Say;
pub use neighbors::Neighbors;
pub(crate) use neighbors::{Ask, Lookup};

/// An ARP packet came in: learns from it what RFC 826 allows, answers it if it asks for us, and
/// sends what was waiting for it.
pub(crate) fn input<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    pkt: RxPacket<'p>,
) {
    if let Err(reason) = receive(net, tx, now, pkt) {
        net.counters.drop(reason);
    }
}

fn receive<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    pkt: RxPacket<'p>,
) -> Result<(), DropReason> {
    let packet = Repr::parse(pkt.frame.bytes()).ok_or(DropReason::ArpMalformed)?;
    // RFC 1812 3.3.2: a group is nobody's station address.
    if !packet.sha.is_station() {
        return Err(DropReason::ArpMalformed);
    }
    let cidr = net.cidr.ok_or(DropReason::ArpNotForUs)?;
    let (spa, tpa) = (Addr::v4(packet.spa), Addr::v4(packet.tpa));
    if net.is_ours(spa) {
        // Our own announcement comes back from some switches. From another station it is a
        // conflict.
        if packet.sha == net.mac {
            return Err(DropReason::ArpNotForUs);
        }
        // RFC 5227 2.4 (c): we keep it, and say so.
        if net.neighbors.claim.conflict(now, packet.sha) {
            announce(net, tx);
        }
        return Err(DropReason::ArpConflict);
    }
    // Only neighbors are learned: not 0.0.0.0 (RFC 5227's probes), no broadcast, nobody elsewhere.
    let is_neighbor = spa.is_unicast()
        && !net.is_broadcast(spa)
        && (cidr.contains(spa) || net.gateway == Some(spa));
    let is_known = is_neighbor && confirm(net, tx, now, spa, packet.sha);
    if packet.op == Op::Request && net.is_ours(tpa) {
        if is_neighbor && !is_known {
            let evicted = net.neighbors.learn(spa, packet.sha, now);
            evicted.count(&mut net.counters);
        }
        reply(net, tx, pkt.frame, &packet);
        return Ok(());
    }
    match is_known {
        true => Ok(()),
        false => Err(DropReason::ArpNotForUs),
    }
}

/// Updates a known neighbor and sends what was waiting for it; false when it is not known.
fn confirm<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    addr: Addr,
    mac: MacAddr,
) -> bool {
    let Some(waiting) = net.neighbors.confirm(addr, mac, now) else {
        return false;
    };
    if let Some(packet) = waiting
        && let Err(unsent) = eth::output(net, tx, packet, mac, EtherType::Ipv4)
    {
        unsent.forget(net);
    }
    true
}

/// Answers a request in the very frame that brought it.
fn reply<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, mut frame: Frame<'p>, request: &Repr) {
    let repr = Repr {
        op: Op::Reply,
        sha: net.mac,
        spa: request.tpa,
        tha: request.sha,
        tpa: request.spa,
    };
    frame.trim(0);
    send(net, tx, frame, &repr, request.sha);
}

/// Keeps a packet until the station address of its next hop is known, and asks for it.
///
/// There is one place to wait for each neighbor; the newest packet takes it (RFC 1122 2.3.2.2).
pub(crate) fn wait<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    addr: Addr,
    packet: TxPacket<'p>,
) {
    let (ask, evicted) = net.neighbors.wait(addr, packet, now);
    evicted.count(&mut net.counters);
    if let Some(ask) = ask {
        request(net, tx, ask);
    }
}

/// Asks a neighbor whose entry is stale whether it is still there, at most once a second.
#[cold]
pub(crate) fn probe<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant, addr: Addr) {
    if let Some(ask) = net.neighbors.probe(addr, now) {
        request(net, tx, ask);
    }
}

/// What is due: requests again, neighbors that age or did not answer, announcements.
#[inline]
pub(crate) fn poll<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant) {
    if net.neighbors.poll_at() <= now {
        act(net, tx, now);
    }
}

#[inline(never)]
fn act<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant) {
    if let Some((say, is_first)) = net.neighbors.claim.next(now, net.mac) {
        match say {
            Say::Announcement => announce(net, tx),
            Say::Probe => probe_own(net, tx),
        }
        // Connections that come all at once must not wait for the way back to be known.
        if is_first
            && let Some(gateway) = net.gateway
            && let Some((ask, evicted)) = net.neighbors.seek(gateway, now)
        {
            evicted.count(&mut net.counters);
            request(net, tx, ask);
        }
    }
    // Each round moves one entry's deadline beyond `now`, so there are at most as many as entries.
    for _ in 0..config::NEIGHBORS_MAX {
        match net.neighbors.next_due(now) {
            Some(Ok(ask)) => request(net, tx, ask),
            Some(Err(lost)) => lost.count(&mut net.counters),
            None => break,
        }
    }
}

/// Tells everybody our address (RFC 5227 2.3): a request for it that nobody will answer.
fn announce<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>) {
    let Some(addr) = net.addr() else { return };
    request(net, tx, Ask { addr, mac: None });
}

/// Asks for our own address in nobody's name (RFC 5227 2.1.1): whoever has it, too, answers.
fn probe_own<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>) {
    let Some(addr) = net.addr() else { return };
    request_from(net, tx, Ipv4Addr::UNSPECIFIED, Ask { addr, mac: None });
}

/// Sends a request, to the one station that is asked again or to all.
fn request<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, ask: Ask) {
    if let Some(spa) = net.addr().and_then(Addr::as_v4) {
        request_from(net, tx, spa, ask);
    }
}

fn request_from<'p>(net: &mut Net<'p>, tx: &mut impl TxRing<'p>, spa: Ipv4Addr, ask: Ask) {
    let Some(tpa) = ask.addr.as_v4() else { return };
    let repr = Repr {
        op: Op::Request,
        sha: net.mac,
        spa,
        tha: MacAddr([0; 6]),
        tpa,
    };
    let Some(frame) = net.pool.alloc(net.headroom_of_frame()) else {
        net.counters.drop(DropReason::TxNoFrame);
        return;
    };
    send(net, tx, frame, &repr, ask.mac.unwrap_or(MacAddr::BROADCAST));
}

fn send<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    mut frame: Frame<'p>,
    repr: &Repr,
    dst: MacAddr,
) {
    // A frame holds an Ethernet frame, so 28 bytes fit behind its headers.
    if frame.append(&repr.emit()).is_err() {
        net.counters.drop(DropReason::TxNoRoom);
        return;
    }
    debug_assert_eq!(frame.len(), PACKET_LEN);
    let packet = TxPacket::new(frame, TxOffload::default());
    if let Err(unsent) = eth::output(net, tx, packet, dst, EtherType::Arp) {
        unsent.forget(net);
    }
}

#[cfg(test)]
mod tests;
