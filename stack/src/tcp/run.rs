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
use super::flight::Flights;
use super::load::Load;
use super::output::{Sent, Tables};
use super::seqnum::SeqNum;
use super::snd::{NextData, Phase, Snd};
use super::state::State;
use super::super_segment;
use super::tcb::Tcb;
use crate::arp::Lookup;
use crate::counters::DropReason;
use crate::ip;
use crate::net::{Net, NextHop};
use crate::time::Instant;
use crate::wire::checksum::{Sum, fold, fold_words};
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
    let in_flight = tcb.snd.max.bytes_since(tcb.snd.una);
    let mut room = Room {
        // Nothing is SACKED, lost or told by duplicates: all that is in flight is in the pipe.
        quota: cwnd.saturating_sub(in_flight),
        window: tcb.snd.wnd.0.saturating_sub(in_flight),
        unsent: tcb.snd.queue.len().checked_sub(in_flight.into())?,
    };
    let sent = match room.next(&tcb.snd) {
        Some(next) => send_data(tcb, tables, net, tx, now, next, &mut room)?,
        None if tcb.flags.has(TcbFlags::ACK_DUE) => send_ack(tcb, net, tx, now)?,
        None => Sent::All,
    };
    if sent == Sent::All {
        room.note_limit(tcb, cwnd);
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
        Some((flight, _)) => flight.is_all_in_pipe() && !flight.probe.is_due,
        None => tcb.snd.una == tcb.snd.max && !tcb.flags.has(TcbFlags::PROBE_OPEN),
    }
}

/// What may still go, which becomes less with each segment.
struct Room {
    /// Bytes as far as the network goes, and as the far side does.
    quota: u32,
    window: u32,
    /// Bytes queued that have not been sent.
    unsent: u64,
}

impl Room {
    /// What is sent next: a full segment of new data, or what [`Snd::next_new`] says.
    #[inline(always)]
    fn next(&self, snd: &Snd) -> Option<NextData> {
        let smss = u32::from(snd.smss);
        if self.quota.min(self.window) >= smss && self.unsent >= smss.into() {
            let is_last = self.unsent == u64::from(smss);
            return Some(NextData {
                seq: snd.nxt,
                len: smss,
                fin: is_last && snd.has_fin(),
                psh: is_last,
            });
        }
        if self.unsent == 0 && !snd.has_fin() {
            return None;
        }
        snd.next_of(self.unsent, self.quota.min(self.window))
    }

    /// So many bytes have gone.
    #[inline(always)]
    fn take(&mut self, len: u32) {
        self.quota = self.quota.saturating_sub(len);
        self.window = self.window.saturating_sub(len);
        self.unsent = self.unsent.saturating_sub(len.into());
    }

    /// As [`Tcb::note_limit`], of what is known.
    #[inline]
    fn note_limit<C>(&self, tcb: &mut Tcb<'_, C>, cwnd: u32) {
        let wanted = self.unsent.min(tcb.snd.smss.into());
        if u64::from(self.quota) < wanted && cwnd < tcb.snd.wnd.0 {
            tcb.snd.limited = tcb.snd.nxt;
        }
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
    room: &mut Room,
) -> Option<Sent> {
    let way = Way::find(tcb, net)?;
    let has_flight = tcb.flight != super::slots::NONE;
    let has_memory = has_flight && tcb.snd.una != tcb.snd.max || tables.flights.has_free();
    if next.fin || !has_memory {
        return None;
    }
    let first = next.seq;
    let offset = first.bytes_since(tcb.snd.una) as usize;
    let mut place = tables.bodies.place(&tcb.snd.queue, offset);
    if net.super_len > 0 {
        next = tcb.snd.grown(next, room.quota, net.super_len);
        if next.fin {
            return None;
        }
    }
    if tx.space() == 0 {
        return Some(Sent::Blocked);
    }
    let len = Template::len_of(tcb);
    let Some(mut head) = alloc_headers(net, len) else {
        return Some(Sent::Blocked);
    };
    // The window is said when a frame has been taken out: that is what the pool has left.
    let template = Template::new(tcb, net, now, &way);
    let mut first_len = 0;
    let sent = loop {
        let taken = template.send(net, tx, head, next, (tables.bodies, &mut place));
        if first_len == 0 {
            first_len = taken;
        }
        tcb.snd.nxt += taken;
        room.take(taken);
        match room.next(&tcb.snd) {
            Some(following) => next = following,
            None => break Some(Sent::All),
        }
        if net.super_len > 0 {
            tcb.snd.max = tcb.snd.nxt;
            next = tcb.snd.grown(next, room.quota, net.super_len);
        }
        if next.fin {
            break None;
        }
        if tx.space() == 0 {
            break Some(Sent::Blocked);
        }
        let Some(another) = alloc_headers(net, len) else {
            break Some(Sent::Blocked);
        };
        head = another;
    };
    tcb.snd.max = tcb.snd.nxt;
    mark_sent(tcb, tables.flights, net, now, (first, first_len));
    sent
}

/// A frame with a window for headers of `len` bytes, counted when there is none.
#[inline(always)]
fn alloc_headers<'p>(net: &mut Net<'p>, len: usize) -> Option<Frame<'p>> {
    let head = net.pool.alloc_window(net.caps.headroom.into(), len);
    if head.is_none() {
        net.counters.drop(DropReason::TxNoFrame);
    }
    head
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
    let Some(head) = alloc_headers(net, Template::len_of(tcb)) else {
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
    /// The sum of the IP header, in the machine's order as the other.
    ip_sum: u16,
    /// The sum of the pseudo-header and, where the device does not sum, the TCP header.
    tcp_sum: u16,
    /// What the device is asked to do to each.
    offload: TxOffload,
    /// Payload of a full segment.
    smss: u16,
}

impl Template {
    /// The headers of what `tcb` sends now. From here on their window is promised.
    #[inline(always)]
    fn new<'p, C: Congestion>(
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
        now: Instant,
        way: &Way,
    ) -> Self {
        let wnd = tcb.rcv.advertise(net.budget(), false);
        let (local, remote) = tcb.tuple.addrs();
        let (from, to) = (local.octets(), remote.octets());
        let mut template = Self {
            bytes: FIXED,
            len: LEN_MIN,
            ip_sum: 0,
            tcp_sum: 0,
            offload: TxOffload::default(),
            smss: tcb.snd.smss,
        };
        let bytes = &mut template.bytes;
        *part(bytes, 0) = way.mac.0;
        *part(bytes, 6) = net.mac.0;
        *part(bytes, IP_TOS) = [tcb.tos];
        *part(bytes, IP_TTL) = [net.ttl.get()];
        *part(bytes, IP_ADDRS) = from;
        *part(bytes, IP_ADDRS + 4) = to;
        *part(bytes, TCP) = tcb.tuple.local_port().to_be_bytes();
        *part(bytes, TCP + 2) = tcb.tuple.remote_port().to_be_bytes();
        *part(bytes, TCP + 8) = tcb.rcv.nxt.0.to_be_bytes();
        *part(bytes, TCP + 14) = wnd.0.to_be_bytes();
        if let Some(stamps) = tcb.ts.stamp(tcb.rcv.nxt, now) {
            template.len = LEN_MAX;
            *part(bytes, TCP + 12) = [OFFSET_MAX];
            *part(bytes, TCP + 24) = stamps.val.to_be_bytes();
            *part(bytes, TCP + 28) = stamps.ecr.to_be_bytes();
        }
        // Sums of words in the machine's order, whichever that is (RFC 1071 2 (B)).
        let addrs = u64::from(u32::from_ne_bytes(from)) + u64::from(u32::from_ne_bytes(to));
        let ip = [[0x45, tcb.tos], [0x40, 0], [net.ttl.get(), ip::proto::TCP]];
        let ip = ip.map(|word| u64::from(u16::from_ne_bytes(word)));
        template.ip_sum = fold_words(addrs + ip.iter().sum::<u64>());
        let mut tcp_sum = addrs + u64::from(u16::from(ip::proto::TCP).to_be());
        if net.caps.checksums.tx {
            template.offload.csum = Some(CsumOffload {
                csum_start: ip::HEADERS_LEN as u16,
                csum_offset: CSUM_OFFSET,
            });
        } else {
            // Without timestamps, what lies behind is not sent.
            let part = template.bytes.get(TCP..template.len).unwrap_or_default();
            tcp_sum += u64::from(fold_words(Sum::of(part).words()));
        }
        template.tcp_sum = fold_words(tcp_sum);
        template
    }

    /// Bytes of the headers of what `tcb` sends.
    #[inline]
    fn len_of<C>(tcb: &Tcb<'_, C>) -> usize {
        if tcb.ts.is_on() { LEN_MAX } else { LEN_MIN }
    }

    /// Sends a segment as `next` says, with what lies at `place`, which moves on; how many bytes
    /// of payload it took.
    #[inline(always)]
    fn send<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        head: Frame<'p>,
        next: NextData,
        (bodies, place): (&Bodies<'p>, &mut Place),
    ) -> u32 {
        let mut packet = TxPacket::new(head, self.offload);
        let mut load = Load::new(&net.caps);
        let len = next.len as usize;
        let taken = bodies.attach_at(place, len, &mut packet, &mut load, &mut net.counters);
        if taken > usize::from(self.smss) {
            let tcp_len = self.len - ip::HEADERS_LEN;
            super_segment::request(&mut packet, taken, (self.smss, tcp_len), net);
        }
        let is_pushed = next.psh && taken == len;
        self.write(
            packet.head_mut(),
            net,
            next.seq,
            (taken, is_pushed, load.sum),
        );
        let is_sent = tx.send(packet).is_ok();
        self.count(net, taken, is_sent);
        // A datagram is shorter than 64 KiB.
        taken as u32
    }

    /// Sends a segment without payload.
    #[inline]
    fn send_empty<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        seq: SeqNum,
    ) {
        self.write(&mut head, net, seq, (0, false, Sum::new()));
        let is_sent = tx.send(TxPacket::new(head, self.offload)).is_ok();
        self.count(net, 0, is_sent);
    }

    /// Writes the headers.
    #[inline(always)]
    fn write(
        &self,
        head: &mut Frame<'_>,
        net: &mut Net<'_>,
        seq: SeqNum,
        (payload_len, is_pushed, payload): (usize, bool, Sum),
    ) {
        // A datagram is shorter than 64 KiB.
        let ip_len = (self.len - ethernet::HEADER_LEN + payload_len) as u16;
        let tcp_len = ip_len - ipv4::HEADER_LEN as u16;
        let ident = net.ident;
        net.ident = ident.wrapping_add(1);
        let ip_sum = u32::from(self.ip_sum) + u32::from(ip_len.to_be()) + u32::from(ident.to_be());
        let psh = if is_pushed { PSH } else { 0 };
        let tcp_sum = u32::from(self.tcp_sum) + u32::from(tcp_len.to_be());
        let csum = if self.offload.csum.is_some() {
            fold(tcp_sum)
        } else {
            let words = u64::from(tcp_sum) + u64::from(u16::from(psh).to_be());
            let mut sum = Sum::of_words(words + u64::from(seq.0.to_be()));
            sum.combine(payload);
            !fold_words(sum.words())
        };
        let fields = (ip_len, ident, !fold(ip_sum), seq, psh, csum);
        let room = head.bytes_mut();
        if let Some(room) = room.first_chunk_mut::<LEN_MAX>()
            && self.len == LEN_MAX
        {
            *room = self.bytes;
            patch(room, fields);
        } else if let (Some(room), Some(bytes)) = (
            room.first_chunk_mut::<LEN_MIN>(),
            self.bytes.first_chunk::<LEN_MIN>(),
        ) {
            *room = *bytes;
            patch(room, fields);
        }
    }

    /// Counts a segment that was given to the ring.
    #[inline(always)]
    fn count(&self, net: &mut Net<'_>, payload_len: usize, is_sent: bool) {
        net.counters.tcp_segments_out += 1;
        if is_sent {
            net.counters.tx_packets += 1;
            net.counters.tx_bytes += (self.len + payload_len) as u64;
        } else {
            // As good as lost on the way: the timers send it again.
            net.counters.drop(DropReason::TxRingFull);
        }
    }
}

/// Writes what is not the same in each segment.
#[inline(always)]
fn patch<const N: usize>(
    bytes: &mut [u8; N],
    (ip_len, ident, ip_csum, seq, psh, csum): (u16, u16, u16, SeqNum, u8, u16),
) {
    *part(bytes, IP_LEN) = ip_len.to_be_bytes();
    *part(bytes, IP_IDENT) = ident.to_be_bytes();
    *part(bytes, IP_CSUM) = ip_csum.to_ne_bytes();
    *part(bytes, TCP + 4) = seq.0.to_be_bytes();
    *part(bytes, TCP + 13) = [ACK | psh];
    *part(bytes, TCP_CSUM) = csum.to_ne_bytes();
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

/// The offset byte of a header with timestamps.
const OFFSET_MAX: u8 = ((HEADER_LEN + OPTIONS_LEN) as u8) << 2;

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
    bytes[TCP + 12] = (HEADER_LEN as u8) << 2;
    bytes[TCP + 13] = ACK;
    bytes[TCP + 20] = 1;
    bytes[TCP + 21] = 1;
    bytes[TCP + 22] = 8;
    bytes[TCP + 23] = 10;
    bytes
};
