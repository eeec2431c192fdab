use super::*;
use crate::{FrameMemory, FrameMeta};
use std::vec;
use std::vec::Vec;

fn frame_with<'p>(pool: &'p FramePool<'p>, bytes: &[u8]) -> Frame<'p> {
    let mut frame = pool.alloc(16).unwrap();
    frame.append(bytes).unwrap();
    frame
}

/// Every way to put up to four frames into two queues from either end, then the second queue behind
/// the first: they leave in order, and are counted.
#[test]
fn frames_leave_in_the_order_that_they_were_put_in() {
    let mut bytes = vec![FrameMemory::ZERO; 4];
    let mut metas: Vec<_> = (0..4).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut bytes, &mut metas);
    for choice in 0..5_u32.pow(4) {
        let mut queues = [FrameQueue::new(&pool), FrameQueue::new(&pool)];
        let mut expected: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        for tag in 0..4 {
            let frame = || frame_with(&pool, &[b'0' + tag as u8; 3]);
            let (queue, expected) = match choice / 5_u32.pow(tag) % 5 {
                way @ (0 | 1) => (&mut queues[way as usize], &mut expected[way as usize]),
                way @ (2 | 3) => {
                    queues[way as usize - 2].push_front(frame(), tag);
                    expected[way as usize - 2].insert(0, tag);
                    continue;
                }
                _ => continue,
            };
            queue.push_back(frame(), tag);
            expected.push(tag);
        }
        let [mut queue, other] = queues;
        queue.append(other);
        let expected = expected.concat();
        assert_eq!(
            (queue.frames(), queue.byte_len()),
            (expected.len(), 3 * expected.len())
        );
        assert!(
            queue
                .iter()
                .map(|(tag, _)| tag)
                .eq(expected.iter().copied())
        );
        for (n, tag) in expected.iter().enumerate() {
            assert_eq!(queue.front(), Some((*tag, 3)));
            assert_eq!(queue.frames(), expected.len() - n);
            assert_eq!(queue.pop_front().unwrap().bytes(), [b'0' + *tag as u8; 3]);
        }
        assert!(queue.is_empty() && queue.pop_front().is_none() && queue.byte_len() == 0);
        assert!(pool.all_home());
    }
}

#[test]
fn a_frame_taken_in_part_goes_to_the_front_again() {
    let mut bytes = vec![FrameMemory::ZERO; 2];
    let mut metas: Vec<_> = (0..2).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut queue = FrameQueue::new(&pool);
    queue.push_back(frame_with(&pool, b"GET /"), 0);
    queue.push_back(frame_with(&pool, b" HTTP"), 5);
    let mut frame = queue.pop_front().unwrap();
    frame.pull(4);
    queue.push_front(frame, 4);
    assert_eq!(queue.byte_len(), 6);
    assert!(queue.iter().eq([(4, 1), (5, 5)]));
    queue.clear();
    let frame = frame_with(&pool, b"alone");
    queue.push_front(frame, 9);
    queue.push_back(frame_with(&pool, b"!"), 14);
    assert!(queue.iter().eq([(9, 5), (14, 1)]));
}

#[test]
#[should_panic(expected = "frames of one pool")]
fn pools_are_not_mixed() {
    let (mut bytes, mut other_bytes) = (vec![FrameMemory::ZERO; 1], vec![FrameMemory::ZERO; 1]);
    let (mut metas, mut other_metas) = ([FrameMeta::new()], [FrameMeta::new()]);
    let pool = FramePool::new(&mut bytes, &mut metas);
    let other = FramePool::new(&mut other_bytes, &mut other_metas);
    FrameQueue::new(&other).push_back(pool.alloc(0).unwrap(), 0);
}

#[test]
fn bytes_are_appended_to_the_last_frame_as_far_as_it_has_room() {
    let mut bytes = vec![FrameMemory::ZERO; 2];
    let mut metas: Vec<_> = (0..2).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut queue = FrameQueue::new(&pool);
    assert_eq!(queue.append_to_last(b"x"), Err(NoRoom));
    queue.push_back(frame_with(&pool, b"one"), 1);
    queue.push_back(frame_with(&pool, b"two"), 2);
    queue.append_to_last(b"+").unwrap();
    assert_eq!(queue.append_to_last(&[0; crate::FRAME_SIZE]), Err(NoRoom));
    assert!(queue.iter().eq([(1, 3), (2, 4)]) && queue.byte_len() == 7);
    let mut shown: Vec<u8> = Vec::new();
    queue.for_each(|bytes| shown.extend(bytes));
    assert_eq!(shown, b"onetwo+");
    assert_eq!(queue.pop_front().unwrap().bytes(), b"one");
    assert_eq!(queue.pop_front().unwrap().bytes(), b"two+");
    assert!(pool.all_home());
}

/// A queue comes out as it was parked, once; its frames are not home meanwhile.
#[test]
fn a_parked_queue_comes_out_once() {
    let mut bytes = vec![FrameMemory::ZERO; 3];
    let mut metas: Vec<_> = (0..3).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut bytes, &mut metas);
    assert_eq!(FrameQueue::new(&pool).park(), Parked::EMPTY);
    assert!(pool.unpark(Parked::EMPTY).is_empty() && pool.parked_len(Parked::EMPTY) == 0);
    for frames in 1..=3 {
        let mut queue = FrameQueue::new(&pool);
        for tag in 0..frames {
            queue.push_back(frame_with(&pool, b"abcd"), tag);
        }
        let parked = queue.park();
        let (cnt, len) = (frames as usize, 4 * frames as usize);
        assert_eq!(
            (pool.parked_frames(parked), pool.parked_len(parked)),
            (cnt, len)
        );
        assert!(!parked.is_empty() && !pool.all_home());
        let mut queue = pool.unpark(parked);
        assert_eq!((queue.frames(), queue.byte_len()), (cnt, len));
        assert_eq!(queue.front(), Some((0, 4)));
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.unpark(parked);
        }));
        assert!(again.is_err(), "it has an owner");
        queue.clear();
        assert!(pool.all_home());
    }
}

/// An empty frame is a frame, too.
#[test]
fn a_parked_queue_may_hold_no_bytes() {
    let mut bytes = vec![FrameMemory::ZERO; 1];
    let mut metas = vec![FrameMeta::new()];
    let pool = FramePool::new(&mut bytes, &mut metas);
    let mut queue = FrameQueue::new(&pool);
    queue.push_back(pool.alloc(0).unwrap(), 7);
    let parked = queue.park();
    assert_eq!(
        (pool.parked_frames(parked), pool.parked_len(parked)),
        (1, 0)
    );
    assert_eq!(pool.unpark(parked).front(), Some((7, 0)));
    assert!(pool.all_home());
}
