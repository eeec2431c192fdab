//! Chance that repeats for ever: xoshiro256** seeded by splitmix64 (Blackman and Vigna, 2018).
//!
//! The wire owns its generator so that a seed written in a bug report means the same frames in ten
//! years. There is no floating point in it, hence no difference between machines.

/// A stream of numbers that a seed determines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of a seed; every seed is as good as any other.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        Self {
            state: core::array::from_fn(|_| splitmix64(&mut mix)),
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 when there is none. (The bias of not rejecting is below 2^-32 for
    /// the bounds in use here.)
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 64 by 64 bit product is below `bound`, so it fits.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[min, max]`; `min` when `max` is not above it.
    pub fn between(&mut self, min: u64, max: u64) -> u64 {
        if max <= min {
            return min;
        }
        match (max - min).checked_add(1) {
            Some(bound) => min + self.below(bound),
            None => self.next_u64(),
        }
    }

    /// Whether a chance comes true.
    pub fn hits(&mut self, chance: Chance) -> bool {
        self.below(Chance::ALWAYS.0.into()) < chance.0.into()
    }

    /// A stream of its own, for one frame: how much the frame draws from it moves nothing else.
    pub fn split(&mut self) -> Self {
        Self::new(self.next_u64())
    }

    /// Exponentially distributed with about this mean, `45 * mean` at most: log2 by leading zeros
    /// and a straight line between the powers of two (at most 9 % of one mean off).
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let bits = self.next_u64() | 1;
        let zeros = bits.leading_zeros();
        // The 16 bits behind the leading one: how far towards the next power of two.
        let fraction = ((bits << zeros) >> 47) & 0xffff;
        let log2_q16 = (u64::from(zeros) << 16) + (0x1_0000 - fraction);
        // ln(2) in 16 binary places.
        let ln_q32 = u128::from(log2_q16) * 45_426;
        u64::try_from((ln_q32 * u128::from(mean)) >> 32).unwrap_or(u64::MAX)
    }
}

/// A probability in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Each time.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Parts per million; more than a million is always.
    pub const fn ppm(parts: u32) -> Self {
        if parts > Self::ALWAYS.0 {
            return Self::ALWAYS;
        }
        Self(parts)
    }

    /// Parts per hundred; more than a hundred is always.
    pub const fn percent(parts: u32) -> Self {
        Self::ppm(parts.saturating_mul(10_000))
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
