//! What the SACK option of an acknowledgment says (RFC 2018 3, RFC 2883 4).

use crate::tcp::seqnum::SeqNum;
use crate::wire::tcp::{SackBlock, SackBlocks};

/// The blocks of a SACK option, in the order of the stream, as far as they can be true, and a
/// report of a duplicate in front of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) sacked: [Option<(SeqNum, SeqNum)>; SackBlocks::MAX],
    pub(super) dsack: Option<(SeqNum, SeqNum)>,
}

impl Blocks {
    /// Reads the blocks of a segment that acknowledges `ack`, against what is in flight: `[una,
    /// max)`. What was acknowledged before `oldest` is too old to be told of.
    pub(super) fn read(
        blocks: &[SackBlock],
        ack: SeqNum,
        (una, max): (SeqNum, SeqNum),
        oldest: SeqNum,
    ) -> Self {
        let mut read = Self::default();
        let mut rest = blocks;
        // RFC 2883 4: the first block is a duplicate if it lies below the acknowledgment, or
        // within the second.
        if let [first, others @ ..] = blocks {
            let is_within = others.first().is_some_and(|second| {
                !first.left.before(second.left) && !first.right.after(second.right)
            });
            if !first.right.after(ack) || is_within {
                rest = others;
                let is_sane = first.left.before(first.right)
                    && !first.left.before(oldest)
                    && !first.right.after(max);
                read.dsack = is_sane.then_some((first.left, first.right));
            }
        }
        for block in rest {
            let is_sane = block.left.before(block.right)
                && block.right.after(una)
                && !block.right.after(max)
                && !block.left.before(oldest);
            if is_sane {
                read.insert((block.left.max(una), block.right));
            }
        }
        read
    }

    /// Keeps the order: there are four at most.
    fn insert(&mut self, mut block: (SeqNum, SeqNum)) {
        for place in &mut self.sacked {
            match place {
                Some(other) if other.0.before(block.0) => {}
                Some(other) => core::mem::swap(other, &mut block),
                None => {
                    *place = Some(block);
                    return;
                }
            }
        }
    }
}
