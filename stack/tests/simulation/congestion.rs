//! Congestion control as a seed has it: Reno or CUBIC.

use std::cell::Cell;

use simoom::Instant;
use simoom::tcp::cc::{Acked, Congestion, Cubic, Reno, Signal};

thread_local! {
    static IS_RENO: Cell<bool> = const { Cell::new(false) };
}

/// New connections of this thread use Reno from here on, or CUBIC again.
pub(crate) fn set_reno(is_reno: bool) {
    IS_RENO.set(is_reno);
}

/// One or the other.
#[derive(Debug)]
pub(crate) enum Either {
    Cubic(Cubic),
    Reno(Reno),
}

impl Congestion for Either {
    fn new(smss: u16) -> Self {
        if IS_RENO.get() {
            Self::Reno(Reno::new(smss))
        } else {
            Self::Cubic(Cubic::new(smss))
        }
    }

    fn acked(&mut self, smss: u16, acked: &Acked) {
        match self {
            Self::Cubic(cubic) => cubic.acked(smss, acked),
            Self::Reno(reno) => reno.acked(smss, acked),
        }
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, now: Instant) {
        match self {
            Self::Cubic(cubic) => cubic.signalled(smss, signal, flight_size, now),
            Self::Reno(reno) => reno.signalled(smss, signal, flight_size, now),
        }
    }

    fn cwnd(&self) -> u32 {
        match self {
            Self::Cubic(cubic) => cubic.cwnd(),
            Self::Reno(reno) => reno.cwnd(),
        }
    }

    fn ssthresh(&self) -> u32 {
        match self {
            Self::Cubic(cubic) => cubic.ssthresh(),
            Self::Reno(reno) => reno.ssthresh(),
        }
    }
}
