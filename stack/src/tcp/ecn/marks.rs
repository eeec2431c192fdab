//! What a connection does about marks: those that come, and those that go out.

use super::Ecn;
use crate::counters::Counters;
use crate::tcp::cc::{Congestion, Delays, Signal};
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::seqnum::SeqNum;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::wire::ipv4::Codepoint;
use crate::wire::tcp::{Ctl, Repr, Segment};

impl<C: Congestion> Tcb<'_, C> {
    /// How much may be in flight now: nothing new while the timer is waited for.
    #[inline]
    pub(crate) fn usable_cwnd(&self) -> u32 {
        if self.ecn.has(Ecn::HELD) {
            return 0;
        }
        self.cc.cwnd()
    }

    /// Sets the control bits of the next segment, and says what its IP header gets.
    #[inline]
    pub(crate) fn mark(&mut self, repr: &mut Repr, has_data: bool) -> Codepoint {
        if !self.ecn.is_on() || repr.ctl.has(Ctl::SYN) {
            return Codepoint::NotEct;
        }
        if self.ecn.has(Ecn::ECHOING) {
            repr.ctl = repr.ctl.with(Ctl::ECE);
        }
        if !has_data || repr.seq.before(self.snd.max) || self.snd.flags.has(SndFlags::PROBE_DUE) {
            return Codepoint::NotEct;
        }
        if self.ecn.has(Ecn::CWR_DUE) {
            self.ecn.clear(Ecn::CWR_DUE);
            repr.ctl = repr.ctl.with(Ctl::CWR);
        }
        Codepoint::Ect0
    }

    /// The text of a segment in the window was taken (RFC 3168 6.1.3).
    #[inline]
    pub(crate) fn ecn_text(&mut self, seg: &Segment, counters: &mut Counters) {
        if !self.ecn.is_on() {
            return;
        }
        let was_echoing = self.ecn.has(Ecn::ECHOING);
        if seg.ctl.has(Ctl::CWR) {
            self.ecn.clear(Ecn::ECHOING);
        }
        // A mark on the segment that brings CWR is a new one.
        if seg.ecn == Codepoint::Ce {
            counters.tcp_ecn_ce_in += 1;
            self.ecn.set(Ecn::ECHOING);
        }
        // Their window may be one segment now: they hear of either at once.
        if self.ecn.has(Ecn::ECHOING) != was_echoing || seg.ctl.has(Ctl::CWR) {
            self.flags.set(TcbFlags::ACK_DUE);
        }
    }

    /// An acceptable acknowledgment has come in, before it moves anything (RFC 3168 6.1.2).
    #[inline]
    pub(crate) fn ecn_ack(&mut self, seg: &Segment, now: Instant, counters: &mut Counters) {
        let is_news = |ack: &SeqNum| self.ecn.is_on() && !ack.before(self.snd.una);
        let Some(ack) = seg.ack.filter(is_news) else {
            return;
        };
        // What tells of the reduction lies behind `ecn_end`.
        if ack.after(self.ecn_end) {
            self.ecn.clear(Ecn::REDUCED);
        }
        if !seg.ctl.has(Ctl::ECE) || self.ecn.has(Ecn::REDUCED) {
            return;
        }
        counters.tcp_ecn_reductions += 1;
        // The window as such, not what is left in flight: the mark may have come in a while ago.
        let (smss, cwnd) = (self.snd.smss, self.cc.cwnd());
        if cwnd <= u32::from(smss) {
            // There is no smaller window: wait for the timer.
            self.ecn.set(Ecn::HELD);
            self.set_rexmt(now, true);
        }
        self.cc.signalled(smss, Signal::Ecn, cwnd, now);
        self.reduced();
    }

    /// A loss was seen by acknowledgments: the window falls, unless it has fallen for a mark in the
    /// same window already (RFC 3168 6.1.2).
    pub(crate) fn lost(&mut self, flight_size: u32, delays: Delays, now: Instant) {
        if self.ecn.has(Ecn::REDUCED) && self.snd.una.before(self.ecn_end) {
            return;
        }
        self.note_early_loss();
        let signal = Signal::Loss(delays);
        self.cc.signalled(self.snd.smss, signal, flight_size, now);
        self.reduced();
    }

    /// The window was reduced, for whatever reason: the far side is told, and marks of what is in
    /// flight now count no more.
    pub(crate) fn reduced(&mut self) {
        if self.ecn.is_on() {
            self.ecn.set(Ecn(Ecn::CWR_DUE.0 | Ecn::REDUCED.0));
            self.ecn_end = self.snd.max;
        }
    }
}
