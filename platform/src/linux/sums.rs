//! The sums of content's blocks, at what the processor has: AVX2 where there is that, else SSE2,
//! which every x86-64 has.
//!
//! The loop is one, compiled for each; which of them runs is found out once a site. The stack sums
//! what is left (ragged ends, headers, what comes in) in plain words: pieces of some ten bytes, for
//! which wide registers do not pay. Code that has used the upper halves of those clears them at its
//! end (`vzeroupper`), or SSE code behind it would be slow; the compiler sees to that where a
//! function with the feature ends.

use simoom::SUMS_BLOCK;

/// A block of content.
type Block = [u8; SUMS_BLOCK];

/// The folded sum of each block (RFC 1071), as [`Sums::of_blocks`](simoom::Sums::of_blocks) wants
/// it.
pub(super) fn of_blocks(blocks: &[Block], sums: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as has just been asked.
        return unsafe { of_blocks_by_avx2(blocks, sums) };
    }
    of_blocks_plainly(blocks, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn of_blocks_by_avx2(blocks: &[Block], sums: &mut [u16]) {
    of_blocks_plainly(blocks, sums);
}

/// Words of 32 bits, added in registers that hold as many as there are: a block's sum has 37 bits.
#[inline(always)]
fn of_blocks_plainly(blocks: &[Block], sums: &mut [u16]) {
    for (block, sum) in blocks.iter().zip(sums) {
        let (words, _) = block.as_chunks::<4>();
        let words = words
            .iter()
            .map(|word| u64::from(u32::from_ne_bytes(*word)));
        let mut folded: u64 = words.sum();
        // 37 bits, then 22, then 17, then 16.
        for _ in 0..3 {
            folded = (folded >> 16) + (folded & 0xffff);
        }
        // 16 bits are left, in the machine's order (RFC 1071 2 (B)).
        *sum = u16::from_be(folded as u16);
    }
}

#[cfg(test)]
mod tests;
