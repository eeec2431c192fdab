//! The receive side of a connection: what has come in and is not taken yet.
//!
//! ```text
//!        taken by the application    RCV.NXT               right edge last advertised
//!   ───────────────┬────────────────────┬──────────────────────┐
//!                  │ in order, queued   │ gap │ out of order   │
//!   ───────────────┴────────────────────┴──────────────────────┘
//! ```
//!
//! Bytes stay in the frames that they came in. A queue of many small segments is the exception:
//! their bytes are moved together, so that a frame is never held for a few bytes.

mod window;

use core::marker::PhantomData;

use simoom_ring::{Frame, FramePool, FrameQueue, Parked};

use crate::config::{FRAMES_RESERVED, MSS_DEFAULT};
use crate::counters::DropReason;
use crate::tcp::budget::Budget;
use crate::tcp::gaps::{GapIdx, Gaps};
use crate::tcp::kept::{Kept, push_or_merge};
use crate::tcp::seqnum::{SeqNum, WndScale};

/// Receive sequence space and what lies in it.
#[derive(Debug)]
pub(crate) struct Rcv<'p> {
    /// RCV.NXT.
    pub(crate) nxt: SeqNum,
    /// The right edge last advertised: RCV.NXT + RCV.WND at that time. It never moves back.
    pub(crate) adv: SeqNum,
    /// In order, not taken by the application: parked in the pool, since nearly always there is
    /// nothing.
    unread: Parked,
    /// The round-trip time that is measured over began when the application had taken what lies
    /// before this, at this time in microseconds.
    turn_seq: SeqNum,
    turn_at: u32,
    /// The payload of their full segments, as seen.
    pub(crate) full_len: u16,
    /// What has come behind a gap.
    pub(crate) gap: GapIdx,
    /// Rcv.Wind.Shift: offered, then agreed on.
    pub(crate) wscale: Option<WndScale>,
    /// How often the window has doubled.
    growth: u8,
    /// Segments that are acknowledged at once, from here on.
    pub(crate) quick_acks: u8,
    /// It is counted as one that holds received data.
    pub(crate) is_receiver: bool,
    pool: PhantomData<&'p FramePool<'p>>,
}

impl<'p> Rcv<'p> {
    pub(crate) fn new() -> Self {
        Self {
            nxt: SeqNum(0),
            adv: SeqNum(0),
            unread: Parked::EMPTY,
            turn_seq: SeqNum(0),
            turn_at: 0,
            full_len: MSS_DEFAULT,
            gap: GapIdx::NONE,
            wscale: None,
            growth: 0,
            quick_acks: 0,
            is_receiver: false,
            pool: PhantomData,
        }
    }

    /// Takes a frame of payload that begins at `seq` and lies within the window.
    #[inline]
    pub(crate) fn keep(
        &mut self,
        frame: Frame<'p>,
        seq: SeqNum,
        gaps: &mut Gaps<'p>,
        budget: Budget<'p>,
    ) -> Kept {
        let has_none = budget.pool.free_cnt() < FRAMES_RESERVED;
        if has_none || (budget.is_short() && self.frames(gaps, budget.pool) >= budget.share()) {
            return Kept::Dropped(DropReason::TcpNoMemory);
        }
        if seq.after(self.nxt) {
            return gaps.keep(&mut self.gap, frame, seq);
        }
        gaps.duplicated(seq, self.nxt);
        let (nxt, end) = (self.nxt, seq + frame.len() as u32);
        self.append(frame, seq, budget.pool);
        if self.gap.is_some() {
            gaps.duplicated_in_gap(self.gap, nxt, end);
            self.close_gap(gaps, budget.pool);
        }
        Kept::InOrder
    }

    /// Frames that the connection holds.
    pub(crate) fn frames(&self, gaps: &Gaps<'p>, pool: &'p FramePool<'p>) -> u32 {
        let unread = pool.parked_frames(self.unread);
        let frames = unread.saturating_add(gaps.frames(self.gap));
        u32::try_from(frames).unwrap_or(u32::MAX)
    }

    /// Queues what the gap that was just filled has kept apart.
    fn close_gap(&mut self, gaps: &mut Gaps<'p>, pool: &'p FramePool<'p>) {
        // Each round takes a frame out of a finite queue.
        while let Some((frame, seq)) = gaps.pop(&mut self.gap, self.nxt) {
            if (seq + frame.len() as u32).after(self.nxt) {
                self.append(frame, seq, pool);
            }
        }
    }

    /// Queues what is new of a frame that begins at or before RCV.NXT.
    fn append(&mut self, mut frame: Frame<'p>, seq: SeqNum, pool: &'p FramePool<'p>) {
        frame.pull(self.nxt.bytes_since(seq) as usize);
        let nxt = self.nxt;
        self.nxt += frame.len() as u32;
        if !frame.is_empty() {
            self.with_unread(pool, |queue| push_or_merge(queue, frame, nxt));
        }
    }

    /// Moves bytes of the second frame behind those of the first, for an application that wants
    /// more of them together than the first frame has. True when it now sees more.
    pub(crate) fn join_front(&mut self, pool: &'p FramePool<'p>) -> bool {
        self.with_unread(pool, join_front)
    }

    /// Whether the application has taken all.
    #[inline]
    pub(crate) fn is_all_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Bytes that the application has not taken.
    #[inline]
    pub(crate) fn unread_len(&self, pool: &'p FramePool<'p>) -> usize {
        pool.parked_len(self.unread)
    }

    /// Takes out the first frame that the application has not taken.
    #[inline]
    pub(crate) fn pop_unread(&mut self, pool: &'p FramePool<'p>) -> Option<Frame<'p>> {
        self.with_unread(pool, FrameQueue::pop_front)
    }

    /// Puts back what is left of it.
    pub(crate) fn put_back(&mut self, frame: Frame<'p>) {
        let pool = frame.pool();
        self.with_unread(pool, |queue| queue.push_front(frame, 0));
    }

    /// Sends all of them home.
    #[inline]
    pub(crate) fn forget_unread(&mut self, pool: &'p FramePool<'p>) {
        if !self.is_all_read() {
            self.with_unread(pool, FrameQueue::clear);
        }
    }

    #[inline]
    fn with_unread<R>(
        &mut self,
        pool: &'p FramePool<'p>,
        act: impl FnOnce(&mut FrameQueue<'p>) -> R,
    ) -> R {
        let mut queue = pool.unpark(self.unread);
        let done = act(&mut queue);
        self.unread = queue.park();
        done
    }
}

fn join_front(queue: &mut FrameQueue<'_>) -> bool {
    if queue.frames() < 2 {
        return false;
    }
    let (Some(mut first), Some(mut second)) = (queue.pop_front(), queue.pop_front()) else {
        return false;
    };
    // A copy: a request that straddles frames, as few do.
    if first.tailroom() == 0 {
        move_to_start(&mut first);
    }
    let fitting = second.len().min(first.tailroom());
    let joined = fitting > 0 && first.append(&second.bytes()[..fitting]).is_ok();
    if joined {
        second.pull(fitting);
    }
    if !second.is_empty() {
        queue.push_front(second, 0);
    }
    queue.push_front(first, 0);
    joined
}

/// Makes room behind the bytes of a frame that is filled up to its end and read in part.
fn move_to_start(frame: &mut Frame<'_>) {
    let (start, len) = (frame.headroom(), frame.len());
    if frame.push(start).is_ok() {
        frame.bytes_mut().copy_within(start.., 0);
        frame.trim(len);
    }
}

#[cfg(test)]
mod tests;
