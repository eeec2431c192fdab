//! HTTP/1.1 (RFC 9110, 9112) as a function from bytes to bytes.
//!
//! ```text
//!   bytes ─┬─ request::parse ── target ─┬─ Site::find ── reply ──► head, in the caller's memory
//!   (of a  └─ plain::read ──────────────┘                   └──► body, a slice of the site
//!   frame, in place)
//! ```
//!
//! [`Server::respond`] reads one request and writes one answer. Between calls a connection keeps
//! an [`Exchange`]: no header, no buffer. A head that straddles two frames is the one case with
//! memory, see [`Gather`].
//!
//! After an answer with `close` nothing that still arrives is read as a request, so whoever can
//! make this server misread a head gets a closed connection and no second answer.

mod accept;
mod answer;
mod chunked;
mod conditions;
mod date;
mod gather;
mod head;
mod known;
mod lanes;
mod newer;
mod plain;
mod range;
mod reply;
mod request;
mod route;
mod status;
mod target;

pub(crate) use date::{DATE_LEN, imf_fixdate};
pub use gather::Gather;
pub(crate) use head::{HeadWriter, sixteen_digits};
pub(crate) use known::KnownIdx;
pub use known::{KNOWN_CNT, Known, Place};
pub(crate) use lanes::{LANES, Lanes, first};
pub use range::{PIECE_LEN_MAX, Parts, Piece, RANGES_MAX};
pub(crate) use reply::put_escaped;
pub use status::Status;

use core::mem::MaybeUninit;

use simoom::wire::checksum::Sum;

use crate::site::Site;
use answer::Out;
use chunked::{Chunks, Progress};
use known::HEAD_END;
use reply::{DateLines, Reply};
use request::{HEADERS_MAX, HeaderRoom};

/// Bytes that are enough for the head of every answer but one with much that the site asks for,
/// and a redirect with a very long path, which with no more room than this becomes 414.
pub const HEAD_LEN_MIN: usize = 512;

/// What a request may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line, without its end; more is 414.
    pub line_len_max: u16,
    /// Bytes of request line and header fields; more is 431.
    pub head_len_max: u16,
    /// Header fields; more is 431. More than 64 counts as 64.
    pub header_cnt_max: u16,
    /// Bytes of a request body, which is thrown away; more is 413.
    pub body_len_max: u32,
    /// Requests on one connection; the last is answered with `Connection: close`.
    pub requests_max: u32,
}

impl Limits {
    /// nginx's figures where it has them (8 KiB of head), and enough for every browser.
    pub const DEFAULT: Self = Self {
        line_len_max: 8000,
        head_len_max: 8192,
        header_cnt_max: HEADERS_MAX as u16,
        body_len_max: 64 * 1024,
        requests_max: 10_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a connection keeps between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    state: State,
    answered_cnt: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
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
    const HEAD: Self = Self::Head { searched: 0 };
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

    /// A request that is [known](Server::known) was answered.
    #[inline]
    pub(crate) fn count_known(&mut self) {
        // Fewer than there may be.
        self.answered_cnt += 1;
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
    pub head_len: usize,
    /// What follows the head; empty for HEAD and 304.
    pub body: &'static [u8],
    /// What follows the head comes from the [`Parts`], piece by piece.
    pub has_parts: bool,
    /// It would have had parts, but there was no memory for them.
    pub lacks_parts: bool,
    /// The connection is to be closed when all is sent.
    pub close: bool,
    /// For counters and logs.
    pub status: Status,
}

/// A site, and how it is served.
#[derive(Clone, Copy)]
pub struct Server {
    site: Site,
    limits: Limits,
    date: Option<DateLines>,
    /// The sum of what ends the heads that were prepared.
    head_end_sum: Sum,
}

impl Server {
    /// A server without a clock: answers have no Date, as RFC 9110 6.6.1 wants it then.
    #[must_use]
    pub fn new(site: Site, limits: Limits) -> Self {
        Self {
            site,
            limits,
            date: None,
            head_end_sum: Sum::of(HEAD_END),
        }
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Sets Date, seconds since 1970. To be called when a second has passed.
    pub fn set_time(&mut self, seconds: Option<i64>) {
        self.date = seconds.map(reply::date_lines);
        let end = self.date.as_ref().map_or(&HEAD_END[..], |lines| lines);
        self.head_end_sum = Sum::of(end);
    }

    /// Whether a connection has had all the requests that it may have.
    #[must_use]
    pub fn is_used_up(&self, exchange: &Exchange) -> bool {
        exchange.answered_cnt >= self.limits.requests_max
    }

    /// Reads the request at the start of `bytes` and answers it, the head into `head`, which
    /// should have [`HEAD_LEN_MIN`] bytes or more. Without `parts` no answer has several.
    ///
    /// One request a call: when bytes are left, they are the next one's, or a body to throw away.
    /// After [`Step::NeedMore`] the next call's `bytes` must start with the same bytes.
    pub fn respond(
        &self,
        exchange: &mut Exchange,
        bytes: &[u8],
        head: &mut [u8],
        parts: Option<&mut Parts>,
    ) -> Step {
        if exchange.state == State::HEAD
            && let Some(plain) = plain::read(bytes, &self.limits)
        {
            let out = Out { head, parts };
            return Step::Answer(self.answer_plain(exchange, &plain, bytes, out, None));
        }
        self.respond_in_full(exchange, bytes, head, parts)
    }

    /// As [`respond`](Self::respond), for a request that may be `known`, or is to be from now on.
    #[inline]
    pub fn respond_known(
        &self,
        known: &mut Known,
        exchange: &mut Exchange,
        bytes: &[u8],
        head: &mut [u8],
        parts: Option<&mut Parts>,
    ) -> Step {
        if exchange.state != State::HEAD {
            return self.respond_in_full(exchange, bytes, head, parts);
        }
        if let Some((_, place)) = self.known(known, exchange, bytes)
            && let Some(head_len) = place.prepared().write(self.date_lines(), head)
        {
            exchange.count_known();
            return Step::Answer(place.answer(head_len));
        }
        let known = known.place_of(bytes).map(|place| (known, place));
        self.respond_unknown(known, exchange, bytes, head, parts)
    }

    /// Where the request at the start of `bytes` is kept with its answer, if it is known. `None`
    /// for the last one that a connection may have, too.
    #[inline]
    pub(crate) fn known<'k>(
        &self,
        known: &'k Known,
        exchange: &Exchange,
        bytes: &[u8],
    ) -> Option<(KnownIdx, &'k Place)> {
        let is_last = exchange.answered_cnt.saturating_add(1) >= self.limits.requests_max;
        if exchange.state != State::HEAD || is_last {
            return None;
        }
        let idx = known.place_of(bytes)?;
        Some((idx, known.find(idx, bytes)?))
    }

    /// The line of Date, and the empty one behind it.
    #[inline]
    pub(crate) fn date_lines(&self) -> Option<&DateLines> {
        self.date.as_ref()
    }

    /// The sum of these.
    #[inline]
    pub(crate) fn head_end_sum(&self) -> Sum {
        self.head_end_sum
    }

    #[inline(never)]
    fn respond_unknown(
        &self,
        known: Option<(&mut Known, KnownIdx)>,
        exchange: &mut Exchange,
        bytes: &[u8],
        head: &mut [u8],
        parts: Option<&mut Parts>,
    ) -> Step {
        match plain::read(bytes, &self.limits) {
            Some(plain) => {
                let out = Out { head, parts };
                Step::Answer(self.answer_plain(exchange, &plain, bytes, out, known))
            }
            None => self.respond_in_full(exchange, bytes, head, parts),
        }
    }

    /// As [`respond`](Self::respond), without the short cut: what that is measured by.
    #[inline(never)]
    pub fn respond_in_full(
        &self,
        exchange: &mut Exchange,
        bytes: &[u8],
        head: &mut [u8],
        parts: Option<&mut Parts>,
    ) -> Step {
        let out = Out { head, parts };
        match &mut exchange.state {
            State::Head { searched: 0 } => self.read_head(exchange, bytes, 0, out),
            State::Head { searched } => {
                // Parsing again at every byte would let a slow client buy much work for little;
                // lines there are only as many as header fields.
                let searched = usize::try_from(*searched).unwrap_or(usize::MAX);
                if bytes.iter().skip(searched).any(|byte| *byte == b'\n') {
                    return self.read_head(exchange, bytes, searched, out);
                }
                self.wait_for_more(exchange, bytes, searched, out.head)
            }
            State::Body { left } => {
                let consumed = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                // `consumed` is at most `left`.
                *left = left.saturating_sub(u32::try_from(consumed).unwrap_or(u32::MAX));
                if *left == 0 {
                    exchange.state = State::HEAD;
                }
                Step::Taken { consumed }
            }
            State::Chunked(chunks) => {
                let (state, consumed) = match chunks.skip(bytes) {
                    Progress::More => (State::Chunked(*chunks), bytes.len()),
                    Progress::Done(consumed) => (State::HEAD, consumed),
                    Progress::Bad => (State::Closed, bytes.len()),
                };
                exchange.state = state;
                Step::Taken { consumed }
            }
            State::Closed => Step::Taken {
                consumed: bytes.len(),
            },
        }
    }

    /// An answer that no request asked for, before a close: 408 for a head that takes too long,
    /// 503 when something is short. `consumed` is 0.
    pub fn refuse(&self, exchange: &mut Exchange, status: Status, head: &mut [u8]) -> Answer {
        exchange.state = State::Closed;
        exchange.answered_cnt = exchange.answered_cnt.saturating_add(1);
        self.page(&Reply::CLOSING, status, head)
    }

    fn read_head(
        &self,
        exchange: &mut Exchange,
        bytes: &[u8],
        searched: usize,
        out: Out<'_>,
    ) -> Step {
        let mut room: HeaderRoom<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let answer = match request::parse(bytes, &mut room, &self.limits) {
            Ok(Some(request)) => self.answer(exchange, &request, out),
            Ok(None) => return self.wait_for_more(exchange, bytes, searched, out.head),
            Err(Status::VersionNotSupported) => {
                return self.read_newer(exchange, bytes, searched, out);
            }
            Err(status) => Answer {
                consumed: bytes.len(),
                ..self.refuse(exchange, status, out.head)
            },
        };
        Step::Answer(answer)
    }

    /// The same for a version that is not ours, perhaps one to come.
    #[cold]
    fn read_newer(
        &self,
        exchange: &mut Exchange,
        bytes: &[u8],
        searched: usize,
        out: Out<'_>,
    ) -> Step {
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let answer = match newer::parse(bytes, &mut room, &self.limits) {
            Ok(Some(request)) => self.answer(exchange, &request, out),
            Ok(None) => return self.wait_for_more(exchange, bytes, searched, out.head),
            Err(status) => Answer {
                consumed: bytes.len(),
                ..self.refuse(exchange, status, out.head)
            },
        };
        Step::Answer(answer)
    }

    /// Keeps how far the head was looked at, unless it is beyond the limits.
    fn wait_for_more(
        &self,
        exchange: &mut Exchange,
        bytes: &[u8],
        searched: usize,
        head: &mut [u8],
    ) -> Step {
        let line_len_max = usize::from(self.limits.line_len_max);
        // Looked at once, when the limit is passed.
        let passes_line = searched <= line_len_max && bytes.len() > line_len_max;
        let status = if passes_line && !bytes.iter().take(line_len_max + 2).any(|b| *b == b'\n') {
            Status::UriTooLong
        } else if bytes.len() >= usize::from(self.limits.head_len_max) {
            Status::HeaderFieldsTooLarge
        } else {
            let searched = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            exchange.state = State::Head { searched };
            return Step::NeedMore;
        };
        let answer = self.refuse(exchange, status, head);
        Step::Answer(Answer {
            consumed: bytes.len(),
            ..answer
        })
    }
}
