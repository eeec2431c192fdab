//! Our stack as the server.

mod rings;

use simoom::tcp::cc::Cubic;
use simoom::tcp::{App, Conn, Settings};
use simoom::{Body, Instant, Polled, Stack, Sums};
use simoom_ring::Caps;

use crate::cases::{CONTENT, Case, HEAD, Made, REQUEST, Wish};
use crate::clients::Side;
use crate::memory::{Sizes, pool, stack, storage};
use crate::said::{ENDS, PORT};
use rings::Rings;

/// Grants the wish.
struct Server {
    wish: Wish,
    sums: &'static Sums,
}

impl App for Server {
    /// Bytes of a request that have come.
    type Conn = usize;
    type Congestion = Cubic;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Cubic>) -> usize {
        conn.set_nodelay(true);
        0
    }

    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Cubic>,
        asked_len: &mut usize,
        bytes: &[u8],
    ) -> usize {
        match self.wish {
            Wish::Nothing => {}
            Wish::Answer(len) => {
                *asked_len += bytes.len();
                while *asked_len >= REQUEST.len() {
                    *asked_len -= REQUEST.len();
                    self.answer(conn, len);
                }
            }
            Wish::Bulk => self.writable(conn, asked_len),
        }
        bytes.len()
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Cubic>, _: &mut usize) {
        let body = Body::summed(CONTENT, Some(self.sums));
        while conn.has_room() && conn.send_body(body).is_ok() {}
        conn.want_writable();
    }
}

impl Server {
    fn answer(&self, conn: &mut Conn<'_, '_, Cubic>, len: usize) {
        let head = |room: &mut [u8]| {
            room.get_mut(..HEAD.len())?.copy_from_slice(HEAD);
            Some(HEAD.len())
        };
        conn.send_with(head).expect("there is room");
        let body = Body::summed(&CONTENT[..len], Some(self.sums));
        conn.send_body(body).expect("there is room");
    }
}

/// The server.
pub(crate) struct Ours {
    stack: Stack<'static, Server>,
    server: Server,
    rings: Rings,
}

impl Made for Ours {
    /// With places for as many connections as the case has.
    fn new(case: &Case) -> Self {
        let pool = pool(11, FRAMES);
        let caps = Caps {
            fragments_max: 4,
            ..Caps::PLAIN
        };
        let sizes = Sizes {
            conns: case.conns() + 64,
            syns: 1_024,
            time_waits: 1_024,
            bodies: 1_024,
            flights: 256,
            sent: 4_096,
        };
        let now = Instant::from_micros(1_000_000);
        let mut stack = stack(
            pool,
            (caps, ENDS.to_mac),
            storage(sizes),
            Settings::default(),
            (1, now),
            (ENDS.to, Some(ENDS.from)),
        );
        stack.listen(PORT, 1_024).expect("a listener");
        let table = vec![0; Sums::entries(CONTENT.len())].leak();
        let sums = Sums::of(CONTENT, table).expect("a table of that length");
        Self {
            stack,
            server: Server {
                wish: case.wish,
                sums: Box::leak(Box::new(sums)),
            },
            rings: Rings::new(pool),
        }
    }
}

impl Side for Ours {
    fn arrive(&mut self, _: usize, bytes: &[u8]) {
        self.rings.arrive(bytes);
    }

    fn turn(&mut self, now_us: u64) {
        let now = Instant::from_micros(now_us);
        while self.stack.poll(now, &mut self.rings, &mut self.server) == Polled::Busy {}
    }

    fn drain(&mut self, read: impl FnMut(&[&[u8]])) {
        self.rings.drain(read);
    }

    fn check(&self) {
        let counters = self.stack.counters();
        assert_eq!((counters.tcp_retransmits, counters.dropped_total()), (0, 0));
        assert_eq!(counters.payload_bytes_copied, 0);
    }
}

const FRAMES: usize = 2_048;
