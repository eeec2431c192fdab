//! Packets of several slots, offsets into buffers, content by reference, virtio-net headers.

use std::vec::Vec;

use simoom_ring::{
    BodyMemory, Caps, Checksums, CsumOffload, Fragment, GsoKind, GsoOffload, Port, RxChecksum,
    Segmentation, TxOffload,
};
use simoom_sim::Rng;

use super::{Bench, Spec, bytes_of, frame_of};
use crate::Buffers;

/// Rings that gather: chains of up to 1 + 6 + 0 slots.
fn gathering() -> Spec {
    let mut spec = Spec::new(16, 16, Buffers::Stay);
    spec.plan.extra_bufs = 48;
    spec.content_len = 16 * 128;
    spec
}

/// Large packets in both directions, and every offload.
fn offloading() -> Spec {
    let mut spec = gathering();
    (spec.plan.tx_slots, spec.plan.rx_slots) = (64, 64);
    spec.traits.hdr_len = 12;
    spec.traits.checksums = Checksums { tx: true, rx: true };
    spec.traits.tso = Segmentation {
        tcp_v4: true,
        tcp_v6: false,
        udp: false,
        len_max: 1_024,
    };
    spec.traits.rx_large = true;
    spec
}

fn caps(spec: Spec) -> Caps {
    let bench = Bench::new(spec);
    let caps = bench.ends[0].port.caps();
    bench.end();
    caps
}

fn content(len: usize) -> &'static [u8] {
    (0..len)
        .map(|at| (at * 7 / 3) as u8)
        .collect::<Vec<_>>()
        .leak()
}

#[test]
fn capabilities_are_what_the_region_allows() {
    let gathers = caps(gathering());
    assert_eq!(
        (gathers.fragments_max, gathers.body_memory),
        (4, BodyMemory::Region)
    );
    let spec = gathering();
    let mut no_offsets = spec;
    no_offsets.plan.has_offsets = false;
    let mut small = spec;
    small.plan.tx_slots = 7;
    let mut moving = spec;
    moving.buffers = Buffers::Move;
    for spec in [no_offsets, small, moving] {
        let caps = caps(spec);
        assert_eq!(
            (caps.fragments_max, caps.body_memory),
            (1, BodyMemory::Anywhere)
        );
    }
    let offloads = caps(offloading());
    assert!(offloads.checksums.tx && offloads.tso.tcp_v4 && offloads.rx_large);
    assert_eq!(offloads.headroom, 12);
    // Offloads are asked for in the header: without one there are none.
    let mut headless = offloading();
    headless.traits.hdr_len = 0;
    let headless = caps(headless);
    assert_eq!(headless.checksums, Checksums::default());
    assert_eq!(headless.tso, Segmentation::default());
}

#[test]
fn content_at_any_offset_is_sent_from_where_it_lies() {
    let mut bench = Bench::new(gathering());
    let whole = content(16 * 128);
    let placed = bench.ends[0].port.place(whole).expect("room for it");
    assert!(bench.ends[0].port.place(&whole[..1]).is_none(), "full");
    assert_eq!(placed, whole);
    let mut rng = Rng::new(4);
    for _ in 0..2_000 {
        let head = frame_of(rng.next_u64() as u8, 14 + rng.below(40) as usize);
        let mut packet = bench.packet(0, &head).expect("frames");
        let mut expected = head;
        let mut shared = None;
        for _ in 0..rng.below(4) {
            let from = rng.below(2_000) as usize;
            let len = rng.below(18) as usize;
            if rng.below(3) == 0 {
                let mut frame = bench.ends[0].pool.alloc(5).expect("frames");
                frame.append(&whole[from..from + len]).expect("room");
                let held = frame.share();
                packet
                    .append(Fragment::Frame(held.clone()))
                    .expect("three at most");
                shared = Some(held);
            } else {
                let slice = Fragment::Content(&placed[from..from + len]);
                packet.append(slice).expect("three at most");
            }
            expected.extend_from_slice(&whole[from..from + len]);
        }
        bench.send(0, packet).expect("space");
        bench.sync_tx(0);
        bench.sync_rx(1);
        let packet = bench.recv(1).expect("it came in");
        assert_eq!(bytes_of(&packet), expected);
        bench.sync_tx(0);
        drop(shared);
    }
    let counters = bench.queue(0).counters().tx;
    assert_eq!((counters.bytes_moved, counters.dropped_request), (0, 0));
    assert_eq!(counters.finished, 1_999, "all but the one in the last slot");
    bench.end();
}

#[test]
fn content_that_was_not_placed_is_copied_as_long_as_there_are_frames() {
    let mut bench = Bench::new(gathering());
    let elsewhere = |bench: &Bench| {
        let mut packet = bench.packet(0, &frame_of(1, 60)).expect("frames");
        let slice = Fragment::Content(content(40));
        packet.append(slice).expect("the first");
        packet
    };
    let packet = elsewhere(&bench);
    bench.send(0, packet).expect("space");
    bench.sync_tx(0);
    bench.sync_rx(1);
    let received = bench.recv(1).expect("it came in");
    let expected = [&frame_of(1, 60)[..], content(40)].concat();
    assert_eq!(bytes_of(&received), expected);
    drop(received);
    let packet = elsewhere(&bench);
    let held: Vec<_> = std::iter::from_fn(|| bench.ends[0].pool.alloc(0)).collect();
    bench.send(0, packet).expect("taken, and dropped");
    drop(held);
    let counters = bench.queue(0).counters().tx;
    assert_eq!((counters.content_copied, counters.dropped_request), (40, 1));
    bench.end();
}

#[test]
fn requests_that_the_port_cannot_do_are_dropped_and_counted() {
    let mut bench = Bench::new(gathering());
    let mut csum = bench.packet(0, &frame_of(1, 60)).expect("frames");
    csum.set_offload(TxOffload {
        csum: Some(CsumOffload {
            csum_start: 34,
            csum_offset: 16,
        }),
        gso: None,
    });
    bench.send(0, csum).expect("taken, and dropped");
    assert_eq!(bench.queue(0).counters().tx.dropped_request, 1);
    bench.sync_tx(0);
    assert_eq!(bench.sync_rx(1), 0);
    bench.end();
}

#[test]
fn without_offsets_packets_are_moved_to_where_buffers_begin() {
    for buffers in [Buffers::Stay, Buffers::Shuffle, Buffers::Move] {
        let mut spec = Spec::new(4, 4, buffers);
        spec.plan.has_offsets = false;
        let mut bench = Bench::new(spec);
        let packet = bench.packet(0, &frame_of(3, 60)).expect("frames");
        bench.send(0, packet).expect("space");
        bench.sync_tx(0);
        bench.sync_rx(1);
        let packet = bench.recv(1).expect("it came in");
        assert_eq!(bytes_of(&packet), frame_of(3, 60));
        assert_eq!(bench.queue(0).counters().tx.bytes_moved, 60);
        drop(packet);
        bench.end();
    }
}

#[test]
fn a_super_segment_arrives_as_a_chain_with_its_header() {
    let mut bench = Bench::new(offloading());
    let whole = content(16 * 128);
    let placed = bench.ends[0].port.place(whole).expect("room for it");
    let csum = CsumOffload {
        csum_start: 34,
        csum_offset: 16,
    };
    let gso = GsoOffload {
        kind: GsoKind::TcpV4,
        gso_size: 50,
        hdr_len: 54,
    };
    for len in [1, 40, 61, 62, 63, 500, 970] {
        let mut packet = bench.packet(0, &frame_of(5, 54)).expect("frames");
        let slice = Fragment::Content(&placed[100..100 + len]);
        packet.append(slice).expect("the first");
        packet.set_offload(TxOffload {
            csum: Some(csum),
            gso: (len > 50).then_some(gso),
        });
        bench.send(0, packet).expect("space");
        bench.sync_tx(0);
        assert_eq!(bench.sync_rx(1), 1, "one packet, however many slots");
        let packet = bench.recv(1).expect("it came in");
        let expected = [&frame_of(5, 54)[..], &whole[100..100 + len]].concat();
        assert_eq!(bytes_of(&packet), expected);
        let frames = (12 + 54 + len).div_ceil(128);
        assert_eq!(packet.rest.frames(), frames - 1);
        let partial = RxChecksum::Partial {
            csum_start: 34,
            csum_offset: 16,
        };
        assert_eq!(packet.csum, partial);
        assert_eq!(packet.gso_size, if len > 50 { 50 } else { 0 });
    }
    bench.end();
}

#[test]
fn packets_without_header_or_for_nobody_are_dropped_and_counted() {
    let mut spec = offloading();
    spec.traits.rx_large = false;
    let mut bench = Bench::new(spec);
    let packet = bench.packet(0, &frame_of(5, 13)).expect("frames");
    bench.send(0, packet).expect("space");
    let mut packet = bench.packet(0, &frame_of(5, 54)).expect("frames");
    packet.set_offload(TxOffload {
        csum: Some(CsumOffload {
            csum_start: 50,
            csum_offset: 3,
        }),
        gso: None,
    });
    bench.send(0, packet).expect("space");
    bench.sync_tx(0);
    assert_eq!(bench.sync_rx(1), 2);
    assert!(bench.recv(1).is_none());
    let counters = bench.queue(1).counters().rx;
    assert_eq!((counters.dropped_short, counters.dropped_header), (1, 1));
    bench.end();
}
