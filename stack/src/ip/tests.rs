use simoom_ring::{FramePool, TxOffload};

use super::*;
use crate::addr::Cidr;
use crate::random::Random;
use crate::testing::{self, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC, TestRing, datagram, rx, v4};
use crate::wire::checksum::Sum;
use crate::wire::ipv4;

const NOW: Instant = Instant::from_micros(5_000_000);

fn world() -> (&'static FramePool<'static>, Net<'static>, TestRing) {
    let pool = testing::pool(32);
    let net = testing::net(pool);
    (pool, net, TestRing::new(16))
}

/// Changes a datagram and puts its header checksum right.
fn changed(mut bytes: std::vec::Vec<u8>, change: impl Fn(&mut [u8])) -> std::vec::Vec<u8> {
    change(&mut bytes);
    bytes[10..12].fill(0);
    let csum = Sum::of(&bytes[..20]).finish();
    bytes[10..12].copy_from_slice(&csum.to_be_bytes());
    bytes
}

#[test]
fn a_datagram_for_us_is_pulled_and_padding_trimmed() {
    let (pool, mut net, _) = world();
    let mut bytes = datagram(PEER_IP, OUR_IP, 17, b"payload");
    bytes.extend_from_slice(&[0xee; 19]);
    let mut pkt = rx(pool, &bytes);
    let ip = input(&mut net, &mut pkt, false).unwrap();
    assert_eq!(pkt.frame.bytes(), b"payload");
    assert_eq!((ip.src, ip.dst, ip.proto), (v4(PEER_IP), v4(OUR_IP), 17));
    assert_eq!((ip.header_len, ip.payload_len, ip.ttl), (20, 7, 64));
    assert!(!ip.is_broadcast);
    drop(pkt);
    testing::assert_all_home(pool);
}

/// RFC 1122 3.2.1.7: the last hop is not ours to refuse.
#[test]
fn a_datagram_that_has_just_made_it_is_taken() {
    let (pool, mut net, _) = world();
    for ttl in [0, 1] {
        let bytes = changed(datagram(PEER_IP, OUR_IP, 17, b"payload"), |bytes| {
            bytes[8] = ttl;
        });
        let mut pkt = rx(pool, &bytes);
        assert_eq!(input(&mut net, &mut pkt, false).map(|ip| ip.ttl), Some(ttl));
    }
}

#[test]
fn padding_is_trimmed_over_all_frames_of_a_large_receive() {
    let (pool, mut net, _) = world();
    let payload: std::vec::Vec<u8> = (0..100).collect();
    for padding in 0..60 {
        for chunk in [20, 21, 30, 40, 64, 200] {
            let mut bytes = datagram(PEER_IP, OUR_IP, 6, &payload);
            bytes.extend_from_slice(&std::vec![0xee; padding]);
            let mut pkt = testing::rx_large(pool, &bytes, chunk);
            let ip = input(&mut net, &mut pkt, false).unwrap();
            assert_eq!(ip.payload_len, 100);
            let mut left = pkt.frame.bytes().to_vec();
            while let Some(frame) = pkt.rest.pop_front() {
                left.extend_from_slice(frame.bytes());
            }
            assert_eq!(left, payload, "{padding} in frames of {chunk}");
        }
    }
    testing::assert_all_home(pool);
}

#[test]
fn broadcasts_are_taken_and_told() {
    let (pool, mut net, _) = world();
    let takes = |net: &mut Net<'static>, dst| {
        let mut pkt = rx(pool, &datagram(PEER_IP, dst, 17, b""));
        input(net, &mut pkt, true).map(|ip| ip.is_broadcast)
    };
    assert_eq!(takes(&mut net, [255; 4]), Some(true));
    assert_eq!(takes(&mut net, [10, 0, 2, 255]), Some(true));
    assert_eq!(takes(&mut net, OUR_IP), None, "RFC 1122 3.3.6");
    let mut bare = testing::bare_net(pool);
    assert_eq!(takes(&mut bare, [255; 4]), Some(true));
    assert_eq!(takes(&mut bare, OUR_IP), None);
}

#[test]
fn each_bad_datagram_is_counted_by_its_reason() {
    let (pool, mut net, _) = world();
    let mut drops = |bytes: &[u8], reason| {
        let before = net.counters.dropped(reason);
        let mut pkt = rx(pool, bytes);
        assert_eq!(input(&mut net, &mut pkt, false), None);
        assert_eq!(
            net.counters.dropped(reason),
            before + 1,
            "{reason:?}: {bytes:02x?}"
        );
    };
    let good = || datagram(PEER_IP, OUR_IP, 6, b"payload");
    for len in 0..good().len() {
        drops(&good()[..len], DropReason::IpMalformed);
    }
    drops(
        &changed(good(), |bytes| bytes[0] = 0x65),
        DropReason::IpMalformed,
    );
    let mut bad = good();
    bad[8] ^= 1;
    drops(&bad, DropReason::IpChecksum);
    drops(
        &changed(good(), |bytes| bytes[6] = 0x20),
        DropReason::IpFragment,
    );
    drops(
        &changed(good(), |bytes| bytes[7] = 1),
        DropReason::IpFragment,
    );
    for src in [
        [0; 4],
        [255; 4],
        [224, 0, 0, 1],
        [127, 0, 0, 1],
        [10, 0, 2, 255],
        OUR_IP,
    ] {
        drops(&datagram(src, OUR_IP, 6, b""), DropReason::IpBadSource);
    }
    for dst in [
        PEER_IP,
        [224, 0, 0, 1],
        [127, 0, 0, 1],
        [10, 0, 3, 255],
        [0; 4],
    ] {
        drops(&datagram(PEER_IP, dst, 6, b""), DropReason::IpNotForUs);
    }
    testing::assert_all_home(pool);
}

fn packet(pool: &'static FramePool<'static>, payload: &[u8]) -> TxPacket<'static> {
    let mut frame = pool.alloc(64).unwrap();
    frame.append(payload).unwrap();
    TxPacket::new(frame, TxOffload::default())
}

fn header(dst: [u8; 4]) -> Header {
    Header::new(v4(OUR_IP), v4(dst), 6)
}

#[test]
fn output_goes_to_the_neighbor_or_through_the_gateway() {
    let (pool, mut net, mut ring) = world();
    for dst in [PEER_IP, [192, 0, 2, 7]] {
        output(
            &mut net,
            &mut ring,
            NOW,
            packet(pool, b"segment"),
            &header(dst),
        )
        .unwrap();
        let sent = ring.only();
        assert_eq!(sent[..6], PEER_MAC.0);
        assert_eq!(sent[6..14], [2, 0, 0, 0, 0, 1, 8, 0]);
        let ip = ipv4::Header::parse(&sent[14..], 27).unwrap();
        assert_eq!((ip.total_len, ip.ttl, ip.proto, ip.df), (27, 64, 6, true));
        assert_eq!(
            (v4(ip.src.octets()), v4(ip.dst.octets())),
            (v4(OUR_IP), v4(dst))
        );
        assert_eq!(&sent[34..], b"segment");
    }
    testing::assert_all_home(pool);
}

#[test]
fn broadcasts_go_to_all_stations_even_without_an_address() {
    let (pool, mut net, mut ring) = world();
    let nobody = Header::new(Addr::UNSPECIFIED, Addr::BROADCAST, 17);
    let mut bare = testing::bare_net(pool);
    output(&mut bare, &mut ring, NOW, packet(pool, b"?"), &nobody).unwrap();
    assert_eq!(ring.only()[..6], [0xff; 6]);
    for dst in [[255; 4], [10, 0, 2, 255]] {
        output(&mut net, &mut ring, NOW, packet(pool, b"?"), &header(dst)).unwrap();
        assert_eq!(ring.only()[..6], [0xff; 6]);
    }
}

#[test]
fn without_a_route_the_packet_comes_back_and_is_counted() {
    let (pool, mut net, mut ring) = world();
    let mut refuses = |net: &mut Net<'static>, header: Header| {
        let before = net.counters.dropped(DropReason::TxNoRoute);
        let unsent = output(net, &mut ring, NOW, packet(pool, b"x"), &header).unwrap_err();
        let Unsent::NoRoute(packet) = unsent else {
            panic!("{unsent}")
        };
        assert_eq!(packet.head().bytes(), b"x");
        assert_eq!(net.counters.dropped(DropReason::TxNoRoute), before + 1);
    };
    refuses(&mut net, header(OUR_IP));
    refuses(&mut net, header([224, 0, 0, 1]));
    refuses(&mut net, header([127, 0, 0, 1]));
    refuses(&mut net, Header::new(v4([10, 0, 2, 99]), v4(PEER_IP), 6));
    net.configure(testing::our_cidr(), None);
    refuses(&mut net, header([192, 0, 2, 7]));
    net.deconfigure();
    refuses(&mut net, header(PEER_IP));
    testing::assert_all_home(pool);
}

#[test]
fn a_full_ring_gives_the_packet_back_and_counts_nothing() {
    let (pool, mut net, _) = world();
    let mut ring = TestRing::new(0);
    let ident = net.ident;
    let unsent = output(
        &mut net,
        &mut ring,
        NOW,
        packet(pool, b"x"),
        &header(PEER_IP),
    );
    let Err(Unsent::RingFull(packet)) = unsent else {
        panic!("the ring is full")
    };
    assert_eq!(packet.head().bytes(), b"x");
    assert_eq!(net.counters.dropped_total(), 0);
    assert_eq!(net.ident, ident, "nothing was begun");
    ring.set_space(1);
    output(&mut net, &mut ring, NOW, packet, &header(PEER_IP)).unwrap();
    assert_eq!(ring.only().len(), 35);
    drop(Unsent::RingFull(self::packet(pool, b"")));
    Unsent::RingFull(self::packet(pool, b"")).forget(&mut net);
    assert_eq!(net.counters.dropped(DropReason::TxRingFull), 1);
    testing::assert_all_home(pool);
}

#[test]
fn a_ring_that_promised_too_much_gives_the_packet_back_as_it_was() {
    struct Liar;
    impl TxRing<'static> for Liar {
        fn space(&self) -> usize {
            1
        }
        fn send(&mut self, packet: TxPacket<'static>) -> Result<(), TxPacket<'static>> {
            Err(packet)
        }
        fn sync(&mut self) {}
    }
    let (pool, mut net, _) = world();
    let unsent = output(
        &mut net,
        &mut Liar,
        NOW,
        packet(pool, b"x"),
        &header(PEER_IP),
    );
    let Err(Unsent::RingFull(packet)) = unsent else {
        panic!("nothing was sent")
    };
    assert_eq!(packet.head().bytes(), b"x");
    drop(packet);
    testing::assert_all_home(pool);
}

#[test]
fn a_frame_without_headroom_is_refused_before_anything_changes() {
    let pool = testing::pool(4);
    let mut net = testing::net(pool);
    let mut ring = TestRing::new(4);
    net.caps.headroom = 12;
    for (headroom, is_enough) in [(33, false), (45, false), (46, true)] {
        let before = net.counters.dropped(DropReason::TxNoRoom);
        let packet = TxPacket::new(pool.alloc(headroom).unwrap(), TxOffload::default());
        let sent = output(&mut net, &mut ring, NOW, packet, &header(PEER_IP));
        assert_eq!(sent.is_ok(), is_enough, "{headroom}");
        let counted = net.counters.dropped(DropReason::TxNoRoom) - before;
        assert_eq!(counted, u64::from(!is_enough));
    }
    testing::assert_all_home(pool);
}

#[test]
fn the_next_hop_follows_the_prefix() {
    let pool = testing::pool(1);
    let mut net = testing::bare_net(pool);
    let gateway = v4([10, 9, 9, 9]);
    for prefix_len in 1..=32 {
        net.configure(Cidr::new(v4(OUR_IP), prefix_len).unwrap(), Some(gateway));
        for bit in 0..32 {
            let dst = (u32::from_be_bytes(OUR_IP) ^ (1 << bit)).to_be_bytes();
            let is_near = bit < 32 - u32::from(prefix_len);
            let expected = match (is_near, net.is_broadcast(v4(dst))) {
                (true, true) => Some(NextHop::Broadcast),
                (true, false) => Some(NextHop::Neighbor(v4(dst))),
                (false, _) => Some(NextHop::Neighbor(gateway)),
            };
            let expected = expected.filter(|_| v4(dst).is_unicast());
            assert_eq!(
                net.next_hop(v4(OUR_IP), v4(dst)),
                expected,
                "/{prefix_len} bit {bit}"
            );
        }
    }
}

#[test]
fn random_and_truncated_datagrams_never_panic() {
    let (pool, mut net, _) = world();
    let mut random = Random::new(11);
    for round in 0..20_000 {
        let mut bytes = match round % 2 {
            0 => datagram(PEER_IP, OUR_IP, 6, b"some payload"),
            _ => std::vec![0; random.below(80) as usize],
        };
        for _ in 0..random.below(8) {
            if !bytes.is_empty() {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.next_u32() as u8;
            }
        }
        bytes.truncate(random.below(81) as usize);
        let chunk = 1 + random.below(40) as usize;
        let mut pkt = testing::rx_large(pool, &bytes, chunk.max(20));
        let _ = input(&mut net, &mut pkt, random.below(2) == 0);
    }
    assert!(net.counters.dropped_total() > 10_000);
    testing::assert_all_home(pool);
}

#[test]
fn a_hint_finds_the_neighbor_and_a_wrong_one_does_no_harm() {
    let (pool, mut net, mut ring) = world();
    let mut found = 0;
    for start in [0, 7, 63, 64, u8::MAX] {
        let mut hint = start;
        let sent = packet(pool, b"x");
        output_hinted(&mut net, &mut ring, NOW, sent, &header(PEER_IP), &mut hint).unwrap();
        assert_eq!(ring.only()[..6], PEER_MAC.0);
        found = hint;
    }
    let mut hint = found;
    net.neighbors.clear();
    testing::meet(&mut net, PEER_IP, OUR_MAC, NOW);
    assert_eq!(
        net.neighbors.lookup(v4(PEER_IP), &mut hint),
        Lookup::Found(OUR_MAC)
    );
}
