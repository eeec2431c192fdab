//! Frames go over, whatever the sizes of the rings and whoever syncs when.

use std::collections::VecDeque;
use std::vec::Vec;

use simoom_ring::{Armed, Queue, TxRing};
use simoom_sim::Rng;

use super::{Bench, Spec, bytes_of, frame_of};
use crate::Buffers;

const ALL: [Buffers; 3] = [Buffers::Stay, Buffers::Shuffle, Buffers::Move];

/// A pair of ports, and what is to come out of it.
struct World {
    bench: Bench,
    /// What was sent from each end and has not come out, oldest first.
    expected: [VecDeque<Vec<u8>>; 2],
    kept: [Vec<simoom_ring::RxPacket<'static>>; 2],
    sent_cnt: u8,
    moved_cnt: usize,
}

impl World {
    fn new(spec: Spec) -> Self {
        Self {
            bench: Bench::new(spec),
            expected: Default::default(),
            kept: Default::default(),
            sent_cnt: 0,
            moved_cnt: 0,
        }
    }

    fn step(&mut self, op: u64) {
        let end = (op & 1) as usize;
        match op >> 1 {
            0 => self.send(end),
            1 => self.bench.sync_tx(end),
            2 => drop(self.bench.sync_rx(end)),
            3 => self.recv(end),
            _ => self.kept[end].clear(),
        }
    }

    fn send(&mut self, end: usize) {
        let bytes = frame_of(self.sent_cnt, 60);
        let space = self.bench.queue(end).rings().1.space();
        let Some(packet) = self.bench.packet(end, &bytes) else {
            return;
        };
        match self.bench.send(end, packet) {
            Ok(()) => {
                self.sent_cnt = self.sent_cnt.wrapping_add(1);
                self.expected[end].push_back(bytes);
            }
            Err(packet) => {
                assert_eq!(space, 0, "there was space");
                assert_eq!(packet.head().bytes(), bytes, "given back as it was");
            }
        }
    }

    fn recv(&mut self, end: usize) {
        if let Some(packet) = self.bench.recv(end) {
            let expected = self.expected[1 - end].pop_front();
            assert_eq!(Some(bytes_of(&packet)), expected);
            self.kept[end].push(packet);
            self.moved_cnt += 1;
        }
    }

    /// With nothing kept all that was sent comes out, and all frames go home.
    fn finish(mut self) -> usize {
        for _ in 0..30 {
            for end in [0, 1] {
                self.kept[end].clear();
                self.bench.sync_tx(end);
                self.bench.sync_rx(end);
                self.recv(end);
            }
        }
        assert!(self.expected.iter().all(VecDeque::is_empty), "all came out");
        self.kept.iter_mut().for_each(Vec::clear);
        for end in [0, 1] {
            let counters = self.bench.queue(end).counters();
            // The last one's slot is the far side's for now.
            let finished = counters.tx.finished + u64::from(counters.tx.packets > 0);
            assert!(
                (counters.tx.packets..=counters.tx.packets + 1).contains(&finished),
                "{counters:?}"
            );
            assert_eq!((counters.tx.resets, counters.rx.resets), (0, 0));
            assert_eq!(counters.tx.bytes_moved, 0);
        }
        self.bench.end();
        self.moved_cnt
    }
}

#[test]
fn every_order_of_five_steps_in_rings_of_two_slots() {
    for buffers in ALL {
        // One direction; what is left out by then is taken out at the end.
        let ops = [0, 2, 5, 7, 9];
        for program in 0..5_u64.pow(5) {
            let mut world = World::new(Spec::new(2, 2, buffers));
            let mut rest = program;
            for _ in 0..5 {
                world.step(ops[(rest % 5) as usize]);
                rest /= 5;
            }
            world.finish();
        }
    }
}

#[test]
fn all_ring_sizes_up_to_eight_with_syncs_in_any_order() {
    for buffers in ALL {
        for tx_slots in 2..=8 {
            for rx_slots in 2..=8 {
                let mut moved_cnt = 0;
                for seed in 0..if cfg!(miri) { 1 } else { 8 } {
                    let mut rng = Rng::new(seed * 64 + u64::from(tx_slots * 8 + rx_slots));
                    let mut world = World::new(Spec::new(tx_slots, rx_slots, buffers));
                    for _ in 0..if cfg!(miri) { 50 } else { 400 } {
                        world.step(rng.below(10));
                    }
                    moved_cnt += world.finish();
                }
                assert!(moved_cnt > 0, "{tx_slots} and {rx_slots} slots");
            }
        }
    }
}

#[test]
fn a_pool_without_frames_keeps_slots_and_fills_them_later() {
    let mut spec = Spec::new(8, 4, Buffers::Stay);
    spec.plan.extra_bufs = 0;
    let mut bench = Bench::new(spec);
    let mut hoard = Vec::new();
    while let Some(frame) = bench.ends[1].pool.alloc(0) {
        hoard.push(frame);
    }
    for n in 0..3 {
        let packet = bench.packet(0, &frame_of(n, 60)).expect("frames");
        bench.send(0, packet).expect("space");
    }
    bench.sync_tx(0);
    assert_eq!(bench.sync_rx(1), 3);
    let kept: Vec<_> = (0..3).map(|_| bench.recv(1).expect("ready")).collect();
    assert!(bench.recv(1).is_none());
    for _ in 0..3 {
        let packet = bench.packet(0, &frame_of(9, 60)).expect("frames");
        bench.send(0, packet).expect("space");
    }
    bench.sync_tx(0);
    assert_eq!(bench.sync_rx(1), 0, "no slot could be filled");
    assert_eq!(bench.queue(1).counters().rx.pool_empty, 1);
    drop(kept);
    bench.sync_rx(1);
    assert_eq!(bench.sync_rx(1), 3, "the wire held them back");
    drop(hoard);
    while bench.recv(1).is_some() {}
    bench.end();
}

#[test]
fn arming_sees_what_came_in_since_the_last_sync() {
    let mut bench = Bench::new(Spec::new(4, 4, Buffers::Stay));
    assert_eq!(bench.queue(1).arm(), Armed::Sleep);
    let packet = bench.packet(0, &frame_of(1, 60)).expect("frames");
    bench.send(0, packet).expect("space");
    assert_eq!(bench.queue(1).arm(), Armed::Sleep, "not published");
    bench.sync_tx(0);
    assert_eq!(bench.queue(1).arm(), Armed::Ready);
    bench.sync_rx(1);
    assert_eq!(bench.queue(1).arm(), Armed::Ready, "not received");
    drop(bench.recv(1));
    assert_eq!(bench.queue(1).arm(), Armed::Sleep);
    bench.end();
}

#[test]
fn several_rings_are_several_queues() {
    let mut spec = Spec::new(4, 4, Buffers::Stay);
    spec.plan.rings = 3;
    let mut bench = Bench::new(spec);
    let mut queues = Vec::new();
    for idx in 1..3 {
        for end in &mut bench.ends {
            use simoom_ring::Port;
            assert_eq!(end.port.caps().queues, 3);
            queues.push(end.port.queue(idx, end.pool).expect("a ring pair"));
            assert!(end.port.queue(3, end.pool).is_none());
        }
    }
    // Ring 2 of end 0 and of end 1.
    let packet = bench.packet(0, &frame_of(7, 60)).expect("frames");
    queues[2].rings().1.send(packet).expect("space");
    queues[2].rings().1.sync();
    for (queue, expected) in queues.iter_mut().zip([0, 0, 0, 1]) {
        use simoom_ring::RxRing;
        assert_eq!(queue.rings().0.sync(), expected);
        drop(queue.rings().0.recv());
    }
    bench.audit();
    drop(queues);
    bench.end();
}

#[test]
fn a_packet_to_an_end_that_is_gone_is_counted() {
    let mut bench = Bench::new(Spec::new(4, 4, Buffers::Stay));
    bench.ends[1].queue = None;
    {
        use simoom_ring::{LinkState, Port};
        assert_eq!(bench.ends[0].port.link(), LinkState::Down);
        assert_eq!(bench.ends[1].port.link(), LinkState::Up);
    }
    let packet = bench.packet(0, &frame_of(1, 60)).expect("frames");
    bench.send(0, packet).expect("space");
    bench.sync_tx(0);
    assert_eq!(bench.wires[0].borrow().counters().dropped_stopped, 1);
    bench.end();
}
