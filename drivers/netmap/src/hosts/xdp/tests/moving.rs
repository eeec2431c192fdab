//! Packets go over, whole and in order, however the kernel and the loop take turns.

use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use simoom_ring::{Fragment, Queue, RxPacket, RxRing, TxOffload, TxPacket, TxRing};
use simoom_sim::Rng;

use super::kernel::{Bench, CONTENT_LEN, content};
use crate::tests::{bytes_of, frame_of};

/// What is on its way, oldest first.
struct World {
    bench: Bench,
    content: &'static [u8],
    rng: Rng,
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    kept: Vec<RxPacket<'static>>,
    next: u8,
    moved: [u32; 2],
}

impl World {
    fn new(slots: u32, seed: u64) -> Self {
        let mut bench = Bench::new(slots, seed);
        let content = content(&mut bench.port);
        Self {
            bench,
            content,
            rng: Rng::new(seed ^ 77),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            kept: Vec::new(),
            next: 0,
            moved: [0; 2],
        }
    }

    fn pick(&mut self, cnt: usize) -> usize {
        (self.rng.next_u64() % cnt as u64) as usize
    }

    fn step(&mut self) {
        let some = self.pick(6);
        match self.pick(12) {
            0 | 1 => self.arrive(),
            2 => drop(self.bench.queue().rings().0.sync()),
            3 | 4 => self.recv(),
            5 => self.kept.truncate(some),
            6 | 7 => self.send(),
            8 => self.bench.queue().rings().1.sync(),
            9 => self.bench.kernel.borrow_mut().send(some as u32),
            10 => self.bench.kernel.borrow_mut().complete(some),
            _ => {
                let _either = self.bench.queue().arm();
                self.bench.kernel.borrow_mut().now_us += some as u64;
            }
        }
        self.look_at_sent();
    }

    /// A packet comes in, of one piece or several.
    fn arrive(&mut self) {
        let bytes = frame_of(self.next, 60 + self.pick(40));
        let cuts = [bytes.len(), 20, 30];
        let cut = cuts[self.pick(3)];
        let parts: Vec<&[u8]> = bytes.chunks(cut.max(20)).collect();
        if self.bench.kernel.borrow_mut().receive(&parts) {
            self.incoming.push_back(bytes);
            self.next = self.next.wrapping_add(1);
        }
    }

    fn recv(&mut self) {
        if let Some(packet) = self.bench.queue().rings().0.recv() {
            let expected = self.incoming.pop_front().expect("something came in");
            assert_eq!(bytes_of(&packet), expected);
            self.kept.push(packet);
            self.moved[0] += 1;
        }
    }

    /// A head, and often content behind it.
    fn send(&mut self) {
        let Some(mut head) = self.bench.pool.alloc(8) else {
            return;
        };
        let mut bytes = frame_of(self.next, 60);
        head.append(&bytes).expect("room");
        let mut packet = TxPacket::new(head, TxOffload::default());
        if self.pick(3) > 0 {
            let from = self.pick(CONTENT_LEN);
            let len = 1 + self.pick((CONTENT_LEN - from).min(400));
            let body = &self.content[from..from + len];
            packet.append(Fragment::Content(body)).expect("the first");
            bytes.extend_from_slice(body);
        }
        if self.bench.queue().rings().1.send(packet).is_ok() {
            self.outgoing.push_back(bytes);
            self.next = self.next.wrapping_add(1);
        }
    }

    fn look_at_sent(&mut self) {
        let sent = core::mem::take(&mut self.bench.kernel.borrow_mut().sent);
        for bytes in sent {
            assert_eq!(Some(bytes), self.outgoing.pop_front());
            self.moved[1] += 1;
        }
    }

    /// Lets everything through, and closes.
    fn end(mut self) -> [u32; 2] {
        for _ in 0..200 {
            self.bench.queue().rings().1.sync();
            self.bench.queue().rings().0.sync();
            let _either = self.bench.queue().arm();
            let mut kernel = self.bench.kernel.borrow_mut();
            kernel.send(u32::MAX);
            kernel.complete(usize::MAX);
            drop(kernel);
            self.recv();
            self.look_at_sent();
        }
        assert!(self.incoming.is_empty() && self.outgoing.is_empty());
        assert_eq!(self.bench.queue().tx_outstanding_cnt(), 0);
        let counters = self.bench.queue().counters();
        assert_eq!((counters.rx.resets, counters.tx.resets), (0, 0));
        assert_eq!(self.bench.counters.violations(), 0);
        self.kept.clear();
        self.bench.end();
        self.moved
    }
}

#[test]
fn packets_go_over_in_order_whatever_the_order_of_events() {
    let mut moved = [0; 2];
    for seed in 0..60 {
        let slots = [8, 16, 64][seed as usize % 3];
        let mut world = World::new(slots, seed);
        for _ in 0..3_000 {
            world.step();
        }
        let [rx, tx] = world.end();
        moved[0] += rx;
        moved[1] += tx;
    }
    assert!(
        moved[0] > 10_000 && moved[1] > 10_000,
        "{moved:?} packets: not much of a test"
    );
}

#[test]
fn a_closed_port_has_its_frames_home_whatever_the_kernel_has() {
    for seed in 0..60 {
        let mut world = World::new(16, seed);
        for _ in 0..seed * 7 {
            world.step();
        }
        let World { bench, kept, .. } = world;
        drop(kept);
        bench.end();
    }
}

#[test]
fn buffers_that_come_back_out_of_order_change_places() {
    let mut bench = Bench::new(8, 3);
    bench.queue().rings().0.sync();
    let before: Vec<u32> = (0..8)
        .map(|idx| bench.rx_memory.slot(idx).buf_idx)
        .collect();
    for n in 0..7 {
        assert!(bench.kernel.borrow_mut().receive(&[&frame_of(n, 60)]));
    }
    assert_eq!(bench.queue().rings().0.sync(), 7);
    let after: Vec<u32> = (0..8)
        .map(|idx| bench.rx_memory.slot(idx).buf_idx)
        .collect();
    assert_ne!(before, after, "the kernel of this seed shuffles");
    let sorted = |mut bufs: Vec<u32>| {
        bufs.sort_unstable();
        bufs
    };
    assert_eq!(sorted(before), sorted(after), "and no buffer is lost");
    let packets: Vec<_> = (0..7).map(|_| bench.queue().rings().0.recv()).collect();
    assert!(packets.iter().all(Option::is_some));
    drop(packets);
    bench.end();
}

#[test]
fn one_content_in_many_packets_is_given_back_once_for_each() {
    let mut bench = Bench::new(32, 1);
    let body = &content(&mut bench.port)[..60];
    let mut expected = vec![];
    for n in 0..4 {
        let mut head = bench.pool.alloc(0).expect("frames");
        head.append(&frame_of(n, 60)).expect("room");
        let mut packet = TxPacket::new(head, TxOffload::default());
        packet.append(Fragment::Content(body)).expect("the first");
        bench.queue().rings().1.send(packet).expect("space");
        expected.push([&frame_of(n, 60), body].concat());
    }
    bench.queue().rings().1.sync();
    let _ready = bench.queue().arm();
    assert_eq!(bench.kernel.borrow().sent, expected);
    for left in [6, 4, 2, 0] {
        bench.kernel.borrow_mut().complete(2);
        bench.queue().rings().1.sync();
        // In order: what is finished behind something that is not still counts.
        assert!(bench.queue().tx_outstanding_cnt() >= left);
    }
    assert_eq!(bench.queue().tx_outstanding_cnt(), 0);
    assert_eq!(bench.counters.violations(), 0);
    bench.end();
}
