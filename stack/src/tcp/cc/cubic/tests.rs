use std::vec::Vec;

use super::*;
use crate::random::Random;
use crate::tcp::seqnum::SeqNum;

const SMSS: u16 = 1_000;

/// A connection whose window is always full: acknowledgments of one segment, spread over the
/// round trip.
struct Flow {
    cubic: Cubic,
    smss: u16,
    rtt: Duration,
    /// Microseconds, as a real number: acknowledgments do not come at whole ones.
    now_us: f64,
    una: SeqNum,
}

impl Flow {
    fn new(smss: u16, rtt_ms: u64) -> Self {
        Self {
            cubic: Cubic::new(smss, Algorithm::Cubic),
            smss,
            rtt: Duration::from_millis(rtt_ms),
            now_us: 0.0,
            una: SeqNum(0),
        }
    }

    /// In avoidance, right after a loss at `segments`.
    fn after_loss(smss: u16, rtt_ms: u64, segments: u32) -> Self {
        let mut flow = Self::new(smss, rtt_ms);
        flow.cubic.cwnd = segments * u32::from(smss);
        flow.signal(Signal::LOSS);
        flow
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.now_us as u64)
    }

    fn segments(&self) -> f64 {
        f64::from(self.cubic.cwnd()) / f64::from(self.smss)
    }

    fn acked(&self) -> Acked {
        Acked {
            len: self.smss.into(),
            flight_size: self.cubic.cwnd(),
            una: self.una,
            nxt: self.una + self.cubic.cwnd(),
            rtt: None,
            srtt: self.rtt,
            is_cwnd_limited: true,
            round: None,
            now: self.now(),
        }
    }

    fn ack(&mut self) {
        self.now_us += self.rtt.as_micros() as f64 / self.segments();
        self.una += u32::from(self.smss);
        let acked = self.acked();
        self.cubic.acked(self.smss, &acked);
    }

    fn ack_for(&mut self, millis: u64) {
        let until = self.now_us + (millis * 1_000) as f64;
        while self.now_us < until {
            self.ack();
        }
    }

    fn signal(&mut self, signal: Signal) {
        let (flight_size, now) = (self.cubic.cwnd(), self.now());
        self.cubic.signalled(self.smss, signal, flight_size, now);
    }
}

#[track_caller]
fn assert_near(actual: f64, expected: f64, percent: f64) {
    let off = (actual - expected).abs() / expected.abs().max(1.0) * 100.0;
    assert!(
        off <= percent,
        "{actual} is {off} % away from {expected}, {percent} % allowed"
    );
}

#[test]
fn cube_roots_are_exact() {
    for root in (0..2_642_245_u64).step_by(997).chain([1, 2, 2_642_245]) {
        let cube = root * root * root;
        assert_eq!(cube_root(cube), root);
        assert_eq!(cube_root(cube + 1), root.max(1));
        if root > 0 {
            assert_eq!(cube_root(cube - 1), root - 1);
        }
    }
    assert_eq!(cube_root(u64::MAX), 2_642_245);
}

#[test]
fn the_curve_is_that_of_the_rfc_in_real_numbers() {
    let w_max = 400_000_000;
    for smss in [64, 536, 1_460, 8_960, u16::MAX] {
        for offset in (-500_000..=500_000).step_by(1_009) {
            let seconds = f64::from(offset) / 1_000.0;
            let segments = 0.4 * seconds.powi(3) + f64::from(w_max) / f64::from(smss);
            let bytes = (segments * f64::from(smss)).clamp(0.0, f64::from(CWND_MAX));
            assert_near(w_cubic(offset, w_max, smss).into(), bytes, 0.01);
        }
        for cwnd in [1, 1_000, 1_000_000, 399_999_999, 400_000_000, CWND_MAX] {
            let way = (f64::from(w_max) - f64::from(cwnd)) / f64::from(smss);
            let k_ms = (way / 0.4).cbrt() * 1_000.0;
            let offset = offset_of(w_max, cwnd, smss);
            assert!((f64::from(offset) + k_ms).abs() <= 1.0, "{offset} {k_ms}");
        }
    }
}

#[test]
fn the_window_follows_the_curve_through_its_plateau() {
    // RFC 9438 4.2 in real numbers: W_max 2,000 segments, K = cbrt(600 / 0.4) = 11.447 s.
    let mut flow = Flow::after_loss(1_460, 50, 2_000);
    let k = (2_000.0 * 0.3_f64 / 0.4).cbrt();
    assert!((k - 11.447).abs() < 0.001);
    for seconds in 1..=20 {
        flow.ack_for(1_000);
        let t = f64::from(seconds);
        let curve = 0.4 * (t - k).powi(3) + 2_000.0;
        assert_near(flow.segments(), curve, 1.0);
    }
}

#[test]
fn average_windows_are_those_that_the_rfc_lists() {
    // RFC 9438 5.1, tables 1 and 2, C = 0.4: round trip, packets from loss to loss, window.
    let rows = [
        (100, 100, 12.0),
        (100, 1_000, 38.0),
        (100, 10_000, 187.0),
        (100, 100_000, 1_054.0),
        (100, 1_000_000, 5_926.0),
        (10, 100, 12.0),
        (10, 1_000, 38.0),
        (10, 10_000, 120.0),
        (10, 100_000, 379.0),
        (10, 1_000_000, 1_200.0),
    ];
    for (rtt_ms, period, window) in rows {
        let mut flow = Flow::new(SMSS, rtt_ms);
        // The largest window of a period: the average is (3 + beta) / 4 of it.
        flow.cubic.cwnd = (window / 0.925) as u32 * u32::from(SMSS);
        let periods = 20_u32.min(2_000_000 / period);
        let mut from = 0.0;
        for n in 0..periods {
            // The first half finds the place.
            if n == periods / 2 {
                from = flow.now_us;
            }
            // The table is without fast convergence: nobody is there to converge with.
            flow.cubic.w_max = 0;
            flow.signal(Signal::LOSS);
            for _ in 0..period {
                flow.ack();
            }
        }
        let sent = f64::from(period * (periods - periods / 2));
        let rounds = (flow.now_us - from) / (rtt_ms * 1_000) as f64;
        assert_near(sent / rounds, window, 6.0);
    }
}

#[test]
fn a_small_window_grows_as_reno_would() {
    // K = cbrt(6 / 0.4) = 2.47 s: at a round trip of 1 ms the curve is flat from here.
    let mut flow = Flow::after_loss(SMSS, 1, 20);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (14_000, 14_000));
    // alpha = 9/17: a segment for each 17/9 windows, then one for each window. The window grows
    // meanwhile: it is half a segment larger in the mean.
    for segments in 14..25 {
        let windows = if segments < 20 { 17.0 / 9.0 } else { 1.0 };
        let acks = (f64::from(segments) + 0.5) * windows;
        let mut count = 0.0;
        while flow.cubic.cwnd() < (segments + 1) * 1_000 {
            flow.ack();
            count += 1.0;
        }
        assert!((count - acks).abs() <= 1.0, "{count} for {acks}");
    }
}

#[test]
fn what_a_reduction_leaves_of_a_segment_is_not_lost() {
    // K = cbrt(4.5 / 0.4) = 2.24 s: Reno's region. 10.5 segments are in use as 10, and as 11 after
    // half a segment's growth, not after a whole one's.
    let mut flow = Flow::after_loss(SMSS, 1, 15);
    assert_eq!(flow.cubic.cwnd(), 10_500);
    let mut count = 0;
    while flow.cubic.cwnd() < 11_000 {
        flow.ack();
        count += 1;
    }
    // 0.5 / alpha windows of 10.75.
    assert!((10..=11).contains(&count), "{count}");
}

#[test]
fn growth_is_exact_however_little_an_acknowledgment_is_of_the_window() {
    // 2 bytes of the window or none for each acknowledgment of one segment.
    let (cwnd, acks) = (600_000_u32, 6_000);
    let mut avoidance = Avoidance::new(cwnd, cwnd, cwnd, SMSS);
    for _ in 0..acks {
        avoidance.estimate(SMSS, cwnd, 0, SMSS.into());
    }
    assert_eq!(avoidance.w_est - cwnd, 10 * u32::from(SMSS));
}

#[test]
fn a_loss_costs_three_tenths_and_fast_convergence_a_little_more() {
    let mut flow = Flow::after_loss(SMSS, 100, 100);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.w_max), (70_000, 100_000));
    // Below the last maximum: 85 % of where it is.
    flow.signal(Signal::LOSS);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.w_max), (49_000, 59_500));
    for _ in 0..50 {
        flow.signal(Signal::LOSS);
    }
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (2_000, 2_000));
}

/// A loss on a path of 20 ms that is so much longer now.
fn loss_behind(queue_us: u32) -> Signal {
    Signal::Loss(Delays {
        least_us: 20_000,
        recent_us: 20_000 + queue_us,
    })
}

#[test]
fn a_loss_by_chance_costs_half_as_much_without_fast_convergence() {
    let mut flow = Flow::after_loss(SMSS, 20, 100);
    flow.signal(loss_behind(0));
    assert_eq!((flow.cubic.cwnd(), flow.cubic.w_max), (59_500, 70_000));
    assert_eq!(flow.cubic.ssthresh(), 59_500);
    // Behind a queue it is congestion, as RFC 9438 4.6 and 4.7 have it.
    flow.signal(loss_behind(4_000));
    assert_eq!((flow.cubic.cwnd(), flow.cubic.w_max), (41_650, 50_575));
    for _ in 0..50 {
        flow.signal(loss_behind(0));
    }
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (2_000, 2_000));
}

#[test]
fn after_a_loss_by_chance_the_window_comes_back_at_the_pace_of_reno() {
    for (loss, segments_a_round) in [(loss_behind(0), 1.0), (loss_behind(9_000), 9.0 / 17.0)] {
        let mut flow = Flow::after_loss(SMSS, 20, 20);
        flow.signal(loss);
        let before = flow.segments();
        flow.ack_for(40);
        assert_near(flow.segments() - before, 2.0 * segments_a_round, 5.0);
    }
}

/// The window of slow start doubles in the round trip that would show the queue.
#[test]
fn in_slow_start_no_loss_is_by_chance() {
    let mut flow = Flow::new(SMSS, 20);
    flow.cubic.cwnd = 100_000;
    flow.signal(loss_behind(0));
    assert_eq!(flow.cubic.cwnd(), 70_000);
    flow.signal(Signal::Timeout);
    flow.cubic.cwnd = 40_000;
    flow.signal(loss_behind(0));
    assert_eq!(flow.cubic.cwnd(), 28_000);
}

#[test]
fn a_loss_by_chance_that_was_for_nothing_is_undone() {
    let mut flow = Flow::after_loss(SMSS, 20, 100);
    flow.signal(loss_behind(0));
    flow.signal(Signal::Spurious);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (70_000, 70_000));
    assert_eq!(flow.cubic.w_max, 100_000);
}

#[test]
fn what_was_not_in_flight_does_not_count() {
    let mut flow = Flow::new(SMSS, 100);
    flow.cubic.cwnd = 100_000;
    let signal = |flow: &mut Flow, flight_size| {
        let now = flow.now();
        flow.cubic.signalled(SMSS, Signal::LOSS, flight_size, now);
    };
    signal(&mut flow, 50_000);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.w_max), (35_000, 100_000));
    // Nor does what limited transmit and an earlier reduction have left beyond the window.
    signal(&mut flow, 100_000);
    assert_eq!(flow.cubic.cwnd(), 24_500);
}

#[test]
fn a_mark_costs_as_much_as_a_loss_down_to_one_segment_and_is_not_undone() {
    let mut flow = Flow::new(SMSS, 100);
    flow.cubic.cwnd = 100_000;
    flow.signal(Signal::Ecn);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (70_000, 70_000));
    flow.signal(Signal::Spurious);
    assert_eq!(flow.cubic.cwnd(), 70_000);
    for _ in 0..50 {
        flow.signal(Signal::Ecn);
    }
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (1_000, 2_000));
    for _ in 0..10 {
        flow.ack();
    }
    assert!(flow.cubic.cwnd() >= 2_000, "it grows again");
}

#[test]
fn a_timeout_starts_again_with_one_segment_and_a_plateau_at_the_threshold() {
    let mut flow = Flow::after_loss(SMSS, 100, 1_000);
    flow.signal(Signal::Timeout);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (1_000, 490_000));
    // RFC 3465 2.3: one segment, whatever is acknowledged.
    let acked = Acked {
        len: 20_000,
        ..flow.acked()
    };
    flow.cubic.acked(SMSS, &acked);
    assert_eq!(flow.cubic.cwnd(), 2_000);
    while flow.cubic.cwnd() < 490_000 {
        flow.ack();
    }
    // RFC 9438 4.8: K = 0 here.
    for seconds in 1..=8 {
        flow.ack_for(1_000);
        let curve = 0.4 * f64::from(seconds).powi(3) + 490.0;
        let reno = 490.0 + f64::from(seconds * 10) * 9.0 / 17.0;
        assert_near(flow.segments(), curve.max(reno), 1.0);
    }
}

#[test]
fn a_reduction_for_nothing_is_undone_once() {
    let mut flow = Flow::after_loss(SMSS, 50, 1_000);
    flow.ack_for(3_000);
    let (cwnd, ssthresh, w_max) = (flow.cubic.cwnd, flow.cubic.ssthresh, flow.cubic.w_max);
    let at = flow.now_us;
    for signal in [Signal::LOSS, Signal::Timeout] {
        flow.signal(signal);
        assert!(flow.cubic.cwnd() < cwnd);
        flow.signal(Signal::Spurious);
        assert_eq!(
            (flow.cubic.cwnd, flow.cubic.ssthresh, flow.cubic.w_max),
            (cwnd, ssthresh, w_max)
        );
    }
    // The curve goes on as if nothing had happened.
    let mut other = Flow::after_loss(SMSS, 50, 1_000);
    other.ack_for(3_000);
    assert!((other.now_us - at).abs() < 1.0);
    for _ in 0..10 {
        flow.ack_for(1_000);
        other.ack_for(1_000);
        assert_near(flow.segments(), other.segments(), 0.5);
    }
    flow.signal(Signal::LOSS);
    let reduced = flow.cubic.cwnd();
    flow.signal(Signal::Spurious);
    flow.signal(Signal::LOSS);
    assert_eq!(flow.cubic.cwnd(), reduced);
    // A window that has outgrown it stays.
    flow.ack_for(60_000);
    let cwnd = flow.cubic.cwnd();
    flow.signal(Signal::Spurious);
    assert_eq!(flow.cubic.cwnd(), cwnd);
}

#[test]
fn undoing_a_loss_in_the_first_slow_start_leads_back_there() {
    let mut flow = Flow::new(SMSS, 50);
    flow.signal(Signal::LOSS);
    flow.signal(Signal::Spurious);
    assert_eq!(
        (flow.cubic.cwnd(), flow.cubic.ssthresh()),
        (10_000, u32::MAX)
    );
    flow.ack();
    assert_eq!(flow.cubic.cwnd(), 11_000);
}

#[test]
fn a_late_handshake_leaves_one_segment_and_slow_start_to_it() {
    let mut flow = Flow::new(SMSS, 50);
    flow.signal(Signal::SynTimeouts);
    assert_eq!(
        (flow.cubic.cwnd(), flow.cubic.ssthresh()),
        (1_000, u32::MAX)
    );
    flow.ack();
    assert_eq!(flow.cubic.cwnd(), 2_000);
}

#[test]
fn slow_start_counts_bytes_up_to_eight_segments() {
    let mut flow = Flow::new(SMSS, 50);
    for (len, grown) in [(100, 100), (8_000, 8_000), (20_000, 8_000)] {
        let before = flow.cubic.cwnd();
        let acked = Acked {
            len,
            ..flow.acked()
        };
        flow.cubic.acked(SMSS, &acked);
        assert_eq!(flow.cubic.cwnd() - before, grown);
    }
}

#[test]
fn longer_round_trips_end_slow_start_with_a_plateau_where_it_is() {
    let mut flow = Flow::new(SMSS, 50);
    let ack = |flow: &mut Flow, rtt_ms| {
        flow.now_us += 1_000.0;
        flow.una += 1_000;
        let acked = Acked {
            rtt: Some(Duration::from_millis(rtt_ms)),
            ..flow.acked()
        };
        flow.cubic.acked(SMSS, &acked);
    };
    while flow.cubic.cwnd() < 160_000 {
        ack(&mut flow, 50);
    }
    assert_eq!(flow.cubic.ssthresh(), u32::MAX);
    let mut grown = Vec::new();
    while flow.cubic.ssthresh() == u32::MAX {
        let before = flow.cubic.cwnd();
        ack(&mut flow, 60);
        grown.push(flow.cubic.cwnd() - before);
    }
    grown.dedup();
    // At full speed to the end of the round, a quarter in CSS, then the window's own pace.
    assert_eq!(grown, [1_000, 250, 0]);
    let cwnd = flow.cubic.cwnd();
    assert_eq!((flow.cubic.ssthresh(), flow.cubic.w_max), (cwnd, cwnd));
    flow.ack_for(1_000);
    assert!(flow.cubic.cwnd() > cwnd);
}

#[test]
fn a_window_that_is_not_used_does_not_grow_and_its_clock_stands_still() {
    let mut flow = Flow::after_loss(SMSS, 50, 1_000);
    let mut other = Flow::after_loss(SMSS, 50, 1_000);
    flow.ack_for(4_000);
    other.ack_for(4_000);
    let cwnd = flow.cubic.cwnd();
    for _ in 0..100 {
        flow.now_us += 36_000_000.0;
        let acked = Acked {
            is_cwnd_limited: false,
            ..flow.acked()
        };
        flow.cubic.acked(SMSS, &acked);
    }
    assert_eq!(flow.cubic.cwnd(), cwnd);
    // The time between the last acknowledgment that counted and the first that did not is lost.
    other.now_us += 36_000_000.0;
    let acked = Acked {
        is_cwnd_limited: false,
        ..other.acked()
    };
    other.cubic.acked(SMSS, &acked);
    for _ in 0..10 {
        flow.ack_for(1_000);
        other.ack_for(1_000);
        assert_near(flow.segments(), other.segments(), 0.1);
    }
}

#[test]
fn growth_is_bounded_by_half_a_window_a_window() {
    let mut flow = Flow::after_loss(SMSS, 50, 1_000);
    flow.ack_for(1_000);
    let cwnd = flow.cubic.cwnd();
    flow.now_us += 400_000_000.0;
    let until = flow.una + cwnd;
    while flow.una.before(until) {
        flow.ack();
    }
    // RFC 9438 4.2: target is at most 1.5 cwnd, of a cwnd that moves meanwhile: e^(1/2) in all.
    let most = f64::from(cwnd) * 0.5_f64.exp();
    let grown = f64::from(flow.cubic.cwnd());
    assert!(grown > 1.4 * f64::from(cwnd) && grown <= most, "{grown}");
}

#[test]
fn after_idle_time_slow_start_leads_back_to_the_curve() {
    let mut flow = Flow::new(SMSS, 50);
    flow.cubic.cwnd = 80_000;
    flow.signal(Signal::Idle);
    assert_eq!(
        (flow.cubic.cwnd(), flow.cubic.ssthresh()),
        (10_000, u32::MAX)
    );
    let mut flow = Flow::after_loss(SMSS, 50, 1_000);
    flow.now_us += 5_000_000.0;
    flow.signal(Signal::Idle);
    assert_eq!(
        (flow.cubic.cwnd(), flow.cubic.ssthresh()),
        (10_000, 700_000)
    );
    while flow.cubic.cwnd() < 700_000 {
        flow.ack();
    }
    // The plateau is where it was: K = cbrt(300 / 0.4) = 9.09 s.
    assert_eq!(flow.cubic.w_max, 1_000_000);
    flow.ack_for(9_090);
    assert_near(flow.segments(), 1_000.0, 1.0);
    // A window above the threshold that was: three quarters of it are trusted.
    let cwnd = flow.cubic.cwnd();
    flow.signal(Signal::Idle);
    assert_eq!(flow.cubic.ssthresh(), cwnd - cwnd / 4);
    // A small window has nothing to lose.
    let mut flow = Flow::after_loss(SMSS, 50, 10);
    flow.signal(Signal::Idle);
    assert_eq!((flow.cubic.cwnd(), flow.cubic.ssthresh()), (7_000, 7_000));
}

#[test]
fn whatever_happens_the_window_stays_in_bounds() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let smss = [1, 64, 536, 1_460, 8_960, u16::MAX][random.below(6) as usize];
        let mut cubic = Cubic::new(smss, Algorithm::Cubic);
        cubic.cwnd = (1_u32 << random.below(31)).max(smss.into());
        let mut now = Instant::from_micros(random.next_u64() >> random.below(64));
        for _ in 0..2_000 {
            now = now + Duration::from_micros(random.next_u64() >> (24 + random.below(40)));
            let before = cubic.cwnd();
            let length = |random: &mut Random| random.next_u32() >> random.below(32);
            let time =
                |random: &mut Random| Duration::from_micros(random.next_u64() >> random.below(64));
            if random.below(50) == 0 {
                let signal = [
                    Signal::LOSS,
                    Signal::Loss(Delays {
                        least_us: length(&mut random),
                        recent_us: length(&mut random),
                    }),
                    Signal::Ecn,
                    Signal::Timeout,
                    Signal::Spurious,
                    Signal::Idle,
                ][random.below(6) as usize];
                let flight_size = length(&mut random);
                cubic.signalled(smss, signal, flight_size, now);
                assert!(
                    signal == Signal::Spurious || cubic.cwnd() <= before.max(2 * u32::from(smss))
                );
            } else {
                let acked = Acked {
                    len: length(&mut random),
                    flight_size: length(&mut random),
                    una: SeqNum(random.next_u32()),
                    nxt: SeqNum(random.next_u32()),
                    rtt: (random.below(2) == 0).then(|| time(&mut random)),
                    srtt: time(&mut random),
                    round: None,
                    is_cwnd_limited: random.below(8) != 0,
                    now,
                };
                cubic.acked(smss, &acked);
                let most = (before / 2).max(8 * u32::from(smss));
                assert!(cubic.cwnd() >= before && cubic.cwnd() - before <= most);
            }
            assert!(cubic.cwnd() >= u32::from(smss) && cubic.cwnd() <= CWND_MAX);
            assert!(cubic.ssthresh() >= 2 * u32::from(smss));
        }
    }
}
