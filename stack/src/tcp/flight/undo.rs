//! When what was taken for lost arrives after all: F-RTO (RFC 5682) for timeouts; for the rest
//! duplicates that the far side reports (RFC 2883, in the manner of RFC 3708), and echoes of
//! timestamps that are older than what was sent again (RFC 3522).
//!
//! ```text
//!   timeout ─ first segment again ─► Waiting ─ SND.UNA moves ─► Asking: two new segments
//!     what was sent once before the timeout arrives  ─► spurious: cwnd is restored
//!     anything else                                  ─► the loss was real: go on in Loss
//! ```

use heapless::Vec;

use crate::config::UNDO_EXTENTS_MAX;
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

/// What was sent again since cwnd was reduced, and has not been shown to be for nothing.
///
/// Only duplicates of that count: others were made by the network, and say nothing of what we did
/// (RFC 3708 2). So the extents are kept, and not their sum. What is sent more than once again, or
/// falls into more extents than fit, cannot be proven any more.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    /// SND.UNA when cwnd was reduced.
    from: SeqNum,
    /// In no order, apart from each other.
    extents: Vec<(SeqNum, SeqNum), UNDO_EXTENTS_MAX>,
    is_provable: bool,
}

/// What something that was sent again for nothing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ForNothing {
    /// Nothing: it was the network that has sent it twice.
    NotOurs,
    /// A part of what was sent again.
    Part,
    /// The last part of it: nothing was lost.
    All,
}

impl Undo {
    pub(super) fn new(from: SeqNum) -> Self {
        Self {
            from,
            extents: Vec::new(),
            is_provable: true,
        }
    }

    /// `[left, right)` was sent again.
    pub(super) fn sent_again(&mut self, (left, right): (SeqNum, SeqNum)) {
        let overlaps = |extent: &(SeqNum, SeqNum)| left.before(extent.1) && extent.0.before(right);
        if self.extents.iter().any(overlaps) {
            self.is_provable = false;
        }
        match self.extents.iter_mut().find(|extent| extent.1 == left) {
            Some(extent) => extent.1 = right,
            None => self.is_provable &= self.extents.push((left, right)).is_ok(),
        }
    }

    /// The far side has both copies of `[left, right)`, or has had the first before the second was
    /// sent.
    pub(super) fn was_for_nothing(&mut self, (left, right): (SeqNum, SeqNum)) -> ForNothing {
        if left.before(self.from) {
            return ForNothing::NotOurs;
        }
        if !self.is_provable {
            return ForNothing::Part;
        }
        let mut is_ours = false;
        // Each round takes an extent out or goes on to the next; one that is split makes it one
        // longer, once, since the parts of it do not overlap any more.
        let mut at = 0;
        while let Some(&(start, end)) = self.extents.get(at) {
            if !left.before(end) || !start.before(right) {
                at += 1;
                continue;
            }
            is_ours = true;
            self.extents.swap_remove(at);
            for (start, end) in [(start, left), (right, end)] {
                if start.before(end) {
                    self.is_provable &= self.extents.push((start, end)).is_ok();
                }
            }
        }
        match (is_ours, self.extents.is_empty()) {
            (false, _) => ForNothing::NotOurs,
            (true, true) => ForNothing::All,
            (true, false) => ForNothing::Part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SeqNum = SeqNum(u32::MAX - 1_500);

    fn part(from: u32, to: u32) -> (SeqNum, SeqNum) {
        (FROM + from, FROM + to)
    }

    #[test]
    fn all_parts_must_be_shown_in_any_order_and_size() {
        let mut undo = Undo::new(FROM);
        for (from, to) in [(0, 1_000), (1_000, 2_000), (5_000, 6_000)] {
            undo.sent_again(part(from, to));
        }
        assert_eq!(undo.extents.len(), 2, "neighbors are one");
        let mut says = |from, to| undo.was_for_nothing(part(from, to));
        assert_eq!(says(5_500, 6_500), ForNothing::Part);
        assert_eq!(says(500, 1_500), ForNothing::Part);
        assert_eq!(says(5_000, 5_500), ForNothing::Part);
        assert_eq!(says(0, 500), ForNothing::Part);
        assert_eq!(says(1_400, 2_000), ForNothing::All);
    }

    /// RFC 3708 2: what was sent once and arrives twice was sent twice by the network.
    #[test]
    fn what_was_not_sent_again_does_not_count() {
        let mut undo = Undo::new(FROM);
        assert_eq!(
            undo.was_for_nothing(part(0, 1_000)),
            ForNothing::NotOurs,
            "nothing was sent again yet"
        );
        undo.sent_again(part(1_000, 2_000));
        let before = (FROM - 1_000, FROM + 2_000);
        for other in [before, part(0, 1_000), part(2_000, 3_000)] {
            assert_eq!(undo.was_for_nothing(other), ForNothing::NotOurs);
        }
        assert_eq!(
            undo.was_for_nothing(part(1_000, 2_000)),
            ForNothing::All,
            "it is still to be shown"
        );
        assert_eq!(
            undo.was_for_nothing(part(1_000, 2_000)),
            ForNothing::NotOurs,
            "and that is said once"
        );
    }

    #[test]
    fn what_is_sent_three_times_proves_nothing() {
        let mut undo = Undo::new(FROM);
        undo.sent_again(part(0, 1_000));
        undo.sent_again(part(0, 1_000));
        for _ in 0..3 {
            assert_eq!(undo.was_for_nothing(part(0, 1_000)), ForNothing::Part);
        }
    }

    #[test]
    fn more_extents_than_fit_prove_nothing() {
        let mut undo = Undo::new(FROM);
        let parts = (0..=UNDO_EXTENTS_MAX as u32).map(|n| part(2_000 * n, 2_000 * n + 1_000));
        parts.clone().for_each(|part| undo.sent_again(part));
        for part in parts {
            assert_eq!(undo.was_for_nothing(part), ForNothing::Part);
        }
        // Splitting one may need more than there is room for, too.
        let mut undo = Undo::new(FROM);
        for n in 0..UNDO_EXTENTS_MAX as u32 {
            undo.sent_again(part(2_000 * n, 2_000 * n + 1_000));
        }
        assert_eq!(undo.was_for_nothing(part(300, 400)), ForNothing::Part);
        assert!(!undo.is_provable);
    }
}
