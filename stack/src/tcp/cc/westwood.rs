//! Westwood+ (Grieco, Mascolo: "Performance evaluation and comparison of Westwood+, New Reno, and
//! Vegas TCP congestion control", Computer Communication Review 34(2), 2004): grows as Reno does,
//! and after a loss goes back to what the path has been seen to carry, not to a half.
//!
//! ```text
//!   delivered in a round trip ─► low-pass ─► BWE        ssthresh = BWE * RTTmin
//!   round-trip times ──────────► least    ─► RTTmin
//!
//!            loss by chance: no queue                loss by congestion: a full queue
//!   cwnd ┤        ,/|,/|,/                            ,/|
//!        │      ,/  '  '                            ,/  |     queue
//!        │    ,/                               ─ ─,/─ ─ |,/ ─ BWE * RTTmin
//!        └────────────────────►                 ,/      '
//! ```
//!
//! When a queue stands at the bottleneck, round trips are longer than RTTmin, and cwnd is larger
//! than BWE * RTTmin by just that queue: going back empties it. When none stands, the loss was not
//! congestion, and next to nothing is taken back. So it fills paths that lose packets by chance,
//! radio above all, on which whoever halves for each loss has 1.2 / sqrt(p) segments on the way,
//! however wide they are.
//!
//! Unlike in the paper, RTTmin is the least *mean* of a round trip, not the least single
//! measurement: where delays vary, the luckiest packet is faster than any window can be, and each
//! loss would be taken for a queue as long as the usual delay exceeds the luckiest.
//!
//! What it costs (the simulation `fairness.rs` measures it, at 20 Mbit/s and 40 ms):
//! - A queue much shorter than the path overflows before round trips become longer: that
//!   congestion looks like chance. In front of a queue of a quarter of the path it leaves CUBIC a
//!   third; in front of one as long as the path they share about evenly.
//! - In front of a long queue it gives way each time: of four paths' length, CUBIC leaves it a
//!   fifth to a third.
//! - A queue that stands already when the connection begins, and never drains, hides RTTmin: then
//!   too much is taken for the path's own.
//! - It keeps no curve: on a wide path it grows by a segment a round trip, slower than CUBIC.
//!
//! The estimate is kept as a window, BWE * RTTmin, in bytes. A round whose sending was held back by
//! the application says how much there was to send, and not how much the path carries: it can only
//! raise the estimate. In slow start, where each round carries twice as much as the last, the
//! low-pass filter would lag by most of that: there the best round counts.

use super::{
    Acked, Algorithm, CWND_MAX, Congestion, Round, Signal, careful_window, initial_window,
};
use crate::time::{Duration, Instant};

/// Westwood+.
#[derive(Clone, Debug)]
pub struct Westwood {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    acked_len: u32,
    /// BWE * RTTmin, in bytes; 0 while unknown.
    estimate: u32,
    /// RTTmin; `u32::MAX` while unknown.
    rtt_min_us: u32,
    /// When that was measured, in milliseconds that wrap.
    rtt_min_ms: u32,
    /// What the last reduction has changed; an ssthresh of 0 for nothing that can be undone.
    cwnd_before: u32,
    ssthresh_before: u32,
}

impl Westwood {
    /// Takes a round-trip time into account. Paths change: an old least is not believed.
    fn measure(&mut self, rtt: Duration, now: Instant) {
        let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1);
        let age_ms = now.wrapping_millis().wrapping_sub(self.rtt_min_ms);
        if rtt_us <= self.rtt_min_us || age_ms > RTT_MIN_AGE_MS {
            self.rtt_min_us = rtt_us.max(1);
            self.rtt_min_ms = now.wrapping_millis();
        }
    }

    /// A round trip is over: what it has delivered is what the path carries.
    fn learn(&mut self, round: &Round) {
        if self.rtt_min_us == u32::MAX {
            return;
        }
        let time_us = round.time.as_micros().max(self.rtt_min_us.into());
        // Windows and times are below 2^32: no overflow.
        let seen = u64::from(round.len) * u64::from(self.rtt_min_us) / time_us;
        let seen = u32::try_from(seen).unwrap_or(u32::MAX).min(CWND_MAX);
        if self.estimate == 0 || self.cwnd < self.ssthresh {
            self.estimate = self.estimate.max(seen);
        } else if round.is_cwnd_limited || seen > self.estimate {
            self.estimate = self.estimate - self.estimate / GAIN + seen / GAIN;
        }
    }

    /// ssthresh becomes what the path carries, at least two segments, and at most `most`; half of
    /// what was in flight as long as nothing is known (RFC 5681, equation 4).
    fn reduce(&mut self, smss: u16, flight_size: u32, most: u32) {
        self.cwnd_before = self.cwnd;
        self.ssthresh_before = self.ssthresh;
        let carried = match self.estimate {
            0 => flight_size / 2,
            known => known.min(most),
        };
        self.ssthresh = carried.max(2 * u32::from(smss));
        self.acked_len = 0;
    }
}

impl Congestion for Westwood {
    fn new(smss: u16, _asked: Algorithm) -> Self {
        Self {
            cwnd: initial_window(smss),
            ssthresh: u32::MAX,
            acked_len: 0,
            estimate: 0,
            rtt_min_us: u32::MAX,
            rtt_min_ms: 0,
            cwnd_before: 0,
            ssthresh_before: 0,
        }
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        if let Some(round) = &acked.round {
            if round.rtt != Duration::ZERO {
                self.measure(round.rtt, acked.now);
            }
            self.learn(round);
        }
        if !acked.is_cwnd_limited {
            return;
        }
        let smss = u32::from(smss);
        if self.cwnd < self.ssthresh {
            // RFC 3465 with L = 2, as Reno does it.
            self.cwnd = self.cwnd.saturating_add(acked.len.min(2 * smss));
        } else {
            self.acked_len = self.acked_len.saturating_add(acked.len);
            if self.acked_len >= self.cwnd {
                self.acked_len -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(smss);
            }
        }
        self.cwnd = self.cwnd.min(CWND_MAX);
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, _now: Instant) {
        match signal {
            Signal::Agreed => *self = Self::new(smss, Algorithm::Westwood),
            Signal::Loss(_) => {
                self.reduce(smss, flight_size, u32::MAX);
                self.cwnd = self.cwnd.min(self.ssthresh);
            }
            Signal::Ecn => {
                // A mark comes from a router with a queue, never by chance: no less is taken back
                // than Reno would (RFC 3168 6.1.2), and it is never for nothing.
                self.reduce(smss, flight_size, flight_size / 2);
                self.cwnd = self.cwnd.min(self.ssthresh);
                self.ssthresh_before = 0;
            }
            Signal::Timeout => {
                self.reduce(smss, flight_size, u32::MAX);
                self.cwnd = u32::from(smss);
            }
            Signal::SynTimeouts => self.cwnd = u32::from(smss),
            Signal::Spurious => {
                if self.ssthresh_before != 0 {
                    self.cwnd = self.cwnd.max(self.cwnd_before);
                    self.ssthresh = self.ssthresh_before;
                    self.ssthresh_before = 0;
                }
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
}

/// The weight of one round in the estimate is one in so many: the memory of the filter is as many
/// round trips.
const GAIN: u32 = 8;

/// How long a least round-trip time is believed.
const RTT_MIN_AGE_MS: u32 = 300_000;

/// A connection has one: every byte counts.
const _: () = assert!(size_of::<Westwood>() <= 32);

#[cfg(test)]
mod tests;
