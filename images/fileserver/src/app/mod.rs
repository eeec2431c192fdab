//! The stack's application: requests in, answers out, on every connection that comes.
//!
//! ```text
//!   received ─ room for an answer? ─ Server::respond ─► head: written into a frame of the stack
//!                   │ no                    │       └─► body: a slice of the site, by reference
//!                   └ the bytes stay        └ a head that straddles frames: Scratches
//! ```
//!
//! Nothing is taken that cannot be answered: when the send queue is full the bytes stay where they
//! are, and the far side's window shrinks. A connection keeps a [`Client`], 32 bytes.
//!
//! # The end of a connection
//!
//! After the last answer our side closes at once, and what still comes is taken and thrown away,
//! so that the answer is not destroyed by the RST that unread bytes would cause (RFC 9112 9.6).
//! That goes on for [`LINGER`] and [`LINGER_LEN_MAX`] at most.

mod parts;
mod scratch;

use simoom::tcp::cc::Cubic;
use simoom::tcp::{App, Closed, Conn, ConnId, SendError};
use simoom::{Duration, Instant};

use crate::http::{Answer, Exchange, Gather, Server, Status, Step};
pub use parts::PARTS_CNT;
use parts::{PartsIdx, PartsTable};
use scratch::ScratchIdx;
pub use scratch::{SCRATCH_LEN, Scratches};

/// How long a connection may be without a request, or an answer without an acknowledgment. It is
/// looked at when that time has passed, so it may be twice as long.
pub const IDLE: Duration = Duration::from_secs(60);

/// How long the head of a request may take to arrive.
pub const HEAD: Duration = Duration::from_secs(10);

/// How long a connection may last after its last answer has arrived.
pub const LINGER: Duration = Duration::from_secs(10);

/// Bytes that are taken after the last answer.
pub const LINGER_LEN_MAX: u32 = 1 << 20;

/// Pieces of a send queue that an answer takes: head and body.
const ANSWER_PIECES: u16 = 2;

/// A server of files, as an application of the stack.
pub struct FileServer {
    server: Server,
    scratches: Scratches,
    parts: PartsTable,
    /// Seconds since 1970 at a time of the stack.
    clock: Option<(i64, Instant)>,
    /// When the Date that is sent is to be another one.
    date_until: Instant,
    answered_cnt: u64,
}

/// What a connection keeps.
#[derive(Debug)]
pub struct Client {
    exchange: Exchange,
    gather: Gather,
    scratch: Option<ScratchIdx>,
    /// An answer in several parts that is not queued as a whole yet.
    parts: Option<PartsIdx>,
    /// The connection ends with it.
    ends_with_parts: bool,
    is_closing: bool,
    /// Length of a part of a head when it was last offered: if it has not grown, no more of it
    /// fits into its frame.
    offered_len: u16,
    /// Bytes that may still come after the last answer.
    linger_len: u32,
    /// Bytes that were not acknowledged when the clock was last looked at, modulo 2^32.
    unacked_len: u32,
}

const _: () = assert!(size_of::<Client>() <= 40);

impl Client {
    fn new() -> Self {
        Self {
            exchange: Exchange::NEW,
            gather: Gather::default(),
            scratch: None,
            parts: None,
            ends_with_parts: false,
            is_closing: false,
            offered_len: 0,
            linger_len: LINGER_LEN_MAX,
            unacked_len: 0,
        }
    }

    fn is_within_head(&self) -> bool {
        self.exchange.is_within_head() || !self.gather.is_empty()
    }
}

/// The connection of a call.
type Connection<'a, 'p> = Conn<'a, 'p, Cubic>;

/// What is to become of the bytes offered.
enum Next {
    /// So many are done with.
    Took(usize),
    /// They have to wait.
    Wait,
}

impl FileServer {
    /// A server of `server`'s site, with `scratches` for heads that straddle frames.
    #[must_use]
    pub fn new(server: Server, scratches: Scratches) -> Self {
        Self {
            server,
            scratches,
            parts: PartsTable::new(),
            clock: None,
            date_until: Instant::NEVER,
            answered_cnt: 0,
        }
    }

    /// Says what time it is: seconds since 1970, at a time of the stack. Without it answers have no
    /// Date (RFC 9110 6.6.1).
    pub fn set_clock(&mut self, clock: Option<(i64, Instant)>) {
        self.clock = clock;
        self.server.set_time(None);
        self.date_until = clock.map_or(Instant::NEVER, |_| Instant::ZERO);
    }

    /// Another second has begun.
    #[cold]
    fn tick(&mut self, now: Instant) {
        if let Some((unix, at)) = self.clock {
            // Times before the clock was told are that time.
            let seconds = now.since(at).as_secs();
            let unix = unix.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
            self.server.set_time(Some(unix));
            self.date_until = at + Duration::from_secs(seconds.saturating_add(1));
        }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Answers given on all connections.
    #[must_use]
    pub fn answered_cnt(&self) -> u64 {
        self.answered_cnt
    }

    /// Pieces of scratch memory that are not in use.
    #[must_use]
    pub fn scratches_free(&self) -> usize {
        self.scratches.free_cnt()
    }

    /// Answers in several parts that there is memory for.
    #[must_use]
    pub fn parts_free(&self) -> usize {
        self.parts.free_cnt()
    }

    /// Reads one request at the start of `bytes` and queues its answer. `is_first` when nothing
    /// before it was taken in this call.
    fn exchange(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        bytes: &[u8],
        is_first: bool,
    ) -> Next {
        if conn.now() >= self.date_until {
            self.tick(conn.now());
        }
        if client.parts.is_some() || !conn.has_room_for(ANSWER_PIECES) {
            conn.want_writable();
            return Next::Wait;
        }
        let was_within_head = client.is_within_head();
        let mut step = None;
        let sent = conn.send_with(|room| {
            let taken = step.insert(self.respond(client, bytes, room));
            head_len(taken)
        });
        if client.gather.is_empty() {
            self.scratches.give_back(client.scratch.take());
        }
        match step {
            // No frame for a head now. The stack asks again.
            None => Next::Wait,
            Some(Step::Answer(answer)) => {
                let consumed = answer.consumed.min(bytes.len());
                self.answered(conn, client, &answer, sent.is_ok());
                Next::Took(consumed)
            }
            Some(Step::Taken { consumed }) if client.exchange.is_closed() => {
                // A body that is none: where the next request begins nobody knows.
                self.close(conn, client);
                Next::Took(consumed.min(bytes.len()))
            }
            Some(Step::Taken { consumed: 0 }) => Next::Wait,
            Some(Step::Taken { consumed }) => Next::Took(consumed.min(bytes.len())),
            Some(Step::NeedMore) => {
                if !was_within_head {
                    conn.wake_at(conn.now() + HEAD);
                }
                self.need_more(conn, client, bytes, is_first)
            }
        }
    }

    fn respond(&mut self, client: &mut Client, bytes: &[u8], head: &mut [u8]) -> Step {
        let exchange = &mut client.exchange;
        let parts = self.parts.vacant();
        match self.scratches.memory(client.scratch.as_ref()) {
            None => self.server.respond(exchange, bytes, head, parts),
            Some(scratch) => {
                let gather = &mut client.gather;
                self.server
                    .respond_gathered(exchange, gather, scratch, bytes, head, parts)
            }
        }
    }

    /// A part of a head. The stack joins what comes with it as far as the frame goes; beyond that
    /// it is gathered.
    fn need_more(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        bytes: &[u8],
        is_first: bool,
    ) -> Next {
        let status = conn.status();
        if status.unread_len == 0 {
            if !status.state.can_receive() {
                // The rest will never come: `finished` follows.
                return Next::Took(bytes.len());
            }
        } else if is_first && usize::from(client.offered_len) == bytes.len() {
            client.offered_len = 0;
            return match self.scratches.take() {
                Some(scratch) => {
                    client.scratch = Some(scratch);
                    self.exchange(conn, client, bytes, true)
                }
                None => {
                    self.refuse(conn, client, Status::ServiceUnavailable);
                    Next::Took(bytes.len())
                }
            };
        }
        if is_first {
            // A frame is shorter than 64 KiB.
            client.offered_len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        }
        Next::Wait
    }

    /// The head of an answer was queued, or could not be: the body, and what comes after.
    fn answered(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        answer: &Answer,
        has_head: bool,
    ) {
        self.answered_cnt += 1;
        client.offered_len = 0;
        client.unacked_len = u32::MAX;
        conn.wake_at(conn.now() + IDLE);
        if answer.has_parts && has_head {
            client.parts = self.parts.take_vacant();
            client.ends_with_parts = answer.close;
            return self.send_parts(conn, client);
        }
        let has_body = has_head && conn.send_body(answer.body).is_ok();
        if answer.close || !has_body {
            self.close(conn, client);
        }
    }

    /// Queues as many parts as there is room for.
    fn send_parts(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        let Some(parts) = client.parts.as_ref().and_then(|idx| self.parts.get(idx)) else {
            return;
        };
        while !parts.is_done() {
            if !conn.has_room_for(ANSWER_PIECES) {
                return conn.want_writable();
            }
            let mut piece = None;
            let sent = conn.send_with(|room| {
                let written = parts.write(room)?;
                Some(piece.insert(written).head_len)
            });
            match (sent, piece) {
                (Ok(()), Some(piece)) => {
                    // There is room for it.
                    let _queued = conn.send_body(piece.body);
                    parts.advance();
                }
                // No frame for what stands in front of it: the stack asks again.
                (Err(SendError::NoFrame | SendError::Full), _) => return,
                _ => return conn.abort(),
            }
        }
        self.parts.give_back(client.parts.take());
        if client.ends_with_parts {
            self.close(conn, client);
        }
    }

    /// An answer that no request asked for, and the end.
    fn refuse(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client, status: Status) {
        let mut answer = None;
        let sent = conn.send_with(|room| {
            let refused = self.server.refuse(&mut client.exchange, status, room);
            answer = Some(refused);
            (refused.head_len > 0).then_some(refused.head_len)
        });
        match answer {
            Some(answer) => self.answered(conn, client, &answer, sent.is_ok()),
            None => conn.abort(),
        }
    }

    /// Our side has said everything.
    fn close(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        conn.close();
        client.is_closing = true;
        client.gather = Gather::default();
        self.scratches.give_back(client.scratch.take());
        self.parts.give_back(client.parts.take());
        conn.wake_at(conn.now() + LINGER);
    }
}

/// Bytes of head that a step has written; `None` when there is nothing to send.
fn head_len(step: &Step) -> Option<usize> {
    match step {
        Step::Answer(answer) if answer.head_len > 0 => Some(answer.head_len),
        _ => None,
    }
}

impl App for FileServer {
    type Conn = Client;
    type Congestion = Cubic;

    fn accepted(&mut self, conn: &mut Connection<'_, '_>) -> Client {
        // Answers are queued as a whole: there is nothing to wait for.
        conn.set_nodelay(true);
        conn.wake_at(conn.now() + IDLE);
        Client::new()
    }

    fn received(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        bytes: &[u8],
    ) -> usize {
        let mut taken = 0;
        while !client.is_closing {
            let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) else {
                return taken;
            };
            match self.exchange(conn, client, rest, taken == 0) {
                Next::Took(len) => taken += len,
                Next::Wait => return taken,
            }
        }
        // Thrown away. No more than a frame's worth, so it fits.
        let rest_len = (bytes.len() - taken.min(bytes.len())) as u32;
        match client.linger_len.checked_sub(rest_len) {
            Some(left) => client.linger_len = left,
            None => conn.abort(),
        }
        bytes.len()
    }

    fn writable(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        self.send_parts(conn, client);
    }

    fn finished(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        if client.parts.is_some() {
            client.ends_with_parts = true;
            return;
        }
        self.close(conn, client);
    }

    fn woken(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        let was_unacked_len = client.unacked_len;
        // Only compared with itself.
        client.unacked_len = conn.unacked_len() as u32;
        if conn.unacked_len() > 0 {
            if client.unacked_len == was_unacked_len {
                return conn.abort();
            }
            conn.wake_at(conn.now() + IDLE);
        } else if client.is_closing {
            conn.abort();
        } else if client.is_within_head() {
            self.refuse(conn, client, Status::RequestTimeout);
        } else if was_unacked_len > 0 {
            // The answer arrived some time since the last look: from now on, at the latest, the
            // connection is idle.
            conn.wake_at(conn.now() + IDLE);
        } else {
            self.close(conn, client);
        }
    }

    fn closed(&mut self, _id: ConnId, client: Client, _why: Closed) {
        self.scratches.give_back(client.scratch);
        self.parts.give_back(client.parts);
    }
}
