//! The blocks of one connection's out-of-order data: a short list, the most recent first.

use simoom_ring::FrameIdx;

use crate::config::OUT_OF_ORDER_BLOCKS_MAX;
use crate::tcp::seqnum::SeqNum;

/// The bytes `[left, right)` are there, and none next to them on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) left: SeqNum,
    pub(super) right: SeqNum,
    /// The frame that holds the last of them.
    pub(super) last: FrameIdx,
}

/// Blocks that neither overlap nor touch.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    blocks: [Block; OUT_OF_ORDER_BLOCKS_MAX],
    cnt: u8,
}

impl Default for Blocks {
    fn default() -> Self {
        let nothing = Block {
            left: SeqNum(0),
            right: SeqNum(0),
            last: FrameIdx(u32::MAX),
        };
        Self {
            blocks: [nothing; OUT_OF_ORDER_BLOCKS_MAX],
            cnt: 0,
        }
    }
}

impl Blocks {
    /// The most recent first.
    pub(super) fn as_slice(&self) -> &[Block] {
        self.blocks.get(..usize::from(self.cnt)).unwrap_or_default()
    }

    pub(super) fn is_full(&self) -> bool {
        usize::from(self.cnt) == OUT_OF_ORDER_BLOCKS_MAX
    }

    /// The block that begins last of those that begin at `seq` or before.
    pub(super) fn last_at_or_before(&self, seq: SeqNum) -> Option<Block> {
        let before = self
            .as_slice()
            .iter()
            .filter(|block| !block.left.after(seq));
        before
            .copied()
            .reduce(|a, b| if a.left.after(b.left) { a } else { b })
    }

    /// The block that begins first of those that begin after `seq`.
    pub(super) fn first_after(&self, seq: SeqNum) -> Option<Block> {
        let after = self.as_slice().iter().filter(|block| block.left.after(seq));
        after
            .copied()
            .reduce(|a, b| if a.left.before(b.left) { a } else { b })
    }

    /// The block that begins first of those that begin at `seq` or after.
    pub(super) fn at_or_after(&self, seq: SeqNum) -> Option<Block> {
        self.first_after(seq - 1)
    }

    /// Makes the block that begins at `left` the most recent.
    pub(super) fn touch(&mut self, left: SeqNum) {
        let at = self.as_slice().iter().position(|block| block.left == left);
        if let Some(at) = at
            && let Some(blocks) = self.blocks.get_mut(..=at)
        {
            blocks.rotate_right(1);
        }
    }

    /// Adds a block, as the most recent; nothing happens when there is no room.
    pub(super) fn push(&mut self, block: Block) {
        if let Some(blocks) = self.blocks.get_mut(..=usize::from(self.cnt)) {
            blocks.rotate_right(1);
            blocks[0] = block;
            self.cnt += 1;
        }
    }

    /// Takes a block out.
    pub(super) fn remove(&mut self, gone: Option<Block>) {
        if let Some(gone) = gone {
            self.retain(|block| block.left != gone.left);
        }
    }

    /// Forgets the blocks that begin at `nxt` or before.
    pub(super) fn forget_before(&mut self, nxt: SeqNum) {
        self.retain(|block| block.left.after(nxt));
    }

    fn retain(&mut self, is_kept: impl Fn(&Block) -> bool) {
        let mut kept = 0;
        for at in 0..usize::from(self.cnt) {
            let block = self.blocks[at];
            if is_kept(&block) {
                self.blocks[kept] = block;
                kept += 1;
            }
        }
        // No more than there were.
        self.cnt = kept as u8;
    }
}

const _: () = assert!(OUT_OF_ORDER_BLOCKS_MAX <= u8::MAX as usize);
