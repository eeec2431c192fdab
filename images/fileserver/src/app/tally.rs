//! What is counted of every answer, and what of it goes into the access log.

use super::{Client, Connection, FileServer};
use crate::accesslog::{Answered, Log};
use crate::http::{Answer, KnownIdx, Status};
use simoom::tcp::App;
use simoom_platform::net::Round;
use simoom_ring::Queue;

/// Answers by status, and bytes: small sums of what every answer has anyway.
#[derive(Debug, Clone)]
pub struct Tally {
    by_code: [u64; CODES],
    /// Bytes of bodies that were queued to be sent.
    pub body_bytes: u64,
}

/// The lowest code that there is, and as many places as there may be codes from there on.
const CODE_MIN: usize = 200;
const CODES: usize = 312;

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            by_code: [0; CODES],
            body_bytes: 0,
        }
    }

    /// Answers with this status.
    #[must_use]
    pub fn answers(&self, status: Status) -> u64 {
        let idx = usize::from(status.code()).wrapping_sub(CODE_MIN);
        self.by_code.get(idx).copied().unwrap_or(0)
    }
}

impl Client {
    /// Requests that were answered.
    #[must_use]
    pub fn answered_cnt(&self) -> u32 {
        self.exchange.answered_cnt()
    }
}

impl FileServer {
    /// What was counted of the answers.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The bounds of connections.
    #[must_use]
    pub fn bounds(&self) -> &super::Bounds {
        &self.bounds
    }

    /// Microseconds from the beginning of the stack's clock back to 1970; 0 without a clock.
    #[must_use]
    pub(crate) fn wall_us(&self) -> u64 {
        self.clock.map_or(0, |(unix, at)| {
            let us = u64::try_from(unix).unwrap_or(0).saturating_mul(1_000_000);
            us.saturating_sub(at.as_micros())
        })
    }

    /// The access log.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Writes answers down in `log` from now on.
    pub fn set_log(&mut self, log: Log) {
        self.log = log;
        self.log.set_clock(self.clock);
    }

    /// Lets lines of the log go; see [`Log::drain`].
    pub(crate) fn drain_log<A: App + 'static, Q: Queue<'static>>(
        &mut self,
        round: &mut Round<'_, A, Q>,
    ) -> bool {
        self.log.drain(&mut self.known, round)
    }

    /// Counts an answer.
    #[inline]
    pub(super) fn count(&mut self, client: &Client, answer: &Answer) {
        self.counters.answered += 1;
        let idx = usize::from(answer.status.code()).wrapping_sub(CODE_MIN);
        if let Some(cnt) = self.tally.by_code.get_mut(idx) {
            *cnt += 1;
        }
        self.tally.body_bytes += answer.body.len() as u64;
        if answer.status.code() >= 400 {
            self.count_error(answer.status);
        }
        self.counters.parts_short += u64::from(answer.lacks_parts);
        if answer.close && self.server.is_used_up(&client.exchange) {
            self.counters.requests_used_up += 1;
        }
    }

    #[cold]
    fn count_error(&mut self, status: Status) {
        let super::Counters {
            errors,
            malformed,
            heads_too_large,
            bodies_too_large,
            ..
        } = &mut self.counters;
        *errors += 1;
        match status {
            Status::BadRequest => *malformed += 1,
            Status::UriTooLong | Status::HeaderFieldsTooLarge => *heads_too_large += 1,
            Status::ContentTooLarge => *bodies_too_large += 1,
            _ => {}
        }
    }

    /// Writes an answer down. The request is in `bytes`, or in scratch memory, where its first
    /// `gathered_len` bytes were before.
    #[inline]
    pub(super) fn write_down(
        &mut self,
        conn: &Connection<'_, '_>,
        client: &Client,
        bytes: &[u8],
        gathered_len: usize,
        answer: &Answer,
    ) {
        let head = match gathered_len {
            0 => bytes.get(..answer.consumed).unwrap_or(bytes),
            _ => {
                let len = gathered_len + answer.consumed.min(bytes.len());
                let scratch = self.scratches.memory(client.scratch.as_ref());
                scratch.map_or(&[][..], |scratch| &scratch[..len.min(scratch.len())])
            }
        };
        let sent_len = match answer.has_parts {
            true => self.parts.vacant().map_or(0, |parts| parts.content_len()),
            false => answer.body.len() as u64,
        };
        let answered = Answered {
            at: conn.now(),
            remote: conn.tuple().remote.addr,
            status: answer.status,
            sent_len,
        };
        self.log.record(answered, head);
    }

    /// Writes down the answer to a request that is known.
    #[inline]
    pub(super) fn write_down_known(
        &mut self,
        conn: &Connection<'_, '_>,
        idx: KnownIdx,
        answer: &Answer,
    ) {
        let answered = Answered {
            at: conn.now(),
            remote: conn.tuple().remote.addr,
            status: answer.status,
            sent_len: answer.body.len() as u64,
        };
        self.log.record_known(answered, &mut self.known, idx);
    }
}
