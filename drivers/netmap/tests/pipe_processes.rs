//! Two processes, a stack in each, and a pipe between them: a server in this one, a client in
//! another that this one starts, and bytes that are the same at both ends.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant as Clock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use simoom::iface::Setup;
use simoom::tcp::calls::Calls;
use simoom::tcp::cc::Cubic;
use simoom::tcp::{
    BodyNode, ConnSlot, DemuxEntry, FlightEntry, GapEntry, SentNode, Settings, Storage, SynEntry,
    TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Duration, Endpoint, Instant, Polled, Stack};
use simoom_netmap::hosts::pipe::PipeHost;
use simoom_netmap::hosts::{Open, Spec, Started, Takes, Wanted};
use simoom_ring::{Armed, Port, Queue};

type App = Calls<Cubic>;

/// How the other process learns where to come.
const PATH_VARIABLE: &str = "SIMOOM_TEST_PIPE_PATH";
const CONTENT_LEN: usize = 8 << 20;
const REQUESTS: usize = 20;
/// A hung test ends by then.
const LIMIT_SECS: u64 = 120;

fn content() -> Vec<u8> {
    (0..CONTENT_LEN as u64)
        .map(|at| (at * 31 / 7) as u8)
        .collect()
}

fn storage() -> Storage<'static, App> {
    fn slice<T: Default>(len: usize) -> &'static mut [T] {
        (0..len).map(|_| T::default()).collect::<Vec<_>>().leak()
    }
    Storage {
        conns: slice::<ConnSlot<'_, App>>(32).into(),
        syns: slice::<SynEntry>(32).into(),
        time_waits: slice::<TimeWaitEntry>(32).into(),
        bodies: slice::<BodyNode<'_>>(128).into(),
        gaps: slice::<GapEntry<'_>>(32).into(),
        flights: slice::<FlightEntry>(32).into(),
        sent: slice::<SentNode>(512).into(),
        timers: slice::<TimerNode>(64).into(),
        demux: slice::<DemuxEntry>(Storage::<App>::demux_len(32, 32, 32)).into(),
    }
}

/// An end with a stack on it.
struct Machine {
    started: Started<PipeHost>,
    stack: Stack<'static, App>,
    app: App,
    clock: Clock,
}

impl Machine {
    fn new(path: PathBuf, host: u8) -> Self {
        let wanted = Wanted {
            frames: 2_048,
            content_len: CONTENT_LEN,
            takes: Takes::default(),
            queues: 1,
            has_passthrough: false,
            far_addr: None,
            without: Default::default(),
        };
        let opened = PipeHost::open(&Spec::Pipe { path }, &wanted).expect("an end");
        let mut started = opened.start(&wanted).expect("in order");
        let now = Instant::ZERO;
        let mut stack = Stack::new(Setup {
            pool: started.pool,
            caps: started.port.caps(),
            mac: started.port.mac(),
            storage: storage(),
            tcp: Settings::default(),
            seed: host.into(),
            now,
        });
        let cidr = Cidr::new(Ipv4Addr::new(10, 0, 0, host), 24);
        stack.configure(cidr.expect("24 bits"), None);
        stack.set_link(started.port.link(), now);
        Self {
            started,
            stack,
            app: App::new(),
            clock: Clock::now(),
        }
    }

    fn now(&self) -> Instant {
        assert!(self.clock.elapsed().as_secs() < LIMIT_SECS, "too slow");
        let micros = u64::try_from(self.clock.elapsed().as_micros());
        Instant::ZERO + Duration::from_micros(micros.expect("minutes"))
    }

    /// Polls until there is nothing to do; whether the port is there.
    fn poll(&mut self) -> bool {
        let (now, queue) = (self.now(), &mut self.started.queue);
        self.stack.set_link(self.started.port.link(), now);
        while self.stack.poll(now, queue, &mut self.app) == Polled::Busy {}
        !queue.is_gone()
    }

    /// Sleeps until there is something, or a moment for the timers.
    fn sleep(&mut self) {
        if self.started.queue.arm() == Armed::Ready {
            return;
        }
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        let fd = self.started.wake.fd();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&moment));
    }

    /// Ends in order: all frames are home.
    fn end(self) {
        let Self { started, stack, .. } = self;
        let counters = started.queue.counters();
        assert_eq!((counters.rx.resets, counters.tx.resets), (0, 0));
        assert_eq!(counters.tx.bytes_moved, 0);
        assert_eq!(stack.counters().payload_bytes_copied, 0);
        drop(stack);
        drop(started.queue);
        assert!(started.pool.all_home(), "{:?}", started.pool);
        drop(started.port.close(started.pool).expect("its own pool"));
    }
}

#[test]
fn bytes_are_the_same_in_both_processes() {
    let name = format!("simoom-pipe-processes-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut machine = Machine::new(path.clone(), 1);
    let content: &'static [u8] = content().leak();
    let content = machine.started.port.place(content).expect("room");
    let listener = machine.stack.listen(80, 16).expect("a free port");
    let mut child = Command::new(std::env::current_exe().expect("a name"))
        .args(["--exact", "the_other_process", "--ignored", "--nocapture"])
        .env(PATH_VARIABLE, &path)
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    let (mut conns, mut served_cnt) = (Vec::new(), 0);
    let status = loop {
        assert!(machine.poll(), "who came first stays");
        let now = machine.now();
        let (stack, app) = (&mut machine.stack, &mut machine.app);
        while let Ok(id) = stack.accept(listener) {
            conns.push(id);
        }
        conns.retain(|id| {
            let mut has_asked = false;
            let asked = stack.recv(now, app, *id, |bytes| {
                has_asked = !bytes.is_empty();
                bytes.len()
            });
            if has_asked {
                stack
                    .send_body(now, app, *id, content)
                    .expect("room for one");
                stack.close(now, *id);
                served_cnt += 1;
            }
            matches!(asked, Err(nb::Error::WouldBlock))
        });
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        machine.sleep();
    };
    assert!(status.success(), "{status}");
    assert_eq!(served_cnt, REQUESTS);
    // The end of the other process is seen.
    while machine.started.port.link() == simoom_ring::LinkState::Up {
        machine.poll();
        machine.sleep();
    }
    machine.end();
    assert!(!path.exists(), "the path is left as it was found");
}

#[test]
#[ignore = "the other process of the test above"]
fn the_other_process() {
    let path = std::env::var_os(PATH_VARIABLE).expect("started by the test");
    let mut machine = Machine::new(PathBuf::from(path), 2);
    let expected = content();
    let remote = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 80);
    for _ in 0..REQUESTS {
        let now = machine.now();
        let id = machine.stack.connect(now, remote, Default::default());
        let id = id.expect("a free slot");
        let (mut has_asked, mut received) = (false, Vec::with_capacity(CONTENT_LEN));
        let why = 'ended: loop {
            assert!(machine.poll(), "the first end is there");
            let now = machine.now();
            let (stack, app) = (&mut machine.stack, &mut machine.app);
            if !has_asked && stack.connected(now, app, id).is_ok() {
                has_asked = stack.send(now, app, id, b"all of it").is_ok();
            }
            loop {
                let taken = stack.recv(now, app, id, |bytes| {
                    received.extend_from_slice(bytes);
                    bytes.len()
                });
                match taken {
                    Ok(0) => break 'ended None,
                    Ok(_) => {}
                    Err(nb::Error::WouldBlock) => break,
                    Err(nb::Error::Other(error)) => break 'ended Some(error),
                }
            }
            machine.sleep();
        };
        assert!(received == expected, "{} bytes, {why:?}", received.len());
        let now = machine.now();
        machine.stack.close(now, id);
    }
    for _ in 0..20 {
        machine.poll();
        machine.sleep();
    }
    machine.end();
}
