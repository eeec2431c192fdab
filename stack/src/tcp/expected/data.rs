//! Data that comes next: shown to the application in the frame that it came in, acknowledged now
//! or later.
//!
//! ```text
//!   segment ─► RCV.NXT moves ─► the application ─► something to send?   yes: Tcp::settle
//!                                                  no: an acknowledgment, if one is due now,
//!                                                      or a time for it
//! ```

use simoom_ring::{Frame, TxRing};

use super::Headers;
use crate::tcp::app::App;
use crate::tcp::cc::Congestion;
use crate::tcp::conns::conn;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::input::Text;
use crate::tcp::output::Sent;
use crate::tcp::run;
use crate::tcp::slots::{Live, NONE};
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::tcp::{Cx, Tcp};
use crate::wire::tcp::Ctl;

impl<'p, A: App> Tcp<'p, A> {
    /// The seventh step of SEGMENT ARRIVES, as far as there is anything left of it.
    #[inline(always)]
    pub(super) fn data_arrives<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
        frame: Frame<'p>,
        may_send: bool,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        // No more than a frame holds.
        let payload_len = headers.payload_len as u32;
        tcb.measure(Text {
            len: payload_len,
            gso_size: 0,
            is_pushed: headers.ctl.has(Ctl::PSH),
            timestamps: headers.timestamps,
            quick_acks: self.settings.quick_acks,
            budget: cx.net.budget(),
            now: cx.now,
        });
        let nxt = tcb.rcv.nxt;
        tcb.rcv.nxt += payload_len;
        tcb.totals.nxt_moved(nxt, tcb.rcv.nxt, tcb.irs);
        let is_ack_urgent = tcb.acknowledge_later(cx.now);
        if may_send {
            self.tell_writable(cx, idx);
        }
        self.hand_over(cx, idx, headers, frame);
        if is_ack_urgent {
            self.settle_last(cx);
        }
    }

    /// Shows what came in to the application, in the frame that it came in.
    #[inline(always)]
    fn hand_over<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
        mut frame: Frame<'p>,
    ) {
        let id = self.conns.id(idx);
        let Some(Live {
            tcb,
            state: Some(state),
        }) = self.conns.live(idx)
        else {
            return;
        };
        frame.trim(headers.len + headers.payload_len);
        frame.pull(headers.len);
        let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
        let taken = cx.app.received(&mut conn, state, frame.bytes());
        if taken >= frame.len() {
            drop(frame);
        } else {
            frame.pull(taken);
            tcb.rcv.put_back(frame);
            if taken > 0 {
                // It is offered again, for as long as some of it is taken.
                return self.offer(cx, idx);
            }
        }
        // Where an acknowledgment is due, it says the window anyway.
        if !tcb.flags.has(TcbFlags::ACK_DUE) {
            self.after_offer(cx, idx);
        }
    }

    /// As [`settle`](Self::settle), for a connection that has nothing to send but an
    /// acknowledgment. False, with nothing changed, for any other.
    #[inline]
    pub(super) fn settle_quietly<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
    ) -> bool {
        let Some(tcb) = self.conns.tcb(idx) else {
            return true;
        };
        if !is_quiet(tcb) {
            return false;
        }
        let is_due = tcb.flags.has(TcbFlags::ACK_DUE);
        if is_due && run::send_ack(tcb, cx.net, cx.tx, cx.now) != Some(Sent::All) {
            return false;
        }
        tcb.invariants();
        if let Some(tick) = tcb.next_deadline().tick() {
            self.wheel.set_tick(idx, tick);
        }
        true
    }
}

/// Whether nothing is queued, in flight or unread, and nothing of what is rare is the matter.
#[inline]
fn is_quiet<C: Congestion>(tcb: &Tcb<'_, C>) -> bool {
    let Tcb { snd, rcv, .. } = tcb;
    tcb.state() == State::Established
        && snd.queue.is_empty()
        && snd.una == snd.max
        && snd.nxt == snd.max
        && tcb.flight == NONE
        && tcb.rexmt_at == Deadline::NEVER
        && !tcb.opening.is_unacked()
        && !tcb.ecn.is_on()
        && !tcb.flags.has(UNUSUAL)
        && !snd.flags.has(SND_UNUSUAL)
        && !rcv.gap.is_some()
        && rcv.is_all_read()
        && !rcv.is_receiver
}

/// What `settle` would have to look at.
const UNUSUAL: TcbFlags = TcbFlags::ABORT_DUE
    .with(TcbFlags::WANTS_TO_SEND)
    .with(TcbFlags::KEEP_ALIVE_DUE);
const SND_UNUSUAL: SndFlags = SndFlags::HAS_FIN
    .with(SndFlags::REXMT_DUE)
    .with(SndFlags::PROBE_DUE)
    .with(SndFlags::NARROWED);
