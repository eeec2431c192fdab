//! Slow start, congestion avoidance, fast recovery: RFC 5681 with the steps of RFC 6582.

use super::{Acked, Congestion, Loss, initial_window};

/// NewReno.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    acked_len: u32,
}

impl Reno {
    /// Half of what was in flight, but two segments (RFC 5681, equation 4).
    fn halve(&mut self, smss: u16, flight_size: u32) {
        self.ssthresh = (flight_size / 2).max(2 * u32::from(smss));
    }
}

impl Congestion for Reno {
    fn new(smss: u16) -> Self {
        Self {
            cwnd: initial_window(smss),
            ssthresh: u32::MAX,
            acked_len: 0,
        }
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        let smss = u32::from(smss);
        // RFC 7661's concern: a window that was not used must not grow.
        if acked.flight_size.saturating_add(acked.len) < self.cwnd / 2 {
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

    fn lost(&mut self, smss: u16, loss: Loss, flight_size: u32) {
        let one = u32::from(smss);
        match loss {
            Loss::FastRetransmit => {
                // RFC 5681 3.2, steps 2 and 3: the three duplicates have left the network.
                self.halve(smss, flight_size);
                self.cwnd = self.ssthresh.saturating_add(3 * one);
                self.acked_len = 0;
            }
            Loss::Duplicate => self.cwnd = self.cwnd.saturating_add(one).min(CWND_MAX),
            Loss::Partial(len) => {
                // RFC 6582 3.2, step 5: deflate by what was acknowledged, add one segment back.
                self.cwnd = self.cwnd.saturating_sub(len).max(one);
                if len >= one {
                    self.cwnd = self.cwnd.saturating_add(one);
                }
            }
            // RFC 6582 3.2, step 3, the careful choice: no burst when little is in flight.
            Loss::Recovered => {
                self.cwnd = self.ssthresh.min(flight_size.max(one).saturating_add(one));
            }
        }
    }

    fn timed_out(&mut self, smss: u16, flight_size: u32) {
        self.halve(smss, flight_size);
        self.cwnd = u32::from(smss);
        self.acked_len = 0;
    }

    #[inline]
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }
}

/// The largest window that TCP can use (RFC 7323 2.3).
const CWND_MAX: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Duration, Instant};

    const SMSS: u16 = 1_000;

    fn ack(reno: &mut Reno, len: u32) {
        let cwnd = reno.cwnd();
        let acked = Acked {
            len,
            flight_size: cwnd - len,
            srtt: Duration::ZERO,
            now: Instant::ZERO,
        };
        reno.acked(SMSS, &acked);
    }

    #[test]
    fn slow_start_grows_by_what_is_acknowledged() {
        let mut reno = Reno::new(SMSS);
        assert_eq!(reno.cwnd(), 10_000);
        for _ in 0..5 {
            ack(&mut reno, 2_000);
        }
        assert_eq!(reno.cwnd(), 20_000);
    }

    #[test]
    fn avoidance_grows_by_one_segment_a_window() {
        let mut reno = Reno::new(SMSS);
        reno.timed_out(SMSS, 20_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (1_000, 10_000));
        while reno.cwnd() < 10_000 {
            ack(&mut reno, 1_000);
        }
        for _ in 0..10 {
            ack(&mut reno, 1_000);
        }
        assert_eq!(reno.cwnd(), 11_000);
    }

    #[test]
    fn recovery_inflates_then_halves() {
        let mut reno = Reno::new(SMSS);
        reno.lost(SMSS, Loss::FastRetransmit, 10_000);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (8_000, 5_000));
        reno.lost(SMSS, Loss::Duplicate, 10_000);
        assert_eq!(reno.cwnd(), 9_000);
        reno.lost(SMSS, Loss::Partial(2_000), 8_000);
        assert_eq!(reno.cwnd(), 8_000);
        reno.lost(SMSS, Loss::Recovered, 8_000);
        assert_eq!(reno.cwnd(), 5_000);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut reno = Reno::new(SMSS);
        let acked = Acked {
            len: 100,
            flight_size: 0,
            srtt: Duration::ZERO,
            now: Instant::ZERO,
        };
        reno.acked(SMSS, &acked);
        assert_eq!(reno.cwnd(), 10_000);
    }
}
