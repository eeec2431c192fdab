//! Congestion control that is chosen when the stack starts, out of those that are here.

use super::{Acked, Congestion, Cubic, Reno, Signal, Westwood};
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// Which congestion control a stack uses ([`Settings::congestion`](crate::tcp::Settings)), if its
/// application leaves the choice: if [`App::Congestion`](crate::tcp::App::Congestion) is
/// [`Chosen`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// [`Cubic`]: fair to what most hosts use.
    #[default]
    Cubic,
    /// [`Reno`]: the least that every host is expected to do.
    Reno,
    /// [`Westwood`]: for paths that lose packets by chance.
    Westwood,
}

impl Algorithm {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Cubic, Self::Reno, Self::Westwood];

    /// As a command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Westwood => "westwood",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl core::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// One of ours, as the stack's settings say. It takes no more memory than the largest.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// CUBIC.
    Cubic(Cubic),
    /// NewReno.
    Reno(Reno),
    /// Westwood+.
    Westwood(Westwood),
}

impl Congestion for Chosen {
    fn new(smss: u16, asked: Algorithm) -> Self {
        match asked {
            Algorithm::Cubic => Self::Cubic(Cubic::new(smss, asked)),
            Algorithm::Reno => Self::Reno(Reno::new(smss, asked)),
            Algorithm::Westwood => Self::Westwood(Westwood::new(smss, asked)),
        }
    }

    #[inline]
    fn acked(&mut self, smss: u16, acked: &Acked) {
        match self {
            Self::Cubic(cubic) => cubic.acked(smss, acked),
            Self::Reno(reno) => reno.acked(smss, acked),
            Self::Westwood(westwood) => westwood.acked(smss, acked),
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
        match self {
            Self::Cubic(cubic) => cubic.noted(una, nxt, rtt, is_cwnd_limited),
            Self::Reno(reno) => reno.noted(una, nxt, rtt, is_cwnd_limited),
            Self::Westwood(westwood) => westwood.noted(una, nxt, rtt, is_cwnd_limited),
        }
    }

    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, now: Instant) {
        match self {
            Self::Cubic(cubic) => cubic.signalled(smss, signal, flight_size, now),
            Self::Reno(reno) => reno.signalled(smss, signal, flight_size, now),
            Self::Westwood(westwood) => westwood.signalled(smss, signal, flight_size, now),
        }
    }

    #[inline]
    fn cwnd(&self) -> u32 {
        match self {
            Self::Cubic(cubic) => cubic.cwnd(),
            Self::Reno(reno) => reno.cwnd(),
            Self::Westwood(westwood) => westwood.cwnd(),
        }
    }

    fn ssthresh(&self) -> u32 {
        match self {
            Self::Cubic(cubic) => cubic.ssthresh(),
            Self::Reno(reno) => reno.ssthresh(),
            Self::Westwood(westwood) => westwood.ssthresh(),
        }
    }

    #[inline]
    fn wants_rounds(&self) -> bool {
        match self {
            Self::Cubic(cubic) => cubic.wants_rounds(),
            Self::Reno(reno) => reno.wants_rounds(),
            Self::Westwood(westwood) => westwood.wants_rounds(),
        }
    }
}

/// The choice costs no byte.
const _: () = assert!(size_of::<Chosen>() == size_of::<Cubic>());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::cc::initial_window;

    #[test]
    fn names_are_read_as_they_are_written() {
        for one in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(one.name()), Some(one));
        }
        for name in ["", "CUBIC", "bbr", "cubic "] {
            assert_eq!(Algorithm::from_name(name), None);
        }
        assert_eq!(Algorithm::ALL[0], Algorithm::default());
    }

    /// Each is what was asked for, seen by how much a loss costs it.
    #[test]
    fn what_was_asked_for_is_what_runs() {
        for (asked, left) in [
            (Algorithm::Cubic, 7_000),
            (Algorithm::Reno, 5_000),
            (Algorithm::Westwood, 5_000),
        ] {
            let mut chosen = Chosen::new(1_000, asked);
            assert_eq!(chosen.cwnd(), initial_window(1_000));
            chosen.signalled(1_000, Signal::LOSS, 10_000, Instant::ZERO);
            assert_eq!((chosen.cwnd(), chosen.ssthresh()), (left, left), "{asked}");
            chosen.signalled(500, Signal::Agreed, 0, Instant::ZERO);
            let fresh = Chosen::new(500, asked);
            assert_eq!(std::format!("{chosen:?}"), std::format!("{fresh:?}"));
        }
    }
}
