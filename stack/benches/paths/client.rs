//! One client by script, and the stack that it talks to.

use std::collections::VecDeque;
use std::hint::black_box;

use simoom::tcp::cc::Chosen;
use simoom::tcp::{App, Conn, Settings};
use simoom::wire::tcp::Ctl;
use simoom::{Duration, Instant, Polled, Stack};
use simoom_ring::{
    Caps, Checksums, FramePool, Queue, RxRing, Segmentation, TxOffload, TxPacket, TxRing,
};
use simoom_sim::MemoryRings;

use crate::memory::{Sizes, pool, stack, storage};
use crate::said::{self, ENDS, Heard, Saying};

/// What the client wants of the server.
#[derive(Clone, Copy)]
pub(super) enum Wish {
    /// Its bytes taken, and no answer.
    Nothing,
    /// So many bytes for each request.
    Answer(usize),
    /// Bytes without end, from the first request on.
    Bulk,
}

/// What the network card does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    /// Nothing.
    Plain,
    /// It sums.
    Sums,
    /// It sums and cuts.
    Cuts,
}

const TX_SLOTS: usize = 1_024;

/// Grants the wish.
struct Server(Wish);

impl App for Server {
    type Conn = ();
    type Congestion = Chosen;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Chosen>) {
        conn.set_nodelay(true);
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Chosen>, (): &mut (), bytes: &[u8]) -> usize {
        match self.0 {
            Wish::Nothing => {}
            Wish::Answer(len) => {
                let head = |room: &mut [u8]| {
                    room.get_mut(..HEAD.len())?.copy_from_slice(HEAD);
                    Some(HEAD.len())
                };
                conn.send_with(head).expect("there is room");
                conn.send_body(&CONTENT[..len]).expect("there is room");
            }
            Wish::Bulk => self.writable(conn, &mut ()),
        }
        bytes.len()
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Chosen>, (): &mut ()) {
        while conn.has_room() && conn.send_body(CONTENT).is_ok() {}
        conn.want_writable();
    }
}

static CONTENT: &[u8] = &[b'.'; 1 << 20];

/// What an answer begins with: as long as a usual one.
const HEAD: &[u8] = &[b'h'; 180];

/// The client, its server and what lies between them.
pub(super) struct Client {
    stack: Stack<'static, Server>,
    server: Server,
    rings: MemoryRings<'static>,
    pool: &'static FramePool<'static>,
    now: Instant,
    knows: said::Client,
    /// Ends of segments that are not acknowledged yet.
    unacked: VecDeque<u32>,
    /// As the header has it: 128 KB in bulk, so that each acknowledgment makes room for as much as
    /// it acknowledges.
    wnd: u16,
    answered: u64,
    /// Its port.
    port: u16,
    /// Packets that one acknowledgment is for: two segments, or what the card has cut and the far
    /// side's has merged again.
    packets_an_ack: usize,
    /// From here on callgrind counts.
    pub(super) is_counted: bool,
    /// Of a connection of its own, this alone; all of it if not said.
    counted_event: Option<Event>,
}

/// What a connection of its own consists of, as it comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Its SYN.
    Syn,
    /// The third step of the handshake, and the request behind it.
    Request,
    /// Its FIN.
    Fin,
    /// The acknowledgment of ours.
    LastAck,
}

impl Client {
    /// A connection that is established.
    pub(super) fn new(wish: Wish, card: Card) -> Self {
        let pool = pool(7, 4_096);
        let caps = Caps {
            fragments_max: 4,
            checksums: Checksums {
                tx: card != Card::Plain,
                rx: true,
            },
            tso: Segmentation {
                tcp_v4: card == Card::Cuts,
                len_max: u16::MAX.into(),
                ..Segmentation::default()
            },
            ..Caps::PLAIN
        };
        let sizes = Sizes {
            sent: 4_096,
            ..Sizes::SMALL
        };
        let now = Instant::from_micros(1_000_000);
        let mut stack = stack(
            pool,
            (caps, ENDS.to_mac),
            storage(sizes),
            Settings::default(),
            (1, now),
            (ENDS.to, None),
        );
        stack.listen(80, 16).expect("a listener");
        let mut client = Self {
            stack,
            server: Server(wish),
            rings: MemoryRings::new(TX_SLOTS),
            pool,
            now,
            knows: said::Client::default(),
            unacked: VecDeque::with_capacity(4_096),
            wnd: match wish {
                Wish::Bulk => 1_024,
                _ => u16::MAX,
            },
            answered: 0,
            port: 40_000,
            packets_an_ack: if card == Card::Cuts { 1 } else { 2 },
            is_counted: false,
            counted_event: None,
        };
        client.meet();
        client.arrive_segment(Ctl::SYN, None, &[]);
        client.turn();
        client.arrive_segment(Ctl::default(), Some(client.knows.rcv_nxt), &[]);
        client.turn();
        client.warm_up(wish);
        client
    }

    /// Until the congestion window holds all that is wanted.
    fn warm_up(&mut self, wish: Wish) {
        match wish {
            Wish::Nothing => {}
            Wish::Answer(_) => (0..20).for_each(|_| self.ask()),
            Wish::Bulk => {
                self.arrive_segment(Ctl::PSH, Some(self.knows.rcv_nxt), REQUEST);
                self.turn();
                while self.unacked.len() < 64 {
                    self.acknowledge(2);
                    self.turn();
                }
            }
        }
    }

    /// The client's station address becomes known.
    fn meet(&mut self) {
        self.arrive(&ENDS.who_has());
        self.turn();
    }

    /// A request, all of its answer, and an acknowledgment for every second segment.
    pub(super) fn ask(&mut self) {
        self.arrive_segment(Ctl::PSH, Some(self.knows.rcv_nxt), REQUEST);
        self.turn();
        // What goes out in a burst is acknowledged in one.
        while !self.unacked.is_empty() {
            let each = self.packets_an_ack;
            for _ in 0..ACKS.min(self.unacked.len().div_ceil(each)) {
                self.acknowledge(each);
            }
            self.turn();
        }
    }

    /// A connection of its own for one answer: opened, asked on, and closed by the client.
    pub(super) fn ask_anew(&mut self) {
        self.port = self.port.checked_add(1).unwrap_or(40_000);
        self.unacked.clear();
        self.arrive_segment(Ctl::SYN, None, &[]);
        self.turn_of(Event::Syn);
        self.arrive_segment(Ctl::default(), Some(self.knows.rcv_nxt), &[]);
        self.arrive_segment(Ctl::PSH, Some(self.knows.rcv_nxt), REQUEST);
        self.turn_of(Event::Request);
        self.arrive_segment(Ctl::FIN, Some(self.knows.rcv_nxt), &[]);
        self.turn_of(Event::Fin);
        self.arrive_segment(Ctl::default(), Some(self.knows.rcv_nxt), &[]);
        self.turn_of(Event::LastAck);
    }

    /// Counts this of [`ask_anew`](Self::ask_anew) alone.
    pub(super) fn of(mut self, event: Event) -> Self {
        self.counted_event = Some(event);
        self
    }

    fn turn_of(&mut self, event: Event) {
        let is_counted = self.is_counted;
        self.is_counted &= self.counted_event.is_none_or(|counted| counted == event);
        self.turn();
        self.is_counted = is_counted;
    }

    /// Nothing comes in.
    pub(super) fn be_silent(&mut self) {
        self.turn();
    }

    /// A frame comes in and goes out again, past the stack.
    pub(super) fn pass(&mut self) {
        self.arrive_segment(Ctl::default(), Some(self.knows.rcv_nxt), &[]);
        if self.is_counted {
            counted_rings(&mut self.rings);
        }
        self.rings.clear();
    }

    /// The oldest segment in flight is acknowledged.
    pub(super) fn acknowledge_one(&mut self) {
        self.acknowledge(1);
        self.turn();
    }

    /// Two full segments.
    pub(super) fn send_two(&mut self) {
        for _ in 0..2 {
            self.arrive_segment(Ctl::default(), Some(self.knows.rcv_nxt), &CONTENT[..1_448]);
            self.turn();
        }
        self.unacked.clear();
    }

    fn acknowledge(&mut self, segments: usize) {
        let last = segments.min(self.unacked.len());
        let ack = self.unacked.drain(..last).next_back().expect("a segment");
        self.arrive_segment(Ctl::default(), Some(ack), &[]);
    }

    /// A little later: the stack works, and what it has sent is read.
    fn turn(&mut self) {
        self.now = self.now + Duration::from_micros(10);
        if self.is_counted {
            counted(self);
        } else {
            warming_up(self);
        }
        let mut sent = std::mem::take(self.rings.sent());
        for packet in sent.drain(..) {
            self.read(&packet);
        }
        *self.rings.sent() = sent;
    }

    fn read(&mut self, packet: &TxPacket<'static>) {
        let Some(heard) = Heard::read(packet.head().bytes(), packet.frame_len()) else {
            return;
        };
        self.knows.hear(&heard);
        let payload_len = heard.segment.payload_len;
        self.answered += u64::from(payload_len);
        if payload_len > 0 {
            self.unacked.push_back(self.knows.rcv_nxt);
        }
    }

    fn arrive_segment(&mut self, ctl: Ctl, ack: Option<u32>, payload: &[u8]) {
        let saying = Saying {
            ctl,
            ack,
            wnd: self.wnd,
            now_ms: (self.now.as_micros() / 1_000) as u32,
            payload,
        };
        let frame = self.knows.say((&ENDS, self.port), saying);
        self.arrive(&frame);
    }

    fn arrive(&mut self, frame: &[u8]) {
        said::arrive(&mut self.rings, self.pool, frame);
    }

    /// What was gone was the path that was meant.
    pub(super) fn check(&self) {
        let counters = self.stack.counters();
        assert_eq!((counters.tcp_retransmits, counters.dropped_total()), (0, 0));
        assert_eq!(counters.payload_bytes_copied, 0);
        if !matches!(self.server.0, Wish::Nothing) {
            assert!(self.answered > 0);
        }
    }
}

fn poll(client: &mut Client) {
    let Client {
        stack,
        server,
        rings,
        now,
        ..
    } = client;
    while stack.poll(*now, rings, server) == Polled::Busy {}
}

/// Callgrind counts here.
#[inline(never)]
fn counted(client: &mut Client) {
    poll(black_box(client));
}

/// Callgrind counts here, too: what the rings alone take of a frame in and a frame out.
#[inline(never)]
fn counted_rings(rings: &mut MemoryRings<'static>) {
    let (rx, tx) = black_box(rings).rings();
    if rx.sync() > 0
        && let Some(packet) = rx.recv()
        && tx.space() > 0
    {
        let packet = TxPacket::new(packet.frame, TxOffload::default());
        tx.send(packet).expect("there is space");
        tx.sync();
    }
}

#[inline(never)]
fn warming_up(client: &mut Client) {
    poll(client);
}

/// Acknowledgments that come in together at most.
const ACKS: usize = 32;

const REQUEST: &[u8] = &[b'r'; 100];
