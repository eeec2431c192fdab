use simoom_ring::FramePool;

use super::*;
use crate::ip::{self, Header};
use crate::random::Random;
use crate::testing::{
    self, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, TestRing, arp_packet, assert_all_home, rx, v4,
};
use crate::time::Duration;

const NONE: MacAddr = MacAddr([0; 6]);
const START: Instant = Instant::from_micros(10_000_000);

fn world() -> (&'static FramePool<'static>, Net<'static>, TestRing) {
    let pool = testing::pool(8);
    let mut net = testing::net(pool);
    net.neighbors.clear();
    (pool, net, TestRing::new(16))
}

fn after(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

fn knows(net: &Net<'_>, addr: [u8; 4]) -> Option<MacAddr> {
    match net.neighbors.lookup(v4(addr), &mut 0) {
        Lookup::Found(mac) | Lookup::Stale(mac) => Some(mac),
        Lookup::Unknown => None,
    }
}

fn send(net: &mut Net<'static>, ring: &mut TestRing, now: Instant, dst: [u8; 4], byte: u8) {
    let mut frame = net.pool.alloc(64).unwrap();
    frame.append(&[byte]).unwrap();
    let packet = TxPacket::new(frame, TxOffload::default());
    ip::output(net, ring, now, packet, &Header::new(v4(OUR_IP), v4(dst), 6)).unwrap();
}

/// The request that was sent, and to whom.
fn request_in(frame: &[u8]) -> (MacAddr, Repr) {
    assert_eq!(frame[12..14], [8, 6]);
    (
        MacAddr(frame[..6].try_into().unwrap()),
        Repr::parse(&frame[14..]).unwrap(),
    )
}

#[test]
fn a_request_for_us_is_answered_in_its_own_frame_and_its_source_learned() {
    let pool = testing::pool(1);
    let mut net = testing::net(pool);
    net.neighbors.clear();
    let mut ring = TestRing::new(4);
    let request = arp_packet(Op::Request, (PEER_MAC, PEER_IP), (NONE, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &request));
    let (dst, reply) = request_in(&ring.only());
    assert_eq!(dst, PEER_MAC);
    assert_eq!(reply.op, Op::Reply);
    assert_eq!((reply.sha, reply.spa.octets()), (OUR_MAC, OUR_IP));
    assert_eq!((reply.tha, reply.tpa.octets()), (PEER_MAC, PEER_IP));
    assert_eq!(knows(&net, PEER_IP), Some(PEER_MAC));
    assert_eq!(net.counters.dropped_total(), 0);
    assert_all_home(pool);
}

#[test]
fn a_probe_for_our_address_is_answered_and_teaches_nothing() {
    let (pool, mut net, mut ring) = world();
    let probe = arp_packet(Op::Request, (PEER_MAC, [0; 4]), (NONE, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &probe));
    assert_eq!(request_in(&ring.only()).1.tpa.octets(), [0; 4]);
    assert_eq!(knows(&net, [0; 4]), None);
}

#[test]
fn only_neighbors_are_learned() {
    let (pool, mut net, mut ring) = world();
    for spa in [[192, 0, 2, 1], [10, 0, 2, 255], [224, 0, 0, 1], [255; 4]] {
        let request = arp_packet(Op::Request, (PEER_MAC, spa), (NONE, OUR_IP));
        input(&mut net, &mut ring, START, rx(pool, &request));
        assert_eq!(knows(&net, spa), None, "{spa:?}");
    }
    // A gateway off the network is a neighbor, too.
    net.configure(testing::our_cidr(), Some(v4([192, 0, 2, 1])));
    let request = arp_packet(Op::Request, (PEER_MAC, [192, 0, 2, 1]), (NONE, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &request));
    assert_eq!(knows(&net, [192, 0, 2, 1]), Some(PEER_MAC));
}

#[test]
fn what_is_not_for_us_updates_those_that_are_known_and_no_others() {
    let (pool, mut net, mut ring) = world();
    let other = MacAddr([2, 9, 9, 9, 9, 9]);
    let gratuitous = arp_packet(Op::Request, (other, PEER_IP), (NONE, PEER_IP));
    let unasked = arp_packet(Op::Reply, (other, PEER_IP), (OUR_MAC, OUR_IP));
    for packet in [&gratuitous, &unasked] {
        input(&mut net, &mut ring, START, rx(pool, packet));
        assert_eq!(knows(&net, PEER_IP), None);
    }
    assert_eq!(net.counters.dropped(DropReason::ArpNotForUs), 2);
    testing::meet(&mut net, PEER_IP, PEER_MAC, START);
    input(&mut net, &mut ring, START, rx(pool, &gratuitous));
    assert_eq!(knows(&net, PEER_IP), Some(other));
    assert_eq!(net.counters.dropped(DropReason::ArpNotForUs), 2);
    assert!(ring.is_silent());
    assert_all_home(pool);
}

#[test]
fn malformed_packets_and_conflicts_are_counted() {
    let (pool, mut net, mut ring) = world();
    let group = MacAddr([1, 0, 0x5e, 0, 0, 1]);
    for sha in [NONE, group, MacAddr::BROADCAST] {
        let request = arp_packet(Op::Request, (sha, PEER_IP), (NONE, OUR_IP));
        input(&mut net, &mut ring, START, rx(pool, &request));
    }
    input(&mut net, &mut ring, START, rx(pool, &[0; 27]));
    assert_eq!(net.counters.dropped(DropReason::ArpMalformed), 4);
    let claim = arp_packet(Op::Reply, (PEER_MAC, OUR_IP), (OUR_MAC, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &claim));
    assert_eq!(net.counters.dropped(DropReason::ArpConflict), 1);
    assert_eq!(ring.take().len(), 1, "the address is defended");
    let own = arp_packet(Op::Request, (OUR_MAC, OUR_IP), (NONE, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &own));
    assert_eq!(net.counters.dropped(DropReason::ArpNotForUs), 1);
    net.deconfigure();
    let request = arp_packet(Op::Request, (PEER_MAC, PEER_IP), (NONE, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &request));
    assert_eq!(net.counters.dropped(DropReason::ArpNotForUs), 2);
    assert!(ring.is_silent());
    assert_all_home(pool);
}

#[test]
fn a_packet_waits_for_the_answer_and_the_newest_takes_the_place() {
    let (pool, mut net, mut ring) = world();
    send(&mut net, &mut ring, START, PEER_IP, 1);
    let (dst, request) = request_in(&ring.only());
    assert_eq!(dst, MacAddr::BROADCAST);
    assert_eq!((request.op, request.tpa.octets()), (Op::Request, PEER_IP));
    assert_eq!((request.sha, request.spa.octets()), (OUR_MAC, OUR_IP));
    send(&mut net, &mut ring, START, PEER_IP, 2);
    assert!(ring.is_silent(), "one request a second");
    assert_eq!(net.counters.dropped(DropReason::TxUnresolved), 1);
    let reply = arp_packet(Op::Reply, (PEER_MAC, PEER_IP), (OUR_MAC, OUR_IP));
    input(&mut net, &mut ring, START, rx(pool, &reply));
    let sent = ring.only();
    assert_eq!((&sent[..6], sent[34]), (&PEER_MAC.0[..], 2));
    send(&mut net, &mut ring, START, PEER_IP, 3);
    assert_eq!(ring.only()[34], 3);
    assert_all_home(pool);
}

#[test]
fn three_requests_without_an_answer_give_the_neighbor_up() {
    let (pool, mut net, mut ring) = world();
    send(&mut net, &mut ring, START, PEER_IP, 1);
    assert_eq!(ring.take().len(), 1);
    for second in 1..=2 {
        assert_eq!(net.neighbors.poll_at(), after(second));
        poll(
            &mut net,
            &mut ring,
            after(second) - Duration::from_micros(1),
        );
        assert!(ring.is_silent());
        poll(&mut net, &mut ring, after(second));
        assert_eq!(request_in(&ring.only()).0, MacAddr::BROADCAST);
    }
    poll(&mut net, &mut ring, after(3));
    assert!(ring.is_silent());
    assert_eq!(net.counters.dropped(DropReason::TxUnresolved), 1);
    assert_eq!(net.neighbors.poll_at(), Instant::NEVER);
    assert_eq!(net.counters.neighbors_evicted, 0);
    assert_all_home(pool);
    send(&mut net, &mut ring, after(4), PEER_IP, 1);
    assert_eq!(
        ring.take().len(),
        1,
        "it is asked for again when it is needed again"
    );
}

#[test]
fn a_stale_neighbor_serves_while_it_is_asked_again() {
    let (pool, mut net, mut ring) = world();
    testing::meet(&mut net, PEER_IP, PEER_MAC, START);
    assert_eq!(net.neighbors.poll_at(), after(60));
    poll(&mut net, &mut ring, after(60));
    assert_eq!(
        net.neighbors.poll_at(),
        Instant::NEVER,
        "an idle neighbor costs nothing"
    );
    for byte in 0..3 {
        send(&mut net, &mut ring, after(100), PEER_IP, byte);
    }
    let sent = ring.take();
    assert_eq!(sent.len(), 4, "three packets and one request");
    assert_eq!(
        request_in(&sent[1].bytes).0,
        PEER_MAC,
        "RFC 1122 2.3.2.1: a unicast poll, behind the packet"
    );
    let reply = arp_packet(Op::Reply, (PEER_MAC, PEER_IP), (OUR_MAC, OUR_IP));
    input(&mut net, &mut ring, after(100), rx(pool, &reply));
    poll(&mut net, &mut ring, after(101));
    assert_eq!(net.neighbors.poll_at(), after(160));
    poll(&mut net, &mut ring, after(160));
    send(&mut net, &mut ring, after(160), PEER_IP, 1);
    for second in [161, 162] {
        poll(&mut net, &mut ring, after(second));
    }
    assert_eq!(ring.take().len(), 4);
    poll(&mut net, &mut ring, after(163));
    assert_eq!(knows(&net, PEER_IP), None);
    assert_all_home(pool);
}

/// With one place left on the ring, the packet has it, and not the request beside it.
#[test]
fn a_request_does_not_take_the_place_of_the_packet_that_asks() {
    let (_, mut net, _) = world();
    let mut ring = TestRing::new(1);
    testing::meet(&mut net, PEER_IP, PEER_MAC, START);
    poll(&mut net, &mut ring, after(60));
    send(&mut net, &mut ring, after(100), PEER_IP, 7);
    assert_eq!(ring.only()[12..14], [8, 0]);
}

#[test]
fn a_free_entry_is_taken_first_and_then_the_oldest() {
    let (_, mut net, _) = world();
    let set = neighbors::set_of(v4(PEER_IP));
    let same: std::vec::Vec<[u8; 4]> = (16..=254)
        .map(|last| [10, 0, 2, last])
        .filter(|addr| neighbors::set_of(v4(*addr)) == set)
        .take(config::NEIGHBOR_WAYS + 2)
        .collect();
    // The third is the oldest, then the first; the clock may start at zero.
    for (addr, second) in same.iter().zip([20, 30, 0, 40]) {
        testing::meet(
            &mut net,
            *addr,
            PEER_MAC,
            Instant::ZERO + Duration::from_secs(second),
        );
    }
    let known = |net: &Net<'_>| -> std::vec::Vec<bool> {
        same.iter()
            .map(|addr| knows(net, *addr).is_some())
            .collect()
    };
    assert_eq!(known(&net), [true, true, true, true, false, false]);
    assert_eq!(net.counters.neighbors_evicted, 0);
    testing::meet(&mut net, same[4], PEER_MAC, after(50));
    assert_eq!(known(&net), [true, true, false, true, true, false]);
    testing::meet(&mut net, same[5], PEER_MAC, after(50));
    assert_eq!(known(&net), [false, true, false, true, true, true]);
    assert_eq!(net.counters.neighbors_evicted, 2);
}

#[test]
fn a_full_table_forgets_the_oldest() {
    let (_, mut net, mut ring) = world();
    // More neighbors than entries: some sets overflow, and each overflow is counted.
    for last in 16..=254 {
        testing::meet(&mut net, [10, 0, 2, last], PEER_MAC, after(last.into()));
    }
    let known = (16..=254)
        .filter(|last| knows(&net, [10, 0, 2, *last]).is_some())
        .count();
    assert!(
        known <= config::NEIGHBORS_MAX && known > config::NEIGHBORS_MAX / 2,
        "{known}"
    );
    assert_eq!(net.counters.neighbors_evicted, 239 - known as u64);
    assert!(
        knows(&net, [10, 0, 2, 254]).is_some(),
        "the newest is there"
    );
    assert!(knows(&net, [10, 0, 2, 16]).is_none(), "the oldest is not");
    net.neighbors.clear();
    for last in 16..=254 {
        send(&mut net, &mut ring, after(last.into()), [10, 0, 2, last], 1);
        ring.take();
        assert_eq!(
            net.neighbors.clear(),
            1,
            "a packet that waits goes with its entry"
        );
        ring.sync();
    }
}

#[test]
fn a_waiting_packet_that_loses_its_place_is_counted() {
    let pool = testing::pool(128);
    let mut net = testing::net(pool);
    net.neighbors.clear();
    let mut ring = TestRing::new(256);
    for last in 16..=200 {
        send(&mut net, &mut ring, START, [10, 0, 2, last], 1);
        if pool.free_cnt() < 40 {
            break;
        }
    }
    let evicted = net.counters.neighbors_evicted;
    assert!(evicted > 0);
    assert_eq!(net.counters.dropped(DropReason::TxUnresolved), evicted);
    net.deconfigure();
    assert!(net.counters.dropped(DropReason::TxUnresolved) > evicted);
    assert_all_home(pool);
}

#[test]
fn a_new_address_is_announced_probed_for_and_announced_again() {
    let pool = testing::pool(8);
    let mut net = testing::bare_net(pool);
    let mut ring = TestRing::new(16);
    assert_eq!(net.neighbors.poll_at(), Instant::NEVER);
    net.configure(testing::our_cidr(), None);
    let mut last = START;
    for (spa, least, most) in [
        (OUR_IP, 0, 0),
        ([0; 4], 1, 2),
        ([0; 4], 1, 2),
        ([0; 4], 1, 2),
        (OUR_IP, 2, 2),
    ] {
        let now = net.neighbors.poll_at().max(last);
        let waited = now.since(last);
        let [least, most] = [least, most].map(Duration::from_secs);
        assert!((least..=most).contains(&waited), "{waited:?}");
        poll(&mut net, &mut ring, now);
        let (dst, packet) = request_in(&ring.only());
        assert_eq!((dst, packet.op), (MacAddr::BROADCAST, Op::Request));
        assert_eq!((packet.spa.octets(), packet.tpa.octets()), (spa, OUR_IP));
        poll(&mut net, &mut ring, now);
        assert!(ring.is_silent());
        last = now;
    }
    assert_eq!(net.neighbors.poll_at(), Instant::NEVER);
    net.configure(testing::our_cidr(), None);
    assert_eq!(
        net.neighbors.poll_at(),
        Instant::NEVER,
        "nothing has changed"
    );
    assert_all_home(pool);
}

#[test]
fn without_a_frame_or_ring_space_requests_are_counted_as_lost_and_tried_again() {
    let pool = testing::pool(1);
    let mut net = testing::net(pool);
    net.neighbors.clear();
    let mut ring = TestRing::new(4);
    send(&mut net, &mut ring, START, PEER_IP, 1);
    assert_eq!(
        net.counters.dropped(DropReason::TxNoFrame),
        1,
        "the packet has the only frame"
    );
    net.neighbors.clear();
    net.configure(testing::our_cidr(), None);
    ring.set_space(0);
    poll(&mut net, &mut ring, START);
    assert_eq!(net.counters.dropped(DropReason::TxRingFull), 1);
    assert!(ring.is_silent());
    assert_all_home(pool);
}

#[test]
fn random_packets_never_panic() {
    let (pool, mut net, _) = world();
    let mut ring = TestRing::new(usize::MAX);
    let mut random = Random::new(13);
    let mut now = START;
    for _ in 0..20_000 {
        let op = if random.below(2) == 0 {
            Op::Request
        } else {
            Op::Reply
        };
        let near = |random: &mut Random| [10, 0, 2, random.next_u32() as u8];
        let (spa, tpa) = (near(&mut random), near(&mut random));
        let mut bytes = arp_packet(op, (PEER_MAC, spa), (OUR_MAC, tpa));
        if random.below(4) == 0 {
            let at = random.below(28) as usize;
            bytes[at] = random.next_u32() as u8;
        }
        bytes.truncate(random.below(40) as usize + 10);
        input(&mut net, &mut ring, now, rx(pool, &bytes));
        now = now + Duration::from_micros(random.below(2_000_000));
        poll(&mut net, &mut ring, now);
        if random.below(2) == 0 && pool.free_cnt() > 1 {
            send(&mut net, &mut ring, now, near_not_ours(&mut random), 1);
        }
        ring.take();
    }
    net.deconfigure();
    assert_all_home(pool);
}

fn near_not_ours(random: &mut Random) -> [u8; 4] {
    [10, 0, 2, 16 + random.below(200) as u8]
}

#[test]
fn our_address_is_defended_once_in_ten_seconds_and_told_as_often() {
    let (pool, mut net, mut ring) = world();
    let other = MacAddr([2, 0, 0, 0, 0, 99]);
    for (second, is_defended) in [(0, true), (1, false), (9, false), (10, true), (11, false)] {
        // By an answer to one of our probes, or however else.
        for op in [Op::Reply, Op::Request] {
            let claim = arp_packet(op, (other, OUR_IP), (OUR_MAC, PEER_IP));
            input(&mut net, &mut ring, after(second), rx(pool, &claim));
        }
        let sent = ring.take();
        assert_eq!(sent.len(), usize::from(is_defended), "at {second} s");
        for sent in sent {
            let (dst, packet) = request_in(&sent.bytes);
            assert_eq!((dst, packet.op), (MacAddr::BROADCAST, Op::Request));
            assert_eq!((packet.spa.octets(), packet.tpa.octets()), (OUR_IP, OUR_IP));
        }
        let told = is_defended.then_some(other);
        assert_eq!(net.neighbors.take_conflict(), told);
    }
    assert_eq!(net.counters.dropped(DropReason::ArpConflict), 10);
    assert_eq!(knows(&net, OUR_IP), None);
    assert_all_home(pool);
}

#[test]
fn stations_probe_apart() {
    let intervals = (0..8).map(|n| {
        let mut claim = claim::Claim::none();
        claim.begin();
        claim.next(START, MacAddr([2, 0, 0, 0, 0, n]));
        claim.due().since(START).as_micros()
    });
    let intervals: std::collections::BTreeSet<_> = intervals.collect();
    assert!(intervals.len() > 6, "{intervals:?}");
}

#[test]
fn an_address_that_another_stack_defends_is_not_announced() {
    let pool = testing::pool(2);
    let mut net = testing::bare_net(pool);
    net.share(testing::our_cidr(), Some(v4(PEER_IP)));
    assert_eq!(net.neighbors.poll_at(), Instant::NEVER);
    assert!(net.is_ours(v4(OUR_IP)));
    assert_all_home(pool);
}

/// The way back must be known before connections come all at once.
#[test]
fn the_gateway_is_asked_for_with_the_announcement() {
    let pool = testing::pool(8);
    let mut net = testing::bare_net(pool);
    let mut ring = TestRing::new(usize::MAX);
    net.configure(testing::our_cidr(), Some(v4(PEER_IP)));
    poll(&mut net, &mut ring, Instant::ZERO);
    let asked: std::vec::Vec<[u8; 4]> = ring
        .take()
        .iter()
        .map(|sent| sent.bytes[38..42].try_into().unwrap())
        .collect();
    assert_eq!(asked, [OUR_IP, PEER_IP]);
    testing::meet(&mut net, PEER_IP, PEER_MAC, Instant::ZERO);
    poll(
        &mut net,
        &mut ring,
        Instant::ZERO + config::ARP_ANNOUNCE_INTERVAL,
    );
    assert_eq!(ring.take().len(), 1, "the first probe alone");
}
