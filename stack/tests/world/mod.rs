//! Two stacks on one wire in virtual time: a server of slices of known content, clients that ask
//! for them and check every byte.

mod congestion;

use std::cell::RefCell;
use std::rc::Rc;

use simoom::iface::Setup;
use simoom::tcp::{
    App, BodyNode, Closed, Conn, ConnId, ConnSlot, DemuxEntry, Settings, Storage, SynEntry,
    TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Duration, Endpoint, Instant, Polled, Stack};
use simoom_ring::{FrameMemory, FrameMeta, FramePool, MacAddr, Port};
use simoom_sim::{PortConfig, Rng, SimPort, SimQueue, Wire};

pub(crate) use congestion::{Either, set_reno};

/// Everything that is ever served: bytes that tell their place.
pub(crate) fn content() -> &'static [u8] {
    static CONTENT: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    CONTENT.get_or_init(|| {
        let mut rng = Rng::new(7);
        (0..CONTENT_LEN / 8)
            .flat_map(|_| rng.next_u64().to_le_bytes())
            .collect()
    })
}

/// Bytes of [`content`].
pub(crate) const CONTENT_LEN: usize = 1 << 20;

/// A request: where in the content, and how many bytes. The answer is its length, then the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Request {
    const LEN: usize = 8;

    pub(crate) fn random(rng: &mut Rng, len_max: u64) -> Self {
        let len = rng.below(len_max + 1) as u32;
        let offset = rng.below((CONTENT_LEN as u64 - u64::from(len)) + 1) as u32;
        Self { offset, len }
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.offset.to_be_bytes());
        bytes[4..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk::<4>()?;
        let (len, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            offset: u32::from_be_bytes(*offset),
            len: u32::from_be_bytes(*len),
        })
    }

    fn body(self) -> &'static [u8] {
        &content()[self.offset as usize..][..self.len as usize]
    }
}

/// How the two sides behave.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Requests of each client connection.
    pub(crate) requests: u32,
    /// Longest answer in bytes.
    pub(crate) len_max: u64,
    /// Requests that a client has under way at once.
    pub(crate) pipeline: u32,
    /// Of a thousand: how often a reader takes nothing and looks again after a while.
    pub(crate) stalls_permille: u64,
    /// Of a thousand: how often a client aborts when bytes come in.
    pub(crate) aborts_permille: u64,
}

/// What a client connection is at.
#[derive(Debug)]
pub(crate) struct Client {
    requests: Vec<Request>,
    asked: usize,
    answered: usize,
    idle: Idle,
    /// Bytes of the current answer that have come, its length field included.
    got: usize,
}

/// The state of a connection of either side.
pub(crate) enum Side {
    Server(Idle),
    Client(Client),
}

/// When bytes came in last: a connection whose other end is gone must not stay for ever.
#[derive(Debug)]
pub(crate) struct Idle {
    since: Instant,
}

impl Idle {
    const MAX: Duration = Duration::from_secs(120);

    /// Waits on, or gives up.
    fn woken(&self, conn: &mut Conn<'_, '_, Either>) {
        if conn.now().since(self.since) >= Self::MAX {
            conn.abort();
        } else {
            conn.wake_at(self.since + Self::MAX);
        }
    }
}

/// What all connections of a world tell.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) bytes: u64,
    pub(crate) ends: Vec<(ConnId, Closed)>,
}

/// The application of both stacks.
pub(crate) struct Peer {
    pub(crate) habits: Habits,
    pub(crate) rng: Rng,
    pub(crate) tally: Rc<RefCell<Tally>>,
}

impl Peer {
    /// The state of a client connection with its requests drawn.
    pub(crate) fn client(&mut self) -> Side {
        let (rng, len_max) = (&mut self.rng, self.habits.len_max);
        let requests = (0..self.habits.requests)
            .map(|_| Request::random(rng, len_max))
            .collect();
        Side::Client(Client {
            requests,
            asked: 0,
            answered: 0,
            got: 0,
            idle: Idle {
                since: Instant::ZERO,
            },
        })
    }

    fn ask(&self, conn: &mut Conn<'_, '_, Either>, client: &mut Client) {
        while client.asked < client.requests.len()
            && client.asked - client.answered < self.habits.pipeline as usize
        {
            if conn
                .send(&client.requests[client.asked].to_bytes())
                .is_err()
            {
                return;
            }
            client.asked += 1;
        }
        if client.answered == client.requests.len() {
            conn.close();
        }
    }

    fn serve(&self, conn: &mut Conn<'_, '_, Either>, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(request) = Request::from_bytes(&bytes[taken..]) {
            // Room for both pieces, or neither.
            if conn.has_room() && conn.send(&request.len.to_be_bytes()).is_ok() {
                if conn.send_body(request.body()).is_err() {
                    conn.abort();
                }
                taken += Request::LEN;
            } else {
                conn.want_writable();
                break;
            }
        }
        taken
    }

    fn check(&self, client: &mut Client, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let request = client.requests[client.answered];
            let (head, body) = (request.len.to_be_bytes(), request.body());
            let expected = match client.got {
                got @ 0..4 => &head[got..],
                got => &body[got - 4..],
            };
            let len = expected.len().min(bytes.len());
            assert_eq!(
                bytes[..len],
                expected[..len],
                "{request:?} at {}",
                client.got
            );
            client.got += len;
            bytes = &bytes[len..];
            if client.got == 4 + body.len() {
                client.got = 0;
                client.answered += 1;
                self.tally.borrow_mut().answered += 1;
            }
        }
    }
}

impl App for Peer {
    type Conn = Side;
    type Congestion = Either;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Either>) -> Side {
        conn.set_nodelay(true);
        conn.wake_at(conn.now() + Idle::MAX);
        Side::Server(Idle { since: conn.now() })
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Either>, state: &mut Side) {
        let Side::Client(client) = state else {
            panic!("only clients connect")
        };
        conn.wake_at(conn.now() + Idle::MAX);
        client.idle.since = conn.now();
        self.ask(conn, client);
    }

    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Either>,
        state: &mut Side,
        bytes: &[u8],
    ) -> usize {
        if self.rng.below(1_000) < self.habits.stalls_permille {
            conn.wake_at(conn.now() + Duration::from_micros(1 + self.rng.below(300_000)));
            return 0;
        }
        match state {
            Side::Server(idle) => {
                idle.since = conn.now();
                self.serve(conn, bytes)
            }
            Side::Client(client) => {
                if self.rng.below(1_000) < self.habits.aborts_permille {
                    conn.abort();
                    return 0;
                }
                client.idle.since = conn.now();
                self.check(client, bytes);
                self.tally.borrow_mut().bytes += bytes.len() as u64;
                self.ask(conn, client);
                bytes.len()
            }
        }
    }

    fn woken(&mut self, conn: &mut Conn<'_, '_, Either>, state: &mut Side) {
        match state {
            Side::Server(idle) => idle.woken(conn),
            Side::Client(client) => client.idle.woken(conn),
        }
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Either>, state: &mut Side) {
        if let Side::Client(client) = state {
            self.ask(conn, client);
        }
    }

    fn closed(&mut self, id: ConnId, _state: Side, why: Closed) {
        self.tally.borrow_mut().ends.push((id, why));
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

/// How large a host's tables are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) conns: usize,
    pub(crate) syns: usize,
    pub(crate) time_waits: usize,
    pub(crate) bodies: usize,
}

impl Sizes {
    pub(crate) const SMALL: Self = Self {
        conns: 64,
        syns: 64,
        time_waits: 64,
        bodies: 256,
    };
}

fn storage(sizes: Sizes) -> Storage<'static, Peer> {
    fn slice<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }
    let demux_len = Storage::<Peer>::demux_len(sizes.conns, sizes.syns, sizes.time_waits);
    Storage {
        conns: slice::<ConnSlot<'_, Peer>>(sizes.conns).into(),
        syns: slice::<SynEntry>(sizes.syns).into(),
        time_waits: slice::<TimeWaitEntry>(sizes.time_waits).into(),
        bodies: slice::<BodyNode<'_>>(sizes.bodies).into(),
        timers: slice::<TimerNode>(sizes.conns + sizes.syns).into(),
        demux: slice::<DemuxEntry>(demux_len).into(),
    }
}

/// A pool that lives for ever: make few, and use them again.
pub(crate) fn leak_pool(frames: usize) -> &'static FramePool<'static> {
    let memory = Box::leak(vec![FrameMemory::ZERO; frames].into_boxed_slice());
    let metas: Vec<FrameMeta> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(
        memory,
        Box::leak(metas.into_boxed_slice()),
    )))
}

impl Host {
    /// Host `n` of the network 10.0.0.0/24.
    pub(crate) fn new(
        wire: &Wire,
        n: u8,
        pool: &'static FramePool<'static>,
        mut config: PortConfig,
        sizes: Sizes,
        app: Peer,
        seed: u64,
    ) -> Self {
        config.mac = MacAddr([2, 0, 0, 0, 0, n]);
        let mut port = wire.port(config);
        let queue = port
            .queue(0, pool)
            .expect("the pool fills the receive ring");
        let (caps, mac) = (port.caps(), port.mac());
        let now = Instant::from_micros(wire.now_us());
        let mut stack = Stack::new(Setup {
            pool,
            caps,
            mac,
            storage: storage(sizes),
            tcp: Settings::default(),
            seed,
            now,
        });
        stack.configure(Cidr::new(Self::addr(n), 24).expect("24 bits"), None);
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

    pub(crate) fn poll(&mut self, now: Instant) {
        // Bounded: each busy poll works off a burst of a finite ring.
        for _ in 0..1_000 {
            if self.stack.poll(now, &mut self.queue, &mut self.app) == Polled::Idle {
                return;
            }
        }
        panic!("a stack stays busy at {now:?}");
    }
}

/// Lets time pass until `is_done` or `until`; true if it was done.
pub(crate) fn run(
    wire: &Wire,
    hosts: &mut [&mut Host],
    until: Instant,
    mut is_done: impl FnMut(&[&mut Host]) -> bool,
) -> bool {
    loop {
        let now = Instant::from_micros(wire.now_us());
        for host in hosts.iter_mut() {
            host.poll(now);
        }
        if is_done(hosts) {
            return true;
        }
        let timers = hosts.iter().map(|host| host.stack.poll_at(now)).min();
        let wire_at = wire.next_at().map_or(Instant::NEVER, Instant::from_micros);
        let next = timers.unwrap_or(Instant::NEVER).min(wire_at);
        if next > until {
            return false;
        }
        // A timer of this very moment must not make time stand still.
        wire.advance_to(next.max(now + Duration::from_micros(1)).as_micros());
    }
}
