//! A look inside, over HTTP on a port of its own: figures, connections, packets, a page.
//!
//! ```text
//!   received ─ request::read ─┬─ /healthz /readyz / and errors: answered at once
//!                             └─ Job: a cursor ─┐
//!   attend, between two polls ──────────────────┴─► a piece at a time ─► send: small frames
//!      sees the stack, the rings, the frames            never more than a send queue holds
//! ```
//!
//! Nothing that is shown is ever written as a whole: each answer has a cursor, and its next piece
//! is made when there is room for it. So whoever asks costs a [`Seat`] and the frames of one send
//! queue, and whoever reads slowly holds up nobody but himself; when he takes nothing for
//! [`PATIENCE`] he is reset. There are few seats: who finds none is reset, counted.
//!
//! Whoever can reach the port can see everything: it is off unless `admin=` names it, and a network
//! that is not trusted must not reach it.

mod answer;
mod capture;
mod connections;
mod latency;
mod metrics;
mod request;
mod seen;
mod text;
mod view;
mod words;

use core::fmt::Write;

use simoom::tcp::cc::Chosen;
use simoom::tcp::{Conn, ConnId};
use simoom::{Addr, Duration, Instant};

pub use capture::{BYTES as CAPTURE_BYTES, SLOTS as CAPTURE_SLOTS};
use latency::Latency;
use request::{Asked, Read, Wanted};
pub use seen::{Shown, Whose};
use simoom_platform::net::{CoreFigures, CoreRows};
use text::Text;
pub use words::{Listening, Words};

/// Connections that there can be seats for.
pub const SEATS_MAX: usize = 16;

/// How long a connection may take to ask, and how long it may take nothing of its answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The page for people: one file without outside resources.
static PAGE: &[u8] = include_bytes!("page.html");

/// What has happened at the admin port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that got a seat.
    pub accepted: u64,
    /// Connections reset because all seats were taken.
    pub conns_refused: u64,
    /// Connections reset because they were not to the address that `admin=` names.
    pub addr_refused: u64,
    /// Connections reset because they did not ask, or took nothing of their answer.
    pub slow: u64,
    /// Answers begun.
    pub answers: u64,
    /// Of these, with 4xx or 5xx.
    pub errors: u64,
}

/// The look inside.
pub struct Admin {
    listening: Option<Listening>,
    seats_max: usize,
    seats: [Seat; SEATS_MAX],
    /// A job has something to do.
    has_work: bool,
    is_ending: bool,
    /// Whose capture it is; there is one at a time.
    capturing: Option<SeatIdx>,
    /// What the captured interface is called.
    interface: &'static str,
    /// What all cores have done, where there are several.
    cores: Option<&'static dyn CoreFigures>,
    /// And their connections.
    desk: Option<&'static dyn CoreRows<Shown>>,
    latency: Latency,
    counters: Counters,
}

/// A place at the admin port. It is free again when the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatIdx(u8);

impl SeatIdx {
    /// Of a connection that was refused.
    const NONE: Self = Self(u8::MAX);
}

/// One connection.
#[derive(Debug, Clone, Copy)]
struct Seat {
    id: Option<ConnId>,
    job: Job,
    /// The answer is in chunks (RFC 9112 7.1); else it ends with the connection.
    is_chunked: bool,
    has_work: bool,
    /// There was no room for its last piece.
    is_full: bool,
    /// Bytes of a head that was offered and is not whole.
    offered_len: usize,
    /// When it last did something, and how much it had taken then.
    since: Instant,
    acked_len: u64,
}

/// What is being answered, and how far it is.
#[derive(Debug, Clone, Copy)]
enum Job {
    /// A request is to come.
    Waiting,
    Metrics(metrics::Cursor),
    Connections(connections::Cursor),
    Capture(capture::Cursor),
    /// All has been queued.
    Ended,
}

impl Seat {
    const FREE: Self = Self {
        id: None,
        job: Job::Waiting,
        is_chunked: false,
        has_work: false,
        is_full: false,
        offered_len: 0,
        since: Instant::ZERO,
        acked_len: 0,
    };
}

/// The connection of a call.
type Connection<'a, 'p> = Conn<'a, 'p, Chosen>;

impl Admin {
    /// The look inside that `words` ask for; without `listening` there is none. `interface` is what
    /// the network's interface is called.
    #[must_use]
    pub fn new(words: &Words, interface: &'static str) -> Self {
        Self {
            listening: words.listening,
            seats_max: words.conns_max.into(),
            seats: [Seat::FREE; SEATS_MAX],
            has_work: false,
            is_ending: false,
            capturing: None,
            interface,
            cores: None,
            desk: None,
            latency: Latency::default(),
            counters: Counters::default(),
        }
    }

    /// Has `/metrics` show what all `cores` have written down, and `/connections` those of all.
    pub fn set_cores(
        &mut self,
        cores: &'static dyn CoreFigures,
        desk: &'static dyn CoreRows<Shown>,
    ) {
        (self.cores, self.desk) = (Some(cores), Some(desk));
    }

    /// Whether there is any.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.listening.is_some()
    }

    /// What has happened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Seats that are taken.
    #[must_use]
    pub fn seats_taken(&self) -> usize {
        let taken = self.seats.iter().filter(|seat| seat.id.is_some());
        taken.count()
    }

    #[inline]
    pub(crate) fn is_port(&self, port: u16) -> bool {
        self.listening.is_some_and(|at| at.port == port)
    }

    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.has_work || self.capturing.is_some() || self.desk.is_some_and(CoreRows::is_called)
    }

    /// A client has waited so long for what it has now.
    #[inline]
    pub(crate) fn took(&mut self, us: u64, times: u64) {
        self.latency.add(us, times);
    }

    pub(crate) fn ending(&mut self) {
        self.is_ending = true;
    }

    #[cold]
    pub(crate) fn accepted(&mut self, conn: &mut Connection<'_, '_>) -> SeatIdx {
        conn.set_nodelay(true);
        let addr = self.listening.and_then(|at| at.addr);
        if addr.is_some_and(|addr: Addr| addr != conn.tuple().local.addr) {
            self.counters.addr_refused += 1;
            conn.abort();
            return SeatIdx::NONE;
        }
        let seats = (0..).zip(self.seats.iter_mut()).take(self.seats_max);
        let free = seats.into_iter().find(|(_, seat)| seat.id.is_none());
        let Some((idx, seat)) = free else {
            self.counters.conns_refused += 1;
            conn.abort();
            return SeatIdx::NONE;
        };
        *seat = Seat {
            id: Some(conn.id()),
            since: conn.now(),
            ..Seat::FREE
        };
        self.counters.accepted += 1;
        conn.wake_at(conn.now() + LOOK);
        SeatIdx(idx)
    }

    fn seat(&mut self, idx: SeatIdx) -> Option<&mut Seat> {
        self.seats.get_mut(usize::from(idx.0))
    }

    #[cold]
    pub(crate) fn received(
        &mut self,
        conn: &mut Connection<'_, '_>,
        idx: SeatIdx,
        bytes: &[u8],
    ) -> usize {
        let status = conn.status();
        let Some(seat) = self.seat(idx) else {
            return bytes.len();
        };
        if !matches!(seat.job, Job::Waiting) {
            // One answer a connection: what comes after the request is thrown away.
            return bytes.len();
        }
        let asked = match request::read(bytes) {
            Read::Asked(asked) => asked,
            Read::Bad(status) => Asked::of(Wanted::Error(status, "the request is not HTTP\n")),
            // More may come, or be joined with it.
            Read::More if status.unread_len == 0 || seat.offered_len != bytes.len() => {
                seat.offered_len = bytes.len();
                return 0;
            }
            Read::More => Asked::of(Wanted::Error(
                "431 Request Header Fields Too Large",
                "the head of the request is too long\n",
            )),
        };
        seat.since = conn.now();
        self.answer(conn, idx, &asked);
        bytes.len()
    }

    /// Answers what is known at once; begins the job of everything else.
    fn answer(&mut self, conn: &mut Connection<'_, '_>, idx: SeatIdx, asked: &Asked<'_>) {
        self.counters.answers += 1;
        let begun = match &asked.wanted {
            Wanted::Page => {
                let html = "text/html; charset=utf-8";
                if head(conn, asked, "200 OK", html, Some(PAGE.len())) && !asked.is_head {
                    // A queue that is empty has room for it.
                    let _ = conn.send_body(PAGE);
                }
                return self.end(conn, idx);
            }
            Wanted::Metrics => (Job::Metrics(metrics::Cursor::default()), metrics::TYPE),
            Wanted::Connections(shape) => {
                let cursor = connections::Cursor::new(shape, (idx.0, self.counters.answers));
                (Job::Connections(cursor), shape.media_type())
            }
            Wanted::Capture(_) if self.capturing.is_some() => {
                let text = "somebody captures already: one at a time\n";
                return self.refuse(conn, idx, asked, "503 Service Unavailable", text);
            }
            Wanted::Capture(wish) => {
                if !asked.is_head {
                    self.capturing = Some(idx);
                }
                let cursor = capture::Cursor::new(wish, conn.now());
                (Job::Capture(cursor), capture::TYPE)
            }
            Wanted::Healthy => return self.say(conn, idx, asked, "200 OK", "ok\n"),
            // Whoever asks has reached our address, so there is one, and the site's port listens
            // for as long as the server is not ending.
            Wanted::Ready if self.is_ending => {
                return self.refuse(conn, idx, asked, "503 Service Unavailable", "ending\n");
            }
            Wanted::Ready => return self.say(conn, idx, asked, "200 OK", "ready\n"),
            Wanted::BadFilter(error) => {
                let mut said = [0; 160];
                let mut text = Text::new(&mut said);
                let fits = writeln!(text, "{error}").is_ok();
                let len = text.len();
                let said = core::str::from_utf8(said.get(..len).unwrap_or_default());
                let said = said
                    .ok()
                    .filter(|_| fits)
                    .unwrap_or("filter: a word is too long\n");
                return self.refuse(conn, idx, asked, "400 Bad Request", said);
            }
            Wanted::Error(status, text) => return self.refuse(conn, idx, asked, status, text),
        };
        let (job, media_type) = begun;
        let is_begun = head(conn, asked, "200 OK", media_type, None);
        if !is_begun || asked.is_head {
            return self.end(conn, idx);
        }
        self.has_work = true;
        if let Some(seat) = self.seat(idx) {
            seat.job = job;
            seat.is_chunked = !asked.is_http10;
            seat.has_work = true;
        }
    }

    /// A short text, as a whole.
    fn say(
        &mut self,
        conn: &mut Connection<'_, '_>,
        idx: SeatIdx,
        asked: &Asked<'_>,
        status: &str,
        text: &str,
    ) {
        let plain = "text/plain; charset=utf-8";
        if head(conn, asked, status, plain, Some(text.len())) && !asked.is_head {
            // A queue that is empty has room for it, unless frames are short: then the close says
            // that something is missing.
            let _ = conn.send(text.as_bytes());
        }
        self.end(conn, idx);
    }

    fn refuse(
        &mut self,
        conn: &mut Connection<'_, '_>,
        idx: SeatIdx,
        asked: &Asked<'_>,
        status: &str,
        text: &str,
    ) {
        self.counters.errors += 1;
        self.say(conn, idx, asked, status, text);
    }

    fn end(&mut self, conn: &mut Connection<'_, '_>, idx: SeatIdx) {
        conn.close();
        if let Some(seat) = self.seat(idx) {
            seat.job = Job::Ended;
        }
        if self.capturing == Some(idx) {
            self.capturing = None;
            self.has_work = true;
        }
    }

    pub(crate) fn writable(&mut self, idx: SeatIdx) {
        self.has_work = true;
        if let Some(seat) = self.seat(idx) {
            seat.has_work = true;
            seat.is_full = false;
        }
    }

    pub(crate) fn finished(&mut self, conn: &mut Connection<'_, '_>, idx: SeatIdx) {
        // Who has asked and closed his side still gets his answer.
        if self
            .seat(idx)
            .is_none_or(|seat| matches!(seat.job, Job::Waiting))
        {
            self.end(conn, idx);
        }
    }

    pub(crate) fn woken(&mut self, conn: &mut Connection<'_, '_>, idx: SeatIdx) {
        let now = conn.now();
        let (acked_len, waits) = (conn.status().bytes_acked, conn.unacked_len() > 0);
        let Some(seat) = self.seat(idx) else { return };
        if acked_len != seat.acked_len {
            (seat.acked_len, seat.since) = (acked_len, now);
        }
        let is_patient = match seat.job {
            Job::Capture(_) => !waits,
            _ => false,
        };
        if now.since(seat.since) >= PATIENCE && !is_patient {
            self.counters.slow += 1;
            return conn.abort();
        }
        if matches!(seat.job, Job::Capture(_)) {
            seat.has_work = true;
            self.has_work = true;
            return conn.wake_at(now + capture::TICK);
        }
        conn.wake_at(now + LOOK);
    }

    pub(crate) fn closed(&mut self, idx: SeatIdx) {
        if let Some(seat) = self.seat(idx) {
            *seat = Seat::FREE;
        }
        if self.capturing == Some(idx) {
            self.capturing = None;
            self.has_work = true;
        }
    }
}

/// Queues the head of an answer; without `len` the body comes in chunks. Whether it was queued.
fn head(
    conn: &mut Connection<'_, '_>,
    asked: &Asked<'_>,
    status: &str,
    media_type: &str,
    len: Option<usize>,
) -> bool {
    let sent = conn.send_with(|room| {
        let mut text = Text::new(room);
        let written = text.item(|out| {
            write!(out, "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n")?;
            out.write_str(FIELDS)?;
            match len {
                Some(len) => write!(out, "Content-Length: {len}\r\n")?,
                None if asked.is_http10 => {}
                None => out.write_str("Transfer-Encoding: chunked\r\n")?,
            }
            if status.starts_with("405") {
                out.write_str("Allow: GET, HEAD\r\n")?;
            }
            out.write_str("\r\n")
        });
        written.then(|| text.len())
    });
    sent.is_ok()
}

/// Fields of every answer. Nothing that is shown may be kept, or shown as a part of another page.
const FIELDS: &str = concat!(
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; ",
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'\r\n",
    "Connection: close\r\n",
);
