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

use crate::config::{FRAMES_RESERVED, OUT_OF_ORDER_FRAMES_MAX, RCV_WND_MAX};
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
    /// Out of order, each tagged with its sequence number.
    pub(crate) out_of_order: FrameQueue<'p>,
}

/// What became of arriving bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// RCV.NXT has moved.
    InOrder,
    /// They wait for a gap to close.
    OutOfOrder,
    /// No frame may be kept.
    NoMemory,
}

impl<'p> Rcv<'p> {
    pub(crate) fn new(pool: &'p FramePool<'p>, rmss: u16) -> Self {
        let queue = || FrameQueue::new(pool);
        Self {
            nxt: SeqNum(0),
            adv: SeqNum(0),
            wscale: WndScale::ZERO,
            rmss,
            queue: queue(),
            out_of_order: queue(),
        }
    }

    /// RCV.WND: what the far side may send.
    #[inline]
    pub(crate) fn wnd(&self) -> u32 {
        self.adv.bytes_since(self.nxt)
    }

    /// The window that could be advertised now: no more than the frames that exist can hold, and
    /// never less than was promised.
    pub(crate) fn window(&self, pool: &FramePool<'_>) -> u32 {
        let frames = pool.free_cnt().saturating_sub(FRAMES_RESERVED) / 2;
        let in_frames = frames.saturating_mul(self.rmss.into());
        let queued = u32::try_from(self.queue.byte_len()).unwrap_or(u32::MAX);
        RCV_WND_MAX
            .saturating_sub(queued)
            .min(in_frames)
            .max(self.wnd())
    }

    /// Whether a new window is worth a segment of its own (RFC 9293 3.8.6.2.2): it has moved by
    /// two segments or by half of what there can be.
    pub(crate) fn window_opened(&self, pool: &FramePool<'_>) -> bool {
        let opened = self.window(pool).saturating_sub(self.wnd());
        opened >= (2 * u32::from(self.rmss)).min(RCV_WND_MAX / 2)
    }

    /// Takes a frame of payload that begins at `seq` and lies within the window.
    pub(crate) fn keep(&mut self, frame: Frame<'p>, seq: SeqNum) -> Kept {
        if frame.pool().free_cnt() < FRAMES_RESERVED {
            return Kept::NoMemory;
        }
        if seq.after(self.nxt) {
            return self.keep_out_of_order(frame, seq);
        }
        self.append(frame, seq);
        while let Some((tag, len)) = self.out_of_order.front() {
            let seq = SeqNum(tag);
            if seq.after(self.nxt) {
                break;
            }
            let Some(frame) = self.out_of_order.pop_front() else {
                break;
            };
            if (seq + len as u32).after(self.nxt) {
                self.append(frame, seq);
            }
        }
        Kept::InOrder
    }

    fn keep_out_of_order(&mut self, frame: Frame<'p>, seq: SeqNum) -> Kept {
        let end = seq + frame.len() as u32;
        let covers = |(tag, len): (u32, usize)| {
            let other = SeqNum(tag);
            !seq.before(other) && !end.after(other + len as u32)
        };
        if self.out_of_order.iter().any(covers) {
            return Kept::OutOfOrder;
        }
        if self.out_of_order.frames() >= OUT_OF_ORDER_FRAMES_MAX {
            return Kept::NoMemory;
        }
        self.out_of_order
            .insert(frame, seq.0, |other| !SeqNum(other).after(seq));
        Kept::OutOfOrder
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

/// Payload up to this length is moved together with what is queued already.
const MERGE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_all_home, pool};
    use std::vec::Vec;

    const START: SeqNum = SeqNum(u32::MAX - 100);

    fn rcv(pool: &'static FramePool<'static>) -> Rcv<'static> {
        let mut rcv = Rcv::new(pool, 1_460);
        rcv.nxt = START;
        rcv.adv = START;
        rcv.adv = START + rcv.window(pool);
        rcv
    }

    /// The bytes of the stream from `offset` on: each tells its own place.
    fn stream(offset: u32, len: u32) -> Vec<u8> {
        (offset..offset + len).map(|at| (at % 253) as u8).collect()
    }

    fn keep(rcv: &mut Rcv<'static>, offset: u32, len: u32) -> Kept {
        let mut frame = TEST_POOL.with(|pool| pool.alloc(54)).unwrap();
        frame.append(&stream(offset, len)).unwrap();
        rcv.keep(frame, START + offset)
    }

    fn taken(rcv: &mut Rcv<'static>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(frame) = rcv.queue.pop_front() {
            bytes.extend(frame.bytes());
        }
        bytes
    }

    std::thread_local! {
        static TEST_POOL: &'static FramePool<'static> = pool(200);
    }

    /// All orders of four overlapping pieces: the stream comes out whole, once.
    #[test]
    fn any_order_and_overlap_gives_the_stream() {
        let pool = TEST_POOL.with(|pool| *pool);
        let pieces = [(0, 700), (500, 500), (900, 400), (100, 300)];
        for permutation in 0..4_u32.pow(4) {
            let mut rcv = rcv(pool);
            for i in 0..4 {
                let (offset, len) = pieces[(permutation / 4_u32.pow(i) % 4) as usize];
                if rcv.nxt.before(START + offset + len) {
                    assert_ne!(keep(&mut rcv, offset, len), Kept::NoMemory);
                }
            }
            for (offset, len) in pieces {
                if rcv.nxt.before(START + offset + len) {
                    keep(&mut rcv, offset, len);
                }
            }
            assert_eq!(rcv.nxt, START + 1_300);
            assert!(rcv.out_of_order.is_empty());
            assert_eq!(taken(&mut rcv), stream(0, 1_300));
        }
        assert_all_home(pool);
    }

    #[test]
    fn small_segments_share_a_frame() {
        let pool = TEST_POOL.with(|pool| *pool);
        let mut rcv = rcv(pool);
        for offset in 0..1_000 {
            keep(&mut rcv, offset, 1);
        }
        assert_eq!(rcv.queue.frames(), 1);
        assert_eq!(taken(&mut rcv), stream(0, 1_000));
    }

    #[test]
    fn out_of_order_frames_are_bounded() {
        let pool = TEST_POOL.with(|pool| *pool);
        let mut rcv = rcv(pool);
        for n in 0..OUT_OF_ORDER_FRAMES_MAX as u32 {
            assert_eq!(keep(&mut rcv, 10 + 10 * n, 5), Kept::OutOfOrder);
        }
        assert_eq!(keep(&mut rcv, 5_000, 5), Kept::NoMemory);
        assert_eq!(keep(&mut rcv, 10, 4), Kept::OutOfOrder, "known already");
        assert_eq!(rcv.out_of_order.frames(), OUT_OF_ORDER_FRAMES_MAX);
    }

    #[test]
    fn frames_are_joined_as_far_as_they_fit() {
        let pool = TEST_POOL.with(|pool| *pool);
        let mut rcv = rcv(pool);
        keep(&mut rcv, 0, 1_460);
        assert!(!rcv.join_front());
        keep(&mut rcv, 1_460, 1_460);
        assert!(rcv.join_front());
        let (_, len) = rcv.queue.front().unwrap();
        assert_eq!((len, rcv.queue.byte_len()), (2_048 - 54, 2_920));
        assert!(!rcv.join_front(), "the first frame is full");
        assert_eq!(taken(&mut rcv), stream(0, 2_920));
    }

    #[test]
    fn the_window_follows_the_frames_that_exist() {
        let small = pool(FRAMES_RESERVED as usize + 20);
        let mut rcv = Rcv::new(small, 1_000);
        assert_eq!(rcv.window(small), 10_000);
        rcv.adv = rcv.nxt + rcv.window(small);
        let held: Vec<_> = (0..19).map(|_| small.alloc(0).unwrap()).collect();
        assert_eq!(rcv.window(small), 10_000, "a promise is kept");
        drop(held);
        rcv.nxt += 10_000;
        assert!(rcv.window_opened(small));
    }
}
