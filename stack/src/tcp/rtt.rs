//! Round-trip time and retransmission timeout (RFC 6298).

use crate::config::{RTO_AFTER_SYN, RTO_INITIAL, RTO_MAX, RTO_MIN};
use crate::time::Duration;

/// The estimator of one connection.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub(crate) struct Rtt {
    /// Smoothed round-trip time; 0 until the first measurement.
    srtt_us: u32,
    rttvar_us: u32,
    /// Doublings since the last measurement (RFC 6298 5.5), in seven bits; in the upper one,
    /// whether the SYN was answered only after a timeout (RFC 6298 5.7).
    backoff_and_late: u8,
}

impl Rtt {
    pub(crate) const fn new() -> Self {
        Self {
            srtt_us: 0,
            rttvar_us: 0,
            backoff_and_late: 0,
        }
    }

    /// Takes a measurement of a segment that was sent once (Karn's algorithm is the caller's).
    pub(crate) fn measured(&mut self, rtt: Duration) {
        // At least one tick, at most what the timeout may be: both bound the arithmetic below.
        let rtt_us = rtt.as_micros().clamp(1, RTO_MAX.as_micros()) as u32;
        if self.srtt_us == 0 {
            // RFC 6298 2.2
            self.srtt_us = rtt_us;
            self.rttvar_us = rtt_us / 2;
        } else {
            // RFC 6298 2.3, with alpha 1/8 and beta 1/4
            let error_us = self.srtt_us.abs_diff(rtt_us);
            self.rttvar_us = self.rttvar_us - self.rttvar_us / 4 + error_us / 4;
            self.srtt_us = self.srtt_us - self.srtt_us / 8 + rtt_us / 8;
        }
        self.forward();
    }

    /// A SYN was answered only after a timeout: what is sent next waits for longer than the SYN did
    /// (RFC 6298 5.7).
    pub(crate) fn syn_timed_out(&mut self) {
        self.backoff_and_late |= SYN_LATE;
    }

    /// The timer has fired: wait twice as long next time (RFC 6298 5.5).
    pub(crate) fn back_off(&mut self) {
        self.backoff_and_late += u8::from(self.backoff() < BACKOFF_KEPT);
    }

    /// What the timer waited for has come: the answer to a SYN, or an open window. That data is
    /// acknowledged is not enough: until something is measured again, the timeout stays as long as
    /// it has become (RFC 6298 5, Karn's algorithm).
    pub(crate) fn forward(&mut self) {
        self.backoff_and_late &= SYN_LATE;
    }

    /// Whether the timer has fired since something was measured.
    pub(crate) fn is_backed_off(&self) -> bool {
        self.backoff() > 0
    }

    /// What comes sooner than this after a first retransmission answers what was sent before it.
    /// Zero, so that nothing does, once more than one timeout has passed: the path is not known
    /// any more, and what is as late as several timeouts is lost.
    pub(crate) fn least_plausible(&self) -> Duration {
        match self.backoff() {
            0 | 1 => self.srtt(),
            _ => Duration::ZERO,
        }
    }

    #[inline]
    fn backoff(&self) -> u8 {
        self.backoff_and_late & !SYN_LATE
    }

    /// How long to wait for an acknowledgment now.
    #[inline(always)]
    pub(crate) fn rto(&self) -> Duration {
        if self.backoff() == 0 {
            // Nearly always.
            return Duration::from_micros(self.base_us());
        }
        let rto = self.base_us() << self.backoff().min(BACKOFF_MAX);
        Duration::from_micros(rto.min(RTO_MAX.as_micros()))
    }

    /// The timeout without backoff (RFC 6298 2): computed when it is wanted, so that it costs no
    /// memory.
    #[inline]
    fn base_us(&self) -> u64 {
        let Self {
            srtt_us, rttvar_us, ..
        } = *self;
        match (srtt_us, self.backoff_and_late & SYN_LATE != 0) {
            (0, false) => RTO_INITIAL.as_micros(),
            (0, true) => RTO_AFTER_SYN.as_micros(),
            // Both are bounded by the longest timeout.
            _ => (srtt_us + (4 * rttvar_us).max(GRANULARITY_US))
                .clamp(RTO_MIN_US, RTO_MAX_US)
                .into(),
        }
    }

    /// How long so many timeouts in a row have taken, the last of them at least in part.
    pub(crate) fn elapsed(&self, timeouts: u8) -> Duration {
        // The first of them began with the backoff that there was before.
        let before = self.backoff().saturating_sub(timeouts);
        let nth = |n: u8| self.base_us() << before.saturating_add(n).min(BACKOFF_MAX);
        let sum = (0..timeouts).map(|n| nth(n).min(RTO_MAX.as_micros())).sum();
        Duration::from_micros(sum)
    }

    pub(crate) fn srtt(&self) -> Duration {
        Duration::from_micros(self.srtt_us.into())
    }

    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_micros(self.rttvar_us.into())
    }
}

/// Doublings that take the least timeout past the longest.
const BACKOFF_MAX: u8 = 9;
const _: () = assert!(RTO_MIN.as_micros() << BACKOFF_MAX >= RTO_MAX.as_micros());

const SYN_LATE: u8 = 1 << 7;

/// Doublings that are counted: more than there are timeouts before a connection is given up.
const BACKOFF_KEPT: u8 = !SYN_LATE;

const _: () = assert!(size_of::<Rtt>() <= 9);

const RTO_MIN_US: u32 = RTO_MIN.as_micros() as u32;
const RTO_MAX_US: u32 = RTO_MAX.as_micros() as u32;

/// The clock's G: one tick of the timer wheel.
const GRANULARITY_US: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_measurement_sets_both() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.rto(), ms(1_000));
        rtt.measured(ms(100));
        assert_eq!((rtt.srtt(), rtt.rttvar()), (ms(100), ms(50)));
        assert_eq!(rtt.rto(), ms(300));
    }

    #[test]
    fn later_measurements_count_by_an_eighth_and_a_quarter() {
        let mut rtt = Rtt::new();
        rtt.measured(ms(100));
        rtt.measured(ms(200));
        // RTTVAR first, from the old SRTT: 3/4 of 50 + 1/4 of 100, then 7/8 of 100 + 1/8 of 200.
        assert_eq!(rtt.rttvar(), Duration::from_micros(62_500));
        assert_eq!(rtt.srtt(), Duration::from_micros(112_500));
        assert_eq!(rtt.rto(), Duration::from_micros(362_500));
    }

    #[test]
    fn steady_times_shrink_the_timeout_to_its_least() {
        let mut rtt = Rtt::new();
        for _ in 0..100 {
            rtt.measured(ms(20));
        }
        assert_eq!(rtt.rto(), RTO_MIN);
    }

    #[test]
    fn the_timeout_doubles_to_its_most_and_comes_back() {
        let mut rtt = Rtt::new();
        rtt.measured(ms(100));
        for expected in [
            600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 60_000, 60_000,
        ] {
            rtt.back_off();
            assert_eq!(rtt.rto(), ms(expected));
        }
        rtt.forward();
        assert_eq!(rtt.rto(), ms(300));
        for _ in 0..300 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), RTO_MAX);
        rtt.measured(ms(100));
        assert_eq!(rtt.rto(), ms(250), "a measurement ends it, too");
    }

    #[test]
    fn absurd_measurements_stay_in_bounds() {
        let mut rtt = Rtt::new();
        for rtt_us in [u64::MAX, 0, u64::MAX, 1] {
            rtt.measured(Duration::from_micros(rtt_us));
            assert!(rtt.rto() >= RTO_MIN && rtt.rto() <= RTO_MAX);
        }
    }
}
