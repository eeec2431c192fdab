//! Explicit congestion notification (RFC 3168 6.1): a router marks a segment and does not drop it.
//!
//! ```text
//!   data ── ECT(0) ──► router ── CE ──► receiver
//!   cwnd falls, once a window ◄── ECE, on every ACK ──┘ until CWR comes
//!   next new data ── CWR ──────────────────────────────►
//! ```
//!
//! Only new data is marked as capable: what carries no data is not retransmitted, and what is sent
//! again or probes a window tells nothing of the path in time (RFC 3168 6.1.4 to 6.1.6).

use crate::counters::Counters;
use crate::tcp::cc::{Congestion, Delays, Signal};
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::seqnum::SeqNum;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::wire::ipv4::Codepoint;
use crate::wire::tcp::{Ctl, Repr, Segment};

/// What a stack does about explicit congestion notification (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnUse {
    /// Neither asks for it nor accepts it.
    Never,
    /// Accepts it, but does not ask for it: some middleboxes still drop a SYN that asks.
    #[default]
    Accept,
    /// Asks for it in the first SYN of an active open, and accepts it.
    Ask,
}

/// What a connection knows of it: a few bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ecn(u8);

impl Ecn {
    pub(crate) const OFF: Self = Self(0);

    /// Both sides use it; or, as long as our SYN is not answered, we ask for it.
    pub(crate) const ON: Self = Self(1);

    /// A mark has come in, and CWR has not.
    const ECHOING: Self = Self(2);

    /// The window was reduced, and the far side has not been told.
    const CWR_DUE: Self = Self(4);

    /// The window was reduced, and what was in flight then has not been acknowledged.
    const REDUCED: Self = Self(8);

    /// The window of one segment was too much: nothing new before the timer fires.
    const HELD: Self = Self(16);

    #[inline]
    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// On or off.
    pub(crate) fn agreed(is_on: bool) -> Self {
        if is_on { Self::ON } else { Self::OFF }
    }

    /// Whether both sides use it.
    #[inline]
    pub(crate) fn is_on(self) -> bool {
        self.has(Self::ON)
    }

    /// Whether the next new data brings CWR.
    #[inline]
    pub(crate) fn is_cwr_due(self) -> bool {
        self.has(Self::CWR_DUE)
    }

    /// What their answer to our SYN makes of our offer (RFC 3168 6.1.1): a SYN-ACK agrees with ECE
    /// alone, which a far side that only mirrors what it does not know cannot do. Where SYNs cross,
    /// both must have offered.
    pub(crate) fn answered(self, seg: &Segment) -> Self {
        let agrees = if seg.ack.is_some() {
            seg.ctl.has(Ctl::ECE) && !seg.ctl.has(Ctl::CWR)
        } else {
            asks(seg)
        };
        Self::agreed(self.is_on() && agrees)
    }

    /// The control bits of our SYN, or of our SYN-ACK.
    pub(crate) fn ctl_of_syn(self, has_ack: bool) -> Ctl {
        match (self.is_on(), has_ack) {
            (false, _) => Ctl::default(),
            (true, false) => Ctl::ECE.with(Ctl::CWR),
            (true, true) => Ctl::ECE,
        }
    }

    /// The retransmission timer has fired, or as much time has passed.
    pub(crate) fn release(&mut self) {
        self.clear(Self::HELD);
    }
}

/// Whether a SYN asks for it (RFC 3168 6.1.1). A SYN is never marked as capable: if this one is,
/// something on the path writes into the field, and marks would mean nothing.
pub(crate) fn asks(syn: &Segment) -> bool {
    syn.ctl.has(Ctl::ECE) && syn.ctl.has(Ctl::CWR) && syn.ecn == Codepoint::NotEct
}

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
