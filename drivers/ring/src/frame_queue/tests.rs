use super::*;
use crate::{FrameMemory, FrameMeta};
use std::vec;
use std::vec::Vec;

fn frame_with<'p>(pool: &'p FramePool<'p>, bytes: &[u8]) -> Frame<'p> {
    let mut frame = pool.alloc(16).unwrap();
    frame.append(bytes).unwrap();
    frame
}

/// All orders of arrival of five frames, each put behind the last one whose tag is not larger:
/// they leave in the order of their tags.
#[test]
fn frames_are_put_where_their_names_say() {
    let mut bytes = vec![FrameMemory::ZERO; 6];
    let mut metas: Vec<_> = (0..6).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut bytes, &mut metas);
    for permutation in 0..5_u32.pow(5) {
        let order: Vec<u32> = (0..5).map(|i| permutation / 5_u32.pow(i) % 5).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let mut queue = FrameQueue::new(&pool);
        let mut names: Vec<(u32, FrameIdx)> = Vec::new();
        for &tag in &order {
            let at = names.partition_point(|(other, _)| *other <= tag);
            let previous = at.checked_sub(1).map(|at| names[at].1);
            let text = [b'0' + tag as u8; 3];
            let name = queue.insert_after(previous, frame_with(&pool, &text), tag);
            names.insert(at, (tag, name));
        }
        assert_eq!(queue.byte_len(), 15);
        assert!(queue.iter().map(|(tag, _)| tag).eq(sorted.iter().copied()));
        let (_, first) = names[0];
        queue.append_to(first, b"+").unwrap();
        queue.push_back(frame_with(&pool, b"end"), 9);
        for (n, tag) in sorted.into_iter().enumerate() {
            let mut text = vec![b'0' + tag as u8; 3];
            text.extend((n == 0).then_some(b'+'));
            assert_eq!(queue.front(), Some((tag, text.len())));
            assert_eq!(queue.pop_front().unwrap().bytes(), text);
        }
        assert_eq!(queue.pop_front().unwrap().bytes(), b"end");
        assert!(queue.is_empty() && queue.pop_front().is_none() && queue.byte_len() == 0);
    }
    assert!(pool.all_home());
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
