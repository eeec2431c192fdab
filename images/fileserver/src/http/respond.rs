//! From the bytes of a connection to one answer: to what was asked before, what is plain, and all
//! else.

use core::mem::MaybeUninit;

use super::answer::Out;
use super::chunked::Progress;
use super::exchange::{Answer, Exchange, State, Step};
use super::known::{Known, KnownIdx, Place};
use super::limits::HEADERS_MAX;
use super::range::Parts;
use super::reply::Reply;
use super::request::HeaderRoom;
use super::server::Server;
use super::{newer, plain, request};
use crate::message::Status;

impl Server {
    /// Reads the request at the start of `bytes` and answers it, the head into `head`, which
    /// should have [`HEAD_LEN_MIN`] bytes or more. Without `parts` no answer has several.
    ///
    /// One request a call: when bytes are left, they are the next one's, or a body to throw away.
    /// After [`Step::NeedMore`] the next call's `bytes` must start with the same bytes.
    ///
    /// [`HEAD_LEN_MIN`]: super::HEAD_LEN_MIN
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
            exchange.count_prepared(place.prepared().closes);
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
