use std::vec::Vec;

use super::*;

/// Four buffers of 64 bytes, of which the first is number 10.
fn memory() -> ContentMemory {
    let bytes = std::vec![0_u8; 256].leak();
    // SAFETY: leaked memory that nothing else refers to.
    unsafe { ContentMemory::new(NonNull::from(bytes).cast(), 256, 10, 64) }
}

#[test]
fn content_is_placed_side_by_side_until_it_is_full() {
    let mut memory = memory();
    let first = memory.place(&[1; 100]).expect("room");
    let second = memory.place(&[2; 156]).expect("room, to the last byte");
    assert_eq!((first, second), (&[1; 100][..], &[2; 156][..]));
    assert!(memory.place(&[3]).is_none());
    assert_eq!(memory.place(&[]), Some(&[][..]));
    assert_eq!(memory.bufs(), 10..14);
}

#[test]
fn every_slice_is_cut_where_buffers_end() {
    let mut memory = memory();
    let bytes: Vec<u8> = (0..=255).collect();
    let placed = memory.place(&bytes).expect("room");
    let range = memory.range();
    for from in 0..=256 {
        for to in from..=256 {
            let pieces = range.pieces(&placed[from..to]).expect("inside");
            let mut at = from;
            for piece in pieces {
                let start = (piece.buf_idx as usize - 10) * 64 + usize::from(piece.offset);
                assert_eq!(start, at, "one behind the other");
                assert!(piece.len > 0 && piece.offset + piece.len <= 64);
                at += usize::from(piece.len);
            }
            assert_eq!(at, to);
        }
    }
    assert!(range.pieces(&bytes).is_none(), "elsewhere");
    assert!(ContentMemory::NONE.range().pieces(&bytes).is_none());
}
