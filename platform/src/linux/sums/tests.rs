use std::vec;
use std::vec::Vec;

use super::*;

/// Two bytes at a time.
fn by_hand(block: &Block) -> u16 {
    let pairs = block
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = pairs.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn check(of_blocks: impl Fn(&[Block], &mut [u16])) {
    let mut blocks: Vec<Block> = vec![[0; SUMS_BLOCK], [0xff; SUMS_BLOCK]];
    let mut state = 1_u64;
    for _ in 0..1_000 {
        let mut block = [0; SUMS_BLOCK];
        for byte in &mut block {
            // Knuth's MMIX.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        blocks.push(block);
    }
    for cnt in [0, 1, 2, blocks.len()] {
        let mut sums = vec![0xdead; cnt];
        of_blocks(&blocks[..cnt], &mut sums);
        let expected: Vec<u16> = blocks[..cnt].iter().map(by_hand).collect();
        assert_eq!(sums, expected);
    }
}

#[test]
fn each_way_sums_as_by_hand() {
    check(of_blocks_plainly);
    check(of_blocks);
}
