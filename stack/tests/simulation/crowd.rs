//! A million clients by script, on a queue in memory: each does what TCP asks of it, in twelve
//! bytes, so that what is measured is the server.
//!
//! ```text
//!   Crowd ── frames ──► rings ── Stack::poll ── rings ──► Crowd reads headers, frames go home
//! ```
//!
//! All clients are behind one gateway ([`said::home`]).

use simoom::tcp::seqnum::SeqNum;
use simoom::wire::tcp::Ctl;
use simoom_ring::{FramePool, TxPacket};
use simoom_sim::MemoryRings;

use crate::said::{self, Client, ENDS, Heard, Saying};

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
        self.arrive(&ENDS.who_has());
    }

    fn arrive(&mut self, frame: &[u8]) {
        said::arrive(&mut self.rings, self.pool, frame);
    }

    fn arrive_segment(&mut self, n: usize, ctl: Ctl, has_ack: bool, payload: &[u8]) {
        let client = &mut self.clients[n];
        let saying = Saying {
            ctl,
            ack: has_ack.then_some(client.rcv_nxt),
            wnd: u16::MAX,
            now_ms: self.now_ms,
            payload,
        };
        let (ends, port) = said::home(n);
        let frame = client.say((&ends, port), saying);
        self.arrive(&frame);
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
        let Some(heard) = Heard::read(packet.head().bytes(), packet.frame_len()) else {
            // Our gateway answers whoever asks.
            return self.ask_who_has();
        };
        let (segment, n) = (&heard.segment, heard.number());
        if segment.ctl.has(Ctl::RST) {
            seen.resets += 1;
            return;
        }
        let client = &mut self.clients[n];
        client.hear(&heard);
        let has_sent = Some(SeqNum(client.snd_nxt));
        assert_eq!(segment.ack, has_sent, "client {n} has sent so much");
        seen.syn_acks += u32::from(segment.ctl.has(Ctl::SYN));
        seen.payload_len += u64::from(segment.payload_len);
        seen.fins += u32::from(segment.ctl.has(Ctl::FIN));
        seen.acks += u32::from(segment.is_empty());
    }

    /// The frames of the queue go home.
    pub(crate) fn clear(&mut self) {
        self.rings.clear();
    }
}

const TX_SLOTS: usize = 256;
