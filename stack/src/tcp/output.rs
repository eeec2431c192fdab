//! From connection to ring: the next segment is pulled out of the connection, never pushed.

use simoom_ring::{CsumOffload, Frame, TxOffload, TxPacket, TxRing};

use crate::counters::DropReason;
use crate::ip;
use crate::net::Net;
use crate::tcp::bodies::{Bodies, Slice};
use crate::tcp::cc::Congestion;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::flight::{Flight, Flights, Frto, Nodes, Unsettled};
use crate::tcp::gaps::Gaps;
use crate::tcp::load::Load;
use crate::tcp::run;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::{NextData, Phase, Snd};
use crate::tcp::state::State;
use crate::tcp::super_segment;
use crate::tcp::tcb::Tcb;
use crate::tcp::tuple::Tuple;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::tcp::{CSUM_OFFSET, Ctl, HEADER_LEN_MAX, Options, Repr};

/// Whether everything that could be sent has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// Nothing is left that may be sent now.
    All,
    /// The ring or the pool is full: come back when there is space.
    Blocked,
}

/// The tables that a segment is made from.
pub(crate) struct Tables<'a, 'p> {
    pub(crate) bodies: &'a Bodies<'p>,
    pub(crate) gaps: &'a mut Gaps<'p>,
    pub(crate) flights: &'a mut Flights<'p>,
    /// The headers of the last run.
    pub(crate) template: &'a mut run::Template,
    /// Whether the short cut may be taken.
    pub(crate) short_cuts: bool,
}

/// Sends what the connection may send now: data, a SYN or FIN, at last an acknowledgment that
/// found nothing to ride on.
pub(crate) fn output<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> Sent {
    tcb.restart_after_idle(now);
    if tables.short_cuts
        && let Some(sent) = run::send(tcb, tables, net, tx, now)
    {
        return sent;
    }
    // Each round sends a segment, and the ring is finite.
    while let Some(next) = next_segment(tcb, tables.flights) {
        if tx.space() == 0 {
            return Sent::Blocked;
        }
        let Some(head) = alloc_head(net) else {
            return Sent::Blocked;
        };
        let next = match next {
            Next::Data(data) if net.super_len > 0 => {
                Next::Data(super_segment::grow(tcb, tables.flights, data, net))
            }
            _ => next,
        };
        let (seq, len) = send_segment(tcb, tables, net, tx, now, head, next);
        mark_sent(tcb, tables.flights, net, now, seq, len);
    }
    tcb.note_cwnd_limit(tables.flights);
    Sent::All
}

/// What to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Our SYN; with an acknowledgment once theirs is known.
    Syn,
    Data(NextData),
    Ack,
    /// A segment of nothing before SND.NXT, that must be answered (RFC 9293 3.8.4).
    KeepAlive,
}

#[inline]
fn next_segment<C: Congestion>(tcb: &Tcb<'_, C>, flights: &Flights<'_>) -> Option<Next> {
    match tcb.state() {
        State::Closed | State::Listen => return None,
        // The last acknowledgment.
        State::TimeWait => return tcb.flags.has(TcbFlags::ACK_DUE).then_some(Next::Ack),
        State::SynSent | State::SynReceived if !tcb.opening.is_unacked() => {
            return (tcb.snd.nxt == tcb.iss || tcb.flags.has(TcbFlags::ACK_DUE))
                .then_some(Next::Syn);
        }
        _ => {}
    }
    let quota = tcb.quota(flights);
    let next = match flights.get(tcb.flight) {
        Some((flight, nodes)) => next_in_flight(&tcb.snd, flight, nodes, quota),
        None => tcb.snd.next(quota, None),
    };
    match next {
        Some(next) => Some(Next::Data(next)),
        None if tcb.flags.has(TcbFlags::KEEP_ALIVE_DUE) => Some(Next::KeepAlive),
        None => tcb.flags.has(TcbFlags::ACK_DUE).then_some(Next::Ack),
    }
}

/// What to send next, beside what is in flight (NextSeg of RFC 6675 4).
#[inline]
fn next_in_flight(snd: &Snd, flight: &Flight, nodes: &Nodes<'_>, quota: u32) -> Option<NextData> {
    let smss = u32::from(snd.smss);
    if flight.probe.is_due {
        // RFC 8985 7.3: new data, whatever cwnd says, or the end of what was sent.
        let tail = flight.tail(smss + u32::from(snd.has_fin()));
        return snd
            .next_of_probe()
            .or_else(|| snd.again(tail, snd.max.bytes_since(tail)));
    }
    if let Frto::Asking { until } = flight.frto {
        // RFC 5682 2.1, step 2b: two new segments first, nothing that is lost before they tell.
        let new = snd.next(until.bytes_since(snd.nxt), None);
        if new.is_some() || snd.max.after(snd.recover) {
            return new;
        }
    }
    let next = snd.next(quota, flight.next_lost(nodes, smss));
    if next.is_none() && snd.phase == Phase::Recovery && quota >= smss {
        let tail = flight.rescue(nodes, smss)?;
        return snd.again(tail, snd.max.bytes_since(tail));
    }
    next
}

/// Puts a segment on the ring; says where it begins, and how much sequence space it takes.
fn send_segment<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    mut head: Frame<'p>,
    next: Next,
) -> (SeqNum, u32) {
    let (seq, syn, slice) = match next {
        Next::Syn => (tcb.iss, true, None),
        Next::Ack => (tcb.snd.ack_seq(), false, None),
        Next::KeepAlive => (tcb.snd.una - 1, false, None),
        Next::Data(data) => {
            let offset = data.seq.bytes_since(tcb.snd.una) as usize;
            let len = data.len as usize;
            (data.seq, false, Some(Slice { offset, len }))
        }
    };
    let wnd = tcb.rcv.advertise(net.budget(), syn);
    let mut repr = Repr {
        src_port: tcb.tuple.local_port(),
        dst_port: tcb.tuple.remote_port(),
        seq,
        ack: (tcb.state() != State::SynSent).then_some(tcb.rcv.nxt),
        ctl: Ctl::default(),
        wnd,
        options: options(tcb, tables.gaps, syn.then(|| net.rmss()), now),
    };
    // SACK blocks come and go: unlike timestamps they are not in SMSS (RFC 6691 2).
    let room = usize::from(tcb.snd.smss).saturating_sub(repr.options.sack_len());
    let most = super_segment::most(tcb, &repr.options).unwrap_or(room);
    if syn {
        repr.ctl = Ctl::SYN.with(tcb.ecn.ctl_of_syn(repr.ack.is_some()));
    }
    // The header goes in last: how much was attached decides on FIN and PSH.
    let _room = head.extend(repr.header_len());
    let mut load = Load::new(&net.caps);
    let mut packet = TxPacket::new(head, TxOffload::default());
    let taken = match slice.filter(|slice| slice.len > 0) {
        Some(slice) => tables.bodies.attach(
            &tcb.snd.queue,
            slice.up_to(most),
            &mut packet,
            &mut load,
            &mut net.counters,
        ),
        None => 0,
    };
    if let Next::Data(data) = next
        && taken == data.len as usize
    {
        repr.ctl = data.ctl();
    }
    let codepoint = tcb.mark(&mut repr, taken > 0);
    repr.emit(packet.head_mut().bytes_mut());
    if taken > room {
        super_segment::request(&mut packet, taken, (tcb.snd.smss, repr.header_len()), net);
    }
    // A segment is shorter than 64 KiB.
    let len = taken as u32 + u32::from(repr.ctl.has(Ctl::FIN)) + u32::from(syn);
    let mut hint = tcb.neighbor_hint;
    let tos = tcb.tos | codepoint.bits();
    let segment = (packet, repr.header_len(), load.sum);
    transmit(net, tx, now, segment, tcb.tuple, tos, &mut hint);
    tcb.neighbor_hint = hint;
    (seq, len)
}

/// Moves what sending a segment moves: SND.NXT, what is in flight, what we have acknowledged. The
/// retransmission timer is set when everything has been sent.
fn mark_sent<C: Congestion>(
    tcb: &mut Tcb<'_, C>,
    flights: &mut Flights<'_>,
    net: &mut Net<'_>,
    now: Instant,
    seq: SeqNum,
    len: u32,
) {
    tcb.flags
        .clear(TcbFlags::ACK_DUE.with(TcbFlags::KEEP_ALIVE_DUE));
    tcb.delack_at = Deadline::NEVER;
    if len == 0 {
        return;
    }
    tcb.snd.sent_ms = now.wrapping_millis();
    if tcb.snd.una == tcb.snd.max {
        // RFC 6298 5.1: what ran while nothing was in flight was not for what is sent now.
        tcb.rexmt_at = Deadline::NEVER;
    }
    let end = seq + len;
    if seq.before(tcb.snd.max) {
        // Of a super-segment each; a packet has fewer than 65,536.
        let segments = len.div_ceil(u32::from(tcb.snd.smss).max(1)) as u16;
        net.counters.tcp_retransmits += u64::from(segments);
        tcb.totals.retransmits = tcb.totals.retransmits.saturating_add(segments);
        net.sent_cut_again(tcb.tuple, seq);
    }
    let is_last_fin = tcb.is_last_fin();
    if tcb.snd.una == tcb.snd.max && (is_last_fin || !flights.has_node()) {
        tcb.end_flight(flights);
    }
    if let Some((flight, nodes)) = flights.get_mut(tcb.flight) {
        flight.sent(nodes, (seq, end), now, tcb.rtt.srtt());
    } else if tcb.snd.una == tcb.snd.max && !is_last_fin {
        let left = tcb.take_probe_left();
        match flights.begin(seq, end, now) {
            Some(flight) => {
                tcb.flight = flight;
                if left != Unsettled::default() {
                    flights.reopen_probe(flight, seq, left);
                }
            }
            None => net.counters.tcp_flights_full += 1,
        }
    }
    if !tcb.snd.flags.has(SndFlags::REXMT_DUE) {
        tcb.snd.nxt = tcb.snd.nxt.max(end);
    }
    tcb.snd
        .flags
        .clear(SndFlags::REXMT_DUE.with(SndFlags::PROBE_DUE));
    tcb.snd.max = tcb.snd.max.max(end);
}

/// The options of a segment: of a SYN with our `rmss`, or of another.
pub(super) fn options<C: Congestion>(
    tcb: &mut Tcb<'_, C>,
    gaps: &mut Gaps<'_>,
    rmss: Option<u16>,
    now: Instant,
) -> Options {
    let timestamps = tcb.ts.stamp(tcb.rcv.nxt, now);
    let Some(rmss) = rmss else {
        let mut options = Options {
            timestamps,
            ..Options::default()
        };
        // RFC 2018 4: with every acknowledgment that does not cover all that has come.
        if tcb.is_sack_permitted() && gaps.has_sack(tcb.rcv.gap) {
            options.sack = gaps.sack(tcb.rcv.gap);
            options.fit();
        }
        return options;
    };
    Options {
        mss: Some(rmss),
        wscale: tcb.rcv.wscale,
        sack_permitted: tcb.is_sack_permitted(),
        timestamps,
        ..Options::default()
    }
}

/// A frame for headers, counted when there is none.
#[inline]
pub(super) fn alloc_head<'p>(net: &mut Net<'p>) -> Option<Frame<'p>> {
    let head = net.pool.alloc(net.headroom());
    if head.is_none() {
        net.counters.drop(DropReason::TxNoFrame);
    }
    head
}

/// Completes the checksum, or has the device do it, and hands the segment down: a packet, of which
/// so many bytes are the header, and the sum of what lies behind them.
pub(super) fn transmit<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    (mut packet, header_len, payload): (TxPacket<'p>, usize, Sum),
    tuple: Tuple,
    tos: u8,
    hint: &mut u8,
) {
    let (local, remote) = tuple.addrs();
    let header = ip::Header {
        tos,
        ..ip::Header::new(local.into(), remote.into(), ip::proto::TCP)
    };
    let segment_len = u16::try_from(packet.frame_len()).unwrap_or(u16::MAX);
    let mut sum = Sum::pseudo_header(header.src, header.dst, header.proto, segment_len);
    let csum = if net.caps.checksums.tx {
        let csum_start = ip::HEADERS_LEN as u16;
        let csum = Some(CsumOffload {
            csum_start,
            csum_offset: CSUM_OFFSET,
        });
        let gso = packet.offload().gso;
        packet.set_offload(TxOffload { csum, gso });
        sum.folded()
    } else {
        sum.add(packet.head().bytes().get(..header_len).unwrap_or_default());
        sum.combine(payload);
        sum.finish()
    };
    let field = usize::from(CSUM_OFFSET)..usize::from(CSUM_OFFSET) + 2;
    if let Some(field) = packet.head_mut().bytes_mut().get_mut(field) {
        field.copy_from_slice(&csum.to_be_bytes());
    }
    net.counters.tcp_segments_out += 1;
    // What cannot be sent now is as good as lost on the way: the timers send it again.
    if let Err(unsent) = ip::output_hinted(net, tx, now, packet, &header, hint) {
        unsent.forget(net);
    }
}

/// Room that one frame must have for any header of ours.
const _: () = assert!(HEADER_LEN_MAX < simoom_ring::FRAME_SIZE / 2);
