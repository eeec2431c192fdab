//! The close of a connection where nothing is the matter: a FIN that comes next, and the
//! acknowledgment of ours.
//!
//! ```text
//!   they close first   ESTABLISHED ── FIN ──► CLOSE-WAIT ── ours ──► LAST-ACK ── ACK ──► gone
//!   we do              FIN-WAIT-1 ── ACK ──► FIN-WAIT-2 ── FIN ──► TIME-WAIT
//!                      FIN-WAIT-1 ── FIN with ACK ───────────────► TIME-WAIT
//! ```
//!
//! Everything of ours is acknowledged with it, nothing of theirs is missing. When our FIN is, too,
//! nothing will be sent any more: what is measured and learned of the path is of no use. How the
//! device cuts concerns others, too.

use simoom_ring::TxRing;

use super::{Headers, UNUSUAL};
use crate::config::FIN_WAIT_2_MAX;
use crate::tcp::app::App;
use crate::tcp::cc::Congestion;
use crate::tcp::conns::{conn, count_receiver};
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::flight::Flights;
use crate::tcp::output::Sent;
use crate::tcp::run;
use crate::tcp::slots::Live;
use crate::tcp::snd::Phase;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::tcp::{Cx, Tcp};
use crate::time::Instant;
use crate::wire::tcp::Ctl;

/// What of a close has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Their FIN, before ours.
    Theirs,
    /// The acknowledgment of our FIN, which is the last that is awaited.
    Last,
    /// The acknowledgment of our FIN, before theirs.
    AckOfOurs,
    /// Their FIN, and the acknowledgment of ours with it or before.
    Both,
}

impl Headers {
    /// What of a close has come, if the segment is what comes next, and nothing else is to be
    /// thought of.
    #[inline]
    pub(super) fn closes<'p, C: Congestion>(
        &self,
        tcb: &Tcb<'p, C>,
        flights: &Flights<'p>,
        now: Instant,
    ) -> Option<Close> {
        let Tcb { snd, rcv, .. } = tcb;
        let has_fin = self.ctl.has(Ctl::FIN);
        let close = match (tcb.state(), has_fin) {
            (State::Established, true) => Close::Theirs,
            (State::LastAck, false) => Close::Last,
            (State::FinWait1, false) => Close::AckOfOurs,
            (State::FinWait1 | State::FinWait2, true) => Close::Both,
            _ => return None,
        };
        let is_quiet = !tcb.flags.has(UNUSUAL)
            && !snd.flags.has(UNTIMELY)
            && snd.phase == Phase::Open
            && !tcb.opening.is_unacked()
            && !tcb.ecn.is_on()
            && !rcv.gap.is_some()
            && rcv.is_all_read();
        let is_next = self.is_plain_but_for_fin()
            && self.seq == rcv.nxt
            && self.payload_len == 0
            && self.ack == snd.max
            && snd.nxt == snd.max
            && self.wnd.0 != 0;
        let is_recent = match self.timestamps {
            Some(theirs) => tcb.ts.is_on() && !tcb.ts.is_old(theirs, now),
            None => !tcb.ts.is_on(),
        };
        // In FIN-WAIT-2 it is done with already.
        let has_closed = match close {
            Close::Theirs => snd.wnd.0 != 0 && !snd.has_fin(),
            _ => snd.is_fin_acked_by(self.ack) || tcb.state() == State::FinWait2,
        };
        let is_good_ack = self.ack == snd.una
            || close == Close::Last
            || tcb.is_sack_permitted()
                && flights
                    .get(tcb.flight)
                    .is_some_and(|(flight, _)| flight.is_untroubled());
        (is_quiet && is_next && is_recent && has_closed && is_good_ack).then_some(close)
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// The fifth and eighth step of SEGMENT ARRIVES, as far as there is anything left of them.
    pub(super) fn arrives_closing<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        close: Close,
        headers: &Headers,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        tcb.keep.heard(cx.now);
        // Whatever it closes, all that was sent has arrived: a watched flight, too.
        cx.net.judge_cuts(tcb.tuple, &tcb.snd, headers.ack);
        if let Some(theirs) = headers.timestamps {
            tcb.ts.update(theirs, headers.seq, cx.now);
        }
        match close {
            Close::Theirs => self.their_fin_arrives(cx, idx, headers),
            Close::Last => {
                tcb.transition(Event::AckOfFin);
                self.closed_last(cx, idx);
            }
            Close::AckOfOurs => {
                tcb.snd.window_told(headers.seq, headers.wnd);
                self.ack_of_fin_arrives(idx);
                self.wait_for_fin(cx, idx);
            }
            Close::Both => {
                if tcb.state() == State::FinWait1 {
                    self.ack_of_fin_arrives(idx);
                }
                self.last_fin_arrives(cx, idx);
            }
        }
    }

    /// Their FIN, in ESTABLISHED: the application may have something to say yet.
    fn their_fin_arrives<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        self.has_moved = headers.ack != tcb.snd.una;
        if self.has_moved
            && let Some(flight) = self.flights.get_mut(tcb.flight)
        {
            let ack = (headers.ack, headers.timestamps);
            tcb.acked_plainly(&mut self.bodies, flight, ack, cx.now);
        }
        tcb.snd.window_told(headers.seq, headers.wnd);
        let may_send = self.has_moved && tcb.flags.has(TcbFlags::WANTS_TO_SEND);
        tcb.fin_arrives();
        if may_send {
            self.tell_writable(cx, idx);
        }
        self.tell_finished(cx, idx);
        if !self.has_said_last(cx, idx) {
            self.settle(cx, idx);
        }
        self.has_moved = false;
    }

    /// As [`settle`](Self::settle), for a connection that has nothing left to send but its FIN, as
    /// nearly all when the far side has closed. False, with nothing changed, for any other.
    #[inline]
    fn has_said_last<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) -> bool {
        let Some(tcb) = self.conns.tcb(idx) else {
            return true;
        };
        let is_last = tcb.is_last_fin()
            && tcb.snd.una == tcb.snd.max
            && !tcb.flags.has(UNUSUAL)
            && !tcb.snd.flags.has(UNTIMELY.with(SndFlags::NARROWED));
        let template = &mut self.template;
        if !is_last || run::send_fin(tcb, template, cx.net, cx.tx, cx.now) != Some(Sent::All) {
            return false;
        }
        self.flights.end(&mut tcb.flight);
        tcb.set_rexmt(cx.now, true);
        count_receiver(&mut cx.net.receivers, &mut tcb.rcv);
        tcb.invariants();
        self.wheel.set(idx, tcb.next_deadline(Deadline::NEVER));
        true
    }

    /// Our FIN is acknowledged, and all before it: nothing is queued or in flight any more.
    fn ack_of_fin_arrives(&mut self, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let una = tcb.snd.una;
        self.bodies.clear(&mut tcb.snd.queue);
        self.flights.end(&mut tcb.flight);
        tcb.snd.flags.clear(SndFlags::HAS_FIN);
        tcb.totals.una_moved(una, tcb.snd.max, tcb.iss);
        tcb.snd.una = tcb.snd.max;
        tcb.snd.dupacks = 0;
        tcb.retransmits = 0;
        tcb.rexmt_at = Deadline::NEVER;
        tcb.transition(Event::AckOfFin);
    }

    /// FIN-WAIT-2 begins.
    fn wait_for_fin<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        self.after_offer(cx, idx);
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        if tcb.flags.has(TcbFlags::ACK_DUE) {
            return self.settle(cx, idx);
        }
        tcb.rexmt_at = Deadline::after(cx.now, FIN_WAIT_2_MAX);
        tcb.invariants();
        self.wheel.set(idx, tcb.next_deadline(Deadline::NEVER));
    }

    /// Their FIN, when ours is acknowledged: the last acknowledgment goes out, and all that is left
    /// is TIME-WAIT.
    fn last_fin_arrives<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        tcb.fin_arrives();
        self.tell_finished(cx, idx);
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let is_over = !tcb.flags.has(TcbFlags::ABORT_DUE)
            && run::send_ack(tcb, &mut self.template, cx.net, cx.tx, cx.now) == Some(Sent::All);
        if is_over {
            self.enter_time_wait(cx, idx);
        } else {
            self.settle(cx, idx);
        }
    }

    /// All of their bytes have been taken, and no more will come.
    fn tell_finished<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let id = self.conns.id(idx);
        if let Some(Live {
            tcb,
            state: Some(state),
        }) = self.conns.live(idx)
        {
            tcb.flags.set(TcbFlags::FINISH_TOLD);
            let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
            cx.app.finished(&mut conn, state);
        }
    }
}

impl<C: Congestion> Tcb<'_, C> {
    /// RFC 9293 3.10.7.4, eighth: a FIN that is next.
    #[inline]
    fn fin_arrives(&mut self) {
        let nxt = self.rcv.nxt;
        self.rcv.nxt += 1;
        self.totals.nxt_moved(nxt, self.rcv.nxt, self.irs);
        self.flags.set(TcbFlags::ACK_DUE);
        self.transition(Event::FinArrives);
    }
}

/// What would have to be looked at of the send side.
const UNTIMELY: SndFlags = SndFlags::REXMT_DUE.with(SndFlags::PROBE_DUE);
