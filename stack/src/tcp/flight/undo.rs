//! When what was taken for lost arrives after all: F-RTO (RFC 5682) for timeouts, duplicates
//! reported by the far side (RFC 2883, in the manner of RFC 3708) for the rest.
//!
//! ```text
//!   timeout ─ first segment again ─► Waiting ─ SND.UNA moves ─► Asking: two new segments
//!     what was sent once before the timeout arrives  ─► spurious: cwnd is restored
//!     anything else                                  ─► the loss was real: go on in Loss
//! ```

use crate::tcp::seqnum::SeqNum;

/// Where F-RTO stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frto {
    /// Nothing is being found out.
    Off,
    /// The first segment was sent again; the next acknowledgment decides what follows.
    Waiting,
    /// New data goes out, up to here; the next acknowledgment tells.
    Asking {
        /// SND.MAX and two segments.
        until: SeqNum,
    },
}

/// What was sent again since cwnd was reduced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    /// SND.UNA when cwnd was reduced.
    pub(super) from: SeqNum,
    /// Bytes sent again, without those that were reported as duplicates.
    pub(super) len: u32,
    /// Something was sent again.
    pub(super) is_begun: bool,
}

impl Undo {
    pub(super) fn new(from: SeqNum) -> Self {
        Self {
            from,
            len: 0,
            is_begun: false,
        }
    }

    pub(super) fn sent_again(&mut self, len: u32) {
        self.len = self.len.saturating_add(len);
        self.is_begun = true;
    }

    /// The far side has a part twice. True if it has all twice that was sent again.
    pub(crate) fn duplicated(&mut self, (left, right): (SeqNum, SeqNum)) -> bool {
        if !self.is_begun || left.before(self.from) {
            return false;
        }
        self.len = self.len.saturating_sub(right.bytes_since(left));
        self.len == 0
    }
}
