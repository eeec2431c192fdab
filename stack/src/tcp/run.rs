//! A run of segments: what nearly all sending is, with what its segments share made once.
//!
//! ```text
//!   template │ Ethernet │ IPv4 │ TCP │ timestamps │      made once a run
//!   patched               len, ident, checksum        for each segment
//!                                seq, PSH, checksum
//! ```
//!
//! New data of an established connection, nothing lost, nothing asked, nothing marked, to a
//! neighbor that is known: everything else is left to `output`'s own loop, which is the reference.
//! What goes on the wire is the same bytes, by either way.

use simoom_ring::{CsumOffload, Frame, MacAddr, TxOffload, TxPacket, TxRing};

use super::bodies::{Bodies, Place};
use super::cc::Congestion;
use super::deadline::Deadline;
use super::flags::{SndFlags, TcbFlags};
use super::flight::{Flights, Frto};
use super::load::Load;
use super::output::{Sent, Tables, alloc_head};
use super::seqnum::SeqNum;
use super::snd::{NextData, Phase};
use super::state::State;
use super::super_segment;
use super::tcb::Tcb;
use crate::arp::Lookup;
use crate::counters::DropReason;
use crate::ip;
use crate::net::{Net, NextHop};
use crate::time::Instant;
use crate::wire::checksum::{Sum, fold};
use crate::wire::tcp::{CSUM_OFFSET, HEADER_LEN};
use crate::wire::{ethernet, ipv4};

/// Sends what is plain of what the connection may send now. `None` when there is something to be
/// done that is not.
#[inline]
pub(super) fn send<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> Option<Sent> {
    if !is_plain(tcb, tables) {
        return None;
    }
    let cwnd = tcb.usable_cwnd();
    // Nothing is SACKED, lost or told by duplicates: all that is in flight is in the pipe.
    let mut quota = cwnd.saturating_sub(tcb.snd.max.bytes_since(tcb.snd.una));
    let sent = match tcb.snd.next_new(quota) {
        Some(next) => send_data(tcb, tables, net, tx, now, next, &mut quota)?,
        None if tcb.flags.has(TcbFlags::ACK_DUE) => send_ack(tcb, net, tx, now)?,
        None => Sent::All,
    };
    if sent == Sent::All {
        tcb.note_limit(cwnd, quota, 0);
    }
    Some(sent)
}

/// Whether all that can be due is new data or an acknowledgment.
#[inline]
fn is_plain<C: Congestion>(tcb: &Tcb<'_, C>, tables: &Tables<'_, '_>) -> bool {
    let can = matches!(tcb.state(), State::Established | State::CloseWait)
        && !tcb.opening.is_unacked()
        && !tcb.flags.has(TcbFlags::KEEP_ALIVE_DUE)
        && !tcb
            .snd
            .flags
            .has(SndFlags::REXMT_DUE.with(SndFlags::PROBE_DUE))
        && tcb.snd.phase == Phase::Open
        && tcb.snd.nxt == tcb.snd.max
        && !tcb.ecn.is_on()
        && !tables.gaps.has_sack(tcb.rcv.gap);
    can && match tables.flights.get(tcb.flight) {
        Some((flight, _)) => {
            flight.pipe() == flight.ranges.len()
                && flight.ranges.lost_len() == 0
                && !flight.probe.is_due
                && flight.frto == Frto::Off
        }
        None => tcb.snd.una == tcb.snd.max && !tcb.flags.has(TcbFlags::PROBE_OPEN),
    }
}

/// Sends data, beginning with `next`, as far as windows, ring and frames go. A FIN is not plain.
fn send_data<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    mut next: NextData,
    quota: &mut u32,
) -> Option<Sent> {
    let way = Way::find(tcb, net)?;
    let has_flight = tcb.flight != super::slots::NONE;
    let has_memory = has_flight && tcb.snd.una != tcb.snd.max || tables.flights.has_free();
    if next.fin || !has_memory {
        return None;
    }
    let first = next.seq;
    let mut place = tables
        .bodies
        .place(&tcb.snd.queue, first.bytes_since(tcb.snd.una) as usize);
    let mut template = None;
    let mut first_len = 0;
    let sent = loop {
        if net.super_len > 0 {
            next = tcb.snd.grown(next, *quota, net.super_len);
        }
        if next.fin {
            break None;
        }
        if tx.space() == 0 {
            break Some(Sent::Blocked);
        }
        let Some(head) = alloc_head(net) else {
            break Some(Sent::Blocked);
        };
        // The window is said when a frame has been taken out: that is what the pool has left.
        let template = template.get_or_insert_with(|| Template::new(tcb, net, now, &way));
        let taken = template.send(net, tx, head, next, (tables.bodies, &mut place));
        if first_len == 0 {
            first_len = taken;
        }
        tcb.snd.nxt += taken;
        tcb.snd.max = tcb.snd.nxt;
        *quota = quota.saturating_sub(taken);
        match tcb.snd.next_new(*quota) {
            Some(following) => next = following,
            None => break Some(Sent::All),
        }
    };
    if template.is_some() {
        mark_sent(tcb, tables.flights, net, now, (first, first_len));
    }
    sent
}

/// Moves what sending a run moves beside SND.NXT: it begins at `first`, with a segment of
/// `first_len` bytes.
fn mark_sent<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    flights: &mut Flights<'p>,
    net: &mut Net<'p>,
    now: Instant,
    (first, first_len): (SeqNum, u32),
) {
    tcb.acknowledged();
    tcb.snd.sent_ms = now.wrapping_millis();
    let (second, end) = (first + first_len, tcb.snd.max);
    let srtt = tcb.rtt.srtt();
    let mut start = first;
    if tcb.snd.una == first {
        // RFC 6298 5.1: what ran while nothing was in flight was not for what is sent now.
        tcb.rexmt_at = Deadline::NEVER;
        // The first segment by itself: a measurement is taken when it is acknowledged.
        start = second;
        match flights.get_mut(tcb.flight) {
            Some((flight, nodes)) => flight.sent(nodes, (first, second), now, srtt),
            None => match flights.begin(first, second, now) {
                Some(flight) => tcb.flight = flight,
                None => net.counters.tcp_flights_full += 1,
            },
        }
    }
    if start != end
        && let Some((flight, nodes)) = flights.get_mut(tcb.flight)
    {
        flight.sent(nodes, (start, end), now, srtt);
    }
}

/// An acknowledgment that found nothing to ride on.
fn send_ack<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> Option<Sent> {
    let way = Way::find(tcb, net)?;
    if tx.space() == 0 {
        return Some(Sent::Blocked);
    }
    let Some(head) = alloc_head(net) else {
        return Some(Sent::Blocked);
    };
    let template = Template::new(tcb, net, now, &way);
    let seq = tcb.snd.ack_seq();
    template.send_empty(net, tx, head, seq);
    tcb.acknowledged();
    Some(Sent::All)
}

impl<C> Tcb<'_, C> {
    /// An acknowledgment has gone out.
    #[inline]
    pub(super) fn acknowledged(&mut self) {
        self.flags
            .clear(TcbFlags::ACK_DUE.with(TcbFlags::KEEP_ALIVE_DUE));
        self.delack_at = Deadline::NEVER;
    }
}

/// Where the segments go: to a station on the link that is known.
struct Way {
    mac: MacAddr,
}

impl Way {
    #[inline]
    fn find<C>(tcb: &mut Tcb<'_, C>, net: &Net<'_>) -> Option<Self> {
        let (local, remote) = tcb.tuple.addrs();
        let addr = match net.next_neighbor(local, remote) {
            Some(addr) => addr,
            None => match net.next_hop(local.into(), remote.into())? {
                NextHop::Neighbor(addr) => addr,
                NextHop::Broadcast => return None,
            },
        };
        match net.neighbors.lookup(addr, &mut tcb.neighbor_hint) {
            Lookup::Found(mac) => Some(Self { mac }),
            _ => None,
        }
    }
}

/// The headers of a run, and what is known of their checksums.
struct Template {
    /// With zero for all that is not the same in each segment.
    bytes: [u8; LEN_MAX],
    len: usize,
    /// The sum of the IP header.
    ip_sum: u16,
    /// The sum of the pseudo-header and, where the device does not sum, the TCP header.
    tcp_sum: u16,
    /// Payload of a full segment.
    smss: u16,
}

impl Template {
    /// The headers of what `tcb` sends now. From here on their window is promised.
    #[inline]
    fn new<'p, C: Congestion>(
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
        now: Instant,
        way: &Way,
    ) -> Self {
        let wnd = tcb.rcv.advertise(net.budget(), false);
        let timestamps = tcb.ts.stamp(tcb.rcv.nxt, now);
        let (local, remote) = tcb.tuple.addrs();
        let (from, to) = (local.octets(), remote.octets());
        let options_len = if timestamps.is_some() { OPTIONS_LEN } else { 0 };
        let mut bytes = FIXED;
        *part(&mut bytes, 0) = way.mac.0;
        *part(&mut bytes, 6) = net.mac.0;
        *part(&mut bytes, IP_TOS) = [tcb.tos];
        *part(&mut bytes, IP_TTL) = [net.ttl.get()];
        *part(&mut bytes, IP_ADDRS) = from;
        *part(&mut bytes, IP_ADDRS + 4) = to;
        *part(&mut bytes, TCP) = tcb.tuple.local_port().to_be_bytes();
        *part(&mut bytes, TCP + 2) = tcb.tuple.remote_port().to_be_bytes();
        *part(&mut bytes, TCP + 8) = tcb.rcv.nxt.0.to_be_bytes();
        // At most eight words.
        *part(&mut bytes, TCP + 12) = [((HEADER_LEN + options_len) as u8) << 2];
        *part(&mut bytes, TCP + 14) = wnd.0.to_be_bytes();
        let stamps = timestamps.map_or([0; 2], |both| [both.val, both.ecr]);
        *part(&mut bytes, TCP + 24) = stamps[0].to_be_bytes();
        *part(&mut bytes, TCP + 28) = stamps[1].to_be_bytes();
        let addrs = halves(from) + halves(to);
        let ttl_proto = u32::from(net.ttl.get()) << 8 | u32::from(ip::proto::TCP);
        let ip_sum = 0x4500 + u32::from(tcb.tos) + DF + ttl_proto + addrs;
        let mut tcp_sum = addrs + u32::from(ip::proto::TCP);
        if !net.caps.checksums.tx {
            // Without timestamps, what lies behind is not sent.
            let tcp_len = HEADER_LEN + options_len;
            let part = bytes.get(TCP..TCP + tcp_len).unwrap_or_default();
            tcp_sum += u32::from(Sum::of(part).folded());
        }
        Self {
            bytes,
            len: TCP + HEADER_LEN + options_len,
            ip_sum: fold(ip_sum),
            tcp_sum: fold(tcp_sum),
            smss: tcb.snd.smss,
        }
    }

    /// Sends a segment as `next` says, with what lies at `place`, which moves on; how many bytes
    /// of payload it took.
    #[inline]
    fn send<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        next: NextData,
        (bodies, place): (&Bodies<'p>, &mut Place),
    ) -> u32 {
        self.begin(&mut head);
        let mut packet = TxPacket::new(head, TxOffload::default());
        let mut load = Load::new(&net.caps);
        let len = next.len as usize;
        let taken = bodies.attach_at(place, len, &mut packet, &mut load, &mut net.counters);
        if taken > usize::from(self.smss) {
            let tcp_len = self.len - ip::HEADERS_LEN;
            super_segment::request(&mut packet, taken, (self.smss, tcp_len), net);
        }
        let is_pushed = next.psh && taken == len;
        self.finish(net, tx, packet, next.seq, (taken, is_pushed, load.sum));
        // A datagram is shorter than 64 KiB.
        taken as u32
    }

    /// Sends a segment without payload.
    fn send_empty<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        seq: SeqNum,
    ) {
        self.begin(&mut head);
        let packet = TxPacket::new(head, TxOffload::default());
        self.finish(net, tx, packet, seq, (0, false, Sum::new()));
    }

    /// Makes room for the headers at the front of an empty frame that has headroom for them.
    #[inline]
    fn begin(&self, head: &mut Frame<'_>) {
        let _front = head.push(ip::HEADERS_LEN);
        let _back = head.extend(self.len - ip::HEADERS_LEN);
    }

    /// Writes the headers, and puts the packet on the ring.
    #[inline]
    fn finish<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut packet: TxPacket<'p>,
        seq: SeqNum,
        (payload_len, is_pushed, payload): (usize, bool, Sum),
    ) {
        // A datagram is shorter than 64 KiB.
        let ip_len = (self.len - ethernet::HEADER_LEN + payload_len) as u16;
        let tcp_len = ip_len - ipv4::HEADER_LEN as u16;
        let ident = net.ident;
        net.ident = ident.wrapping_add(1);
        let ip_sum = u32::from(self.ip_sum) + u32::from(ip_len) + u32::from(ident);
        let [s0, s1, s2, s3] = seq.0.to_be_bytes();
        let psh = if is_pushed { PSH } else { 0 };
        let mut tcp_sum = u32::from(self.tcp_sum) + u32::from(tcp_len);
        let csum = if net.caps.checksums.tx {
            let csum = Some(CsumOffload {
                csum_start: ip::HEADERS_LEN as u16,
                csum_offset: CSUM_OFFSET,
            });
            let gso = packet.offload().gso;
            packet.set_offload(TxOffload { csum, gso });
            fold(tcp_sum)
        } else {
            tcp_sum += u32::from(u16::from_be_bytes([s0, s1]));
            tcp_sum += u32::from(u16::from_be_bytes([s2, s3])) + u32::from(psh);
            let mut sum = Sum::from_folded(fold(tcp_sum));
            sum.combine(payload);
            sum.finish()
        };
        let room = packet.head_mut().bytes_mut();
        if let Some(room) = room
            .first_chunk_mut::<LEN_MAX>()
            .filter(|_| self.len == LEN_MAX)
        {
            *room = self.bytes;
            patch(room, (ip_len, ident, !fold(ip_sum)), (seq, psh, csum));
        } else if let (Some(room), Some(bytes)) = (
            room.first_chunk_mut::<LEN_MIN>(),
            self.bytes.first_chunk::<LEN_MIN>(),
        ) {
            *room = *bytes;
            patch(room, (ip_len, ident, !fold(ip_sum)), (seq, psh, csum));
        }
        net.counters.tcp_segments_out += 1;
        let frame_len = self.len + payload_len;
        match tx.send(packet) {
            Ok(()) => {
                net.counters.tx_packets += 1;
                net.counters.tx_bytes += frame_len as u64;
            }
            // As good as lost on the way: the timers send it again.
            Err(_) => net.counters.drop(DropReason::TxRingFull),
        }
    }
}

/// Writes what is not the same in each segment.
#[inline]
fn patch<const N: usize>(
    bytes: &mut [u8; N],
    (ip_len, ident, ip_csum): (u16, u16, u16),
    (seq, psh, csum): (SeqNum, u8, u16),
) {
    *part(bytes, IP_LEN) = ip_len.to_be_bytes();
    *part(bytes, IP_IDENT) = ident.to_be_bytes();
    *part(bytes, IP_CSUM) = ip_csum.to_be_bytes();
    *part(bytes, TCP + 4) = seq.0.to_be_bytes();
    *part(bytes, TCP + 13) = [ACK | psh];
    *part(bytes, TCP_CSUM) = csum.to_be_bytes();
}

/// The `K` bytes at `at`, which is a constant: nothing is left of the check.
///
/// # Panics
/// When they are not within the headers: a bug of ours.
#[inline(always)]
fn part<const N: usize, const K: usize>(bytes: &mut [u8; N], at: usize) -> &mut [u8; K] {
    let rest = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    rest.expect("a field of the headers")
}

/// The sum of the two halves of an address.
#[inline]
fn halves([a, b, c, d]: [u8; 4]) -> u32 {
    u32::from(u16::from_be_bytes([a, b])) + u32::from(u16::from_be_bytes([c, d]))
}

/// Bytes of the timestamps with their padding.
const OPTIONS_LEN: usize = 12;

/// Bytes of all headers, without timestamps and with them.
const LEN_MIN: usize = ip::HEADERS_LEN + HEADER_LEN;
const LEN_MAX: usize = LEN_MIN + OPTIONS_LEN;

/// Where the fields lie.
const IP: usize = ethernet::HEADER_LEN;
const IP_TOS: usize = IP + 1;
const IP_LEN: usize = IP + 2;
const IP_IDENT: usize = IP + 4;
const IP_TTL: usize = IP + 8;
const IP_CSUM: usize = IP + 10;
const IP_ADDRS: usize = IP + 12;
const TCP: usize = ip::HEADERS_LEN;
const TCP_CSUM: usize = TCP + CSUM_OFFSET as usize;

/// Don't fragment, as it is summed.
const DF: u32 = 0x4000;

/// Control bits, as the header has them.
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// What is the same in all headers: IPv4's type and version, DF, TCP, ACK, and behind the header
/// two NOPs and the kind and length of timestamps.
const FIXED: [u8; LEN_MAX] = {
    let mut bytes = [0; LEN_MAX];
    bytes[IP - 2] = 0x08;
    bytes[IP] = 0x45;
    bytes[IP + 6] = 0x40;
    bytes[IP + 9] = ip::proto::TCP;
    bytes[TCP + 13] = ACK;
    bytes[TCP + 20] = 1;
    bytes[TCP + 21] = 1;
    bytes[TCP + 22] = 8;
    bytes[TCP + 23] = 10;
    bytes
};
