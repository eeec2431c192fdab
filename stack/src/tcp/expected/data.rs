//! Data that comes next: shown to the application in the frame that it came in, acknowledged now
//! or later.
//!
//! ```text
//!   segment ─► RCV.NXT moves ─► the application ─► something to send?   yes: Tcp::settle
//!                                                  no: an acknowledgment, if one is due now,
//!                                                      or a time for it
//! ```

use simoom_ring::{Frame, RxPacket, TxRing};

use super::headers::LEN_MAX;
use super::image::Next;
use super::{Headers, fits, is_quiet};
use crate::tcp::app::App;
use crate::tcp::cc::Congestion;
use crate::tcp::conns::conn;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::idx::NONE;
use crate::tcp::input::Text;
use crate::tcp::output::Sent;
use crate::tcp::run;
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
        let is_ack_urgent = tcb.data_came(Text {
            // No more than a frame holds.
            len: headers.payload_len as u32,
            gso_size: 0,
            is_pushed: headers.ctl.has(Ctl::PSH),
            timestamps: headers.timestamps,
            quick_acks: self.settings.quick_acks,
            budget: cx.net.budget(),
            now: cx.now,
        });
        if may_send {
            self.tell_writable(cx, idx);
        }
        self.hand_over(cx, idx, headers, frame);
        if is_ack_urgent {
            self.settle_last(cx);
        }
    }

    /// The same from the beginning, for the data of `pkt`, which looks like the last segment and
    /// follows it as far as acknowledgment and time go. `None`, with nothing changed, unless it can
    /// be taken.
    #[inline(always)]
    pub(super) fn data_alike<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        next: &Next<'_>,
        pkt: &RxPacket<'p>,
    ) -> Option<Shown> {
        let (id, tcb, state) = self.conns.accepted(idx)?;
        let (ack, seq, timestamps) = (next.ack(), next.seq(), next.timestamps());
        let (budget, has_room) = (cx.net.budget(), ack != tcb.snd.una);
        let flight = match has_room {
            true => self.flights.get_mut(tcb.flight),
            false => None,
        };
        let is_good_ack = !has_room || flight.is_some() && !tcb.flags.has(TcbFlags::WANTS_TO_SEND);
        if !is_good_ack || !fits(tcb, next.text.len(), budget) || !next.is_summed_right(pkt) {
            return None;
        }
        cx.net.counters.short_cut_taken(pkt.frame.len());
        self.unsettled = idx;
        tcb.keep.heard(cx.now);
        if let Some(flight) = flight {
            let ack = (ack, Some(timestamps));
            tcb.acked_plainly(&mut self.bodies, flight, ack, cx.now);
            self.has_moved = true;
        }
        tcb.snd.window_told(seq, next.wnd());
        tcb.ts.update(timestamps, seq, cx.now);
        let is_ack_urgent = tcb.data_came(Text {
            // No more than a frame holds.
            len: next.text.len() as u32,
            gso_size: 0,
            is_pushed: next.is_pushed(),
            timestamps: Some(timestamps),
            quick_acks: self.settings.quick_acks,
            budget,
            now: cx.now,
        });
        let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
        let taken = cx.app.received(&mut conn, state, next.text);
        if !is_quiet(tcb) {
            self.image.forget_of(idx);
        }
        Some(Shown {
            taken,
            is_ack_urgent,
            // Where an acknowledgment is due, it says the window anyway.
            may_say: !tcb.flags.has(TcbFlags::ACK_DUE) && tcb.rcv.may_open(budget.rmss),
        })
    }

    /// What follows when the application has seen the data of `pkt`, `len` bytes; gives it back if
    /// it has not.
    #[inline(always)]
    pub(super) fn data_shown<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        (pkt, len): (RxPacket<'p>, usize),
        shown: Option<Shown>,
    ) -> Option<RxPacket<'p>> {
        let Some(shown) = shown else {
            return Some(pkt);
        };
        if shown.taken >= len {
            pkt.go_home();
            if shown.may_say {
                self.after_offer(cx, idx);
            }
        } else {
            self.image.forget_of(idx);
            let mut frame = pkt.frame;
            frame.trim(LEN_MAX + len);
            frame.pull(LEN_MAX);
            self.keep_rest(cx, idx, frame, shown.taken);
        }
        if shown.is_ack_urgent {
            self.settle_last(cx);
        }
        None
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
        let Some((id, tcb, state)) = self.conns.accepted(idx) else {
            return;
        };
        frame.trim(headers.len + headers.payload_len);
        frame.pull(headers.len);
        let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
        let taken = cx.app.received(&mut conn, state, frame.bytes());
        if taken < frame.len() {
            return self.keep_rest(cx, idx, frame, taken);
        }
        drop(frame);
        // Where an acknowledgment is due, it says the window anyway.
        if !tcb.flags.has(TcbFlags::ACK_DUE) {
            self.after_offer(cx, idx);
        }
    }

    /// Keeps what the application has not taken. It is offered again, for as long as some of it is.
    #[cold]
    fn keep_rest<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        mut frame: Frame<'p>,
        taken: usize,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        frame.pull(taken);
        tcb.rcv.put_back(frame);
        match taken {
            // Who gives a connection up is shown no more of it.
            _ if tcb.flags.has(TcbFlags::ABORT_DUE) => {}
            0 => self.after_offer(cx, idx),
            _ => self.offer(cx, idx),
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
        if !is_at_rest(tcb) {
            return false;
        }
        let is_due = tcb.flags.has(TcbFlags::ACK_DUE);
        let template = &mut self.template;
        if is_due && run::send_ack(tcb, template, cx.net, cx.tx, cx.now) != Some(Sent::All) {
            return false;
        }
        tcb.invariants();
        self.wheel.set(idx, tcb.next_deadline(Deadline::NEVER));
        true
    }
}

/// What has become of data.
pub(super) struct Shown {
    /// Bytes that the application has taken.
    taken: usize,
    /// That it has may open the window by as much as is worth saying.
    may_say: bool,
    /// It must be acknowledged at once.
    is_ack_urgent: bool,
}

impl<'p, C: Congestion> Tcb<'p, C> {
    /// RCV.NXT moves. True when that must be acknowledged at once.
    #[inline(always)]
    fn data_came(&mut self, text: Text<'p>) -> bool {
        let (len, now) = (text.len, text.now);
        self.measure(text);
        let nxt = self.rcv.nxt;
        self.rcv.nxt += len;
        self.totals.nxt_moved(nxt, self.rcv.nxt, self.irs);
        self.acknowledge_later(now)
    }
}

/// Whether nothing is queued, in flight or unread, and nothing of what is rare is the matter.
#[inline]
fn is_at_rest<C: Congestion>(tcb: &Tcb<'_, C>) -> bool {
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
