//! How long clients wait, in a histogram of fixed places.

/// Upper bound of the first bucket, in microseconds; each further one is twice as wide.
const FIRST_US: u64 = 64;

/// Buckets with an upper bound, up to 16.8 seconds.
pub(super) const BUCKETS: usize = 19;

/// A histogram of times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    /// Those beyond the last bound are in the sum and the count alone.
    buckets: [u64; BUCKETS],
    pub(super) cnt: u64,
    pub(super) sum_us: u64,
}

impl Latency {
    /// Counts a time, so many times over.
    #[inline]
    pub(super) fn add(&mut self, us: u64, times: u64) {
        // The place of the lowest bound that is not below it.
        let above = us.saturating_sub(1) / FIRST_US;
        let idx = (u64::BITS - above.leading_zeros()) as usize;
        if let Some(bucket) = self.buckets.get_mut(idx) {
            *bucket += times;
        }
        self.cnt += times;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(times));
    }

    /// Upper bounds in microseconds, each with how many times are not above it.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut below = 0;
        self.buckets.iter().enumerate().map(move |(idx, cnt)| {
            below += cnt;
            (FIRST_US << idx, below)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_holds_it() {
        let rows: [(u64, usize); 9] = [
            (0, 0),
            (1, 0),
            (64, 0),
            (65, 1),
            (128, 1),
            (129, 2),
            (1_000_000, 14),
            (64 << 18, 18),
            ((64 << 18) + 1, BUCKETS),
        ];
        for (us, first) in rows {
            let mut latency = Latency::default();
            latency.add(us, 3);
            for (idx, (bound, cnt)) in latency.bounds().enumerate() {
                assert_eq!(cnt == 3, idx >= first, "{us} {bound}");
                assert_eq!(cnt == 3, us <= bound, "{us} {bound}");
            }
            assert_eq!((latency.cnt, latency.sum_us), (3, 3 * us));
        }
    }
}
