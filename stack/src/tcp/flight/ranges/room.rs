//! What is sent again is told apart from what is still lost, also when no node is left for that.
//!
//! ```text
//!   │ sent again │ LOST           │      the front of LOST goes again, without a node:
//!   │ sent again, later │ LOST    │      it joins what is before it, or two others join
//! ```

use super::{Cursor, Ranges, Unsplit};
use crate::config::SENT_NODES_MAX;
use crate::tcp::flight::nodes::{Flags, Nodes, SentNode};
use crate::tcp::flight::rack::is_after;
use crate::tcp::idx::NONE;
use crate::tcp::seqnum::SeqNum;

impl Ranges {
    /// `[start, end)`, which had been sent before, was sent again just now.
    pub(crate) fn sent_again(
        &mut self,
        nodes: &mut Nodes<'_>,
        part: (SeqNum, SeqNum),
        now_us: u32,
    ) {
        if !self.has_room(nodes) && self.is_told_without_room(nodes, part, now_us) {
            return;
        }
        let mut cursor = self.start();
        self.change(nodes, &mut cursor, part, Unsplit::Change, |range| {
            if !range.flags.has(Flags::SACKED) {
                range.flags = range.flags.without(Flags::LOST).with(Flags::AGAIN);
                range.sent_at_us = now_us;
            }
        });
    }

    /// There is no node. The front of a LOST range joins what was sent again before it, and both
    /// take the later time; with nothing such before it, a node is made free behind or before, and
    /// the range can be split. All of it would otherwise seem to be under way, and what is not
    /// would wait for a timeout, segment by segment. Whether nothing is left to do.
    #[cold]
    fn is_told_without_room(
        &mut self,
        nodes: &mut Nodes<'_>,
        (left, right): (SeqNum, SeqNum),
        now_us: u32,
    ) -> bool {
        let mut cursor = self.start();
        while let Some(node) = nodes.get(cursor.at)
            && !node.end.after(left)
        {
            cursor.step(node);
        }
        let Some(&lost) = nodes.get(cursor.at) else {
            return false;
        };
        let is_front = cursor.start == left && right.before(lost.end);
        if !is_front || !lost.flags.has(Flags::LOST) {
            return false;
        }
        nodes.merged_cnt += 1;
        if let Some(before) = nodes.get_mut(cursor.before)
            && before.flags == Flags::AGAIN
        {
            (before.end, before.sent_at_us) = (right, now_us);
            let len = right.bytes_since(left);
            self.uncount(lost.flags, len);
            self.count(Flags::AGAIN, len);
            return true;
        }
        self.forget(nodes, cursor.at);
        false
    }

    /// Makes two neighbors one range: the last two without node `idx`, of which it is to be found
    /// out anew what has become of them; or if there are none, that node, LOST, and the next one.
    fn forget(&mut self, nodes: &mut Nodes<'_>, idx: u32) {
        let (mut cursor, mut pair) = (self.start(), None);
        while let Some(&node) = nodes.get(cursor.at) {
            let is_of_idx = cursor.at == idx || node.next == idx;
            if node.next != NONE && (!is_of_idx || pair.is_none() && cursor.at == idx) {
                pair = Some(cursor);
            }
            cursor.step(&node);
        }
        let Some((at, start)) = pair.map(|Cursor { at, start, .. }| (at, start)) else {
            return;
        };
        let Some(&first) = nodes.get(at) else { return };
        let Some(&second) = nodes.get(first.next) else {
            return;
        };
        self.uncount(first.flags, first.end.bytes_since(start));
        self.uncount(second.flags, second.end.bytes_since(first.end));
        let is_later = is_after(second.sent_at_us, first.sent_at_us);
        let merged = SentNode {
            end: second.end,
            sent_at_us: if is_later { second } else { first }.sent_at_us,
            next: second.next,
            flags: if at == idx { first.flags } else { Flags::AGAIN },
        };
        self.count(merged.flags, merged.end.bytes_since(start));
        nodes.give_back(first.next, self.nodes_cnt);
        self.nodes_cnt -= 1;
        if self.last == first.next {
            self.last = at;
        }
        if let Some(node) = nodes.get_mut(at) {
            *node = merged;
        }
    }

    /// Whether there is a node more for this list.
    #[inline]
    fn has_room(&self, nodes: &Nodes<'_>) -> bool {
        self.nodes_cnt < SENT_NODES_MAX && nodes.has_free_for(self.nodes_cnt)
    }

    /// Takes a node for this list.
    #[inline]
    pub(super) fn take(&mut self, nodes: &mut Nodes<'_>, node: SentNode) -> Option<u32> {
        let is_bounded = self.nodes_cnt < SENT_NODES_MAX;
        let idx = is_bounded.then(|| nodes.take(node, self.nodes_cnt))??;
        self.nodes_cnt += 1;
        Some(idx)
    }
}
