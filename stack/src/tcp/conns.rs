//! What each event means to a connection: the segment's steps, the application's calls, the
//! segments that follow.

use simoom_ring::{RxPacket, TxRing};

use super::app::{App, Closed, Conn, ConnId};
use super::bare::{self, Envelope};
use super::budget::Budget;
use super::deadline::Deadline;
use super::demux::Found;
use super::fast_open;
use super::flags::{SndFlags, TcbFlags};
use super::input::{Arrival, Outcome, Reset};
use super::output::{self, Sent, Tables};
use super::path::doubt_next_hop;
use super::rcv::Rcv;
use super::slots::Live;
use super::state::State;
use super::status::Status;
use super::tcb::Tcb;
use super::time_wait::Old;
use super::timers::timers;
use super::tuple::Tuple;
use super::{Cx, Tcp};
use crate::config::FIN_WAIT_2_MAX;
use crate::icmp::Cause;
use crate::iface::Surveyed;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::tcp::{Ctl, Options, Repr, Segment};

impl<'p, A: App> Tcp<'p, A> {
    /// A segment for connection `idx`.
    #[inline]
    pub(super) fn arrives<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        seg: Segment,
        options: &Options,
        pkt: RxPacket<'p>,
    ) {
        if seg.payload_len > 0 && self.gaps.cnt() > 0 && cx.net.budget().is_short() {
            self.shed(cx.net);
        }
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        self.gaps.segment_arrives(idx);
        let budget = cx.net.budget();
        let outcome = Arrival {
            tcb,
            bodies: &mut self.bodies,
            gaps: &mut self.gaps,
            flights: &mut self.flights,
            counters: &mut cx.net.counters,
            challenges: &mut self.challenges,
            budget,
            quick_acks: self.settings.quick_acks,
            now: cx.now,
            seg,
            options,
            outcome: Outcome::default(),
        }
        .segment_arrives(pkt);
        if let Some(reset) = outcome.reset
            && let Some(tuple) = self.conns.tuple(idx)
        {
            send_reset(cx.net, cx.tx, cx.now, tuple, reset);
        }
        self.after(cx, idx, outcome);
        self.gaps.forget_duplicate();
    }

    /// Frames are short: the connection that holds most out-of-order data loses it. It has not been
    /// acknowledged, and comes again (RFC 2018 8).
    #[cold]
    fn shed(&mut self, net: &mut Net<'p>) {
        let Some(tcb) = self.gaps.largest().and_then(|idx| self.conns.tcb(idx)) else {
            return;
        };
        net.counters.tcp_frames_shed += self.gaps.frames(tcb.rcv.gap) as u64;
        self.gaps.release(&mut tcb.rcv.gap);
        count_receiver(&mut net.receivers, &mut tcb.rcv);
    }

    /// Tells the application what an event has brought, and sends what follows from it.
    pub(super) fn after<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        outcome: Outcome,
    ) {
        if outcome.is_reset {
            let why = match outcome.is_refused {
                true => Closed::Refused,
                false => Closed::Reset,
            };
            return self.end(cx, idx, why);
        }
        if outcome.has_opened {
            self.opened_fast(idx, cx.now);
            self.note_opened(cx, idx);
        }
        if outcome.is_established {
            self.tell_established(cx, idx);
        }
        if outcome.has_room {
            self.tell_writable(cx, idx);
        }
        if outcome.has_received || outcome.has_room {
            self.offer(cx, idx);
        }
        if core::mem::take(&mut self.may_wait) && !outcome.is_ack_urgent {
            self.unsettled = idx;
        } else {
            self.settle(cx, idx);
        }
    }

    pub(super) fn tell_established<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        self.note_opened(cx, idx);
        let id = self.conns.id(idx);
        let Some(live) = self.conns.live(idx) else {
            return;
        };
        let mut conn = conn(
            &mut live.tcb,
            &mut self.bodies,
            &self.flights,
            cx.net,
            cx.now,
            id,
        );
        match &mut live.state {
            Some(state) => cx.app.connected(&mut conn, state),
            None if A::ACCEPTS_LATER => self.push_accept(idx),
            None => live.state = Some(cx.app.accepted(&mut conn)),
        }
    }

    /// True when the application was told: then it may take what it could not answer before.
    #[inline]
    pub(super) fn tell_writable<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) -> bool {
        let Some(tcb) = self.conns.tcb(idx) else {
            return false;
        };
        let has_room = self.bodies.has_room(&tcb.snd.queue, 1);
        has_room && tcb.flags.has(TcbFlags::WANTS_TO_SEND) && self.tell_room(cx, idx)
    }

    #[inline(never)]
    fn tell_room<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) -> bool {
        let Some((id, tcb, state)) = self.conns.accepted(idx) else {
            return false;
        };
        let may_tell =
            self.bodies.may_generate(&tcb.snd.queue, cx.net.budget()) && tcb.state().can_send();
        if may_tell {
            tcb.flags.clear(TcbFlags::WANTS_TO_SEND);
            let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
            cx.app.writable(&mut conn, state);
        }
        may_tell
    }

    /// Tells the application what the network says of a connection.
    #[cold]
    pub(super) fn tell_soft_error<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        cause: Cause,
    ) {
        if let Some((id, tcb, state)) = self.conns.accepted(idx) {
            let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
            cx.app.soft_error(&mut conn, state, cause);
            self.settle(cx, idx);
        }
    }

    /// Offers what was received for as long as the application takes it.
    pub(super) fn offer<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some((id, tcb, state)) = self.conns.accepted(idx) else {
            return;
        };
        // Each round takes bytes, or joins two frames of a finite queue.
        while let Some(mut frame) = tcb.rcv.pop_unread(cx.net.pool) {
            let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
            let taken = cx.app.received(&mut conn, state, frame.bytes());
            frame.pull(taken);
            if !frame.is_empty() {
                tcb.rcv.put_back(frame);
                if taken == 0 && !tcb.rcv.join_front(cx.net.pool) {
                    break;
                }
            }
            if tcb.flags.has(TcbFlags::ABORT_DUE) {
                return;
            }
        }
        if tcb.rcv.window_opened(cx.net.budget()) && tcb.state().can_receive() {
            tcb.flags.set(TcbFlags::ACK_DUE);
        }
        let has_ended = matches!(
            tcb.state(),
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        if has_ended && !tcb.flags.has(TcbFlags::FINISH_TOLD) && tcb.rcv.is_all_read() {
            tcb.flags.set(TcbFlags::FINISH_TOLD);
            let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
            cx.app.finished(&mut conn, state);
        }
    }

    /// Sends what may be sent, then puts the connection where its state belongs.
    pub(super) fn settle<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        if tcb.flags.has(TcbFlags::ABORT_DUE) {
            return self.abort(cx, idx);
        }
        if tcb.snd.flags.has(SndFlags::NARROWED) {
            self.narrowed.widen(tcb, cx.now);
        }
        if tcb.opening.is_due() {
            let (fast_opens, gaps) = (&self.fast_opens, &mut self.gaps);
            if !fast_open::send_syn_ack(tcb, fast_opens, gaps, cx.net, cx.tx, cx.now) {
                return self.conns.push_ready(idx);
            }
        }
        let mut tables = Tables {
            bodies: &self.bodies,
            gaps: &mut self.gaps,
            flights: &mut self.flights,
            template: &mut self.template,
            short_cuts: self.settings.short_cuts,
        };
        cx.net.judge_cuts(tcb.tuple, &tcb.snd, tcb.snd.una);
        let max = tcb.snd.max;
        let sent = output::output(tcb, &mut tables, cx.net, cx.tx, cx.now);
        cx.net.watch_cuts(tcb.tuple, &tcb.snd, max, cx.now);
        let has_moved = core::mem::take(&mut self.has_moved);
        let flight_at = tcb.set_timers(&mut self.flights, cx.now, has_moved);
        count_receiver(&mut cx.net.receivers, &mut tcb.rcv);
        tcb.invariants();
        match tcb.state() {
            State::Established => {}
            State::Closed => return self.closed_last(cx, idx),
            // The last acknowledgment must have gone out, and the last byte have been taken.
            State::TimeWait if sent == Sent::All && tcb.rcv.is_all_read() => {
                return self.enter_time_wait(cx, idx);
            }
            State::FinWait2 | State::TimeWait if tcb.rexmt_at == Deadline::NEVER => {
                tcb.rexmt_at = Deadline::after(cx.now, FIN_WAIT_2_MAX);
            }
            _ => {}
        }
        self.wheel.set(idx, tcb.next_deadline(flight_at));
        if sent == Sent::Blocked {
            self.conns.push_ready(idx);
        }
    }

    /// A connection that waited for space on the ring, or was acted on from outside of a call.
    pub(super) fn resume<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        self.image.forget_of(idx);
        if self.tell_writable(cx, idx) {
            self.offer(cx, idx);
        }
        self.settle(cx, idx);
    }

    /// The timer of connection `idx` has fired.
    pub(super) fn conn_timers<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        self.image.forget_of(idx);
        let (smss, retransmits) = (tcb.snd.smss, tcb.retransmits);
        let timed_out = timers(tcb, &mut self.flights, &mut cx.net.counters, cx.now);
        self.narrowed.remember(tcb, smss, cx.now);
        doubt_next_hop(tcb, retransmits, cx.net, cx.now);
        let is_left_over = matches!(tcb.state(), State::FinWait2 | State::TimeWait);
        if timed_out.is_given_up || (timed_out.is_retry && is_left_over) {
            return self.end(cx, idx, Closed::TimedOut);
        }
        if timed_out.is_retry {
            self.tell_writable(cx, idx);
            self.offer(cx, idx);
        }
        if timed_out.is_woken {
            if let Some((id, tcb, state)) = self.conns.accepted(idx) {
                let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
                cx.app.woken(&mut conn, state);
            }
            self.offer(cx, idx);
        }
        self.settle(cx, idx);
    }

    /// ABORT (RFC 9293 3.10.5): RST, and everything is forgotten.
    pub(super) fn abort<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if let Some(tcb) = self.conns.tcb(idx)
            && (tcb.state().is_synchronized() || tcb.state() == State::SynReceived)
        {
            // A probe may lie beyond a closed window, where an RST would not be accepted.
            let edge = tcb.snd.una + tcb.snd.wnd.0;
            let is_beyond = tcb.snd.nxt.after(edge);
            let reset = Reset {
                seq: if is_beyond { edge } else { tcb.snd.nxt },
                ack: Some(tcb.rcv.nxt),
                timestamps: tcb.ts.stamp(tcb.rcv.nxt, cx.now),
            };
            let tuple = tcb.tuple;
            send_reset(cx.net, cx.tx, cx.now, tuple, reset);
        }
        self.end(cx, idx, Closed::Aborted);
    }

    /// Our FIN was the last, and is acknowledged.
    pub(super) fn closed_last<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if self.may_be_replayed(idx, cx.now) {
            self.enter_time_wait(cx, idx);
        } else {
            self.end(cx, idx, Closed::Finished);
        }
    }

    pub(super) fn enter_time_wait<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let old = Old {
            snd_nxt: tcb.snd.nxt,
            rcv_nxt: tcb.rcv.nxt,
            ts_recent: tcb.ts.recent(),
        };
        let hash = self.demux.hash(tcb.tuple);
        self.end(cx, idx, Closed::Finished);
        let mut entry = self.time_waits.insert(hash, old, cx.now);
        if entry.is_none()
            && let Some(oldest) = self.time_waits.oldest()
        {
            cx.net.counters.tcp_time_wait_evicted += 1;
            self.forget_time_wait(oldest);
            entry = self.time_waits.insert(hash, old, cx.now);
        }
        if let Some(entry) = entry
            && !self.demux.insert(hash, Found::TimeWait(entry))
        {
            self.time_waits.remove(entry);
        }
    }

    /// The connection is over: its memory goes back, and the application hears of it.
    pub(super) fn end<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32, why: Closed) {
        let id = self.conns.id(idx);
        self.image.forget_of(idx);
        self.leave_accept_queue(idx);
        let Some(Live { tcb, state }) = self.conns.live(idx) else {
            return;
        };
        self.bodies.clear(&mut tcb.snd.queue);
        self.gaps.release(&mut tcb.rcv.gap);
        self.flights.end(&mut tcb.flight);
        tcb.rcv.forget_unread(cx.net.pool);
        count_receiver(&mut cx.net.receivers, &mut tcb.rcv);
        // Its timer stays where it is: the place is used again before it fires, or it finds nobody.
        self.demux
            .remove(self.demux.hash(tcb.tuple), Found::Conn(idx));
        let state = state.take();
        if tcb.opening.is_unacked() {
            self.failed_to_open_fast(idx, why, cx.now);
        }
        self.conns.remove(idx);
        if let Some(state) = state {
            cx.app.closed(id, state, why);
        }
    }

    /// The names of all connections.
    pub(crate) fn conn_ids(&self) -> impl Iterator<Item = ConnId> {
        self.conns.ids()
    }

    /// The connections in `cnt` places of the table from `first` on.
    pub(crate) fn survey(
        &self,
        budget: Budget<'p>,
        first: usize,
        cnt: usize,
    ) -> impl Iterator<Item = Surveyed<'_, A::Conn>> {
        let found = self.conns.live_from(first, cnt);
        found.map(move |(id, live)| Surveyed {
            id,
            tuple: live.tcb.tuple.full(),
            status: Status::of(&live.tcb, &self.flights, budget),
            state: live.state.as_ref(),
        })
    }

    /// Places of that table.
    pub(crate) fn conns_max(&self) -> usize {
        self.conns.len()
    }

    /// Does something with a connection from outside of a call; what it queues goes out at the
    /// next poll.
    pub(crate) fn with_conn<R>(
        &mut self,
        net: &Net<'p>,
        now: Instant,
        id: ConnId,
        act: impl FnOnce(&mut Conn<'_, 'p, A::Congestion>, Option<&mut A::Conn>) -> R,
    ) -> Option<R> {
        let idx = self.conns.named(id)?;
        self.image.forget_of(idx);
        let live = self.conns.live(idx)?;
        let mut conn = conn(&mut live.tcb, &mut self.bodies, &self.flights, net, now, id);
        let done = act(&mut conn, live.state.as_mut());
        self.conns.push_ready(idx);
        Some(done)
    }
}

/// Counts a connection that has come to hold received data, or does no more.
#[inline]
pub(super) fn count_receiver(receivers: &mut u32, rcv: &mut Rcv<'_>) {
    let is_receiver = !rcv.is_all_read() || rcv.gap.is_some();
    if is_receiver != rcv.is_receiver {
        rcv.is_receiver = is_receiver;
        *receivers = if is_receiver {
            receivers.saturating_add(1)
        } else {
            receivers.saturating_sub(1)
        };
    }
}

/// The application's view of a connection.
#[inline]
pub(super) fn conn<'a, 'p, C>(
    tcb: &'a mut Tcb<'p, C>,
    bodies: &'a mut super::bodies::Bodies<'p>,
    flights: &'a super::flight::Flights<'p>,
    net: &'a Net<'p>,
    now: Instant,
    id: ConnId,
) -> Conn<'a, 'p, C> {
    Conn {
        tcb,
        bodies,
        flights,
        net,
        id,
        now,
    }
}

/// Sends an RST.
pub(super) fn send_reset<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    tuple: Tuple,
    reset: Reset,
) {
    net.counters.tcp_resets_out += 1;
    let repr = Repr {
        src_port: tuple.local_port(),
        dst_port: tuple.remote_port(),
        seq: reset.seq,
        ack: reset.ack,
        ctl: Ctl::RST,
        wnd: super::seqnum::WireWnd(0),
        options: Options {
            timestamps: reset.timestamps,
            ..Options::default()
        },
    };
    bare::send(net, tx, now, Envelope::plain(tuple, &mut 0), &repr);
}
