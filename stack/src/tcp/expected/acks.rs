//! Acknowledgments that come one behind the other in a burst, and say nothing else: they are
//! written down, and taken together behind the last.
//!
//! ```text
//!   flight     │ node: sent at t1       │ node: sent at t2                  │
//!                   ▲     ▲     ▲    ▲        ▲     ▲
//!   acks            1     2     3    4        5     6
//!              └── one step ─────┘ └one┘ └─ one step ┘
//! ```
//!
//! What acknowledgments within one range of the flight have measured is the same, so that they are
//! one step there; the round trips and congestion control count each of them. Nothing goes out
//! before the burst is over, and whatever else comes takes them first: taken together they leave
//! what they would have left one by one.

use crate::tcp::seqnum::SeqNum;

/// What waits.
pub(in crate::tcp) struct Acks {
    ends: [SeqNum; ACKS_MAX],
    cnt: usize,
    /// Bytes of the frames.
    frames_len: u64,
    /// One past the last byte sent.
    max: SeqNum,
    /// What is the same in all of them.
    said: Said,
}

impl Acks {
    pub(in crate::tcp) const NONE: Self = Self {
        ends: [SeqNum(0); ACKS_MAX],
        cnt: 0,
        frames_len: 0,
        max: SeqNum(0),
        said: Said {
            seq: [0; 4],
            wnd: [0; 2],
            val: [0; 4],
        },
    };

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.cnt == 0
    }

    /// Writes the first down: an acknowledgment of new data on a connection that has sent up to
    /// `max`.
    #[inline(always)]
    pub(super) fn begin(&mut self, (ack, max): (SeqNum, SeqNum), said: Said, frame_len: usize) {
        if let Some(first) = self.ends.first_mut() {
            *first = ack;
            self.cnt = 1;
        }
        self.frames_len = frame_len as u64;
        self.max = max;
        self.said = said;
    }

    /// Writes another one down, if it acknowledges more than the last and says nothing else, and if
    /// there is room.
    #[inline(always)]
    pub(super) fn add(&mut self, ack: SeqNum, said: Said, frame_len: usize) -> bool {
        let last = self.cnt.checked_sub(1).and_then(|last| self.ends.get(last));
        let Some(&last) = last else {
            return false;
        };
        let to_ack = ack.0.wrapping_sub(last.0);
        let is_new = to_ack != 0 && to_ack <= self.max.0.wrapping_sub(last.0);
        match self.ends.get_mut(self.cnt) {
            Some(end) if is_new && said == self.said => {
                *end = ack;
                self.cnt += 1;
                self.frames_len += frame_len as u64;
                true
            }
            _ => false,
        }
    }

    /// Takes them: where each of them ends, and the bytes of their frames.
    #[inline]
    pub(super) fn take(&mut self) -> (&[SeqNum], u64) {
        let cnt = core::mem::take(&mut self.cnt);
        (self.ends.get(..cnt).unwrap_or_default(), self.frames_len)
    }
}

/// What a segment says beside what it acknowledges, as it lies in the frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) seq: [u8; 4],
    pub(super) wnd: [u8; 2],
    /// Its TSval.
    pub(super) val: [u8; 4],
}

/// As many as come in one burst.
const ACKS_MAX: usize = crate::config::BURST_MAX;
