//! A flood of SYNs from random addresses at the full rate of the wire: whoever is real connects all
//! the same, and memory does not move.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use simoom::eth::EtherType;
use simoom::tcp::cc::Algorithm;
use simoom::tcp::seqnum::{SeqNum, WireWnd, WndScale};
use simoom::tcp::{Closed, Settings};
use simoom::wire::tcp::{Ctl, Options, Repr, Timestamps};
use simoom::wire::{arp, ethernet};
use simoom::{Addr, Duration, Instant};
use simoom_ring::MacAddr;
use simoom_sim::{End, PortConfig, Rng, Wire, checksum};

use crate::congestion;
use crate::memory::Sizes;
use crate::said::Ends;
use crate::world::{Device, Habits, Host, Lives, Peer, Tally};

/// Who floods, from addresses behind a gateway that it is, too.
struct Flood {
    wire: Wire,
    end: End,
    rng: Rng,
    next_at: Instant,
    sent: u64,
}

impl Flood {
    fn send(&self, ethertype: EtherType, dst: MacAddr, bytes: &[u8]) {
        let header = ethernet::Repr {
            dst,
            src: GATEWAY_MAC,
            ethertype,
        };
        let frame = [&header.emit(), bytes].concat();
        self.wire.inject(self.end, &frame);
    }

    fn answer_arp(&self, bytes: &[u8]) {
        if bytes[12..14] != [0x08, 0x06] {
            return;
        }
        if let Some(asked) = arp::Repr::parse(&bytes[14..])
            && asked.op == arp::Op::Request
            && asked.tpa == GATEWAY
        {
            let reply = arp::Repr {
                op: arp::Op::Reply,
                sha: GATEWAY_MAC,
                spa: GATEWAY,
                tha: asked.sha,
                tpa: asked.spa,
            };
            self.send(EtherType::Arp, asked.sha, &reply.emit());
        }
    }

    fn send_syn(&mut self) {
        let (src, dst) = (
            Ipv4Addr::from(0x0b00_0000 + self.rng.below(1 << 24) as u32),
            Host::addr(1),
        );
        let has_options = self.rng.below(2) == 0;
        let timestamps = Timestamps {
            val: self.rng.next_u64() as u32,
            ecr: 0,
        };
        let repr = Repr {
            src_port: 1_024 + self.rng.below(60_000) as u16,
            dst_port: 80,
            seq: SeqNum(self.rng.next_u64() as u32),
            ack: None,
            ctl: Ctl::SYN,
            wnd: WireWnd(64_240),
            options: Options {
                mss: Some(1_460),
                wscale: has_options.then_some(WndScale::from_wire(7)),
                sack_permitted: has_options,
                timestamps: has_options.then_some(timestamps),
                ..Options::default()
            },
        };
        let ends = Ends {
            from_mac: GATEWAY_MAC,
            to_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            from: src,
            to: dst,
        };
        let mut frame = ends.segment(&repr, &[]);
        assert!(checksum::fill(&mut frame));
        self.wire.inject(self.end, &frame);
        self.sent += 1;
        // The longest SYN at 100 Mbit/s, with preamble, gap and check sequence.
        self.next_at = self.next_at + Duration::from_micros(8);
    }
}

impl Lives for Flood {
    fn poll(&mut self, now: Instant) {
        for frame in self.wire.captured(self.end) {
            self.answer_arp(&frame.bytes);
        }
        while self.next_at <= now {
            self.send_syn();
        }
    }

    fn poll_at(&mut self, _: Instant) -> Instant {
        self.next_at
    }

    fn is_quiet(&self) -> bool {
        false
    }
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

/// Lets time pass until the client has nothing open, or `until`.
fn run(wire: &Wire, lives: &mut [&mut dyn Lives], until: Instant) -> bool {
    loop {
        let now = Instant::from_micros(wire.now_us());
        for one in lives.iter_mut() {
            one.poll(now);
        }
        if lives[0].is_quiet() {
            return true;
        }
        let timers = lives.iter_mut().map(|one| one.poll_at(now)).min();
        let wire_at = wire.next_at().map_or(Instant::NEVER, Instant::from_micros);
        let next = timers.unwrap_or(Instant::NEVER).min(wire_at);
        if next > until {
            return false;
        }
        wire.advance_to(next.max(now + Duration::from_micros(1)).as_micros());
    }
}

#[test]
fn a_client_connects_through_a_flood_of_syns() {
    congestion::set(&[Algorithm::Cubic]);
    let wire = Wire::new(1);
    wire.record_len_max(0);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let host = |n: u8| {
        let app = Peer {
            habits: Habits {
                requests: 1,
                len_max: 10_000,
                ..Habits::PLAIN
            },
            rng: Rng::new(n.into()),
            tally: tally.clone(),
        };
        let device = Device {
            config: PortConfig::offloads(GATEWAY_MAC),
            frames: 512,
            sizes: Sizes {
                syns: 256,
                ..Sizes::SMALL
            },
            tcp: Settings::default(),
        };
        Host::new(&wire, n, device, app, n.into())
    };
    let (mut server, mut client) = (host(1), host(2));
    let cidr = server.stack.cidr().expect("it has an address");
    server.stack.configure(cidr, Some(Addr::v4(GATEWAY)));
    server.stack.listen(80, 256).unwrap();
    let mut flood = Flood {
        end: wire.tap(),
        wire: wire.clone(),
        rng: Rng::new(1),
        next_at: Instant::from_micros(1),
        sent: 0,
    };
    client.connect(Instant::ZERO, 1);
    let start = Instant::from_micros(1_000_000);
    let lives: &mut [&mut dyn Lives] = &mut [&mut client, &mut server, &mut flood];
    assert!(run(&wire, lives, start));
    // Long enough for the SYN queue to be full.
    let lives: &mut [&mut dyn Lives] = &mut [&mut Nobody, &mut server, &mut flood];
    run(&wire, lives, start);
    let full = server.stack.levels().syns;
    assert_eq!(full, 256);
    let owned_cnt = server.pool.owned_cnt();

    let mut slowest = Duration::from_micros(0);
    for answered in 2..=101 {
        let before = Instant::from_micros(wire.now_us());
        client.connect(before, 1);
        let limit = before + Duration::from_secs(1);
        let lives: &mut [&mut dyn Lives] = &mut [&mut client, &mut server, &mut flood];
        assert!(run(&wire, lives, limit), "it does not connect within 1 s");
        slowest = slowest.max(Instant::from_micros(wire.now_us()).since(before));
        assert_eq!(tally.borrow().answered, answered);
        assert!(server.stack.levels().syns <= full);
        // Others come and go at other times of the day.
        wire.advance_to(wire.now_us() + 1);
        let pause = Instant::from_micros(wire.now_us()) + Duration::from_millis(answered % 20);
        let lives: &mut [&mut dyn Lives] = &mut [&mut Nobody, &mut server, &mut flood];
        run(&wire, lives, pause);
        assert_eq!(server.stack.levels().conns, 0);
        assert_eq!(server.pool.owned_cnt(), owned_cnt, "memory moves");
    }
    let ends = &tally.borrow().ends;
    assert!(ends.iter().all(|end| end.why == Closed::Finished));
    let counters = server.stack.counters();
    println!(
        "{} SYNs, {} cookies, {} of them redeemed; the slowest of 100 clients took {slowest:?}",
        flood.sent, counters.tcp_cookies_sent, counters.tcp_cookies_accepted
    );
    assert!(counters.tcp_cookies_accepted > 0);
    assert_eq!(wire.counters(server.port.end()).bad_csum_sent, 0);
    let pool = server.pool;
    drop((server.stack, server.queue));
    assert!(pool.all_home(), "{pool:?}");
    client.check_home(&wire);
}

/// Keeps time going until it is up.
struct Nobody;

impl Lives for Nobody {
    fn poll(&mut self, _: Instant) {}

    fn poll_at(&mut self, _: Instant) -> Instant {
        Instant::NEVER
    }

    fn is_quiet(&self) -> bool {
        false
    }
}
