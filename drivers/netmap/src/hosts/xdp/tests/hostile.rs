//! A kernel that writes anything at all: indices, addresses, lengths. What makes no sense is
//! counted; nothing is read that is not there, no frame has two owners, all come home.

use core::sync::atomic::Ordering;
use std::collections::BTreeSet;
use std::vec::Vec;

use simoom_ring::{Fragment, Frame, Queue, RxRing, TxOffload, TxPacket, TxRing};
use simoom_sim::Rng;

use super::super::rings::Desc;
use super::kernel::{Bench, content};
use crate::tests::frame_of;

/// A number that is often one of the ring's.
fn number(rng: &mut Rng) -> u32 {
    match rng.next_u64() % 8 {
        0 => u32::MAX,
        1 => rng.next_u64() as u32,
        2 => (rng.next_u64() % 70) as u32,
        _ => (rng.next_u64() % 20) as u32,
    }
}

fn lie(bench: &Bench, rng: &mut Rng) {
    let kernel = bench.kernel.borrow();
    let rings = [&kernel.fill, &kernel.completion, &kernel.rx, &kernel.tx];
    let ring = rings[(rng.next_u64() % 4) as usize];
    match rng.next_u64() % 5 {
        0 => ring.producer().store(number(rng), Ordering::Release),
        1 => ring.consumer().store(number(rng), Ordering::Release),
        2 => ring.flags().store(number(rng), Ordering::Release),
        3 => {
            let addr = u64::from(number(rng)) * [256, 1, 255][(rng.next_u64() % 3) as usize];
            kernel.rx.put(Desc {
                addr,
                len: number(rng),
                has_more: rng.next_u64().is_multiple_of(4),
            });
        }
        _ => {
            kernel.completion.put(u64::from(number(rng)) * 256);
        }
    }
}

#[test]
fn a_kernel_that_lies_is_counted_and_hurts_nobody() {
    let mut violations = 0;
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut bench = Bench::new(16, seed);
        let content = content(&mut bench.port);
        bench.kernel.borrow_mut().is_lying = true;
        let mut held: Vec<Frame<'static>> = Vec::new();
        for _ in 0..400 {
            match rng.next_u64() % 8 {
                0 | 1 => lie(&bench, &mut rng),
                2 => drop(bench.queue().rings().0.sync()),
                3 => bench.queue().rings().1.sync(),
                4 => {
                    if let Some(mut packet) = bench.queue().rings().0.recv() {
                        packet.frame.bytes_mut().fill(7);
                        held.push(packet.frame);
                        held.extend(core::iter::from_fn(|| packet.rest.pop_front()));
                    }
                }
                5 => {
                    if let Some(mut head) = bench.pool.alloc(0) {
                        head.append(&frame_of(1, 60)).expect("room");
                        let mut packet = TxPacket::new(head, TxOffload::default());
                        let body = Fragment::Content(&content[..100]);
                        packet.append(body).expect("the first");
                        drop(bench.queue().rings().1.send(packet));
                    }
                }
                6 => {
                    let _either = bench.queue().arm();
                }
                _ => held.clear(),
            }
            let names: BTreeSet<_> = held.iter().map(Frame::idx).collect();
            assert_eq!(names.len(), held.len(), "a frame with two owners");
        }
        let is_whole = content
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == (at % 251) as u8);
        assert!(is_whole, "content was written to");
        violations += bench.counters.violations();
        held.clear();
        bench.end();
    }
    assert!(
        violations > 1_000,
        "{violations} lies were noticed: not much of a test"
    );
}

#[test]
fn each_kind_of_lie_is_counted_once() {
    let mut bench = Bench::new(16, 1);
    bench.queue().rings().0.sync();
    let buf = u64::from(bench.rx_memory.slot(0).buf_idx) * 256;
    let descs = [
        ("a buffer that is nobody's", 256, 60),
        ("outside of the region", u64::MAX, 60),
        ("past a buffer's end", buf + 200, 57),
        ("longer than any", buf, u32::MAX),
        ("one of a transmit slot", 3 * 256, 60),
    ];
    for (n, (name, addr, len)) in (1_u64..).zip(descs) {
        let desc = Desc {
            addr,
            len,
            has_more: false,
        };
        assert!(bench.kernel.borrow().rx.put(desc));
        assert_eq!(bench.queue().rings().0.sync(), 0, "{name}");
        assert_eq!(bench.counters.bad_descs.get(), n, "{name}");
    }
    // The right one, and the same once more.
    for expected in [1, 1] {
        let desc = Desc {
            addr: buf + 100,
            len: 60,
            has_more: false,
        };
        assert!(bench.kernel.borrow().rx.put(desc));
        assert_eq!(bench.queue().rings().0.sync(), expected);
    }
    assert_eq!(bench.counters.bad_descs.get(), 6);

    // A transmit sync that has nothing to do asks for nothing: something must be on its way.
    let mut head = bench.pool.alloc(0).expect("frames");
    head.append(&frame_of(1, 60)).expect("room");
    let packet = TxPacket::new(head, TxOffload::default());
    bench.queue().rings().1.send(packet).expect("space");
    assert!(bench.kernel.borrow().completion.put(512_u64));
    bench.queue().rings().1.sync();
    assert_eq!(bench.counters.bad_completions.get(), 1);
    assert_eq!(bench.queue().tx_outstanding_cnt(), 1);
    bench.end();
}
