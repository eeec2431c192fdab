//! The timer wheel: O(1) to set, to stop and to fire, for a million timers.
//!
//! ```text
//!   level 0   64 slots of 1 ms          │ the next 64 ms
//!   level 1   64 slots of 64 ms         │ the next 4 s         a slot of a level empties into
//!   level 2   64 slots of 4 s           │ the next 4 min       the level below when its time comes
//!   level 3   64 slots of 4 min         │ the next 4 h
//! ```
//!
//! (Varghese and Lauck, scheme 7.) Each timer is a node that the embedder's memory holds, in a
//! doubly linked list by index. A timer set later than it fires is left where it is: whoever owns
//! it looks at its real deadline when it fires, so that an acknowledgment, which moves a deadline
//! back, does not touch the wheel at all.

use managed::ManagedSlice;

use crate::tcp::deadline::Deadline;
use crate::time::{Duration, Instant};

/// The memory of one timer.
#[derive(Clone, Debug)]
pub struct TimerNode {
    /// The tick at which it fires, modulo 2^32.
    at: u32,
    /// The timer before it in its bucket. From [`FIRST`] on there is none: the rest is the bucket
    /// that it is the first of, or it is not set at all (`IDLE`).
    previous: u32,
    next: u32,
}

impl Default for TimerNode {
    fn default() -> Self {
        Self {
            at: 0,
            previous: IDLE,
            next: NONE,
        }
    }
}

pub(crate) struct Wheel<'p> {
    nodes: ManagedSlice<'p, TimerNode>,
    firsts: [[u32; SLOTS]; LEVELS],
    /// A bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// The last tick that has been looked at.
    elapsed: u64,
    /// No slot that is not empty begins before this tick.
    soonest: u64,
}

impl<'p> Wheel<'p> {
    pub(crate) fn new(mut nodes: ManagedSlice<'p, TimerNode>, now: Instant) -> Self {
        assert!(nodes.len() < FIRST as usize, "an index is not a bucket");
        nodes.fill_with(TimerNode::default);
        Self {
            nodes,
            firsts: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            elapsed: tick_before(now),
            soonest: u64::MAX,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Makes the timer fire at `at` at the latest, if that is a time; it may fire earlier, for an
    /// older setting.
    #[inline(always)]
    pub(crate) fn set(&mut self, idx: u32, at: Deadline) {
        let Some(at) = at.tick() else {
            return;
        };
        // Nearly always it is set already, and fires no later.
        if let Some(node) = self.nodes.get(idx as usize)
            && node.previous != IDLE
            && at.wrapping_sub(node.at) as i32 >= 0
        {
            return;
        }
        self.set_tick(idx, at);
    }

    #[inline(never)]
    fn set_tick(&mut self, idx: u32, at: u32) {
        let Some(node) = self.nodes.get(idx as usize) else {
            return;
        };
        let tick = self
            .tick_of(at)
            .clamp(self.elapsed + 1, self.elapsed + SPAN - 1);
        if node.previous != IDLE {
            if self.tick_of(node.at) <= tick {
                return;
            }
            self.stop(idx);
        }
        self.link(idx, tick);
    }

    /// Takes the timer off.
    pub(crate) fn stop(&mut self, idx: u32) {
        let Some(node) = self.nodes.get_mut(idx as usize) else {
            return;
        };
        if node.previous == IDLE {
            return;
        }
        let (previous, next) = (node.previous, node.next);
        node.previous = IDLE;
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous < FIRST {
            self.nodes[previous as usize].next = next;
        } else {
            let (level, slot) = place(previous - FIRST);
            self.firsts[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
    }

    /// The next timer that has fired by `now`, taken off. One call does a bounded amount of work
    /// for each timer that it moves or returns.
    #[inline]
    pub(crate) fn fire(&mut self, now: Instant) -> Option<u32> {
        let now = tick_before(now);
        if now < self.soonest {
            self.elapsed = self.elapsed.max(now);
            return None;
        }
        self.fire_soonest(now)
    }

    #[inline(never)]
    fn fire_soonest(&mut self, now: u64) -> Option<u32> {
        self.soonest = u64::MAX;
        while let Some((level, slot, start)) = self.next_slot() {
            if start > now {
                self.soonest = start;
                break;
            }
            self.elapsed = self.elapsed.max(start);
            let idx = self.firsts[level][slot];
            self.stop(idx);
            let tick = self.tick_of(self.nodes[idx as usize].at);
            if tick <= now {
                // There may be more.
                self.soonest = 0;
                return Some(idx);
            }
            // Its time is in a finer slot.
            self.link(idx, tick);
        }
        // All slots up to now are empty.
        self.elapsed = self.elapsed.max(now);
        None
    }

    /// Whether [`fire`](Self::fire) must be called now.
    #[inline]
    pub(crate) fn may_fire(&mut self, now: Instant) -> bool {
        let now = tick_before(now);
        let may = now >= self.soonest;
        if !may {
            self.elapsed = self.elapsed.max(now);
        }
        may
    }

    /// Whether `fire` has something to do now.
    #[inline]
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        tick_before(now) >= self.soonest && self.next_at().is_some_and(|at| at <= now)
    }

    /// When `fire` has something to do next: no later than the next timer.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let (_, _, start) = self.next_slot()?;
        Some(Instant::from_micros(
            start.max(self.elapsed).saturating_mul(TICK_US),
        ))
    }

    /// The next slot that is not empty, and the tick at which it begins.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let mut best: Option<(usize, usize, u64)> = None;
        for level in 0..LEVELS {
            let occupied = self.occupied[level];
            if occupied == 0 {
                continue;
            }
            let shift = level as u32 * SLOT_BITS;
            let here = self.elapsed >> shift;
            // Slots behind the current one are of the next turn.
            let ahead = occupied
                .rotate_right(here as u32 & SLOT_MASK)
                .trailing_zeros();
            let slot_number = here + u64::from(ahead);
            let start = slot_number << shift;
            if best.is_none_or(|(.., earliest)| start < earliest) {
                best = Some((level, (slot_number & u64::from(SLOT_MASK)) as usize, start));
            }
        }
        best
    }

    fn link(&mut self, idx: u32, tick: u64) {
        // The level at which the tick's slot differs from the current one.
        let differing = (self.elapsed ^ tick) | u64::from(SLOT_MASK);
        let level = ((63 - differing.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1) as usize;
        let slot = (tick >> (level as u32 * SLOT_BITS)) as usize & SLOT_MASK as usize;
        // There is something to be done when its slot begins.
        let shift = level as u32 * SLOT_BITS;
        self.soonest = self.soonest.min(tick >> shift << shift);
        let next = self.firsts[level][slot];
        if next != NONE {
            self.nodes[next as usize].previous = idx;
        }
        self.nodes[idx as usize] = TimerNode {
            at: tick as u32,
            previous: FIRST + (level * SLOTS + slot) as u32,
            next,
        };
        self.firsts[level][slot] = idx;
        self.occupied[level] |= 1 << slot;
    }

    /// The full tick of a node: all are within a span that 32 bits tell apart.
    #[inline]
    fn tick_of(&self, at: u32) -> u64 {
        let distance = at.wrapping_sub(self.elapsed as u32) as i32;
        self.elapsed.saturating_add_signed(distance.into())
    }
}

fn place(bucket: u32) -> (usize, usize) {
    (bucket as usize / SLOTS, bucket as usize % SLOTS)
}

/// The last tick at or before a point in time.
fn tick_before(at: Instant) -> u64 {
    at.as_micros() / TICK_US
}

const TICK_US: u64 = Duration::from_millis(1).as_micros();
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u32 = SLOTS as u32 - 1;
const LEVELS: usize = 4;
/// Ticks that the wheel covers: a timer further away fires at the end, and is set again.
const SPAN: u64 = (1 << (SLOT_BITS * (LEVELS as u32 - 1))) * (SLOTS as u64 - 1);
const NONE: u32 = u32::MAX;
/// Where `previous` is no index any more.
const FIRST: u32 = u32::MAX - (1 << 16);
const IDLE: u32 = u32::MAX;

const _: () = assert!(LEVELS * SLOTS < 1 << 16 && size_of::<TimerNode>() == 12);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    fn wheel(nodes: usize, now: Instant) -> Wheel<'static> {
        Wheel::new(vec![TimerNode::default(); nodes].into(), now)
    }

    #[test]
    fn each_timer_fires_once_and_never_early() {
        for start in [0, 63, 64, 4_095, 262_143, 262_144, (1 << 32) - 5, 1 << 40] {
            for delay in [
                1, 2, 63, 64, 65, 4_095, 4_096, 262_144, 1_000_000, 16_000_000,
            ] {
                let mut wheel = wheel(1, at(start));
                wheel.set(0, Deadline::at(at(start + delay)));
                assert_eq!(wheel.fire(at(start + delay - 1)), None, "{start} {delay}");
                assert!(wheel.next_at().unwrap() <= at(start + delay));
                assert_eq!(wheel.fire(at(start + delay)), Some(0), "{start} {delay}");
                assert_eq!(wheel.fire(at(start + delay + 100)), None);
                assert_eq!(wheel.next_at(), None);
            }
        }
    }

    #[test]
    fn the_past_fires_at_the_next_tick_and_the_far_future_at_the_span() {
        let mut wheel = wheel(2, at(5_000));
        wheel.set(0, Deadline::at(at(10)));
        wheel.set(1, Deadline::at(at(5_000 + 100 * SPAN)));
        assert_eq!(wheel.fire(at(5_001)), Some(0));
        assert_eq!(wheel.fire(at(5_000 + SPAN - 2)), None);
        assert_eq!(wheel.fire(at(5_000 + SPAN)), Some(1));
    }

    #[test]
    fn following_next_at_reaches_every_timer() {
        let mut wheel = wheel(3, at(0));
        for (idx, delay) in [(0, 70), (1, 5_000), (2, 300_000)] {
            wheel.set(idx, Deadline::at(at(delay)));
        }
        let (mut fired, mut steps) = (Vec::new(), 0);
        while let Some(next) = wheel.next_at() {
            while let Some(idx) = wheel.fire(next) {
                fired.push((idx, next));
            }
            steps += 1;
            assert!(steps < 20);
        }
        assert_eq!(fired, [(0, at(70)), (1, at(5_000)), (2, at(300_000))]);
    }

    /// Random settings, stops and steps of time against an ordered map.
    #[test]
    fn agrees_with_a_sorted_map() {
        const TIMERS: u32 = 50;
        let mut wheel = wheel(TIMERS as usize, at(0));
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        let (mut now, mut random) = (0_u64, 1_u64);
        for _ in 0..200_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let idx = (random >> 33) as u32 % TIMERS;
            let delay = 1 + (random >> 40) % [5, 100, 5_000, 400_000][random as usize >> 20 & 3];
            match random >> 60 {
                0..8 => {
                    wheel.set(idx, Deadline::at(at(now + delay)));
                    let entry = model.entry(idx).or_insert(now + delay);
                    *entry = (*entry).min(now + delay);
                }
                8 => {
                    wheel.stop(idx);
                    model.remove(&idx);
                }
                _ => {
                    now += delay / 4;
                    let mut fired = Vec::new();
                    while let Some(idx) = wheel.fire(at(now)) {
                        fired.push(idx);
                    }
                    fired.sort_unstable();
                    let due: Vec<u32> = model
                        .iter()
                        .filter(|(_, at)| **at <= now)
                        .map(|(idx, _)| *idx)
                        .collect();
                    assert_eq!(fired, due);
                    model.retain(|_, at| *at > now);
                }
            }
            let next = model.values().min().map(|next| at(*next));
            assert!(wheel.next_at() <= next && wheel.next_at().is_some() == next.is_some());
        }
    }
}
