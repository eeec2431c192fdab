use super::*;
use crate::config::MERGE_MAX;
use crate::config::OUT_OF_ORDER_FRAMES_MAX;
use crate::testing::{assert_all_home, pool};
use simoom_ring::FramePool;
use std::vec::Vec;

const NXT: SeqNum = SeqNum(u32::MAX - 300);

fn gaps(entries: usize) -> Gaps<'static> {
    let entries: Vec<_> = (0..entries).map(|_| GapEntry::default()).collect();
    Gaps::new(entries.into())
}

/// The bytes of the stream from `offset` on: each tells its own place.
fn stream(offset: u32, len: u32) -> Vec<u8> {
    (offset..offset + len).map(|at| (at % 253) as u8).collect()
}

fn frame(pool: &'static FramePool<'static>, offset: u32, len: u32) -> Frame<'static> {
    let mut frame = pool.alloc(54).unwrap();
    frame.append(&stream(offset, len)).unwrap();
    frame
}

/// Blocks as offsets from RCV.NXT.
fn sack(gaps: &mut Gaps<'static>, at: GapIdx) -> Vec<(i32, i32)> {
    let sack = gaps.sack(at);
    let blocks = sack.as_slice().iter();
    blocks.map(|b| (b.left - NXT, b.right - NXT)).collect()
}

/// What a connection has: the entry of the table against a plain map of bytes.
struct Model {
    at: GapIdx,
    has: Vec<bool>,
}

impl Model {
    /// Keeps a piece in both, and compares what is told of it.
    fn keep(
        &mut self,
        gaps: &mut Gaps<'static>,
        pool: &'static FramePool<'static>,
        piece: (u32, u32),
    ) {
        let (offset, len) = piece;
        let range = offset as usize..(offset + len) as usize;
        let has_all = self.has[range.clone()].iter().all(|has| *has);
        let has_some = self.has[range.clone()].iter().any(|has| *has);
        let blocks_max = self
            .has
            .windows(2)
            .filter(|pair| pair[0] && !pair[1])
            .count()
            == crate::config::OUT_OF_ORDER_BLOCKS_MAX;
        let kept = gaps.keep(&mut self.at, frame(pool, offset, len), NXT + offset);
        if blocks_max && kept == Kept::Dropped(DropReason::TcpNoMemory) {
            return gaps.forget_duplicate();
        }
        assert_eq!(kept, Kept::OutOfOrder);
        let mut told = sack(gaps, self.at);
        if has_some {
            let (left, right) = told.remove(0);
            assert!(left >= offset as i32 && right <= (offset + len) as i32 && left < right);
            assert!(
                self.has[left as usize..right as usize]
                    .iter()
                    .all(|has| *has)
            );
            assert!(!has_all || (left, right) == (offset as i32, (offset + len) as i32));
        }
        // What was cut off at a second block has not been kept: the block tells.
        let (left, right) = told[0];
        assert!(
            left <= offset as i32 || has_some,
            "the most recent block is first"
        );
        for at in range {
            self.has[at] |= (left..right).contains(&(at as i32));
        }
        for (left, right) in told {
            assert!(
                self.has[left as usize..right as usize]
                    .iter()
                    .all(|has| *has)
            );
            assert!(
                !self.has[left as usize - 1] && !self.has.get(right as usize).unwrap_or(&false)
            );
        }
    }
}

/// Random pieces behind a gap, which is then filled: what is told is what is there, and what comes
/// out is the stream.
#[test]
fn random_pieces_are_told_and_come_out_in_order() {
    let pool = pool(300);
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((random >> 33) % bound) as u32
    };
    for _ in 0..2_000 {
        let mut gaps = gaps(1);
        let mut model = Model {
            at: GapIdx::NONE,
            has: std::vec![false; 700],
        };
        let longest = 1 + u64::from(below(80));
        for _ in 0..below(40) {
            let (offset, len) = (1 + below(600), 1 + below(longest));
            model.keep(&mut gaps, pool, (offset, len));
        }
        let mut nxt = 0;
        while nxt < 700 {
            while let Some((frame, seq)) = gaps.pop(&mut model.at, NXT + nxt) {
                let offset = seq.bytes_since(NXT);
                assert_eq!(frame.bytes(), stream(offset, frame.len() as u32));
                assert!(offset <= nxt);
                nxt = nxt.max(offset + frame.len() as u32);
            }
            let is_known = model.has.get(nxt as usize).copied().unwrap_or(false);
            assert!(!is_known, "all that is there comes out");
            nxt += 1;
        }
        assert_eq!((gaps.cnt(), model.at), (0, GapIdx::NONE));
        assert_all_home(pool);
    }
}

#[test]
fn the_most_recent_block_is_first_and_four_are_told() {
    let pool = pool(16);
    let (mut gaps, mut at) = (gaps(1), GapIdx::NONE);
    for offset in [10, 30, 50, 70, 90] {
        gaps.keep(&mut at, frame(pool, offset, 10), NXT + offset);
    }
    assert_eq!(
        sack(&mut gaps, at),
        [(90, 100), (70, 80), (50, 60), (30, 40)]
    );
    // Grown at its end, then at its start, then met by the next.
    gaps.keep(&mut at, frame(pool, 40, 5), NXT + 40);
    assert_eq!(sack(&mut gaps, at)[..2], [(30, 45), (90, 100)]);
    gaps.keep(&mut at, frame(pool, 65, 5), NXT + 65);
    assert_eq!(sack(&mut gaps, at)[..2], [(65, 80), (30, 45)]);
    gaps.keep(&mut at, frame(pool, 45, 5), NXT + 45);
    assert_eq!(
        sack(&mut gaps, at),
        [(30, 60), (65, 80), (90, 100), (10, 20)]
    );
    gaps.release(&mut at);
    assert_all_home(pool);
}

/// RFC 2883 4: the duplicate comes first and once, then the block that it is in.
#[test]
fn a_duplicate_is_told_once_before_the_block_it_is_in() {
    let pool = pool(16);
    let (mut gaps, mut at) = (gaps(1), GapIdx::NONE);
    for offset in [10, 50] {
        gaps.keep(&mut at, frame(pool, offset, 20), NXT + offset);
    }
    gaps.keep(&mut at, frame(pool, 15, 5), NXT + 15);
    assert_eq!(sack(&mut gaps, at), [(15, 20), (10, 30), (50, 70)]);
    assert_eq!(sack(&mut gaps, at), [(10, 30), (50, 70)]);
    gaps.keep(&mut at, frame(pool, 25, 10), NXT + 25);
    assert_eq!(sack(&mut gaps, at), [(25, 30), (10, 35), (50, 70)]);
    gaps.duplicated(NXT, NXT + 5);
    gaps.forget_duplicate();
    assert_eq!(sack(&mut gaps, at), [(10, 35), (50, 70)]);
}

#[test]
fn a_piece_that_spans_a_block_is_kept_up_to_it() {
    let pool = pool(16);
    let (mut gaps, mut at) = (gaps(1), GapIdx::NONE);
    gaps.keep(&mut at, frame(pool, 50, 10), NXT + 50);
    gaps.keep(&mut at, frame(pool, 40, 40), NXT + 40);
    assert_eq!(sack(&mut gaps, at), [(50, 60), (40, 60)]);
}

#[test]
fn blocks_and_frames_are_bounded() {
    let pool = pool(1_200);
    let (mut gaps, mut at) = (gaps(1), GapIdx::NONE);
    let blocks_max = crate::config::OUT_OF_ORDER_BLOCKS_MAX as u32;
    for n in 0..blocks_max {
        let offset = 10 + 10 * n;
        let kept = gaps.keep(&mut at, frame(pool, offset, 5), NXT + offset);
        assert_eq!(kept, Kept::OutOfOrder);
    }
    let mut keep = |offset, len| gaps.keep(&mut at, frame(pool, offset, len), NXT + offset);
    assert_eq!(
        keep(5_000, 5),
        Kept::Dropped(DropReason::TcpNoMemory),
        "one block too many"
    );
    assert_eq!(keep(10, 5), Kept::OutOfOrder, "known already");
    let end = 10 * blocks_max + 5;
    let frames_left = OUT_OF_ORDER_FRAMES_MAX as u32 - blocks_max;
    let len = MERGE_MAX as u32 + 1_000;
    for n in 0..frames_left {
        assert_eq!(keep(end + n * len, len), Kept::OutOfOrder);
    }
    assert_eq!(
        keep(end + frames_left * len, len),
        Kept::Dropped(DropReason::TcpNoMemory)
    );
    assert_eq!(gaps.frames(at), OUT_OF_ORDER_FRAMES_MAX);
    gaps.release(&mut at);
    assert_all_home(pool);
}

#[test]
fn small_pieces_that_follow_each_other_share_a_frame() {
    let pool = pool(16);
    let (mut gaps, mut at) = (gaps(1), GapIdx::NONE);
    for offset in 1..1_000 {
        gaps.keep(&mut at, frame(pool, offset, 1), NXT + offset);
    }
    assert_eq!(gaps.frames(at), 1);
    assert_eq!(sack(&mut gaps, at), [(1, 1_000)]);
}

#[test]
fn entries_come_back_and_a_full_table_says_so() {
    let pool = pool(16);
    let mut gaps = gaps(2);
    let mut at = [GapIdx::NONE; 3];
    let keep =
        |gaps: &mut Gaps<'static>, at: &mut GapIdx| gaps.keep(at, frame(pool, 1, 1), NXT + 1);
    for _ in 0..3 {
        assert_eq!(keep(&mut gaps, &mut at[0]), Kept::OutOfOrder);
        assert!(gaps.keep_fin(&mut at[1], NXT + 9));
        assert_eq!(
            keep(&mut gaps, &mut at[2]),
            Kept::Dropped(DropReason::TcpGapsFull)
        );
        assert!(!gaps.keep_fin(&mut at[2], NXT));
        assert_eq!((gaps.cnt(), at[2]), (2, GapIdx::NONE));
        assert!(gaps.is_fin(at[1], NXT + 9) && !gaps.is_fin(at[0], NXT + 9));
        at.iter_mut().for_each(|at| gaps.release(at));
        assert_eq!(gaps.cnt(), 0);
    }
    assert_all_home(pool);
}

/// Random entries grow, shrink and go: the largest is one that holds more than half of the most.
#[test]
fn the_largest_is_found() {
    let pool = pool(600);
    let mut gaps = gaps(8);
    let mut at = [GapIdx::NONE; 8];
    let mut ends = [0; 8];
    let mut random = 3_u64;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((random >> 33) % bound) as u32
    };
    for _ in 0..5_000 {
        let conn = below(8);
        let (at_conn, end) = (&mut at[conn as usize], &mut ends[conn as usize]);
        gaps.segment_arrives(conn);
        match below(12) {
            0 => gaps.release(at_conn),
            1 | 2 if *end > 0 => {
                // Up to a number of frames in order, then no more.
                for _ in 0..below(20) {
                    gaps.pop(at_conn, NXT + *end);
                }
            }
            3 => assert!(gaps.keep_fin(at_conn, NXT + 900_000)),
            _ if pool.free_cnt() > 0 => {
                *end = 1_000 + below(400_000);
                gaps.keep(at_conn, frame(pool, *end, 300), NXT + *end);
            }
            _ => gaps.release(at_conn),
        }
        let frames = at.map(|at| gaps.frames(at));
        let most = *frames.iter().max().unwrap();
        match gaps.largest() {
            Some(conn) => assert!(2 * frames[conn as usize] > most, "{conn} {frames:?}"),
            None => assert_eq!(most, 0),
        }
        assert_eq!(gaps.cnt(), at.iter().filter(|at| at.is_some()).count());
    }
    at.iter_mut().for_each(|at| gaps.release(at));
    assert_eq!((gaps.largest(), gaps.cnt()), (None, 0));
    assert_all_home(pool);
}
