//! The other end of a connection, by hand: a segment in, exact segments out, then silence.
//!
//! Segments are written as packetdrill and tcpdump write them, sequence numbers relative to each
//! side's first: `S 0:0(0) win 1000 <mss 1000,nop,wscale 7>`, `P. 1:101(100) ack 1 win 65535`.
//! Payload is the byte stream in which byte `n` is `n % 251`, and is checked on both ways.

use std::collections::VecDeque;
use std::fmt::Write;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use simoom_ring::{Armed, Caps, Figures, FramePool, MacAddr, Queue, RxPacket, RxRing};
use simoom_sim::checksum::complete;
use simoom_sim::segment::cut;

use crate::addr::Endpoint;
use crate::icmp::Cause;
use crate::iface::{Polled, Setup, Stack};
use crate::ip::proto;
use crate::tcp::cc::{Algorithm, Cubic};
use crate::tcp::seqnum::{SeqNum, WireWnd};
use crate::tcp::{
    App, BodyNode, Closed, Conn, ConnId, ConnSlot, DemuxEntry, EcnUse, FlightEntry, GapEntry,
    SentNode, Settings, Storage, SynEntry, TimeWaitEntry, TimerNode,
};
use crate::testing::{
    OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, Sent, TestRing, arp_packet, assert_all_home, datagram,
    datagram_of, frame, our_cidr, pool, rx, rx_large, v4,
};
use crate::time::{Duration, Instant};
use crate::wire::arp::Op;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::Codepoint;
use crate::wire::tcp::{Ctl, Options, Segment};
use crate::{Counters, DropReason};

/// The stream of bytes that both sides send.
pub(super) fn stream() -> &'static [u8] {
    static STREAM: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    STREAM.get_or_init(|| (0..1_000_000_u32).map(|n| (n % 251) as u8).collect())
}

/// An application that writes down what it is told.
#[derive(Default)]
pub(super) struct Diary {
    pub(super) lines: Vec<String>,
    /// Most bytes that it takes in all.
    pub(super) takes_max: usize,
    pub(super) taken: usize,
    pub(super) last: Option<ConnId>,
    /// What it queues when it is told that it may, which it asks for where connections begin.
    pub(super) on_writable: Option<&'static [u8]>,
    /// What it queues when it has received something.
    pub(super) answer: Option<&'static [u8]>,
    /// How much of that is generated.
    pub(super) head_len: usize,
    /// It closes when it has answered, or when the other end has.
    pub(super) closes: bool,
    /// It aborts when it has received something.
    pub(super) gives_up: bool,
}

impl App for Diary {
    type Conn = ();
    type Congestion = Cubic;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Cubic>) {
        self.last = Some(conn.id());
        self.lines.push("accepted".to_string());
        if self.on_writable.is_some() {
            conn.want_writable();
        }
    }

    fn connected(&mut self, _conn: &mut Conn<'_, '_, Cubic>, (): &mut ()) {
        self.lines.push("connected".to_string());
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut (), bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.takes_max - self.taken);
        assert_eq!(bytes[..taken], stream()[self.taken..][..taken]);
        self.taken += taken;
        self.lines
            .push(std::format!("received {} took {taken}", bytes.len()));
        if let Some(answer) = self.answer.take() {
            let (head, body) = answer.split_at(self.head_len);
            conn.send(head).expect("there is room");
            conn.send_body(body).expect("there is room");
            if self.closes {
                conn.close();
            }
        }
        if self.gives_up {
            conn.abort();
        }
        taken
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut ()) {
        self.lines.push("writable".to_string());
        if let Some(body) = self.on_writable.take() {
            conn.send_body(body).expect("it was told that it may");
        }
    }

    fn finished(&mut self, conn: &mut Conn<'_, '_, Cubic>, (): &mut ()) {
        self.lines.push("finished".to_string());
        if self.closes {
            conn.close();
        }
    }

    fn woken(&mut self, _conn: &mut Conn<'_, '_, Cubic>, (): &mut ()) {
        self.lines.push("woken".to_string());
    }

    fn soft_error(&mut self, _conn: &mut Conn<'_, '_, Cubic>, (): &mut (), cause: Cause) {
        self.lines.push(std::format!("soft error: {cause:?}"));
    }

    fn undelivered(&mut self, local: Endpoint, remote: Endpoint, cause: Cause) {
        let (from, to) = (local.port, remote.port);
        self.lines
            .push(std::format!("undelivered {from} to {to}: {cause:?}"));
    }

    fn closed(&mut self, _id: ConnId, (): (), why: Closed) {
        self.lines.push(std::format!("closed: {why}"));
    }
}

/// A receive queue that is filled by hand, and the ring that shows what was sent.
pub(super) struct TestQueue {
    pub(super) rx: TestRx,
    pub(super) tx: TestRing,
}

#[derive(Default)]
pub(super) struct TestRx(
    VecDeque<RxPacket<'static>>,
    /// Why packets were dropped, as the ring was told.
    pub(super) Vec<&'static str>,
);

impl TestRx {
    /// A packet waits for the next poll.
    pub(super) fn arrive(&mut self, packet: RxPacket<'static>) {
        self.0.push_back(packet);
    }
}

impl RxRing<'static> for TestRx {
    fn sync(&mut self) -> usize {
        self.0.len()
    }

    fn recv(&mut self) -> Option<RxPacket<'static>> {
        self.0.pop_front()
    }

    fn dropped(&mut self, why: &'static str) {
        self.1.push(why);
    }
}

impl Queue<'static> for TestQueue {
    type Rx = TestRx;
    type Tx = TestRing;

    fn rings(&mut self) -> (&mut TestRx, &mut TestRing) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

/// How large the tables are.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) conns: usize,
    pub(super) syns: usize,
    pub(super) time_waits: usize,
    pub(super) bodies: usize,
    pub(super) gaps: usize,
    pub(super) flights: usize,
    pub(super) sent: usize,
    pub(super) frames: usize,
}

impl Sizes {
    pub(super) const SMALL: Self = Self {
        conns: 4,
        syns: 4,
        time_waits: 2,
        bodies: 64,
        gaps: 4,
        flights: 4,
        sent: 64,
        frames: 512,
    };
}

/// The stack under test, and the other end.
pub(super) struct Peer {
    pub(super) stack: Stack<'static, Diary>,
    pub(super) queue: TestQueue,
    pub(super) app: Diary,
    pub(super) now: Instant,
    pub(super) pool: &'static FramePool<'static>,
    /// What was sent and not yet looked at, ARP aside.
    pub(super) sent: VecDeque<Sent>,
    /// The port that the other end speaks from, and the one that it speaks to.
    pub(super) port: u16,
    pub(super) our_port: u16,
    /// How often the other end was asked for by ARP.
    pub(super) arp_requests: u32,
    /// What sequence numbers are relative to.
    pub(super) peer_iss: SeqNum,
    pub(super) our_iss: SeqNum,
    /// What our timestamps are relative to.
    pub(super) our_ts: u32,
}

impl Peer {
    /// A stack that listens on port 80 with a backlog of 2, takes all that comes, and offers no
    /// options but those that every TCP has.
    pub(super) fn new(sizes: Sizes) -> Self {
        let plain = Settings {
            ecn: EcnUse::Accept,
            short_cuts: true,
            sack: false,
            timestamps: false,
            window_scaling: true,
            quick_acks: 0,
            syn_cookies: false,
            fast_open: false,
            congestion: Algorithm::Cubic,
            station_seed: None,
        };
        Self::with(sizes, plain)
    }

    /// A stack as of `new`, with these settings.
    pub(super) fn with(sizes: Sizes, settings: Settings) -> Self {
        let caps = Caps {
            fragments_max: 4,
            ..Caps::PLAIN
        };
        Self::over(caps, sizes, settings)
    }

    /// A stack as of `new` over a port with these capabilities, with these settings.
    pub(super) fn over(caps: Caps, sizes: Sizes, settings: Settings) -> Self {
        Self::seeded(caps, sizes, settings, 1)
    }

    /// A stack as of `over`, with another seed.
    pub(super) fn seeded(caps: Caps, sizes: Sizes, settings: Settings, seed: u64) -> Self {
        let pool = pool(sizes.frames);
        let now = Instant::from_micros(1_000_000);
        let mut stack = Stack::new(Setup {
            pool,
            caps,
            mac: OUR_MAC,
            storage: storage(sizes),
            tcp: settings,
            seed: seed.into(),
            now,
        });
        stack.configure(our_cidr(), Some(v4(PEER_IP)));
        stack.listen(80, 2).unwrap();
        let queue = TestQueue {
            rx: TestRx::default(),
            tx: TestRing::new(1_000),
        };
        let app = Diary {
            takes_max: usize::MAX,
            ..Diary::default()
        };
        let mut peer = Self {
            stack,
            queue,
            app,
            now,
            pool,
            sent: VecDeque::new(),
            port: 40_000,
            our_port: 80,
            arp_requests: 0,
            peer_iss: SeqNum(u32::MAX - 1_000),
            our_iss: SeqNum(0),
            our_ts: 0,
        };
        peer.meet();
        peer
    }

    /// A connection that the other end opened, with its window and segments of 1,000 bytes.
    pub(super) fn established(wnd: u32) -> Self {
        let mut peer = Self::new(Sizes::SMALL);
        peer.open(wnd);
        peer
    }

    /// Opens a connection from the other end.
    pub(super) fn open(&mut self, wnd: u32) {
        self.arrive(&std::format!("S 0:0(0) win {wnd} <mss 1000>"));
        self.take_iss();
        self.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        self.arrive(&std::format!(". 1:1(0) ack 1 win {wnd}"));
        self.silent();
        assert_eq!(self.app.lines.pop().as_deref(), Some("accepted"));
    }

    /// ARP: the two know each other.
    fn meet(&mut self) {
        let nobody = (MacAddr([0; 6]), OUR_IP);
        let request = arp_packet(Op::Request, (PEER_MAC, PEER_IP), nobody);
        self.arrive_frame(&arp_frame(&request));
        // The reply, and the announcements of our address.
        self.pass(3_000);
        self.sent();
    }

    pub(super) fn counters(&self) -> &Counters {
        self.stack.counters()
    }

    pub(super) fn dropped(&self, reason: DropReason) -> u64 {
        self.counters().dropped(reason)
    }

    /// Polls until there is nothing more to do at once.
    pub(super) fn poll(&mut self) {
        for _ in 0..100 {
            let polled = self.stack.poll(self.now, &mut self.queue, &mut self.app);
            self.answer_arp();
            if polled == Polled::Idle && self.queue.rx.0.is_empty() {
                return;
            }
        }
        panic!("the stack stays busy");
    }

    /// Keeps the segments that were sent, and answers what is asked of the link.
    fn answer_arp(&mut self) {
        for sent in self.queue.tx.take() {
            if sent.bytes[12..14] == [0x08, 0x00] {
                self.sent.push_back(sent);
            } else if sent.bytes[20..22] == [0, 1] && sent.bytes[38..42] == PEER_IP {
                self.arp_requests += 1;
                let reply = arp_packet(Op::Reply, (PEER_MAC, PEER_IP), (OUR_MAC, OUR_IP));
                self.queue.rx.0.push_back(rx(self.pool, &arp_frame(&reply)));
            }
        }
    }

    /// Takes what was sent and not yet looked at.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        self.sent.drain(..).collect()
    }

    /// Lets time pass, stopping at every timer on the way.
    pub(super) fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        loop {
            let next = self
                .stack
                .poll_at(self.now)
                .max(self.now + Duration::from_micros(1));
            if next > until {
                break;
            }
            self.now = next;
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    /// The connection that was accepted last.
    pub(super) fn id(&self) -> ConnId {
        self.app.last.expect("a connection was accepted")
    }

    /// Acts on the connection that was accepted last, and lets the stack send what follows.
    pub(super) fn act<R>(&mut self, act: impl FnOnce(&mut Conn<'_, 'static, Cubic>) -> R) -> R {
        let (now, id) = (self.now, self.id());
        let done = self
            .stack
            .with_conn(now, id, |conn, _| act(conn))
            .expect("it is there");
        self.poll();
        done
    }

    /// Queues the bytes of the stream from `offset` on.
    pub(super) fn send(&mut self, offset: usize, len: usize) {
        self.act(|conn| conn.send_body(&stream()[offset..][..len]))
            .expect("there is room");
    }

    pub(super) fn arrive_frame(&mut self, frame: &[u8]) {
        self.queue.rx.0.push_back(rx(self.pool, frame));
        self.poll();
    }

    /// A segment arrives, in text.
    pub(super) fn arrive(&mut self, text: &str) {
        let (codepoint, text) = split_codepoint(text);
        let mut bytes = self.segment(text);
        fill_checksum(&mut bytes, PEER_IP, OUR_IP);
        self.arrive_marked(codepoint, &bytes);
    }

    /// Segments arrive in one burst, in text.
    pub(super) fn arrive_together<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        for text in texts {
            let mut bytes = self.segment(text);
            fill_checksum(&mut bytes, PEER_IP, OUR_IP);
            let datagram = datagram(PEER_IP, OUR_IP, proto::TCP, &bytes);
            let packet = rx(self.pool, &frame(OUR_MAC, &datagram));
            self.queue.rx.0.push_back(packet);
        }
        self.poll();
    }

    /// A segment arrives, in text, its frame cut into pieces: a large receive.
    pub(super) fn arrive_large(&mut self, text: &str, piece_len: usize) {
        let mut bytes = self.segment(text);
        fill_checksum(&mut bytes, PEER_IP, OUR_IP);
        let datagram = datagram(PEER_IP, OUR_IP, proto::TCP, &bytes);
        let packet = rx_large(self.pool, &frame(OUR_MAC, &datagram), piece_len);
        self.queue.rx.0.push_back(packet);
        self.poll();
    }

    /// A segment arrives, in bytes.
    pub(super) fn arrive_bytes(&mut self, bytes: &[u8]) {
        self.arrive_marked(Codepoint::NotEct, bytes);
    }

    fn arrive_marked(&mut self, codepoint: Codepoint, bytes: &[u8]) {
        let datagram = datagram_of(codepoint.bits(), PEER_IP, OUR_IP, proto::TCP, bytes);
        self.arrive_frame(&frame(OUR_MAC, &datagram));
    }

    /// The bytes of a segment, its checksum zero.
    pub(super) fn segment(&self, text: &str) -> Vec<u8> {
        let (text, options) = match text.split_once(" <") {
            Some((text, options)) => (text, self.option_bytes(options.trim_end_matches('>'))),
            None => (text, Vec::new()),
        };
        let words: Vec<&str> = text.split(' ').collect();
        let (seq, rest) = words[1].split_once(':').expect("seq:end(len)");
        let (_, len) = rest
            .trim_end_matches(')')
            .split_once('(')
            .expect("end(len)");
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let after = |word: &str| {
            let at = words.iter().position(|w| *w == word)?;
            Some(number(words[at + 1]))
        };
        let (seq, len) = (number(seq), number(len) as usize);
        let mut bytes = self.port.to_be_bytes().to_vec();
        bytes.extend(self.our_port.to_be_bytes());
        bytes.extend((self.peer_iss + seq).0.to_be_bytes());
        let ack = after("ack").map_or(0, |ack| (self.our_iss + ack).0);
        bytes.extend(ack.to_be_bytes());
        let ctl = words[0].chars().fold(0, |ctl, letter| {
            ctl | match letter {
                'F' => 1,
                'S' => 2,
                'R' => 4,
                'P' => 8,
                '.' => 16,
                'U' => 32,
                'E' => 64,
                'W' => 128,
                other => panic!("what is {other}?"),
            }
        });
        bytes.extend([((20 + options.len()) as u8 / 4) << 4, ctl]);
        bytes.extend((after("win").unwrap_or(0) as u16).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(options);
        let offset = (seq as usize).saturating_sub(1);
        bytes.extend(&stream()[offset..][..len]);
        bytes
    }

    /// The next segment that was sent is this one.
    #[track_caller]
    pub(super) fn expect(&mut self, text: &str) {
        let sent = self.sent.pop_front();
        assert_eq!(
            sent.map(|sent| self.describe_sent(&sent)).as_deref(),
            Some(text)
        );
    }

    /// Nothing was sent that has not been looked at, and the application was told nothing new.
    #[track_caller]
    pub(super) fn silent(&mut self) {
        let sent: Vec<String> = self
            .sent()
            .iter()
            .map(|sent| self.describe_sent(sent))
            .collect();
        assert_eq!(sent, Vec::<String>::new());
    }

    /// What the application was told since the last time.
    #[track_caller]
    pub(super) fn told(&mut self, lines: &[&str]) {
        assert_eq!(std::mem::take(&mut self.app.lines), lines);
    }

    /// Takes the next segment's sequence number as our first.
    pub(super) fn take_iss(&mut self) {
        let bytes = &self.sent.front().expect("a segment was sent").bytes;
        let segment = Segment::parse(&bytes[34..], bytes.len() - 34).expect("a segment");
        self.our_iss = segment.seq;
        self.our_port = segment.src_port;
        let options = Options::parse(&bytes[54..34 + segment.header_len]);
        self.our_ts = options.timestamps.map_or(0, |ts| ts.val);
    }

    /// What was put on the ring in text, as what comes off the wire is checked: a checksum that was
    /// left to the device is completed, a super-segment is cut, and says so at its end.
    fn describe_sent(&self, sent: &Sent) -> String {
        let mut whole = sent.bytes.clone();
        if let Some(csum) = sent.offload.csum {
            assert!(complete(&mut whole, csum), "a checksum within the packet");
        }
        let text = self.describe(&whole);
        let Some(gso) = sent.offload.gso else {
            return text;
        };
        let segments = cut(&sent.bytes, gso).expect("a super-segment that can be cut");
        assert!(segments.len() > 1, "a super-segment of one segment");
        for segment in segments {
            self.describe(&segment);
        }
        std::format!("{text} cut {}", gso.gso_size)
    }

    /// A segment of ours in text, after its checksum and its payload have been checked.
    fn describe(&self, frame: &[u8]) -> String {
        let bytes = &frame[34..];
        let segment = Segment::parse(bytes, bytes.len()).expect("a segment");
        let len = bytes.len() as u16;
        let mut sum = Sum::pseudo_header(v4(OUR_IP), v4(PEER_IP), proto::TCP, len);
        sum.add(bytes);
        assert!(sum.is_valid(), "a wrong checksum");
        assert_eq!(
            (segment.src_port, segment.dst_port),
            (self.our_port, self.port)
        );
        let codepoint = Codepoint::of(frame[15]);
        let is_it = |(_, it): &&(&str, Codepoint)| *it == codepoint;
        let (name, _) = CODEPOINTS.iter().find(is_it).expect("four of four");
        let mut text = name.to_string();
        for (bit, letter) in [
            (Ctl::FIN, "F"),
            (Ctl::SYN, "S"),
            (Ctl::RST, "R"),
            (Ctl::PSH, "P"),
            (Ctl::ECE, "E"),
            (Ctl::CWR, "W"),
            (Ctl::ACK, "."),
        ] {
            text += if segment.ctl.has(bit) { letter } else { "" };
        }
        let seq = segment.seq.0.wrapping_sub(self.our_iss.0);
        let (payload_len, end) = (segment.payload_len, seq + segment.payload_len);
        let payload = &bytes[segment.header_len..];
        assert_eq!(
            payload,
            &stream()[(seq as usize).saturating_sub(1)..][..payload.len()]
        );
        write!(text, " {seq}:{end}({payload_len})").unwrap();
        if let Some(ack) = segment.ack {
            write!(text, " ack {}", ack.0.wrapping_sub(self.peer_iss.0)).unwrap();
        }
        let WireWnd(wnd) = segment.wnd;
        write!(text, " win {wnd}").unwrap();
        let options = self.option_text(&bytes[20..segment.header_len]);
        if !options.is_empty() {
            write!(text, " <{options}>").unwrap();
        }
        text
    }

    /// Opens a connection from our side, up to our SYN.
    pub(super) fn connect(&mut self, port: u16) {
        self.port = port;
        let remote = Endpoint::new(v4(PEER_IP), port);
        let id = self
            .stack
            .connect(self.now, remote, ())
            .expect("there is a slot");
        self.app.last = Some(id);
        self.poll();
        self.take_iss();
    }

    /// The end of a test: no connection is left, and every frame is home.
    #[track_caller]
    pub(super) fn gone(&mut self) {
        let levels = self.stack.levels();
        assert_eq!((levels.conns, levels.syns, levels.bodies), (0, 0, 0));
        assert_eq!((levels.flights, levels.sent), (0, 0));
        assert_all_home(self.pool);
    }
}

/// Memory for TCP's tables.
pub(super) fn storage(sizes: Sizes) -> Storage<'static, Diary> {
    fn slice<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }
    let demux_len = Storage::<Diary>::demux_len(sizes.conns, sizes.syns, sizes.time_waits);
    Storage {
        conns: slice::<ConnSlot<'_, Diary>>(sizes.conns).into(),
        syns: slice::<SynEntry>(sizes.syns).into(),
        time_waits: slice::<TimeWaitEntry>(sizes.time_waits).into(),
        bodies: slice::<BodyNode<'_>>(sizes.bodies).into(),
        gaps: slice::<GapEntry<'_>>(sizes.gaps).into(),
        flights: slice::<FlightEntry>(sizes.flights).into(),
        sent: slice::<SentNode>(sizes.sent).into(),
        timers: slice::<TimerNode>(sizes.conns + sizes.syns).into(),
        demux: vec![DemuxEntry::default(); demux_len].into(),
    }
}

fn arp_frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = OUR_MAC.0.to_vec();
    frame.extend(PEER_MAC.0);
    frame.extend([0x08, 0x06]);
    frame.extend(packet);
    frame
}

/// What stands in front of a segment whose IP header takes part in congestion notification.
const CODEPOINTS: [(&str, Codepoint); 4] = [
    ("[ect0] ", Codepoint::Ect0),
    ("[ect1] ", Codepoint::Ect1),
    ("[ce] ", Codepoint::Ce),
    ("", Codepoint::NotEct),
];

fn split_codepoint(text: &str) -> (Codepoint, &str) {
    let stripped =
        |(name, codepoint): &(&str, Codepoint)| Some((*codepoint, text.strip_prefix(name)?));
    CODEPOINTS
        .iter()
        .find_map(stripped)
        .expect("the last has no name")
}

/// Puts the checksum into a segment.
pub(super) fn fill_checksum(bytes: &mut [u8], src: [u8; 4], dst: [u8; 4]) {
    let len = bytes.len() as u16;
    let mut sum = Sum::pseudo_header(v4(src), v4(dst), proto::TCP, len);
    sum.add(bytes);
    bytes[16..18].copy_from_slice(&sum.finish().to_be_bytes());
}

/// The options, byte by byte: their order and padding is part of what is expected.
impl Peer {
    fn option_bytes(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for option in text.split(',') {
            let words: Vec<&str> = option.split(' ').collect();
            let number = |at: usize| words[at].parse::<u32>().expect("a number");
            match words[0] {
                "nop" => bytes.push(1),
                "mss" => {
                    bytes.extend([2, 4]);
                    bytes.extend((number(1) as u16).to_be_bytes());
                }
                "wscale" => bytes.extend([3, 3, number(1) as u8]),
                "sackOK" => bytes.extend([4, 2]),
                "FO" => {
                    let cookie = words.get(1).map_or("", |cookie| *cookie);
                    bytes.extend([34, cookie.len() as u8 / 2 + 2]);
                    let digits = (0..cookie.len()).step_by(2).map(|at| &cookie[at..at + 2]);
                    bytes.extend(digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")));
                }
                "TS" => {
                    bytes.extend([8, 10]);
                    bytes.extend(number(2).to_be_bytes());
                    let ecr = number(4);
                    let ecr = if ecr == 0 {
                        0
                    } else {
                        self.our_ts.wrapping_add(ecr - 1)
                    };
                    bytes.extend(ecr.to_be_bytes());
                }
                "sack" => {
                    bytes.extend([5, (words.len() * 8 - 6) as u8]);
                    for block in &words[1..] {
                        for edge in block.split(':') {
                            let edge = edge.parse::<u32>().expect("a number");
                            bytes.extend((self.our_iss + edge).0.to_be_bytes());
                        }
                    }
                }
                other => panic!("what is {other}?"),
            }
        }
        bytes
    }

    fn option_text(&self, mut bytes: &[u8]) -> String {
        let mut texts: Vec<String> = Vec::new();
        while let Some((&kind, rest)) = bytes.split_first() {
            if kind == 1 {
                texts.push("nop".to_string());
                bytes = rest;
                continue;
            }
            let (option, rest) = bytes.split_at(rest[0].into());
            let number = |at: usize| u32::from_be_bytes(option[at..at + 4].try_into().unwrap());
            texts.push(match kind {
                2 => std::format!("mss {}", u16::from_be_bytes([option[2], option[3]])),
                3 => std::format!("wscale {}", option[2]),
                4 => "sackOK".to_string(),
                5 => {
                    let relative = |at| number(at).wrapping_sub(self.peer_iss.0);
                    let blocks = (2..option.len()).step_by(8);
                    let block = |at| std::format!(" {}:{}", relative(at), relative(at + 4));
                    "sack".to_string() + &blocks.map(block).collect::<String>()
                }
                8 => {
                    // Ours count from 1 in the first segment, so that 0 is no echo.
                    let val = number(2).wrapping_sub(self.our_ts).wrapping_add(1);
                    std::format!("TS val {val} ecr {}", number(6))
                }
                34 => {
                    let digits = option[2..].iter().map(|byte| std::format!("{byte:02x}"));
                    std::format!("FO {}", digits.collect::<String>())
                }
                other => panic!("what is option {other}?"),
            });
            bytes = rest;
        }
        texts.join(",")
    }
}
