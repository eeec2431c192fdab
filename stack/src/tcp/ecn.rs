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

mod marks;

use crate::wire::ipv4::Codepoint;
use crate::wire::tcp::{Ctl, Segment};

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
