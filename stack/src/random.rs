//! Chance from a seed: SplitMix64 (Steele, Lea, Flood 2014), eight bytes of state.
//!
//! For jitter, transaction ids and identification fields: what must differ between machines, not
//! what must be secret. Secrets (RFC 6528 sequence numbers) come from a keyed function instead.

/// A small generator. Equal seeds give equal numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose every number follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits. Every value comes once in a period of 2^64.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        // The upper half of a u64 fits.
        (self.next_u64() >> 32) as u32
    }

    /// A number below `bound`, or 0 when `bound` is 0. By multiplication, so without a division;
    /// the bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of a u128 fits.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests;
