//! Lines go out: between two polls, a batch at a time.

use core::fmt;

use simoom::tcp::App;
use simoom::{Addr, Duration, Instant};
use simoom_platform::net::Round;
use simoom_ring::Queue;

use super::line::{self, Stamp};
use super::{Log, Sink};
use crate::http::Known;
use crate::message::HeadWriter;

/// Bytes of a line at most, its end included: what one datagram carries anywhere.
pub const LINE_LEN_MAX: usize = 1_400;

/// Bytes that are printed at once, one system call in a process: some tens of lines.
const BATCH_LEN: usize = 4_096;

/// Lines between two polls when no packet waits.
const LINES_IDLE: usize = 64;

/// How long to wait for a console that takes no more.
const CONSOLE_WAIT: Duration = Duration::from_millis(1);

/// From and to the syslog server (RFC 5426 3.3).
const SYSLOG_PORT: u16 = 514;

/// The lines that are going.
pub(super) struct Batch {
    bytes: [u8; BATCH_LEN],
    len: usize,
    gone_len: usize,
    /// Lines of which the end has not gone.
    lines_cnt: u32,
}

impl Batch {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; BATCH_LEN],
        len: 0,
        gone_len: 0,
        lines_cnt: 0,
    };

    fn clear(&mut self) {
        (self.len, self.gone_len, self.lines_cnt) = (0, 0, 0);
    }

    /// So much of it has gone; how many lines with it.
    fn goes(&mut self, gone_len: usize) -> u32 {
        let rest = self.rest();
        let lines_cnt = match rest.get(..gone_len) {
            // An end of a line is nowhere else.
            Some(gone) if gone_len < rest.len() => {
                gone.iter().filter(|byte| **byte == b'\n').count() as u32
            }
            _ => self.lines_cnt,
        };
        self.gone_len = self.len.min(self.gone_len.saturating_add(gone_len));
        self.lines_cnt -= lines_cnt;
        lines_cnt
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.gone_len..self.len).unwrap_or_default()
    }

    /// Lets `write` add a line; what does not fit into its longest is left out.
    fn add(&mut self, write: impl FnOnce(&mut HeadWriter<'_>)) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let room_len = room.len().min(LINE_LEN_MAX);
        let mut line = HeadWriter::new(room.get_mut(..room_len).unwrap_or_default());
        write(&mut line);
        self.len += line.len();
        self.lines_cnt += 1;
    }

    fn has_room(&self) -> bool {
        BATCH_LEN - self.len >= LINE_LEN_MAX
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} of {} gone)", self.gone_len, self.len)
    }
}

impl Log {
    /// Whether a line waits to go.
    #[inline]
    pub(crate) fn has_lines(&self) -> bool {
        self.waiting_cnt() > 0 || self.batch.gone_len < self.batch.len
    }

    /// When to come back to a console that takes no more now.
    #[inline]
    pub(crate) fn drain_at(&self, now: Instant) -> Instant {
        match self.has_lines() {
            true => now + CONSOLE_WAIT,
            false => Instant::NEVER,
        }
    }

    /// Lines that are to go now. While packets wait, lines wait, too: up to half of the places.
    /// Beyond that as many go as come, so that a server that is never idle loses none either, as
    /// long as they are taken.
    pub(super) fn due(&self, is_idle: bool) -> usize {
        let beyond = self.waiting_cnt().saturating_sub(self.places.len() / 2);
        match is_idle {
            true => beyond.max(LINES_IDLE),
            false => beyond,
        }
    }

    /// Lets lines go, with the heads that are `known`. True when there is something to send, or
    /// more that could go at once.
    pub(crate) fn drain<A: App + 'static, Q: Queue<'static>>(
        &mut self,
        known: &mut Known,
        round: &mut Round<'_, A, Q>,
    ) -> bool {
        let most = self.due(round.is_idle);
        match self.sink {
            None => false,
            Some(Sink::Console) => {
                let mut left = most;
                while left > 0 || !self.batch.rest().is_empty() {
                    if !self.print(known, &mut left, round.print) {
                        return false;
                    }
                }
                self.has_lines()
            }
            Some(Sink::Syslog(server)) => {
                let Some(host) = round.stack.cidr().map(|cidr| cidr.addr()) else {
                    return false;
                };
                for _ in 0..most {
                    self.batch.clear();
                    if !self.next_line(known, Some(host)) {
                        break;
                    }
                    let (_, tx) = round.queue.rings();
                    let mut out = round.stack.udp_out(round.now, tx);
                    match out.send(server, SYSLOG_PORT, self.batch.rest()) {
                        Ok(()) => self.counters.written += 1,
                        Err(_) => self.counters.unsent += 1,
                    }
                }
                self.batch.clear();
                // What is on the ring is published by the next poll.
                most > 0 || self.has_lines()
            }
        }
    }

    /// Prints what goes of a batch, or makes one of `left` lines at most and prints what goes of
    /// that; false when no more goes now, or there is nothing.
    pub(super) fn print(
        &mut self,
        known: &mut Known,
        left: &mut usize,
        print: &mut dyn FnMut(&[u8]) -> usize,
    ) -> bool {
        if self.batch.rest().is_empty() {
            self.batch.clear();
            while *left > 0 && self.batch.has_room() && self.next_line(known, None) {
                *left -= 1;
            }
        }
        let gone_len = print(self.batch.rest());
        self.counters.written += u64::from(self.batch.goes(gone_len));
        gone_len > 0 && self.batch.rest().is_empty()
    }

    /// Adds the line of the oldest answer to the batch; false when there is none. With an address
    /// of ours it is a message for syslog, else it ends.
    fn next_line(&mut self, known: &mut Known, syslog_host: Option<Addr>) -> bool {
        let waits = self.waiting_cnt() > 0;
        let Some(place) = self
            .places
            .get(self.place_of(self.forgotten))
            .filter(|_| waits)
        else {
            return false;
        };
        let (answered, head) = (&place.answered, place.head(known));
        let unix = self.clock.map(|(unix, at)| {
            let after = i64::try_from(answered.at.since(at).as_secs()).unwrap_or(i64::MAX);
            // It may have waited since before the clock was told last.
            let before = i64::try_from(at.since(answered.at).as_secs()).unwrap_or(0);
            unix.saturating_add(after).saturating_sub(before)
        });
        if self.stamp.map(|stamp| stamp.unix) != unix {
            self.stamp = unix.map(Stamp::new);
        }
        let stamp = self.stamp.as_ref();
        self.batch.add(|out| {
            if let Some(host) = syslog_host {
                line::syslog_head(out, host, stamp);
            }
            line::combined(out, answered, head, stamp);
            if syslog_host.is_none() {
                out.put(b"\n");
            }
        });
        self.forget_oldest(known);
        true
    }
}
