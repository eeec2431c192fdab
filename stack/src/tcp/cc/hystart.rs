//! HyStart++ (RFC 9406): leaves slow start when round trips become longer, before the queue that
//! makes them longer overflows.
//!
//! ```text
//!   slow start ── least RTT of a round rose by an eighth (4 to 16 ms) ─► conservative slow start
//!       ▲                                                                 (CSS): a quarter as fast
//!       └────────── it has fallen again: the rise was jitter ◄──────────────┤
//!                                                      5 rounds ─► avoidance┘
//! ```

use super::Acked;
use crate::tcp::seqnum::SeqNum;
use crate::time::Duration;

/// The rounds of one slow start.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub(super) struct HyStart {
    /// The round ends when this is acknowledged.
    window_end: SeqNum,
    /// What this round is compared with; `u32::MAX` while unknown. In slow start, and in what is
    /// left of the round that has begun CSS, the least RTT of the round before; in the further
    /// rounds of CSS, that of the one which began it.
    ///
    /// RFC 9406 keeps both. One is enough: in the round that begins CSS each new least RTT leads
    /// back to slow start, and by the next acknowledgment into CSS again, while it is as much above
    /// the round before. And a later round that falls below the baseline is below the round before
    /// it, too, so going back to slow start decides the same with either.
    reference_us: u32,
    /// The least RTT of this round; `u32::MAX` while unknown.
    round_us: u32,
    /// RTTs measured in this round, as far as they matter.
    samples: u8,
    /// Rounds spent in CSS.
    css_rounds: u8,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has been acknowledged yet: the first round has no end.
    New,
    SlowStart,
    Css,
}

/// How fast the window may grow by this acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// By all that was acknowledged.
    Full,
    /// By a quarter of it.
    Quarter,
    /// Slow start is over.
    Over,
}

impl HyStart {
    pub(super) const fn new() -> Self {
        Self {
            window_end: SeqNum(0),
            reference_us: u32::MAX,
            round_us: u32::MAX,
            samples: 0,
            css_rounds: 0,
            stage: Stage::New,
        }
    }

    /// Takes the time that an acknowledgment up to `una` has measured, where the window does not
    /// grow by it. False, with nothing changed, if more follows from it: in CSS.
    #[inline]
    pub(super) fn noted(&mut self, una: SeqNum, nxt: SeqNum, rtt: Option<Duration>) -> bool {
        if self.stage == Stage::Css {
            return false;
        }
        self.look_at_round(una, nxt);
        // Once enough was measured, only a new least time tells anything.
        let is_least = |rtt: &Duration| rtt.as_micros() < u64::from(self.round_us);
        if let Some(rtt) = rtt.filter(|rtt| self.samples < N_RTT_SAMPLE || is_least(rtt)) {
            self.sampled(rtt);
        }
        true
    }

    /// Takes an acknowledgment into account (RFC 9406 4.2).
    #[inline]
    pub(super) fn acked(&mut self, acked: &Acked) -> Growth {
        self.look_at_round(acked.una, acked.nxt);
        if self.stage == Stage::Css && self.css_rounds >= CSS_ROUNDS {
            return Growth::Over;
        }
        if let Some(rtt) = acked.rtt {
            self.sampled(rtt);
        }
        match self.stage {
            Stage::New | Stage::SlowStart => Growth::Full,
            Stage::Css => Growth::Quarter,
        }
    }

    #[inline]
    fn sampled(&mut self, rtt: Duration) {
        let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1);
        self.round_us = self.round_us.min(rtt_us);
        self.samples = self.samples.saturating_add(1);
        self.compare();
    }

    /// Begins the first round, or the next one where the last is over.
    #[inline]
    fn look_at_round(&mut self, una: SeqNum, nxt: SeqNum) {
        if self.stage == Stage::New {
            self.stage = Stage::SlowStart;
            self.window_end = nxt;
        } else if !una.before(self.window_end) {
            self.next_round(nxt);
        }
    }

    #[inline]
    fn next_round(&mut self, nxt: SeqNum) {
        self.window_end = nxt;
        if self.stage == Stage::SlowStart || self.css_rounds == 0 {
            self.reference_us = self.round_us;
        }
        if self.stage == Stage::Css {
            // The round in which CSS began counts, however little was left of it.
            self.css_rounds = self.css_rounds.saturating_add(1);
        }
        self.round_us = u32::MAX;
        self.samples = 0;
    }

    /// Compares this round with the reference, once enough was measured to know its least RTT.
    #[inline]
    fn compare(&mut self) {
        if self.samples < N_RTT_SAMPLE || self.reference_us == u32::MAX {
            return;
        }
        if self.stage == Stage::Css && self.css_rounds > 0 {
            if self.round_us < self.reference_us {
                self.stage = Stage::SlowStart;
            }
            return;
        }
        let rise_us =
            (self.reference_us / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH_US, MAX_RTT_THRESH_US);
        self.css_rounds = 0;
        self.stage = match self.round_us >= self.reference_us.saturating_add(rise_us) {
            true => Stage::Css,
            false => Stage::SlowStart,
        };
    }
}

/// The values that RFC 9406 4.3 recommends, under its names.
const MIN_RTT_THRESH_US: u32 = 4_000;
const MAX_RTT_THRESH_US: u32 = 16_000;
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_ROUNDS: u8 = 5;

/// What one acknowledgment may add in CSS is divided by this.
pub(super) const CSS_GROWTH_DIVISOR: u32 = 4;

/// Segments that one acknowledgment may add: RFC 9406's L without pacing.
pub(super) const L: u32 = 8;

#[cfg(test)]
mod tests;
