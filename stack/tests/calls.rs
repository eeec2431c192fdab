//! The non-blocking calls: two stacks that do nothing by themselves, driven from outside.

use std::net::Ipv4Addr;

use simoom::iface::Setup;
use simoom::tcp::calls::{CallError, Calls};
use simoom::tcp::cc::Cubic;
use simoom::tcp::{
    BodyNode, Closed, ConnId, ConnSlot, DemuxEntry, FlightEntry, GapEntry, ListenerId, SentNode,
    Settings, Storage, SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, DropReason, Endpoint, Instant, Polled, Stack};
use simoom_ring::{FrameMemory, FrameMeta, FramePool, MacAddr, Port};
use simoom_sim::{PortConfig, SimQueue, Wire};

type App = Calls<Cubic>;

/// One end of the wire.
struct Host {
    stack: Stack<'static, App>,
    queue: SimQueue<'static>,
    app: App,
    pool: &'static FramePool<'static>,
}

impl Host {
    fn new(wire: &Wire, n: u8) -> Self {
        fn slice<T: Default>(len: usize) -> Vec<T> {
            (0..len).map(|_| T::default()).collect()
        }
        let memory = Box::leak(vec![FrameMemory::ZERO; 128].into_boxed_slice());
        let metas: Vec<FrameMeta> = (0..128).map(|_| FrameMeta::new()).collect();
        let metas = Box::leak(metas.into_boxed_slice());
        let pool: &'static FramePool<'static> = Box::leak(Box::new(FramePool::new(memory, metas)));
        let mut port = wire.port(PortConfig::plain(MacAddr([2, 0, 0, 0, 0, n])));
        let queue = port.queue(0, pool).expect("frames for the ring");
        let storage = Storage {
            conns: slice::<ConnSlot<'_, App>>(8).into(),
            syns: slice::<SynEntry>(8).into(),
            time_waits: slice::<TimeWaitEntry>(8).into(),
            bodies: slice::<BodyNode<'_>>(32).into(),
            gaps: slice::<GapEntry<'_>>(8).into(),
            flights: slice::<FlightEntry>(8).into(),
            sent: slice::<SentNode>(64).into(),
            timers: slice::<TimerNode>(16).into(),
            demux: slice::<DemuxEntry>(Storage::<App>::demux_len(8, 8, 8)).into(),
        };
        let (caps, mac) = (port.caps(), port.mac());
        let now = Instant::ZERO;
        let seed = n.into();
        let mut stack = Stack::new(Setup {
            pool,
            caps,
            mac,
            storage,
            tcp: Settings::default(),
            seed,
            now,
        });
        stack.configure(
            Cidr::new(Ipv4Addr::new(10, 0, 0, n), 24).expect("24 bits"),
            None,
        );
        Self {
            stack,
            queue,
            app: App::new(),
            pool,
        }
    }
}

/// A server on port 7 and a client.
struct World {
    wire: Wire,
    hosts: [Host; 2],
    listener: ListenerId,
}

const SERVER: usize = 0;
const CLIENT: usize = 1;

impl World {
    fn new(backlog: u16) -> Self {
        let wire = Wire::new(1);
        let mut hosts = [Host::new(&wire, 1), Host::new(&wire, 2)];
        let listener = hosts[SERVER].stack.listen(7, backlog).expect("a free port");
        Self {
            wire,
            hosts,
            listener,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.wire.now_us())
    }

    /// Lets a tenth of a second pass.
    fn pass(&mut self) {
        let until_us = self.wire.now_us() + 100_000;
        loop {
            let now = self.now();
            for host in &mut self.hosts {
                while host.stack.poll(now, &mut host.queue, &mut host.app) == Polled::Busy {}
            }
            let timers = self
                .hosts
                .iter()
                .map(|host| host.stack.poll_at(now).as_micros())
                .min();
            let next = timers
                .into_iter()
                .chain(self.wire.next_at())
                .min()
                .unwrap_or(until_us);
            if next > until_us {
                return self.wire.advance_to(until_us);
            }
            self.wire.advance_to(next.max(now.as_micros() + 1));
        }
    }

    fn connect(&mut self) -> ConnId {
        let now = self.now();
        let remote = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 7);
        let client = &mut self.hosts[CLIENT];
        client
            .stack
            .connect(now, remote, Default::default())
            .expect("a free slot")
    }

    fn accept(&mut self) -> nb::Result<ConnId, core::convert::Infallible> {
        self.hosts[SERVER].stack.accept(self.listener)
    }

    fn send(&mut self, side: usize, id: ConnId, bytes: &[u8]) -> nb::Result<(), CallError> {
        let (now, host) = (self.now(), &mut self.hosts[side]);
        host.stack.send(now, &host.app, id, bytes)
    }

    /// What one `recv` shows, at most `most` bytes of it taken.
    fn recv(&mut self, side: usize, id: ConnId, most: usize) -> nb::Result<Vec<u8>, CallError> {
        let (now, host) = (self.now(), &mut self.hosts[side]);
        let mut seen = Vec::new();
        let taken = host.stack.recv(now, &host.app, id, |bytes| {
            seen.extend(&bytes[..bytes.len().min(most)]);
            seen.len()
        })?;
        assert_eq!(taken, seen.len());
        Ok(seen)
    }

    fn connected(&mut self, id: ConnId) -> nb::Result<(), CallError> {
        let (now, client) = (self.now(), &mut self.hosts[CLIENT]);
        client.stack.connected(now, &client.app, id)
    }
}

#[test]
fn a_conversation_by_calls() {
    let mut world = World::new(4);
    assert_eq!(world.accept(), Err(nb::Error::WouldBlock));
    let client = world.connect();
    assert_eq!(world.connected(client), Err(nb::Error::WouldBlock));
    world.pass();
    assert_eq!(world.connected(client), Ok(()));
    let server = world.accept().expect("a connection");
    assert_eq!(world.accept(), Err(nb::Error::WouldBlock));
    assert_eq!(world.recv(SERVER, server, 9), Err(nb::Error::WouldBlock));
    world.send(CLIENT, client, b"hello").expect("room");
    world.pass();
    assert_eq!(world.recv(SERVER, server, 2).as_deref(), Ok(&b"he"[..]));
    assert_eq!(world.recv(SERVER, server, 9).as_deref(), Ok(&b"llo"[..]));
    let now = world.now();
    let host = &mut world.hosts[SERVER];
    host.stack
        .send_body(now, &host.app, server, b"a body")
        .expect("room");
    host.stack.close(now, server);
    let closed = nb::Error::Other(CallError::Send(simoom::tcp::SendError::Closed));
    assert_eq!(world.send(SERVER, server, b"late"), Err(closed));
    world.pass();
    assert_eq!(
        world.recv(CLIENT, client, 99).as_deref(),
        Ok(&b"a body"[..])
    );
    assert_eq!(
        world.recv(CLIENT, client, 99).as_deref(),
        Ok(&b""[..]),
        "the end"
    );
    let now = world.now();
    world.hosts[CLIENT].stack.close(now, client);
    world.pass();
    let gone = |why| nb::Error::Other(CallError::Gone(Some(why)));
    assert_eq!(world.recv(CLIENT, client, 99), Err(gone(Closed::Finished)));
    assert_eq!(
        world.send(SERVER, server, b"late"),
        Err(gone(Closed::Finished))
    );
    for Host {
        stack, queue, pool, ..
    } in world.hosts
    {
        drop((stack, queue));
        assert!(pool.all_home());
    }
}

#[test]
fn a_connection_that_nobody_accepts_waits_and_may_go() {
    let mut world = World::new(4);
    let (first, second) = (world.connect(), world.connect());
    // The second SYN waits for ARP behind the first, and comes again after a second.
    (0..15).for_each(|_| world.pass());
    world.send(CLIENT, first, b"first").expect("room");
    world.send(CLIENT, second, b"second").expect("room");
    world.pass();
    // The one that was first is aborted in the queue: the other one is accepted.
    let now = world.now();
    world.hosts[CLIENT].stack.abort(now, first);
    world.pass();
    let server = world.accept().expect("the second");
    assert_eq!(world.accept(), Err(nb::Error::WouldBlock));
    assert_eq!(
        world.recv(SERVER, server, 99).as_deref(),
        Ok(&b"second"[..])
    );
    let aborted = nb::Error::Other(CallError::Gone(Some(Closed::Aborted)));
    assert_eq!(world.recv(CLIENT, first, 99), Err(aborted));
}

#[test]
fn a_full_accept_queue_lets_the_third_segment_wait() {
    let mut world = World::new(1);
    let _first = world.connect();
    world.pass();
    let second = world.connect();
    world.pass();
    world
        .send(CLIENT, second, b"I am here")
        .expect("the client believes so");
    world.pass();
    let counters = world.hosts[SERVER].stack.counters();
    assert!(counters.dropped(DropReason::TcpAcceptQueueFull) >= 1);
    assert_eq!(world.hosts[SERVER].stack.levels().conns, 1);
    world.accept().expect("the first");
    // What was dropped comes again.
    (0..20).for_each(|_| world.pass());
    let server = world.accept().expect("the second");
    assert_eq!(
        world.recv(SERVER, server, 99).as_deref(),
        Ok(&b"I am here"[..])
    );
}

#[test]
fn what_waits_to_be_accepted_ends_with_its_listener() {
    let mut world = World::new(4);
    let accepted = world.connect();
    world.pass();
    let server = world.accept().expect("the first");
    let waiting = world.connect();
    world.pass();
    assert_eq!(world.hosts[SERVER].stack.levels().conns, 2);
    world.hosts[SERVER].stack.unlisten(world.listener);
    world.pass();
    let gone = |why| nb::Error::Other(CallError::Gone(Some(why)));
    assert_eq!(world.recv(CLIENT, waiting, 9), Err(gone(Closed::Reset)));
    assert_eq!(world.hosts[SERVER].stack.levels().conns, 1);
    // The one that was accepted goes on.
    world.send(CLIENT, accepted, b"still here").expect("room");
    world.pass();
    let seen = world.recv(SERVER, server, 99);
    assert_eq!(seen.as_deref(), Ok(&b"still here"[..]));
}

#[test]
fn what_a_call_says_may_be_any_error() {
    let errors: [Box<dyn std::error::Error>; 8] = [
        CallError::Gone(Some(Closed::TimedOut)).into(),
        simoom::tcp::ListenError::InUse.into(),
        simoom::tcp::ConnectError::NoPort.into(),
        simoom::tcp::SendError::Full.into(),
        simoom::udp::BindError::InUse.into(),
        simoom::udp::SendError::NoRoute.into(),
        simoom_ring::NoRoom.into(),
        simoom_ring::BadTail { tail: 9 }.into(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.starts_with(char::is_lowercase), "{text}");
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    }
}
