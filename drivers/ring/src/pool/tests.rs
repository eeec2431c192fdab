use super::*;
use crate::{Fragment, FrameQueue, TxOffload, TxPacket};
use std::vec;
use std::vec::Vec;

fn memory(frames: usize) -> (Vec<FrameMemory>, Vec<FrameMeta>) {
    (
        vec![FrameMemory::ZERO; frames],
        (0..frames).map(|_| FrameMeta::new()).collect(),
    )
}

#[test]
fn a_frame_goes_home_when_it_is_dropped() {
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let first = pool.alloc(64).unwrap();
    let second = pool.alloc(0).unwrap();
    assert!(pool.alloc(0).is_none(), "an empty pool gives nothing");
    assert_ne!(first.idx(), second.idx());
    drop(first);
    assert_eq!(pool.free_cnt(), 1);
    drop(second);
    assert!(pool.all_home());
    assert_eq!(pool.free_low(), 0);
}

/// It is a hint: an index that a device made up does no harm.
#[test]
fn what_is_not_there_can_be_prefetched() {
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    for idx in [0, 1, 2, 1 << 20, u32::MAX] {
        for start in [0, 78, FRAME_SIZE, usize::MAX] {
            pool.prefetch(FrameIdx(idx), start);
        }
    }
    assert!(pool.all_home());
}

#[test]
fn headroom_larger_than_a_frame_is_refused() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    assert!(pool.alloc(FRAME_SIZE + 1).is_none());
    assert!(pool.alloc(usize::MAX).is_none());
    assert_eq!(pool.alloc(FRAME_SIZE).unwrap().tailroom(), 0);
    assert!(pool.all_home());
}

#[test]
fn another_frame_has_its_window_in_the_same_place() {
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let frame = pool.alloc_window(10, 66).unwrap();
    let another = frame.another().unwrap();
    assert_ne!(frame.idx(), another.idx());
    assert_eq!((another.headroom(), another.len()), (10, 66));
    assert!(frame.another().is_none(), "all are out");
    drop((frame, another));
    assert!(pool.all_home());
}

#[test]
fn the_window_moves_within_the_frame_only() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut frame = pool.alloc(8).unwrap();
    frame.append(b"body").unwrap();
    frame.prepend(b"head").unwrap();
    assert_eq!(frame.bytes(), b"headbody");
    assert_eq!(frame.headroom(), 4);
    assert!(frame.push(5).is_err());
    assert!(frame.extend(FRAME_SIZE).is_err());
    assert!(frame.append(&[0; FRAME_SIZE - 11]).is_err());
    frame.pull(2);
    frame.trim(5);
    assert_eq!(frame.bytes(), b"adbod");
    frame.pull(100);
    assert!(frame.is_empty());
    assert_eq!(frame.headroom() + frame.tailroom(), FRAME_SIZE);
}

#[test]
fn what_the_device_makes_up_is_refused() {
    let (mut bytes, mut metas) = memory(3);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let held = pool.alloc(0).unwrap();
    let lent = pool.alloc(0).unwrap().lend();
    assert!(
        pool.take_back(FrameIdx(99), 0, 0).is_none(),
        "no such frame"
    );
    assert!(pool.take_back(held.idx(), 0, 0).is_none(), "not lent");
    assert!(pool.take_back(FrameIdx(2), 0, 0).is_none(), "at home");
    assert!(
        pool.take_back(lent, 0, FRAME_SIZE + 1).is_none(),
        "too long"
    );
    assert!(
        pool.take_back(lent, usize::MAX, 2).is_none(),
        "too long, with overflow"
    );
    let back = pool.take_back(lent, 12, 60).unwrap();
    assert_eq!((back.headroom(), back.len()), (12, 60));
    assert!(pool.take_back(lent, 0, 0).is_none(), "given back twice");
    assert!(!pool.give_back(lent), "given back twice");
    drop((held, back));
    assert!(pool.all_home());
}

#[test]
fn a_frame_in_flight_goes_home_when_both_are_done() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    for device_first in [false, true] {
        let mut frame = pool.alloc(0).unwrap();
        frame.append(b"HTTP/1.1 200 OK").unwrap();
        let queued = frame.share();
        let lent = queued.slice(0, 8).unwrap().lend();
        assert!(queued.in_flight());
        assert!(
            pool.take_back(lent, 0, 0).is_none(),
            "shared frames have no single owner"
        );
        if device_first {
            assert!(pool.give_back(lent));
            assert!(!queued.in_flight());
            assert_eq!(queued.bytes(), b"HTTP/1.1 200 OK");
            drop(queued);
        } else {
            drop(queued);
            assert!(!pool.all_home());
            assert!(pool.give_back(lent));
        }
        assert!(pool.all_home());
    }
}

#[test]
fn the_last_holder_may_write_again() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let shared = pool.alloc(0).unwrap().share();
    let other = shared.clone();
    let shared = shared.into_frame().unwrap_err();
    drop(other);
    assert!(shared.into_frame().is_ok());
}

#[test]
fn slices_of_a_shared_frame_stay_within_it() {
    let (mut bytes, mut metas) = memory(1);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut frame = pool.alloc(10).unwrap();
    frame.append(b"0123456789").unwrap();
    let shared = frame.share();
    for offset in 0..12 {
        for len in 0..12 {
            let expected = &b"0123456789"[offset.min(10)..(offset + len).min(10)];
            assert_eq!(shared.slice(offset, len).unwrap().bytes(), expected);
        }
    }
    assert_eq!(shared.slice(3, usize::MAX).unwrap().bytes(), b"3456789");
}

#[test]
fn a_foreign_region_is_adopted_frame_by_frame() {
    let (mut bytes, mut metas) = memory(4);
    let base = NonNull::from(&mut bytes[..]).cast();
    // SAFETY: the region outlives the pool and nothing else accesses it.
    let pool = unsafe { FramePool::from_raw(base, FRAME_SIZE as u16, &mut metas) };
    assert!(pool.alloc(0).is_none());
    assert!(pool.adopt(FrameIdx(2)));
    assert!(pool.adopt_lent(FrameIdx(3)));
    assert!(!pool.adopt(FrameIdx(2)) && !pool.adopt_lent(FrameIdx(3)) && !pool.adopt(FrameIdx(4)));
    assert!(pool.take_back(FrameIdx(1), 0, 0).is_none(), "foreign");
    assert_eq!(pool.take_back(FrameIdx(3), 0, 60).unwrap().len(), 60);
    assert_eq!(pool.owned_cnt(), 2);
    assert!(pool.all_home());
}

#[test]
fn a_lent_frame_can_be_given_up_and_a_foreign_one_set_aside() {
    let (mut bytes, mut metas) = memory(3);
    let base = NonNull::from(&mut bytes[..]).cast();
    // SAFETY: the region outlives the pool and nothing else accesses it.
    let pool = unsafe { FramePool::from_raw(base, FRAME_SIZE as u16, &mut metas) };
    assert!(pool.adopt(FrameIdx(0)) && pool.reserve(FrameIdx(1)));
    assert!(!pool.reserve(FrameIdx(0)) && !pool.reserve(FrameIdx(3)));
    assert!(!pool.forsake_lent(FrameIdx(0)), "home");
    let frame = pool.alloc(0).unwrap();
    assert!(!pool.forsake_lent(FrameIdx(0)), "held");
    let shared = frame.share();
    let lent = shared.clone().lend();
    assert!(!pool.forsake_lent(lent), "held by someone else, too");
    drop(shared);
    assert!(pool.forsake_lent(lent) && !pool.forsake_lent(lent));
    assert_eq!(pool.owned_cnt(), 0);
    assert!(pool.adopt_lent(FrameIdx(0)), "foreign again");
    // What is set aside comes back by no way.
    let idx = FrameIdx(1);
    assert!(!pool.adopt(idx) && !pool.adopt_lent(idx) && !pool.forsake_lent(idx));
    assert!(!pool.give_back(idx) && pool.take_back(idx, 0, 0).is_none());
    assert!(pool.give_back(FrameIdx(0)));
    assert_eq!((pool.owned_cnt(), pool.all_home()), (1, true));
}

#[test]
fn a_frame_goes_to_the_other_side_and_comes_back_filled() {
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let idx = pool.alloc(0).unwrap().forsake();
    assert_eq!((pool.owned_cnt(), pool.free_cnt()), (1, 1));
    // A window that does not fit, a name that nobody has, one that is here.
    assert!(pool.adopt_filled(idx, 1, FRAME_SIZE).is_none());
    assert!(pool.adopt_filled(idx, usize::MAX, 2).is_none());
    assert!(pool.adopt_filled(FrameIdx(2), 0, 60).is_none());
    assert!(pool.adopt_filled(FrameIdx(1 - idx.0), 0, 60).is_none());
    let frame = pool.adopt_filled(idx, 2, 60).unwrap();
    assert_eq!((frame.headroom(), frame.len(), frame.idx()), (2, 60, idx));
    assert!(pool.adopt_filled(idx, 0, 60).is_none(), "held");
    assert!(!pool.give_back(idx), "and not lent");
    drop(frame);
    assert_eq!((pool.owned_cnt(), pool.all_home()), (2, true));
}

#[test]
fn a_packet_of_one_piece_is_its_head() {
    let (mut bytes, mut metas) = memory(2);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let packet = |fragment: Option<Fragment<'static>>| {
        let mut packet = TxPacket::new(pool.alloc(4).unwrap(), TxOffload::default());
        assert!(packet.offload().is_none());
        if let Some(fragment) = fragment {
            packet.append(fragment).unwrap();
        }
        packet.into_head()
    };
    let (head, offload) = packet(None).unwrap();
    assert_eq!((head.headroom(), offload), (4, TxOffload::default()));
    drop(head);
    let whole = packet(Some(Fragment::Content(b"body"))).unwrap_err();
    assert_eq!(whole.pieces(), 2);
    drop(whole);
    assert!(pool.all_home());
}

#[test]
fn a_queue_of_frames_goes_home_as_a_whole() {
    let (mut bytes, mut metas) = memory(3);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut queue = FrameQueue::new(&pool);
    while let Some(frame) = pool.alloc(0) {
        queue.push_back(frame, 0);
    }
    assert_eq!((queue.frames(), pool.free_cnt()), (3, 0));
    drop(queue);
    assert!(pool.all_home());
}
