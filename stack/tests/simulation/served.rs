//! A server of as many connections as there is memory for, and the script of its clients.

use simoom::tcp::cc::Cubic;
use simoom::tcp::{App, Closed, Conn, ConnId, Settings};
use simoom::{Duration, Instant, Polled, Stack};
use simoom_ring::{Caps, FramePool};

use crate::crowd::{Crowd, Seen};
use crate::memory::{Sizes, pool, stack, storage};
use crate::said::ENDS;

/// Answers whatever comes, and counts what ends.
#[derive(Default)]
pub(crate) struct Answering {
    pub(crate) finished: usize,
    pub(crate) reset: usize,
}

impl App for Answering {
    type Conn = ();
    type Congestion = Cubic;

    fn accepted(&mut self, _conn: &mut Conn<'_, '_, Cubic>) {}

    fn received(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut (), bytes: &[u8]) -> usize {
        conn.send_body(ANSWER).expect("the queue has room");
        bytes.len()
    }

    fn closed(&mut self, _id: ConnId, (): (), why: Closed) {
        match why {
            Closed::Finished => self.finished += 1,
            Closed::Reset => self.reset += 1,
            _ => panic!("{why}"),
        }
    }
}

/// What it says.
pub(crate) static ANSWER: &[u8] = &[b'.'; 1_000];

/// A server and its clients.
pub(crate) struct Served {
    pub(crate) pool: &'static FramePool<'static>,
    pub(crate) stack: Stack<'static, Answering>,
    pub(crate) app: Answering,
    pub(crate) crowd: Crowd,
    pub(crate) now: Instant,
    pub(crate) conns: usize,
}

impl Served {
    /// With a place for so many connections.
    pub(crate) fn new(conns: usize) -> Self {
        let pool = pool(3, 1_024);
        let sizes = Sizes {
            conns,
            syns: 1_024,
            time_waits: 1_024,
            bodies: 1_024,
            flights: 256,
            sent: 1_024,
        };
        let caps = Caps {
            fragments_max: 4,
            ..Caps::PLAIN
        };
        let now = Instant::from_micros(1);
        let mut stack = stack(
            pool,
            (caps, ENDS.to_mac),
            storage(sizes),
            Settings::default(),
            (1, now),
            (ENDS.to, Some(ENDS.from)),
        );
        stack.listen(80, 1_024).unwrap();
        Self {
            pool,
            stack,
            app: Answering::default(),
            crowd: Crowd::new(pool, conns),
            now,
            conns,
        }
    }

    /// Lets all clients act and then acknowledge, a burst at a time; what the server said to it.
    pub(crate) fn all(
        &mut self,
        act: impl Fn(&mut Crowd, usize),
        acks: impl Fn(usize) -> bool,
    ) -> Seen {
        let mut sum = Seen::default();
        for first in (0..self.conns).step_by(BURST) {
            for n in first..self.conns.min(first + BURST) {
                act(&mut self.crowd, n);
            }
            let seen = self.poll();
            for n in (first..self.conns.min(first + BURST)).filter(|n| acks(*n)) {
                self.crowd.ack(n);
            }
            assert_eq!(self.poll(), Seen::default(), "an ACK is not answered");
            sum.syn_acks += seen.syn_acks;
            sum.payload_len += seen.payload_len;
            sum.fins += seen.fins;
            sum.resets += seen.resets;
            sum.acks += seen.acks;
        }
        sum
    }

    /// A little later; what the server has said.
    pub(crate) fn poll(&mut self) -> Seen {
        self.turn();
        self.crowd.look()
    }

    /// A little later, and all that the stack does then.
    pub(crate) fn turn(&mut self) {
        self.now = self.now + Duration::from_micros(10);
        self.crowd.now_ms = 1 + (self.now.as_micros() / 1_000) as u32;
        let (rings, app) = (&mut self.crowd.rings, &mut self.app);
        while self.stack.poll(self.now, rings, app) == Polled::Busy {}
    }
}

/// Segments that come in between two looks.
pub(crate) const BURST: usize = 32;
