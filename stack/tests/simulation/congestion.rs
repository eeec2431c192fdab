//! Congestion control as a seed has it: one of ours, the same for all connections of a thread, or
//! one after the other.

use std::cell::RefCell;

use simoom::Instant;
use simoom::tcp::cc::{Acked, Algorithm, Chosen, Congestion, Signal};
use simoom_sim::Rng;

thread_local! {
    static TURNS: RefCell<Vec<Algorithm>> = const { RefCell::new(Vec::new()) };
}

/// New connections of this thread take these in turn from here on, again and again.
pub(crate) fn set(turns: &[Algorithm]) {
    // Taken from the end.
    TURNS.set(turns.iter().rev().copied().collect());
}

/// New connections of this thread take what a seed has: most often the default.
pub(crate) fn draw(rng: &mut Rng) {
    set(&[match rng.below(4) {
        0 => Algorithm::Reno,
        1 => Algorithm::Westwood,
        _ => Algorithm::Cubic,
    }]);
}

/// One of ours, whatever the stack's settings say.
#[derive(Debug)]
pub(crate) struct InTurn(Chosen);

impl Congestion for InTurn {
    fn new(smss: u16, asked: Algorithm) -> Self {
        let next = TURNS.with_borrow_mut(|turns| {
            let next = turns.pop()?;
            turns.insert(0, next);
            Some(next)
        });
        Self(Chosen::new(smss, next.unwrap_or(asked)))
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        self.0.acked(smss, acked);
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, now: Instant) {
        self.0.signalled(smss, signal, flight_size, now);
    }

    fn cwnd(&self) -> u32 {
        self.0.cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.0.ssthresh()
    }
}
