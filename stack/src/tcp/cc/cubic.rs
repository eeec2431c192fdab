//! CUBIC (RFC 9438), in integers, with HyStart++ (RFC 9406) for its first slow start.
//!
//! ```text
//!   W_max ┤            ..─────..                 W(t) = C (t - K)^3 + W_max
//!         │        .·´     │     `·.
//!         │     .·´        │         ·           K: where the curve is flat, W(0) = cwnd
//!    cwnd ┤  ·´ concave    │ convex   ·
//!         └──┬─────────────┬──────────────► t
//!            0             K
//! ```
//!
//! Windows are in bytes, times in milliseconds. Of K and of the start of the epoch only their sum
//! is kept, the point in time of the plateau: the curve needs no more. The clock of the curve
//! stands still while the window is not what holds data back (RFC 9438 5.8).
//!
//! Loss by chance is no congestion, and is told from it by [`Delays`]. Outside of slow start, when
//! the path shows no queue, a loss takes 0.15 of the window and not the 0.3 that RFC 9438 4.6
//! recommends; there is no fast convergence (4.7: nobody waits for room); and the window comes back
//! by a segment a round trip. (On the way to the old window 4.3 wants 9/17 of one, to make up for
//! taking back less than Reno at each loss: fair where both meet in a queue.) To the letter,
//! CUBIC has what Reno has where packets are lost by chance, 1.2 / sqrt(p) segments on the way,
//! however wide the path is (4.3); so it has 1.8 times as much. A mark, and the silence before a
//! timeout, are congestion always.
//!
//! What that costs others (the simulation `fairness.rs` measures it: 20 Mbit/s, 40 ms, a minute
//! beside as many of CUBIC to the letter, and beside Reno):
//!
//! ```text
//!   queue, parts of the path     4      1     1/4    1/8    1/16
//!   one beside one plain CUBIC  40 60  48 52  48 52  62 63  74 77    % ours has, second and first
//!   plain beside plain          40 60  48 52  47 53  48 52  50 50
//!   four beside four            49 49  49 51  53 55  79 79  74 74
//!   one beside Reno             66 80  58 62  58 58  69 69  76 80
//!   plain beside Reno           66 80  58 62  58 60  55 62  52 52
//! ```
//!
//! A queue of less than an eighth of the path is not seen: then it takes two thirds to four
//! fifths (which fills such a path to 88 %, where CUBIC to the letter leaves a third unused). The
//! same goes for a policer that drops and never queues. A queue that stands already when the
//! connection begins, and never drains, hides itself; what is added to it does not.
//!
//! A congestion mark costs as much as a loss (beta 0.7): RFC 9438 4.6 says so. RFC 8511 would let
//! it cost less (0.85) on the assumption that whoever marks keeps its queue short. It is an
//! experiment, and a mark does not say how long the queue is; and the flows beside ours at the
//! same bottleneck take the mark as RFC 9438 does.

use super::hystart::{CSS_GROWTH_DIVISOR, Growth, HyStart, L};
use super::{
    Acked, Algorithm, CWND_MAX, Congestion, Delays, Signal, careful_window, initial_window,
};
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// CUBIC.
#[derive(Clone, Debug)]
pub struct Cubic {
    cwnd: u32,
    ssthresh: u32,
    /// W_max; 0 while unknown.
    w_max: u32,
    before: Before,
    phase: Phase,
}

/// What the last reduction has changed (RFC 9438 4.9). K and the epoch follow from it.
#[derive(Clone, Copy, Debug)]
struct Before {
    /// cwnd_prior, which bounds the Reno-friendly region as well.
    cwnd: u32,
    /// 0: there is nothing to be undone.
    ssthresh: u32,
    w_max: u32,
}

/// Slow start and avoidance never live at once: they share their memory.
#[derive(Clone, Debug)]
enum Phase {
    /// The path is not known yet.
    Start(HyStart),
    /// Slow start to a threshold that is known, by at most so many segments an acknowledgment.
    Restart { limit: u8 },
    /// The clock of the curve runs.
    Avoidance(Avoidance),
    /// It stands still: the window is not what holds data back.
    Held(Avoidance),
}

/// Packed, as [`HyStart`] is: the phase's tag lies in what both leave free.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
struct Avoidance {
    /// While the clock runs, the millisecond of the plateau, on a clock that wraps. While it stands
    /// still, how far behind the plateau that was, in milliseconds.
    plateau: u32,
    /// W_est: where Reno would be (RFC 9438 4.3).
    w_est: u32,
    /// Bytes acknowledged towards the next byte of `w_est`.
    acked_len: u32,
    /// It began with a loss by chance: nothing is to be made up for.
    is_after_chance: bool,
}

impl Cubic {
    fn acked_in_slow_start(&mut self, smss: u16, acked: &Acked, segments: u32, divisor: u32) {
        if acked.is_cwnd_limited {
            let most = segments.saturating_mul(smss.into());
            let growth = acked.len.min(most) / divisor;
            self.cwnd = self.cwnd.saturating_add(growth).min(CWND_MAX);
        }
        if self.cwnd >= self.ssthresh {
            self.enter_avoidance(smss);
        }
    }

    /// Congestion avoidance begins at cwnd. Where W_max is not known, as after HyStart++ or a
    /// timeout, the plateau is here and K is 0 (RFC 9438 4.8, 4.10).
    fn enter_avoidance(&mut self, smss: u16) {
        self.w_max = self.w_max.max(self.cwnd);
        self.phase = Phase::Held(Avoidance::new(self.w_max, self.cwnd, self.cwnd, smss));
    }

    /// beta times what was in flight (RFC 9438 4.6).
    fn reduced(&self, flight_size: u32) -> u32 {
        scale(flight_size.min(self.cwnd), BETA)
    }

    /// Whether a loss was by chance. Slow start finds out what the path carries by losses: its
    /// window doubles within the round trip that would show a queue.
    fn is_chance(&self, smss: u16, flight_size: u32, delays: Delays) -> bool {
        let is_avoiding = matches!(self.phase, Phase::Avoidance(_) | Phase::Held(_));
        is_avoiding && delays.tell_chance(flight_size.min(self.cwnd), smss)
    }

    /// A loss by chance: less is taken back, nobody waits for room (RFC 9438 4.7), and the window
    /// comes back at the pace of Reno.
    fn reduce_for_chance(&mut self, smss: u16, flight_size: u32) {
        self.remember();
        self.w_max = self.cwnd;
        let reduced = scale(flight_size.min(self.cwnd), BETA_CHANCE);
        self.cwnd = reduced.max(2 * u32::from(smss));
        self.ssthresh = self.cwnd;
        let mut avoidance = Avoidance::new(self.w_max, self.cwnd, self.cwnd, smss);
        avoidance.is_after_chance = true;
        self.phase = Phase::Held(avoidance);
    }

    /// What a reduction is going to change.
    fn remember(&mut self) {
        self.before = Before {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            w_max: self.w_max,
        };
    }

    /// A congestion event in the sense of RFC 9438 4.6, by loss or by mark: cwnd at least
    /// `least` segments.
    fn reduce(&mut self, smss: u16, flight_size: u32, least: u32) {
        let (reduced, smss_len) = (self.reduced(flight_size), u32::from(smss));
        self.remember();
        // RFC 9438 4.7: who did not get as far as last time makes room for who is new.
        self.w_max = if self.cwnd < self.w_max {
            scale(self.cwnd, FAST_CONVERGENCE)
        } else {
            self.cwnd
        };
        self.ssthresh = reduced.max(2 * smss_len);
        self.cwnd = reduced.max(least * smss_len);
        self.enter_avoidance(smss);
    }

    fn timed_out(&mut self, smss: u16, flight_size: u32) {
        let ssthresh = self.reduced(flight_size).max(2 * u32::from(smss));
        self.remember();
        self.ssthresh = ssthresh;
        self.cwnd = smss.into();
        self.w_max = 0;
        // RFC 3465 2.3: what was sent before the timeout and arrives must not count for more.
        self.phase = Phase::Restart { limit: 1 };
    }

    fn undo(&mut self, smss: u16) {
        let Before {
            cwnd,
            ssthresh,
            w_max,
        } = self.before;
        self.before.ssthresh = 0;
        // RFC 9438 4.9.2: a window that is larger by now stays.
        if ssthresh == 0 || self.cwnd >= cwnd {
            return;
        }
        self.cwnd = cwnd;
        self.ssthresh = ssthresh;
        self.w_max = w_max;
        self.phase = if cwnd >= ssthresh {
            // W_est began at ssthresh; what it has won since is not kept.
            Phase::Held(Avoidance::new(w_max, cwnd, ssthresh, smss))
        } else if ssthresh == u32::MAX {
            Phase::Start(HyStart::new())
        } else {
            Phase::Restart {
                limit: LIMIT_RESTART,
            }
        };
    }

    /// RFC 5681 4.1: the restart window. What was known of the path is kept as RFC 7661 4.4.2
    /// has it: slow start ends at three quarters of the window, the curve goes on from there.
    fn idle(&mut self, smss: u16, restart_window: u32) {
        let cwnd = self.cwnd.min(restart_window);
        if self.ssthresh == u32::MAX {
            // RFC 9406 4.3 allows HyStart++ after idle time.
            self.phase = Phase::Start(HyStart::new());
        } else {
            if matches!(self.phase, Phase::Avoidance(_) | Phase::Held(_)) {
                self.ssthresh = self.ssthresh.max(self.cwnd - self.cwnd / 4);
            }
            self.phase = if cwnd < self.ssthresh {
                Phase::Restart {
                    limit: LIMIT_RESTART,
                }
            } else {
                Phase::Held(Avoidance::new(self.w_max, cwnd, cwnd, smss))
            };
        }
        self.cwnd = cwnd;
    }

    /// New data was acknowledged.
    fn acked_in_phase(&mut self, smss: u16, acked: &Acked) {
        match &mut self.phase {
            Phase::Start(hystart) => match hystart.acked(acked) {
                Growth::Full => self.acked_in_slow_start(smss, acked, L, 1),
                Growth::Quarter => self.acked_in_slow_start(smss, acked, L, CSS_GROWTH_DIVISOR),
                Growth::Over => {
                    self.before.cwnd = self.cwnd;
                    self.ssthresh = self.cwnd;
                    self.enter_avoidance(smss);
                }
            },
            Phase::Restart { limit } => {
                let limit = u32::from(*limit);
                self.acked_in_slow_start(smss, acked, limit, 1);
            }
            Phase::Avoidance(avoidance) if acked.is_cwnd_limited => {
                let prior = self.before.cwnd;
                let cwnd = avoidance.acked(smss, self.w_max, self.cwnd, prior, acked);
                self.cwnd = cwnd.min(CWND_MAX);
            }
            Phase::Avoidance(avoidance) => self.phase = Phase::Held(avoidance.stopped(acked.now)),
            Phase::Held(avoidance) if acked.is_cwnd_limited => {
                self.phase = Phase::Avoidance(avoidance.running(acked.now));
                self.acked(smss, acked);
            }
            Phase::Held(_) => {}
        }
    }
}

impl Avoidance {
    /// Avoidance that begins at `cwnd`, the clock standing still until the window is used.
    fn new(w_max: u32, cwnd: u32, w_est: u32, smss: u16) -> Self {
        Self {
            plateau: offset_of(w_max, cwnd, smss).cast_unsigned(),
            w_est,
            acked_len: 0,
            is_after_chance: false,
        }
    }

    /// The congestion window after an acknowledgment.
    fn acked(&mut self, smss: u16, w_max: u32, cwnd: u32, cwnd_prior: u32, acked: &Acked) -> u32 {
        self.estimate(smss, cwnd, cwnd_prior, acked.len);
        let offset = self.offset(acked.now);
        // RFC 9438 4.3: where the curve is below what Reno has, do as Reno does.
        if w_cubic(offset, w_max, smss) < self.w_est {
            return cwnd.max(self.w_est);
        }
        // RFC 9438 4.4, 4.5: towards where the curve is one round trip from now.
        let ahead = offset.saturating_add(millis(acked.srtt));
        let target = w_cubic(ahead, w_max, smss).clamp(cwnd, cwnd.saturating_add(cwnd / 2));
        let step = u64::from(target - cwnd) * u64::from(acked.len.min(cwnd));
        let step = step.checked_div(cwnd.into()).unwrap_or(0);
        cwnd.saturating_add(u32::try_from(step).unwrap_or(0))
    }

    /// How far behind the plateau a running clock is, in milliseconds; before it if negative.
    fn offset(&self, now: Instant) -> i32 {
        let offset = now
            .wrapping_millis()
            .wrapping_sub(self.plateau)
            .cast_signed();
        offset.clamp(-OFFSET_MAX, OFFSET_MAX)
    }

    fn stopped(mut self, now: Instant) -> Self {
        self.plateau = self.offset(now).cast_unsigned();
        self
    }

    fn running(mut self, now: Instant) -> Self {
        self.plateau = now.wrapping_millis().wrapping_sub(self.plateau);
        self
    }

    /// W_est grows by alpha segments a window, by one from cwnd_prior on (RFC 9438 4.3): with every
    /// acknowledgment by its share. Steps of whole segments would leave what a reduction has left
    /// over of one unused until the next: half a segment in the mean, much of a small window.
    fn estimate(&mut self, smss: u16, cwnd: u32, cwnd_prior: u32, len: u32) {
        let is_behind = self.w_est < cwnd_prior && !self.is_after_chance;
        let len = if is_behind { scale(len, ALPHA) } else { len };
        // More than one window at once counts for one.
        self.acked_len = self.acked_len.saturating_add(len).min(cwnd);
        let (smss, cwnd) = (u64::from(smss.max(1)), u64::from(cwnd));
        let won = u64::from(self.acked_len) * smss / cwnd.max(1);
        // What does not make a byte of the window yet counts for the next.
        let spent = (won * cwnd).div_ceil(smss);
        self.acked_len = self
            .acked_len
            .saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX));
        let won = u32::try_from(won).unwrap_or(u32::MAX);
        self.w_est = self.w_est.saturating_add(won).min(CWND_MAX);
    }
}

impl Congestion for Cubic {
    fn new(smss: u16, _asked: Algorithm) -> Self {
        Self {
            cwnd: initial_window(smss),
            ssthresh: u32::MAX,
            w_max: 0,
            before: Before {
                cwnd: 0,
                ssthresh: 0,
                w_max: 0,
            },
            phase: Phase::Start(HyStart::new()),
        }
    }

    #[inline]
    fn acked(&mut self, smss: u16, acked: &Acked) {
        // Nothing grows where the window is not what holds data back.
        let is_held = matches!(self.phase, Phase::Held(_)) && !acked.is_cwnd_limited;
        if !is_held {
            self.acked_in_phase(smss, acked);
        }
    }

    #[inline]
    fn noted(
        &mut self,
        una: SeqNum,
        nxt: SeqNum,
        rtt: Option<Duration>,
        is_cwnd_limited: bool,
    ) -> bool {
        match &mut self.phase {
            Phase::Start(hystart) => !is_cwnd_limited && hystart.noted(una, nxt, rtt),
            Phase::Held(_) => !is_cwnd_limited,
            Phase::Restart { .. } | Phase::Avoidance(_) => false,
        }
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, _now: Instant) {
        match signal {
            Signal::Agreed => *self = Self::new(smss, Algorithm::Cubic),
            Signal::Loss(delays) if self.is_chance(smss, flight_size, delays) => {
                self.reduce_for_chance(smss, flight_size);
            }
            Signal::Loss(_) => self.reduce(smss, flight_size, 2),
            Signal::Ecn => {
                self.reduce(smss, flight_size, 1);
                // A mark is never for nothing.
                self.before.ssthresh = 0;
            }
            Signal::Timeout => self.timed_out(smss, flight_size),
            Signal::SynTimeouts => self.cwnd = smss.into(),
            Signal::Spurious => self.undo(smss),
            Signal::Idle => self.idle(smss, initial_window(smss)),
            Signal::IdleAfterLoss => self.idle(smss, careful_window(smss)),
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

/// W_cubic, `offset` milliseconds behind the plateau, in bytes.
fn w_cubic(offset: i32, w_max: u32, smss: u16) -> u32 {
    let ms = u64::from(offset.clamp(-OFFSET_MAX, OFFSET_MAX).unsigned_abs());
    // 2^57 / 10^3 * 2^16 is the most: no overflow. What is divided away is a millionth.
    let rise = ms * ms * ms / 1_000 * u64::from(smss) / (CUBE_A_SEGMENT / 1_000);
    let rise = u32::try_from(rise).unwrap_or(u32::MAX);
    if offset < 0 {
        w_max.saturating_sub(rise)
    } else {
        w_max.saturating_add(rise).min(CWND_MAX)
    }
}

/// Where on the curve `cwnd` is: -K, or behind the plateau if it is above (RFC 9438 4.2).
fn offset_of(w_max: u32, cwnd: u32, smss: u16) -> i32 {
    // Windows are at most 2^30: the product is below 2^62.
    let way = u64::from(w_max.abs_diff(cwnd).min(CWND_MAX));
    let ms = cube_root(way * CUBE_A_SEGMENT / u64::from(smss.max(1)));
    let ms = i32::try_from(ms).unwrap_or(OFFSET_MAX).min(OFFSET_MAX);
    if cwnd < w_max { -ms } else { ms }
}

/// The integer part of the cube root, three bits of `n` for each of the root's, as one does by
/// hand.
fn cube_root(n: u64) -> u64 {
    let (mut rest, mut root) = (n, 0);
    for shift in (0..=63).rev().step_by(3) {
        root *= 2;
        // (root + 1)^3 - root^3: the root has 21 bits at the end, 22 would not fit n.
        let step = 3 * root * (root + 1) + 1;
        if rest >> shift >= step {
            rest -= step << shift;
            root += 1;
        }
    }
    root
}

/// `len` times a fraction.
fn scale(len: u32, (numerator, denominator): (u32, u32)) -> u32 {
    let scaled = u64::from(len) * u64::from(numerator) / u64::from(denominator);
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// beta_cubic (RFC 9438 4.6).
const BETA: (u32, u32) = (7, 10);

/// The same for a loss by chance.
const BETA_CHANCE: (u32, u32) = (17, 20);

/// (1 + beta) / 2 (RFC 9438 4.7).
const FAST_CONVERGENCE: (u32, u32) = (17, 20);

/// 3 (1 - beta) / (1 + beta) (RFC 9438 4.3): as much throughput as Reno at the same loss.
const ALPHA: (u32, u32) = (9, 17);

/// C = 0.4 segments/s^3 (RFC 9438 5.1), the other way round: ms^3 for one segment.
const CUBE_A_SEGMENT: u64 = 2_500_000_000;

/// Nearly nine minutes: the curve crosses the largest window of segments of 64 bytes in six.
const OFFSET_MAX: i32 = 1 << 19;

/// Segments that one acknowledgment may add after idle time (RFC 3465 2.2).
const LIMIT_RESTART: u8 = 2;

/// A connection has one: every byte counts.
const _: () = assert!(size_of::<Cubic>() <= 40);

#[cfg(test)]
mod tests;
