//! The clients, by script: what each sends does not depend on who serves.
//!
//! All are behind one gateway ([`said::home`]). Of what a client receives it acknowledges every
//! second segment at once, and the rest with the next request, as Linux does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use simoom::wire::tcp::Ctl;
use simoom_sim::checksum::{self, Verdict};

use crate::said::{self, ENDS, Heard, Saying, WND_SHIFT};

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
    knows: said::Client,
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
            knows: said::Client {
                // Another one each time.
                snd_nxt: self.clients[n].knows.snd_nxt.wrapping_add(2_654_435_761),
                ..said::Client::default()
            },
            ..Client::default()
        };
        self.send(n, Ctl::SYN, None, &[]);
    }

    /// A request, or a part of it; it acknowledges what has come.
    pub(crate) fn ask(&mut self, n: usize, bytes: &[u8]) {
        let ack = self.clients[n].knows.rcv_nxt;
        self.clients[n].unacked = 0;
        self.send(n, Ctl::PSH, Some(ack), bytes);
    }

    /// An acknowledgment of all that has come.
    pub(crate) fn ack(&mut self, n: usize) {
        let ack = self.clients[n].knows.rcv_nxt;
        self.clients[n].unacked = 0;
        self.send(n, Ctl::default(), Some(ack), &[]);
    }

    /// FIN, which acknowledges, too.
    pub(crate) fn close(&mut self, n: usize) {
        let ack = self.clients[n].knows.rcv_nxt;
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
            let heard = Heard::read(head, frame_len).expect("a segment");
            let (segment, n) = (&heard.segment, heard.number());
            assert!(!segment.ctl.has(Ctl::RST), "client {n} is reset");
            let client = &mut clients[n];
            client.knows.hear(&heard);
            client.has_fin |= segment.ctl.has(Ctl::FIN);
            if segment.payload_len > 0 {
                *received_len += u64::from(segment.payload_len);
                *segments += 1;
                client.unacked += 1;
            }
            if client.unacked == 2 {
                client.unacked = 0;
                acks.push((n, client.knows.rcv_nxt));
            }
        });
        if is_asked {
            self.ask_who_has();
        }
    }

    /// The gateway asks for the server, and so becomes known.
    fn ask_who_has(&mut self) {
        self.side.arrive(0, &ENDS.who_has());
    }

    fn send(&mut self, n: usize, ctl: Ctl, ack: Option<u32>, payload: &[u8]) {
        let saying = Saying {
            ctl,
            ack,
            wnd: (WND >> WND_SHIFT) as u16,
            now_ms: (self.now_us / 1_000) as u32,
            payload,
        };
        let (ends, port) = said::home(n);
        let mut frame = self.clients[n].knows.say((&ends, port), saying);
        assert!(checksum::fill(&mut frame));
        self.side.arrive(n, &frame);
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

/// The window that each client offers, bytes.
pub(crate) const WND: usize = 1 << 17;

/// Virtual time between two turns, microseconds.
const TURN_US: u64 = 10;
/// Frames whose checksums are looked at.
const CHECKS: u32 = 4_000;
