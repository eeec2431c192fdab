//! HTTP/1.1 (RFC 9110, 9112) as a function from bytes to bytes.
//!
//! ```text
//!   bytes ── request::parse ── target ── Site::find ── reply ──► head, in the caller's memory
//!   (of a frame, in place)                                  └──► body, a slice of the site
//! ```
//!
//! [`Server::respond`] reads one request and writes one answer. Between calls a connection keeps
//! an [`Exchange`]: no header, no buffer. A head that straddles two frames is the one case with
//! memory, see [`Gather`].
//!
//! After an answer with `close` nothing that still arrives is read as a request, so whoever can
//! make this server misread a head gets a closed connection and no second answer.

mod date;
mod gather;
mod head;
mod reply;
mod request;
mod status;
mod target;
mod validators;

pub use gather::Gather;
pub use status::Status;
pub use validators::Validators;

use core::mem::MaybeUninit;

use crate::site::{Found, Representation, Site};
use reply::Reply;
use request::{HEADERS_MAX, HeaderRoom, Method, Request};
use target::{RawTarget, Room, Target};

/// Bytes that are enough for the head of every answer but a redirect with a very long path,
/// which with no more room than this becomes 414.
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
        line_len_max: 4096,
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

/// What a connection keeps between calls: 12 bytes.
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
    /// The last answer was given.
    Closed,
}

impl Exchange {
    /// The state of a connection that was just opened.
    pub const NEW: Self = Self {
        state: State::Head { searched: 0 },
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
    /// The first `consumed` bytes need no answer. None left to take when 0.
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
    date: Option<[u8; date::DATE_LEN]>,
}

impl Server {
    /// A server without a clock: answers have no Date, as RFC 9110 6.6.1 wants it then.
    #[must_use]
    pub fn new(site: Site, limits: Limits) -> Self {
        Self {
            site,
            limits,
            date: None,
        }
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Sets Date, seconds since 1970. To be called when a second has passed.
    pub fn set_time(&mut self, seconds: Option<i64>) {
        self.date = seconds.map(date::imf_fixdate);
    }

    /// Reads the request at the start of `bytes` and answers it, the head into `head`, which
    /// should have [`HEAD_LEN_MIN`] bytes or more.
    ///
    /// One request a call: when bytes are left, they are the next one's, or a body to throw away.
    /// After [`Step::NeedMore`] the next call's `bytes` must start with the same bytes.
    pub fn respond(&self, exchange: &mut Exchange, bytes: &[u8], head: &mut [u8]) -> Step {
        match exchange.state {
            State::Head { searched: 0 } => self.read_head(exchange, bytes, 0, head),
            State::Head { searched } => {
                // Parsing again at every byte would let a slow client buy much work for little;
                // lines there are only as many as header fields.
                let searched = usize::try_from(searched).unwrap_or(usize::MAX);
                if bytes.iter().skip(searched).any(|byte| *byte == b'\n') {
                    return self.read_head(exchange, bytes, searched, head);
                }
                self.wait_for_more(exchange, bytes, searched, head)
            }
            State::Body { left } => {
                let consumed = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                // `consumed` is at most `left`.
                let left = left.saturating_sub(u32::try_from(consumed).unwrap_or(u32::MAX));
                exchange.state = match left {
                    0 => State::Head { searched: 0 },
                    left => State::Body { left },
                };
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
        head: &mut [u8],
    ) -> Step {
        let mut room: HeaderRoom<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let answer = match request::parse(bytes, &mut room, &self.limits) {
            Ok(Some(request)) => self.answer(exchange, &request, head),
            Ok(None) => return self.wait_for_more(exchange, bytes, searched, head),
            Err(status) => Answer {
                consumed: bytes.len(),
                ..self.refuse(exchange, status, head)
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

    fn answer(
        &self,
        exchange: &mut Exchange,
        request: &Request<'_, '_>,
        head: &mut [u8],
    ) -> Answer {
        exchange.answered_cnt = exchange.answered_cnt.saturating_add(1);
        let is_last = exchange.answered_cnt >= self.limits.requests_max
            || !request.keeps_alive
            // Behind these the bytes may be body or not: nothing after them can be trusted.
            || request.method == Method::Connect
            || (request.expects_continue && request.body_len > 0);
        let body_left = u32::try_from(request.body_len).ok();
        let body_left = body_left.filter(|len| *len <= self.limits.body_len_max);
        let mut reply = Reply {
            close: is_last || body_left.is_none(),
            is_http10: request.is_http10,
            is_head: request.method == Method::Head,
        };
        let answer = if body_left.is_none() {
            self.page(&reply, Status::ContentTooLarge, head)
        } else if !matches!(request.method, Method::Get | Method::Head) {
            self.page(&reply, Status::MethodNotAllowed, head)
        } else {
            match self.answer_target(request, &reply, head) {
                Ok(answer) => answer,
                Err(status) => {
                    reply.close = true;
                    self.page(&reply, status, head)
                }
            }
        };
        exchange.state = match (answer.close, body_left) {
            (true, _) | (_, None) => State::Closed,
            (false, Some(0)) => State::Head { searched: 0 },
            (false, Some(left)) => State::Body { left },
        };
        Answer {
            consumed: request.head_len,
            ..answer
        }
    }

    fn answer_target(
        &self,
        request: &Request<'_, '_>,
        reply: &Reply,
        head: &mut [u8],
    ) -> Result<Answer, Status> {
        let raw = RawTarget::parse(request.target)?;
        match raw.as_normal() {
            Some(target) => Ok(self.answer_path(request, &target, reply, head)),
            None => self.answer_odd_target(request, &raw, reply, head),
        }
    }

    /// The same for a target with escapes or dot segments: apart, for the memory that it takes.
    #[inline(never)]
    fn answer_odd_target(
        &self,
        request: &Request<'_, '_>,
        raw: &RawTarget<'_>,
        reply: &Reply,
        head: &mut [u8],
    ) -> Result<Answer, Status> {
        let mut room = Room::new();
        let target = raw.normalize(&mut room)?;
        Ok(self.answer_path(request, &target, reply, head))
    }

    fn answer_path(
        &self,
        request: &Request<'_, '_>,
        target: &Target<'_>,
        reply: &Reply,
        head: &mut [u8],
    ) -> Answer {
        let file = match self.site.find(target.path) {
            Some(Found::File(file)) if !target.has_slash => file,
            Some(Found::Folder(Some(index))) if target.has_slash => index,
            Some(Found::Folder(None)) if target.has_slash => {
                return self.page(reply, Status::Forbidden, head);
            }
            Some(Found::Folder(_)) => return self.redirect(reply, target, head),
            Some(Found::File(_)) | None => return self.page(reply, Status::NotFound, head),
        };
        if is_unmodified(request, file) {
            return self.not_modified(reply, file, head);
        }
        self.file(reply, file, head)
    }
}

/// Whether the client has this representation: RFC 9110 13.2.2, where If-None-Match, when it is
/// there, overrules If-Modified-Since.
fn is_unmodified(request: &Request<'_, '_>, file: &Representation) -> bool {
    if request.has_if_none_match {
        let is_field = |name: &str| name.eq_ignore_ascii_case("if-none-match");
        let mut fields = request
            .headers
            .iter()
            .filter(|header| is_field(header.name));
        return fields.any(|header| file.validators.is_named(header.value));
    }
    let since = request.if_modified_since.and_then(date::parse);
    since.is_some_and(|since| file.mtime <= since)
}
