//! What a connection keeps between requests, and what comes of the bytes that it brings.

use super::chunked::Chunks;
use crate::message::Status;

/// What a connection keeps between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    pub(super) state: State,
    pub(super) answered_cnt: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A head is expected. Its first `searched` bytes were offered before and do not decide it.
    Head { searched: u32 },
    /// A request body is thrown away.
    Body { left: u32 },
    /// A request body is thrown away, in chunks.
    Chunked(Chunks),
    /// The last answer was given.
    Closed,
}

impl State {
    /// Between two requests.
    pub(super) const HEAD: Self = Self::Head { searched: 0 };
}

const _: () = assert!(size_of::<Exchange>() <= 20);

impl Exchange {
    /// The state of a connection that was just opened.
    pub const NEW: Self = Self {
        state: State::HEAD,
        answered_cnt: 0,
    };

    /// Whether a request has begun to arrive and has not been answered.
    #[must_use]
    pub fn is_within_head(&self) -> bool {
        matches!(self.state, State::Head { searched } if searched > 0)
    }

    /// Whether the last answer of the connection was given.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A request was answered by what was prepared, and the connection `closes` with that or not.
    #[inline]
    pub(crate) fn count_prepared(&mut self, closes: bool) {
        // Fewer than there may be.
        self.answered_cnt += 1;
        if closes {
            self.state = State::Closed;
        }
    }

    /// Answers given.
    #[must_use]
    pub fn answered_cnt(&self) -> u32 {
        self.answered_cnt
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::NEW
    }
}

/// What came of the bytes offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Not a whole head yet. Nothing is taken: the same bytes are to be offered again with more
    /// behind them.
    NeedMore,
    /// The first `consumed` bytes need no answer. None left to take when 0. If the exchange is
    /// closed after it, a request body was malformed: the connection is to be closed.
    Taken {
        /// Bytes to drop.
        consumed: usize,
    },
    /// A request and its answer.
    Answer(Answer),
}

/// An answer: `head_len` bytes of the head memory, then `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Bytes of the request, to drop.
    pub consumed: usize,
    /// Bytes written to the head memory. 0 when it is shorter than [`HEAD_LEN_MIN`] and the
    /// answer did not fit: then nothing can be sent but the close.
    ///
    /// [`HEAD_LEN_MIN`]: super::HEAD_LEN_MIN
    pub head_len: usize,
    /// What follows the head; empty for HEAD and 304.
    pub body: &'static [u8],
    /// What follows the head comes from the [`Parts`](super::Parts), piece by piece.
    pub has_parts: bool,
    /// It would have had parts, but there was no memory for them.
    pub lacks_parts: bool,
    /// The connection is to be closed when all is sent.
    pub close: bool,
    /// For counters and logs.
    pub status: Status,
}
