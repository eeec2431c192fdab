//! What one connection has received beyond a gap: blocks of frames.

use simoom_ring::{Frame, FrameQueue};

use super::blocks::{Block, Blocks};
use crate::config::OUT_OF_ORDER_FRAMES_MAX;
use crate::counters::DropReason;
use crate::tcp::kept::{Kept, push_or_merge};
use crate::tcp::seqnum::SeqNum;
use crate::wire::tcp::SackBlock;

/// Where a connection has its entry in the table of gaps, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GapIdx(pub(super) u16);

impl GapIdx {
    /// The connection has no gap.
    pub(crate) const NONE: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// The place in the table; out of range for none.
    pub(super) fn get(self) -> usize {
        if self.is_some() {
            self.0.into()
        } else {
            usize::MAX
        }
    }
}

/// Where an entry is in its list.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) previous: GapIdx,
    pub(super) next: GapIdx,
    /// The list; 0 is none: there is nothing to gain from who holds nothing.
    pub(super) list: u8,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            previous: GapIdx::NONE,
            next: GapIdx::NONE,
            list: 0,
        }
    }
}

/// The memory of one connection's gaps.
#[derive(Debug, Default)]
pub struct GapEntry<'p> {
    pub(super) blocks: Blocks<'p>,
    /// Frames in all of them.
    pub(super) frames: u16,
    /// Where their FIN is, once it has come.
    pub(super) fin: Option<SeqNum>,
    /// Whose it is.
    pub(super) conn: u32,
    pub(super) link: Link,
    pub(super) next_free: Option<u16>,
}

impl<'p> GapEntry<'p> {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.fin.is_none()
    }

    /// Keeps what is new of a frame, or that part of it which lies before the next block. Says
    /// what was there already.
    pub(super) fn keep(&mut self, mut frame: Frame<'p>, seq: SeqNum) -> (Kept, Option<SackBlock>) {
        let (mut left, mut right) = (seq, seq + frame.len() as u32);
        let mut duplicate = None;
        let (mut behind, mut ahead) = (None, None);
        if let Some(&Block {
            left: start,
            right: end,
            ..
        }) = self.blocks.last_at_or_before(left)
        {
            if !right.after(end) {
                if let Some(block) = self.blocks.take(start) {
                    self.blocks.push(block);
                }
                return (Kept::OutOfOrder, Some(SackBlock { left, right }));
            }
            if end.after(left) {
                duplicate = Some(SackBlock { left, right: end });
                frame.pull(end.bytes_since(left) as usize);
                left = end;
            }
            behind = (end == left).then_some(start);
        }
        if let Some(&Block {
            left: start,
            right: end,
            ..
        }) = self.blocks.first_after(left)
        {
            if right.after(start) {
                duplicate = duplicate.or(Some(SackBlock {
                    left: start,
                    right: right.min(end),
                }));
                // What lies behind that block comes again.
                frame.trim(start.bytes_since(left) as usize);
                right = start;
            }
            ahead = (start == right).then_some(start);
        }
        let is_alone = behind.is_none() && ahead.is_none();
        if self.is_full() || (is_alone && self.blocks.is_full()) {
            return (Kept::Dropped(DropReason::TcpNoMemory), duplicate);
        }
        // One block where up to three have met.
        let mut block = match behind.and_then(|start| self.blocks.take(start)) {
            Some(behind) => behind,
            None => Block {
                left,
                right: left,
                queue: FrameQueue::new(frame.pool()),
            },
        };
        block.right = right;
        self.frames += u16::from(push_or_merge(&mut block.queue, frame, left));
        if let Some(ahead) = ahead.and_then(|start| self.blocks.take(start)) {
            block.right = ahead.right;
            block.queue.append(ahead.queue);
        }
        self.blocks.push(block);
        (Kept::OutOfOrder, duplicate)
    }

    fn is_full(&self) -> bool {
        usize::from(self.frames) >= OUT_OF_ORDER_FRAMES_MAX
    }

    /// Takes a frame out of a block that begins at `nxt` or before.
    pub(super) fn pop(&mut self, nxt: SeqNum) -> Option<(Frame<'p>, SeqNum)> {
        let block = self.blocks.at_or_before_mut(nxt)?;
        let (tag, _) = block.queue.front()?;
        let frame = block.queue.pop_front()?;
        self.frames = self.frames.saturating_sub(1);
        if block.queue.is_empty() {
            let left = block.left;
            self.blocks.take(left);
        }
        Some((frame, SeqNum(tag)))
    }
}

const _: () = assert!(OUT_OF_ORDER_FRAMES_MAX < u16::MAX as usize);
