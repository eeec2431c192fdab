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
mod entry;
mod sizes;

use managed::ManagedSlice;
use simoom_ring::Frame;

pub use self::entry::GapEntry;
pub(crate) use self::entry::GapIdx;
use self::sizes::Sizes;
use crate::counters::DropReason;
use crate::tcp::kept::Kept;
use crate::tcp::seqnum::SeqNum;
use crate::wire::tcp::{SackBlock, SackBlocks};

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

    /// Gives a connection's entry back, and all that is in it, if it has one.
    #[inline]
    pub(crate) fn release(&mut self, at: &mut GapIdx) {
        if at.is_some() {
            self.release_entry(at);
        }
    }

    fn release_entry(&mut self, at: &mut GapIdx) {
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
            for &blocks::Block { left, right, .. } in entry.blocks.iter() {
                if !sack.push(SackBlock { left, right }) {
                    break;
                }
            }
        }
        sack
    }
}

#[cfg(test)]
mod tests;
