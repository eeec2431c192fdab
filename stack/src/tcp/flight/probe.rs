//! Tail loss probes (RFC 8985 7): when the end of what was sent stays unanswered, one segment asks,
//! and its answer shows what is missing, so that no timeout is needed.

use crate::config::{PROBE_DELAYED_ACK, PROBE_MIN};
use crate::tcp::deadline::Deadline;
use crate::tcp::seqnum::SeqNum;
use crate::time::Duration;

/// The probe of one flight.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// When it goes out, unless something is heard.
    pub(crate) at: Deadline,
    /// It is to go out now, whatever cwnd says.
    pub(crate) is_due: bool,
    /// Something was sent or heard since `at` was set.
    pub(super) is_stale: bool,
    /// TLP.end_seq: what the answer acknowledges, while it has not come.
    pub(super) end: Option<SeqNum>,
    /// TLP.is_retrans: it was data that had been sent before.
    pub(super) is_again: bool,
    /// No round trip was measured since the last one went out: what is sent again and again would
    /// hide that round trips have become longer (RFC 8985 7.3).
    pub(super) is_unmeasured: bool,
}

/// What is kept of the last probe when its flight ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsettled {
    /// Whether it was needed is not known yet.
    pub(crate) is_open: bool,
    /// No round trip was measured since.
    pub(crate) is_unmeasured: bool,
}

/// What an acknowledgment says of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing, or that it was not needed.
    None,
    /// It has repaired a loss: congestion control must hear of it.
    Repaired,
}

/// An acknowledgment, as a probe sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) ack: SeqNum,
    /// Where the duplicate ends that it reports.
    pub(crate) dsack_end: Option<SeqNum>,
    /// It is a duplicate without any SACK block.
    pub(crate) is_plain_duplicate: bool,
    /// Its echo proves that what was sent again was not lost (RFC 3522).
    pub(crate) is_eifel: bool,
}

impl Probe {
    pub(super) const NONE: Self = Self {
        at: Deadline::NEVER,
        is_due: false,
        is_stale: false,
        end: None,
        is_again: false,
        is_unmeasured: false,
    };

    /// An earlier flight ended at `end`, before all was known of its probe.
    pub(super) fn reopen(&mut self, end: SeqNum, left: Unsettled) {
        self.end = left.is_open.then_some(end);
        self.is_again = left.is_open;
        self.is_unmeasured = left.is_unmeasured;
    }

    /// A recovery begins (RFC 8985 7.1): whatever a probe has repaired is paid for by it.
    pub(super) fn reset(&mut self) {
        let is_unmeasured = self.is_unmeasured;
        *self = Self {
            is_unmeasured,
            ..Self::NONE
        };
    }

    /// A round trip was measured.
    pub(crate) fn measured(&mut self) {
        self.is_unmeasured = false;
    }

    /// What is to be kept when the flight ends.
    pub(super) fn unsettled(&self) -> Unsettled {
        Unsettled {
            is_open: self.end.is_some(),
            is_unmeasured: self.is_unmeasured,
        }
    }

    /// Whether something was sent or heard since the time was set.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether an answer is waited for, or a measurement: until then no other goes out.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.end.is_some() || self.is_unmeasured
    }

    /// How long to wait (RFC 8985 7.2, TLP_calc_PTO): two round trips, and the far side's delayed
    /// acknowledgment where one segment is all that it has to answer.
    pub(super) fn timeout(srtt: Duration, is_alone: bool) -> Duration {
        let two = srtt.saturating_mul(2).max(PROBE_MIN);
        if is_alone {
            two + PROBE_DELAYED_ACK
        } else {
            two
        }
    }

    /// An acknowledgment has come (RFC 8985 7.4.2, TLP_process_ack).
    pub(crate) fn heard(&mut self, heard: Heard) -> Answer {
        let Some(end) = self.end else {
            return Answer::None;
        };
        if heard.ack.before(end) {
            return Answer::None;
        }
        if !self.is_again || heard.dsack_end == Some(end) || heard.is_eifel {
            // New data, or both copies have arrived, or the first has.
            self.end = None;
            Answer::None
        } else if heard.ack.after(end) {
            self.end = None;
            Answer::Repaired
        } else {
            if heard.is_plain_duplicate {
                self.end = None;
            }
            Answer::None
        }
    }
}
