//! Cores with stacks of their own, and a client whose frames come by any queue.

use std::vec;

use simoom::iface::{Polled, Setup, Stack};
use simoom::tcp::cc::Cubic;
use simoom::tcp::{App, Closed, Conn, ConnId, Settings};
use simoom::{Duration, Endpoint, Instant};
use simoom_ring::{Caps, FrameMemory, FrameMeta, Queue};
use simoom_sim::MemoryRings;

use super::super::*;
use super::{OURS, THEIRS};
use crate::linux::Leaked;
use crate::net::Sizes;

/// What goes each way: more than queues, windows and bursts hold at once.
const LEN: usize = 600_000;

fn stream() -> &'static [u8] {
    static STREAM: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    STREAM.get_or_init(|| (0..LEN).map(|n| (n % 251) as u8).collect())
}

/// Either end: sends the stream, takes the stream, then closes.
#[derive(Default)]
struct Both {
    taken: usize,
    closed: Vec<Closed>,
}

impl App for Both {
    type Conn = ();
    type Congestion = Cubic;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Cubic>) {
        conn.send_body(stream()).expect("room for one piece");
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut ()) {
        conn.send_body(stream()).expect("room for one piece");
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut (), bytes: &[u8]) -> usize {
        assert_eq!(bytes, &stream()[self.taken..][..bytes.len()]);
        self.taken += bytes.len();
        if self.taken == LEN {
            conn.close();
        }
        bytes.len()
    }

    fn closed(&mut self, _id: ConnId, (): (), why: Closed) {
        self.closed.push(why);
    }
}

/// A stack with what it works on.
struct Host {
    stack: Stack<'static, Both>,
    rings: MemoryRings<'static>,
    app: Both,
    pool: &'static FramePool<'static>,
}

impl Host {
    fn new(addr: Ipv4Addr, mac: u8, frames: usize) -> Self {
        let memory = vec![FrameMemory::ZERO; frames].leak();
        let metas: Vec<_> = (0..frames).map(|_| FrameMeta::new()).collect();
        let pool: &'static _ = vec![FramePool::new(memory, metas.leak())].leak();
        let pool = &pool[0];
        let Ok(storage) = Sizes::with(frames, 16).storage(&mut Leaked);
        let mut stack = Stack::new(Setup {
            pool,
            caps: Caps {
                fragments_max: 4,
                ..Caps::PLAIN
            },
            mac: simoom_ring::MacAddr([2, 0, 0, 0, 0, mac]),
            storage,
            tcp: Settings::default(),
            seed: frames as u128,
            now: Instant::ZERO,
        });
        stack.share(Cidr::new(addr, 24).expect("24 bits"), None);
        Self {
            stack,
            rings: MemoryRings::new(1_000),
            app: Both::default(),
            pool,
        }
    }

    /// What it has sent, in bytes.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let sent = self.rings.sent().drain(..);
        sent.map(|packet| {
            let mut bytes = packet.head().bytes().to_vec();
            let pieces = packet.fragments().iter();
            pieces.for_each(|piece| bytes.extend(piece.bytes()));
            bytes
        })
        .collect()
    }

    fn arrive(&mut self, bytes: &[u8]) {
        let mut frame = self.pool.alloc(0).expect("a frame");
        frame.append(bytes).expect("room");
        self.rings.arrive(RxPacket::plain(frame));
    }

    /// Polls it as one of several cores.
    fn poll_among(&mut self, mesh: &mut Mesh, now: Instant) {
        let (rx, tx) = self.rings.rings();
        let mut tee = Tee::new(rx, mesh, self.pool);
        while self.stack.poll_among(now, &mut tee, tx, &mut self.app) == Polled::Busy {}
        mesh.wake_told();
    }
}

/// A server of several cores, a client, and the way between them.
struct World {
    cores: Vec<(Host, Mesh)>,
    client: Host,
    now: Instant,
    /// Frames so far to the server.
    frames: usize,
    /// Resets that either side has sent while the server had a connection.
    resets: usize,
}

impl World {
    fn new(cores_cnt: usize) -> Self {
        let mut meshes = Mesh::of(cores_cnt).expect("descriptors");
        let cidr = Cidr::new(OURS, 24).expect("24 bits");
        meshes[0].tell_address(Some((cidr, None)));
        let cores = meshes.into_iter().enumerate().map(|(idx, mut mesh)| {
            let mut host = Host::new(OURS, 2, 900 + idx);
            host.stack.listen(80, 16).expect("a listener");
            host.poll_among(&mut mesh, Instant::ZERO);
            assert_eq!(mesh.take_address().is_some(), idx > 0);
            (host, mesh)
        });
        Self {
            cores: cores.collect(),
            client: Host::new(THEIRS, 1, 2_000),
            now: Instant::ZERO,
            frames: 0,
            resets: 0,
        }
    }

    /// One millisecond: all are polled, and frames cross. `queue` says by which one the n-th frame
    /// comes to the server.
    fn step(&mut self, queue: &mut dyn FnMut(usize) -> usize) {
        self.now = self.now + Duration::from_millis(1);
        let now = self.now;
        let Host {
            stack, rings, app, ..
        } = &mut self.client;
        while stack.poll(now, rings, app) == Polled::Busy {}
        for bytes in self.client.sent() {
            self.resets += usize::from(is_reset(&bytes));
            let at = queue(self.frames) % self.cores.len();
            self.frames += 1;
            self.cores[at].0.arrive(&bytes);
        }
        // Until a packet has gone all the way round, and on to the one with a trace.
        for _ in 0..3 * self.cores.len() {
            for (host, mesh) in &mut self.cores {
                host.poll_among(mesh, now);
            }
        }
        let sent: Vec<_> = self
            .cores
            .iter_mut()
            .flat_map(|(host, _)| host.sent())
            .collect();
        // An acknowledgment that is late for the last one has no connection any more (RFC 9293
        // 3.10.7.1), and the client waits by then.
        let is_open = self.conns() > 0;
        for bytes in sent {
            self.resets += usize::from(is_open && is_reset(&bytes));
            self.client.arrive(&bytes);
        }
    }

    fn connect(&mut self) -> ConnId {
        let server = Endpoint::new(OURS, 80);
        let id = self.client.stack.connect(self.now, server, ());
        id.expect("a connection")
    }

    fn conns(&self) -> usize {
        let levels = self.cores.iter().map(|(host, _)| host.stack.levels());
        levels.map(|levels| levels.conns + levels.syns).sum()
    }

    fn passed_on(&self) -> u64 {
        let counters = self.cores.iter().map(|(host, _)| host.stack.counters());
        counters.map(|counters| counters.tcp_passed_on).sum()
    }

    /// All frames are home once the stacks are gone, on whichever core.
    fn end(self) {
        let hosts = self.cores.into_iter().map(|(host, _)| host);
        for mut host in hosts.chain([self.client]) {
            host.rings.clear();
            drop(host.stack);
            assert!(host.pool.all_home(), "{:?}", host.pool);
        }
    }
}

fn is_reset(frame: &[u8]) -> bool {
    super::is_flow(frame) && frame[47] & 4 != 0
}

/// Steps until a connection is open, and its transfer not yet done.
const OPENED: usize = 5;

/// The whole stream both ways, with every frame by the queue that `queue` says.
fn exchanged(cores_cnt: usize, mut queue: impl FnMut(usize) -> usize) -> World {
    let mut world = World::new(cores_cnt);
    world.connect();
    for _ in 0..100_000 {
        world.step(&mut queue);
        if world.client.app.taken == LEN && world.conns() == 0 {
            break;
        }
    }
    assert_eq!(world.client.app.taken, LEN);
    let taken: Vec<_> = world.cores.iter().map(|(host, _)| host.app.taken).collect();
    assert_eq!(taken.iter().sum::<usize>(), LEN, "{taken:?}");
    assert_eq!(taken.iter().max(), Some(&LEN), "by one core alone");
    let closed = world.cores.iter().flat_map(|(host, _)| &host.app.closed);
    assert_eq!(closed.collect::<Vec<_>>(), [&Closed::Finished]);
    assert_eq!(world.resets, 0);
    world
}

#[test]
fn a_flow_that_changes_its_queue_goes_on() {
    for cores_cnt in [2, 3, 5] {
        // Once, in the middle of the transfer.
        let world = exchanged(cores_cnt, |n| usize::from(n > 200));
        assert!(world.passed_on() > 200, "{}", world.passed_on());
        world.end();
        // With each frame, from the handshake's on, and with each burst.
        exchanged(cores_cnt, |n| n).end();
        exchanged(cores_cnt, |n| n / 7).end();
    }
}

#[test]
fn a_flow_that_stays_is_never_asked_for() {
    let world = exchanged(2, |_| 1);
    assert_eq!(world.passed_on(), 0);
    assert!(world.cores.iter().all(|(_, mesh)| mesh.lost_cnt() == 0));
    world.end();
}

#[test]
fn a_reset_by_another_queue_ends_the_connection() {
    let mut world = World::new(3);
    let id = world.connect();
    for _ in 0..OPENED {
        world.step(&mut |_| 0);
    }
    assert_eq!(world.conns(), 1);
    let now = world.now;
    let aborted = world
        .client
        .stack
        .with_conn(now, id, |conn, _| conn.abort());
    assert!(aborted.is_some());
    world.step(&mut |_| 2);
    assert_eq!(world.conns(), 0);
    assert_eq!(world.cores[0].0.app.closed, [Closed::Reset]);
    world.end();
}

#[test]
fn endpoints_that_are_opened_anew_by_another_queue_leave_no_old_connection() {
    for cores_cnt in [2, 3] {
        let mut world = World::new(cores_cnt);
        world.connect();
        for _ in 0..OPENED {
            world.step(&mut |_| 0);
        }
        assert_eq!(world.cores[0].0.stack.levels().conns, 1);
        // The client's machine starts anew, and draws the same port.
        let old = core::mem::replace(&mut world.client, Host::new(THEIRS, 1, 2_000));
        world.connect();
        for _ in 0..100_000 {
            world.step(&mut |_| 1);
            if world.client.app.taken == LEN && world.conns() == 0 {
                break;
            }
        }
        assert_eq!((world.client.app.taken, world.conns()), (LEN, 0));
        assert_eq!(world.cores[0].0.app.closed, [Closed::Reset]);
        assert_eq!(world.cores[1].0.app.closed, [Closed::Finished]);
        let forgotten = |(host, _): &(Host, Mesh)| host.stack.counters().tcp_opened_elsewhere;
        let forgotten: Vec<_> = world.cores.iter().map(forgotten).collect();
        assert_eq!((forgotten[0], forgotten[1]), (1, 0));
        drop(old.stack);
        world.end();
    }
}

#[test]
fn who_sleeps_is_woken_before_there_is_no_room_for_what_was_opened() {
    let mut meshes = Mesh::of(2).expect("descriptors");
    let mut host = Host::new(OURS, 2, 8);
    let tuple = |port| FourTuple {
        local: Endpoint::new(OURS, 80),
        remote: Endpoint::new(THEIRS, port),
    };
    let (first, second) = meshes.split_at_mut(1);
    let (first, second) = (&mut first[0], &mut second[0]);
    let (rx, _) = host.rings.rings();
    second.lie_down();
    for port in 0..=OPENED_MAX as u16 {
        Tee::new(rx, first, host.pool).opened(tuple(port));
        let is_told = first.others[0].is_told;
        assert_eq!(is_told, usize::from(port) >= OPENED_MAX / 2, "{port}");
    }
    assert_eq!(first.lost_cnt(), 1);
    for port in 0..OPENED_MAX as u16 {
        let heard = Tee::new(rx, second, host.pool).opened_elsewhere();
        assert_eq!(heard, Some(tuple(port)));
    }
    assert_eq!(Tee::new(rx, second, host.pool).opened_elsewhere(), None);
}

#[test]
fn a_syn_by_two_queues_makes_one_connection() {
    // Its SYN-ACKs are late, so the SYN is sent again, by the other queue.
    let mut world = World::new(2);
    world.connect();
    let mut late = Vec::new();
    for _ in 0..3_000 {
        world.now = world.now + Duration::from_millis(1);
        let now = world.now;
        let Host {
            stack, rings, app, ..
        } = &mut world.client;
        while stack.poll(now, rings, app) == Polled::Busy {}
        for bytes in world.client.sent() {
            let at = world.frames % 2;
            world.frames += usize::from(super::is_flow(&bytes));
            world.cores[at].0.arrive(&bytes);
        }
        for (host, mesh) in &mut world.cores {
            host.poll_among(mesh, now);
            late.extend(host.sent());
        }
        // Only ARP is quick.
        let (quick, slow) = late
            .drain(..)
            .partition(|bytes: &Vec<u8>| !super::is_flow(bytes));
        late = slow;
        quick.iter().for_each(|bytes| world.client.arrive(bytes));
        if world.conns() == 2 {
            break;
        }
    }
    assert_eq!(world.conns(), 2, "half-open, twice");
    late.iter().for_each(|bytes| world.client.arrive(bytes));
    for _ in 0..OPENED {
        world.step(&mut |n| n);
    }
    assert_eq!(world.conns(), 1, "the other one is forgotten");
    for _ in 0..100_000 {
        world.step(&mut |n| n);
        if world.client.app.taken == LEN && world.conns() == 0 {
            break;
        }
    }
    assert_eq!((world.client.app.taken, world.resets), (LEN, 0));
    world.end();
}

#[test]
fn what_no_core_knows_is_reset() {
    for cores_cnt in [2, 3, 4] {
        let mut world = World::new(cores_cnt);
        let id = world.connect();
        for _ in 0..OPENED {
            world.step(&mut |_| 0);
        }
        // The server forgets, and what it says of that is lost.
        let now = world.now;
        let (host, mesh) = &mut world.cores[0];
        let ids: Vec<_> = host.stack.conn_ids().collect();
        assert_eq!(ids.len(), 1);
        host.stack.with_conn(now, ids[0], |conn, _| conn.abort());
        host.poll_among(mesh, now);
        host.rings.clear();
        let more = world
            .client
            .stack
            .with_conn(now, id, |conn, _| conn.send(b"hello"));
        assert_eq!(more, Some(Ok(())));
        for _ in 0..2_000 {
            world.step(&mut |_| 1);
            if !world.client.app.closed.is_empty() {
                break;
            }
        }
        assert_eq!(world.client.app.closed, [Closed::Reset]);
        // By one core alone, and the others were asked first.
        assert!(world.passed_on() >= cores_cnt as u64 - 1);
        world.end();
    }
}

/// A packet that belongs to no connection of this core.
fn stray(mesh: &mut Mesh, packet: RxPacket<'static>) -> Asked<'static> {
    let pool = packet.frame.pool();
    let mut none = MemoryRings::new(1);
    Tee::new(none.rings().0, mesh, pool).stray(packet, false)
}

/// Two cores that nobody polls.
fn two() -> [Mesh; 2] {
    let two = <[Mesh; 2]>::try_from(Mesh::of(2).expect("descriptors"));
    two.unwrap_or_else(|_| panic!("2"))
}

#[test]
fn what_finds_no_room_on_the_way_is_lost_and_counted() {
    let [mut first, mut second] = two();
    let pool = Host::new(OURS, 2, 64).pool;
    let filled = || {
        let mut frame = pool.alloc(0).expect("a frame");
        frame.append(&[7; 1_514]).expect("room");
        RxPacket::plain(frame)
    };
    let mut told_cnt = 0;
    while let Asked::Elsewhere = stray(&mut first, filled()) {
        told_cnt += 1;
    }
    assert_eq!(told_cnt, circle::BYTES_MAX / 1_514);
    assert!(matches!(stray(&mut first, filled()), Asked::NoRoom));
    assert!(pool.all_home(), "what is lost goes home");
    // More than there are frames for.
    let mut none = MemoryRings::new(1);
    let mut tee = Tee::new(none.rings().0, &mut second, pool);
    assert_eq!(tee.sync(), told_cnt);
    let got: Vec<_> = std::iter::from_fn(|| tee.recv()).collect();
    assert_eq!(got.len(), 64);
    assert!(got.iter().all(|packet| packet.frame.bytes() == [7; 1_514]));
    drop(got);
    assert_eq!(second.lost_cnt(), told_cnt as u64 - 64);
    assert!(matches!(stray(&mut first, filled()), Asked::Elsewhere));
}

#[test]
fn a_large_packet_and_what_is_known_of_it_go_along() {
    let [mut first, mut second] = two();
    let pool = Host::new(OURS, 2, 128).pool;
    let bytes: Vec<u8> = (0..60_000_u32).map(|n| (n % 241) as u8).collect();
    let mut pieces = bytes.chunks(1_000).map(|piece| {
        let mut frame = pool.alloc(0).expect("a frame");
        frame.append(piece).expect("room");
        frame
    });
    let mut packet = RxPacket::plain(pieces.next().expect("the first"));
    pieces.for_each(|piece| packet.rest.push_back(piece, 0));
    packet.gso_size = 1_448;
    packet.csum = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 16,
    };
    let csum = packet.csum;
    assert!(matches!(stray(&mut first, packet), Asked::Elsewhere));
    let mut none = MemoryRings::new(1);
    let mut tee = Tee::new(none.rings().0, &mut second, pool);
    let packet = tee.recv().expect("passed on");
    let mut got = packet.frame.bytes().to_vec();
    packet.rest.for_each(|piece| got.extend(piece));
    assert_eq!((got, packet.gso_size, packet.csum), (bytes, 1_448, csum));
}
