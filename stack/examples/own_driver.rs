//! A driver of one's own, and two stacks over it: a server by callbacks, a client by calls.
//!
//!     client ── Stack<Calls> ── Nic ── Cable ── Nic ── Stack<Greeter> ── server

use std::{cell::RefCell, collections::VecDeque, net::Ipv4Addr};

use simoom::iface::Setup;
use simoom::tcp::calls::{CallState, Calls};
use simoom::tcp::{App, Conn, Settings, Storage, cc::Cubic};
use simoom::{Cidr, Duration, Endpoint, Instant, Stack};
use simoom_ring::{
    Armed, Caps, Figures, Frame, FrameMemory, FrameMeta, FramePool, MacAddr, Queue, RxPacket,
    RxRing, TxPacket, TxRing,
};

/// The hardware: the frames that are on their way to each of two cards.
type Cable = [RefCell<VecDeque<Vec<u8>>>; 2];

/// Places of a card's transmit ring.
const SLOTS: usize = 64;

/// What is received: what came over the cable, in frames of ours.
struct Rx<'p>(&'p Cable, usize, &'p FramePool<'p>);

impl<'p> RxRing<'p> for Rx<'p> {
    fn sync(&mut self) -> usize {
        self.0[self.1].borrow().len()
    }

    fn recv(&mut self) -> Option<RxPacket<'p>> {
        // Without a free frame the packet waits where it is.
        let mut frame: Frame<'p> = self.2.alloc(0)?;
        let bytes = self.0[self.1].borrow_mut().pop_front()?;
        frame.append(&bytes).ok()?;
        Some(RxPacket::plain(frame))
    }

    fn dropped(&mut self, _why: &'static str) {}
}

/// What is sent: copied onto the cable, so that the packet's frames go home at once.
struct Tx<'p>(&'p Cable, usize);

impl<'p> TxRing<'p> for Tx<'p> {
    fn space(&self) -> usize {
        SLOTS.saturating_sub(self.0[1 - self.1].borrow().len())
    }

    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        if self.space() == 0 {
            return Err(packet);
        }
        let mut bytes = packet.head().bytes().to_vec();
        for fragment in packet.fragments() {
            bytes.extend_from_slice(fragment.bytes());
        }
        self.0[1 - self.1].borrow_mut().push_back(bytes);
        Ok(())
    }

    fn sync(&mut self) {}
}

/// A card with one pair of rings.
struct Nic<'p>(Rx<'p>, Tx<'p>);

impl<'p> Queue<'p> for Nic<'p> {
    type Rx = Rx<'p>;
    type Tx = Tx<'p>;

    fn rings(&mut self) -> (&mut Rx<'p>, &mut Tx<'p>) {
        (&mut self.0, &mut self.1)
    }

    fn arm(&mut self) -> Armed {
        if self.0.sync() > 0 {
            Armed::Ready
        } else {
            Armed::Sleep
        }
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

/// The server: says its piece to whoever has asked for anything, and closes.
struct Greeter;

impl App for Greeter {
    type Conn = ();
    type Congestion = Cubic;

    fn accepted(&mut self, _conn: &mut Conn<'_, '_, Cubic>) {}

    fn received(&mut self, conn: &mut Conn<'_, '_, Cubic>, _: &mut (), bytes: &[u8]) -> usize {
        // By reference: nothing of it is copied before it reaches the driver.
        match conn.send_body(b"HTTP/1.0 200 OK\r\n\r\nhello".as_slice()) {
            Ok(()) => conn.close(),
            Err(_) => conn.abort(),
        }
        bytes.len()
    }
}

/// TCP's tables: for `CONNS` connections, half-open ones, and ones in TIME-WAIT. Here on the heap;
/// slices of static memory do as well.
fn storage<'p, A: App>() -> Storage<'p, A> {
    const CONNS: usize = 16;
    fn table<T: Default>(len: usize) -> Vec<T> {
        std::iter::repeat_with(T::default).take(len).collect()
    }
    Storage {
        conns: table(CONNS).into(),
        syns: table(CONNS).into(),
        time_waits: table(CONNS).into(),
        bodies: table(4 * CONNS).into(),
        gaps: table(CONNS).into(),
        flights: table(CONNS).into(),
        sent: table(8 * CONNS).into(),
        timers: table(2 * CONNS).into(),
        demux: table(Storage::<A>::demux_len(CONNS, CONNS, CONNS)).into(),
    }
}

/// A stack with the address 10.0.0.`n`. A real seed is 64 bits that nobody can guess.
fn stack<'p, A: App>(pool: &'p FramePool<'p>, n: u8) -> Stack<'p, A> {
    let mut stack = Stack::new(Setup {
        pool,
        // Room for a body behind the headers: this card takes packets in pieces.
        caps: Caps {
            fragments_max: 4,
            ..Caps::PLAIN
        },
        mac: MacAddr([2, 0, 0, 0, 0, n]),
        storage: storage(),
        tcp: Settings::default(),
        seed: n.into(),
        now: Instant::ZERO,
    });
    stack.configure(
        Cidr::new(Ipv4Addr::new(10, 0, 0, n), 24).expect("24 of 32 bits"),
        None,
    );
    stack
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cable = Cable::default();
    let mut memory = vec![FrameMemory::ZERO; 256];
    let mut metas: Vec<_> = std::iter::repeat_with(FrameMeta::new).take(256).collect();
    let pool = FramePool::new(&mut memory, &mut metas);
    let mut nics = [0, 1].map(|end| Nic(Rx(&cable, end, &pool), Tx(&cable, end)));

    let (mut server, mut greeter) = (stack::<Greeter>(&pool, 1), Greeter);
    server.listen(80, 8)?;
    let (mut client, mut calls) = (stack::<Calls<Cubic>>(&pool, 2), Calls::new());
    let remote = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 80);
    let conn = client.connect(Instant::ZERO, remote, CallState::default())?;

    let (mut now, mut is_asked, mut answer) = (Instant::ZERO, false, Vec::new());
    loop {
        let _ = server.poll(now, &mut nics[0], &mut greeter);
        let _ = client.poll(now, &mut nics[1], &mut calls);
        if !is_asked {
            is_asked = client
                .send(now, &calls, conn, b"GET / HTTP/1.0\r\n\r\n")
                .is_ok();
        }
        let taken = client.recv(now, &calls, conn, |bytes| {
            answer.extend_from_slice(bytes);
            bytes.len()
        });
        match taken {
            Ok(0) => break,
            Ok(_) | Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(error)) => return Err(error.into()),
        }
        // A machine would sleep until an interrupt, or `poll_at` of both; here time is made up.
        now = now + Duration::from_millis(1);
    }
    println!("{}", String::from_utf8_lossy(&answer));
    assert!(answer.ends_with(b"\r\n\r\nhello"));
    Ok(())
}
