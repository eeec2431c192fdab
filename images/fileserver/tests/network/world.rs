//! Two stacks on one wire in virtual time: the file server, and clients that say given bytes and
//! keep what they hear.

use std::cell::RefCell;

use simoom::iface::Setup;
use simoom::tcp::cc::Cubic;
use simoom::tcp::{
    App, BodyNode, Closed, Conn, ConnId, ConnSlot, DemuxEntry, FlightEntry, GapEntry, SentNode,
    Settings, Storage, SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Duration, Endpoint, Instant, Polled, Stack};
use simoom_capture::{Store, Watched};
use simoom_fileserver::app::{FileServer, PARTS_CNT, SCRATCH_LEN, Scratches};
use simoom_fileserver::http::{KNOWN_CNT, Known, Limits, Place, Server};
use simoom_fileserver::site::{Memory, Options, Site};
use simoom_platform::net::{Attend, Round};
use simoom_ring::{FrameMemory, FrameMeta, FramePool, MacAddr, Port};
use simoom_sim::{PortConfig, SimPort, SimQueue, Wire};

/// How a client behaves beside saying its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Bytes in each of its segments at most.
    pub(crate) piece_len: usize,
    /// Time between two pieces; none: as fast as they go.
    pub(crate) pause: Duration,
    /// It closes its side when it has said everything.
    pub(crate) closes_early: bool,
    /// It aborts when it has said everything.
    pub(crate) aborts_early: bool,
    /// It stops to take bytes when it has so many.
    pub(crate) takes_max: usize,
    /// It aborts when it has so many bytes.
    pub(crate) aborts_at: usize,
    /// It aborts so long after it has said everything, if it is still there.
    pub(crate) aborts_after: Option<Duration>,
    /// It answers the server's close with its own.
    pub(crate) answers_close: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            piece_len: 1_400,
            pause: Duration::ZERO,
            closes_early: false,
            aborts_early: false,
            takes_max: usize::MAX,
            aborts_at: usize::MAX,
            aborts_after: None,
            answers_close: true,
        }
    }
}

/// One client connection, from its beginning to its end.
pub(crate) struct Talk {
    pub(crate) habits: Habits,
    say: Vec<u8>,
    said: usize,
    next_at: Instant,
    is_aborting: bool,
    aborts_at: Option<Instant>,
    /// What it has heard.
    pub(crate) heard: Vec<u8>,
    /// When the server closed its side.
    pub(crate) finished_at: Option<Instant>,
    /// How the connection ended.
    pub(crate) ended: Option<Closed>,
}

/// The client side's application.
#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) talks: Vec<Talk>,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (said, all, heard) = (self.said, self.say.len(), self.heard.len());
        let (finished_at, ended) = (self.finished_at, self.ended);
        write!(
            f,
            "said {said} of {all}, heard {heard}, finished {finished_at:?}, ended {ended:?}"
        )
    }
}

impl Talk {
    fn go_on(&mut self, conn: &mut Conn<'_, '_, Cubic>) {
        while self.said < self.say.len() {
            if conn.now() < self.next_at {
                return conn.wake_at(self.next_at);
            }
            let piece_len = self.habits.piece_len.min(conn.generated_max());
            let rest = &self.say[self.said..];
            let piece = &rest[..rest.len().min(piece_len)];
            if conn.send(piece).is_err() {
                return;
            }
            self.said += piece.len();
            self.next_at = conn.now() + self.habits.pause;
        }
        if self.habits.closes_early {
            conn.close();
        }
        if self.habits.aborts_early {
            // Later, or what was said would not be heard.
            conn.wake_at(conn.now() + Duration::from_secs(1));
            if self.is_aborting {
                conn.abort();
            }
            self.is_aborting = true;
        }
        if let Some(patience) = self.habits.aborts_after {
            let at = *self.aborts_at.get_or_insert(conn.now() + patience);
            match conn.now() < at {
                true => conn.wake_at(at),
                false => conn.abort(),
            }
        }
    }
}

impl Attend for Clients {}

impl App for Clients {
    type Conn = usize;
    type Congestion = Cubic;

    fn accepted(&mut self, _: &mut Conn<'_, '_, Cubic>) -> usize {
        unreachable!("nobody listens")
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Cubic>, talk: &mut usize) {
        conn.set_nodelay(true);
        self.talks[*talk].go_on(conn);
    }

    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Cubic>,
        talk: &mut usize,
        bytes: &[u8],
    ) -> usize {
        let talk = &mut self.talks[*talk];
        let len = bytes.len().min(talk.habits.takes_max - talk.heard.len());
        talk.heard.extend(&bytes[..len]);
        if talk.heard.len() >= talk.habits.aborts_at {
            conn.abort();
        }
        len
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Cubic>, talk: &mut usize) {
        self.talks[*talk].go_on(conn);
    }

    fn woken(&mut self, conn: &mut Conn<'_, '_, Cubic>, talk: &mut usize) {
        self.talks[*talk].go_on(conn);
    }

    fn finished(&mut self, conn: &mut Conn<'_, '_, Cubic>, talk: &mut usize) {
        let talk = &mut self.talks[*talk];
        talk.finished_at = Some(conn.now());
        if talk.habits.answers_close {
            conn.close();
        }
    }

    fn closed(&mut self, _: ConnId, talk: usize, why: Closed) {
        self.talks[talk].ended = Some(why);
    }
}

/// One end of the wire.
pub(crate) struct Host<A: App + 'static> {
    pub(crate) stack: Stack<'static, A>,
    pub(crate) app: A,
    pub(crate) pool: &'static FramePool<'static>,
    queue: Option<SimQueue<'static>>,
    rx_slots: usize,
    pub(crate) capture: RefCell<Store<'static>>,
    /// What the application has printed.
    pub(crate) printed: Vec<u8>,
    /// Nothing that it prints is taken, and it is not asked when to be called again.
    pub(crate) is_console_full: bool,
}

impl<A: Attend> Host<A> {
    fn new(wire: &Wire, config: PortConfig, app: A, sizes: Sizes, addr: [u8; 4]) -> Self {
        let mut port: SimPort = wire.port(config);
        let pool = pool(sizes.frames);
        let queue = port.queue(0, pool);
        let mut stack = Stack::new(Setup {
            pool,
            caps: config.caps(),
            mac: config.mac,
            storage: storage(sizes),
            tcp: Settings::default(),
            seed: addr[3].into(),
            now: Instant::ZERO,
        });
        stack.configure(Cidr::new(std::net::Ipv4Addr::from(addr), 24).unwrap(), None);
        Self {
            stack,
            app,
            pool,
            queue,
            rx_slots: config.rx_slots,
            capture: RefCell::default(),
            printed: Vec::new(),
            is_console_full: false,
        }
    }

    fn poll(&mut self, now: Instant) {
        let queue = self.queue.as_mut().expect("polled while it lives");
        for _ in 0..10_000 {
            let Watched { mut rx, mut tx } = Watched::new(queue, &self.capture, now.as_micros());
            let polled = self.stack.poll_rings(now, &mut rx, &mut tx, &mut self.app);
            let has_more = self.app.attend(Round {
                now,
                is_idle: polled == Polled::Idle,
                stack: &mut self.stack,
                queue,
                pool: self.pool,
                capture: &self.capture,
                print: &mut |text| {
                    if self.is_console_full {
                        return 0;
                    }
                    self.printed.extend(text);
                    text.len()
                },
            });
            if polled == Polled::Idle && !has_more {
                return;
            }
        }
        panic!("it stays busy");
    }

    /// Fails if anything is in use still, but for frames in the receive ring.
    fn assert_home(&mut self) {
        let levels = self.stack.levels();
        assert_eq!((levels.conns, levels.syns, levels.bodies), (0, 0, 0));
        let out = self.pool.owned_cnt() - self.pool.free_cnt();
        assert!(out as usize <= self.rx_slots, "{out} frames are out");
        self.queue = None;
        assert!(self.pool.all_home(), "a frame leaked: {:?}", self.pool);
    }
}

/// What the server does, by a name that instructions can be counted by.
#[inline(never)]
fn counted<A: Attend>(server: &mut Host<A>, now: Instant) {
    server.poll(now);
}

/// How large the tables of a host are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) frames: usize,
    pub(crate) conns: usize,
    pub(crate) bodies: usize,
}

/// The world.
pub(crate) struct World<A: Attend = FileServer> {
    pub(crate) wire: Wire,
    pub(crate) server: Host<A>,
    pub(crate) client: Host<Clients>,
}

impl World {
    /// A server of `files`, with so many scratches, and a client side with no connection yet.
    pub(crate) fn new(
        seed: u64,
        config: fn(MacAddr) -> PortConfig,
        files: &[(String, Vec<u8>)],
        sizes: Sizes,
        scratches: usize,
    ) -> Self {
        let scratch = vec![0; scratches * SCRATCH_LEN].leak();
        let mut app = FileServer::new(server(files), Scratches::new(scratch));
        app.set_known(Known::new(vec![Place::EMPTY; KNOWN_CNT].leak()));
        Self::of(app, seed, config, sizes)
    }

    /// Ends the world: all frames, pieces and scratches are home on both sides.
    pub(crate) fn assert_home(mut self, scratches: usize) {
        self.server.assert_home();
        self.client.assert_home();
        assert_eq!(self.server.app.scratches_free(), scratches);
        assert_eq!(self.server.app.parts_free(), PARTS_CNT);
    }
}

impl<A: Attend> World<A> {
    /// A server with this application, and a client side with no connection yet.
    pub(crate) fn of(app: A, seed: u64, config: fn(MacAddr) -> PortConfig, sizes: Sizes) -> Self {
        let wire = Wire::new(seed);
        let config = |last| config(MacAddr([2, 0, 0, 0, 0, last]));
        let mut server = Host::new(&wire, config(1), app, sizes, [10, 0, 0, 1]);
        server.stack.listen(80, 64).unwrap();
        let roomy = Sizes {
            frames: 2_048,
            conns: 256,
            bodies: 1_024,
        };
        let client = Host::new(&wire, config(2), Clients::default(), roomy, [10, 0, 0, 2]);
        Self {
            wire,
            server,
            client,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.wire.now_us())
    }

    /// Opens a connection that says `say`.
    pub(crate) fn open(&mut self, say: impl Into<Vec<u8>>, habits: Habits) -> usize {
        self.open_to(80, say, habits)
    }

    /// Opens a connection to a port of the server's.
    pub(crate) fn open_to(&mut self, port: u16, say: impl Into<Vec<u8>>, habits: Habits) -> usize {
        let talk = self.client.app.talks.len();
        self.client.app.talks.push(Talk {
            habits,
            say: say.into(),
            said: 0,
            next_at: Instant::ZERO,
            is_aborting: false,
            aborts_at: None,
            heard: Vec::new(),
            finished_at: None,
            ended: None,
        });
        let remote = Endpoint::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
        let now = self.now();
        self.client.stack.connect(now, remote, talk).unwrap();
        talk
    }

    /// Both sides do what there is to do now.
    fn poll(&mut self) {
        let now = self.now();
        counted(&mut self.server, now);
        self.client.poll(now);
    }

    /// Goes on to when something happens next, or to `until`.
    fn advance(&mut self, until: Instant) {
        let now = self.now();
        let mut ours = self.server.stack.poll_at(now);
        if !self.server.is_console_full {
            ours = ours.min(self.server.app.attend_at());
        }
        let timers = ours.min(self.client.stack.poll_at(now)).as_micros();
        let next = self.wire.next_at().unwrap_or(u64::MAX).min(timers);
        self.wire
            .advance_to(next.clamp(now.as_micros() + 1, until.as_micros()));
    }

    /// Lets time pass until `is_done`, `limit` from now at most.
    pub(crate) fn run(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) {
        let until = self.now() + limit;
        self.poll();
        while !is_done(self) {
            assert!(
                self.now() < until,
                "not done in time: {:?} {:?}",
                self.client.app.talks,
                self.server.stack.levels()
            );
            self.advance(until);
            self.poll();
        }
    }

    /// Runs until every connection is gone on both sides.
    pub(crate) fn run_to_end(&mut self, limit: Duration) {
        self.run(limit, Self::is_silent);
        // What is under way still.
        self.pass(Duration::from_secs(1));
    }

    /// Whether no connection is left on either side.
    pub(crate) fn is_silent(&self) -> bool {
        let (ours, theirs) = (self.server.stack.levels(), self.client.stack.levels());
        ours.conns + ours.syns + theirs.conns == 0
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now() + time;
        while self.now() < until {
            self.poll();
            self.advance(until);
        }
    }

    pub(crate) fn heard(&self, talk: usize) -> &[u8] {
        &self.client.app.talks[talk].heard
    }

    pub(crate) fn talk(&self, talk: usize) -> &Talk {
        &self.client.app.talks[talk]
    }
}

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

/// A server of a tar of these files.
pub(crate) fn server(files: &[(String, Vec<u8>)]) -> Server {
    server_of(archive(files))
}

/// A tar of these files.
pub(crate) fn archive(files: &[(String, Vec<u8>)]) -> &'static [u8] {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mtime(784_111_777);
        builder
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap().leak()
}

/// A server of an archive.
pub(crate) fn server_of(archive: &'static [u8]) -> Server {
    Server::new(
        Site::open(archive, Options::default(), 1, &mut Leak).unwrap(),
        Limits::DEFAULT,
    )
}

pub(crate) fn pool(frames: usize) -> &'static FramePool<'static> {
    let memory = vec![FrameMemory::ZERO; frames].leak();
    let metas: Vec<_> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(memory, metas.leak())))
}

pub(crate) fn storage<A: App>(sizes: Sizes) -> Storage<'static, A> {
    fn many<T>(cnt: usize, make: fn() -> T) -> &'static mut [T] {
        let all: Vec<_> = (0..cnt).map(|_| make()).collect();
        all.leak()
    }
    let (conns, syns) = (sizes.conns, 64);
    let demux = Storage::<A>::demux_len(conns, syns, conns);
    Storage {
        conns: many(conns, ConnSlot::default).into(),
        syns: many(syns, SynEntry::default).into(),
        time_waits: many(conns, TimeWaitEntry::default).into(),
        bodies: many(sizes.bodies, BodyNode::default).into(),
        gaps: many(conns, GapEntry::default).into(),
        flights: many(conns, FlightEntry::default).into(),
        sent: many(8 * conns, SentNode::default).into(),
        timers: many(conns + syns, TimerNode::default).into(),
        demux: many(demux, DemuxEntry::default).into(),
    }
}

/// An answer as a client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|l| l == line)
    }
}

/// Takes the answers apart; `is_bare` says which of them have no body (HEAD, 304).
pub(crate) fn answers(mut bytes: &[u8], is_bare: impl Fn(usize) -> bool) -> Vec<Heard> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("a whole head")
            + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |len| len.parse().unwrap());
        let len = if is_bare(answers.len()) { 0 } else { len };
        let body = bytes[end..end + len].to_vec();
        bytes = &bytes[end + len..];
        answers.push(Heard { status, head, body });
    }
    answers
}
