//! The table of connections, and what each event means to one: the segment's steps, the
//! application's calls, the segments that follow.

use managed::ManagedSlice;
use simoom_ring::{RxPacket, TxRing};

use super::app::{App, Closed, Conn, ConnId};
use super::demux::Found;
use super::input::{Arrival, Outcome, Reset};
use super::output::{self, Sent};
use super::state::State;
use super::tcb::Tcb;
use super::time_wait::Old;
use super::timers::timers;
use super::{Cx, Tcp};
use crate::addr::FourTuple;
use crate::config::FIN_WAIT_2_MAX;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::tcp::{Ctl, Repr, Segment, SynOptions};

/// The memory of one connection.
pub struct ConnSlot<'p, A: App> {
    live: Option<Live<'p, A>>,
    generation: u32,
    /// Next free slot, or next in the accept queue.
    next: u32,
    next_ready: u32,
    is_ready: bool,
}

impl<A: App> Default for ConnSlot<'_, A> {
    fn default() -> Self {
        Self {
            live: None,
            generation: 0,
            next: NONE,
            next_ready: NONE,
            is_ready: false,
        }
    }
}

pub(super) struct Live<'p, A: App> {
    tcb: Tcb<'p, A::Congestion>,
    /// `None` until the application has accepted the connection.
    state: Option<A::Conn>,
}

/// All connections.
pub(crate) struct Conns<'p, A: App> {
    slots: ManagedSlice<'p, ConnSlot<'p, A>>,
    free_first: u32,
    cnt: usize,
    ready_first: u32,
    ready_last: u32,
}

impl<'p, A: App> Conns<'p, A> {
    pub(crate) fn new(mut slots: ManagedSlice<'p, ConnSlot<'p, A>>) -> Self {
        let len = slots.len().min(super::demux::INDEX_MAX) as u32;
        for (idx, slot) in (0..len).zip(slots.iter_mut()) {
            slot.next = if idx + 1 < len { idx + 1 } else { NONE };
        }
        let free_first = if len == 0 { NONE } else { 0 };
        Self {
            slots,
            free_first,
            cnt: 0,
            ready_first: NONE,
            ready_last: NONE,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn cnt(&self) -> usize {
        self.cnt
    }

    #[inline]
    pub(crate) fn tuple(&self, idx: u32) -> Option<&FourTuple> {
        Some(&self.slots.get(idx as usize)?.live.as_ref()?.tcb.tuple)
    }

    pub(crate) fn has_free(&self) -> bool {
        self.free_first != NONE
    }

    pub(crate) fn insert(
        &mut self,
        tcb: Tcb<'p, A::Congestion>,
        state: Option<A::Conn>,
    ) -> Option<u32> {
        let idx = self.free_first;
        let slot = self.slots.get_mut(idx as usize)?;
        self.free_first = slot.next;
        slot.next = NONE;
        slot.live = Some(Live { tcb, state });
        self.cnt += 1;
        Some(idx)
    }

    /// Takes a connection out; its name stands for nothing any more.
    pub(super) fn remove(&mut self, idx: u32) -> Option<Live<'p, A>> {
        let slot = self.slots.get_mut(idx as usize)?;
        let live = slot.live.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.free_first;
        self.free_first = idx;
        self.cnt -= 1;
        Some(live)
    }

    pub(crate) fn id(&self, idx: u32) -> ConnId {
        let generation = self
            .slots
            .get(idx as usize)
            .map_or(0, |slot| slot.generation);
        ConnId { idx, generation }
    }

    /// The slot that a name stands for, while it does.
    pub(crate) fn named(&self, id: ConnId) -> Option<u32> {
        let slot = self.slots.get(id.idx as usize)?;
        (slot.generation == id.generation && slot.live.is_some()).then_some(id.idx)
    }

    #[inline]
    fn live(&mut self, idx: u32) -> Option<&mut Live<'p, A>> {
        self.slots.get_mut(idx as usize)?.live.as_mut()
    }

    #[inline]
    pub(crate) fn tcb(&mut self, idx: u32) -> Option<&mut Tcb<'p, A::Congestion>> {
        self.live(idx).map(|live| &mut live.tcb)
    }

    pub(crate) fn app_state(&mut self, idx: u32) -> Option<&mut A::Conn> {
        self.live(idx)?.state.as_mut()
    }

    pub(crate) fn set_app_state(&mut self, idx: u32, state: A::Conn) {
        if let Some(live) = self.live(idx) {
            live.state = Some(state);
        }
    }

    pub(crate) fn next(&self, idx: u32) -> u32 {
        self.slots.get(idx as usize).map_or(NONE, |slot| slot.next)
    }

    pub(crate) fn set_next(&mut self, idx: u32, next: u32) {
        if let Some(slot) = self.slots.get_mut(idx as usize) {
            slot.next = next;
        }
    }

    /// Puts a connection on the list of those that have something to send.
    pub(crate) fn push_ready(&mut self, idx: u32) {
        let Some(slot) = self.slots.get_mut(idx as usize) else {
            return;
        };
        if slot.is_ready {
            return;
        }
        slot.is_ready = true;
        slot.next_ready = NONE;
        match self.slots.get_mut(self.ready_last as usize) {
            Some(last) => last.next_ready = idx,
            None => self.ready_first = idx,
        }
        self.ready_last = idx;
    }

    pub(crate) fn pop_ready(&mut self) -> Option<u32> {
        let idx = self.ready_first;
        let slot = self.slots.get_mut(idx as usize)?;
        slot.is_ready = false;
        self.ready_first = slot.next_ready;
        if self.ready_first == NONE {
            self.ready_last = NONE;
        }
        Some(idx)
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.ready_first != NONE
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// A segment for connection `idx`.
    #[inline]
    pub(super) fn arrives<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        seg: Segment,
        options: SynOptions,
        pkt: RxPacket<'p>,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let pool = cx.net.pool;
        let outcome = Arrival {
            tcb,
            bodies: &mut self.bodies,
            counters: &mut cx.net.counters,
            pool,
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
    }

    /// Tells the application what an event has brought, and sends what follows from it.
    pub(super) fn after<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        outcome: Outcome,
    ) {
        if outcome.is_reset {
            let why = if outcome.is_refused {
                Closed::Refused
            } else {
                Closed::Reset
            };
            return self.end(cx, idx, why);
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
        self.settle(cx, idx);
    }

    fn tell_established<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let id = self.conns.id(idx);
        let Some(live) = self.conns.live(idx) else {
            return;
        };
        let mut conn = conn(&mut live.tcb, &mut self.bodies, cx.net, cx.now, id);
        match &mut live.state {
            Some(state) => cx.app.connected(&mut conn, state),
            None if A::ACCEPTS_LATER => self.push_accept(idx),
            None => live.state = Some(cx.app.accepted(&mut conn)),
        }
    }

    fn tell_writable<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let id = self.conns.id(idx);
        let Some(Live {
            tcb,
            state: Some(state),
        }) = self.conns.live(idx)
        else {
            return;
        };
        let has_room = tcb.snd.queue.has_room() && self.bodies.levels().0 > 0;
        if tcb.wants_to_send && has_room && cx.net.pool.free_cnt() > 0 && tcb.state().can_send() {
            tcb.wants_to_send = false;
            let mut conn = conn(tcb, &mut self.bodies, cx.net, cx.now, id);
            cx.app.writable(&mut conn, state);
        }
    }

    /// Offers what was received for as long as the application takes it.
    pub(super) fn offer<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let id = self.conns.id(idx);
        let Some(Live {
            tcb,
            state: Some(state),
        }) = self.conns.live(idx)
        else {
            return;
        };
        // Each round takes bytes, or joins two frames of a finite queue.
        while let Some(mut frame) = tcb.rcv.queue.pop_front() {
            let mut conn = conn(tcb, &mut self.bodies, cx.net, cx.now, id);
            let taken = cx.app.received(&mut conn, state, frame.bytes());
            frame.pull(taken);
            if !frame.is_empty() {
                tcb.rcv.queue.push_front(frame, 0);
                if taken == 0 && !tcb.rcv.join_front() {
                    break;
                }
            }
            if tcb.is_abort_due {
                return;
            }
        }
        if tcb.rcv.window_opened(cx.net.pool) && tcb.state().can_receive() {
            tcb.is_ack_due = true;
        }
        let has_ended = matches!(
            tcb.state(),
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        if has_ended && !tcb.is_finish_told && tcb.rcv.queue.is_empty() {
            tcb.is_finish_told = true;
            let mut conn = conn(tcb, &mut self.bodies, cx.net, cx.now, id);
            cx.app.finished(&mut conn, state);
        }
    }

    /// Sends what may be sent, then puts the connection where its state belongs.
    pub(super) fn settle<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        if tcb.is_abort_due {
            return self.abort(cx, idx);
        }
        let sent = output::output(tcb, &self.bodies, cx.net, cx.tx, cx.now);
        tcb.set_rexmt(cx.now, false);
        tcb.set_retry(cx.now);
        tcb.invariants();
        match tcb.state() {
            State::Closed => return self.end(cx, idx, Closed::Finished),
            // The last acknowledgment must have gone out, and the last byte have been taken.
            State::TimeWait if sent == Sent::All && tcb.rcv.queue.is_empty() => {
                return self.enter_time_wait(cx, idx);
            }
            State::FinWait2 | State::TimeWait if tcb.app_at == Instant::NEVER => {
                tcb.app_at = cx.now + FIN_WAIT_2_MAX;
            }
            _ => {}
        }
        let deadline = tcb.next_deadline();
        if deadline != Instant::NEVER {
            self.wheel.set(idx, deadline);
        }
        if sent == Sent::Blocked {
            self.conns.push_ready(idx);
        }
    }

    /// A connection that waited for space on the ring, or was acted on from outside of a call.
    pub(super) fn resume<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        self.tell_writable(cx, idx);
        self.settle(cx, idx);
    }

    /// The timer of connection `idx` has fired.
    pub(super) fn conn_timers<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let timed_out = timers(tcb, &mut cx.net.counters, cx.now);
        let is_left_over = matches!(tcb.state(), State::FinWait2 | State::TimeWait);
        if timed_out.is_given_up || (timed_out.is_woken && is_left_over) {
            return self.end(cx, idx, Closed::TimedOut);
        }
        if timed_out.is_retry {
            self.tell_writable(cx, idx);
            self.offer(cx, idx);
        }
        if timed_out.is_woken {
            let id = self.conns.id(idx);
            if let Some(Live {
                tcb,
                state: Some(state),
            }) = self.conns.live(idx)
            {
                let mut conn = conn(tcb, &mut self.bodies, cx.net, cx.now, id);
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
            };
            let tuple = tcb.tuple;
            send_reset(cx.net, cx.tx, cx.now, &tuple, reset);
        }
        self.end(cx, idx, Closed::Aborted);
    }

    fn enter_time_wait<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let old = Old {
            snd_nxt: tcb.snd.nxt,
            rcv_nxt: tcb.rcv.nxt,
        };
        let tuple = tcb.tuple;
        self.end(cx, idx, Closed::Finished);
        let hash = self.demux.hash(&tuple);
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
        self.leave_accept_queue(idx);
        let Some(mut live) = self.conns.remove(idx) else {
            return;
        };
        self.bodies.clear(&mut live.tcb.snd.queue);
        self.wheel.stop(idx);
        self.demux
            .remove(self.demux.hash(&live.tcb.tuple), Found::Conn(idx));
        if let Some(state) = live.state {
            cx.app.closed(id, state, why);
        }
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
        let live = self.conns.live(idx)?;
        let mut conn = conn(&mut live.tcb, &mut self.bodies, net, now, id);
        let done = act(&mut conn, live.state.as_mut());
        self.conns.push_ready(idx);
        Some(done)
    }
}

/// The application's view of a connection.
#[inline]
fn conn<'a, 'p, C>(
    tcb: &'a mut Tcb<'p, C>,
    bodies: &'a mut super::bodies::Bodies<'p>,
    net: &Net<'p>,
    now: Instant,
    id: ConnId,
) -> Conn<'a, 'p, C> {
    Conn {
        tcb,
        bodies,
        pool: net.pool,
        headroom: net.headroom(),
        id,
        now,
    }
}

/// Sends an RST.
pub(super) fn send_reset<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    tuple: &FourTuple,
    reset: Reset,
) {
    net.counters.tcp_resets_out += 1;
    let repr = Repr {
        src_port: tuple.local.port,
        dst_port: tuple.remote.port,
        seq: reset.seq,
        ack: reset.ack,
        ctl: Ctl::RST,
        wnd: super::seqnum::WireWnd(0),
        options: SynOptions::default(),
    };
    output::send_bare(net, tx, now, tuple, &repr);
}

pub(super) const NONE: u32 = u32::MAX;
