//! RACK (RFC 8985 6.2): what was sent before something that has arrived, and by more than packets
//! are reordered, is lost.
//!
//! ```text
//!   sent       1    2    3    4    2'           time ─►
//!   arrived    x         x    x                 RACK.xmit_ts is when 4 was sent
//!   2 is lost when it was sent RACK.rtt + reo_wnd ago; 2' is not, unless something sent after it
//!   arrives
//! ```
//!
//! It counts time and not segments: a lost retransmission, and the loss of the last segments but
//! one of a burst, are found out as any other.

use super::ranges::Range;
use super::{Flags, Told, elapsed_us};
use crate::config::{REO_WND_MULT_MAX, REO_WND_PERSIST};
use crate::tcp::cc::Delays;
use crate::tcp::seqnum::SeqNum;

/// What is known of the order in which things arrive.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of what has arrived, what was sent last.
    xmit_us: u32,
    end: SeqNum,
    /// RACK.rtt: how long that took. Zero while nothing has arrived.
    rtt_us: u32,
    /// RACK.min_RTT; `u32::MAX` while unknown.
    min_rtt_us: u32,
    /// When that was measured.
    min_rtt_at_us: u32,
    /// The least of this round trip so far, and that of the last one; `u32::MAX` while unknown.
    round_us: u32,
    last_round_us: u32,
    /// Round trips that are over, as far as they matter.
    rounds: u8,
    /// RACK.fack: the end of the highest range that has arrived.
    pub(super) fack: SeqNum,
    /// RACK.dsack_round: when this is acknowledged, duplicates count again.
    dsack_round: Option<SeqNum>,
}

/// What a connection keeps of its path between two flights, in one byte: how much it reorders.
///
/// ```text
///   bit 7     RACK.reordering_seen
///   bits 4-6  RACK.reo_wnd_mult - 1: quarters of RACK.min_RTT
///   bits 0-3  RACK.reo_wnd_persist - 1: recoveries until that is 1 again
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reordering(u8);

impl Reordering {
    pub(crate) const NONE: Self = Self(0);

    const SEEN: u8 = 0x80;
    const MULT: u8 = 0x10;
    const PERSIST: u8 = 0x0f;

    /// Whether something has come late.
    #[inline]
    pub(crate) fn is_seen(self) -> bool {
        self.0 & Self::SEEN != 0
    }

    fn see(&mut self) {
        self.0 |= Self::SEEN;
    }

    /// Quarters of a round trip to wait for.
    fn quarters(self) -> u32 {
        u32::from((self.0 & !Self::SEEN) / Self::MULT) + 1
    }

    /// Waits longer, for some recoveries.
    fn widen(&mut self) {
        if self.quarters() < REO_WND_MULT_MAX {
            self.0 += Self::MULT;
        }
        self.0 |= Self::PERSIST;
    }

    /// A recovery has ended.
    pub(crate) fn recovered(&mut self) {
        match self.0 & Self::PERSIST {
            0 => self.0 &= Self::SEEN,
            _ => self.0 -= 1,
        }
    }
}

/// What the bits hold.
const _: () = assert!(REO_WND_MULT_MAX <= 8 && REO_WND_PERSIST == Reordering::PERSIST + 1);

impl Rack {
    pub(super) fn new(una: SeqNum) -> Self {
        Self {
            xmit_us: 0,
            end: una,
            rtt_us: 0,
            min_rtt_us: u32::MAX,
            min_rtt_at_us: 0,
            round_us: u32::MAX,
            last_round_us: u32::MAX,
            rounds: 0,
            fack: una,
            dsack_round: None,
        }
    }

    /// A range has arrived that had not before (RFC 8985 6.2, steps 1 to 3). True if it was sent
    /// again, and what is echoed was sent before that.
    #[inline]
    pub(super) fn delivered(&mut self, range: &Range, told: &mut Told<'_>) -> bool {
        let rtt_us = elapsed_us(told.now_us, range.sent_at_us);
        if range.flags.has(Flags::AGAIN) {
            // An acknowledgment of the first transmission says nothing of the second.
            let is_of_first = told
                .echoed_by_us
                .is_some_and(|at| is_after(range.sent_at_us, at));
            if is_of_first || (self.min_rtt_us != u32::MAX && rtt_us < self.min_rtt_us) {
                return is_of_first;
            }
        } else {
            self.measured(range, rtt_us, told.now_us, told.reordering);
        }
        self.arrived(range, rtt_us);
        false
    }

    /// The same for a range that was sent once; how long ago that was.
    #[inline]
    pub(super) fn delivered_once(
        &mut self,
        range: &Range,
        now_us: u32,
        reordering: &mut Reordering,
    ) -> u32 {
        let rtt_us = elapsed_us(now_us, range.sent_at_us);
        self.measured(range, rtt_us, now_us, reordering);
        self.arrived(range, rtt_us);
        rtt_us
    }

    #[inline]
    fn measured(&mut self, range: &Range, rtt_us: u32, now_us: u32, reordering: &mut Reordering) {
        if range.end.before(self.fack) {
            reordering.see();
        }
        self.round_us = self.round_us.min(rtt_us);
        let age_us = elapsed_us(now_us, self.min_rtt_at_us);
        if rtt_us <= self.min_rtt_us || age_us > MIN_RTT_AGE_US {
            self.min_rtt_us = rtt_us;
            self.min_rtt_at_us = now_us;
        }
    }

    /// What was measured of a range, for a further acknowledgment of a part of it.
    #[inline]
    pub(crate) fn measured_again(&mut self, rtt_us: u32) {
        self.round_us = self.round_us.min(rtt_us);
    }

    /// A round trip is over.
    #[inline]
    pub(super) fn next_round(&mut self) {
        self.last_round_us = self.round_us;
        self.round_us = u32::MAX;
        self.rounds = self.rounds.saturating_add(1);
    }

    /// How long the path takes. At first the least ever seen is no more than what is seen now.
    pub(super) fn delays(&self) -> Delays {
        let recent_us = self.round_us.min(self.last_round_us);
        if self.rounds < ROUNDS_MIN || recent_us == u32::MAX {
            return Delays::UNKNOWN;
        }
        Delays {
            least_us: self.min_rtt_us,
            recent_us,
        }
    }

    #[inline]
    fn arrived(&mut self, range: &Range, rtt_us: u32) {
        self.fack = self.fack.max(range.end);
        if self.rtt_us == 0 || self.is_later(range) {
            self.xmit_us = range.sent_at_us;
            self.end = range.end;
            self.rtt_us = rtt_us.max(1);
        }
    }

    /// Whether a range was sent after what was sent last of what has arrived (RACK_sent_after).
    fn is_later(&self, range: &Range) -> bool {
        is_after(range.sent_at_us, self.xmit_us)
            || (range.sent_at_us == self.xmit_us && range.end.after(self.end))
    }

    /// For how much longer something that is not here yet is waited for, in microseconds: zero
    /// means lost, `None` that nothing sent after it has arrived (RFC 8985 6.2, step 5).
    ///
    /// Of what was sent at one time, the order in the stream is the order of sending: see `stamp`.
    #[inline]
    pub(super) fn wait_us(&self, range: &Range, reo_wnd_us: u32, now_us: u32) -> Option<u32> {
        let is_sent_before = self.rtt_us != 0
            && (is_after(self.xmit_us, range.sent_at_us)
                || (self.xmit_us == range.sent_at_us && self.end.after(range.end)));
        is_sent_before.then(|| self.age_left_us(range, reo_wnd_us, now_us))
    }

    /// RACK.rtt, if anything has arrived.
    pub(super) fn rtt_or(&self, unknown_us: u32) -> u32 {
        match self.rtt_us {
            0 => unknown_us,
            rtt_us => rtt_us,
        }
    }

    /// How much is missing to an age of RACK.rtt + reo_wnd.
    #[inline]
    fn age_left_us(&self, range: &Range, reo_wnd_us: u32, now_us: u32) -> u32 {
        let age_us = elapsed_us(now_us, range.sent_at_us);
        self.rtt_us
            .saturating_add(reo_wnd_us)
            .saturating_sub(age_us)
    }

    /// RACK.reo_wnd (RFC 8985 6.2, step 4). `is_hasty`: a recovery is under way, or enough has
    /// arrived behind a gap for one; then, unless reordering was seen, nothing is waited for.
    pub(crate) fn reo_wnd_us(&self, reordering: Reordering, is_hasty: bool, srtt_us: u32) -> u32 {
        if self.min_rtt_us == u32::MAX || (!reordering.is_seen() && is_hasty) {
            return 0;
        }
        (self.min_rtt_us / 4)
            .saturating_mul(reordering.quarters())
            .min(srtt_us)
    }

    /// Too much was sent again, as duplicates or echoes tell: wait longer (RFC 8985 6.2, step 4).
    /// Duplicates that the network has made do not count.
    pub(crate) fn adapt(
        &mut self,
        reordering: &mut Reordering,
        ack: SeqNum,
        max: SeqNum,
        was_hasty: bool,
    ) {
        if self.dsack_round.is_some_and(|round| !ack.before(round)) {
            self.dsack_round = None;
        }
        if was_hasty && self.dsack_round.is_none() {
            self.dsack_round = Some(max);
            reordering.widen();
        }
    }
}

/// Whether a time that wraps lies after another.
#[inline]
pub(super) fn is_after(at_us: u32, other_us: u32) -> bool {
    at_us.wrapping_sub(other_us) as i32 > 0
}

/// How long RACK.min_RTT is believed: paths change.
const MIN_RTT_AGE_US: u32 = 300_000_000;

/// Round trips before what is measured tells a queue from the path: the first ones begin with a
/// burst, of which the first segment finds any queue empty that is ours.
const ROUNDS_MIN: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: u32 = u32::MAX - 1_000;

    /// A round trip in which these times were measured.
    fn round(rack: &mut Rack, rtts_us: &[u32]) {
        let mut reordering = Reordering::NONE;
        for rtt_us in rtts_us {
            let range = Range {
                start: SeqNum(0),
                end: SeqNum(1_000),
                sent_at_us: NOW_US - rtt_us,
                flags: Flags::NONE,
            };
            rack.delivered_once(&range, NOW_US, &mut reordering);
        }
        rack.next_round();
    }

    fn delays(least_us: u32, recent_us: u32) -> Delays {
        Delays {
            least_us,
            recent_us,
        }
    }

    #[test]
    fn delays_are_known_after_some_round_trips() {
        let mut rack = Rack::new(SeqNum(0));
        for _ in 0..ROUNDS_MIN - 1 {
            round(&mut rack, &[30_000, 20_000, 40_000]);
            assert_eq!(rack.delays(), Delays::UNKNOWN);
        }
        round(&mut rack, &[30_000]);
        assert_eq!(rack.delays(), delays(20_000, 30_000));
    }

    #[test]
    fn the_least_round_trip_is_believed_for_five_minutes() {
        let mut rack = Rack::new(SeqNum(0));
        let mut reordering = Reordering::NONE;
        let mut least_us = |now_us: u32, rtt_us: u32| {
            let range = Range {
                start: SeqNum(0),
                end: SeqNum(1_000),
                sent_at_us: now_us.wrapping_sub(rtt_us),
                flags: Flags::NONE,
            };
            rack.delivered_once(&range, now_us, &mut reordering);
            rack.min_rtt_us
        };
        assert_eq!(least_us(NOW_US, 20_000), 20_000);
        let last_us = NOW_US.wrapping_add(MIN_RTT_AGE_US);
        assert_eq!(least_us(last_us, 50_000), 20_000);
        assert_eq!(least_us(last_us.wrapping_add(1), 50_000), 50_000);
    }

    #[test]
    fn the_last_round_trip_counts_until_the_next_is_over() {
        let mut rack = Rack::new(SeqNum(0));
        for rtt_us in [20_000, 21_000, 22_000, 28_000] {
            round(&mut rack, &[rtt_us, rtt_us + 500]);
        }
        assert_eq!(rack.delays(), delays(20_000, 28_000));
        round(&mut rack, &[25_000]);
        assert_eq!(rack.delays(), delays(20_000, 25_000));
        // One in which nothing was measured: all of it had been sent again.
        round(&mut rack, &[]);
        assert_eq!(rack.delays(), Delays::UNKNOWN);
    }
}
