//! What is measured, and how one of it goes.

use std::time::{Duration, Instant};

use crate::clients::{Clients, Side};

/// What the clients want of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// Their bytes taken, and no answer.
    Nothing,
    /// A head and so many bytes for each request.
    Answer(usize),
    /// Bytes without end, from the first request on.
    Bulk,
}

/// How the clients go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One connection, one request after the other.
    Kept,
    /// A connection for each request, closed by the client.
    New,
    /// Requests on 32 connections at a time, spread among so many at rest.
    Crowd(usize),
}

/// One comparison.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What one of it is.
    pub(crate) what: &'static str,
    pub(crate) wish: Wish,
    way: Way,
    /// How many callgrind counts.
    cnt: u32,
    pub(crate) has_rival: bool,
}

impl Case {
    const fn new(name: &'static str, wish: Wish, way: Way, cnt: u32) -> Self {
        Self {
            name,
            what: match wish {
                Wish::Answer(_) => "request",
                _ => "segment",
            },
            wish,
            way,
            cnt,
            has_rival: match way {
                Way::Crowd(idle) => idle <= RIVAL_IDLE_MAX,
                _ => true,
            },
        }
    }

    /// Connections at a time.
    pub(crate) fn conns(&self) -> usize {
        match self.way {
            Way::Crowd(idle) => idle + ACTIVE,
            _ => 1,
        }
    }

    /// Clients that there are.
    fn clients(&self) -> usize {
        match self.way {
            Way::New => TUPLES,
            _ => self.conns(),
        }
    }
}

pub(crate) const CASES: [Case; 17] = [
    Case::new("bulk sent", Wish::Bulk, Way::Kept, 4_000),
    Case::new("bulk received", Wish::Nothing, Way::Kept, 4_000),
    Case::new("100 B kept", Wish::Answer(100), Way::Kept, 1_000),
    Case::new("1 KB kept", Wish::Answer(1 << 10), Way::Kept, 1_000),
    Case::new("8 KB kept", Wish::Answer(8 << 10), Way::Kept, 400),
    Case::new("64 KB kept", Wish::Answer(64 << 10), Way::Kept, 100),
    Case::new("1 MB kept", Wish::Answer(1 << 20), Way::Kept, 10),
    Case::new("100 B new", Wish::Answer(100), Way::New, 400),
    Case::new("1 KB new", Wish::Answer(1 << 10), Way::New, 400),
    Case::new("8 KB new", Wish::Answer(8 << 10), Way::New, 200),
    Case::new("64 KB new", Wish::Answer(64 << 10), Way::New, 50),
    Case::new("1 MB new", Wish::Answer(1 << 20), Way::New, 10),
    Case::new(
        "1 KB, none idle",
        Wish::Answer(1 << 10),
        Way::Crowd(0),
        3_200,
    ),
    Case::new(
        "1 KB, 1000 idle",
        Wish::Answer(1 << 10),
        Way::Crowd(1_000),
        3_200,
    ),
    Case::new(
        "1 KB, 4000 idle",
        Wish::Answer(1 << 10),
        Way::Crowd(4_000),
        3_200,
    ),
    Case::new(
        "1 KB, 100000 idle",
        Wish::Answer(1 << 10),
        Way::Crowd(100_000),
        3_200,
    ),
    Case::new(
        "1 KB, 1000000 idle",
        Wish::Answer(1 << 10),
        Way::Crowd(1_000_000),
        3_200,
    ),
];

/// A server that can be made for a case.
pub(crate) trait Made: Side {
    /// Nothing is connected yet.
    fn new(case: &Case) -> Self;
}

/// A server and its clients, in the middle of a case.
pub(crate) struct Run<S> {
    case: &'static Case,
    clients: Clients<S>,
    /// The client whose turn it is.
    next: usize,
    look_ns: f64,
}

impl<S: Made> Run<S> {
    /// Opens all connections, and warms up.
    pub(crate) fn new(case: &'static Case) -> Self {
        let clients = Clients::new(S::new(case), case.clients());
        let mut run = Self {
            case,
            clients,
            next: 0,
            look_ns: look_ns(),
        };
        if case.way != Way::New {
            let conns: Vec<usize> = (0..case.conns()).collect();
            for some in conns.chunks(ACTIVE) {
                some.iter().for_each(|n| run.clients.open(*n));
                run.clients.turn();
                some.iter().for_each(|n| run.clients.ack(*n));
                run.clients.turn();
            }
        }
        if let Wish::Bulk = case.wish {
            run.clients.ask(0, REQUEST);
            run.clients.turn();
        }
        let warm_up = case.cnt.min(WARM_UP_MAX);
        let mut done = 0;
        while done < warm_up {
            done += run.step();
        }
        run
    }

    /// Nanoseconds of one, in the mean over about so long.
    pub(crate) fn time(&mut self, budget: Duration) -> f64 {
        (self.clients.spent, self.clients.turns) = (Duration::ZERO, 0);
        let (begun, mut done) = (Instant::now(), 0);
        while begun.elapsed() < budget {
            done += self.step();
        }
        // To look at the clock takes time, too.
        let looking = self.look_ns * f64::from(self.clients.turns);
        (self.clients.spent.as_nanos() as f64 - looking) / f64::from(done)
    }

    /// Goes the case as often as it is counted; how often that was.
    pub(crate) fn count(&mut self) -> u32 {
        self.clients.is_counted = true;
        let mut done = 0;
        while done < self.case.cnt {
            done += self.step();
        }
        self.check();
        done
    }

    pub(crate) fn check(&self) {
        self.clients.side.check();
    }

    /// A little of the case; how many it was.
    fn step(&mut self) -> u32 {
        match (self.case.wish, self.case.way) {
            (Wish::Bulk, _) => self.send(),
            (Wish::Nothing, _) => self.receive(),
            (Wish::Answer(len), Way::Kept) => {
                self.clients.ask(0, REQUEST);
                self.wait(HEAD.len() + len);
                1
            }
            (Wish::Answer(len), Way::New) => self.meet(len),
            (Wish::Answer(len), Way::Crowd(_)) => self.crowd(len),
        }
    }

    /// Acknowledgments of two segments each make room for the next.
    fn send(&mut self) -> u32 {
        let before = self.clients.segments;
        assert!(self.clients.send_acks(BURST) > 0, "it has stopped");
        self.clients.turn();
        u32::try_from(self.clients.segments - before).expect("a burst")
    }

    /// Full segments, which it acknowledges.
    fn receive(&mut self) -> u32 {
        for _ in 0..BURST {
            self.clients.ask(0, &CONTENT[..MSS]);
        }
        self.clients.turn();
        BURST as u32
    }

    /// Until the whole answer is there.
    fn wait(&mut self, len: usize) {
        let until = self.clients.received_len + len as u64;
        self.clients.turn();
        while self.clients.received_len < until {
            assert!(self.clients.send_acks(ACKS) > 0, "it has stopped");
            self.clients.turn();
        }
        assert_eq!(self.clients.received_len, until, "an answer is too long");
        // The last ones are on their way when the next request comes.
        if self.clients.send_acks(ACKS) > 0 {
            self.clients.turn();
        }
        self.clients.forget_acks();
    }

    /// A connection of its own.
    fn meet(&mut self, len: usize) -> u32 {
        let n = self.next;
        self.next = (n + 1) % TUPLES;
        self.clients.open(n);
        self.clients.turn();
        self.clients.ack(n);
        self.clients.ask(n, REQUEST);
        self.wait(HEAD.len() + len);
        self.clients.close(n);
        self.clients.turn();
        assert!(self.clients.has_fin(n), "it closes, too");
        self.clients.ack(n);
        self.clients.turn();
        1
    }

    /// A request on each of the connections that are not idle.
    fn crowd(&mut self, len: usize) -> u32 {
        let apart = self.case.conns() / ACTIVE;
        for n in 0..ACTIVE {
            self.clients.ask(n * apart + apart / 2, REQUEST);
        }
        self.wait((HEAD.len() + len) * ACTIVE);
        ACTIVE as u32
    }
}

/// What it takes to look at the clock, nanoseconds.
fn look_ns() -> f64 {
    let mut looks: Vec<Duration> = (0..LOOKS)
        .map(|_| {
            let before = Instant::now();
            before.elapsed()
        })
        .collect();
    looks.sort();
    looks[LOOKS / 2].as_nanos() as f64
}

const LOOKS: usize = 1_001;
/// Connections with requests in a crowd.
const ACTIVE: usize = 32;
/// Segments, or acknowledgments of two, that come in together.
const BURST: usize = 16;
/// Acknowledgments that come in together at most while an answer is under way.
const ACKS: usize = 32;
/// Full segments: 1,460 less the timestamps.
const MSS: usize = 1_448;
/// Addresses and ports that new connections come from.
const TUPLES: usize = 16_384;
/// Before anything is measured.
const WARM_UP_MAX: u32 = 400;
/// Idle connections that smoltcp gets through in bounded time.
const RIVAL_IDLE_MAX: usize = 4_000;

/// All that is ever sent.
pub(crate) static CONTENT: &[u8] = &[b'.'; 1 << 20];
/// What an answer begins with: as long as a usual one.
pub(crate) const HEAD: &[u8] = &[b'h'; 180];
/// A request.
pub(crate) const REQUEST: &[u8] = &[b'r'; 100];
