use simoom_ring::TxOffload;

use super::*;
use crate::testing::{self, OUR_MAC, PEER_MAC, TestRing};

fn frame(dst: MacAddr, ethertype: u16) -> std::vec::Vec<u8> {
    let repr = Repr {
        dst,
        src: PEER_MAC,
        ethertype: ethertype.into(),
    };
    let mut bytes = repr.emit().to_vec();
    bytes.extend_from_slice(b"body");
    bytes
}

#[test]
fn a_frame_for_us_or_for_all_is_pulled_and_counted() {
    let pool = testing::pool(4);
    let mut net = testing::bare_net(pool);
    for (dst, is_broadcast) in [(OUR_MAC, false), (MacAddr::BROADCAST, true)] {
        for (value, ethertype) in [(0x0800, EtherType::Ipv4), (0x0806, EtherType::Arp)] {
            let mut pkt = testing::rx(pool, &frame(dst, value));
            let received = input(&mut net, &mut pkt);
            assert_eq!(
                received,
                Some(Received {
                    ethertype,
                    is_broadcast
                })
            );
            assert_eq!(pkt.frame.bytes(), b"body");
        }
    }
    assert_eq!((net.counters.rx_frames, net.counters.rx_bytes), (4, 72));
    assert_eq!(net.counters.dropped_total(), 0);
    testing::assert_all_home(pool);
}

#[test]
fn frames_for_others_of_other_types_or_too_short_are_counted() {
    let pool = testing::pool(4);
    let mut net = testing::bare_net(pool);
    let mut drops = |bytes: &[u8], reason| {
        let before = net.counters.dropped(reason);
        let mut pkt = testing::rx(pool, bytes);
        assert_eq!(input(&mut net, &mut pkt), None);
        assert_eq!(net.counters.dropped(reason), before + 1, "{reason:?}");
    };
    for len in 0..HEADER_LEN {
        drops(&frame(OUR_MAC, 0x0800)[..len], DropReason::EthTruncated);
    }
    drops(&frame(PEER_MAC, 0x0800), DropReason::EthNotForUs);
    drops(
        &frame(MacAddr([1, 0, 0x5e, 0, 0, 1]), 0x0800),
        DropReason::EthNotForUs,
    );
    for ethertype in [0x8100, 0x86dd, 46, 0] {
        drops(&frame(OUR_MAC, ethertype), DropReason::EthUnknownType);
    }
    testing::assert_all_home(pool);
}

#[test]
fn output_adds_the_header_and_a_full_ring_gives_the_packet_back_as_it_was() {
    let pool = testing::pool(4);
    let mut net = testing::bare_net(pool);
    let mut ring = TestRing::new(1);
    let packet = || {
        let mut frame = pool.alloc(HEADER_LEN).unwrap();
        frame.append(b"body").unwrap();
        TxPacket::new(frame, TxOffload::default())
    };
    output(&mut net, &mut ring, packet(), PEER_MAC, EtherType::Ipv4).unwrap();
    let mut expected = PEER_MAC.0.to_vec();
    expected.extend_from_slice(&OUR_MAC.0);
    expected.extend_from_slice(b"\x08\x00body");
    assert_eq!(ring.only(), expected);
    assert_eq!((net.counters.tx_packets, net.counters.tx_bytes), (1, 18));

    let unsent = output(&mut net, &mut ring, packet(), PEER_MAC, EtherType::Ipv4).unwrap_err();
    let Unsent::RingFull(packet) = unsent else {
        panic!("{unsent}")
    };
    assert_eq!(packet.head().bytes(), b"body");
    ring.sync();
    output(&mut net, &mut ring, packet, PEER_MAC, EtherType::Ipv4).unwrap();
    assert_eq!(ring.only(), expected);

    let bare = TxPacket::new(pool.alloc(HEADER_LEN - 1).unwrap(), TxOffload::default());
    ring.sync();
    let unsent = output(&mut net, &mut ring, bare, PEER_MAC, EtherType::Ipv4).unwrap_err();
    assert!(matches!(unsent, Unsent::NoRoom(_)));
    drop(unsent);
    assert!(ring.is_silent());
    testing::assert_all_home(pool);
}
