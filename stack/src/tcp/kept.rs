//! Received bytes that are kept, in the frames that they came in.

use simoom_ring::{Frame, FrameQueue};

use crate::config::{MERGE_FRAMES, MERGE_MAX};
use crate::counters::DropReason;
use crate::tcp::seqnum::SeqNum;

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
