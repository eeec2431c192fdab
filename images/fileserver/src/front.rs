//! The application of both mains: the site on one port, and the look inside on another.
//!
//! ```text
//!   connection ─ which of our ports? ─┬─ FileServer ─ answers, timed here
//!                                     └─ Admin ─ what attend() can see between two polls
//! ```
//!
//! Which of the two a connection belongs to is decided once, when it is accepted; from then on it
//! is a tag beside the connection's state. Without an admin port nothing is timed. With one, each
//! answer is as long as they are few; of those within [`TIMED_EVERY`] one is, for all: to be told
//! of an acknowledgment costs more than all else that is counted of a request.

use simoom::config::{BURST_MAX, TIMERS_BURST_MAX};
use simoom::tcp::cc::Chosen;
use simoom::tcp::{App, Closed, Conn, ConnId};
use simoom::{Duration, Instant};
use simoom_platform::net::{Attend, Round};
use simoom_ring::Queue;

use crate::admin::{Admin, SeatIdx, Whose};
use crate::app::{Client, FileServer};

/// The server of a site, and what shows it from inside.
pub struct Front {
    /// The site.
    pub files: FileServer,
    /// The look inside.
    pub admin: Admin,
    /// When lines that wait are to be looked at again.
    log_at: Instant,
    /// From when on the next answer is timed.
    timed_at: Instant,
    /// Answers up to the last that was timed.
    counted: u64,
    /// Connections that have ended in this poll with answers that nobody has timed.
    ended: [Timing; ENDED_MAX],
    ended_cnt: usize,
}

/// What a connection keeps.
#[derive(Debug)]
pub enum Visitor {
    /// A client of the site.
    Client(Client, Timing),
    /// Someone at the admin port.
    Admin(SeatIdx),
}

const _: () = assert!(size_of::<Visitor>() <= 48);

impl Whose for Visitor {
    fn whose(&self) -> (&'static str, u32) {
        match self {
            Self::Client(client, _) => ("site", client.answered_cnt()),
            Self::Admin(_) => ("admin", 0),
        }
    }
}

/// Since when a client waits for what has not been acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// When the first byte of the oldest unanswered or unacknowledged request came, in
    /// [`TICK_US`], modulo 2^32; 0 for no such request.
    since: u32,
    /// Answers that are on their way, and those that it stands for.
    answers: u32,
}

impl Timing {
    const NONE: Self = Self {
        since: 0,
        answers: 0,
    };
}

/// Connections that end in one poll: a burst of packets and one of timers. More are not timed.
const ENDED_MAX: usize = BURST_MAX + TIMERS_BURST_MAX;

/// Of the answers within so much, one is timed: with fewer than 1,000 a second, all.
const TIMED_EVERY: Duration = Duration::from_millis(1);

/// Times are kept in units of so many microseconds: 2^32 of them are over nine hours.
const TICK_US: u64 = 8;

fn ticks(at: Instant) -> u32 {
    // Odd, so that it is never 0: half a unit is of no interest.
    (at.as_micros() / TICK_US) as u32 | 1
}

impl Front {
    /// A site alone, until `admin` says more.
    #[must_use]
    pub fn new(files: FileServer, admin: Admin) -> Self {
        Self {
            files,
            admin,
            log_at: Instant::NEVER,
            timed_at: Instant::ZERO,
            counted: 0,
            ended: [Timing::NONE; ENDED_MAX],
            ended_cnt: 0,
        }
    }

    /// A client has had all that it waited for.
    #[inline]
    fn took(&mut self, timing: Timing, now: Instant) {
        let waited = ticks(now).wrapping_sub(timing.since);
        let times = timing.answers.into();
        self.admin.took(u64::from(waited) * TICK_US, times);
    }

    /// A connection has ended; what time it is will be known after the poll.
    fn remember(&mut self, timing: Timing) {
        if let Some(place) = self.ended.get_mut(self.ended_cnt) {
            *place = timing;
            self.ended_cnt += 1;
        }
    }

    fn time_ended(&mut self, now: Instant) {
        for idx in 0..core::mem::take(&mut self.ended_cnt) {
            self.took(self.ended[idx], now);
        }
    }
}

/// The connection of a call.
type Connection<'a, 'p> = Conn<'a, 'p, Chosen>;

impl App for Front {
    type Conn = Visitor;
    type Congestion = Chosen;

    #[inline]
    fn accepted(&mut self, conn: &mut Connection<'_, '_>) -> Visitor {
        if self.admin.is_port(conn.tuple().local.port) {
            return Visitor::Admin(self.admin.accepted(conn));
        }
        Visitor::Client(self.files.accepted(conn), Timing::default())
    }

    #[inline]
    fn received(
        &mut self,
        conn: &mut Connection<'_, '_>,
        visitor: &mut Visitor,
        bytes: &[u8],
    ) -> usize {
        let (client, timing) = match visitor {
            Visitor::Client(client, timing) => (client, timing),
            Visitor::Admin(seat) => return self.admin.received(conn, *seat, bytes),
        };
        if !self.admin.is_on() {
            return self.files.received(conn, client, bytes);
        }
        if timing.since == 0 && conn.now() < self.timed_at {
            let taken = self.files.received(conn, client, bytes);
            if taken < bytes.len() || client.is_within_head() {
                timing.since = ticks(conn.now());
            }
            return taken;
        }
        if timing.since == 0 {
            timing.since = ticks(conn.now());
        }
        let before = self.files.counters().answered;
        let taken = self.files.received(conn, client, bytes);
        let answered = self.files.counters().answered;
        let is_timed = timing.answers > 0 || conn.now() >= self.timed_at;
        if answered != before && is_timed {
            // It stands for those since the last that was timed, too.
            let answers = u32::try_from(answered.wrapping_sub(self.counted)).unwrap_or(u32::MAX);
            timing.answers = timing.answers.saturating_add(answers);
            self.counted = answered;
            self.timed_at = conn.now() + TIMED_EVERY;
        }
        if timing.answers > 0 {
            // Asks to be told of acknowledgments.
            conn.want_writable();
        } else if taken == bytes.len() && !client.is_within_head() {
            timing.since = 0;
        }
        taken
    }

    #[inline]
    fn writable(&mut self, conn: &mut Connection<'_, '_>, visitor: &mut Visitor) {
        match visitor {
            Visitor::Client(client, timing) => {
                self.files.writable(conn, client);
                if timing.answers == 0 {
                    return;
                }
                if conn.unacked_len() > 0 {
                    return conn.want_writable();
                }
                self.took(*timing, conn.now());
                timing.answers = 0;
                timing.since = match client.is_within_head() {
                    true => ticks(conn.now()),
                    false => 0,
                };
            }
            Visitor::Admin(seat) => self.admin.writable(*seat),
        }
    }

    fn finished(&mut self, conn: &mut Connection<'_, '_>, visitor: &mut Visitor) {
        match visitor {
            Visitor::Client(client, _) => self.files.finished(conn, client),
            Visitor::Admin(seat) => self.admin.finished(conn, *seat),
        }
    }

    fn woken(&mut self, conn: &mut Connection<'_, '_>, visitor: &mut Visitor) {
        match visitor {
            Visitor::Client(client, _) => self.files.woken(conn, client),
            Visitor::Admin(seat) => self.admin.woken(conn, *seat),
        }
    }

    fn closed(&mut self, id: ConnId, visitor: Visitor, why: Closed) {
        match visitor {
            Visitor::Client(client, timing) => {
                self.files.closed(id, client, why);
                if timing.answers > 0 && why == Closed::Finished {
                    self.remember(timing);
                }
            }
            Visitor::Admin(seat) => self.admin.closed(seat),
        }
    }
}

/// A site alone has nothing to do between two polls.
impl Attend for FileServer {}

impl Attend for Front {
    #[inline]
    fn attend<Q: Queue<'static>>(&mut self, mut round: Round<'_, Self, Q>) -> bool {
        if self.ended_cnt > 0 {
            self.time_ended(round.now);
        }
        // A console that takes no more is left alone for a moment.
        let may_print = self.log_at == Instant::NEVER || round.now >= self.log_at;
        let has_lines = may_print && self.files.log().has_lines();
        if !has_lines && !self.admin.has_work() {
            return false;
        }
        let has_more = has_lines && self.files.drain_log(&mut round);
        if has_lines {
            self.log_at = match has_more {
                true => Instant::NEVER,
                false => self.files.log().drain_at(round.now),
            };
        }
        let is_answered = !self.admin.has_work() || !self.admin.go_on(&mut self.files, &mut round);
        has_more || !is_answered
    }

    fn attend_at(&self) -> Instant {
        self.log_at
    }

    fn ending(&mut self) {
        self.admin.ending();
    }
}
