//! What an acknowledgment moves of a flight where all was sent once and nothing is missing: nearly
//! every one that comes.

use super::{Flags, Flight, Nodes, Range, Reordering, slack_us, wrapped};
use crate::tcp::idx::NONE;
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

impl Flight {
    /// As [`sent`](Self::sent), of new data up to `end`, while all that is in flight is in the
    /// network and no probe is due. What a recovery would count begins with it.
    #[inline(always)]
    pub(crate) fn sent_plainly(
        &mut self,
        nodes: &mut Nodes<'_>,
        end: SeqNum,
        now: Instant,
        srtt: Duration,
    ) {
        let (una, max) = self.ranges.ends();
        let is_in_a_row = self.sent_last.1 == max;
        let now_us = self.stamp(wrapped(now), end);
        self.probe.is_stale = true;
        if una == max {
            self.round_end = end;
        }
        self.ranges.push(nodes, end, now_us, || {
            if is_in_a_row { slack_us(srtt) } else { 0 }
        });
    }

    /// Where the first range ends.
    #[inline]
    pub(crate) fn first_end(&self, nodes: &Nodes<'_>) -> SeqNum {
        let first = nodes.get(self.ranges.first);
        first.map_or(self.ranges.una, |node| node.end)
    }

    /// As [`acked`](Self::acked), of a flight that is [untroubled](Self::is_untroubled). How long
    /// ago the latest of what has arrived was sent, in microseconds.
    #[inline(always)]
    pub(crate) fn acked_plainly(
        &mut self,
        nodes: &mut Nodes<'_>,
        ack: SeqNum,
        now_us: u32,
        reordering: &mut Reordering,
    ) -> u32 {
        self.probe.is_stale = true;
        self.probe.is_due = false;
        let (rack, ranges) = (&mut self.rack, &mut self.ranges);
        let mut least_us = u32::MAX;
        // Each round takes a node out of a finite list, or is the last.
        while let Some(node) = nodes.get(ranges.first) {
            let (end, next) = (node.end, node.next);
            let range = Range {
                start: ranges.una,
                end: end.min(ack),
                sent_at_us: node.sent_at_us,
                flags: Flags::NONE,
            };
            least_us = least_us.min(rack.delivered_once(&range, now_us, reordering));
            ranges.una = range.end;
            if end.after(ack) {
                break;
            }
            nodes.give_back(ranges.first, ranges.nodes_cnt);
            ranges.first = next;
            ranges.nodes_cnt -= 1;
            if next == NONE {
                ranges.last = NONE;
            }
            if end == ack {
                break;
            }
        }
        least_us
    }
}
