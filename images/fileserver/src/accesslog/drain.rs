//! Lines go out: between two polls, a few at a time.

use core::fmt;

use simoom::tcp::App;
use simoom::{Duration, Instant};
use simoom_platform::net::Round;
use simoom_ring::Queue;

use super::{Log, Sink, line};

/// Bytes of a line at most, its end included: what one datagram carries anywhere.
pub const LINE_LEN_MAX: usize = 1_400;

/// Lines between two polls, while packets wait and when none do.
const LINES_BUSY: usize = 1;
const LINES_IDLE: usize = 32;

/// How long to wait for a console that takes no more.
const CONSOLE_WAIT: Duration = Duration::from_millis(1);

/// From and to the syslog server (RFC 5426 3.3).
const SYSLOG_PORT: u16 = 514;

/// The line that is going.
pub(super) struct Line {
    bytes: [u8; LINE_LEN_MAX],
    len: usize,
    gone_len: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; LINE_LEN_MAX],
            len: 0,
            gone_len: 0,
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.gone_len..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} of {} gone)", self.gone_len, self.len)
    }
}

impl fmt::Write for Line {
    /// What does not fit is cut off: a place is left for the line's end.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_LEN_MAX.saturating_sub(self.len + 1);
        let taken = text.as_bytes().get(..room.min(text.len()));
        let taken = taken.unwrap_or_default();
        let end = self.len + taken.len();
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(taken);
            self.len = end;
        }
        Ok(())
    }
}

impl Log {
    /// Whether a line waits to go.
    #[inline]
    pub(crate) fn has_lines(&self) -> bool {
        self.cnt > 0 || self.line.gone_len < self.line.len
    }

    /// When to come back to a console that takes no more now.
    #[inline]
    pub(crate) fn drain_at(&self, now: Instant) -> Instant {
        match self.has_lines() {
            true => now + CONSOLE_WAIT,
            false => Instant::NEVER,
        }
    }

    /// Lets lines go. True when there is something to send, or more that could go at once.
    pub(crate) fn drain<A: App + 'static, Q: Queue<'static>>(
        &mut self,
        round: &mut Round<'_, A, Q>,
    ) -> bool {
        let most = match round.is_idle {
            true => LINES_IDLE,
            false => LINES_BUSY,
        };
        match self.sink {
            None => false,
            Some(Sink::Console) => {
                for _ in 0..most {
                    if !self.print(round.print) {
                        return false;
                    }
                }
                self.has_lines()
            }
            Some(Sink::Syslog(server)) => {
                for _ in 0..most {
                    let Some(host) = round.stack.cidr().map(|cidr| cidr.addr()) else {
                        return false;
                    };
                    if !self.next_line(Some(&host)) {
                        break;
                    }
                    let (_, tx) = round.queue.rings();
                    let mut out = round.stack.udp_out(round.now, tx);
                    match out.send(server, SYSLOG_PORT, self.line.rest()) {
                        Ok(()) => self.counters.written += 1,
                        Err(_) => self.counters.unsent += 1,
                    }
                    self.line.len = 0;
                }
                // What is on the ring is published by the next poll.
                true
            }
        }
    }

    /// Prints what goes of a line; false when no more goes now, or there is none.
    pub(super) fn print(&mut self, print: &mut dyn FnMut(&[u8]) -> usize) -> bool {
        if self.line.rest().is_empty() {
            if !self.next_line(None) {
                return false;
            }
            // The end always has its place.
            if let Some(end) = self.line.bytes.get_mut(self.line.len) {
                *end = b'\n';
                self.line.len += 1;
            }
        }
        self.line.gone_len += print(self.line.rest());
        let is_done = self.line.gone_len >= self.line.len;
        if is_done {
            (self.line.len, self.line.gone_len) = (0, 0);
            self.counters.written += 1;
        }
        is_done
    }

    /// Makes the line of the oldest answer; false when there is none.
    fn next_line(&mut self, syslog_host: Option<&dyn fmt::Display>) -> bool {
        let Some(place) = self.places.get(self.first).filter(|_| self.cnt > 0) else {
            return false;
        };
        let request = place.request();
        let unix = self.clock.map(|(unix, at)| {
            let after = i64::try_from(request.at.since(at).as_secs()).unwrap_or(i64::MAX);
            // It may have waited since before the clock was told last.
            let before = i64::try_from(at.since(request.at).as_secs()).unwrap_or(0);
            unix.saturating_add(after).saturating_sub(before)
        });
        (self.line.len, self.line.gone_len) = (0, 0);
        // A line takes what fits and never fails.
        if let Some(host) = syslog_host {
            let _ = line::syslog_head(&mut self.line, host, unix);
        }
        let _ = line::combined(&mut self.line, &request, unix);
        self.forget_oldest();
        true
    }
}
