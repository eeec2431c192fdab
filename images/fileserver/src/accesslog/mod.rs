//! The access log: a line for each answer, in the combined format, on the console or to a syslog
//! server.
//!
//! ```text
//!   answer ─ record ─► places, each an answer and the head of its request: as it came,
//!                         │          or where it is kept, of one that is known
//!                         │ between two polls
//!                         ▼
//!                      line::write ─► console, as much as it takes ─┬─ or a datagram
//!                                                                   └─ RFC 5424
//! ```
//!
//! On the path of a request nothing is read, and its head is copied only where it is not kept
//! anyway (`http/known.rs`): the text is made later, between two polls, when no packet waits or
//! half of the places are taken, many lines for one call of the console. Places are given at start.
//! When they are all taken, because nobody takes the lines, an answer is not written down, and
//! counted; so is a datagram that cannot go out.
//!
//! `-` stands for what is not known: identity and user always (nobody is asked for a name), the
//! time when the machine has no clock, a header that the request did not have, the bytes of an
//! answer without body. Bytes are those queued: a client that goes away has had fewer.

mod drain;
mod line;

use core::fmt;

use simoom::{Addr, Endpoint, Instant};

use crate::http::{Known, KnownIdx, Status};
pub use drain::LINE_LEN_MAX;

/// Bytes of a request's head that are kept at most: headers behind them are not in the log.
pub const HEAD_LEN_MAX: usize = 960;

/// Answers that wait to be written down.
pub const PLACES: usize = 256;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// To whoever watches the machine.
    Console,
    /// To a syslog server, a datagram each (RFC 5424, RFC 5426).
    Syslog(Endpoint),
}

/// An answer, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When it was given.
    pub at: Instant,
    /// To whom.
    pub remote: Addr,
    /// What it was.
    pub status: Status,
    /// Bytes of its body.
    pub sent_len: u64,
}

/// The memory of one answer that waits to be written down.
#[derive(Clone)]
pub struct Place {
    answered: Answered,
    /// The head of the request, or what there was of it, is kept there, and not here.
    known: Option<KnownIdx>,
    head_len: u16,
    head: [u8; HEAD_LEN_MAX],
}

impl Place {
    /// For a table that a log is made over.
    pub const EMPTY: Self = Self {
        answered: Answered {
            at: Instant::ZERO,
            remote: Addr::UNSPECIFIED,
            status: Status::Ok,
            sent_len: 0,
        },
        known: None,
        head_len: 0,
        head: [0; HEAD_LEN_MAX],
    };

    fn head<'a>(&'a self, known: &'a Known) -> &'a [u8] {
        let head = match self.known {
            Some(idx) => known.head(idx),
            None => self.head.get(..self.head_len.into()),
        };
        head.unwrap_or_default()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answered.fmt(f)
    }
}

/// What has become of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers that were taken to be written down.
    pub recorded: u64,
    /// Answers that were not, because too many waited.
    pub overflowed: u64,
    /// Lines that have gone.
    pub written: u64,
    /// Datagrams that did not go: no frame, no space, no route.
    pub unsent: u64,
}

/// The access log of a server.
pub struct Log {
    sink: Option<Sink>,
    places: &'static mut [Place],
    /// Of those that were recorded, how many wait no more: each is in the place of its number.
    forgotten: u64,
    /// The lines that are going, and how much of them has gone.
    batch: drain::Batch,
    /// The time of the last line, as it was written.
    stamp: Option<line::Stamp>,
    /// Seconds since 1970 at a time of the stack.
    clock: Option<(i64, Instant)>,
    counters: Counters,
}

impl Log {
    /// No log.
    pub(crate) const fn off() -> Self {
        Self {
            sink: None,
            places: &mut [],
            forgotten: 0,
            batch: drain::Batch::EMPTY,
            stamp: None,
            clock: None,
            counters: Counters {
                recorded: 0,
                overflowed: 0,
                written: 0,
                unsent: 0,
            },
        }
    }

    /// A log to `sink`, of as many waiting answers as there are `places`: a power of two, or the
    /// next below.
    #[must_use]
    pub fn new(sink: Sink, places: &'static mut [Place]) -> Self {
        let cnt = places.len().checked_ilog2().map_or(0, |log| 1 << log);
        Self {
            sink: Some(sink),
            places: places.get_mut(..cnt).unwrap_or_default(),
            ..Self::off()
        }
    }

    /// Whether anything is written down.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// What has become of answers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Answers that wait.
    #[inline]
    #[must_use]
    pub fn waiting_cnt(&self) -> usize {
        self.counters.recorded.wrapping_sub(self.forgotten) as usize
    }

    /// The place of the answer of that number.
    #[inline]
    fn place_of(&self, number: u64) -> usize {
        number as usize & self.places.len().wrapping_sub(1)
    }

    /// Says what time it is: seconds since 1970, at a time of the stack.
    pub(crate) fn set_clock(&mut self, clock: Option<(i64, Instant)>) {
        self.clock = clock;
    }

    /// Takes an answer to be written down, to a request that began with `head`.
    #[inline]
    pub(crate) fn record(&mut self, answered: Answered, head: &[u8]) {
        let Some(place) = self.next_place() else {
            return;
        };
        // The frame that it lies in is not ours to keep, and a copy costs less than to read it now.
        let head = head.get(..HEAD_LEN_MAX).unwrap_or(head);
        if let Some(to) = place.head.get_mut(..head.len()) {
            to.copy_from_slice(head);
        }
        place.head_len = head.len() as u16;
        (place.answered, place.known) = (answered, None);
    }

    /// The same for a request that is known: it is kept there until the line is made.
    #[inline]
    pub(crate) fn record_known(&mut self, answered: Answered, known: &mut Known, idx: KnownIdx) {
        let Some(place) = self.next_place() else {
            return;
        };
        (place.answered, place.known) = (answered, Some(idx));
        known.hold(idx, self.counters.recorded);
    }

    /// The place of one more answer; `None` when too many wait.
    #[inline]
    fn next_place(&mut self) -> Option<&mut Place> {
        let idx = self.place_of(self.counters.recorded);
        let is_full = self.waiting_cnt() >= self.places.len();
        let Some(place) = self.places.get_mut(idx).filter(|_| !is_full) else {
            self.counters.overflowed += 1;
            return None;
        };
        self.counters.recorded += 1;
        Some(place)
    }

    fn forget_oldest(&mut self, known: &mut Known) {
        self.forgotten += u64::from(self.waiting_cnt() > 0);
        known.release(self.forgotten);
    }
}

#[cfg(test)]
mod tests;
