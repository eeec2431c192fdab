//! What is in flight on one connection, as a list of ranges in the order of the stream.
//!
//! ```text
//!   SND.UNA                                                              SND.MAX
//!      │ sent again │ SACKED │ LOST │ SACKED          │ sent at t1 │ sent at t2 │
//!      └─ node ─────┴─ node ─┴ node ┴─ node ──────────┴─ node ─────┴─ node ─────┘
//! ```
//!
//! Neighbors of which the same is known, and that were sent together, are one range: a burst is one
//! node, however many segments it was. Of what is SACKED, or waits to be sent again, the time says
//! nothing any more, so these are one range whenever they were sent. An acknowledgment of a part
//! of a range splits it.
//!
//! The list of one connection is bounded, so every walk is. Past [`SENT_NODES_FINE`] ranges, what
//! is sent within a fraction of a round trip stays together; when there is no node, new ranges join
//! the last one and take the later time, and a range that cannot be split stays as it was: loss is
//! found later than it could be, never too early. Two nodes are for each list in any case, so that
//! what is lost can be sent again piece by piece.

mod room;

use super::elapsed_us;
use super::nodes::{Flags, Nodes, SentNode};
use crate::config::SENT_NODES_FINE;
use crate::tcp::idx::NONE;
use crate::tcp::seqnum::SeqNum;

/// The list, and sums over it.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    /// SND.UNA: where the first range begins.
    pub(super) una: SeqNum,
    /// SND.MAX: where the last one ends.
    pub(super) max: SeqNum,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) nodes_cnt: u16,
    /// Bytes that are SACKED.
    sacked_len: u32,
    /// Bytes that are LOST.
    lost_len: u32,
    /// Bytes that were sent again, and are neither SACKED nor LOST.
    again_len: u32,
}

/// A copy of one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    pub(crate) sent_at_us: u32,
    pub(crate) flags: Flags,
}

impl Range {
    /// Bytes of sequence space.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.end.bytes_since(self.start)
    }
}

/// A place in the list, and the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    before: u32,
    at: u32,
    start: SeqNum,
}

/// What to do with a range that cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsplit {
    /// Leave it as it is.
    Leave,
    /// Change all of it.
    Change,
}

impl Ranges {
    /// Nothing, at `una`.
    pub(crate) fn new(una: SeqNum) -> Self {
        Self {
            una,
            max: una,
            first: NONE,
            last: NONE,
            nodes_cnt: 0,
            sacked_len: 0,
            lost_len: 0,
            again_len: 0,
        }
    }

    /// Bytes of sequence space in flight.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.max.bytes_since(self.una)
    }

    /// Whether all of it was sent once, and nothing is known of any of it.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.sacked_len | self.lost_len | self.again_len == 0
    }

    /// Both ends: SND.UNA and SND.MAX.
    #[inline]
    pub(crate) fn ends(&self) -> (SeqNum, SeqNum) {
        (self.una, self.max)
    }

    #[inline]
    pub(crate) fn sacked_len(&self) -> u32 {
        self.sacked_len
    }

    #[inline]
    pub(crate) fn lost_len(&self) -> u32 {
        self.lost_len
    }

    #[cfg(test)]
    pub(crate) fn nodes_cnt(&self) -> u16 {
        self.nodes_cnt
    }

    /// What is known of the last range.
    pub(crate) fn last_flags(&self, nodes: &Nodes<'_>) -> Option<Flags> {
        nodes.get(self.last).map(|node| node.flags)
    }

    /// `[max, end)` was sent just now, for the first time. `slack_us` is how far apart two sends
    /// may be that are told as one when there are many.
    #[inline]
    pub(crate) fn push(
        &mut self,
        nodes: &mut Nodes<'_>,
        end: SeqNum,
        now_us: u32,
        slack_us: impl FnOnce() -> u32,
    ) {
        let slack_us = if self.nodes_cnt < SENT_NODES_FINE {
            0
        } else {
            slack_us()
        };
        if let Some(last) = nodes.get_mut(self.last)
            && last.flags == Flags::NONE
            && elapsed_us(now_us, last.sent_at_us) <= slack_us
        {
            last.end = end;
            last.sent_at_us = now_us;
            self.max = end;
            return;
        }
        let node = SentNode {
            end,
            sent_at_us: now_us,
            next: NONE,
            flags: Flags::NONE,
        };
        match self.take(nodes, node) {
            Some(idx) => {
                match nodes.get_mut(self.last) {
                    Some(last) => last.next = idx,
                    None => self.first = idx,
                }
                self.last = idx;
            }
            None => self.push_merged(nodes, end, now_us),
        }
        self.max = end;
    }

    /// There is no node: the last range becomes longer, and was sent just now.
    #[cold]
    fn push_merged(&mut self, nodes: &mut Nodes<'_>, end: SeqNum, now_us: u32) {
        nodes.merged_cnt += 1;
        let Some(last) = self.iter(nodes).last() else {
            return;
        };
        self.uncount(last.flags, last.len());
        // What was sent again stays untimed; what the rest was is to be found out anew.
        let flags = last.flags.without(Flags::SACKED.with(Flags::LOST));
        self.count(flags, end.bytes_since(last.start));
        if let Some(node) = nodes.get_mut(self.last) {
            (node.end, node.sent_at_us, node.flags) = (end, now_us, flags);
        }
    }

    /// SND.UNA moves to `ack`; `each` sees what lay before it.
    #[inline]
    pub(crate) fn acked(
        &mut self,
        nodes: &mut Nodes<'_>,
        ack: SeqNum,
        mut each: impl FnMut(&Range),
    ) {
        while ack.after(self.una)
            && let Some(node) = nodes.get(self.first)
        {
            let (mut range, next) = (node.range(self.una), node.next);
            let is_whole = !range.end.after(ack);
            range.end = range.end.min(ack);
            self.una = range.end;
            self.uncount(range.flags, range.len());
            each(&range);
            if !is_whole {
                return;
            }
            nodes.give_back(self.first, self.nodes_cnt);
            self.first = next;
            self.nodes_cnt -= 1;
            if next == NONE {
                self.last = NONE;
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, nodes: &mut Nodes<'_>) {
        self.acked(nodes, self.max, |_| {});
    }

    /// The ranges, in the order of the stream.
    pub(crate) fn iter<'a>(&self, nodes: &'a Nodes<'_>) -> impl Iterator<Item = Range> + 'a {
        let mut cursor = self.start();
        core::iter::from_fn(move || {
            let node = nodes.get(cursor.at)?;
            let range = node.range(cursor.start);
            cursor.step(node);
            Some(range)
        })
    }

    /// Where a walk begins.
    pub(crate) fn start(&self) -> Cursor {
        Cursor {
            before: NONE,
            at: self.first,
            start: self.una,
        }
    }

    /// Lets `change` see and change the flags and times of all that lies in `[left, right)`,
    /// splitting ranges at both ends, then joins what may be one. `cursor` may be where another
    /// such walk has ended, if that lies before.
    pub(crate) fn change(
        &mut self,
        nodes: &mut Nodes<'_>,
        cursor: &mut Cursor,
        (left, right): (SeqNum, SeqNum),
        unsplit: Unsplit,
        mut change: impl FnMut(&mut Range),
    ) {
        // Each round goes one range on, or makes the list longer by one of a bounded number.
        while let Some(node) = nodes.get(cursor.at) {
            let mut range = node.range(cursor.start);
            if !range.start.before(right) {
                self.join(nodes, cursor);
                return;
            }
            if !range.end.after(left) {
                cursor.step(node);
                continue;
            }
            if left.after(range.start) {
                let is_split = self.split(nodes, cursor.at, left);
                if is_split || unsplit == Unsplit::Leave {
                    cursor.step_over(nodes);
                    continue;
                }
            }
            if right.before(range.end) {
                if self.split(nodes, cursor.at, right) {
                    range.end = right;
                } else if unsplit == Unsplit::Leave {
                    cursor.step_over(nodes);
                    continue;
                }
            }
            self.uncount(range.flags, range.len());
            change(&mut range);
            self.count(range.flags, range.len());
            if let Some(node) = nodes.get_mut(cursor.at) {
                (node.flags, node.sent_at_us) = (range.flags, range.sent_at_us);
            }
            if !self.join(nodes, cursor) {
                cursor.step_over(nodes);
            }
        }
    }

    /// As [`change`](Self::change), for all ranges.
    pub(crate) fn change_all(&mut self, nodes: &mut Nodes<'_>, change: impl FnMut(&mut Range)) {
        let mut cursor = self.start();
        let all = self.ends();
        self.change(nodes, &mut cursor, all, Unsplit::Change, change);
    }

    /// Splits the range of node `idx` at `at`, unless there is no node for its second part.
    fn split(&mut self, nodes: &mut Nodes<'_>, idx: u32, at: SeqNum) -> bool {
        let Some(&node) = nodes.get(idx) else {
            return false;
        };
        let Some(second) = self.take(nodes, node) else {
            nodes.merged_cnt += 1;
            return false;
        };
        if let Some(node) = nodes.get_mut(idx) {
            node.end = at;
            node.next = second;
        }
        if self.last == idx {
            self.last = second;
        }
        true
    }

    /// Makes the range at the cursor one with that before it, if both are alike; the cursor then
    /// stands behind it.
    fn join(&mut self, nodes: &mut Nodes<'_>, cursor: &mut Cursor) -> bool {
        let Some(&node) = nodes.get(cursor.at) else {
            return false;
        };
        let Some(before) = nodes.get_mut(cursor.before) else {
            return false;
        };
        if !before.is_like(&node) {
            return false;
        }
        before.end = node.end;
        before.next = node.next;
        before.flags = before.flags.with(node.flags);
        nodes.give_back(cursor.at, self.nodes_cnt);
        if self.last == cursor.at {
            self.last = cursor.before;
        }
        self.nodes_cnt -= 1;
        cursor.at = node.next;
        cursor.start = node.end;
        true
    }

    #[inline]
    fn count(&mut self, flags: Flags, len: u32) {
        if let Some(sum) = self.sum(flags) {
            *sum = sum.saturating_add(len);
        }
    }

    #[inline]
    fn uncount(&mut self, flags: Flags, len: u32) {
        if let Some(sum) = self.sum(flags) {
            *sum = sum.saturating_sub(len);
        }
    }

    #[inline]
    fn sum(&mut self, flags: Flags) -> Option<&mut u32> {
        if flags.has(Flags::SACKED) {
            Some(&mut self.sacked_len)
        } else if flags.has(Flags::LOST) {
            Some(&mut self.lost_len)
        } else if flags.has(Flags::AGAIN) {
            Some(&mut self.again_len)
        } else {
            None
        }
    }

    /// What must hold after every event, checked without a walk.
    #[inline]
    pub(crate) fn invariants(&self) {
        let Self {
            una,
            max,
            first,
            last,
            nodes_cnt,
            sacked_len,
            lost_len,
            again_len,
        } = self;
        let has_ends = match una == max {
            true => *first == NONE && *last == NONE && *nodes_cnt == 0,
            false => *first != NONE && *last != NONE && *nodes_cnt != 0,
        };
        assert!(
            has_ends,
            "no range, nothing in flight; and no first, no last"
        );
        if self.is_plain() {
            return;
        }
        let sum = u64::from(*sacked_len) + u64::from(*lost_len) + u64::from(*again_len);
        assert!(
            sum <= u64::from(self.len()),
            "no more is SACKED, LOST or sent again than is in flight"
        );
    }

    /// Walks the list: it is ordered, covers what is in flight, and the sums are right.
    #[cfg(test)]
    pub(crate) fn check(&self, nodes: &Nodes<'_>) {
        self.invariants();
        let mut again = Self::new(self.una);
        let (mut at, mut cursor) = (self.una, self.start());
        while let Some(node) = nodes.get(cursor.at) {
            let range = node.range(at);
            assert!(
                range.end.after(range.start),
                "empty or out of order: {range:?}"
            );
            again.count(range.flags, range.len());
            again.nodes_cnt += 1;
            at = range.end;
            if node.next == NONE {
                assert_eq!(cursor.at, self.last);
            }
            cursor.step(node);
        }
        assert_eq!(at, self.max, "up to SND.MAX");
        assert_eq!(
            (
                again.nodes_cnt,
                again.sacked_len,
                again.lost_len,
                again.again_len
            ),
            (
                self.nodes_cnt,
                self.sacked_len,
                self.lost_len,
                self.again_len
            )
        );
    }
}

impl SentNode {
    #[inline]
    fn range(&self, start: SeqNum) -> Range {
        Range {
            start,
            end: self.end,
            sent_at_us: self.sent_at_us,
            flags: self.flags,
        }
    }

    /// Whether two neighbors may be one range.
    fn is_like(&self, other: &Self) -> bool {
        if self.flags.has(Flags::SACKED) && other.flags.has(Flags::SACKED) {
            return true;
        }
        let is_lost = self.flags.has(Flags::LOST);
        self.flags == other.flags && (is_lost || self.sent_at_us == other.sent_at_us)
    }
}

impl Cursor {
    #[inline]
    fn step(&mut self, node: &SentNode) {
        self.before = self.at;
        self.start = node.end;
        self.at = node.next;
    }

    fn step_over(&mut self, nodes: &Nodes<'_>) {
        if let Some(node) = nodes.get(self.at) {
            self.step(node);
        }
    }
}
