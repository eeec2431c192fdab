//! Slow start and congestion avoidance: RFC 5681 with appropriate byte counting (RFC 3465).

use super::{Acked, Algorithm, CWND_MAX, Congestion, Signal, careful_window, initial_window};
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// NewReno.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    acked_len: u32,
    /// What the last reduction has changed, to be undone if it was for nothing; 0 afterwards.
    cwnd_before: u32,
    ssthresh_before: u32,
}

impl Reno {
    /// Half of what was in flight, but two segments (RFC 5681, equation 4).
    fn halve(&mut self, smss: u16, flight_size: u32) {
        self.cwnd_before = self.cwnd;
        self.ssthresh_before = self.ssthresh;
        self.ssthresh = (flight_size / 2).max(2 * u32::from(smss));
    }
}

impl Congestion for Reno {
    fn new(smss: u16, _asked: Algorithm) -> Self {
        Self {
            cwnd: initial_window(smss),
            ssthresh: u32::MAX,
            acked_len: 0,
            cwnd_before: 0,
            ssthresh_before: 0,
        }
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        let smss = u32::from(smss);
        if !acked.is_cwnd_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            // RFC 3465 with L = 2: stretched acknowledgments count for what they cover.
            self.cwnd = self.cwnd.saturating_add(acked.len.min(2 * smss));
        } else {
            // RFC 5681 3.1: one segment for each window that was acknowledged.
            self.acked_len = self.acked_len.saturating_add(acked.len);
            if self.acked_len >= self.cwnd {
                self.acked_len -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(smss);
            }
        }
        self.cwnd = self.cwnd.min(CWND_MAX);
    }

    #[inline]
    fn noted(
        &mut self,
        _una: SeqNum,
        _nxt: SeqNum,
        _rtt: Option<Duration>,
        is_cwnd_limited: bool,
    ) -> bool {
        !is_cwnd_limited
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, _now: Instant) {
        match signal {
            Signal::Agreed => *self = Self::new(smss, Algorithm::Reno),
            Signal::Loss(_) | Signal::Ecn => {
                // RFC 5681 3.2, step 2: what limited transmit sends beyond cwnd does not count.
                self.halve(smss, flight_size.min(self.cwnd));
                self.cwnd = self.ssthresh;
                self.acked_len = 0;
                if signal == Signal::Ecn {
                    // A mark is never for nothing.
                    (self.cwnd_before, self.ssthresh_before) = (0, 0);
                }
            }
            Signal::Timeout => {
                self.halve(smss, flight_size);
                self.cwnd = u32::from(smss);
                self.acked_len = 0;
            }
            Signal::SynTimeouts => self.cwnd = u32::from(smss),
            Signal::Spurious => {
                // A second time it would undo a reduction that was not for nothing.
                self.cwnd = self.cwnd.max(self.cwnd_before);
                self.ssthresh = self.ssthresh.max(self.ssthresh_before);
                (self.cwnd_before, self.ssthresh_before) = (0, 0);
            }
            Signal::Idle => self.cwnd = self.cwnd.min(initial_window(smss)),
            Signal::IdleAfterLoss => self.cwnd = self.cwnd.min(careful_window(smss)),
        }
    }

    #[inline]
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    #[inline]
    fn wants_rounds(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::seqnum::SeqNum;
    use crate::time::{Duration, Instant};

    const SMSS: u16 = 1_000;

    fn new() -> Reno {
        Reno::new(SMSS, Algorithm::Reno)
    }

    fn acked(len: u32) -> Acked {
        Acked {
            len,
            flight_size: 0,
            una: SeqNum(0),
            nxt: SeqNum(0),
            rtt: None,
            srtt: Duration::ZERO,
            is_cwnd_limited: true,
            round: None,
            now: Instant::ZERO,
        }
    }

    fn signalled(reno: &mut Reno, signal: Signal, flight_size: u32) {
        reno.signalled(SMSS, signal, flight_size, Instant::ZERO);
    }

    #[test]
    fn slow_start_grows_by_what_is_acknowledged() {
        let mut reno = new();
        assert_eq!(reno.cwnd(), 10_000);
        for _ in 0..5 {
            reno.acked(SMSS, &acked(2_000));
        }
        assert_eq!(reno.cwnd(), 20_000);
    }

    #[test]
    fn avoidance_grows_by_one_segment_a_window() {
        let mut reno = new();
        signalled(&mut reno, Signal::Timeout, 20_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (1_000, 10_000));
        while reno.cwnd() < 10_000 {
            reno.acked(SMSS, &acked(1_000));
        }
        for _ in 0..10 {
            reno.acked(SMSS, &acked(1_000));
        }
        assert_eq!(reno.cwnd(), 11_000);
    }

    #[test]
    fn a_loss_halves_what_was_in_flight() {
        for signal in [Signal::LOSS, Signal::Ecn] {
            let mut reno = new();
            signalled(&mut reno, signal, 10_000);
            assert_eq!((reno.cwnd(), reno.ssthresh()), (5_000, 5_000));
            signalled(&mut reno, signal, 1_000);
            assert_eq!((reno.cwnd(), reno.ssthresh()), (2_000, 2_000));
        }
    }

    #[test]
    fn a_late_handshake_leaves_one_segment_and_slow_start() {
        let mut reno = new();
        signalled(&mut reno, Signal::SynTimeouts, 0);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (1_000, u32::MAX));
    }

    #[test]
    fn a_reduction_for_nothing_is_undone() {
        let mut reno = new();
        signalled(&mut reno, Signal::Timeout, 10_000);
        signalled(&mut reno, Signal::Spurious, 1_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (10_000, u32::MAX));
        // Once: what follows a mark stays.
        signalled(&mut reno, Signal::Spurious, 1_000);
        signalled(&mut reno, Signal::Ecn, 10_000);
        signalled(&mut reno, Signal::Spurious, 1_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (5_000, 5_000));
    }

    #[test]
    fn an_idle_connection_starts_again() {
        let mut reno = new();
        for _ in 0..10 {
            reno.acked(SMSS, &acked(2_000));
        }
        signalled(&mut reno, Signal::Idle, 0);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (10_000, u32::MAX));
    }

    #[test]
    fn what_limited_transmit_has_added_does_not_count() {
        let mut reno = new();
        signalled(&mut reno, Signal::LOSS, 12_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (5_000, 5_000));
    }

    #[test]
    fn the_restart_window_after_an_early_loss_is_that_of_rfc_3390() {
        for (smss, expected) in [(500, 2_000), (1_000, 4_000), (1_460, 4_380), (4_000, 8_000)] {
            let mut reno = Reno::new(smss, Algorithm::Reno);
            reno.signalled(smss, Signal::IdleAfterLoss, 0, Instant::ZERO);
            assert_eq!(reno.cwnd(), expected, "{smss}");
        }
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut reno = new();
        let acked = Acked {
            is_cwnd_limited: false,
            ..acked(100)
        };
        reno.acked(SMSS, &acked);
        assert_eq!(reno.cwnd(), 10_000);
    }
}
