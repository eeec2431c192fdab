//! Our stack on a wire in virtual time, with an application that is a client or a server.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::tcp::{App, Closed, Conn, ConnId, Settings};
use simoom::{Duration, Endpoint, Instant, Polled, Stack};
use simoom_ring::{FramePool, MacAddr, Port};
use simoom_sim::{PortConfig, Rng, SimPort, SimQueue, Wire};

use crate::congestion::InTurn;
use crate::memory::{Sizes, pool, stack, storage};
use crate::talk::{Asking, Request, Serving};

/// The congestion control of all stacks here.
pub(crate) type Cc = InTurn;

/// How the two sides behave.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Requests of each client connection.
    pub(crate) requests: u32,
    /// Longest upload or download in bytes.
    pub(crate) len_max: u64,
    /// Requests that a client has under way at once.
    pub(crate) pipeline: u32,
    /// Of a thousand requests: how many are uploads.
    pub(crate) uploads_permille: u64,
    /// Of a thousand: how often a reader takes nothing and looks again after a while.
    pub(crate) stalls_permille: u64,
    /// The longest such while.
    pub(crate) stall_us_max: u64,
    /// Of a thousand: how often an application aborts when bytes come in.
    pub(crate) aborts_permille: u64,
    /// Of a thousand: how often a client closes when bytes come in, and never takes another.
    pub(crate) leaves_permille: u64,
    /// Clients close behind their last request, with the answers still to come.
    pub(crate) is_half_closing: bool,
    /// The server closes behind its last answer; else the client does when it has that.
    pub(crate) is_server_first: bool,
}

impl Habits {
    /// A few requests, one after the other, of a client that closes when it is answered.
    pub(crate) const PLAIN: Self = Self {
        requests: 1,
        len_max: 0,
        pipeline: 1,
        uploads_permille: 0,
        stalls_permille: 0,
        stall_us_max: 300_000,
        aborts_permille: 0,
        leaves_permille: 0,
        is_half_closing: false,
        is_server_first: false,
    };

    /// Whether only the network can keep a connection from finishing.
    pub(crate) fn is_patient(&self) -> bool {
        self.aborts_permille + self.leaves_permille == 0
    }

    /// The requests of one connection.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Vec<Request> {
        let mut requests: Vec<Request> = (0..self.requests)
            .map(|_| {
                let mut request = Request::random(rng, self.len_max);
                request.is_upload = rng.below(1_000) < self.uploads_permille;
                request
            })
            .collect();
        if let Some(last) = requests.last_mut() {
            last.is_last = self.is_server_first;
        }
        requests
    }
}

enum Role {
    /// And the answer that there was no room for yet.
    Server(Serving, Option<Request>),
    Client(Asking),
}

/// The state of a connection of either side.
pub(crate) struct Side {
    role: Role,
    /// When bytes were taken last.
    active_at: Instant,
    /// It has closed and takes no bytes any more.
    has_left: bool,
    /// All bytes have come and are taken.
    has_finished: bool,
}

impl Side {
    fn new(role: Role, active_at: Instant) -> Self {
        Self {
            role,
            active_at,
            has_left: false,
            has_finished: false,
        }
    }
}

/// A connection whose other end is gone must not stay for ever.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) why: Closed,
    /// It was a client that had all it asked for.
    pub(crate) is_answered: bool,
}

/// What all connections of a world tell.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) answered: u64,
    /// Bytes that clients have received.
    pub(crate) received: u64,
    /// Connections that their application gave up for want of bytes.
    pub(crate) given_up: u64,
    pub(crate) ends: Vec<Ending>,
}

/// The application of a stack.
pub(crate) struct Peer {
    pub(crate) habits: Habits,
    pub(crate) rng: Rng,
    pub(crate) tally: Rc<RefCell<Tally>>,
}

impl Peer {
    /// The state of a client connection with its requests drawn.
    pub(crate) fn client(&mut self) -> Side {
        let requests = self.habits.draw(&mut self.rng);
        Side::new(Role::Client(Asking::new(requests)), Instant::ZERO)
    }

    fn hits(&mut self, permille: u64) -> bool {
        self.rng.below(1_000) < permille
    }

    fn ask(habits: &Habits, conn: &mut Conn<'_, '_, Cc>, asking: &mut Asking) {
        while let Some(request) = asking.next(habits.pipeline) {
            let body = request.uploaded();
            // Room for both pieces, or neither.
            if !conn.has_room_for(2) || conn.send(&request.to_bytes()).is_err() {
                return conn.want_writable();
            }
            if !body.is_empty() && conn.send_body(body).is_err() {
                return conn.abort();
            }
            asking.asked += 1;
        }
        let is_done = asking.is_answered() && !habits.is_server_first;
        if is_done || (habits.is_half_closing && asking.is_all_asked()) {
            conn.close();
        }
    }

    /// Answers what is owed; false when there is no room for it yet.
    fn answer(conn: &mut Conn<'_, '_, Cc>, owed: &mut Option<Request>) -> bool {
        let Some(request) = *owed else { return true };
        let body = request.downloaded();
        // Room for both pieces, or neither.
        if !conn.has_room_for(2) || conn.send(&request.len.to_be_bytes()).is_err() {
            conn.want_writable();
            return false;
        }
        if !body.is_empty() && conn.send_body(body).is_err() {
            panic!("there was room for two");
        }
        if request.is_last {
            conn.close();
        }
        *owed = None;
        true
    }

    fn serve(
        conn: &mut Conn<'_, '_, Cc>,
        serving: &mut Serving,
        owed: &mut Option<Request>,
        bytes: &[u8],
    ) -> usize {
        let mut taken = 0;
        while Self::answer(conn, owed) {
            let (len, completed) = serving.take(&bytes[taken..]);
            taken += len;
            *owed = completed;
            if len == 0 && completed.is_none() {
                break;
            }
        }
        taken
    }
}

impl App for Peer {
    type Conn = Side;
    type Congestion = Cc;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Cc>) -> Side {
        self.tally.borrow_mut().accepted += 1;
        conn.set_nodelay(true);
        conn.wake_at(conn.now() + IDLE_MAX);
        let role = Role::Server(Serving::default(), None);
        Side::new(role, conn.now())
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Cc>, side: &mut Side) {
        conn.wake_at(conn.now() + IDLE_MAX);
        side.active_at = conn.now();
        self.writable(conn, side);
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Cc>, side: &mut Side, bytes: &[u8]) -> usize {
        if side.has_left {
            return 0;
        }
        if self.hits(self.habits.stalls_permille) {
            let stall_us = 1 + self.rng.below(self.habits.stall_us_max);
            conn.wake_at(conn.now() + Duration::from_micros(stall_us));
            return 0;
        }
        if self.hits(self.habits.aborts_permille) {
            conn.abort();
            return 0;
        }
        let taken = match &mut side.role {
            Role::Server(serving, owed) => Self::serve(conn, serving, owed, bytes),
            Role::Client(_) if self.hits(self.habits.leaves_permille) => {
                side.has_left = true;
                conn.close();
                0
            }
            Role::Client(asking) => {
                let mut tally = self.tally.borrow_mut();
                tally.answered += asking.check(bytes);
                tally.received += bytes.len() as u64;
                drop(tally);
                Self::ask(&self.habits, conn, asking);
                bytes.len()
            }
        };
        if taken > 0 {
            side.active_at = conn.now();
        }
        taken
    }

    fn finished(&mut self, conn: &mut Conn<'_, '_, Cc>, side: &mut Side) {
        side.has_finished = true;
        match &mut side.role {
            Role::Server(_, owed) => {
                if Self::answer(conn, owed) {
                    conn.close();
                }
            }
            Role::Client(_) => conn.close(),
        }
    }

    fn woken(&mut self, conn: &mut Conn<'_, '_, Cc>, side: &mut Side) {
        if conn.now().since(side.active_at) >= IDLE_MAX {
            self.tally.borrow_mut().given_up += 1;
            conn.abort();
        } else {
            conn.wake_at(side.active_at + IDLE_MAX);
        }
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Cc>, side: &mut Side) {
        match &mut side.role {
            Role::Client(_) if side.has_left => {}
            Role::Client(asking) => Self::ask(&self.habits, conn, asking),
            Role::Server(_, owed) => {
                // What has come behind the request is offered next, and may ask for more.
                if Self::answer(conn, owed) && side.has_finished {
                    conn.close();
                }
            }
        }
    }

    fn closed(&mut self, _id: ConnId, side: Side, why: Closed) {
        let is_answered = matches!(&side.role, Role::Client(asking) if asking.is_answered());
        if why == Closed::Finished && !side.has_left && matches!(side.role, Role::Client(_)) {
            assert!(is_answered, "it finished without all that it asked for");
        }
        self.tally
            .borrow_mut()
            .ends
            .push(Ending { why, is_answered });
    }
}

/// One end of the wire with its stack.
pub(crate) struct Host {
    pub(crate) stack: Stack<'static, Peer>,
    pub(crate) queue: SimQueue<'static>,
    pub(crate) port: SimPort,
    pub(crate) app: Peer,
    pub(crate) pool: &'static FramePool<'static>,
}

/// What a host is made of beside its application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) config: PortConfig,
    pub(crate) frames: usize,
    pub(crate) sizes: Sizes,
    pub(crate) tcp: Settings,
}

impl Host {
    /// Host `n` of the network 10.0.0.0/24.
    pub(crate) fn new(wire: &Wire, n: u8, device: Device, app: Peer, seed: u64) -> Self {
        let Device {
            mut config,
            frames,
            sizes,
            tcp,
        } = device;
        config.mac = MacAddr([2, 0, 0, 0, 0, n]);
        let pool = pool(n.into(), frames);
        let mut port = wire.port(config);
        let queue = port
            .queue(0, pool)
            .expect("the pool fills the receive ring");
        let now = Instant::from_micros(wire.now_us());
        let stack = stack(
            pool,
            (port.caps(), port.mac()),
            storage(sizes),
            tcp,
            (seed, now),
            (Self::addr(n), None),
        );
        Self {
            stack,
            queue,
            port,
            app,
            pool,
        }
    }

    pub(crate) fn addr(n: u8) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::new(10, 0, 0, n)
    }

    pub(crate) fn connect(&mut self, now: Instant, to: u8) -> ConnId {
        let state = self.app.client();
        self.stack
            .connect(now, Endpoint::new(Self::addr(to), 80), state)
            .expect("a free slot")
    }

    /// Whether all connections are gone, half-open ones too.
    pub(crate) fn is_quiet(&self) -> bool {
        let levels = self.stack.levels();
        levels.conns + levels.syns == 0
    }

    /// What must hold at the end: nothing is left, and nothing was sent that was wrong.
    pub(crate) fn check_home(self, wire: &Wire) {
        let levels = self.stack.levels();
        assert_eq!(
            (levels.conns, levels.syns, levels.bodies),
            (0, 0, 0),
            "{levels:?}"
        );
        assert_eq!((levels.flights, levels.sent), (0, 0), "{levels:?}");
        assert_eq!(wire.counters(self.port.end()).bad_csum_sent, 0);
        let copied = self.stack.counters().payload_bytes_copied;
        assert!(
            copied == 0 || self.port.config().fragments_max == 1,
            "{copied} bytes copied"
        );
        let Host {
            stack, queue, pool, ..
        } = self;
        drop((stack, queue));
        assert!(pool.all_home(), "{pool:?}");
    }
}

/// What lives on a wire.
pub(crate) trait Lives {
    /// Does all there is to do now.
    fn poll(&mut self, now: Instant);

    /// When there is something to do by itself.
    fn poll_at(&mut self, now: Instant) -> Instant;

    /// Whether all connections are gone.
    fn is_quiet(&self) -> bool;
}

impl Lives for Host {
    fn poll(&mut self, now: Instant) {
        // Bounded: each busy poll works off a burst of a finite ring.
        for _ in 0..1_000 {
            if self.stack.poll(now, &mut self.queue, &mut self.app) == Polled::Idle {
                return;
            }
        }
        panic!("a stack stays busy at {now:?}");
    }

    fn poll_at(&mut self, now: Instant) -> Instant {
        self.stack.poll_at(now)
    }

    fn is_quiet(&self) -> bool {
        Host::is_quiet(self)
    }
}

/// Lets time pass until all is quiet or `until`; true if it is quiet.
pub(crate) fn run(
    wire: &Wire,
    here: &mut impl Lives,
    there: &mut impl Lives,
    until: Instant,
) -> bool {
    let mut rounds = 0;
    loop {
        let now = Instant::from_micros(wire.now_us());
        // Silence is part of the protocol: two sides that answer each other's answers never stop.
        rounds += 1;
        assert!(rounds < ROUNDS_MAX, "they go on for ever");
        here.poll(now);
        there.poll(now);
        if here.is_quiet() && there.is_quiet() {
            return true;
        }
        let timers = here.poll_at(now).min(there.poll_at(now));
        let wire_at = wire.next_at().map_or(Instant::NEVER, Instant::from_micros);
        let next = timers.min(wire_at);
        if next > until {
            wire.advance_to(until.as_micros());
            return false;
        }
        // A timer of this very moment must not make time stand still.
        wire.advance_to(next.max(now + Duration::from_micros(1)).as_micros());
    }
}

/// Moments at which something happens in one run, many times as many as there are in most.
const ROUNDS_MAX: u32 = 3_000_000;
