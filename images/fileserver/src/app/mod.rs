//! The stack's application: requests in, answers out, on every connection that comes.
//!
//! ```text
//!   received ─ room for an answer? ─ Server::respond ─► head: written into a frame of the stack
//!                   │ no                    │       └─► body: a slice of the site, by reference
//!                   └ the bytes stay        └ a head that straddles frames: Scratches
//! ```
//!
//! Nothing is taken that cannot be answered: when the send queue is full the bytes stay where they
//! are, and the far side's window shrinks. A connection keeps a [`Client`], 40 bytes; what it may
//! cost is in [`Bounds`].
//!
//! # The end of a connection
//!
//! After the last answer our side closes at once, and what still comes is taken and thrown away,
//! so that the answer is not destroyed by the RST that unread bytes would cause (RFC 9112 9.6).
//! That goes on for [`LINGER`] and [`LINGER_LEN_MAX`] at most.

mod addresses;
mod bounds;
mod parts;
mod patience;
mod scratch;
mod sums;
mod tally;

use simoom::tcp::cc::Chosen;
use simoom::tcp::{App, Closed, Conn, ConnId, SendError};
use simoom::{Body, Duration, Instant, Sums};

use crate::accesslog::Log;
use crate::http::{Answer, Exchange, Gather, Known, Server, Status, Step};
use addresses::AddressIdx;
pub use addresses::Addresses;
pub use bounds::{Bounds, Counters};
pub use parts::PARTS_CNT;
use parts::{PartsIdx, PartsTable};
use scratch::ScratchIdx;
pub use scratch::{SCRATCH_LEN, Scratches};
pub use tally::Tally;

/// How long a connection may last after its last answer has arrived.
pub const LINGER: Duration = Duration::from_secs(10);

/// Bytes that are taken after the last answer.
pub const LINGER_LEN_MAX: u32 = 1 << 20;

/// What is thrown away counts in such units, the last of a segment as a whole one.
const LINGER_UNIT: usize = 64;
const LINGER_MAX: u16 = (LINGER_LEN_MAX as usize / LINGER_UNIT) as u16;

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
    bounds: Bounds,
    addresses: Addresses,
    conn_cnt: u32,
    counters: Counters,
    tally: Tally,
    log: Log,
    sums: Option<&'static Sums>,
    known: Known,
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
    /// What is queued has been looked at: see [`patience`].
    is_sending: bool,
    /// Units of [`LINGER_UNIT`] bytes that may still come after the last answer.
    linger: u16,
    address: AddressIdx,
    /// When what the connection does began, in milliseconds.
    since_ms: u32,
    /// Bytes that were acknowledged then, modulo 2^32.
    mark: u32,
}

const _: () = assert!(size_of::<Client>() <= 40);

impl Client {
    fn new(address: AddressIdx) -> Self {
        Self {
            exchange: Exchange::NEW,
            gather: Gather::default(),
            scratch: None,
            parts: None,
            ends_with_parts: false,
            is_closing: false,
            is_sending: false,
            offered_len: 0,
            linger: LINGER_MAX,
            address,
            since_ms: 0,
            mark: 0,
        }
    }

    pub(crate) fn is_within_head(&self) -> bool {
        self.exchange.is_within_head() || !self.gather.is_empty()
    }
}

/// The connection of a call.
type Connection<'a, 'p> = Conn<'a, 'p, Chosen>;

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
            bounds: Bounds::DEFAULT,
            addresses: Addresses::new(&mut [], 0),
            conn_cnt: 0,
            counters: Counters::default(),
            tally: Tally::new(),
            log: Log::off(),
            sums: None,
            known: Known::new(&mut []),
        }
    }

    /// Bounds connections, with memory to count them by address.
    pub fn set_bounds(&mut self, bounds: Bounds, addresses: Addresses) {
        self.bounds = bounds;
        self.addresses = addresses;
    }

    /// What has happened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that are open, and those that are counted by address.
    #[must_use]
    pub fn conn_cnts(&self) -> (u32, u64) {
        (self.conn_cnt, self.addresses.total())
    }

    /// Says what time it is: seconds since 1970, at a time of the stack. Without it answers have no
    /// Date (RFC 9110 6.6.1).
    pub fn set_clock(&mut self, clock: Option<(i64, Instant)>) {
        self.clock = clock;
        self.log.set_clock(clock);
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
        let gathered_len = client.gather.len();
        let mut step = None;
        let sent = conn.send_with(|room| {
            let taken = step.insert(self.respond(client, bytes, room));
            head_len(taken)
        });
        if let Some(Step::Answer(answer)) = &step
            && self.log.is_on()
        {
            self.write_down(conn, client, bytes, gathered_len, answer);
        }
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
                self.counters.bodies_malformed += 1;
                self.close(conn, client);
                Next::Took(consumed.min(bytes.len()))
            }
            Some(Step::Taken { consumed: 0 }) => Next::Wait,
            Some(Step::Taken { consumed }) => Next::Took(consumed.min(bytes.len())),
            Some(Step::NeedMore) => {
                if !was_within_head {
                    self.begin_head(conn, client);
                } else if self.ends_for_frames(conn, client) {
                    return Next::Took(bytes.len());
                }
                self.need_more(conn, client, bytes, is_first)
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
                    self.counters.scratches_short += 1;
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
        self.count(client, answer);
        client.offered_len = 0;
        self.begin_sending(conn, client);
        if answer.has_parts && has_head {
            client.parts = self.parts.take_vacant();
            client.ends_with_parts = answer.close;
            return self.send_parts(conn, client);
        }
        let has_body = has_head && conn.send_body(Body::summed(answer.body, self.sums)).is_ok();
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
                    let _queued = conn.send_body(Body::summed(piece.body, self.sums));
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
            Some(answer) => {
                if self.log.is_on() {
                    self.write_down(conn, client, &[], 0, &answer);
                }
                self.answered(conn, client, &answer, sent.is_ok());
            }
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
        if !client.is_sending {
            self.begin(conn, client);
        }
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
    type Congestion = Chosen;

    fn accepted(&mut self, conn: &mut Connection<'_, '_>) -> Client {
        // Answers are queued as a whole: there is nothing to wait for.
        conn.set_nodelay(true);
        self.conn_cnt = self.conn_cnt.saturating_add(1);
        if self.conn_cnt > self.bounds.conns_max {
            self.counters.conns_refused += 1;
            conn.abort();
            return Client::new(AddressIdx::NONE);
        }
        let remote = conn.tuple().remote.addr;
        let address = self.addresses.add(remote, self.bounds.conns_per_addr_max);
        let Some(address) = address else {
            self.counters.conns_per_addr_refused += 1;
            conn.abort();
            return Client::new(AddressIdx::NONE);
        };
        self.counters.accepted += 1;
        let mut client = Client::new(address);
        self.begin(conn, &mut client);
        conn.wake_at(conn.now() + self.bounds.look());
        client
    }

    fn received(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        bytes: &[u8],
    ) -> usize {
        if let Some(taken) = self.answer_known(conn, client, bytes) {
            return taken;
        }
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
        let rest_len = bytes.len() - taken.min(bytes.len());
        match client
            .linger
            .checked_sub(rest_len.div_ceil(LINGER_UNIT) as u16)
        {
            Some(left) => client.linger = left,
            None => {
                self.counters.lingers_cut += 1;
                conn.abort();
            }
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
        self.look(conn, client);
    }

    fn closed(&mut self, _id: ConnId, client: Client, _why: Closed) {
        self.scratches.give_back(client.scratch);
        self.parts.give_back(client.parts);
        self.addresses.remove(client.address);
        self.conn_cnt = self.conn_cnt.saturating_sub(1);
    }
}
