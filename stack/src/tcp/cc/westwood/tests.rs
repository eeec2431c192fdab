use super::*;
use crate::random::Random;
use crate::tcp::seqnum::SeqNum;

const SMSS: u16 = 1_000;
const RTT_MS: u64 = 50;

/// A connection whose window is always full, one acknowledgment a round trip, over a path without
/// a queue unless told.
struct Flow {
    westwood: Westwood,
    now: Instant,
}

impl Flow {
    fn new() -> Self {
        Self {
            westwood: Westwood::new(SMSS, Algorithm::Westwood),
            now: Instant::ZERO,
        }
    }

    /// In avoidance at `cwnd`, which the path has carried for long.
    fn settled(cwnd: u32) -> Self {
        let mut flow = Self::new();
        flow.signal(Signal::LOSS, 2_000);
        flow.westwood.cwnd = cwnd;
        for _ in 0..100 {
            flow.westwood.cwnd = cwnd;
            flow.round(cwnd, RTT_MS);
        }
        flow.westwood.cwnd = cwnd;
        flow
    }

    fn acked(&self, len: u32, rtt_ms: u64) -> Acked {
        let rtt = Duration::from_millis(rtt_ms);
        Acked {
            len,
            flight_size: len,
            una: SeqNum(0),
            nxt: SeqNum(0),
            rtt: Some(rtt),
            srtt: rtt,
            is_cwnd_limited: true,
            round: Some(Round {
                len,
                time: rtt,
                rtt,
                is_cwnd_limited: true,
            }),
            now: self.now,
        }
    }

    /// A round trip of `rtt_ms` that delivers `len` bytes.
    fn round(&mut self, len: u32, rtt_ms: u64) {
        self.now = self.now + Duration::from_millis(rtt_ms);
        let acked = self.acked(len, rtt_ms);
        self.westwood.acked(SMSS, &acked);
    }

    fn signal(&mut self, signal: Signal, flight_size: u32) -> (u32, u32) {
        self.westwood.signalled(SMSS, signal, flight_size, self.now);
        (self.westwood.cwnd(), self.westwood.ssthresh())
    }
}

/// Within the rounding of the filter.
#[track_caller]
fn assert_about((cwnd, ssthresh): (u32, u32), expected: u32) {
    assert_eq!(cwnd, ssthresh);
    assert!(cwnd.abs_diff(expected) <= 20, "{cwnd}, not {expected}");
}

#[test]
fn it_grows_as_reno_does() {
    let mut flow = Flow::new();
    for cwnd in [10_000, 12_000, 14_000] {
        assert_eq!(flow.westwood.cwnd(), cwnd);
        // However much one acknowledgment covers.
        flow.round(5_000, RTT_MS);
    }
    let mut flow = Flow::settled(20_000);
    for n in 1..=5 {
        flow.round(flow.westwood.cwnd(), RTT_MS);
        assert_eq!(flow.westwood.cwnd(), 20_000 + 1_000 * n);
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut flow = Flow::settled(20_000);
    let mut acked = flow.acked(20_000, RTT_MS);
    acked.is_cwnd_limited = false;
    flow.westwood.acked(SMSS, &acked);
    assert_eq!(flow.westwood.cwnd(), 20_000);
}

/// No queue stands: what the path has carried is all of cwnd.
#[test]
fn a_loss_by_chance_takes_next_to_nothing_back() {
    let mut flow = Flow::settled(40_000);
    assert_about(flow.signal(Signal::LOSS, 40_000), 40_000);
}

/// Half of cwnd stands in a queue: round trips are twice as long, and no more comes through.
#[test]
fn a_loss_by_congestion_empties_the_queue() {
    let mut flow = Flow::settled(20_000);
    for _ in 0..100 {
        flow.westwood.cwnd = 40_000;
        flow.round(40_000, 2 * RTT_MS);
    }
    assert_about(flow.signal(Signal::LOSS, 40_000), 20_000);
}

/// A window below ssthresh is not raised by a loss.
#[test]
fn a_loss_never_raises_the_window() {
    let mut flow = Flow::settled(40_000);
    flow.westwood.cwnd = 10_000;
    let (cwnd, ssthresh) = flow.signal(Signal::LOSS, 10_000);
    assert_eq!(cwnd, 10_000);
    assert!(ssthresh > 39_000);
}

#[test]
fn as_long_as_nothing_is_known_a_loss_halves() {
    let mut flow = Flow::new();
    assert_eq!(flow.signal(Signal::LOSS, 12_000), (6_000, 6_000));
    assert_eq!(flow.signal(Signal::LOSS, 1_000), (2_000, 2_000));
}

/// The path has become half as wide: a few round trips later that is known.
#[test]
fn less_that_comes_through_is_noticed_within_some_round_trips() {
    let mut flow = Flow::settled(40_000);
    for _ in 0..8 {
        flow.round(20_000, RTT_MS);
    }
    let (cwnd, _) = flow.signal(Signal::LOSS, 40_000);
    assert!((26_000..28_000).contains(&cwnd), "{cwnd}");
}

/// What an application did not send says nothing of the path, what it did send does.
#[test]
fn an_application_that_pauses_only_raises_the_estimate() {
    for (len, expected) in [(5_000, 20_000), (40_000, 40_000)] {
        let mut flow = Flow::settled(20_000);
        for _ in 0..100 {
            let mut acked = flow.acked(len, RTT_MS);
            acked.is_cwnd_limited = false;
            acked.round = acked.round.map(|round| Round {
                is_cwnd_limited: false,
                ..round
            });
            flow.westwood.acked(SMSS, &acked);
        }
        flow.westwood.cwnd = 40_000;
        assert_about(flow.signal(Signal::LOSS, 40_000), expected);
    }
}

/// Slow start doubles what comes through: the filter would be half a window and more behind.
#[test]
fn the_first_loss_of_slow_start_goes_by_its_best_round() {
    let mut flow = Flow::new();
    for len in [10_000, 20_000, 40_000] {
        flow.round(len, RTT_MS);
    }
    flow.westwood.cwnd = 80_000;
    assert_about(flow.signal(Signal::LOSS, 80_000), 40_000);
}

/// A new route is longer: after five minutes its round trip is the least.
#[test]
fn an_old_least_round_trip_is_not_believed() {
    let mut flow = Flow::settled(20_000);
    for (secs, expected) in [(200, 10_000), (150, 20_000)] {
        for _ in 0..10 * secs {
            flow.westwood.cwnd = 20_000;
            flow.round(20_000, 2 * RTT_MS);
        }
        flow.westwood.cwnd = 20_000;
        let before = flow.westwood.clone();
        assert_about(flow.signal(Signal::LOSS, 20_000), expected);
        flow.westwood = before;
    }
}

/// RFC 3168 6.1.2: as much as for a loss with Reno, and it is never for nothing.
#[test]
fn a_mark_halves_and_stays() {
    let mut flow = Flow::settled(40_000);
    assert_eq!(flow.signal(Signal::Ecn, 40_000), (20_000, 20_000));
    assert_eq!(flow.signal(Signal::Spurious, 20_000), (20_000, 20_000));
}

#[test]
fn a_timeout_leaves_one_segment_and_what_is_known() {
    let mut flow = Flow::settled(40_000);
    let (cwnd, ssthresh) = flow.signal(Signal::Timeout, 40_000);
    assert_eq!(cwnd, 1_000);
    assert!(ssthresh.abs_diff(40_000) <= 20);
    assert_eq!(flow.signal(Signal::SynTimeouts, 0), (1_000, ssthresh));
}

#[test]
fn what_westwood_takes_back_for_nothing_comes_back_once() {
    let mut flow = Flow::settled(40_000);
    let ssthresh = flow.westwood.ssthresh();
    flow.westwood.cwnd = 60_000;
    flow.signal(Signal::Timeout, 60_000);
    assert_eq!(flow.signal(Signal::Spurious, 0), (60_000, ssthresh));
    flow.westwood.cwnd = 30_000;
    assert_eq!(flow.signal(Signal::Spurious, 0), (30_000, ssthresh));
}

#[test]
fn an_idle_connection_starts_again_with_what_it_knows() {
    let mut flow = Flow::settled(40_000);
    let ssthresh = flow.westwood.ssthresh();
    assert_eq!(flow.signal(Signal::Idle, 0), (10_000, ssthresh));
}

/// Whatever is told, windows stay within their bounds.
#[test]
fn windows_stay_in_bounds() {
    let mut random = Random::new(1);
    let mut draw = move |most: u64| random.next_u64() % most;
    for _ in 0..300 {
        let smss = 64 + draw(9_000) as u16;
        let mut flow = Flow::new();
        flow.westwood = Westwood::new(smss, Algorithm::Westwood);
        for _ in 0..100 {
            let rtt_ms = [0, 1, 50, 60_000][draw(4) as usize];
            let len = [0, 1, 100_000, u32::MAX][draw(4) as usize];
            let mut acked = flow.acked(len, rtt_ms);
            acked.is_cwnd_limited = draw(4) > 0;
            acked.round = acked.round.filter(|_| draw(2) == 0);
            flow.now = flow.now + Duration::from_millis(draw(100_000));
            flow.westwood.acked(smss, &acked);
            let signals = [
                Signal::LOSS,
                Signal::Ecn,
                Signal::Timeout,
                Signal::SynTimeouts,
                Signal::Spurious,
                Signal::Idle,
                Signal::Agreed,
            ];
            let signal = signals.get(draw(20) as usize);
            if let Some(&signal) = signal {
                flow.westwood.signalled(smss, signal, len, flow.now);
            }
            let (cwnd, ssthresh) = (flow.westwood.cwnd(), flow.westwood.ssthresh());
            assert!((u32::from(smss)..=CWND_MAX).contains(&cwnd), "{cwnd}");
            assert!(ssthresh >= 2 * u32::from(smss), "{ssthresh}");
        }
    }
}
