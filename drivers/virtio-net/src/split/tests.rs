use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::tests::fake_ring::FakeRing;

/// A queue, the device's side of it, and the frames that have come home.
struct Bench {
    queue: SplitQueue<'static>,
    device: FakeRing,
    home: Vec<u32>,
    base: *mut u8,
    layout: Layout,
}

impl Bench {
    fn new(size: u16, has_event_idx: bool) -> Self {
        let layout = Layout::from_size_align(SplitQueue::byte_len(size), 4096).unwrap();
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) };
        let shadow = vec![Shadow::EMPTY; size.into()].leak();
        // SAFETY: as long and as aligned as it must be, and freed after the queue.
        let queue =
            unsafe { SplitQueue::new(NonNull::new(base).unwrap(), shadow, has_event_idx) }.unwrap();
        let device = FakeRing::at(base, queue.areas(), size);
        Self {
            queue,
            device,
            home: Vec::new(),
            base,
            layout,
        }
    }

    /// Adds a chain of `len` pieces, whose frames are numbered from `first` on.
    fn add(&mut self, first: u32, len: usize, is_writable: bool) -> Result<(), Full> {
        let pieces: Vec<_> = (first..)
            .take(len)
            .map(|idx| Piece {
                addr: 0x1000 * u64::from(idx + 1),
                len: 100,
                is_writable,
                frame: Some(FrameIdx(idx)),
            })
            .collect();
        self.queue.add(&pieces)
    }

    fn reap(&mut self) -> Result<Option<u32>, Violation> {
        let home = &mut self.home;
        self.queue.reap(|frame| home.push(frame.0))
    }

    fn learn_and_reap(&mut self) -> Result<usize, Violation> {
        let ready_cnt = self.queue.learn()?;
        for _ in 0..ready_cnt {
            self.reap()?.expect("learn has counted it");
        }
        assert_eq!(self.reap(), Ok(None));
        Ok(ready_cnt.into())
    }

    fn reset(&mut self) {
        let home = &mut self.home;
        self.queue.reset(|frame| home.push(frame.0));
        self.device.last_avail_idx = 0;
        self.device.used_idx = 0;
    }

    fn sorted_home(&mut self) -> Vec<u32> {
        self.home.sort_unstable();
        core::mem::take(&mut self.home)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: from `new`; nothing looks at it any more.
        unsafe { dealloc(self.base, self.layout) };
    }
}

#[test]
fn sizes_other_than_powers_of_two_are_refused() {
    for size in [0, 3, 5, 6, 7, 40_000, 65_535, 65_536] {
        let shadow = vec![Shadow::EMPTY; size].leak();
        // SAFETY: refused before it is looked at.
        let queue = unsafe { SplitQueue::new(NonNull::dangling(), shadow, false) };
        assert!(queue.is_none(), "{size}");
    }
}

#[test]
fn areas_lie_where_legacy_devices_look() {
    for log in 0..=15 {
        let size = 1u16 << log;
        let bytes = usize::from(size);
        let bench = Bench::new(size, true);
        let areas = bench.queue.areas();
        assert_eq!(areas.avail_at, 16 * bytes);
        assert_eq!(
            areas.used_at,
            (18 * bytes + 6).next_multiple_of(4096),
            "size {size}"
        );
        assert_eq!(SplitQueue::byte_len(size), areas.used_at + 6 + 8 * bytes);
    }
}

/// Calls `visit` with every order of `0..cnt`.
fn permutations(cnt: usize, visit: &mut impl FnMut(&[usize])) {
    fn step(order: &mut Vec<usize>, fixed: usize, visit: &mut impl FnMut(&[usize])) {
        if fixed == order.len() {
            return visit(order);
        }
        for idx in fixed..order.len() {
            order.swap(fixed, idx);
            step(order, fixed + 1, visit);
            order.swap(fixed, idx);
        }
    }
    step(&mut (0..cnt).collect(), 0, visit);
}

#[test]
fn every_size_chain_length_and_order_of_completion() {
    for size in [1u16, 2, 4, 8] {
        for chain_len in 1..=usize::from(size) {
            let chains = usize::from(size) / chain_len;
            let mut bench = Bench::new(size, true);
            permutations(chains, &mut |order| {
                for chain in 0..chains {
                    let first = (chain * chain_len) as u32;
                    assert_eq!(bench.add(first, chain_len, false), Ok(()));
                }
                let rest = usize::from(size) % chain_len;
                assert_eq!(usize::from(bench.queue.free_cnt()), rest);
                assert_eq!(bench.add(99, rest + 1, false), Err(Full));
                assert!(bench.device.pop().is_none(), "nothing shows before publish");
                bench.queue.publish();
                let popped: Vec<_> = (0..chains).map(|_| bench.device.pop().unwrap()).collect();
                assert!(bench.device.pop().is_none());
                for (chain, popped) in popped.iter().enumerate() {
                    let addrs: Vec<_> = popped.pieces.iter().map(|piece| piece.addr).collect();
                    let first = (chain * chain_len) as u64 + 1;
                    let expected: Vec<_> = (first..).take(chain_len).map(|n| n * 0x1000).collect();
                    assert_eq!(addrs, expected);
                }
                for chain in order {
                    bench.device.push(popped[*chain].head.into(), 0);
                }
                assert_eq!(bench.learn_and_reap(), Ok(chains));
                let first_home = bench.home.first().copied();
                assert_eq!(first_home, order.first().map(|n| (n * chain_len) as u32));
                let all: Vec<_> = (0..(chains * chain_len) as u32).collect();
                assert_eq!(bench.sorted_home(), all);
                assert_eq!(bench.queue.free_cnt(), size);
            });
        }
    }
}

#[test]
fn empty_chain_is_refused() {
    let mut bench = Bench::new(4, true);
    assert_eq!(bench.queue.add(&[]), Err(Full));
    assert!(!bench.queue.publish(), "nothing was added");
}

/// In the order of the used ring; nothing where the device names what is not lent.
#[test]
fn the_next_frame_is_known_before_it_is_reaped() {
    let mut bench = Bench::new(8, true);
    for frame in [4, 5, 6] {
        bench.add(frame, 1, true).unwrap();
    }
    bench.queue.publish();
    let heads = [0; 3].map(|_| u32::from(bench.device.pop().unwrap().head));
    assert_eq!(bench.queue.next_frame(), None, "nothing is used yet");
    for head in [heads[2], heads[0], heads[1]] {
        bench.device.push(head, 10);
    }
    assert_eq!(bench.queue.next_frame(), None, "nothing is learned of yet");
    assert_eq!(bench.queue.learn(), Ok(3));
    for frame in [6, 4, 5] {
        assert_eq!(bench.queue.next_frame(), Some(FrameIdx(frame)));
        assert_eq!(bench.reap(), Ok(Some(10)));
    }
    assert_eq!(bench.queue.next_frame(), None);
    bench.add(7, 1, true).unwrap();
    bench.queue.publish();
    for lie in [0, 7, 8, 1 << 16, u32::MAX] {
        bench.device.write_used(3, lie, 10);
        bench.device.store_used_idx(4);
        assert_eq!(bench.queue.learn(), Ok(1));
        let named = bench.queue.next_frame();
        assert!(matches!(named, None | Some(FrameIdx(7))), "{lie}");
    }
}

/// A device that sleeps as soon as it has caught up, and wakes for a kick only, as virtio 1.2
/// 2.7.10 has it: one lost kick stops it for good.
fn sleeping_device(has_event_idx: bool, chains: u32, burst: impl Fn(u32) -> u32) -> u32 {
    let mut bench = Bench::new(64, has_event_idx);
    let (mut sent, mut kicks) = (0, 0);
    while sent < chains {
        for _ in 0..burst(sent) {
            bench.add(0, 1, false).unwrap();
            sent += 1;
        }
        if bench.queue.publish() {
            kicks += 1;
            while let Some(chain) = bench.device.pop() {
                bench.device.push(chain.head.into(), 0);
            }
            bench.device.store_avail_event(bench.device.last_avail_idx);
        }
        let reaped = bench.learn_and_reap().unwrap();
        assert!(reaped > 0, "stalled after {sent} chains");
    }
    kicks
}

#[test]
fn no_kick_is_lost_when_indices_wrap() {
    let chains = if cfg!(miri) { 500 } else { 200_000 };
    for has_event_idx in [true, false] {
        for burst in [1, 7, 8, 48, 64] {
            sleeping_device(has_event_idx, chains, |_| burst);
        }
        sleeping_device(has_event_idx, chains, |sent| 1 + sent % 64);
    }
}

#[test]
fn one_kick_a_burst_for_a_device_that_sleeps() {
    assert_eq!(sleeping_device(true, 6400, |_| 64), 100);
}

#[test]
fn a_device_that_polls_is_not_kicked_however_long() {
    // Each length crosses 65,536 since the last kick by another remainder.
    let lens: &[u32] = if cfg!(miri) {
        &[100]
    } else {
        &[65_535, 65_536, 65_537, 65_600, 131_072]
    };
    for len in lens {
        let mut bench = Bench::new(64, true);
        let serve = |bench: &mut Bench, is_polling: bool| {
            bench.add(0, 1, false).unwrap();
            let wants_kick = bench.queue.publish();
            let chain = bench.device.pop().unwrap();
            bench.device.push(chain.head.into(), 0);
            let idx = bench.device.last_avail_idx;
            let event = if is_polling { idx.wrapping_sub(1) } else { idx };
            bench.device.store_avail_event(event);
            bench.learn_and_reap().unwrap();
            wants_kick
        };
        assert!(serve(&mut bench, true), "avail_event begins at 0");
        for sent in 1..*len {
            assert!(!serve(&mut bench, true), "after {sent}");
        }
        assert!(!serve(&mut bench, false), "still polling when it came");
        assert!(serve(&mut bench, false), "asleep after {len}");
    }
}

#[test]
fn no_notify_flag_is_respected_without_event_idx() {
    let mut bench = Bench::new(4, false);
    bench.device.store_no_notify(1);
    bench.add(0, 1, false).unwrap();
    assert!(!bench.queue.publish());
    bench.device.store_no_notify(0);
    bench.add(1, 1, false).unwrap();
    assert!(bench.queue.publish());
    assert!(!bench.queue.publish(), "nothing new");
}

#[test]
fn event_rule_over_all_distances() {
    // Against the definition: the index has passed `event` iff it is one of old..new.
    for old in [0u16, 1, 65_530, 32_767] {
        for burst in 1..=32u16 {
            let new = old.wrapping_add(burst);
            for event in u16::MIN..=u16::MAX {
                let is_passed = event.wrapping_sub(old) < burst;
                assert_eq!(wants_event(event, old, new), is_passed);
            }
        }
    }
}

/// One chain of two pieces outstanding at frames 0 and 1; frame 2 added and not published.
fn with_outstanding_and_unpublished() -> (Bench, u32, u32) {
    let mut bench = Bench::new(8, true);
    bench.add(0, 2, true).unwrap();
    bench.queue.publish();
    let head = u32::from(bench.device.pop().unwrap().head);
    bench.add(2, 1, true).unwrap();
    (bench, head, 2)
}

/// Breaks the queue by `lie`, then sees that it is inert, that a reset brings every frame home
/// once, and that the queue works again.
fn lie(violation: Violation, lie: impl FnOnce(&mut Bench, u32, u32)) {
    let (mut bench, head, unpublished) = with_outstanding_and_unpublished();
    lie(&mut bench, head, unpublished);
    assert_eq!(bench.learn_and_reap(), Err(violation));

    assert_eq!(bench.queue.violation(), Some(violation));
    assert_eq!(bench.queue.free_cnt(), 0);
    assert_eq!(bench.queue.ready_cnt(), 0);
    assert_eq!(bench.add(9, 1, true), Err(Full));
    assert!(!bench.queue.publish());
    assert_eq!(bench.queue.learn(), Err(violation));
    assert_eq!(bench.reap(), Err(violation));

    bench.reset();
    assert_eq!(bench.sorted_home(), [0, 1, 2]);
    assert_eq!(bench.queue.violation(), None);
    assert_eq!(bench.queue.free_cnt(), 8);
    bench.add(0, 8, false).unwrap();
    bench.queue.publish();
    let chain = bench.device.pop().unwrap();
    assert_eq!(chain.pieces.len(), 8);
    bench.device.push(chain.head.into(), 0);
    assert_eq!(bench.learn_and_reap(), Ok(1));
    assert_eq!(bench.sorted_home(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn id_out_of_range_breaks_the_queue() {
    for id in [8, 9, 255, 65_535, 65_536, 65_544, u32::MAX] {
        lie(Violation::IdRange, |bench, _, _| bench.device.push(id, 0));
    }
}

#[test]
fn id_of_a_free_descriptor_breaks_the_queue() {
    for id in 3..8 {
        lie(Violation::IdNotHead, |bench, _, _| bench.device.push(id, 0));
    }
}

#[test]
fn id_within_a_chain_breaks_the_queue() {
    lie(Violation::IdNotHead, |bench, head, _| {
        bench.device.push(head + 1, 0);
    });
}

#[test]
fn id_that_is_not_published_breaks_the_queue() {
    lie(Violation::IdNotHead, |bench, _, unpublished| {
        bench.device.push(unpublished, 0);
    });
}

#[test]
fn length_over_what_was_offered_breaks_the_queue() {
    for len in [201, 65_536, u32::MAX] {
        lie(Violation::LenOver, |bench, head, _| {
            bench.device.push(head, len);
        });
    }
}

#[test]
fn used_idx_ahead_of_what_is_outstanding_breaks_the_queue() {
    for ahead in [2, 3, 8, 255, 32_768, 65_535] {
        lie(Violation::UsedIdx, |bench, head, _| {
            bench.device.write_used(0, head, 0);
            bench.device.store_used_idx(ahead);
        });
    }
}

#[test]
fn used_idx_that_goes_back_breaks_the_queue() {
    let mut bench = Bench::new(4, true);
    for frame in 0..3 {
        bench.add(frame, 1, true).unwrap();
    }
    bench.queue.publish();
    for _ in 0..2 {
        let head = bench.device.pop().unwrap().head;
        bench.device.push(head.into(), 0);
    }
    assert_eq!(bench.queue.learn(), Ok(2));
    bench.device.store_used_idx(1);
    assert_eq!(bench.queue.learn(), Err(Violation::UsedIdx));
    bench.reset();
    assert_eq!(bench.sorted_home(), [0, 1, 2]);
}

#[test]
fn repeated_id_breaks_the_queue_and_gives_the_frame_once() {
    let mut bench = Bench::new(4, true);
    bench.add(0, 1, true).unwrap();
    bench.add(1, 1, true).unwrap();
    bench.queue.publish();
    let head = bench.device.pop().unwrap().head;
    bench.device.push(head.into(), 10);
    bench.device.push(head.into(), 10);
    assert_eq!(bench.learn_and_reap(), Err(Violation::IdNotHead));
    assert_eq!(bench.home, [0]);
    bench.reset();
    assert_eq!(bench.sorted_home(), [0, 1]);
}

#[test]
fn length_of_a_chain_that_cannot_be_written_is_not_believed() {
    let mut bench = Bench::new(4, true);
    bench.add(0, 1, false).unwrap();
    bench.queue.publish();
    let head = bench.device.pop().unwrap().head;
    bench.device.push(head.into(), u32::MAX);
    assert_eq!(bench.learn_and_reap(), Ok(1), "legacy devices do that");
}

#[test]
fn parked_queue_asks_for_no_interrupt_through_a_whole_wrap() {
    let rounds = if cfg!(miri) { 10 } else { 10_000 };
    for burst in [1, 3, 16] {
        let mut bench = Bench::new(16, true);
        for round in 0..rounds * 16 / burst {
            for _ in 0..burst {
                bench.add(0, 1, false).unwrap();
            }
            bench.queue.publish();
            let old = bench.device.used_idx;
            while let Some(chain) = bench.device.pop() {
                bench.device.push(chain.head.into(), 0);
            }
            let event = bench.device.used_event();
            assert!(
                !wants_event(event, old, bench.device.used_idx),
                "interrupt in round {round} of {burst}"
            );
            bench.learn_and_reap().unwrap();
            bench.queue.keep_parked();
        }
    }
}

#[test]
fn armed_queue_asks_for_the_next_chain() {
    for has_event_idx in [true, false] {
        let mut bench = Bench::new(16, has_event_idx);
        for frame in 0..2 {
            bench.add(frame, 1, true).unwrap();
        }
        bench.queue.publish();
        assert!(!bench.queue.arm(), "nothing there yet");
        if has_event_idx {
            assert_eq!(bench.device.used_event(), 0);
        } else {
            assert_eq!(bench.device.avail_flags(), 0);
        }
        let head = bench.device.pop().unwrap().head;
        bench.device.push(head.into(), 0);
        assert!(bench.queue.arm(), "came before the second look");
        bench.queue.park();
        if has_event_idx {
            assert_eq!(bench.device.used_event(), 65_535);
        } else {
            assert_eq!(bench.device.avail_flags(), 1);
        }
        assert_eq!(bench.learn_and_reap(), Ok(1));
        assert!(!bench.queue.arm());
    }
}

/// xorshift64*, seeded.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let word = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32;
        word % bound
    }
}

/// A device that returns nearly anything: whatever it does, no frame comes home that is not out.
#[test]
fn no_lie_gives_a_frame_twice() {
    for seed in 1..if cfg!(miri) { 5 } else { 2000 } {
        let mut random = Random(seed);
        let size = 1 << random.below(5);
        let mut bench = Bench::new(size, random.below(2) == 0);
        let mut out = BTreeSet::new();
        let mut next_frame = 0;
        for _ in 0..200 {
            match random.below(4) {
                0 => {
                    let len = 1 + random.below(3);
                    let is_writable = random.below(2) == 0;
                    if bench.add(next_frame, len as usize, is_writable).is_ok() {
                        out.extend(next_frame..next_frame + len);
                        next_frame += len;
                    }
                }
                1 => {
                    bench.queue.publish();
                }
                2 => match random.below(40) {
                    0 => bench
                        .device
                        .push(random.below(u32::MAX), random.below(u32::MAX)),
                    1 => bench.device.push(random.below(32), random.below(300)),
                    2 => bench.device.store_used_idx(random.below(65_536) as u16),
                    _ => {
                        if let Some(chain) = bench.device.pop() {
                            bench.device.push(chain.head.into(), random.below(100));
                        }
                    }
                },
                _ => {
                    if bench.learn_and_reap().is_err() {
                        bench.reset();
                        assert_eq!(bench.queue.free_cnt(), size);
                    }
                }
            }
            for frame in core::mem::take(&mut bench.home) {
                assert!(out.remove(&frame), "seed {seed}: frame {frame} was not out");
            }
        }
        bench.reset();
        for frame in core::mem::take(&mut bench.home) {
            assert!(out.remove(&frame), "seed {seed}: frame {frame} was not out");
        }
        assert!(out.is_empty(), "seed {seed}: {out:?} did not come home");
    }
}
