//! One direction between two ends: queue, bottleneck, chance and delay, in that order.
//!
//! ```text
//!   frame ─► tail drop? ─► bottleneck ─► blackout? loss? ─► mark? corrupt? ─► delay ─► arrives
//!                                                            │         jump └─ held: reordered
//!                                                            └─ copy ─► delay ──► arrives again
//! ```

use std::collections::VecDeque;
use std::rc::Rc;

use crate::checksum::fill_ipv4_header;
use crate::corrupt::{corrupt_bits, corrupt_len};
use crate::faults::Bandwidth;
use crate::layout::{ETH_LEN, Layout};
use crate::wire_frame::WireFrame;
use crate::{Chance, Counters, Delay, Event, Faults, Rng};

/// The state of one direction.
pub(crate) struct Path {
    rng: Rng,
    /// What the last jump added.
    offset_us: u64,
    /// When the last frame in order arrives.
    last_at_us: u64,
    /// When the bottleneck is done with all that it has, in nanoseconds.
    busy_until_ns: u128,
    /// When each frame leaves the bottleneck, and its length in bytes.
    backlog: VecDeque<(u128, usize)>,
    backlog_len: usize,
}

/// What becomes of a frame: when it arrives, up to twice, and what happened to it.
#[derive(Default)]
pub(crate) struct Passage {
    pub(crate) arrivals: Vec<(u64, WireFrame)>,
    pub(crate) events: Vec<Event>,
}

impl Path {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            offset_us: 0,
            last_at_us: 0,
            busy_until_ns: 0,
            backlog: VecDeque::new(),
            backlog_len: 0,
        }
    }

    /// Other faults hold from now on: the route is the shortest again.
    pub(crate) fn reset_route(&mut self) {
        self.offset_us = 0;
    }

    /// A frame enters at `now_us`.
    pub(crate) fn enter(
        &mut self,
        now_us: u64,
        mut frame: WireFrame,
        faults: &Faults,
        counters: &mut Counters,
    ) -> Passage {
        let mut dice = self.rng.split();
        let mut passage = Passage::default();
        let Some(departure_us) = self.depart(now_us, frame.bytes.len(), faults.bandwidth) else {
            counters.queue_full += 1;
            passage.events.push(Event::QueueFull);
            return passage;
        };
        if faults.is_blackout(now_us) {
            counters.blacked_out += 1;
            passage.events.push(Event::BlackedOut);
            return passage;
        }
        if dice.hits(faults.loss) {
            counters.lost += 1;
            passage.events.push(Event::Lost);
            return passage;
        }
        // No draw without marks: what a seed did before there were any, it does still.
        let may_mark = faults.mark != Chance::NEVER && dice.hits(faults.mark);
        if may_mark && mark(Rc::make_mut(&mut frame.bytes).as_mut_slice()) {
            counters.marked += 1;
            passage.events.push(Event::Marked);
        }
        corrupt(&mut frame, &mut dice, faults, counters, &mut passage.events);
        if dice.hits(faults.jump) {
            self.offset_us = dice.between(0, faults.jump_us);
            counters.jumps += 1;
        }
        if dice.hits(faults.duplicate) {
            let at_us = departure_us
                .saturating_add(self.draw_delay(&mut dice, faults.delay))
                .saturating_add(dice.between(0, faults.reorder_us));
            counters.duplicated += 1;
            passage.events.push(Event::Duplicated);
            passage.arrivals.push((at_us, frame.clone()));
        }
        let at_us = departure_us.saturating_add(self.draw_delay(&mut dice, faults.delay));
        if dice.hits(faults.reorder) {
            counters.reordered += 1;
            passage.events.push(Event::Reordered);
            let at_us = at_us
                .max(self.last_at_us)
                .saturating_add(dice.between(1, faults.reorder_us));
            passage.arrivals.push((at_us, frame));
        } else {
            self.last_at_us = at_us.max(self.last_at_us);
            passage.arrivals.push((self.last_at_us, frame));
        }
        passage
    }

    /// When the frame has left the bottleneck, in microseconds; `None` when the queue is full.
    fn depart(&mut self, now_us: u64, len: usize, bandwidth: Option<Bandwidth>) -> Option<u64> {
        let now_ns = u128::from(now_us) * 1000;
        while let Some((done_ns, done_len)) = self.backlog.front().copied() {
            if done_ns > now_ns {
                break;
            }
            self.backlog.pop_front();
            self.backlog_len -= done_len;
        }
        let Some(bandwidth) = bandwidth else {
            return Some(now_us);
        };
        if self.backlog_len + len > bandwidth.queue_len_max {
            return None;
        }
        let bits = len as u128 * 8;
        let sending_ns = (bits * 1_000_000_000).div_ceil(bandwidth.bits_per_s.into());
        self.busy_until_ns = self.busy_until_ns.max(now_ns) + sending_ns;
        self.backlog.push_back((self.busy_until_ns, len));
        self.backlog_len += len;
        let departure_us = self.busy_until_ns.div_ceil(1000);
        Some(u64::try_from(departure_us).unwrap_or(u64::MAX))
    }

    fn draw_delay(&self, dice: &mut Rng, delay: Delay) -> u64 {
        let drawn = match delay {
            Delay::Fixed(us) => us,
            Delay::Uniform(min_us, max_us) => dice.between(min_us, max_us),
            Delay::Exponential { min_us, mean_us } => {
                min_us.saturating_add(dice.exponential(mean_us))
            }
        };
        drawn.saturating_add(self.offset_us)
    }
}

/// Sets both bits of ECN where one is set, as a router does; whether that is so.
fn mark(bytes: &mut [u8]) -> bool {
    let Some(layout) = Layout::of(bytes).filter(|layout| layout.is_v4) else {
        return false;
    };
    let Some(tos) = bytes.get_mut(ETH_LEN + 1) else {
        return false;
    };
    if !matches!(*tos & 3, 1 | 2) {
        return false;
    }
    *tos |= 3;
    fill_ipv4_header(bytes, &layout);
    true
}

fn corrupt(
    frame: &mut WireFrame,
    dice: &mut Rng,
    faults: &Faults,
    counters: &mut Counters,
    events: &mut Vec<Event>,
) {
    let scope = faults.corrupt_scope;
    if dice.hits(faults.corrupt) {
        // A wire has only complete checksums: without one nobody could notice.
        frame.complete();
        let bytes = Rc::make_mut(&mut frame.bytes);
        if corrupt_bits(bytes, dice, faults.corrupt_bits_max, scope) {
            counters.corrupted += 1;
            events.push(Event::Corrupted);
        }
    }
    if dice.hits(faults.corrupt_len) {
        frame.complete();
        let bytes = Rc::make_mut(&mut frame.bytes);
        if corrupt_len(bytes, dice, scope) {
            counters.corrupted_len += 1;
            events.push(Event::CorruptedLen);
        }
    }
}

#[cfg(test)]
mod tests;
