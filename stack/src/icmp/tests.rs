use simoom_ring::FramePool;

use super::*;
use crate::random::Random;
use crate::testing::{
    self, OUR_IP, PEER_IP, PEER_MAC, TestRing, assert_all_home, datagram, rx, rx_large, v4,
};
use crate::time::Duration;

const NOW: Instant = Instant::from_micros(5_000_000);

fn world(frames: usize) -> (&'static FramePool<'static>, Net<'static>, TestRing) {
    let pool = testing::pool(frames);
    let net = testing::net(pool);
    (pool, net, TestRing::new(usize::MAX))
}

/// A message with its checksum put right.
fn message(kind: u8, code: u8, rest: &[u8]) -> std::vec::Vec<u8> {
    let mut bytes = std::vec![kind, code, 0, 0];
    bytes.extend_from_slice(rest);
    let csum = Sum::of(&bytes).finish().to_be_bytes();
    bytes[2..4].copy_from_slice(&csum);
    bytes
}

/// Lets a datagram come in through the IP layer.
fn arrives(
    net: &mut Net<'static>,
    ring: &mut TestRing,
    mut pkt: RxPacket<'static>,
) -> Option<Notice> {
    let ip = ip::input(net, &mut pkt, false).expect("the datagram is good");
    input(net, ring, NOW, &ip, pkt)
}

#[test]
fn an_echo_comes_back_in_the_very_frame() {
    // One frame: the reply cannot be another.
    let (pool, mut net, mut ring) = world(1);
    for len in [0, 1, 56, 1472] {
        let payload: std::vec::Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        let request = message(8, 0, &[&[0x12, 0x34, 0, 1][..], &payload].concat());
        let bytes = datagram(PEER_IP, OUR_IP, proto::ICMP, &request);
        // As the driver leaves it: behind an Ethernet header.
        let mut pkt = rx(pool, &testing::frame(testing::OUR_MAC, &bytes));
        pkt.frame.pull(14);
        assert_eq!(arrives(&mut net, &mut ring, pkt), None);
        let sent = ring.only();
        assert_eq!(sent[..6], PEER_MAC.0);
        let ip = ipv4::Header::parse(&sent[14..], sent.len() - 14).unwrap();
        assert_eq!((ip.src.octets(), ip.dst.octets()), (OUR_IP, PEER_IP));
        let reply = &sent[34..];
        assert_eq!(reply[..2], [0, 0]);
        assert_eq!(reply[4..], request[4..]);
        assert!(Sum::of(reply).is_valid());
    }
    assert_eq!(net.counters.dropped_total(), 0);
    assert_all_home(pool);
}

#[test]
fn nothing_is_longer_than_the_link_takes() {
    let (pool, mut net, mut ring) = world(2);
    net.set_mtu(296);
    for (len, replies) in [(296 - 28, 1), (296 - 27, 0)] {
        let request = message(8, 0, &std::vec![7; len + 4]);
        let bytes = datagram(PEER_IP, OUR_IP, proto::ICMP, &request);
        arrives(&mut net, &mut ring, rx(pool, &bytes));
        assert_eq!(ring.take().len(), replies, "{len}");
    }
    assert_eq!(net.counters.dropped(DropReason::IcmpTooLarge), 1);
    // An error quotes as much of the datagram as fits.
    let bytes = datagram(PEER_IP, OUR_IP, 99, &[7; 500]);
    let mut pkt = rx(pool, &bytes);
    let ip = ip::input(&mut net, &mut pkt, false).expect("the datagram is good");
    unknown_protocol(&mut net, &mut ring, NOW, &ip, pkt);
    assert_eq!(ring.only().len(), 14 + 296);
    assert_all_home(pool);
}

#[test]
fn the_reply_has_the_requests_service_without_congestion_marks() {
    let (pool, mut net, mut ring) = world(2);
    let mut bytes = datagram(PEER_IP, OUR_IP, proto::ICMP, &message(8, 0, &[0; 4]));
    bytes[1] = 0xbb;
    bytes[10..12].fill(0);
    let csum = Sum::of(&bytes[..20]).finish().to_be_bytes();
    bytes[10..12].copy_from_slice(&csum);
    arrives(&mut net, &mut ring, rx(pool, &bytes));
    assert_eq!(ring.only()[15], 0xb8);
}

#[test]
fn each_bad_message_is_counted_by_its_reason() {
    let (pool, mut net, mut ring) = world(8);
    let mut drops = |payload: &[u8], dst, chunk, reason| {
        let before = net.counters.dropped(reason);
        let bytes = datagram(PEER_IP, dst, proto::ICMP, payload);
        let notice = arrives(&mut net, &mut ring, rx_large(pool, &bytes, chunk));
        assert_eq!(notice, None);
        assert_eq!(net.counters.dropped(reason), before + 1, "{reason:?}");
        assert!(ring.is_silent());
    };
    let echo = message(8, 0, &[0; 12]);
    for len in 0..8 {
        drops(&echo[..len], OUR_IP, 1500, DropReason::IcmpMalformed);
    }
    drops(
        &message(3, 3, &[0; 30]),
        OUR_IP,
        1500,
        DropReason::IcmpMalformed,
    );
    let mut bad = echo.clone();
    bad[9] ^= 0x10;
    drops(&bad, OUR_IP, 1500, DropReason::IcmpChecksum);
    drops(
        &message(13, 0, &[0; 16]),
        OUR_IP,
        1500,
        DropReason::IcmpUnknownType,
    );
    drops(
        &message(0, 0, &[0; 16]),
        OUR_IP,
        1500,
        DropReason::IcmpUnknownType,
    );
    drops(&echo, [10, 0, 2, 255], 1500, DropReason::IcmpBroadcast);
    drops(&echo, [255; 4], 1500, DropReason::IcmpBroadcast);
    drops(&echo, OUR_IP, 24, DropReason::IcmpTooLarge);
    assert_all_home(pool);
}

#[test]
fn an_error_about_us_is_told_to_the_transport() {
    let (pool, mut net, mut ring) = world(2);
    let quote = |src| {
        let ports = [0, 80, 0xc0, 0, 1, 2, 3, 4, 99];
        message(
            3,
            4,
            &[&[0, 0, 5, 0][..], &datagram(src, [192, 0, 2, 1], 6, &ports)].concat(),
        )
    };
    let bytes = datagram([10, 0, 2, 9], OUR_IP, proto::ICMP, &quote(OUR_IP));
    let notice = arrives(&mut net, &mut ring, rx(pool, &bytes)).unwrap();
    assert_eq!(notice.cause, Cause::FragmentationNeeded { mtu: 1280 });
    assert_eq!(notice.proto, 6);
    assert_eq!(notice.local, Endpoint::new(v4(OUR_IP), 80));
    assert_eq!(notice.remote, Endpoint::new(v4([192, 0, 2, 1]), 0xc000));
    assert_eq!(notice.seq, 0x0102_0304);
    let bytes = datagram([10, 0, 2, 9], OUR_IP, proto::ICMP, &quote([10, 0, 2, 9]));
    assert_eq!(arrives(&mut net, &mut ring, rx(pool, &bytes)), None);
    assert_eq!(net.counters.dropped(DropReason::IcmpMalformed), 1);
    assert!(ring.is_silent());
    assert_all_home(pool);
}

#[test]
fn an_unknown_protocol_is_told_to_its_source_with_the_datagram_quoted() {
    let (pool, mut net, mut ring) = world(4);
    for len in [0, 8, 1400] {
        let bytes = datagram(PEER_IP, OUR_IP, 132, &std::vec![7; len]);
        let mut pkt = rx(pool, &bytes);
        let ip = ip::input(&mut net, &mut pkt, false).unwrap();
        unknown_protocol(&mut net, &mut ring, NOW, &ip, pkt);
        let sent = ring.only();
        assert_eq!(sent[34..36], [3, 2]);
        assert!(Sum::of(&sent[34..]).is_valid());
        assert!(sent.len() <= 14 + 576);
        let quoted_len = (20 + len).min(548);
        assert_eq!(sent[42..], bytes[..quoted_len]);
    }
    assert_eq!(net.counters.dropped(DropReason::IpUnknownProtocol), 3);
    assert_eq!(net.counters.icmp_errors_out, 3);
    // Never about a broadcast.
    let mut pkt = rx(pool, &datagram(PEER_IP, [255; 4], 132, b""));
    let ip = ip::input(&mut net, &mut pkt, true).unwrap();
    unknown_protocol(&mut net, &mut ring, NOW, &ip, pkt);
    assert!(ring.is_silent());
    assert_eq!(net.counters.dropped(DropReason::IpUnknownProtocol), 4);
    assert_eq!(net.counters.icmp_errors_out, 3);
    assert_all_home(pool);
}

/// RFC 1122 3.2.2: whatever service the datagram had.
#[test]
fn an_error_has_no_special_service() {
    let (pool, mut net, mut ring) = world(2);
    let mut bytes = datagram(PEER_IP, OUR_IP, 132, b"payload");
    bytes[1] = 0xbb;
    bytes[10..12].fill(0);
    let csum = Sum::of(&bytes[..20]).finish().to_be_bytes();
    bytes[10..12].copy_from_slice(&csum);
    let mut pkt = rx(pool, &bytes);
    let ip = ip::input(&mut net, &mut pkt, false).unwrap();
    unknown_protocol(&mut net, &mut ring, NOW, &ip, pkt);
    assert_eq!(ring.only()[15], 0);
}

#[test]
fn errors_are_sent_in_measure() {
    let (pool, mut net, mut ring) = world(4);
    let mut storm = |now, datagrams: u32| {
        for _ in 0..datagrams {
            let mut pkt = rx(pool, &datagram(PEER_IP, OUR_IP, 132, b""));
            let ip = ip::input(&mut net, &mut pkt, false).unwrap();
            unknown_protocol(&mut net, &mut ring, now, &ip, pkt);
        }
        (ring.take().len(), net.counters.icmp_errors_suppressed)
    };
    assert_eq!(storm(NOW, 100), (10, 90));
    assert_eq!(storm(NOW + Duration::from_millis(35), 100), (3, 187));
    assert_eq!(
        storm(NOW + Duration::from_millis(40), 1),
        (1, 187),
        "the rest is not forgotten"
    );
    assert_eq!(storm(NOW + Duration::from_secs(3600), 100), (10, 277));
    assert_eq!(
        storm(NOW, 1),
        (0, 278),
        "a clock that goes back earns nothing"
    );
    assert_all_home(pool);
}

#[test]
fn without_a_frame_the_error_is_not_sent() {
    let (pool, mut net, mut ring) = world(1);
    let mut pkt = rx(pool, &datagram(PEER_IP, OUR_IP, 132, b""));
    let ip = ip::input(&mut net, &mut pkt, false).unwrap();
    unknown_protocol(&mut net, &mut ring, NOW, &ip, pkt);
    assert!(ring.is_silent());
    assert_eq!(net.counters.dropped(DropReason::TxNoFrame), 1);
    assert_all_home(pool);
}

#[test]
fn random_and_truncated_messages_never_panic() {
    let (pool, mut net, mut ring) = world(8);
    let mut random = Random::new(17);
    for _ in 0..20_000 {
        let kind = [8, 3, 11, 12, random.next_u32() as u8][random.below(5) as usize];
        let len = random.below(64) as usize;
        let mut rest: std::vec::Vec<u8> = (0..len).map(|_| random.next_u32() as u8).collect();
        if len > 24 && random.below(2) == 0 {
            let quoted = datagram(OUR_IP, PEER_IP, 6, b"");
            rest[4..24].copy_from_slice(&quoted);
        }
        let payload = message(kind, random.below(4) as u8, &rest);
        let payload = &payload[..random.below(payload.len() as u64 + 1) as usize];
        arrives(
            &mut net,
            &mut ring,
            rx(pool, &datagram(PEER_IP, OUR_IP, 1, payload)),
        );
        ring.take();
    }
    assert_all_home(pool);
}
