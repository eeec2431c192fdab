//! Congestion control as a seed has it: one of ours, the same for all connections of a thread, or
//! one after the other.

use std::cell::RefCell;

use simoom::Instant;
use simoom::tcp::cc::{Acked, Algorithm, Chosen, Congestion, Signal};
use simoom_sim::Rng;

thread_local! {
    static TURNS: RefCell<Vec<Sort>> = const { RefCell::new(Vec::new()) };
}

/// What a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    algorithm: Algorithm,
    /// It is not told how long the path takes.
    is_blind: bool,
}

impl Sort {
    /// CUBIC by the letter of RFC 9438: every loss is congestion.
    pub(crate) const PLAIN_CUBIC: Self = Self {
        algorithm: Algorithm::Cubic,
        is_blind: true,
    };
}

impl From<Algorithm> for Sort {
    fn from(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            is_blind: false,
        }
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = if self.is_blind { "plain " } else { "" };
        write!(f, "{plain}{}", self.algorithm)
    }
}

/// New connections of this thread take these in turn from here on, again and again.
pub(crate) fn set(turns: &[impl Copy + Into<Sort>]) {
    // Taken from the end.
    TURNS.set(turns.iter().rev().map(|&turn| turn.into()).collect());
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
pub(crate) struct InTurn {
    chosen: Chosen,
    is_blind: bool,
}

impl Congestion for InTurn {
    fn new(smss: u16, asked: Algorithm) -> Self {
        let next = TURNS.with_borrow_mut(|turns| {
            let next = turns.pop()?;
            turns.insert(0, next);
            Some(next)
        });
        let sort = next.unwrap_or_else(|| asked.into());
        Self {
            chosen: Chosen::new(smss, sort.algorithm),
            is_blind: sort.is_blind,
        }
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        self.chosen.acked(smss, acked);
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, now: Instant) {
        let signal = match signal {
            Signal::Loss(_) if self.is_blind => Signal::LOSS,
            other => other,
        };
        self.chosen.signalled(smss, signal, flight_size, now);
    }

    fn cwnd(&self) -> u32 {
        self.chosen.cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.chosen.ssthresh()
    }
}
