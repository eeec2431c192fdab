//! How much is delivered in a round trip, for congestion control that goes by that.
//!
//! ```text
//!   acknowledgments   |  |  |  |    |  |  |  |
//!                     └─ begins     └─ a round trip later: over, the next begins
//!                        bytes in (begin, end]
//! ```
//!
//! A round begins with an acknowledgment and not with a transmission, so that the time before the
//! first answer does not count. Recoveries count as any other time; over a timeout nothing is
//! measured.

use super::elapsed_us;
use crate::tcp::cc::Round;
use crate::time::Duration;

/// The round under way.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    /// When it began, if it has.
    began_us: Option<u32>,
    /// Bytes delivered since.
    len: u32,
    /// Of the round-trip times measured since.
    rtt_sum_us: u64,
    rtt_cnt: u32,
    is_cwnd_limited: bool,
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self {
            began_us: None,
            len: 0,
            rtt_sum_us: 0,
            rtt_cnt: 0,
            is_cwnd_limited: true,
        }
    }

    /// So many bytes have arrived that had not before.
    #[inline]
    pub(crate) fn delivered(&mut self, len: u32) {
        self.len = self.len.saturating_add(len);
    }

    /// An acknowledgment of new data, outside of recoveries; the round, if it is over.
    #[inline]
    pub(crate) fn acked(
        &mut self,
        now_us: u32,
        (rtt, srtt): (Option<Duration>, Duration),
        is_cwnd_limited: bool,
    ) -> Option<Round> {
        if let Some(rtt) = rtt {
            self.rtt_sum_us = self.rtt_sum_us.saturating_add(rtt.as_micros());
            self.rtt_cnt = self.rtt_cnt.saturating_add(1);
        }
        self.is_cwnd_limited &= is_cwnd_limited;
        let Some(began_us) = self.began_us else {
            self.begin(now_us);
            return None;
        };
        let time_us = elapsed_us(now_us, began_us);
        let is_over = srtt != Duration::ZERO && u64::from(time_us) >= srtt.as_micros();
        let round = is_over.then(|| Round {
            len: self.len,
            time: Duration::from_micros(time_us.into()),
            rtt: Duration::from_micros(self.rtt_sum_us / u64::from(self.rtt_cnt.max(1))),
            is_cwnd_limited: self.is_cwnd_limited,
        });
        if round.is_some() {
            self.begin(now_us);
        }
        round
    }

    /// Begins anew with the next acknowledgment.
    pub(super) fn stop(&mut self) {
        *self = Self::new();
    }

    fn begin(&mut self, now_us: u32) {
        *self = Self {
            began_us: Some(now_us),
            ..Self::new()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRTT: Duration = Duration::from_millis(20);

    /// What comes with the first acknowledgment was sent before the round, what comes with the last
    /// in it.
    #[test]
    fn a_round_is_what_arrives_between_two_acknowledgments() {
        // The clock wraps on the way.
        let start_us = u32::MAX - 9_000;
        let mut meter = Meter::new();
        for step in 0..=4 {
            meter.delivered(1_000);
            let round = meter.acked(
                start_us.wrapping_add(5_000 * step),
                (Some(SRTT), SRTT),
                true,
            );
            let over = Round {
                len: 4_000,
                time: SRTT,
                rtt: SRTT,
                is_cwnd_limited: true,
            };
            assert_eq!(round, (step == 4).then_some(over));
        }
    }

    #[test]
    fn what_a_recovery_delivers_counts_in_the_round_that_ends_behind_it() {
        let mut meter = Meter::new();
        assert_eq!(meter.acked(0, (Some(SRTT), SRTT), true), None);
        for _ in 0..10 {
            meter.delivered(1_000);
        }
        let round = meter.acked(50_000, (Some(SRTT), SRTT), true).unwrap();
        assert_eq!((round.len, round.time), (10_000, Duration::from_millis(50)));
    }

    #[test]
    fn one_pause_of_the_application_is_told() {
        let mut meter = Meter::new();
        assert_eq!(meter.acked(0, (Some(SRTT), SRTT), true), None);
        assert_eq!(meter.acked(10_000, (Some(SRTT), SRTT), false), None);
        assert!(
            !meter
                .acked(20_000, (Some(SRTT), SRTT), true)
                .unwrap()
                .is_cwnd_limited
        );
        assert!(
            meter
                .acked(40_000, (Some(SRTT), SRTT), true)
                .unwrap()
                .is_cwnd_limited
        );
    }

    #[test]
    fn nothing_is_measured_over_a_timeout_or_without_a_round_trip_time() {
        let mut meter = Meter::new();
        assert_eq!(meter.acked(0, (Some(SRTT), SRTT), true), None);
        meter.delivered(1_000);
        meter.stop();
        assert_eq!(meter.acked(300_000, (Some(SRTT), SRTT), true), None);
        meter.delivered(2_000);
        assert_eq!(meter.acked(310_000, (None, Duration::ZERO), true), None);
        assert_eq!(
            meter.acked(320_000, (Some(SRTT), SRTT), true).unwrap().len,
            2_000
        );
    }
}
