//! What has come in behind a gap: one entry of a bounded table for each connection that has a gap
//! now, and what is told of it by selective acknowledgments (RFC 2018, RFC 2883).
//!
//! ```text
//!     RCV.NXT                                                      right edge
//!   ────┤ gap  ├──── block ────┤ gap ├─ block ─┤ gap          FIN │
//!              │ frame │ frame │     │ frame   │
//! ```
//!
//! A connection that receives in order has no entry, only a [`GapIdx`] that says so. A segment
//! finds its place by looking at the blocks, of which there are at most
//! [`OUT_OF_ORDER_BLOCKS_MAX`](crate::config::OUT_OF_ORDER_BLOCKS_MAX), and not at their frames.
//!
//! What is kept here may be given up again at any time: it has not been acknowledged (RFC 2018 8),
//! and comes again.

mod blocks;
mod sizes;

use managed::ManagedSlice;
use simoom_ring::{Frame, FrameQueue};

use self::blocks::{Block, Blocks};
use self::sizes::{Link, Sizes};
use crate::config::OUT_OF_ORDER_FRAMES_MAX;
use crate::counters::DropReason;
use crate::tcp::rcv::{Kept, push_or_merge};
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

    /// The place in the table; out of range for none.
    fn get(self) -> usize {
        if self.is_some() {
            self.0.into()
        } else {
            usize::MAX
        }
    }
}

/// The memory of one connection's gaps.
#[derive(Debug, Default)]
pub struct GapEntry<'p> {
    blocks: Blocks<'p>,
    /// Frames in all of them.
    frames: u16,
    /// Where their FIN is, once it has come.
    fin: Option<SeqNum>,
    /// Whose it is.
    conn: u32,
    link: Link,
    next_free: Option<u16>,
}

/// The table, and what it has to know of the segment in hand.
#[derive(Debug)]
pub(crate) struct Gaps<'p> {
    entries: ManagedSlice<'p, GapEntry<'p>>,
    free_first: Option<u16>,
    cnt: usize,
    sizes: Sizes,
    /// Which connection the segment in hand is for.
    conn: u32,
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
            sizes: Sizes::new(),
            conn: u32::MAX,
            duplicate: None,
        }
    }

    /// Connections that have a gap.
    pub(crate) fn cnt(&self) -> usize {
        self.cnt
    }

    #[inline]
    fn get(&self, at: GapIdx) -> Option<&GapEntry<'p>> {
        self.entries.get(at.get())
    }

    fn get_mut(&mut self, at: GapIdx) -> Option<&mut GapEntry<'p>> {
        self.entries.get_mut(at.get())
    }

    /// The connection's entry, a new one if it had none; `None` when the table is full.
    fn get_or_take(&mut self, at: &mut GapIdx) -> Option<&mut GapEntry<'p>> {
        if !at.is_some() {
            let idx = self.free_first?;
            self.free_first = self.entries.get_mut(usize::from(idx))?.next_free.take();
            self.cnt += 1;
            *at = GapIdx(idx);
            let conn = self.conn;
            self.entries.get_mut(usize::from(idx))?.conn = conn;
        }
        self.get_mut(*at)
    }

    /// Gives a connection's entry back, and all that is in it.
    pub(crate) fn release(&mut self, at: &mut GapIdx) {
        let (gone, next_free) = (*at, self.free_first);
        self.sizes.set(&mut self.entries, gone, 0);
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
    #[inline]
    pub(crate) fn frames(&self, at: GapIdx) -> usize {
        self.get(at).map_or(0, |entry| entry.frames.into())
    }

    /// Keeps a frame of payload that begins at `seq`, behind RCV.NXT.
    pub(crate) fn keep(&mut self, at: &mut GapIdx, frame: Frame<'p>, seq: SeqNum) -> Kept {
        let Some(entry) = self.get_or_take(at) else {
            return Kept::Dropped(DropReason::TcpGapsFull);
        };
        let (kept, duplicate) = entry.keep(frame, seq);
        let (is_empty, frames) = (entry.is_empty(), entry.frames);
        self.duplicate = self.duplicate.or(duplicate);
        if is_empty {
            self.release(at);
        } else {
            self.sizes.set(&mut self.entries, *at, frames);
        }
        kept
    }

    /// Takes out a frame that begins at `nxt` or before, with its sequence number. Once there is no
    /// such frame, the entry is given back when nothing is left.
    pub(crate) fn pop(&mut self, at: &mut GapIdx, nxt: SeqNum) -> Option<(Frame<'p>, SeqNum)> {
        let entry = self.get_mut(*at)?;
        let popped = entry.pop(nxt);
        let frames = entry.frames;
        if popped.is_none() {
            entry.fin = entry.fin.filter(|fin| !fin.before(nxt));
            if entry.is_empty() {
                self.release(at);
            }
        }
        // An entry that has been given back is in no list, and stays so.
        self.sizes.set(&mut self.entries, *at, frames);
        popped
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

    /// A segment for this connection comes in.
    #[inline]
    pub(crate) fn segment_arrives(&mut self, conn: u32) {
        self.conn = conn;
        self.duplicate = None;
    }

    /// The connection that holds most, or more than half of that.
    pub(crate) fn largest(&self) -> Option<u32> {
        Some(self.get(self.sizes.largest()?)?.conn)
    }

    /// The segment in hand has been answered, or cannot be.
    pub(crate) fn forget_duplicate(&mut self) {
        self.duplicate = None;
    }

    /// RFC 2883 4: what of `[left, right)`, in order by now, was there already behind the gap.
    pub(crate) fn duplicated_in_gap(&mut self, at: GapIdx, left: SeqNum, right: SeqNum) {
        let first = self
            .get(at)
            .and_then(|entry| entry.blocks.first_after(left));
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
            for &Block { left, right, .. } in entry.blocks.iter() {
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
        self.blocks.is_empty() && self.fin.is_none()
    }

    /// Keeps what is new of a frame, or that part of it which lies before the next block. Says
    /// what was there already.
    fn keep(&mut self, mut frame: Frame<'p>, seq: SeqNum) -> (Kept, Option<SackBlock>) {
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
    fn pop(&mut self, nxt: SeqNum) -> Option<(Frame<'p>, SeqNum)> {
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

#[cfg(test)]
mod tests;
