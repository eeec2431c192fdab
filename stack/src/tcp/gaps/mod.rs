//! What has come in behind a gap: one entry of a bounded table for each connection that has a gap
//! now, and what is told of it by selective acknowledgments (RFC 2018, RFC 2883).
//!
//! ```text
//!     RCV.NXT                                                      right edge
//!   ────┤ gap  ├──── block ────┤ gap ├─ block ─┤ gap          FIN │
//!              │ frame │ frame │     │ frame   │
//!         queue: in sequence order; blocks: the most recent first
//! ```
//!
//! A connection that receives in order has no entry, only a [`GapIdx`] that says so. The frames
//! are in one queue in sequence order; each block knows its last frame, so a segment finds its
//! place by looking at the blocks alone, of which there are at most
//! [`OUT_OF_ORDER_BLOCKS_MAX`](crate::config::OUT_OF_ORDER_BLOCKS_MAX).
//!
//! What is kept here may be given up again at any time: it has not been acknowledged (RFC 2018 8),
//! and comes again.

mod blocks;

use managed::ManagedSlice;
use simoom_ring::{Frame, FramePool, FrameQueue};

use self::blocks::{Block, Blocks};
use crate::config::{MERGE_MAX, OUT_OF_ORDER_FRAMES_MAX};
use crate::counters::DropReason;
use crate::tcp::rcv::Kept;
use crate::tcp::seqnum::SeqNum;
use crate::wire::tcp::{SackBlock, SackBlocks};

/// Where a connection has its entry in the table of gaps, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GapIdx(u16);

impl GapIdx {
    /// The connection has no gap.
    pub(crate) const NONE: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// The memory of one connection's gaps.
#[derive(Debug, Default)]
pub struct GapEntry<'p> {
    /// Frames in sequence order, each tagged with its sequence number.
    queue: Option<FrameQueue<'p>>,
    blocks: Blocks,
    /// Where their FIN is, once it has come.
    fin: Option<SeqNum>,
    next_free: Option<u16>,
}

/// The table, and the duplicate that the segment in hand has brought.
#[derive(Debug)]
pub(crate) struct Gaps<'p> {
    entries: ManagedSlice<'p, GapEntry<'p>>,
    free_first: Option<u16>,
    cnt: usize,
    /// To be reported with the next acknowledgment, once (RFC 2883 4).
    duplicate: Option<SackBlock>,
}

impl<'p> Gaps<'p> {
    pub(crate) fn new(mut entries: ManagedSlice<'p, GapEntry<'p>>) -> Self {
        let len = u16::try_from(entries.len()).unwrap_or(GapIdx::NONE.0);
        for (idx, entry) in (0..len).zip(entries.iter_mut()) {
            entry.next_free = idx.checked_add(1).filter(|next| *next < len);
        }
        Self {
            entries,
            free_first: (len > 0).then_some(0),
            cnt: 0,
            duplicate: None,
        }
    }

    /// Connections that have a gap.
    pub(crate) fn cnt(&self) -> usize {
        self.cnt
    }

    #[inline]
    fn get(&self, at: GapIdx) -> Option<&GapEntry<'p>> {
        self.entries.get(usize::from(at.0)).filter(|_| at.is_some())
    }

    fn get_mut(&mut self, at: GapIdx) -> Option<&mut GapEntry<'p>> {
        let entry = self.entries.get_mut(usize::from(at.0));
        entry.filter(|_| at.is_some())
    }

    /// The connection's entry, a new one if it had none; `None` when the table is full.
    fn get_or_take(&mut self, at: &mut GapIdx) -> Option<&mut GapEntry<'p>> {
        if !at.is_some() {
            let idx = self.free_first?;
            self.free_first = self.entries.get_mut(usize::from(idx))?.next_free.take();
            self.cnt += 1;
            *at = GapIdx(idx);
        }
        self.get_mut(*at)
    }

    /// Gives a connection's entry back, and all that is in it.
    pub(crate) fn release(&mut self, at: &mut GapIdx) {
        let (gone, next_free) = (*at, self.free_first);
        if let Some(entry) = self.get_mut(gone) {
            *entry = GapEntry {
                next_free,
                ..GapEntry::default()
            };
            self.free_first = Some(gone.0);
            self.cnt -= 1;
        }
        *at = GapIdx::NONE;
    }

    /// Frames that a connection holds here.
    #[cfg(test)]
    pub(crate) fn frames(&self, at: GapIdx) -> usize {
        let queue = self.get(at).and_then(|entry| entry.queue.as_ref());
        queue.map_or(0, FrameQueue::frames)
    }

    /// Keeps a frame of payload that begins at `seq`, behind RCV.NXT.
    pub(crate) fn keep(&mut self, at: &mut GapIdx, frame: Frame<'p>, seq: SeqNum) -> Kept {
        let Some(entry) = self.get_or_take(at) else {
            return Kept::Dropped(DropReason::TcpGapsFull);
        };
        let (kept, duplicate) = entry.keep(frame, seq);
        let is_empty = entry.is_empty();
        self.duplicate = self.duplicate.or(duplicate);
        if is_empty {
            self.release(at);
        }
        kept
    }

    /// Takes out the first frame, with its sequence number, if that is not behind `nxt`. Once
    /// there is no such frame, what lies at or before `nxt` is forgotten, and the entry given back
    /// when nothing is left.
    pub(crate) fn pop(&mut self, at: &mut GapIdx, nxt: SeqNum) -> Option<(Frame<'p>, SeqNum)> {
        let entry = self.get_mut(*at)?;
        if let Some(queue) = &mut entry.queue
            && let Some((tag, _)) = queue.front()
            && !SeqNum(tag).after(nxt)
        {
            return Some((queue.pop_front()?, SeqNum(tag)));
        }
        entry.blocks.forget_before(nxt);
        entry.fin = entry.fin.filter(|fin| !fin.before(nxt));
        if entry.is_empty() {
            self.release(at);
        }
        None
    }

    /// Their FIN is at `seq`, behind a gap. False when the table is full: it must come again.
    pub(crate) fn keep_fin(&mut self, at: &mut GapIdx, seq: SeqNum) -> bool {
        let entry = self.get_or_take(at);
        let is_kept = entry.is_some();
        if let Some(entry) = entry {
            entry.fin = Some(seq);
        }
        is_kept
    }

    /// Whether their FIN came, and is next.
    pub(crate) fn is_fin(&self, at: GapIdx, nxt: SeqNum) -> bool {
        self.get(at).is_some_and(|entry| entry.fin == Some(nxt))
    }

    /// The segment in hand has brought `[left, right)` again.
    pub(crate) fn duplicated(&mut self, left: SeqNum, right: SeqNum) {
        if left.before(right) && self.duplicate.is_none() {
            self.duplicate = Some(SackBlock { left, right });
        }
    }

    /// The segment in hand has been answered, or cannot be.
    pub(crate) fn forget_duplicate(&mut self) {
        self.duplicate = None;
    }

    /// RFC 2883 4: what of `[left, right)`, in order by now, was there already behind the gap.
    pub(crate) fn duplicated_in_gap(&mut self, at: GapIdx, left: SeqNum, right: SeqNum) {
        let first = self
            .get(at)
            .and_then(|entry| entry.blocks.at_or_after(left));
        if let Some(first) = first {
            self.duplicated(first.left, first.right.min(right));
        }
    }

    /// Whether an acknowledgment has more to tell than RCV.NXT.
    #[inline]
    pub(crate) fn has_sack(&self, at: GapIdx) -> bool {
        at.is_some() || self.duplicate.is_some()
    }

    /// What an acknowledgment that goes out now tells: a duplicate first (RFC 2883 4), then the
    /// most recent blocks (RFC 2018 4). As many as an option can have.
    pub(crate) fn sack(&mut self, at: GapIdx) -> SackBlocks {
        let mut sack = SackBlocks::NONE;
        if let Some(duplicate) = self.duplicate.take() {
            sack.push(duplicate);
        }
        if let Some(entry) = self.get(at) {
            for &Block { left, right, .. } in entry.blocks.as_slice() {
                if !sack.push(SackBlock { left, right }) {
                    break;
                }
            }
        }
        sack
    }
}

impl<'p> GapEntry<'p> {
    fn is_empty(&self) -> bool {
        self.blocks.as_slice().is_empty() && self.fin.is_none()
    }

    /// Keeps what is new of a frame, or that part of it which lies before the next block. Says
    /// what was there already.
    fn keep(&mut self, mut frame: Frame<'p>, seq: SeqNum) -> (Kept, Option<SackBlock>) {
        let (mut left, mut right) = (seq, seq + frame.len() as u32);
        let mut duplicate = None;
        let previous = self.blocks.last_at_or_before(left);
        if let Some(previous) = previous {
            if !right.after(previous.right) {
                self.blocks.touch(previous.left);
                return (Kept::OutOfOrder, Some(SackBlock { left, right }));
            }
            if previous.right.after(left) {
                let end = previous.right;
                duplicate = Some(SackBlock { left, right: end });
                frame.pull(end.bytes_since(left) as usize);
                left = end;
            }
        }
        let next = self.blocks.first_after(left);
        if let Some(next) = next
            && right.after(next.left)
        {
            let end = right.min(next.right);
            duplicate = duplicate.or(Some(SackBlock {
                left: next.left,
                right: end,
            }));
            // What lies behind that block comes again.
            frame.trim(next.left.bytes_since(left) as usize);
            right = next.left;
        }
        let behind = previous.filter(|block| block.right == left);
        let ahead = next.filter(|block| block.left == right);
        if behind.is_none() && ahead.is_none() && self.blocks.is_full() {
            return (Kept::Dropped(DropReason::TcpNoMemory), duplicate);
        }
        let pool = frame.pool();
        let Some(last) = self.store(pool, frame, left, previous, behind.is_some()) else {
            return (Kept::Dropped(DropReason::TcpNoMemory), duplicate);
        };
        // One block where up to three have met.
        self.blocks.remove(behind);
        self.blocks.remove(ahead);
        self.blocks.push(Block {
            left: behind.map_or(left, |block| block.left),
            right: ahead.map_or(right, |block| block.right),
            last: ahead.map_or(last, |block| block.last),
        });
        (Kept::OutOfOrder, duplicate)
    }

    /// Puts a frame behind the last one of `previous`, or its bytes into that if they follow and
    /// are few. Returns the frame that they are in; `None` when no more frames may be kept.
    fn store(
        &mut self,
        pool: &'p FramePool<'p>,
        frame: Frame<'p>,
        seq: SeqNum,
        previous: Option<Block>,
        do_follow: bool,
    ) -> Option<simoom_ring::FrameIdx> {
        let queue = self.queue.get_or_insert_with(|| FrameQueue::new(pool));
        let previous = previous.map(|block| block.last);
        if let Some(last) = previous
            && do_follow
            && frame.len() <= MERGE_MAX
            && queue.append_to(last, frame.bytes()).is_ok()
        {
            return Some(last);
        }
        if queue.frames() >= OUT_OF_ORDER_FRAMES_MAX {
            return None;
        }
        Some(queue.insert_after(previous, frame, seq.0))
    }
}

#[cfg(test)]
mod tests;
