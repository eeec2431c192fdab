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

use simoom_ring::{Frame, FramePool, FrameQueue};

use crate::config::{FRAMES_RESERVED, MERGE_MAX, RCV_WND_MAX};
use crate::counters::DropReason;
use crate::tcp::gaps::{GapIdx, Gaps};
use crate::tcp::seqnum::{SeqNum, WndScale};

/// Receive sequence space and what lies in it.
#[derive(Debug)]
pub(crate) struct Rcv<'p> {
    /// RCV.NXT.
    pub(crate) nxt: SeqNum,
    /// The right edge last advertised: RCV.NXT + RCV.WND at that time. It never moves back.
    pub(crate) adv: SeqNum,
    /// Rcv.Wind.Shift.
    pub(crate) wscale: WndScale,
    /// The largest segment that we accept.
    pub(crate) rmss: u16,
    /// In order, not taken by the application.
    pub(crate) queue: FrameQueue<'p>,
    /// What has come behind a gap.
    pub(crate) gap: GapIdx,
}

/// What became of arriving bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// RCV.NXT has moved.
    InOrder,
    /// They wait for a gap to close.
    OutOfOrder,
    /// They must come again.
    Dropped(DropReason),
}

impl<'p> Rcv<'p> {
    pub(crate) fn new(pool: &'p FramePool<'p>, rmss: u16) -> Self {
        Self {
            nxt: SeqNum(0),
            adv: SeqNum(0),
            wscale: WndScale::ZERO,
            rmss,
            queue: FrameQueue::new(pool),
            gap: GapIdx::NONE,
        }
    }

    /// RCV.WND: what the far side may send.
    #[inline]
    pub(crate) fn wnd(&self) -> u32 {
        self.adv.bytes_since(self.nxt)
    }

    /// The window that could be advertised now: no more than the frames that exist can hold, never
    /// less than was promised, and not by little more where little is open (RFC 9293 3.8.6.2.2).
    pub(crate) fn window(&self, pool: &FramePool<'_>) -> u32 {
        let frames = pool.free_cnt().saturating_sub(FRAMES_RESERVED) / 2;
        let in_frames = frames.saturating_mul(self.rmss.into());
        let queued = u32::try_from(self.queue.byte_len()).unwrap_or(u32::MAX);
        let promised = self.wnd();
        let window = RCV_WND_MAX
            .saturating_sub(queued)
            .min(in_frames)
            .max(promised);
        let is_little = window.saturating_sub(promised) < self.rmss.into();
        // With much open, its sender fills segments whatever the edge.
        if is_little && window < RCV_WND_MAX / 2 {
            return promised;
        }
        window
    }

    /// Whether a new window is worth a segment of its own (RFC 9293 3.8.6.2.2): it has moved by
    /// two segments or by half of what there can be.
    pub(crate) fn window_opened(&self, pool: &FramePool<'_>) -> bool {
        let opened = self.window(pool).saturating_sub(self.wnd());
        opened >= (2 * u32::from(self.rmss)).min(RCV_WND_MAX / 2)
    }

    /// Takes a frame of payload that begins at `seq` and lies within the window.
    #[inline]
    pub(crate) fn keep(&mut self, frame: Frame<'p>, seq: SeqNum, gaps: &mut Gaps<'p>) -> Kept {
        if frame.pool().free_cnt() < FRAMES_RESERVED {
            return Kept::Dropped(DropReason::TcpNoMemory);
        }
        if seq.after(self.nxt) {
            return gaps.keep(&mut self.gap, frame, seq);
        }
        gaps.duplicated(seq, self.nxt);
        let (nxt, end) = (self.nxt, seq + frame.len() as u32);
        self.append(frame, seq);
        if self.gap.is_some() {
            gaps.duplicated_in_gap(self.gap, nxt, end);
            self.close_gap(gaps);
        }
        Kept::InOrder
    }

    /// Queues what the gap that was just filled has kept apart.
    fn close_gap(&mut self, gaps: &mut Gaps<'p>) {
        // Each round takes a frame out of a finite queue.
        while let Some((frame, seq)) = gaps.pop(&mut self.gap, self.nxt) {
            if (seq + frame.len() as u32).after(self.nxt) {
                self.append(frame, seq);
            }
        }
    }

    /// Queues what is new of a frame that begins at or before RCV.NXT.
    fn append(&mut self, mut frame: Frame<'p>, seq: SeqNum) {
        frame.pull(self.nxt.bytes_since(seq) as usize);
        self.nxt += frame.len() as u32;
        self.queue_in_order(frame);
    }

    /// Puts bytes behind what the application has not taken.
    fn queue_in_order(&mut self, frame: Frame<'p>) {
        // A copy for small segments: it frees the frame that they came in, so that small segments
        // cannot use up the pool.
        if frame.len() <= MERGE_MAX && self.queue.append_to_last(frame.bytes()).is_ok() {
            return;
        }
        if !frame.is_empty() {
            self.queue.push_back(frame, 0);
        }
    }

    /// Moves bytes of the second frame behind those of the first, for an application that wants
    /// more of them together than the first frame has. True when it now sees more.
    pub(crate) fn join_front(&mut self) -> bool {
        if self.queue.frames() < 2 {
            return false;
        }
        let (Some(mut first), Some(mut second)) = (self.queue.pop_front(), self.queue.pop_front())
        else {
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
            self.queue.push_front(second, 0);
        }
        self.queue.push_front(first, 0);
        joined
    }
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
