//! A run of segments: what nearly all sending is, with what its segments share made once.
//!
//! ```text
//!   template │ Ethernet │ IPv4 │ TCP │ timestamps │      made once, kept for the next run
//!   said                        ACK, WND, times           once a run
//!   patched               len, ident, checksum        for each segment
//!                                seq, PSH, checksum
//! ```
//!
//! New data of an established connection, nothing lost, nothing asked, nothing marked, to a
//! neighbor that is known: everything else is left to `output`'s own loop, which is the reference.
//! What goes on the wire is the same bytes, by either way.

mod answer;
mod row;
mod template;

use simoom_ring::{Frame, TxRing};

use super::bodies::{Bodies, Content, Place};
use super::cc::Congestion;
use super::deadline::Deadline;
use super::flags::{SndFlags, TcbFlags};
use super::flight::Flights;
use super::output::{Sent, Tables};
use super::seqnum::SeqNum;
use super::snd::{NextData, Phase, Snd};
use super::state::State;
use super::tcb::Tcb;
use crate::counters::DropReason;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::tcp::Ctl;

pub(super) use self::answer::send_answer;
use self::row::Row;
use self::template::Said;
pub(crate) use self::template::Template;
pub(super) use self::template::part;

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
    let mut room = Room::of(&tcb.snd, cwnd)?;
    let sent = match room.next(&tcb.snd) {
        Some(next) => send_data(tcb, tables, net, tx, now, next, &mut room)?,
        None if tcb.flags.has(TcbFlags::ACK_DUE) => send_ack(tcb, tables.template, net, tx, now)?,
        None => Sent::All,
    };
    if sent == Sent::All {
        room.note_limit(tcb, cwnd);
    }
    Some(sent)
}

/// Sends full segments in a row, if the windows have opened for any, of a quiet connection of which
/// something was acknowledged, and more is in flight, or nothing is queued. True if that was all
/// that may be sent now.
#[inline]
pub(super) fn send_row<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> bool {
    let Some((flight, nodes)) = tables.flights.get_mut(tcb.flight) else {
        return false;
    };
    let cwnd = tcb.usable_cwnd();
    let is_plain = tcb.snd.nxt == tcb.snd.max && flight.is_all_in_pipe() && !flight.probe.is_due;
    let Some(mut room) = Room::of(&tcb.snd, cwnd).filter(|_| is_plain) else {
        return false;
    };
    let (template, nxt) = (&mut *tables.template, tcb.snd.nxt);
    let in_flight = nxt.bytes_since(tcb.snd.una) as usize;
    let place = tables.bodies.place(&tcb.snd.queue, in_flight);
    let content = tables.bodies.content_at(&place);
    let row = content.and_then(|content| room.row(tcb.snd.smss, nxt, content));
    if let Some(row) = row {
        // Longer packets are the device's to cut, and copies have no room to share.
        let can = net.super_len == 0
            && net.caps.fragments_max > 1
            && template.is_for(tcb, net)
            && tx.space() > 0;
        let len = Template::len_of(tcb);
        let head = net.pool.alloc_window(net.caps.headroom.into(), len);
        let Some(head) = head.filter(|_| can) else {
            return false;
        };
        let said = template.say(tcb, net, now);
        let taken = template.send_row(&said, net, tx, head, &row);
        room.take(taken);
        tcb.snd.nxt += taken;
        tcb.snd.max = tcb.snd.nxt;
        tcb.acknowledged();
        tcb.snd.sent_ms = now.wrapping_millis();
        flight.sent_plainly(nodes, tcb.snd.max, now, tcb.rtt.srtt());
    }
    let is_all = !tcb.flags.has(TcbFlags::ACK_DUE) && room.next(&tcb.snd).is_none();
    if is_all {
        room.note_limit(tcb, cwnd);
    }
    is_all
}

/// Whether all that can be due is new data or an acknowledgment.
#[inline]
fn is_plain<C: Congestion>(tcb: &Tcb<'_, C>, tables: &Tables<'_, '_>) -> bool {
    let can = tcb.state().is_synchronized()
        && !matches!(tcb.state(), State::TimeWait)
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
        None => {
            let left = TcbFlags::PROBE_OPEN.with(TcbFlags::PROBE_UNMEASURED);
            tcb.snd.una == tcb.snd.max && !tcb.flags.has(left)
        }
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
    /// That of a connection of which nothing is SACKED, lost or told by duplicates: all that is in
    /// flight is in the pipe.
    #[inline(always)]
    fn of(snd: &Snd, cwnd: u32) -> Option<Self> {
        let in_flight = snd.max.bytes_since(snd.una);
        Some(Self {
            quota: cwnd.saturating_sub(in_flight),
            window: snd.wnd.0.saturating_sub(in_flight),
            unsent: snd.queue.len().checked_sub(in_flight.into())?,
        })
    }

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
        let usable = self.quota.min(self.window);
        // Silly window: neither a full segment, nor all there is, nor half the window.
        let is_silly = u64::from(usable) < self.unsent && usable < snd.wnd_max.0 / 2;
        if is_silly || self.unsent == 0 && !snd.has_fin() {
            return None;
        }
        snd.next_of(self.unsent, usable)
    }

    /// Where full segments come next, and the last that there is not among them: as many as are in
    /// `content`, which begins at `seq`.
    #[inline(always)]
    fn row(&self, smss: u16, seq: SeqNum, content: Content) -> Option<Row> {
        let usable = u64::from(self.quota.min(self.window)).min(self.unsent.saturating_sub(1));
        let usable = usize::try_from(usable).unwrap_or(usize::MAX);
        Row::within(content, usable, smss.into(), seq)
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

/// Sends data, beginning with `next`, as far as windows, ring and frames go, and the FIN behind it;
/// in a super-segment that is not plain.
fn send_data<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    mut next: NextData,
    room: &mut Room,
) -> Option<Sent> {
    let template = &mut *tables.template;
    template.find(tcb, net)?;
    let has_flight = tcb.flight != super::idx::NONE;
    let has_memory = has_flight && tcb.snd.una != tcb.snd.max || tables.flights.has_free();
    if !has_memory {
        return None;
    }
    let first = next.seq;
    let offset = first.bytes_since(tcb.snd.una) as usize;
    let mut place = tables.bodies.place(&tcb.snd.queue, offset);
    if net.super_len > 0 {
        next = tcb.snd.grown(next, room.quota, net.super_len);
        if next.fin && next.len > tcb.snd.smss.into() {
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
    let said = template.say(tcb, net, now);
    let mut first_len = 0;
    let sent = loop {
        let source = (tables.bodies, &mut place);
        let (taken, one) = send_next((template, &said), net, tx, head, (next, room), source);
        let fin = next.fin && taken == next.len;
        if first_len == 0 {
            first_len = one + u32::from(fin);
        }
        tcb.snd.nxt += taken + u32::from(fin);
        room.take(taken);
        if fin {
            break Some(Sent::All);
        }
        match room.next(&tcb.snd) {
            Some(following) => next = following,
            None => break Some(Sent::All),
        }
        if net.super_len > 0 {
            tcb.snd.max = tcb.snd.nxt;
            next = tcb.snd.grown(next, room.quota, net.super_len);
        }
        if next.fin && next.len > tcb.snd.smss.into() {
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

/// Sends full segments in a row where there are any, else the one that `next` says: bytes in all,
/// and in the first of them.
#[inline(always)]
fn send_next<'p>(
    (template, said): (&Template, &Said),
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    head: Frame<'p>,
    (next, room): (NextData, &Room),
    (bodies, place): (&Bodies<'p>, &mut Place),
) -> (u32, u32) {
    // Longer packets are the device's to cut, and copies have no room to share.
    let can = net.caps.fragments_max > 1 && net.super_len == 0;
    let content = bodies.content_at(place).filter(|_| can);
    let row = content.and_then(|content| room.row(said.smss, next.seq, content));
    if let Some(row) = row {
        let taken = template.send_row(said, net, tx, head, &row);
        place.skip(taken);
        return (taken, said.smss.into());
    }
    let taken = template.send(said, net, tx, head, next, (bodies, place));
    (taken, taken)
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
    let end = tcb.snd.max;
    let mut start = first;
    if tcb.snd.una == first {
        // RFC 6298 5.1: what ran while nothing was in flight was not for what is sent now.
        tcb.rexmt_at = Deadline::NEVER;
        if tcb.is_last_fin() {
            return flights.end(&mut tcb.flight);
        }
        start = begin_flight(tcb, flights, net, now, first + first_len);
    }
    if start != end
        && let Some((flight, nodes)) = flights.get_mut(tcb.flight)
    {
        flight.sent_plainly(nodes, end, now, tcb.rtt.srtt());
    }
}

/// Nothing was in flight: the first segment, which ends at `end`, is marked by itself, since a
/// measurement is taken when it is acknowledged.
fn begin_flight<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    flights: &mut Flights<'p>,
    net: &mut Net<'p>,
    now: Instant,
    end: SeqNum,
) -> SeqNum {
    match flights.get_mut(tcb.flight) {
        Some((flight, nodes)) => flight.sent_plainly(nodes, end, now, tcb.rtt.srtt()),
        None => match flights.begin(tcb.snd.una, end, now) {
            Some(flight) => tcb.flight = flight,
            None => net.counters.tcp_flights_full += 1,
        },
    }
    end
}

/// An acknowledgment that found nothing to ride on.
#[inline]
pub(super) fn send_ack<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    template: &mut Template,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> Option<Sent> {
    send_empty(tcb, template, net, tx, now, Ctl::default())
}

/// A FIN behind nothing, for the first time, with nothing in flight.
#[inline]
pub(super) fn send_fin<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    template: &mut Template,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> Option<Sent> {
    let sent = send_empty(tcb, template, net, tx, now, Ctl::FIN)?;
    if sent == Sent::All {
        tcb.snd.nxt += 1;
        tcb.snd.max = tcb.snd.nxt;
        tcb.snd.sent_ms = now.wrapping_millis();
    }
    Some(sent)
}

fn send_empty<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    template: &mut Template,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ctl: Ctl,
) -> Option<Sent> {
    template.find(tcb, net)?;
    if tx.space() == 0 {
        return Some(Sent::Blocked);
    }
    let Some(head) = alloc_headers(net, Template::len_of(tcb)) else {
        return Some(Sent::Blocked);
    };
    let said = template.say(tcb, net, now);
    let seq = tcb.snd.ack_seq();
    template.send_empty(&said, net, tx, head, (seq, ctl));
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
