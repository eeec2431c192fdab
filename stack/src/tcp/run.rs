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
use crate::eth::EtherType;
use crate::ip;
use crate::net::{Net, NextHop};
use crate::time::Instant;
use crate::wire::checksum::{Sum, fold};
use crate::wire::tcp::{CSUM_OFFSET, Ctl, HEADER_LEN, Options, Repr};
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
        let tuple = tcb.tuple.full();
        let next_hop = net.next_hop(tuple.local.addr, tuple.remote.addr)?;
        let NextHop::Neighbor(addr) = next_hop else {
            return None;
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
    fn new<'p, C: Congestion>(
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
        now: Instant,
        way: &Way,
    ) -> Self {
        let wnd = tcb.rcv.advertise(net.budget(), false);
        let repr = Repr {
            src_port: tcb.tuple.local_port(),
            dst_port: tcb.tuple.remote_port(),
            seq: SeqNum(0),
            ack: Some(tcb.rcv.nxt),
            ctl: Ctl::default(),
            wnd,
            options: Options {
                timestamps: tcb.ts.stamp(tcb.rcv.nxt, now),
                ..Options::default()
            },
        };
        let ethernet = ethernet::Repr {
            dst: way.mac,
            src: net.mac,
            ethertype: EtherType::Ipv4,
        };
        let (local, remote) = tcb.tuple.addrs();
        let datagram = ipv4::Repr {
            tos: tcb.tos,
            total_len: 0,
            ident: 0,
            ttl: net.ttl.get(),
            proto: ip::proto::TCP,
            src: local,
            dst: remote,
        };
        let mut bytes = [0; LEN_MAX];
        let (front, tcp_part) = bytes.split_at_mut(ip::HEADERS_LEN);
        let (ethernet_part, ip_part) = front.split_at_mut(ethernet::HEADER_LEN);
        ethernet_part.copy_from_slice(&ethernet.emit());
        ip_part.copy_from_slice(&datagram.emit());
        repr.emit(tcp_part);
        let mut tcp_sum = Sum::pseudo_header(local.into(), remote.into(), ip::proto::TCP, 0);
        if !net.caps.checksums.tx {
            // What lies behind a shorter header is zero.
            tcp_sum.add(tcp_part);
        }
        Self {
            bytes,
            len: ip::HEADERS_LEN + repr.header_len(),
            // The header's own checksum is that of one with zeros in it.
            ip_sum: !u16::from_be_bytes([bytes[IP_CSUM], bytes[IP_CSUM + 1]]),
            tcp_sum: tcp_sum.folded(),
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
        if let Some(room) = packet.head_mut().bytes_mut().get_mut(..self.len) {
            let bytes = self.bytes.get(..room.len()).unwrap_or_default();
            room.copy_from_slice(bytes);
            put(room, IP_LEN, ip_len);
            put(room, IP_IDENT, ident);
            put(room, IP_CSUM, !fold(ip_sum));
            put(room, TCP_SEQ, u16::from_be_bytes([s0, s1]));
            put(room, TCP_SEQ + 2, u16::from_be_bytes([s2, s3]));
            put(room, TCP_CSUM, csum);
            if let Some(ctl) = room.get_mut(TCP_CTL) {
                *ctl |= psh;
            }
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

#[inline]
fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Bytes of the headers with timestamps.
const LEN_MAX: usize = ip::HEADERS_LEN + HEADER_LEN + 12;

/// Where the fields lie that differ.
const IP_LEN: usize = ethernet::HEADER_LEN + 2;
const IP_IDENT: usize = ethernet::HEADER_LEN + 4;
const IP_CSUM: usize = ethernet::HEADER_LEN + 10;
const TCP_SEQ: usize = ip::HEADERS_LEN + 4;
const TCP_CTL: usize = ip::HEADERS_LEN + 13;
const TCP_CSUM: usize = ip::HEADERS_LEN + CSUM_OFFSET as usize;

/// PSH, as the header has it.
const PSH: u8 = 0x08;
