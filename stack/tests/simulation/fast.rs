//! Fast Open (RFC 7413) over bad networks: clients by hand that bring their request in the SYN, and
//! our stack as the server.
//!
//! Each client does one thing at a time: it sends its SYN, request or FIN again until it is
//! acknowledged, and takes what comes in order. When a SYN with a request is not answered, it is
//! sent again without, as RFC 7413 4.2.2 asks of clients.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use simoom::eth::EtherType;
use simoom::tcp::seqnum::{SeqNum, WireWnd};
use simoom::wire::checksum::Sum;
use simoom::wire::tcp::{CSUM_OFFSET, Cookie, Ctl, FastOpen, HEADER_LEN, Options, Repr, Segment};
use simoom::wire::{arp, ethernet, ipv4};
use simoom::{Addr, Duration, Instant};
use simoom_ring::MacAddr;
use simoom_sim::{End, Faults, Rng, Wire};

use crate::congestion;
use crate::network::{device, faults, pick};
use crate::seeds::{self, Report};
use crate::talk::{Asking, Request};
use crate::world::{Habits, Host, Lives, Peer, Tally, run};

/// One connection.
struct Client {
    port: u16,
    iss: SeqNum,
    /// Our next byte that is not acknowledged.
    una: SeqNum,
    /// Their next byte, once they have answered.
    rcv_nxt: Option<SeqNum>,
    request: [u8; Request::LEN],
    asking: Asking,
    has_their_fin: bool,
    is_over: bool,
    /// It was over before all was said.
    is_refused: bool,
    tries: u32,
    due: Instant,
}

impl Client {
    fn new(port: u16, request: Request, rng: &mut Rng) -> Self {
        let iss = SeqNum(rng.next_u64() as u32);
        Self {
            port,
            iss,
            una: iss,
            rcv_nxt: None,
            request: request.to_bytes(),
            asking: Asking::new(vec![request]),
            has_their_fin: false,
            is_over: false,
            is_refused: false,
            tries: 0,
            due: Instant::ZERO,
        }
    }

    /// Behind the SYN and the request.
    fn fin_seq(&self) -> SeqNum {
        self.iss + (1 + Request::LEN as u32)
    }
}

/// The host that they are on.
struct Clients {
    wire: Wire,
    end: End,
    cookie: Option<Cookie>,
    all: Vec<Client>,
}

impl Clients {
    fn inject(&self, ethertype: EtherType, bytes: &[u8]) {
        let header = ethernet::Repr {
            dst: SERVER_MAC,
            src: MAC,
            ethertype,
        };
        self.wire
            .inject(self.end, &[&header.emit(), bytes].concat());
    }

    /// Sends what client `n` has to say now.
    fn send(&self, n: usize, now: Instant) {
        let client = &self.all[n];
        let mut options = Options::default();
        let (mut ctl, mut text) = (Ctl::default(), &[][..]);
        let mut seq = client.una;
        if client.rcv_nxt.is_none() {
            (ctl, seq) = (Ctl::SYN, client.iss);
            options.mss = Some(1_000);
            // With a cookie once, and a question for one once.
            if client.tries == 0 {
                options.fast_open = Some(self.cookie.map_or(FastOpen::Request, FastOpen::Cookie));
                text = self.cookie.map_or(text, |_| &client.request[..]);
            }
        } else if seq == client.iss + 1 {
            (ctl, text) = (Ctl::PSH, &client.request[..]);
        } else if client.has_their_fin && seq == client.fin_seq() {
            ctl = Ctl::FIN;
        }
        let repr = Repr {
            src_port: client.port,
            dst_port: 80,
            seq,
            ack: client.rcv_nxt,
            ctl,
            wnd: WireWnd(30_000),
            options,
        };
        let header_len = repr.header_len();
        let mut segment = vec![0; header_len];
        repr.emit(&mut segment);
        segment.extend(text);
        let (src, dst) = (Host::addr(CLIENTS), Host::addr(1));
        let proto = simoom::ip::proto::TCP;
        let mut sum = Sum::pseudo_header(src.into(), dst.into(), proto, segment.len() as u16);
        sum.add(&segment);
        let at = usize::from(CSUM_OFFSET);
        segment[at..at + 2].copy_from_slice(&sum.finish().to_be_bytes());
        let header = ipv4::Repr {
            tos: 0,
            total_len: (ipv4::HEADER_LEN + segment.len()) as u16,
            ident: now.as_micros() as u16,
            ttl: 64,
            proto,
            src,
            dst,
        };
        self.inject(EtherType::Ipv4, &[&header.emit()[..], &segment].concat());
    }

    fn arrives(&mut self, bytes: &[u8], now: Instant) {
        if bytes.get(12..14) == Some(&[0x08, 0x06]) {
            let asked = arp::Repr::parse(&bytes[14..]);
            if let Some(asked) = asked.filter(|asked| asked.tpa == Host::addr(CLIENTS)) {
                let reply = arp::Repr {
                    op: arp::Op::Reply,
                    sha: MAC,
                    spa: asked.tpa,
                    tha: asked.sha,
                    tpa: asked.spa,
                };
                self.inject(EtherType::Arp, &reply.emit());
            }
            return;
        }
        let Some((segment, options, text)) = read(bytes) else {
            return;
        };
        let Some(n) = self.all.iter().position(|one| one.port == segment.dst_port) else {
            return;
        };
        if let Some(FastOpen::Cookie(cookie)) = options.fast_open {
            self.cookie = Some(cookie);
        }
        if self.all[n].takes(&segment, text) {
            self.all[n].tries = 0;
            self.all[n].due = now + RTO;
            self.send(n, now);
        }
    }
}

impl Client {
    /// Takes a segment in; whether it is to be answered.
    ///
    /// # Panics
    /// When it is none that the server may send.
    fn takes(&mut self, segment: &Segment, text: &[u8]) -> bool {
        let Some(ack) = segment.ack else { return false };
        if segment.ctl.has(Ctl::RST) {
            self.is_refused |= !self.is_over;
            self.is_over = true;
            return false;
        }
        let furthest = self.fin_seq() + 1;
        assert!(
            !ack.after(furthest),
            "an acknowledgment of what was not sent"
        );
        if ack.after(self.una) {
            self.una = ack;
            self.is_over |= ack == furthest;
        }
        let is_syn = segment.ctl.has(Ctl::SYN);
        // Text that has overtaken the SYN-ACK: where it belongs is not known.
        let Some(nxt) = self.rcv_nxt.or(is_syn.then_some(segment.seq + 1)) else {
            return false;
        };
        self.rcv_nxt = Some(nxt);
        if is_syn {
            return true;
        }
        let behind = nxt - segment.seq;
        let is_new = !text.is_empty() || segment.ctl.has(Ctl::FIN);
        // What is old or ahead is acknowledged again.
        if let Ok(skip) = usize::try_from(behind)
            && skip <= text.len()
            && !self.has_their_fin
        {
            self.asking.check(&text[skip..]);
            let fin = u32::from(segment.ctl.has(Ctl::FIN));
            self.has_their_fin = fin > 0;
            self.rcv_nxt = Some(nxt + ((text.len() - skip) as u32 + fin));
        }
        is_new
    }
}

/// A segment for us that is whole, its options and its text.
fn read(bytes: &[u8]) -> Option<(Segment, Options, &[u8])> {
    let is_ip = bytes.get(12..14) == Some(&[0x08, 0x00]);
    let datagram = bytes.get(14..).filter(|_| is_ip)?;
    let header = ipv4::Header::parse(datagram, datagram.len()).ok()?;
    let segment = datagram.get(20..usize::from(u16::from_be_bytes([datagram[2], datagram[3]])))?;
    let (src, dst) = (Addr::from(Host::addr(1)), Addr::from(Host::addr(CLIENTS)));
    let len = u16::try_from(segment.len()).ok()?;
    let mut sum = Sum::pseudo_header(src, dst, simoom::ip::proto::TCP, len);
    sum.add(segment);
    if header.is_fragment() || !sum.is_valid() {
        return None;
    }
    let parsed = Segment::parse(segment, segment.len())?;
    let options = Options::parse(segment.get(HEADER_LEN..parsed.header_len)?);
    Some((parsed, options, &segment[parsed.header_len..]))
}

impl Lives for Clients {
    fn poll(&mut self, now: Instant) {
        for frame in self.wire.captured(self.end) {
            self.arrives(&frame.bytes, now);
        }
        for n in 0..self.all.len() {
            if self.all[n].due <= now && !self.all[n].is_over {
                self.send(n, now);
                let client = &mut self.all[n];
                client.tries += 1;
                let wait = RTO.as_micros() << client.tries.min(6);
                client.due = now + Duration::from_micros(wait);
            }
        }
    }

    fn poll_at(&mut self, _: Instant) -> Instant {
        let waiting = self.all.iter().filter(|client| !client.is_over);
        waiting.map(|one| one.due).min().unwrap_or(Instant::NEVER)
    }

    fn is_quiet(&self) -> bool {
        self.all.iter().all(|client| client.is_over)
    }
}

/// Clients one after the other and at once, the first of which asks for a cookie.
fn one_world(seed: u64) {
    let mut rng = Rng::new(seed);
    let wire = Wire::new(rng.next_u64());
    let _report = Report::new(&wire, "fast_opens_survive_bad_networks", seed);
    congestion::draw(&mut rng);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let app = Peer {
        habits: Habits {
            is_server_first: true,
            ..Habits::PLAIN
        },
        rng: Rng::new(rng.next_u64()),
        tally: tally.clone(),
    };
    let mut device = device(&mut rng);
    device.tcp.fast_open = true;
    let mut server = Host::new(&wire, 1, device, app, rng.next_u64());
    server.stack.listen(80, 16).unwrap();
    let mut clients = Clients {
        end: wire.tap(),
        wire: wire.clone(),
        cookie: None,
        all: Vec::new(),
    };
    for end in [server.port.end(), clients.end] {
        wire.set_faults(end, faults(&mut rng, 20));
    }
    let len_max = pick(&mut rng, &[10, 3_000, 30_000]);
    let rounds = 2 + rng.below(4);
    let mut asked = 0;
    for round in 0..rounds {
        for _ in 0..1 + rng.below(8) {
            let mut request = Request::random(&mut rng, len_max);
            request.is_last = true;
            let mut client = Client::new(10_000 + asked, request, &mut rng);
            client.due = Instant::from_micros(wire.now_us());
            clients.all.push(client);
            asked += 1;
        }
        let secs = wire.now_us() / 1_000_000;
        let until = |secs: u64| Instant::from_micros(secs * 1_000_000);
        if !run(&wire, &mut server, &mut clients, until(secs + 30)) {
            wire.set_faults_all(&Faults::none());
            let is_over = run(&wire, &mut server, &mut clients, until(secs + 10_000));
            assert!(is_over, "round {round} does not end: {tally:?}");
        }
    }
    // Patience lasts as long as faults do: nobody is refused.
    let answered = clients.all.iter().filter(|one| one.asking.is_answered());
    assert_eq!(answered.count(), usize::from(asked));
    let counters = server.stack.counters();
    assert!(counters.tcp_fast_open_cookies > 0);
    FAST.fetch_add(counters.tcp_fast_opens, Ordering::Relaxed);
    server.check_home(&wire);
}

/// Connections that were opened fast, of all seeds.
static FAST: AtomicU64 = AtomicU64::new(0);

#[test]
fn fast_opens_survive_bad_networks() {
    seeds::each(300, 1, one_world);
    let fast = FAST.load(Ordering::Relaxed);
    println!("{fast} connections were opened fast");
    // One seed alone may lose all cookies.
    assert!(fast > 0 || std::env::var_os("SIMOOM_SEED").is_some());
}

/// Their host.
const CLIENTS: u8 = 2;
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const SERVER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// How long a client waits before it says something again, at first.
const RTO: Duration = Duration::from_millis(300);
