//! The clients, by script: what each sends does not depend on who serves.
//!
//! All are behind one gateway. Client `n` has address `11.0.0.0 + n / 40,000` and port
//! `10,000 + n % 40,000`. Of what it receives it acknowledges every second segment at once, and the
//! rest with the next request, as Linux does.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use simoom::tcp::seqnum::{SeqNum, WireWnd};
use simoom::wire::tcp::{Ctl, Options, Repr, Segment, Timestamps};
use simoom_ring::MacAddr;
use simoom_sim::checksum::{self, Verdict};

use crate::said::{self, Ends, WND_SHIFT};

/// A server: a stack, its application, and rings in memory.
pub(crate) trait Side {
    /// Puts a frame of client `n` into the receive ring.
    fn arrive(&mut self, n: usize, frame: &[u8]);

    /// All that the server does now.
    fn turn(&mut self, now_us: u64);

    /// Takes the frames out of the transmit ring: `read` gets the pieces of each.
    fn drain(&mut self, read: impl FnMut(&[&[u8]]));

    /// Whether anything went wrong that the clients do not see.
    fn check(&self);
}

/// What one client knows of its connection.
#[derive(Clone, Copy, Default)]
struct Client {
    snd_nxt: u32,
    rcv_nxt: u32,
    /// The timestamp to echo.
    ts_recent: u32,
    /// Segments that came since the last acknowledgment.
    unacked: u8,
    has_fin: bool,
}

/// All clients, and their server.
pub(crate) struct Clients<S> {
    pub(crate) side: S,
    clients: Vec<Client>,
    now_us: u64,
    /// Acknowledgments to send: of whom, and up to where.
    acks: Vec<(usize, u32)>,
    /// Payload bytes that have come, and segments that had some.
    pub(crate) received_len: u64,
    pub(crate) segments: u64,
    /// Frames whose checksums are looked at still.
    checks_left: u32,
    /// From here on callgrind counts.
    pub(crate) is_counted: bool,
    /// What turns have taken.
    pub(crate) spent: Duration,
    pub(crate) turns: u32,
}

impl<S: Side> Clients<S> {
    /// So many clients, none of them connected.
    pub(crate) fn new(side: S, cnt: usize) -> Self {
        let mut clients = Self {
            side,
            clients: vec![Client::default(); cnt],
            now_us: 1_000_000,
            acks: Vec::with_capacity(256),
            received_len: 0,
            segments: 0,
            checks_left: CHECKS,
            is_counted: false,
            spent: Duration::ZERO,
            turns: 0,
        };
        clients.ask_who_has();
        clients.turn();
        clients
    }

    /// SYN.
    pub(crate) fn open(&mut self, n: usize) {
        self.clients[n] = Client {
            // Another one each time.
            snd_nxt: self.clients[n].snd_nxt.wrapping_add(2_654_435_761),
            ..Client::default()
        };
        self.send(n, Ctl::SYN, None, &[]);
    }

    /// A request, or a part of it; it acknowledges what has come.
    pub(crate) fn ask(&mut self, n: usize, bytes: &[u8]) {
        let ack = self.clients[n].rcv_nxt;
        self.clients[n].unacked = 0;
        self.send(n, Ctl::PSH, Some(ack), bytes);
    }

    /// An acknowledgment of all that has come.
    pub(crate) fn ack(&mut self, n: usize) {
        let ack = self.clients[n].rcv_nxt;
        self.clients[n].unacked = 0;
        self.send(n, Ctl::default(), Some(ack), &[]);
    }

    /// FIN, which acknowledges, too.
    pub(crate) fn close(&mut self, n: usize) {
        let ack = self.clients[n].rcv_nxt;
        self.clients[n].unacked = 0;
        self.send(n, Ctl::FIN, Some(ack), &[]);
    }

    /// Whether the server has closed.
    pub(crate) fn has_fin(&self, n: usize) -> bool {
        self.clients[n].has_fin
    }

    /// Sends at most so many of the acknowledgments that are due; how many.
    pub(crate) fn send_acks(&mut self, most: usize) -> usize {
        let cnt = most.min(self.acks.len());
        for idx in 0..cnt {
            let (n, ack) = self.acks[idx];
            self.send(n, Ctl::default(), Some(ack), &[]);
        }
        self.acks.drain(..cnt);
        cnt
    }

    /// Forgets the acknowledgments that are due: the next request has them all.
    pub(crate) fn forget_acks(&mut self) {
        self.acks.clear();
    }

    /// A little later: the server works, and what it has sent is read.
    pub(crate) fn turn(&mut self) {
        self.now_us += TURN_US;
        let before = Instant::now();
        if self.is_counted {
            counted(&mut self.side, self.now_us);
        } else {
            warming_up(&mut self.side, self.now_us);
        }
        self.spent += before.elapsed();
        self.turns += 1;
        self.read();
    }

    fn read(&mut self) {
        let Self {
            side,
            clients,
            acks,
            received_len,
            segments,
            checks_left,
            ..
        } = self;
        let mut is_asked = false;
        side.drain(|pieces| {
            let head = pieces[0];
            if head[12..14] == [0x08, 0x06] {
                is_asked |= head[20..22] == [0, 1];
                return;
            }
            let frame_len: usize = pieces.iter().map(|piece| piece.len()).sum();
            if *checks_left > 0 {
                *checks_left -= 1;
                assert_eq!(checksum::verify(&pieces.concat()), Verdict::Right);
            }
            let segment = Segment::parse(&head[34..], frame_len - 34).expect("a segment");
            let options = Options::parse(&head[54..34 + segment.header_len]);
            let addr = u32::from_be_bytes([head[30], head[31], head[32], head[33]]);
            let port = usize::from(segment.dst_port - PORTS_FIRST);
            let n = (addr - CLIENTS_FIRST) as usize * PORTS + port;
            let client = &mut clients[n];
            assert!(!segment.ctl.has(Ctl::RST), "client {n} is reset");
            if segment.ctl.has(Ctl::SYN) {
                client.rcv_nxt = segment.seq.0;
            }
            assert_eq!(segment.seq.0, client.rcv_nxt, "client {n} expects this");
            client.rcv_nxt = client.rcv_nxt.wrapping_add(segment.len());
            client.ts_recent = options.timestamps.expect("they were agreed on").val;
            client.has_fin |= segment.ctl.has(Ctl::FIN);
            if segment.payload_len > 0 {
                *received_len += u64::from(segment.payload_len);
                *segments += 1;
                client.unacked += 1;
            }
            if client.unacked == 2 {
                client.unacked = 0;
                acks.push((n, client.rcv_nxt));
            }
        });
        if is_asked {
            self.ask_who_has();
        }
    }

    /// The gateway asks for the server, and so becomes known.
    fn ask_who_has(&mut self) {
        self.side.arrive(0, &ends(GATEWAY).who_has());
    }

    fn send(&mut self, n: usize, ctl: Ctl, ack: Option<u32>, payload: &[u8]) {
        let client = &mut self.clients[n];
        let timestamps = Timestamps {
            val: (self.now_us / 1_000) as u32,
            ecr: client.ts_recent,
        };
        let repr = Repr {
            src_port: PORTS_FIRST + (n % PORTS) as u16,
            dst_port: PORT,
            seq: SeqNum(client.snd_nxt),
            ack: ack.map(SeqNum),
            ctl,
            wnd: WireWnd((WND >> WND_SHIFT) as u16),
            options: said::options(ctl, timestamps),
        };
        client.snd_nxt = client.snd_nxt.wrapping_add(said::seq_len(ctl, payload));
        let addr = Ipv4Addr::from(CLIENTS_FIRST + (n / PORTS) as u32);
        let mut frame = ends(addr).segment(&repr, payload);
        assert!(checksum::fill(&mut frame));
        self.side.arrive(n, &frame);
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

/// Callgrind counts here.
#[inline(never)]
fn counted(side: &mut impl Side, now_us: u64) {
    black_box(side).turn(now_us);
}

#[inline(never)]
fn warming_up(side: &mut impl Side, now_us: u64) {
    side.turn(now_us);
}

/// The server's address and port.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const PORT: u16 = 80;
/// Its station address.
pub(crate) const SERVER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The way to all clients.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The window that each client offers, bytes.
pub(crate) const WND: usize = 1 << 17;

const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const CLIENTS_FIRST: u32 = 0x0b00_0000;
const PORTS: usize = 40_000;
const PORTS_FIRST: u16 = 10_000;
/// Virtual time between two turns, microseconds.
const TURN_US: u64 = 10;
/// Frames whose checksums are looked at.
const CHECKS: u32 = 4_000;
