//! Chance from a seed: SipHash-2-4 (Aumasson and Bernstein, 2012) of a counter.
//!
//! Who sees some of its numbers, as ports (RFC 6056 3.3.1), transaction ids or how many challenge
//! ACKs there were, learns nothing of the others: not of the ports that come next, and not of the
//! keys that were drawn before (RFC 6528 3).

use siphasher::sip::SipHasher24;

/// A small generator. Equal seeds give equal numbers.
#[derive(Clone, Debug)]
pub struct Random {
    key: [u64; 2],
    drawn: u64,
}

impl Random {
    /// A generator whose every number follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self::of(seed as u128)
    }

    /// A generator whose numbers are as good as keys of 128 bits (RFC 6528 3), if `key` is.
    pub const fn of(key: u128) -> Self {
        // Both halves of a u128 fit.
        let key = [key as u64, (key >> 64) as u64];
        Self { key, drawn: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let [k0, k1] = self.key;
        SipHasher24::new_with_keys(k0, k1).hash(&self.drawn.to_le_bytes())
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
