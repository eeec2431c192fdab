use std::vec::Vec;

use super::*;
use crate::random::Random;

/// RFC 1071 4.1, word by word, in big-endian order.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// One's complement has two zeros; a sum that was subtracted may be either.
fn zero_is_one(csum: u16) -> u16 {
    if csum == 0xffff { 0 } else { csum }
}

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.next_u64() as u8).collect()
}

#[test]
fn the_rfcs_example() {
    // RFC 1071 3: the sum is ddf2.
    let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.folded(), 0xddf2);
    assert_eq!(sum.finish(), !0xddf2);
}

#[test]
fn every_length_at_every_alignment_equals_the_naive_loop() {
    let data = bytes(256, 1);
    let ones = [0xffu8; 256];
    for start in 0..16 {
        for len in 0..=200 {
            for data in [&data[..], &ones[..], &[0; 256][..]] {
                let slice = &data[start..start + len];
                assert_eq!(Sum::of(slice).finish(), naive(slice), "{start} {len}");
            }
        }
    }
}

#[test]
fn every_split_into_three_gives_the_same_sum() {
    let data = bytes(60, 2);
    let whole = naive(&data);
    for first in 0..=60 {
        for second in first..=60 {
            let mut sum = Sum::new();
            sum.add(&data[..first]);
            sum.add(&data[first..second]);
            sum.add(&data[second..]);
            assert_eq!(sum.finish(), whole, "{first} {second}");
        }
    }
}

#[test]
fn known_sums_combine_like_their_bytes() {
    let data = bytes(97, 3);
    for split in 0..=97 {
        let mut sum = Sum::of(&data[..split]);
        sum.combine(Sum::of(&data[split..]));
        assert_eq!(sum.finish(), naive(&data), "{split}");
        let folded = Sum::from_folded(Sum::of(&data[..split & !1]).folded());
        let mut sum = folded;
        sum.add(&data[split & !1..]);
        assert_eq!(sum.finish(), naive(&data), "{split} from its folded form");
    }
}

#[test]
fn a_slices_sum_is_the_difference_of_two_prefixes() {
    let data = bytes(90, 4);
    for start in 0..=90 {
        for end in start..=90 {
            let slice = Sum::of(&data[..end]).without_prefix(Sum::of(&data[..start]));
            let (got, want) = (slice.finish(), naive(&data[start..end]));
            assert_eq!(zero_is_one(got), zero_is_one(want), "{start}..{end}");
            let mut followed = slice;
            followed.add(b"odd");
            let mut joined = data[start..end].to_vec();
            joined.extend_from_slice(b"odd");
            assert_eq!(zero_is_one(followed.finish()), zero_is_one(naive(&joined)));
        }
    }
}

#[test]
fn long_runs_of_ones_carry_right() {
    for len in [1_499, 1_500, 65_535] {
        let data = std::vec![0xff; len];
        assert_eq!(Sum::of(&data).finish(), naive(&data));
    }
    let data = bytes(65_535, 5);
    assert_eq!(Sum::of(&data).finish(), naive(&data));
}

#[test]
fn the_pseudo_header_is_that_of_the_family() {
    let (src, dst) = ([10, 0, 2, 15], [192, 0, 2, 1]);
    let mut expected = Vec::new();
    expected.extend_from_slice(&src);
    expected.extend_from_slice(&dst);
    expected.extend_from_slice(&[0, 6, 0x12, 0x34]);
    let sum = Sum::pseudo_header(Addr::v4(src.into()), Addr::v4(dst.into()), 6, 0x1234);
    assert_eq!(sum.finish(), naive(&expected));

    let (src, dst) = (
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        [0x20; 16],
    );
    let mut expected = Vec::new();
    expected.extend_from_slice(&src);
    expected.extend_from_slice(&dst);
    expected.extend_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0, 17]);
    let sum = Sum::pseudo_header(Addr::v6(src.into()), Addr::v6(dst.into()), 17, 0xffff);
    assert_eq!(sum.finish(), naive(&expected));
}

#[test]
fn a_checksum_in_place_makes_the_sum_valid() {
    for seed in 0..200 {
        let mut data = bytes(40, seed);
        data[10..12].fill(0);
        let csum = Sum::of(&data).finish();
        data[10..12].copy_from_slice(&csum.to_be_bytes());
        assert!(Sum::of(&data).is_valid());
        data[(seed % 40) as usize] ^= 1 << (seed % 8);
        assert!(!Sum::of(&data).is_valid());
    }
}

#[test]
fn an_incremental_update_equals_a_new_sum() {
    // RFC 1624 4's example, where the older rule fails.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    let mut random = Random::new(6);
    for seed in 0..2_000 {
        let mut data = bytes(20, seed);
        let before = naive(&data);
        let old = u16::from_be_bytes([data[4], data[5]]);
        let new = random.next_u32() as u16;
        data[4..6].copy_from_slice(&new.to_be_bytes());
        assert_eq!(
            zero_is_one(update(before, old, new)),
            zero_is_one(naive(&data))
        );
    }
}

#[test]
fn the_pseudo_header_is_the_addresses_and_the_rest() {
    for (src, dst) in [([10, 0, 0, 1], [192, 168, 255, 254]), ([255; 4], [255; 4])] {
        for len in [0, 20, 1_480, u16::MAX] {
            let mut of_parts = Sum::pseudo_header_rest(6, len);
            of_parts.add(&[src, dst].concat());
            let of_both = Sum::pseudo_header(
                core::net::Ipv4Addr::from(src).into(),
                core::net::Ipv4Addr::from(dst).into(),
                6,
                len,
            );
            assert_eq!(of_parts.folded(), of_both.folded(), "{src:?} {dst:?} {len}");
        }
    }
}
