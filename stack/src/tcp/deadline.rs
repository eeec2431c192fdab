//! When something is to be done, in four bytes: what a connection keeps of each of its timers.

use crate::time::{Duration, Instant};

/// A point in time in whole milliseconds, rounded up: a tick of the timer wheel, so that nothing is
/// lost by it. The clock wraps after 49 days; a deadline and the time that it is compared with are
/// never more than half of that apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(u32);

impl Deadline {
    /// The timer is off.
    pub(crate) const NEVER: Self = Self(0);

    /// The first millisecond at or after `at`.
    #[inline]
    pub(crate) fn at(at: Instant) -> Self {
        if at == Instant::NEVER {
            return Self::NEVER;
        }
        Self::of_ms(at.as_micros().saturating_add(999) / 1_000)
    }

    #[inline]
    fn of_ms(ms: u64) -> Self {
        // The clock wraps; the one value that is taken goes off a millisecond late.
        Self((ms as u32).max(1))
    }

    /// A while from now, no longer than a clock reaches.
    #[inline]
    pub(crate) fn after(now: Instant, delay: Duration) -> Self {
        let us = now.as_micros().wrapping_add(delay.as_micros());
        Self::of_ms(us.wrapping_add(999) / 1_000)
    }

    /// As [`at`](Self::at), for a time that is not ours to choose: one that lies further ahead than
    /// the clock can say comes as late as that.
    pub(crate) fn at_most(at: Instant, now: Instant) -> Self {
        if at == Instant::NEVER {
            return Self::NEVER;
        }
        Self::at(at.max(now).min(now + AHEAD_MAX))
    }

    /// Whether the timer is on, and its time has come.
    #[inline]
    pub(crate) fn has_come(self, now: Instant) -> bool {
        self != Self::NEVER && now.wrapping_millis().wrapping_sub(self.0) as i32 >= 0
    }

    /// The earlier of the two.
    #[inline]
    pub(crate) fn min(self, other: Self) -> Self {
        if self == Self::NEVER {
            other
        } else if other == Self::NEVER || (self.0.wrapping_sub(other.0) as i32) < 0 {
            self
        } else {
            other
        }
    }

    /// The tick of the timer wheel that it is, modulo 2^32; `None` if the timer is off.
    #[inline]
    pub(crate) fn tick(self) -> Option<u32> {
        (self != Self::NEVER).then_some(self.0)
    }

    /// The point in time that it stands for, seen from `now`.
    #[cfg(test)]
    pub(crate) fn instant(self, now: Instant) -> Instant {
        if self == Self::NEVER {
            return Instant::NEVER;
        }
        let ahead = self.0.wrapping_sub(now.wrapping_millis()) as i32;
        let ms = (now.as_micros() / 1_000).saturating_add_signed(ahead.into());
        Instant::from_micros(ms.saturating_mul(1_000))
    }
}

/// 24 days.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn us(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn a_deadline_comes_at_its_millisecond_across_the_wrap() {
        for start in [0, 1_000, (1 << 31) * 1_000, (1 << 32) * 1_000 - 2_000] {
            let at = Deadline::at(us(start + 4_001));
            assert!(!at.has_come(us(start + 4_999)), "{start}");
            assert!(at.has_come(us(start + 5_000)) && at.has_come(us(start + 90_000)));
            assert_eq!(at.instant(us(start)), us(start + 5_000));
            assert_eq!(at.instant(us(start + 70_000)), us(start + 5_000));
            let later = Deadline::at(us(start + 9_000));
            assert_eq!((at.min(later), later.min(at)), (at, at));
            assert_eq!((at.min(Deadline::NEVER), Deadline::NEVER.min(at)), (at, at));
        }
    }

    #[test]
    fn never_does_not_come_and_the_value_for_it_is_not_a_time() {
        assert!(!Deadline::NEVER.has_come(us(u64::MAX - 1)));
        assert_eq!(Deadline::at(Instant::NEVER), Deadline::NEVER);
        assert_eq!(Deadline::NEVER.instant(us(5)), Instant::NEVER);
        let wrapped = us((1 << 32) * 1_000);
        assert_ne!(Deadline::at(wrapped), Deadline::NEVER);
    }

    #[test]
    fn what_lies_too_far_ahead_comes_after_24_days() {
        let now = us(1_000_000);
        let far = Deadline::at_most(us(u64::MAX - 1), now);
        assert_eq!(far.instant(now), now + AHEAD_MAX);
        assert!(Deadline::at_most(us(0), now).has_come(now));
        assert_eq!(Deadline::at_most(Instant::NEVER, now), Deadline::NEVER);
    }
}
