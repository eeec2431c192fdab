//! The blocks of one connection's out-of-order data: a short list, the most recent first.

use heapless::Vec;
use simoom_ring::FrameQueue;

use crate::config::OUT_OF_ORDER_BLOCKS_MAX;
use crate::tcp::seqnum::SeqNum;

/// The bytes `[left, right)` are there, in these frames, and none next to them on either side.
#[derive(Debug)]
pub(super) struct Block<'p> {
    pub(super) left: SeqNum,
    pub(super) right: SeqNum,
    /// In order, each tagged with its sequence number.
    pub(super) queue: FrameQueue<'p>,
}

/// Blocks that neither overlap nor touch.
#[derive(Debug, Default)]
pub(super) struct Blocks<'p>(Vec<Block<'p>, OUT_OF_ORDER_BLOCKS_MAX>);

impl<'p> Blocks<'p> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// The most recent first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Block<'p>> {
        self.0.iter()
    }

    /// Where the block is that begins last of those that begin at `seq` or before.
    pub(super) fn last_at_or_before(&self, seq: SeqNum) -> Option<&Block<'p>> {
        let before = self.iter().filter(|block| !block.left.after(seq));
        before.reduce(|a, b| if a.left.after(b.left) { a } else { b })
    }

    /// The block that begins first of those that begin after `seq`.
    pub(super) fn first_after(&self, seq: SeqNum) -> Option<&Block<'p>> {
        let after = self.iter().filter(|block| block.left.after(seq));
        after.reduce(|a, b| if a.left.before(b.left) { a } else { b })
    }

    /// Takes out the block that begins at `left`.
    pub(super) fn take(&mut self, left: SeqNum) -> Option<Block<'p>> {
        let at = self.iter().position(|block| block.left == left)?;
        Some(self.0.remove(at))
    }

    /// Any block that begins at `seq` or before, to take frames out of.
    pub(super) fn at_or_before_mut(&mut self, seq: SeqNum) -> Option<&mut Block<'p>> {
        self.0.iter_mut().find(|block| !block.left.after(seq))
    }

    /// Adds a block, as the most recent. What is asked about [`is_full`](Self::is_full) first is
    /// not lost.
    pub(super) fn push(&mut self, block: Block<'p>) {
        let _is_pushed = self.0.insert(0, block);
    }
}
