//! Frames that move, with a device that keeps the rules.

use std::vec::Vec;

use simoom_ring::{
    Armed, CsumOffload, Fragment, GsoKind, GsoOffload, Queue, RxChecksum, RxRing, TxOffload,
    TxPacket, TxRing,
};

use super::fake_device::FakeDevice;
use super::{Bench, frame_of, with_fragments};
use crate::Features;

#[test]
fn received_frame_begins_at_the_ethernet_header() {
    for device in [FakeDevice::modern(), FakeDevice::legacy()] {
        let mut bench = Bench::new(device, 64);
        let hdr_len = bench.device().hdr_len();
        assert!(bench.recv().is_none());
        assert!(bench.device().deliver(0, (0, 0), &frame_of(7, 60)));
        let packet = bench.recv().unwrap();
        assert_eq!(packet.frame.bytes(), frame_of(7, 60));
        assert_eq!(packet.frame.headroom(), hdr_len);
        assert_eq!(packet.csum, RxChecksum::Unknown);
        assert_eq!((packet.gso_size, packet.rest.frames()), (0, 0));
        assert!(bench.recv().is_none());
        drop(packet);
        bench.end();
    }
}

#[test]
fn burst_arrives_in_order_up_to_the_largest_frame() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    let largest = 2048 - 12;
    for n in 0..16 {
        let len = if n == 15 {
            largest
        } else {
            14 + usize::from(n)
        };
        assert!(bench.device().deliver(0, (0, 0), &frame_of(n, len)));
    }
    assert!(
        !bench.device().deliver(0, (0, 0), &[0; 60]),
        "ring is empty"
    );
    let (rx, _) = bench.queue.rings();
    assert_eq!(rx.sync(), 16);
    for n in 0..16 {
        let packet = rx.recv().unwrap();
        let len = if n == 15 {
            largest
        } else {
            14 + usize::from(n)
        };
        assert_eq!(packet.frame.bytes(), frame_of(n, len));
    }
    assert!(rx.recv().is_none());
    rx.sync();
    assert_eq!(bench.queue.rx_lent_cnt(), 16, "spares took their places");
    assert_eq!(bench.queue.counters().rx.frames, 16);
    bench.end();
}

#[test]
fn checksum_state_comes_from_the_header_if_agreed_on() {
    let frame = frame_of(1, 60);
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 16,
    };
    for has_csum in [true, false] {
        let mut device = FakeDevice::modern();
        if !has_csum {
            device = device.without(Features::GUEST_CSUM);
        }
        let mut bench = Bench::new(device, 64);
        let rows = [
            (1, partial),
            (2, RxChecksum::Verified),
            (0, RxChecksum::Unknown),
        ];
        for (flags, expected) in rows {
            bench.device().deliver(flags, (34, 16), &frame);
            let expected = if has_csum {
                expected
            } else {
                RxChecksum::Unknown
            };
            assert_eq!(bench.recv().unwrap().csum, expected);
        }
        bench.end();
    }
}

#[test]
fn short_and_senseless_frames_are_dropped_and_counted() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    for len in [0, 1, 9, 10, 12, 25] {
        assert!(bench.device().deliver_bytes(&frame_of(0, len)));
    }
    // A partial checksum beyond the frame's end; segments of another protocol, or of nothing.
    bench.device().deliver(1, (59, 0), &frame_of(2, 60));
    for gso_type in [1, 3] {
        let mut many = frame_of(0, 72);
        (many[1], many[4]) = (gso_type, gso_type / 2);
        bench.device().deliver_bytes(&many);
    }
    bench.device().deliver(0, (0, 0), &frame_of(3, 14));
    assert_eq!(bench.recv().unwrap().frame.bytes(), frame_of(3, 14));
    let counters = bench.queue.counters();
    assert_eq!(counters.rx.dropped_short, 6);
    assert_eq!(counters.rx.dropped_header, 3);
    assert_eq!(counters.rx.frames, 1);
    assert_eq!(counters.resets, 0);
    bench.end();
}

#[test]
fn empty_pool_leaves_the_ring_short_until_frames_come_home() {
    let mut bench = Bench::new(FakeDevice::modern(), 8);
    assert_eq!(bench.queue.rx_lent_cnt(), 4, "half of the pool at most");
    let mut kept: Vec<_> = (0..4).map(|_| bench.pool.alloc(0).unwrap()).collect();
    for n in 0..4 {
        assert!(bench.device().deliver(0, (0, 0), &frame_of(n, 60)));
    }
    assert_eq!(bench.queue.rings().0.sync(), 4);
    while let Some(packet) = bench.queue.rings().0.recv() {
        kept.push(packet.frame);
    }
    assert_eq!(kept.len(), 8);
    assert!(bench.recv().is_none());
    assert_eq!(bench.queue.rx_lent_cnt(), 0);
    assert!(bench.queue.counters().rx.pool_empty >= 1);
    assert_eq!(bench.queue.arm(), Armed::Sleep, "nothing to refill with");
    drop(kept.pop());
    assert_eq!(bench.queue.arm(), Armed::Ready, "a frame for the ring");
    assert!(bench.recv().is_none());
    assert_eq!(bench.queue.rx_lent_cnt(), 1);
    kept.clear();
    assert!(bench.recv().is_none());
    assert_eq!(bench.queue.rx_lent_cnt(), 4);
    assert!(bench.device().deliver(0, (0, 0), &frame_of(9, 60)));
    assert_eq!(bench.recv().unwrap().frame.bytes(), frame_of(9, 60));
    bench.end();
}

#[test]
fn packet_is_one_chain_of_its_pieces() {
    static CONTENT: [u8; 3000] = [0x55; 3000];
    for device in [FakeDevice::modern(), FakeDevice::legacy()] {
        let mut bench = Bench::new(device, 64);
        let free_cnt = bench.pool.free_cnt();
        let shared = bench.head(&[0x66; 20]).share();
        let held = shared.clone();
        let packet = with_fragments(
            bench.packet(&[0x11; 54]),
            [
                Fragment::Content(&CONTENT),
                Fragment::Frame(shared),
                Fragment::Content(&CONTENT[..1]),
            ],
        );
        bench.send(packet).unwrap();
        assert!(
            bench.device().tx().pop().is_none(),
            "nothing shows before sync"
        );
        bench.sync_tx();
        assert_eq!(bench.device().take_kick(), Some(1));
        assert!(held.in_flight());
        let sent = bench.device().transmit().unwrap();
        assert_eq!(sent.pieces, 4, "the header shares the head's");
        assert!(sent.header.iter().all(|byte| *byte == 0));
        let mut expected = [0x11; 54].to_vec();
        expected.extend(CONTENT);
        expected.extend([0x66; 20]);
        expected.push(0x55);
        assert_eq!(sent.frame, expected);
        assert_eq!(bench.pool.free_cnt(), free_cnt - 2);
        bench.sync_tx();
        assert_eq!(bench.pool.free_cnt(), free_cnt - 1, "one is held still");
        assert!(!held.in_flight());
        drop(held);
        assert_eq!(bench.pool.free_cnt(), free_cnt);
        bench.end();
    }
}

#[test]
fn empty_fragments_take_no_descriptor_and_go_home() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    let packet = with_fragments(
        bench.packet(&[1; 60]),
        [
            Fragment::Content(&[]),
            Fragment::Frame(bench.head(&[]).share()),
            Fragment::Content(&[2]),
        ],
    );
    let free_cnt = bench.pool.free_cnt();
    bench.send(packet).unwrap();
    assert_eq!(bench.pool.free_cnt(), free_cnt + 1);
    bench.sync_tx();
    assert_eq!(bench.device().transmit().unwrap().pieces, 2);
    bench.sync_tx();
    bench.end();
}

#[test]
fn full_ring_gives_the_packet_back_whole() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    for sent in 0..16 {
        let (_, tx) = bench.queue.rings();
        assert_eq!(tx.space(), (16 - sent) / 4);
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
    }
    let packet = bench.packet(&[2; 60]);
    let back = bench.send(packet).unwrap_err();
    assert_eq!(back.head().bytes(), [2; 60], "no header pushed");
    bench.sync_tx();
    let back = bench.send(back).unwrap_err();
    assert!(bench.device().transmit().is_some());
    bench.sync_tx();
    bench.send(back).unwrap();
    bench.sync_tx();
    for _ in 0..15 {
        assert_eq!(bench.device().transmit().unwrap().frame, [1; 60]);
    }
    assert_eq!(bench.device().transmit().unwrap().frame, [2; 60]);
    bench.sync_tx();
    assert_eq!(bench.queue.tx_outstanding_cnt(), 0);
    assert_eq!(bench.queue.counters().tx.finished, 17);
    bench.end();
}

#[test]
fn packet_of_four_pieces_wants_four_descriptors() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    for _ in 0..13 {
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
    }
    let content = [const { Fragment::Content(&[3; 100]) }; 3];
    let large = with_fragments(bench.packet(&[2; 60]), content);
    let large = bench.send(large).unwrap_err();
    assert_eq!(large.pieces(), 4);
    let packet = bench.packet(&[1; 60]);
    bench.send(packet).unwrap();
    drop(large);
    bench.end();
}

#[test]
fn offload_request_is_in_the_header_and_refused_without_the_feature() {
    let csum = Some(CsumOffload {
        csum_start: 34,
        csum_offset: 16,
    });
    let gso = Some(GsoOffload {
        kind: GsoKind::TcpV4,
        gso_size: 1460,
        hdr_len: 54,
    });
    let device = FakeDevice::modern().without(Features::HOST_TSO4);
    let mut bench = Bench::new(device, 64);
    let packet = TxPacket::new(bench.head(&[1; 60]), TxOffload { csum, gso: None });
    bench.send(packet).unwrap();
    bench.sync_tx();
    let header = bench.device().transmit().unwrap().header;
    assert_eq!(header, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
    // Segmentation is not agreed on; nor is it possible without the checksum.
    for csum in [csum, None] {
        let packet = TxPacket::new(bench.head(&[1; 60]), TxOffload { csum, gso });
        bench.send(packet).unwrap();
    }
    // No headroom for the driver's header.
    let bare = bench.pool.alloc(11).unwrap();
    bench
        .send(TxPacket::new(bare, TxOffload::default()))
        .unwrap();
    assert_eq!(bench.queue.counters().tx.dropped_request, 3);
    bench.sync_tx();
    assert!(bench.device().transmit().is_none());
    bench.end();

    let mut plain = Bench::new(FakeDevice::modern().without(Features::CSUM), 64);
    let packet = TxPacket::new(plain.head(&[1; 60]), TxOffload { csum, gso: None });
    plain.send(packet).unwrap();
    assert_eq!(plain.queue.counters().tx.dropped_request, 1);
    plain.end();
}

#[test]
fn arm_sleeps_only_with_nothing_to_do() {
    for device in [
        FakeDevice::modern(),
        FakeDevice::modern().without(Features::EVENT_IDX),
    ] {
        let mut bench = Bench::new(device, 64);
        assert_eq!(bench.queue.arm(), Armed::Sleep);
        bench.device().deliver(0, (0, 0), &frame_of(1, 60));
        assert_eq!(bench.queue.arm(), Armed::Ready);
        assert!(bench.recv().is_some());
        assert_eq!(bench.queue.arm(), Armed::Ready, "a spare for the ring");
        assert!(bench.recv().is_none());
        assert_eq!(bench.queue.arm(), Armed::Sleep);
        bench.end();
    }
}

#[test]
fn line_falls_before_the_second_look() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    bench.device().raise_line();
    bench.recv();
    assert!(!bench.device().is_acknowledged(), "polling does not care");
    assert_eq!(bench.queue.arm(), Armed::Sleep);
    assert!(bench.device().is_acknowledged());
    // Raised by a change of the configuration, while awake: it must fall again for the next sleep.
    bench.recv();
    bench.device().raise_line();
    assert_eq!(bench.queue.arm(), Armed::Sleep);
    assert!(bench.device().is_acknowledged());
    bench.end();
}

#[test]
fn finished_packets_wake_us_when_frames_are_short() {
    let mut bench = Bench::new(FakeDevice::modern(), 16);
    // One packet out of many frames: nobody waits for it.
    let packet = bench.packet(&[1; 60]);
    bench.send(packet).unwrap();
    bench.sync_tx();
    assert_eq!(bench.queue.arm(), Armed::Sleep);
    let is_tx_armed = |bench: &Bench| {
        let mut device = bench.device();
        let used_idx = device.tx().used_idx;
        device.tx().used_event() == used_idx
    };
    assert!(!is_tx_armed(&bench));
    // The pool runs low: what is being sent is what there is to wait for.
    for _ in 0..5 {
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
    }
    bench.sync_tx();
    assert_eq!(bench.queue.arm(), Armed::Sleep);
    assert!(is_tx_armed(&bench));
    assert!(bench.device().transmit().is_some());
    assert_eq!(bench.queue.arm(), Armed::Ready);
    bench.end();
}

#[test]
fn finished_packets_wake_us_when_the_ring_is_half_full() {
    let mut bench = Bench::new(FakeDevice::modern(), 128);
    for sent in 1..=16u16 {
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
        bench.sync_tx();
        assert_eq!(bench.queue.arm(), Armed::Sleep);
        let is_armed = bench.device().tx().used_event() == 0;
        assert_eq!(is_armed, sent > 8, "{sent} of 16");
    }
    bench.end();
}

#[test]
fn device_that_sleeps_is_kicked_for_new_receive_frames() {
    for device in [
        FakeDevice::modern(),
        FakeDevice::modern().without(Features::EVENT_IDX),
    ] {
        let mut bench = Bench::new(device, 64);
        assert_eq!(bench.device().take_kick(), Some(0), "the first frames");
        for round in 0..100u16 {
            assert!(bench.device().deliver(0, (0, 0), &[0; 60]));
            assert!(bench.recv().is_some());
            assert_eq!(bench.device().take_kick(), None, "nothing new to tell");
            // It looks for a buffer after all that it knows of, and finds none.
            bench.device().rx().store_avail_event(16 + round);
            assert!(bench.recv().is_none());
            assert_eq!(bench.device().take_kick(), Some(0), "round {round}");
        }
        assert_eq!(bench.queue.counters().rx.kicks, 101);
        bench.end();
    }
}

/// Each received frame goes back out as it is, with no frame taken from the pool for it; the device
/// sleeps whenever it has caught up, so that one lost kick would end the test.
#[test]
fn echo_through_many_wraps_with_a_device_that_sleeps() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    for has_event_idx in [true, false] {
        let mut device = FakeDevice::modern();
        if !has_event_idx {
            device = device.without(Features::EVENT_IDX);
        }
        let mut bench = Bench::new(device, 64);
        bench.device().take_kick();
        for round in 0..rounds {
            let burst = 1 + round % 16;
            for n in 0..burst {
                let n = (round + n) as u8;
                assert!(bench.device().deliver(0, (0, 0), &frame_of(n, 60)));
            }
            let (rx, tx) = bench.queue.rings();
            assert_eq!(rx.sync(), burst);
            while let Some(packet) = rx.recv() {
                tx.send(TxPacket::new(packet.frame, TxOffload::default()))
                    .unwrap();
            }
            bench.device().take_kick();
            bench.sync_tx();
            let mut device = bench.device();
            assert_eq!(device.take_kick(), Some(1), "round {round}");
            for n in 0..burst {
                let sent = device.transmit().unwrap();
                assert_eq!(sent.frame, frame_of((round + n) as u8, 60));
            }
            assert!(device.transmit().is_none());
            let idx = device.tx().last_avail_idx;
            device.tx().store_avail_event(idx);
            drop(device);
            bench.sync_tx();
            assert_eq!(bench.queue.rings().0.sync(), 0, "spares for the next burst");
        }
        let counters = bench.queue.counters();
        assert_eq!(counters.tx.kicks, rounds as u64, "one a burst");
        assert_eq!(counters.rx.frames, counters.tx.packets);
        assert_eq!(counters.resets, 0);
        bench.end();
    }
}
