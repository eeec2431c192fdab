//! Rings of all small sizes, at all places of their indices, against the other side.

use std::collections::VecDeque;

use simoom_sim::Rng;

use super::super::tests::kernel::FakeRing;
use super::*;

/// A ring whose indices begin at `at`, seen from our side.
fn producer(ring: &FakeRing, at: u32) -> Producer<u64> {
    // SAFETY: parts of a ring that was just made, in leaked memory.
    let mut producer = unsafe { Producer::new(ring.parts()) };
    (producer.written, producer.published, producer.consumed) = (at, at, at);
    producer
}

fn consumer(ring: &FakeRing, at: u32) -> Consumer<Desc> {
    // SAFETY: as before.
    let mut consumer = unsafe { Consumer::new(ring.parts()) };
    (consumer.read, consumer.given, consumer.produced) = (at, at, at);
    consumer
}

#[test]
fn entries_come_out_as_they_went_in_also_where_indices_wrap() {
    for size in [1, 2, 4, 8] {
        for at in [0, 5, u32::MAX - 3] {
            let (fill, rx) = (
                FakeRing::starting(size, 1, at),
                FakeRing::starting(size, 2, at),
            );
            let (mut ours, mut theirs) = (producer(&fill, at), consumer(&rx, at));
            let mut rng = Rng::new(u64::from(size));
            let (mut written, mut received) = (VecDeque::new(), VecDeque::new());
            for n in 0..500 {
                let desc = Desc {
                    addr: n << 33,
                    len: n as u32,
                    has_more: n % 3 == 0,
                };
                match rng.next_u64() % 6 {
                    0 => {
                        ours.learn();
                        let had_room = ours.room() > 0;
                        assert_eq!(ours.push(n), had_room);
                        if had_room {
                            written.push_back(n);
                        }
                    }
                    1 => drop(ours.publish()),
                    2 => {
                        if let Some(seen) = fill.take::<u64>() {
                            assert_eq!(Some(seen), written.pop_front());
                        }
                    }
                    3 => {
                        if rx.put(desc) {
                            received.push_back(desc);
                        }
                    }
                    4 => {
                        theirs.learn();
                        if let Some(seen) = theirs.pop() {
                            assert_eq!(Some(seen), received.pop_front());
                        }
                    }
                    _ => theirs.give_back(),
                }
                assert!(written.len() <= size as usize && received.len() <= size as usize);
            }
            assert_eq!((ours.bad_index, theirs.bad_index), (0, 0));
        }
    }
}

#[test]
fn what_is_not_published_is_not_seen() {
    let ring = FakeRing::starting(4, 1, 0);
    let mut ours = producer(&ring, 0);
    assert!(!ours.publish(), "nothing was written");
    assert!(ours.push(1) && ours.push(2));
    assert_eq!(ring.take::<u64>(), None);
    assert!(ours.publish());
    assert_eq!((ring.take(), ring.take()), (Some(1_u64), Some(2_u64)));
}

#[test]
fn an_index_that_cannot_be_is_not_believed() {
    for at in [0, 1, u32::MAX - 1] {
        // Two entries are visible, one is consumed: it may say 1 or 2 from here.
        for said in 0..12 {
            let ring = FakeRing::starting(4, 1, at);
            let mut ours = producer(&ring, at);
            (0..2).for_each(|n| assert!(ours.push(n)));
            ours.publish();
            assert!(ring.take::<u64>().is_some());
            assert_eq!(ours.learn(), 1);
            ring.consumer()
                .store(at.wrapping_add(said), Ordering::Release);
            let left = ours.learn();
            let is_good = (1..=2).contains(&said);
            assert_eq!(ours.bad_index, u64::from(!is_good), "{said}");
            assert_eq!(left, if said == 2 { 0 } else { 1 });
        }
        for said in 0..12 {
            let ring = FakeRing::starting(4, 2, at);
            let mut theirs = consumer(&ring, at);
            ring.producer().store(at.wrapping_add(1), Ordering::Release);
            assert_eq!(theirs.learn(), 1);
            ring.producer()
                .store(at.wrapping_add(said), Ordering::Release);
            let ready = theirs.learn();
            let is_good = (1..=4).contains(&said);
            assert_eq!(theirs.bad_index, u64::from(!is_good), "{said}");
            assert_eq!(ready, if is_good { said } else { 1 });
        }
    }
}

#[test]
fn a_kernel_without_flags_is_called_always() {
    let ring = FakeRing::starting(4, 1, 0);
    let parts = RingParts {
        flags: None,
        ..ring.parts()
    };
    // SAFETY: parts of a ring that was just made, in leaked memory.
    let ours: Producer<u64> = unsafe { Producer::new(parts) };
    assert!(ours.needs_wakeup());
    assert!(!producer(&ring, 0).needs_wakeup());
    ring.flags().store(1, Ordering::Relaxed);
    assert!(producer(&ring, 0).needs_wakeup());
}
