//! A million clients by script, on a queue in memory: each does what TCP asks of it, in twelve
//! bytes, so that what is measured is the server.
//!
//! ```text
//!   Crowd ── frames ──► rings ── Stack::poll ── rings ──► Crowd reads headers, frames go home
//! ```
//!
//! All clients are behind one gateway. Client `n` has address `11.0.0.0 + n / 40,000` and port
//! `10,000 + n % 40,000`.

use std::net::Ipv4Addr;

use simoom::tcp::seqnum::{SeqNum, WireWnd};
use simoom::wire::tcp::{Ctl, Options, Repr, Segment, Timestamps};
use simoom_ring::{FramePool, MacAddr, TxPacket};
use simoom_sim::MemoryRings;

use crate::said::{self, Ends};

/// What one client knows of its connection.
#[derive(Clone, Copy, Default)]
struct Client {
    snd_nxt: u32,
    rcv_nxt: u32,
    /// The timestamp to echo.
    ts_recent: u32,
}

/// What the server has answered since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// SYN-ACKs.
    pub(crate) syn_acks: u32,
    /// Bytes of payload.
    pub(crate) payload_len: u64,
    /// FINs.
    pub(crate) fins: u32,
    /// RSTs.
    pub(crate) resets: u32,
    /// ACKs without anything else.
    pub(crate) acks: u32,
}

/// All clients.
pub(crate) struct Crowd {
    pool: &'static FramePool<'static>,
    clients: Vec<Client>,
    /// The queue that the server polls.
    pub(crate) rings: MemoryRings<'static>,
    /// Milliseconds: the clock of their timestamps.
    pub(crate) now_ms: u32,
}

impl Crowd {
    /// So many clients, none of them connected. Frames come out of the server's pool.
    pub(crate) fn new(pool: &'static FramePool<'static>, clients: usize) -> Self {
        let mut crowd = Self {
            pool,
            clients: vec![Client::default(); clients],
            rings: MemoryRings::new(TX_SLOTS),
            now_ms: 1,
        };
        crowd.ask_who_has();
        crowd
    }

    /// The gateway asks for the server, and so becomes known.
    fn ask_who_has(&mut self) {
        self.arrive(&ends(GATEWAY).who_has());
    }

    fn arrive(&mut self, frame: &[u8]) {
        said::arrive(&mut self.rings, self.pool, frame);
    }

    fn arrive_segment(&mut self, n: usize, ctl: Ctl, has_ack: bool, payload: &[u8]) {
        let client = &mut self.clients[n];
        let timestamps = Timestamps {
            val: self.now_ms,
            ecr: client.ts_recent,
        };
        let repr = Repr {
            src_port: PORTS_FIRST + (n % PORTS) as u16,
            dst_port: 80,
            seq: SeqNum(client.snd_nxt),
            ack: has_ack.then_some(SeqNum(client.rcv_nxt)),
            ctl,
            wnd: WireWnd(u16::MAX),
            options: said::options(ctl, timestamps),
        };
        client.snd_nxt = client.snd_nxt.wrapping_add(said::seq_len(ctl, payload));
        let addr = Ipv4Addr::from(CLIENTS_FIRST + (n / PORTS) as u32);
        self.arrive(&ends(addr).segment(&repr, payload));
    }

    /// SYN.
    pub(crate) fn open(&mut self, n: usize) {
        self.clients[n] = Client {
            snd_nxt: (n as u32).wrapping_mul(2_654_435_761),
            ..Client::default()
        };
        self.arrive_segment(n, Ctl::SYN, false, &[]);
    }

    /// An acknowledgment of all that has come.
    pub(crate) fn ack(&mut self, n: usize) {
        self.arrive_segment(n, Ctl::default(), true, &[]);
    }

    /// A request.
    pub(crate) fn ask(&mut self, n: usize, request: &[u8]) {
        self.arrive_segment(n, Ctl::PSH, true, request);
    }

    /// FIN.
    pub(crate) fn close(&mut self, n: usize) {
        self.arrive_segment(n, Ctl::FIN, true, &[]);
    }

    /// RST.
    pub(crate) fn reset(&mut self, n: usize) {
        self.arrive_segment(n, Ctl::RST, false, &[]);
    }

    /// Reads what was sent.
    ///
    /// # Panics
    /// When it is not what comes next at its client.
    pub(crate) fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut sent = std::mem::take(self.rings.sent());
        for packet in sent.drain(..) {
            self.look_at(&packet, &mut seen);
        }
        *self.rings.sent() = sent;
        seen
    }

    fn look_at(&mut self, packet: &TxPacket<'static>, seen: &mut Seen) {
        let bytes = packet.head().bytes();
        if bytes[12..14] == [0x08, 0x06] {
            // Our gateway answers whoever asks.
            return self.ask_who_has();
        }
        let segment = Segment::parse(&bytes[34..], packet.frame_len() - 34).expect("a segment");
        let options = Options::parse(&bytes[54..34 + segment.header_len]);
        let addr = u32::from_be_bytes([bytes[30], bytes[31], bytes[32], bytes[33]]);
        let n =
            (addr - CLIENTS_FIRST) as usize * PORTS + usize::from(segment.dst_port - PORTS_FIRST);
        let client = &mut self.clients[n];
        if segment.ctl.has(Ctl::SYN) {
            client.rcv_nxt = segment.seq.0;
            seen.syn_acks += 1;
        }
        if segment.ctl.has(Ctl::RST) {
            seen.resets += 1;
            return;
        }
        assert_eq!(segment.seq.0, client.rcv_nxt, "client {n} expects this");
        assert_eq!(
            segment.ack,
            Some(SeqNum(client.snd_nxt)),
            "client {n} has sent so much"
        );
        client.rcv_nxt = client.rcv_nxt.wrapping_add(segment.len());
        client.ts_recent = options.timestamps.expect("they were agreed on").val;
        seen.payload_len += u64::from(segment.payload_len);
        seen.fins += u32::from(segment.ctl.has(Ctl::FIN));
        seen.acks += u32::from(segment.is_empty());
    }

    /// The frames of the queue go home.
    pub(crate) fn clear(&mut self) {
        self.rings.clear();
    }
}

/// From the gateway, or who is behind it, to the server.
fn ends(from: Ipv4Addr) -> Ends {
    Ends {
        from_mac: GATEWAY_MAC,
        to_mac: SERVER_MAC,
        from,
        to: SERVER,
    }
}

const TX_SLOTS: usize = 256;

/// The server's address.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its station address.
pub(crate) const SERVER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The way to all clients.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const CLIENTS_FIRST: u32 = 0x0b00_0000;
const PORTS: usize = 40_000;
const PORTS_FIRST: u16 = 10_000;
