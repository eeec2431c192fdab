use std::vec::Vec;

use simoom_ring::{FramePool, MacAddr};

use super::*;
use crate::testing::{
    self, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, TestRing, assert_all_home, dhcp_reply, v4,
};
use crate::wire::ipv4;

const START: Instant = Instant::from_micros(3_000_000);
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;
const MASK: (u8, &[u8]) = (1, &[255, 255, 255, 0]);
const ROUTER: (u8, &[u8]) = (3, &PEER_IP);
const SERVER: (u8, &[u8]) = (54, &PEER_IP);
/// 1000 s: T1 at 500, T2 at 875.
const LEASE: (u8, &[u8]) = (51, &[0, 0, 3, 0xe8]);

struct World {
    pool: &'static FramePool<'static>,
    net: Net<'static>,
    ring: TestRing,
    dhcp: Dhcp,
    now: Instant,
}

/// A message of ours, taken apart.
#[derive(Debug, PartialEq)]
struct Asked {
    kind: u8,
    xid: u32,
    secs: u16,
    broadcast: bool,
    ciaddr: [u8; 4],
    requested: Option<[u8; 4]>,
    server_id: Option<[u8; 4]>,
    ip: ([u8; 4], [u8; 4]),
    mac: MacAddr,
}

impl World {
    /// The client has just been started.
    fn new() -> Self {
        let pool = testing::pool(8);
        let mut dhcp = Dhcp::new(42);
        dhcp.start(START);
        let (net, ring) = (testing::bare_net(pool), TestRing::new(usize::MAX));
        Self {
            pool,
            net,
            ring,
            dhcp,
            now: START,
        }
    }

    /// The client has its address since START, without any loss.
    fn bound() -> Self {
        let mut world = Self::new();
        let discover = world.poll();
        world.say(discover.xid, OFFER, &[SERVER, MASK, ROUTER, LEASE]);
        let request = world.asked();
        world.say(request.xid, ACK, &[SERVER, MASK, ROUTER, LEASE]);
        assert_eq!(world.net.addr(), Some(v4(OUR_IP)));
        world.events();
        // The server answers ARP from the first.
        crate::arp::poll(&mut world.net, &mut world.ring, world.now);
        let later = world.now + config::ARP_ANNOUNCE_INTERVAL;
        crate::arp::poll(&mut world.net, &mut world.ring, later);
        testing::meet(&mut world.net, PEER_IP, PEER_MAC, world.now);
        world.ring.take();
        world
    }

    /// Polls now; the message that this sends.
    fn poll(&mut self) -> Asked {
        self.poll_quietly();
        self.asked()
    }

    fn poll_quietly(&mut self) {
        self.dhcp.poll(&mut self.net, &mut self.ring, self.now);
    }

    /// Waits until the client wants to do something, and polls.
    fn wait(&mut self) -> Asked {
        self.now = self.dhcp.poll_at();
        assert_ne!(self.now, Instant::NEVER);
        self.poll()
    }

    /// The only message that was sent.
    fn asked(&mut self) -> Asked {
        let sent = self.ring.only();
        let ip = ipv4::Header::parse(&sent[14..], sent.len() - 14).unwrap();
        assert_eq!(ip.proto, ipv4::proto::UDP);
        assert_eq!(sent[34..38], [0, 68, 0, 67]);
        let message = &sent[42..];
        assert_eq!(message.len(), 300);
        assert_eq!(message[28..34], OUR_MAC.0);
        let option = |code| {
            let mut field = &message[240..];
            while field[0] != 255 {
                let len = usize::from(field[1]);
                if field[0] == code {
                    return Some(field[2..2 + len].to_vec());
                }
                field = &field[2 + len..];
            }
            None
        };
        let kind = option(53).unwrap()[0];
        let addr = |value: Option<Vec<u8>>| value.map(|value| value.try_into().unwrap());
        Asked {
            kind,
            xid: u32::from_be_bytes(message[4..8].try_into().unwrap()),
            secs: u16::from_be_bytes([message[8], message[9]]),
            broadcast: message[10] == 0x80,
            ciaddr: message[12..16].try_into().unwrap(),
            requested: addr(option(50)),
            server_id: addr(option(54)),
            ip: (ip.src.octets(), ip.dst.octets()),
            mac: MacAddr(sent[..6].try_into().unwrap()),
        }
    }

    /// The server says something about `OUR_IP`.
    fn say(&mut self, xid: u32, kind: u8, options: &[(u8, &[u8])]) {
        let kind = [kind];
        let mut all = Vec::from([(53, &kind[..])]);
        all.extend_from_slice(options);
        let bytes = dhcp_reply(xid, OUR_IP, &all);
        self.dhcp
            .input(&mut self.net, &mut self.ring, self.now, &bytes);
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.dhcp.event()).collect()
    }

    fn ignored(&self) -> u64 {
        self.net.counters.dropped(DropReason::DhcpIgnored)
    }

    fn at(&mut self, seconds: u64) {
        self.now = START + Duration::from_secs(seconds);
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

#[test]
fn four_messages_make_an_address() {
    let mut world = World::new();
    assert_eq!(world.dhcp.poll_at(), START);
    let discover = world.poll();
    assert_eq!(
        (discover.kind, discover.secs, discover.broadcast),
        (1, 0, true)
    );
    assert_eq!(discover.ip, ([0; 4], [255; 4]));
    assert_eq!(discover.mac, MacAddr::BROADCAST);
    assert_eq!(
        (discover.requested, discover.server_id, discover.ciaddr),
        (None, None, [0; 4])
    );

    world.say(discover.xid, OFFER, &[SERVER, MASK, ROUTER, LEASE]);
    let request = world.asked();
    assert_eq!(
        (request.kind, request.xid, request.broadcast),
        (3, discover.xid, true)
    );
    assert_eq!(
        (request.requested, request.server_id),
        (Some(OUR_IP), Some(PEER_IP))
    );
    assert_eq!((request.ciaddr, request.ip), ([0; 4], ([0; 4], [255; 4])));
    assert_eq!(world.net.addr(), None);

    let dns = (6, &[1, 1, 1, 1, 8, 8, 8, 8][..]);
    world.say(
        request.xid,
        ACK,
        &[SERVER, MASK, ROUTER, LEASE, dns, (26, &[5, 0])],
    );
    assert!(world.ring.is_silent());
    assert_eq!(world.net.cidr, Some(testing::our_cidr()));
    assert_eq!(world.net.gateway, Some(v4(PEER_IP)));
    assert_eq!(world.net.mtu(), 1280);
    let lease = world.dhcp.lease().unwrap();
    assert_eq!(lease.dns[1], Ipv4Addr::new(8, 8, 8, 8));
    let (cidr, gateway) = (testing::our_cidr(), Some(v4(PEER_IP)));
    let lease = Some(Duration::from_secs(1000));
    let expected = [
        Event::Discovering { tries: 1 },
        Event::Bound {
            cidr,
            gateway,
            lease,
        },
    ];
    assert_eq!(world.events(), expected);
    assert_eq!(world.dhcp.poll_at(), START + Duration::from_secs(500));
    assert_eq!(world.net.counters.dropped_total(), 0);
    assert_all_home(world.pool);
}

#[test]
fn a_silent_network_is_asked_less_and_less() {
    let mut world = World::new();
    let first = world.poll();
    let mut before = world.now;
    let mut spread = Vec::new();
    for tries in 2..=12u32 {
        let again = world.wait();
        let waited = seconds(world.now.since(before));
        let doubled = f64::from(1 << (tries - 2).min(6));
        let around = (doubled / 4.0).min(1.0);
        assert!(
            (doubled - around..=doubled + around).contains(&waited),
            "{tries}: {waited}"
        );
        spread.push(waited - doubled);
        before = world.now;
        assert_eq!((again.kind, again.xid), (1, first.xid));
        let secs = world.now.since(START).as_secs();
        assert_eq!(u64::from(again.secs), secs);
    }
    assert!(spread.iter().any(|by| *by > 0.0) && spread.iter().any(|by| *by < 0.0));
    let events = world.events();
    assert_eq!(
        events.len(),
        config::DHCP_EVENTS_MAX,
        "the oldest are dropped"
    );
    assert_eq!(events.last(), Some(&Event::Discovering { tries: 12 }));
    assert_all_home(world.pool);
}

#[test]
fn seeds_make_clients_differ() {
    let asks = |seed| {
        let mut world = World::new();
        world.dhcp = Dhcp::new(seed);
        assert!(!world.dhcp.is_on());
        world.dhcp.start(START);
        (world.poll().xid, world.dhcp.poll_at())
    };
    assert_eq!(asks(1), asks(1));
    assert_ne!(asks(1).0, asks(2).0);
    assert_ne!(asks(1).1, asks(2).1);
}

#[test]
fn an_unanswered_request_is_repeated_and_then_another_offer_sought() {
    let mut world = World::new();
    let discover = world.poll();
    world.say(discover.xid, OFFER, &[SERVER, LEASE]);
    assert_eq!(world.asked().kind, 3);
    for _ in 1..config::DHCP_REQUESTS_MAX {
        let again = world.wait();
        assert_eq!((again.kind, again.xid), (3, discover.xid));
    }
    let anew = world.wait();
    assert_eq!(anew.kind, 1);
    assert_ne!(anew.xid, discover.xid);
    assert_all_home(world.pool);
}

#[test]
fn a_refused_request_starts_anew_but_not_at_once() {
    let mut world = World::new();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let discover = world.wait();
        world.say(discover.xid, OFFER, &[SERVER, LEASE]);
        assert_eq!(world.asked().kind, 3);
        world.say(discover.xid, NAK, &[(54, &[10, 0, 2, 77])]);
        assert_eq!(
            world.dhcp.state,
            State::Requesting {
                addr: OUR_IP.into(),
                server: PEER_IP.into()
            }
        );
        world.say(discover.xid, NAK, &[SERVER]);
        assert!(world.ring.is_silent());
        assert!(world.events().contains(&Event::Refused));
        waits.push(seconds(world.dhcp.poll_at().since(world.now)));
    }
    assert!(waits[0] >= 0.75 && waits[3] >= 7.0, "{waits:?}");
    assert_eq!(world.ignored(), 4, "another server's refusal");
    assert_all_home(world.pool);
}

#[test]
fn a_lease_is_renewed_with_its_server_at_t1() {
    let mut world = World::bound();
    for second in (10..60).step_by(10) {
        let now = START + Duration::from_secs(second);
        crate::arp::poll(&mut world.net, &mut world.ring, now);
    }
    world.ring.take();
    let request = world.wait();
    assert_eq!(world.now, START + Duration::from_secs(500));
    assert_eq!((request.kind, request.broadcast), (3, false));
    assert_eq!((request.ciaddr, request.ip), (OUR_IP, (OUR_IP, PEER_IP)));
    assert_eq!(
        (request.requested, request.server_id, request.mac),
        (None, None, PEER_MAC)
    );
    world.now = world.now + Duration::from_secs(2);
    world.say(request.xid, ACK, &[SERVER, MASK, ROUTER, LEASE]);
    assert_eq!(
        world.events(),
        [Event::Renewed {
            lease: Some(Duration::from_secs(1000))
        }]
    );
    // The lease runs from the request.
    assert_eq!(world.dhcp.poll_at(), START + Duration::from_secs(1000));
    crate::arp::poll(&mut world.net, &mut world.ring, world.now);
    assert!(world.ring.is_silent(), "nothing to announce anew");
    assert_all_home(world.pool);
}

#[test]
fn without_an_answer_renewing_becomes_rebinding_and_then_loss() {
    let mut world = World::bound();
    let lost_at = START + Duration::from_secs(1000);
    let mut kinds = Vec::new();
    while world.dhcp.poll_at() < lost_at {
        let asked = world.wait();
        let at = world.now.since(START).as_secs();
        assert_eq!((asked.kind, asked.ciaddr), (3, OUR_IP));
        kinds.push((at, asked.ip.1 == [255; 4]));
    }
    // Half the time that is left, a minute at least: to T2 at 875, then to the end.
    let expected = [
        (500, false),
        (687, false),
        (781, false),
        (841, false),
        (875, true),
        (937, true),
        (997, true),
    ];
    assert_eq!(kinds, expected);
    assert!(world.net.addr().is_some());
    let discover = world.wait();
    assert_eq!(world.now, lost_at);
    assert_eq!((discover.kind, discover.ip.0), (1, [0; 4]));
    assert_eq!(world.net.addr(), None);
    assert_eq!(world.dhcp.lease(), None);
    assert_eq!(
        world.events(),
        [Event::Lost, Event::Discovering { tries: 1 }]
    );
    assert_all_home(world.pool);
}

#[test]
fn any_server_may_rebind() {
    let mut world = World::bound();
    world.at(875);
    let request = world.poll();
    assert_eq!(
        (request.ip, request.mac),
        ((OUR_IP, [255; 4]), MacAddr::BROADCAST)
    );
    assert_eq!(
        (request.requested, request.server_id, request.ciaddr),
        (None, None, OUR_IP)
    );
    world.say(
        request.xid,
        ACK,
        &[(54, &[10, 0, 2, 77]), MASK, ROUTER, LEASE],
    );
    assert_eq!(
        world.dhcp.lease().unwrap().server,
        Ipv4Addr::new(10, 0, 2, 77)
    );
    assert_eq!(world.dhcp.poll_at(), START + Duration::from_secs(1375));
}

#[test]
fn a_refused_renewal_takes_the_address_away_at_once() {
    let mut world = World::bound();
    let request = world.wait();
    world.say(request.xid, NAK, &[SERVER]);
    assert_eq!(world.net.addr(), None);
    assert_eq!(world.asked().kind, 1);
    let events = world.events();
    assert_eq!(
        events,
        [Event::Refused, Event::Lost, Event::Discovering { tries: 1 }]
    );
}

#[test]
fn when_the_link_comes_back_the_lease_is_confirmed_quickly() {
    let mut world = World::bound();
    world.at(100);
    world.dhcp.link_up(world.now);
    let request = world.poll();
    assert_eq!((request.kind, request.ip), (3, (OUR_IP, [255; 4])));
    let waited = seconds(world.dhcp.poll_at().since(world.now));
    assert!(waited <= 1.25, "{waited}");
    assert!(world.net.addr().is_some(), "connections live on");
    let again = world.wait();
    world.say(again.xid, ACK, &[SERVER, MASK, ROUTER, LEASE]);
    assert_eq!(
        world.events(),
        [Event::Renewed {
            lease: Some(Duration::from_secs(1000))
        }]
    );

    // Another network: its server refuses.
    world.dhcp.link_up(world.now);
    let request = world.poll();
    world.say(request.xid, NAK, &[(54, &[192, 0, 2, 1])]);
    assert_eq!(world.net.addr(), None);
    assert_eq!(world.asked().kind, 1);

    // No server: a few quick tries, then as rarely as any rebinding.
    let mut world = World::bound();
    world.dhcp.link_up(world.now);
    for _ in 0..=CONFIRMATIONS_MAX {
        world.wait();
    }
    assert!(world.dhcp.poll_at().since(world.now) > Duration::from_secs(400));
}

#[test]
fn when_the_link_comes_back_a_search_starts_anew() {
    let mut world = World::new();
    for _ in 0..6 {
        world.wait();
    }
    world.now = world.now + Duration::from_millis(1);
    world.dhcp.link_up(world.now);
    let discover = world.poll();
    assert_eq!((discover.kind, discover.secs), (1, 0));
    let mut off = Dhcp::new(1);
    off.link_up(world.now);
    assert!(!off.is_on());
    assert_eq!(off.poll_at(), Instant::NEVER);
}

#[test]
fn leases_without_end_and_leases_without_sense() {
    let bind = |options: &[(u8, &[u8])]| {
        let mut world = World::new();
        let discover = world.poll();
        world.say(discover.xid, OFFER, &[SERVER, LEASE, MASK]);
        world.asked();
        world.say(discover.xid, ACK, options);
        world
    };
    let world = bind(&[SERVER, MASK, (51, &[255; 4])]);
    assert_eq!(world.dhcp.poll_at(), Instant::NEVER);
    assert_eq!(world.dhcp.lease().unwrap().duration, None);
    let refused: [&[(u8, &[u8])]; 6] = [
        &[SERVER, MASK],
        &[SERVER, MASK, (51, &[0, 0, 0, 0])],
        &[SERVER, MASK, (51, &[0, 0, 0, 9])],
        &[MASK, LEASE],
        &[(54, &[10, 0, 2, 77]), MASK, LEASE],
        &[SERVER, LEASE, (1, &[255, 255, 255, 240])],
    ];
    for (idx, options) in refused.iter().enumerate() {
        let world = bind(options);
        // The last: 10.0.2.15 is the broadcast address of 10.0.2.0/28.
        assert_eq!((world.net.addr(), world.ignored()), (None, 1), "{idx}");
    }
    let huge = bind(&[SERVER, MASK, (51, &[255, 255, 255, 254])]);
    assert_eq!(
        huge.dhcp.poll_at().since(START),
        Duration::from_secs(0xffff_fffe / 2)
    );
}

#[test]
fn timers_out_of_order_are_replaced() {
    let t1_of = |t1: u32, t2: u32| {
        let mut world = World::new();
        let discover = world.poll();
        world.say(discover.xid, OFFER, &[SERVER, LEASE, MASK]);
        world.asked();
        let (t1, t2) = (t1.to_be_bytes(), t2.to_be_bytes());
        world.say(
            discover.xid,
            ACK,
            &[SERVER, LEASE, MASK, (58, &t1), (59, &t2)],
        );
        let Dhcp {
            lease: Some(lease), ..
        } = &world.dhcp
        else {
            panic!("it is bound")
        };
        (
            lease.renew_at.since(START).as_secs(),
            lease.rebind_at.since(START).as_secs(),
        )
    };
    assert_eq!(t1_of(100, 200), (100, 200));
    for (t1, t2) in [
        (0, 200),
        (200, 200),
        (300, 200),
        (100, 1000),
        (100, u32::MAX),
    ] {
        assert_eq!(t1_of(t1, t2), (500, 875), "{t1} {t2}");
    }
}

#[test]
fn masks_routers_and_mtus_without_sense_are_replaced() {
    let bind = |options: &[(u8, &[u8])]| {
        let mut world = World::new();
        let discover = world.poll();
        world.say(discover.xid, OFFER, &[SERVER, LEASE]);
        world.asked();
        let mut all = Vec::from([SERVER, LEASE]);
        all.extend_from_slice(options);
        world.say(discover.xid, ACK, &all);
        world.net
    };
    for mask in [[255, 0, 255, 0], [0; 4], [0, 255, 255, 255]] {
        // A class A address.
        assert_eq!(
            bind(&[(1, &mask)]).cidr.unwrap().prefix_len(),
            8,
            "{mask:?}"
        );
    }
    assert_eq!(bind(&[]).cidr.unwrap().prefix_len(), 8);
    assert_eq!(bind(&[(1, &[255; 4])]).cidr.unwrap().prefix_len(), 32);
    for router in [[0; 4], [255; 4], [224, 0, 0, 1], OUR_IP] {
        assert_eq!(bind(&[MASK, (3, &router)]).gateway, None, "{router:?}");
    }
    for (mtu, taken) in [
        (67, 1500),
        (575, 1500),
        (576, 576),
        (1500, 1500),
        (9000, 1500),
    ] {
        assert_eq!(bind(&[MASK, (26, &u16::to_be_bytes(mtu))]).mtu(), taken);
    }
}

#[test]
fn answers_to_others_and_out_of_turn_are_ignored() {
    let mut world = World::new();
    // Before anything was asked.
    world.say(world.dhcp.xid, OFFER, &[SERVER, LEASE]);
    let discover = world.poll();
    world.say(discover.xid ^ 1, OFFER, &[SERVER, LEASE]);
    world.say(discover.xid, ACK, &[SERVER, LEASE]);
    world.say(discover.xid, NAK, &[SERVER]);
    world.say(discover.xid, OFFER, &[LEASE]);
    let mut foreign = dhcp_reply(discover.xid, OUR_IP, &[(53, &[OFFER]), SERVER, LEASE]);
    foreign[33] ^= 1;
    world
        .dhcp
        .input(&mut world.net, &mut world.ring, world.now, &foreign);
    world
        .dhcp
        .input(&mut world.net, &mut world.ring, world.now, b"not DHCP");
    assert_eq!(world.ignored(), 7);
    assert!(world.ring.is_silent());
    for yiaddr in [
        [0; 4],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255; 4],
        [10, 0, 2, 255],
    ] {
        let offer = dhcp_reply(discover.xid, yiaddr, &[(53, &[OFFER]), SERVER, LEASE, MASK]);
        world
            .dhcp
            .input(&mut world.net, &mut world.ring, world.now, &offer);
        assert!(world.ring.is_silent(), "{yiaddr:?}");
    }
    assert_eq!(world.ignored(), 12);
    world.say(discover.xid, OFFER, &[SERVER, LEASE]);
    let other = dhcp_reply(discover.xid, [10, 0, 2, 16], &[(53, &[ACK]), SERVER, LEASE]);
    assert_eq!(world.asked().kind, 3);
    world
        .dhcp
        .input(&mut world.net, &mut world.ring, world.now, &other);
    world.say(discover.xid, OFFER, &[SERVER, LEASE]);
    assert_eq!((world.ignored(), world.net.addr()), (14, None));
    assert_all_home(world.pool);
}

#[test]
fn a_bound_client_is_deaf_until_it_asks() {
    let mut world = World::bound();
    let xid = world.dhcp.xid;
    world.say(xid, NAK, &[SERVER]);
    world.say(xid, OFFER, &[SERVER, LEASE]);
    world.say(xid, ACK, &[SERVER, LEASE]);
    assert_eq!(world.ignored(), 3);
    let request = world.wait();
    // A renewal does not change the address.
    let other = dhcp_reply(
        request.xid,
        [10, 0, 2, 16],
        &[(53, &[ACK]), SERVER, LEASE, MASK],
    );
    world
        .dhcp
        .input(&mut world.net, &mut world.ring, world.now, &other);
    assert_eq!(world.ignored(), 4);
    assert_eq!(world.net.addr(), Some(v4(OUR_IP)));
}

#[test]
fn what_cannot_be_sent_is_sent_at_the_next_try() {
    let mut world = World::new();
    world.ring.set_space(0);
    world.poll_quietly();
    assert_eq!(world.net.counters.dropped(DropReason::TxRingFull), 1);
    let all: Vec<_> = core::iter::from_fn(|| world.pool.alloc(0)).collect();
    world.ring.set_space(8);
    world.now = world.dhcp.poll_at();
    world.poll_quietly();
    assert_eq!(world.net.counters.dropped(DropReason::TxNoFrame), 1);
    drop(all);
    assert_eq!(world.wait().kind, 1);
    assert_all_home(world.pool);
}

#[test]
fn random_answers_never_panic_and_never_make_a_storm() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut world = World::new();
        let mut sent = 0;
        for _ in 0..200 {
            if world.dhcp.poll_at() <= world.now || random.below(4) == 0 {
                world.now = world
                    .dhcp
                    .poll_at()
                    .max(world.now)
                    .min(world.now + Duration::from_secs(9_000));
                world.poll_quietly();
            }
            let kind = [OFFER, ACK, NAK][random.below(3) as usize];
            let lease = (random.next_u32() >> random.below(32)).to_be_bytes();
            let mut bytes = dhcp_reply(
                world.dhcp.xid,
                OUR_IP,
                &[(53, &[kind]), SERVER, (51, &lease), MASK],
            );
            if random.below(3) == 0 {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.next_u32() as u8;
                bytes.truncate(random.below(300) as usize + 40);
            }
            world
                .dhcp
                .input(&mut world.net, &mut world.ring, world.now, &bytes);
            world.ring.take().iter().for_each(|_| sent += 1);
        }
        assert!(sent <= 400, "{sent}");
        world.net.deconfigure();
        assert_all_home(world.pool);
    }
}
