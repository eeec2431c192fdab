use std::vec;
use std::vec::Vec;

use super::*;
use crate::random::Random;

fn content(len: usize, seed: u64) -> &'static [u8] {
    let mut random = Random::new(seed);
    let bytes: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
    bytes.leak()
}

fn sums(content: &'static [u8]) -> Sums {
    let table = vec![0xdead; Sums::entries(content.len())].leak();
    Sums::of(content, table).expect("a table that is long enough")
}

/// The two zeros of one's complement are one.
fn value(sum: Sum) -> u16 {
    sum.folded() % 0xffff
}

#[test]
fn every_part_sums_as_its_bytes_do() {
    for len in [0, 1, 127, 128, 129, 255, 256, 300, 513] {
        for content in [content(len, 1), vec![0xff; len].leak(), vec![0; len].leak()] {
            let sums = sums(content);
            for start in 0..=len {
                for end in start..=len {
                    let part = &content[start..end];
                    let found = sums.sum(part).expect("a part of it");
                    assert_eq!(
                        value(found),
                        value(Sum::of(part)),
                        "{start}..{end} of {len}"
                    );
                }
            }
        }
    }
}

/// In the middle of other bytes, as a part of a segment is, its parity counts.
#[test]
fn known_sums_stand_in_for_their_bytes() {
    let content = content(20_000, 2);
    let sums = sums(content);
    let mut random = Random::new(3);
    let mut below = |most: usize| (random.next_u64() % (most as u64 + 1)) as usize;
    for _ in 0..5_000 {
        let start = below(content.len());
        let part = &content[start..start + below(content.len() - start)];
        let head = &content[..below(9)];
        let mut known = Sum::of(head);
        known.combine(sums.sum(part).expect("a part of it"));
        known.add(b"tail");
        let mut plain = Sum::of(head);
        plain.add(part);
        plain.add(b"tail");
        assert_eq!(value(known), value(plain));
        assert_eq!(known.is_valid(), plain.is_valid());
    }
}

#[test]
fn what_is_no_part_is_not_known() {
    let whole = content(1_000, 4);
    let sums = sums(&whole[200..600]);
    assert!(sums.sum(&whole[200..600]).is_some());
    for (start, end) in [(0, 200), (199, 400), (400, 601), (601, 1_000), (0, 1_000)] {
        assert!(sums.sum(&whole[start..end]).is_none(), "{start}..{end}");
    }
    assert!(sums.sum(content(50, 5)).is_none());
    assert!(sums.sum(&[]).is_none());
}

#[test]
fn a_short_table_is_refused() {
    for (len, entries) in [(0, 1), (127, 1), (128, 2), (1_000, 8)] {
        assert_eq!(Sums::entries(len), entries);
        let table = vec![0; entries - 1].leak();
        assert!(Sums::of(content(len, 6), table).is_none());
    }
}
