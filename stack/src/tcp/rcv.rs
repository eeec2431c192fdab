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

use simoom_ring::{Frame, FramePool, FrameQueue};

use crate::config::{FRAMES_RESERVED, MERGE_FRAMES, MERGE_MAX, MSS_DEFAULT};
use crate::counters::DropReason;
use crate::tcp::budget::Budget;
use crate::tcp::gaps::{GapIdx, Gaps};
use crate::tcp::seqnum::{SeqNum, WndScale};

/// Receive sequence space and what lies in it.
#[derive(Debug)]
pub(crate) struct Rcv<'p> {
    /// RCV.NXT.
    pub(crate) nxt: SeqNum,
    /// The right edge last advertised: RCV.NXT + RCV.WND at that time. It never moves back.
    pub(crate) adv: SeqNum,
    /// In order, not taken by the application.
    pub(crate) queue: FrameQueue<'p>,
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
    pub(crate) fn new(pool: &'p FramePool<'p>) -> Self {
        Self {
            nxt: SeqNum(0),
            adv: SeqNum(0),
            queue: FrameQueue::new(pool),
            turn_seq: SeqNum(0),
            turn_at: 0,
            full_len: MSS_DEFAULT,
            gap: GapIdx::NONE,
            wscale: None,
            growth: 0,
            quick_acks: 0,
            is_receiver: false,
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
        if has_none || (budget.is_short() && self.frames(gaps) >= budget.share()) {
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

    /// Frames that the connection holds.
    pub(crate) fn frames(&self, gaps: &Gaps<'p>) -> u32 {
        let frames = self.queue.frames().saturating_add(gaps.frames(self.gap));
        u32::try_from(frames).unwrap_or(u32::MAX)
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
        let nxt = self.nxt;
        self.nxt += frame.len() as u32;
        if !frame.is_empty() {
            push_or_merge(&mut self.queue, frame, nxt);
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

/// Puts a frame behind others whose bytes it follows, or copies its bytes into the last of them.
/// False when it was copied.
///
/// A copy is for small segments, and for any that fit once some frames wait: it frees the frame
/// that they came in. So no two frames in a row hold less than one could, and what is promised in
/// bytes is kept in twice the frames of full segments, whoever sends.
pub(crate) fn push_or_merge<'p>(queue: &mut FrameQueue<'p>, frame: Frame<'p>, seq: SeqNum) -> bool {
    let do_merge = frame.len() <= MERGE_MAX || queue.frames() >= MERGE_FRAMES;
    if do_merge && queue.append_to_last(frame.bytes()).is_ok() {
        return false;
    }
    queue.push_back(frame, seq.0);
    true
}

#[cfg(test)]
mod tests;
