use super::*;
use crate::tcp::gaps::GapEntry;
use crate::testing::{assert_all_home, pool};
use std::vec::Vec;

const START: SeqNum = SeqNum(u32::MAX - 100);

fn rcv(pool: &'static FramePool<'static>) -> Rcv<'static> {
    let mut rcv = Rcv::new();
    rcv.nxt = START;
    rcv.adv = START;
    rcv.adv = START + rcv.window(budget(pool));
    rcv
}

/// The bytes of the stream from `offset` on: each tells its own place.
fn stream(offset: u32, len: u32) -> Vec<u8> {
    (offset..offset + len).map(|at| (at % 253) as u8).collect()
}

fn budget(pool: &'static FramePool<'static>) -> Budget<'static> {
    Budget {
        pool,
        frames_max: pool.owned_cnt(),
        receivers: 0,
        rmss: 1_000,
    }
}

fn gaps() -> Gaps<'static> {
    Gaps::new(
        (0..4)
            .map(|_| GapEntry::default())
            .collect::<Vec<_>>()
            .into(),
    )
}

fn keep(rcv: &mut Rcv<'static>, gaps: &mut Gaps<'static>, offset: u32, len: u32) -> Kept {
    let mut frame = TEST_POOL.with(|pool| pool.alloc(54)).unwrap();
    frame.append(&stream(offset, len)).unwrap();
    rcv.keep(
        frame,
        START + offset,
        gaps,
        budget(TEST_POOL.with(|pool| *pool)),
    )
}

fn taken(rcv: &mut Rcv<'static>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pool = TEST_POOL.with(|pool| *pool);
    while let Some(frame) = rcv.pop_unread(pool) {
        bytes.extend(frame.bytes());
    }
    bytes
}

std::thread_local! {
    static TEST_POOL: &'static FramePool<'static> = pool(200);
}

/// All orders of four overlapping pieces: the stream comes out whole, once.
#[test]
fn any_order_and_overlap_gives_the_stream() {
    let pool = TEST_POOL.with(|pool| *pool);
    let pieces = [(0, 700), (500, 500), (900, 400), (100, 300)];
    for permutation in 0..4_u32.pow(4) {
        let (mut rcv, mut gaps) = (rcv(pool), gaps());
        for i in 0..4 {
            let (offset, len) = pieces[(permutation / 4_u32.pow(i) % 4) as usize];
            if rcv.nxt.before(START + offset + len) {
                assert_ne!(
                    keep(&mut rcv, &mut gaps, offset, len),
                    Kept::Dropped(DropReason::TcpNoMemory)
                );
            }
        }
        for (offset, len) in pieces {
            if rcv.nxt.before(START + offset + len) {
                keep(&mut rcv, &mut gaps, offset, len);
            }
        }
        assert_eq!(rcv.nxt, START + 1_300);
        assert_eq!((rcv.gap, gaps.cnt()), (GapIdx::NONE, 0));
        assert_eq!(taken(&mut rcv), stream(0, 1_300));
    }
    assert_all_home(pool);
}

#[test]
fn small_segments_share_a_frame() {
    let pool = TEST_POOL.with(|pool| *pool);
    let (mut rcv, mut gaps) = (rcv(pool), gaps());
    for offset in 0..1_000 {
        keep(&mut rcv, &mut gaps, offset, 1);
    }
    assert_eq!(pool.parked_frames(rcv.unread), 1);
    assert_eq!(taken(&mut rcv), stream(0, 1_000));
}

#[test]
fn frames_are_joined_as_far_as_they_fit() {
    let pool = TEST_POOL.with(|pool| *pool);
    let (mut rcv, mut gaps) = (rcv(pool), gaps());
    keep(&mut rcv, &mut gaps, 0, 1_460);
    assert!(!rcv.join_front(pool));
    keep(&mut rcv, &mut gaps, 1_460, 1_460);
    assert!(rcv.join_front(pool));
    let first = rcv.pop_unread(pool).unwrap();
    assert_eq!(first.len(), 2_048 - 54);
    rcv.put_back(first);
    assert_eq!(rcv.unread_len(pool), 2_920);
    assert!(rcv.join_front(pool), "there is room in front");
    assert!(!rcv.join_front(pool), "the first frame is full");
    assert_eq!(taken(&mut rcv), stream(0, 2_920));
}

/// Nothing may lie between what was not taken and what is behind it, however full its frame.
#[test]
fn what_is_left_at_the_end_of_a_full_frame_is_joined() {
    let pool = TEST_POOL.with(|pool| *pool);
    let (mut rcv, mut gaps) = (rcv(pool), gaps());
    let len = 2_048 - 54;
    keep(&mut rcv, &mut gaps, 0, len);
    keep(&mut rcv, &mut gaps, len, 1_000);
    let mut first = rcv.pop_unread(pool).unwrap();
    assert_eq!(first.tailroom(), 0);
    first.pull(first.len() - 1);
    rcv.put_back(first);
    assert!(rcv.join_front(pool));
    assert_eq!(taken(&mut rcv), stream(len - 1, 1_001));
}

#[test]
fn the_window_follows_the_frames_that_exist() {
    let small = pool(FRAMES_RESERVED as usize + 20);
    let mut rcv = Rcv::new();
    assert_eq!(rcv.window(budget(small)), 10_000);
    rcv.adv = rcv.nxt + rcv.window(budget(small));
    let held: Vec<_> = (0..19).map(|_| small.alloc(0).unwrap()).collect();
    assert_eq!(rcv.window(budget(small)), 10_000, "a promise is kept");
    drop(held);
    rcv.nxt += 10_000;
    assert!(rcv.window_opened(budget(small)));
}
