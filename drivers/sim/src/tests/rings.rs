use simoom_ring::{
    Armed, BodyMemory, CsumOffload, Fragment, Frame, FramePool, GsoKind, GsoOffload, LinkState,
    MacAddr, Port, Queue, RxChecksum, RxPacket, RxRing, TxOffload, TxPacket, TxRing,
};

use super::build::{Tcp, memory, settle};
use crate::checksum::{Verdict, fill_partial, verify};
use crate::{PortConfig, RxCsum, SimQueue, Wire};

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// A frame with these bytes and room for the driver.
fn head<'p>(pool: &'p FramePool<'p>, bytes: &[u8]) -> Frame<'p> {
    let mut frame = pool.alloc(64).unwrap();
    frame.append(bytes).unwrap();
    frame
}

fn plain<'p>(pool: &'p FramePool<'p>, bytes: &[u8]) -> TxPacket<'p> {
    TxPacket::new(head(pool, bytes), TxOffload::default())
}

fn bytes_of(packet: RxPacket<'_>) -> Vec<u8> {
    let RxPacket {
        frame, mut rest, ..
    } = packet;
    let mut bytes = frame.bytes().to_vec();
    while let Some(frame) = rest.pop_front() {
        bytes.extend_from_slice(frame.bytes());
    }
    bytes
}

fn receive<'p>(queue: &mut SimQueue<'p>) -> Vec<RxPacket<'p>> {
    let rx = queue.rings().0;
    let ready = rx.sync();
    let packets: Vec<_> = std::iter::from_fn(|| rx.recv()).collect();
    assert_eq!(packets.len(), ready);
    packets
}

fn send<'p>(queue: &mut SimQueue<'p>, packet: TxPacket<'p>) {
    let tx = queue.rings().1;
    tx.send(packet).unwrap();
    tx.sync();
}

#[test]
fn head_and_fragments_become_one_frame_and_the_lent_go_home_later() {
    let (mut bytes, mut metas) = memory(8);
    let (mut bytes_there, mut metas_there) = memory(8);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let pool_there = FramePool::new(&mut bytes_there, &mut metas_there);
    let wire = Wire::new(1);
    let config = PortConfig {
        fragments_max: 4,
        headroom: 12,
        completion_us: 50,
        rx_slots: 4,
        ..PortConfig::plain(HERE)
    };
    let mut here = wire.port(config).queue(0, &pool).unwrap();
    let mut there = wire
        .port(PortConfig {
            rx_slots: 4,
            headroom: 20,
            ..PortConfig::plain(THERE)
        })
        .queue(0, &pool_there)
        .unwrap();
    assert_eq!((pool.free_cnt(), pool_there.free_cnt()), (4, 4));

    let header = head(&pool, b"generated").share();
    let mut packet = plain(&pool, b"fourteen bytes");
    packet.append(Fragment::Frame(header.clone())).unwrap();
    packet.append(Fragment::Content(b"content")).unwrap();
    packet
        .append(Fragment::Frame(header.slice(3, 2).unwrap()))
        .unwrap();
    send(&mut here, packet);
    assert!(header.in_flight());
    wire.advance_to(49);
    here.rings().1.sync();
    assert!(header.in_flight(), "not before its time");
    wire.advance_to(50);
    assert!(header.in_flight(), "not before a sync");
    here.rings().1.sync();
    assert!(!header.in_flight());
    drop(header);
    assert_eq!(pool.free_cnt(), 4);

    let mut packets = receive(&mut there);
    let packet = packets.pop().unwrap();
    assert!(packets.is_empty());
    assert_eq!(packet.frame.headroom(), 20);
    assert_eq!(packet.csum, RxChecksum::Unknown);
    assert_eq!(bytes_of(packet), b"fourteen bytesgeneratedcontenter");
    drop((here, there));
    assert!(pool.all_home() && pool_there.all_home());
}

#[test]
fn a_full_transmit_ring_gives_the_packet_back_for_all_sizes() {
    for tx_slots in 1..=8usize {
        for fragments_max in 1..=tx_slots.min(4) {
            let (mut bytes, mut metas) = memory(40);
            let pool = FramePool::new(&mut bytes, &mut metas);
            let wire = Wire::new(1);
            let far = wire.tap();
            let config = PortConfig {
                tx_slots,
                fragments_max,
                rx_slots: 1,
                completion_us: 10,
                ..PortConfig::plain(HERE)
            };
            let mut here = wire.port(config).queue(0, &pool).unwrap();
            let full = |idx: u8| {
                let mut packet = plain(&pool, &[idx; 14]);
                for _ in 1..fragments_max {
                    packet.append(Fragment::Content(&[1])).unwrap();
                }
                packet
            };
            let space = here.rings().1.space();
            assert_eq!(space, tx_slots / fragments_max);
            for idx in 0..space {
                here.rings().1.send(full(idx as u8)).unwrap();
            }
            let back = here.rings().1.send(full(99)).unwrap_err();
            assert_eq!(back.head().bytes(), [99; 14]);
            assert_eq!(wire.next_at(), None, "nothing is seen before the sync");
            here.rings().1.sync();
            assert!(here.rings().1.send(back).is_err(), "still full");
            settle(&wire);
            here.rings().1.sync();
            assert_eq!(here.rings().1.space(), space);
            let captured = wire.captured(far);
            assert_eq!(captured.len(), space);
            for (idx, captured) in captured.iter().enumerate() {
                assert_eq!(captured.bytes[..14], [idx as u8; 14]);
            }
            drop(here);
            assert!(pool.all_home());
        }
    }
}

#[test]
fn a_full_receive_ring_drops_for_all_sizes() {
    for rx_slots in 1..=8usize {
        let (mut bytes, mut metas) = memory(16);
        let pool = FramePool::new(&mut bytes, &mut metas);
        let wire = Wire::new(1);
        let far = wire.tap();
        let mut port = wire.port(PortConfig {
            rx_slots,
            ..PortConfig::plain(HERE)
        });
        let mut here = port.queue(0, &pool).unwrap();
        for round in 0..5 {
            for idx in 0..10u8 {
                wire.inject(far, &[idx; 20]);
            }
            settle(&wire);
            let received: Vec<_> = receive(&mut here).into_iter().map(bytes_of).collect();
            // Slots that were emptied after the last sync are filled by this one.
            let expected = if round % 2 == 0 { rx_slots } else { 0 };
            assert_eq!(received.len(), expected);
            assert!(
                (0u8..)
                    .zip(&received)
                    .all(|(idx, bytes)| *bytes == [idx; 20])
            );
        }
        let counters = wire.counters(port.end());
        assert_eq!(counters.delivered, 3 * rx_slots as u64);
        assert_eq!(counters.ring_full, 50 - counters.delivered);
        drop(here);
        assert!(pool.all_home());
    }
}

#[test]
fn a_dry_pool_drops_and_recovers() {
    let (mut bytes, mut metas) = memory(4);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let far = wire.tap();
    let mut port = wire.port(PortConfig {
        rx_slots: 8,
        ..PortConfig::plain(HERE)
    });
    let mut here = port.queue(0, &pool).unwrap();
    let burst = || {
        for _ in 0..6 {
            wire.inject(far, &[7; 20]);
        }
        settle(&wire);
    };
    burst();
    let kept = receive(&mut here);
    assert_eq!(kept.len(), 4);
    burst();
    assert!(receive(&mut here).is_empty());
    drop(kept);
    assert!(receive(&mut here).is_empty(), "this sync fills the slots");
    burst();
    assert_eq!(receive(&mut here).len(), 4);
    let counters = wire.counters(port.end());
    assert_eq!((counters.no_frame, counters.ring_full), (2 + 6 + 2, 0));
    drop(here);
    assert!(pool.all_home());
}

#[test]
fn a_queue_is_handed_out_once_and_needs_a_frame() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let mut port = wire.port(PortConfig::plain(HERE));
    let taken = pool.alloc(0);
    assert!(port.queue(0, &pool).is_none(), "no frame");
    drop(taken);
    assert!(port.queue(1, &pool).is_none(), "no such queue");
    let queue = port.queue(0, &pool).unwrap();
    assert!(port.queue(0, &pool).is_none(), "handed out");
    drop(queue);
    assert!(pool.all_home());
}

#[test]
fn segments_for_one_end_and_the_whole_for_another() {
    let payload: &'static [u8] = Box::leak((0..=250u8).cycle().take(4001).collect());
    let tcp = Tcp {
        ident: 8,
        ..Tcp::v4(100, 0x18)
    };
    let mut frame = tcp.frame(payload);
    let csum = fill_partial(&mut frame).unwrap();
    let gso = GsoOffload {
        kind: GsoKind::TcpV4,
        gso_size: 1001,
        hdr_len: tcp.hdr_len(),
    };
    let partial = RxChecksum::Partial {
        csum_start: csum.csum_start,
        csum_offset: csum.csum_offset,
    };
    // Whether cut on the wire, then what the far device can do, then what it must give.
    let rows = [
        (false, false, RxCsum::Unknown, RxChecksum::Unknown, 4, 0),
        (false, false, RxCsum::Partial, RxChecksum::Verified, 4, 0),
        (false, true, RxCsum::Verify, RxChecksum::Verified, 1, 1001),
        (true, false, RxCsum::Verify, RxChecksum::Verified, 4, 0),
        (true, true, RxCsum::Unknown, RxChecksum::Unknown, 1, 1001),
        (true, true, RxCsum::Verify, RxChecksum::Verified, 1, 1001),
        (true, true, RxCsum::Partial, partial, 1, 1001),
    ];
    for (tso_uncut, rx_large, rx_csum, said, packets_cnt, gso_size) in rows {
        let (mut bytes, mut metas) = memory(80);
        let (mut bytes_there, mut metas_there) = memory(80);
        let pool = FramePool::new(&mut bytes, &mut metas);
        let pool_there = FramePool::new(&mut bytes_there, &mut metas_there);
        let wire = Wire::new(1);
        let mut port = wire.port(PortConfig {
            tso_uncut,
            ..PortConfig::offloads(HERE)
        });
        let mut port_there = wire.port(PortConfig {
            rx_csum,
            rx_large,
            rx_merge: rx_large,
            rx_piece_len_max: if rx_large { 301 } else { usize::MAX },
            ..PortConfig::offloads(THERE)
        });
        let mut here = port.queue(0, &pool).unwrap();
        let mut there = port_there.queue(0, &pool_there).unwrap();
        let offload = TxOffload {
            csum: Some(csum),
            gso: Some(gso),
        };
        let mut packet = TxPacket::new(head(&pool, &frame[..54]), offload);
        packet.append(Fragment::Content(payload)).unwrap();
        send(&mut here, packet);
        settle(&wire);
        let packets = receive(&mut there);
        assert_eq!(packets.len(), packets_cnt);
        let mut joined = Vec::new();
        for packet in packets {
            assert_eq!((packet.csum, packet.gso_size), (said, gso_size));
            if rx_large {
                assert_eq!(packet.rest.frames(), 4055usize.div_ceil(301) - 1);
                assert_eq!(packet.frame.len(), 301);
            }
            let bytes = bytes_of(packet);
            let expected = if said == partial {
                Verdict::Wrong
            } else {
                Verdict::Right
            };
            assert_eq!(verify(&bytes), expected);
            joined.extend_from_slice(&bytes[54..]);
        }
        assert_eq!(joined, payload);
        let counters = wire.counters(port.end());
        assert_eq!(counters.bad_csum_sent, 0);
        assert_eq!(counters.cut, u64::from(!(tso_uncut && rx_large)));
        drop((here, there));
        assert!(pool.all_home() && pool_there.all_home());
    }
}

#[test]
fn merging_never_takes_more_frames_than_there_are() {
    for rx_slots in 1..=8usize {
        let (mut bytes, mut metas) = memory(8);
        let pool = FramePool::new(&mut bytes, &mut metas);
        let wire = Wire::new(1);
        let far = wire.tap();
        let mut port = wire.port(PortConfig {
            rx_slots,
            rx_piece_len_max: 129,
            ..PortConfig::offloads(HERE)
        });
        let mut here = port.queue(0, &pool).unwrap();
        for round in 0..4 {
            for idx in 0..14 {
                let segment = Tcp::v4(1 + idx * 75, 0x10).whole(&[idx as u8; 75]);
                wire.inject(far, &segment);
            }
            settle(&wire);
            let packets = receive(&mut here);
            if round % 2 == 0 {
                // 54 bytes of headers, then 75 a segment, into 129 a frame.
                let fits = (rx_slots * 129 - 54) / 75;
                let payload_len: usize = packets.iter().map(|p| p.frame_len() - 54).sum();
                assert_eq!((packets.len(), payload_len), (1, fits * 75));
            } else {
                assert!(packets.is_empty());
            }
            assert!(
                packets
                    .into_iter()
                    .all(|p| verify(&bytes_of(p)) == Verdict::Right)
            );
        }
        let counters = wire.counters(port.end());
        assert_eq!(counters.delivered + counters.ring_full, 4 * 14);
        drop(here);
        assert!(pool.all_home());
    }
}

#[test]
fn checksums_are_completed_or_left_as_the_far_end_likes() {
    let tcp = Tcp::v4(1, 0x10);
    let mut frame = tcp.frame(b"odd");
    let csum = fill_partial(&mut frame).unwrap();
    let offload = TxOffload {
        csum: Some(csum),
        gso: None,
    };
    let wire = Wire::new(1);
    let near = wire.tap();
    let plain = wire.tap();
    let verify_tap = wire.tap_like(PortConfig::offloads(HERE));
    let partial_tap = wire.tap_like(PortConfig {
        rx_csum: RxCsum::Partial,
        ..PortConfig::offloads(HERE)
    });
    wire.inject_offload(near, &frame, offload).unwrap();
    let mut wrong = tcp.whole(b"odd");
    wrong[55] ^= 1;
    wire.inject(near, &wrong);
    settle(&wire);
    let captured = |end| {
        let captured = wire.captured(end).into_iter();
        captured.map(|c| (c.bytes, c.csum)).collect::<Vec<_>>()
    };
    let whole = tcp.whole(b"odd");
    let unknown = (wrong, RxChecksum::Unknown);
    assert_eq!(
        captured(plain),
        [(whole.clone(), RxChecksum::Unknown), unknown.clone()]
    );
    assert_eq!(
        captured(verify_tap),
        [(whole, RxChecksum::Verified), unknown.clone()]
    );
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 16,
    };
    assert_eq!(captured(partial_tap), [(frame, partial), unknown]);
    assert_eq!(wire.counters(near).bad_csum_sent, 3, "one to each end");
}

#[test]
fn an_armed_interrupt_comes_once_and_work_that_waits_is_seen() {
    let (mut bytes, mut metas) = memory(8);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let far = wire.tap();
    let mut port = wire.port(PortConfig {
        rx_slots: 4,
        completion_us: 7,
        ..PortConfig::plain(HERE)
    });
    let mut here = port.queue(0, &pool).unwrap();
    wire.inject(far, &[1; 20]);
    assert_eq!(here.arm(), Armed::Sleep);
    settle(&wire);
    assert!(wire.is_interrupted(port.end()));
    assert_eq!(here.arm(), Armed::Ready, "arrived, not synced");
    assert_eq!(here.rings().0.sync(), 1);
    assert!(!wire.is_interrupted(port.end()));
    assert_eq!(here.arm(), Armed::Ready, "synced, not received");
    drop(here.rings().0.recv());
    assert_eq!(here.arm(), Armed::Sleep);
    send(&mut here, plain(&pool, &[2; 20]));
    settle(&wire);
    assert!(wire.is_interrupted(port.end()), "by the completion");
    assert_eq!(here.arm(), Armed::Ready, "a frame to take home");
    here.rings().1.sync();
    assert_eq!(here.arm(), Armed::Sleep);
    assert_eq!(wire.counters(port.end()).interrupts, 2);
    here.rings().0.sync();
    wire.inject(far, &[1; 20]);
    settle(&wire);
    assert!(!wire.is_interrupted(port.end()), "a sync has disarmed");
    drop(here);
    assert!(pool.all_home());
}

#[test]
fn a_queue_that_is_dropped_with_all_under_way_sends_all_home() {
    let (mut bytes, mut metas) = memory(8);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let far = wire.tap();
    let mut port = wire.port(PortConfig {
        rx_slots: 4,
        completion_us: 100,
        ..PortConfig::plain(HERE)
    });
    let mut here = port.queue(0, &pool).unwrap();
    send(&mut here, plain(&pool, &[1; 20]));
    here.rings().1.send(plain(&pool, &[2; 20])).unwrap();
    wire.inject(far, &[3; 20]);
    wire.advance_to(5);
    wire.inject(far, &[4; 20]);
    drop(here);
    assert!(pool.all_home());
    settle(&wire);
    assert_eq!(wire.now_us(), 6, "nobody waits for the device any more");
    assert_eq!(
        wire.captured(far).len(),
        1,
        "what was not synced was not sent"
    );
    assert_eq!(
        wire.counters(port.end()).ring_full,
        1,
        "to a queue that is gone"
    );
}

#[test]
fn a_hub_gives_to_all_others_and_padding_is_added() {
    let wire = Wire::new(1);
    let ends = [
        wire.tap(),
        wire.tap(),
        wire.tap_like(PortConfig::plain(HERE)),
    ];
    wire.inject(ends[1], &[5; 20]);
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut port = wire.port(PortConfig {
        rx_slots: 1,
        is_padding: true,
        ..PortConfig::plain(THERE)
    });
    let mut queue = port.queue(0, &pool).unwrap();
    send(&mut queue, plain(&pool, &[6; 20]));
    settle(&wire);
    let lens = |end| {
        let captured = wire.captured(end).into_iter();
        captured.map(|c| c.bytes.len()).collect::<Vec<_>>()
    };
    assert_eq!(ends.map(lens), [vec![20, 60], vec![60], vec![20, 60]]);
    queue.rings().1.sync();
    drop(queue);
    assert!(pool.all_home());
}

#[test]
fn content_is_placed_within_the_region() {
    let (mut bytes, mut metas) = memory(4);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let far = wire.tap();
    let mut port = wire.port(PortConfig {
        fragments_max: 2,
        rx_slots: 1,
        body_memory: BodyMemory::Region,
        region_len: 9,
        ..PortConfig::plain(HERE)
    });
    // The trait has a lifetime for its pool, which these calls do not touch.
    let place = |port: &mut crate::SimPort, content| Port::<'_>::place(port, content);
    let placed = place(&mut port, b"content").unwrap();
    assert!(place(&mut port, b"abc").is_none(), "full");
    assert!(place(&mut port, b"ab").is_some());
    let mut queue = port.queue(0, &pool).unwrap();
    let mut packet = plain(&pool, &[6; 14]);
    packet.append(Fragment::Content(&placed[3..])).unwrap();
    send(&mut queue, packet);
    settle(&wire);
    assert_eq!(wire.captured(far)[0].bytes[14..], *b"tent");
    assert_eq!(Port::<'_>::link(&mut port), LinkState::Up);
    drop(queue);
    assert!(pool.all_home());
}

/// Sends one packet from a port of that configuration.
fn strict(config: PortConfig, make: impl FnOnce(&mut TxPacket<'_>), len: usize, ask: TxOffload) {
    let (mut bytes, mut metas) = memory(4);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let wire = Wire::new(1);
    let _far = wire.tap();
    let config = PortConfig {
        rx_slots: 1,
        ..config
    };
    let mut queue = wire.port(config).queue(0, &pool).unwrap();
    let mut packet = TxPacket::new(head(&pool, &vec![0; len]), ask);
    make(&mut packet);
    send(&mut queue, packet);
}

const ASK_CSUM: TxOffload = TxOffload {
    csum: Some(CsumOffload {
        csum_start: 34,
        csum_offset: 16,
    }),
    gso: None,
};
const ASK_GSO: TxOffload = TxOffload {
    csum: None,
    gso: Some(GsoOffload {
        kind: GsoKind::TcpV4,
        gso_size: 10,
        hdr_len: 54,
    }),
};

#[test]
fn the_longest_packet_is_sent() {
    strict(PortConfig::plain(HERE), |_| {}, 1514, TxOffload::default());
}

#[test]
#[should_panic = "the MTU is 1500"]
fn strict_about_the_mtu() {
    strict(PortConfig::plain(HERE), |_| {}, 1515, TxOffload::default());
}

#[test]
#[should_panic = "2 pieces of at most 1"]
fn strict_about_pieces() {
    let gather = |packet: &mut TxPacket<'_>| packet.append(Fragment::Content(b"x")).unwrap();
    strict(PortConfig::plain(HERE), gather, 60, TxOffload::default());
}

#[test]
#[should_panic = "content that was not placed"]
fn strict_about_the_region() {
    let config = PortConfig {
        fragments_max: 2,
        body_memory: BodyMemory::Region,
        ..PortConfig::plain(HERE)
    };
    let gather = |packet: &mut TxPacket<'_>| packet.append(Fragment::Content(b"x")).unwrap();
    strict(config, gather, 60, TxOffload::default());
}

#[test]
#[should_panic = "headroom of 64, the driver needs 65"]
fn strict_about_headroom() {
    let config = PortConfig {
        headroom: 65,
        ..PortConfig::plain(HERE)
    };
    strict(config, |_| {}, 60, TxOffload::default());
}

#[test]
#[should_panic = "checksum offload is not offered"]
fn strict_about_checksum_offload() {
    strict(PortConfig::plain(HERE), |_| {}, 60, ASK_CSUM);
}

#[test]
#[should_panic = "the checksum is not where the request says"]
fn strict_about_the_place_of_the_checksum() {
    strict(PortConfig::offloads(HERE), |_| {}, 51, ASK_CSUM);
}

#[test]
#[should_panic = "TcpV4 is not offered"]
fn strict_about_segmentation_offload() {
    strict(PortConfig::plain(HERE), |_| {}, 60, ASK_GSO);
}

#[test]
#[should_panic = "headers do not fit the request"]
fn strict_about_headers() {
    strict(PortConfig::offloads(HERE), |_| {}, 60, ASK_GSO);
}

#[test]
#[should_panic = "segmentation implies the checksum"]
fn strict_about_the_configuration() {
    let config = PortConfig {
        tx_csum: false,
        ..PortConfig::offloads(HERE)
    };
    strict(config, |_| {}, 60, TxOffload::default());
}
