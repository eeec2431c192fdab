use std::vec::Vec;

use super::*;
use crate::random::Random;
use crate::time::{Duration, Instant};

/// Rounds of `acks` acknowledgments, each with its round-trip time in microseconds.
struct Rounds {
    hystart: HyStart,
    una: SeqNum,
}

impl Rounds {
    fn new() -> Self {
        Self {
            hystart: HyStart::new(),
            una: SeqNum(u32::MAX - 100_000),
        }
    }

    /// One round trip: what was in flight at its beginning is acknowledged. Says how each
    /// acknowledgment lets the window grow.
    fn round(&mut self, acks: u32, mut rtt_us: impl FnMut(u32) -> Option<u64>) -> Vec<Growth> {
        let nxt = self.una + acks * 1_000;
        let grown = (0..acks).map(|n| {
            self.una += 1_000;
            let acked = Acked {
                len: 1_000,
                flight_size: 0,
                una: self.una,
                // By the end of the round, another is in flight.
                nxt: nxt + (n + 1) * 1_000,
                rtt: rtt_us(n).map(Duration::from_micros),
                srtt: Duration::ZERO,
                is_cwnd_limited: true,
                round: None,
                now: Instant::ZERO,
            };
            self.hystart.acked(&acked)
        });
        grown.collect()
    }

    /// A round in which every acknowledgment measures the same.
    fn steady(&mut self, acks: u32, rtt_us: u64) -> Vec<Growth> {
        self.round(acks, |_| Some(rtt_us))
    }
}

fn all(grown: &[Growth], growth: Growth) -> bool {
    grown.iter().all(|it| *it == growth)
}

#[test]
fn steady_round_trips_never_end_slow_start() {
    let mut rounds = Rounds::new();
    for _ in 0..100 {
        assert!(all(&rounds.steady(20, 30_000), Growth::Full));
    }
}

#[test]
fn jitter_does_not_as_long_as_the_least_of_a_round_stays() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let mut rounds = Rounds::new();
        for _ in 0..20 {
            // One in eight is as fast as ever: of 40, hardly ever none.
            let grown = rounds.round(40, |n| {
                Some(20_000 + (u64::from(n) % 8) * random.below(30_000))
            });
            assert!(all(&grown, Growth::Full));
        }
    }
}

#[test]
fn a_rise_by_an_eighth_within_bounds_is_taken_for_a_queue() {
    // The least of the round before, the rise that is not enough, and the one that is (RFC 9406
    // 4.2: an eighth, at least 4 ms, at most 16 ms).
    for (rtt_us, rise_us) in [
        (1_000, 4_000),
        (31_999, 4_000),
        (40_000, 5_000),
        (96_000, 12_000),
        (128_000, 16_000),
        (900_000, 16_000),
    ] {
        for (rise_us, growth) in [(rise_us - 1, Growth::Full), (rise_us, Growth::Quarter)] {
            let mut rounds = Rounds::new();
            rounds.steady(16, rtt_us);
            rounds.steady(16, rtt_us);
            let grown = rounds.steady(16, rtt_us + rise_us);
            assert!(all(&grown[..7], Growth::Full), "eight samples are needed");
            assert!(all(&grown[8..], growth), "{rtt_us} {rise_us} {grown:?}");
        }
    }
}

#[test]
fn five_rounds_of_css_end_it() {
    let mut rounds = Rounds::new();
    rounds.steady(16, 50_000);
    rounds.steady(16, 50_000);
    assert_eq!(rounds.steady(16, 60_000).last(), Some(&Growth::Quarter));
    // The rest of the first round, and four whole ones.
    for _ in 0..4 {
        let grown = rounds.steady(16, 60_000);
        assert!(all(&grown, Growth::Quarter), "{grown:?}");
    }
    let grown = rounds.steady(16, 60_000);
    assert!(all(&grown, Growth::Over), "{grown:?}");
}

#[test]
fn a_round_trip_that_falls_again_leads_back_to_slow_start() {
    let mut rounds = Rounds::new();
    rounds.steady(16, 50_000);
    rounds.steady(16, 50_000);
    rounds.steady(16, 60_000);
    rounds.steady(16, 60_000);
    let grown = rounds.steady(16, 59_999);
    assert_eq!(grown.last(), Some(&Growth::Full));
    // The new reference is the round that led back: an eighth above it is a queue again.
    rounds.steady(16, 59_999);
    let grown = rounds.steady(16, 59_999 + 7_500);
    assert_eq!(grown.last(), Some(&Growth::Quarter));
}

/// RFC 9406 4.2: while the round in which CSS began is as much above the one before, what it
/// measures less than at first changes nothing.
#[test]
fn jitter_in_the_round_that_begins_css_does_not_end_it() {
    let begun = |least_us: u64| {
        let mut rounds = Rounds::new();
        rounds.steady(16, 40_000);
        rounds.steady(16, 40_000);
        let grown = rounds.round(16, |n| Some(if n < 12 { 48_000 } else { least_us }));
        (rounds, grown)
    };
    // An eighth is what it takes.
    let (mut rounds, grown) = begun(45_000);
    assert!(all(&grown[8..], Growth::Quarter), "{grown:?}");
    // The baseline is the least of that round.
    assert!(all(&rounds.steady(16, 45_000), Growth::Quarter));
    assert_eq!(rounds.steady(16, 44_999).last(), Some(&Growth::Full));
    let (mut rounds, grown) = begun(44_999);
    assert!(all(&grown[12..], Growth::Full), "{grown:?}");
    assert!(
        all(&rounds.steady(16, 49_000), Growth::Full),
        "not above 44,999"
    );
}

#[test]
fn rounds_with_few_measurements_decide_nothing() {
    let mut rounds = Rounds::new();
    for n in 0..20 {
        let grown = rounds.round(16, |ack| (ack < 7).then_some(10_000 * (n + 1)));
        assert!(all(&grown, Growth::Full));
    }
    let mut rounds = Rounds::new();
    for _ in 0..20 {
        assert!(all(&rounds.round(16, |_| None), Growth::Full));
    }
}

#[test]
fn absurd_measurements_are_survived() {
    let mut rounds = Rounds::new();
    for rtt_us in [u64::MAX, 0, u64::MAX, u64::MAX, 1, u64::MAX] {
        rounds.steady(20, rtt_us);
    }
}

#[test]
fn what_is_noted_leaves_what_it_would_leave_at_length() {
    let mut random = Random::new(7);
    let (mut noted, mut una) = (HyStart::new(), SeqNum(u32::MAX - 100_000));
    let mut noted_cnt = 0;
    for _ in 0..10_000 {
        una += 1_000;
        let draw = random.next_u64();
        let acked = Acked {
            len: 1_000,
            flight_size: 0,
            una,
            nxt: una + (draw % 12) as u32 * 1_000,
            rtt: (draw >> 8 & 3 != 0).then(|| Duration::from_micros(30_000 + (draw >> 16) % 9_000)),
            srtt: Duration::ZERO,
            is_cwnd_limited: false,
            round: None,
            now: Instant::ZERO,
        };
        let mut at_length = noted;
        let growth = at_length.acked(&acked);
        match noted.noted(acked.una, acked.nxt, acked.rtt) {
            true => assert_eq!(growth, Growth::Full),
            false => noted = at_length,
        }
        noted_cnt += u32::from(at_length.stage == Stage::SlowStart);
        // Of samples no more counts than that they are enough.
        noted.samples = noted.samples.min(N_RTT_SAMPLE);
        at_length.samples = at_length.samples.min(N_RTT_SAMPLE);
        assert_eq!(std::format!("{noted:?}"), std::format!("{at_length:?}"));
        if growth == Growth::Over {
            noted = HyStart::new();
        }
    }
    assert!(noted_cnt > 1_000);
}
