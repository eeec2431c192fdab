//! What cores write down for each other to read: figures, and how far each has got. Plain numbers,
//! each written by one core, off a packet's way.

use core::fmt;
use std::boxed::Box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::net::CoreFigures;

/// Figures that are written down: one list, in whose order they lie in memory.
macro_rules! figures {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What is counted, of one core or of all, at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Figures {
            $($(#[$doc])+ pub $name: u64,)+
        }

        const NAMES: [&str; FIGURES] = [$(stringify!($name)),+];
        const FIGURES: usize = [$(stringify!($name)),+].len();

        impl Figures {
            fn to_array(self) -> [u64; FIGURES] {
                [$(self.$name),+]
            }

            fn from_array([$($name),+]: [u64; FIGURES]) -> Self {
                Self { $($name),+ }
            }
        }
    };
}

figures! {
    /// Answers given.
    answered,
    /// Frames received.
    rx_frames,
    /// Packets sent.
    tx_packets,
    /// Bytes of them.
    tx_bytes,
    /// System calls.
    syscalls,
    /// Connections.
    conns,
    /// Bytes of bodies that were copied.
    copied,
    /// Packets dropped.
    dropped,
    /// Frames that are free.
    free,
    /// Control frames that were told to other cores.
    shared,
    /// Segments that went on to another core, for their connection is not here.
    passed_on,
    /// And those of both that found no room.
    lost,
}

/// Those that are levels: all others only grow.
const LEVELS: [&str; 2] = ["conns", "free"];

impl CoreFigures for Board {
    fn cores_cnt(&self) -> usize {
        self.cores.len()
    }

    fn figure(&self, core: usize, idx: usize) -> Option<(&'static str, u64, bool)> {
        let (name, cell) = (NAMES.get(idx)?, self.cores.get(core)?.figures.get(idx)?);
        Some((name, cell.load(Ordering::Relaxed), !LEVELS.contains(name)))
    }
}

/// Frames of a core's pool, and whether anybody is connected.
#[derive(Debug, Default)]
struct Rest {
    is_busy: AtomicBool,
    home: AtomicU64,
    all: AtomicU64,
}

/// A core's part, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Core {
    figures: [AtomicU64; FIGURES],
    rest: Rest,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    cores: Box<[Core]>,
    addressed: AtomicUsize,
    drained: AtomicUsize,
    is_over: AtomicBool,
}

impl Board {
    /// A board for so many cores.
    pub fn new(cnt: usize) -> Self {
        Self {
            cores: (0..cnt).map(|_| Core::default()).collect(),
            addressed: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// How many cores there are.
    pub fn cores_cnt(&self) -> usize {
        self.cores.len()
    }

    /// Writes a core's figures down.
    pub fn note(&self, core: usize, figures: Figures) {
        for (cell, value) in self.cores[core].figures.iter().zip(figures.to_array()) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// The sum of what all have written.
    pub fn sum(&self) -> Figures {
        let mut sums = [0_u64; FIGURES];
        for core in &self.cores {
            for (sum, cell) in sums.iter_mut().zip(&core.figures) {
                *sum += cell.load(Ordering::Relaxed);
            }
        }
        Figures::from_array(sums)
    }

    /// Answers of each core, with `+` between them.
    pub fn answered(&self) -> impl fmt::Display + '_ {
        Answered(self)
    }

    /// A core has taken a new address over.
    pub fn note_addressed(&self) {
        self.addressed.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that has happened.
    pub fn addressed_cnt(&self) -> usize {
        self.addressed.load(Ordering::Acquire)
    }

    /// A core has no connections left, and the process ends. Whether it was the last.
    pub fn note_drained(&self) -> bool {
        self.drained.fetch_add(1, Ordering::AcqRel) + 1 == self.cores.len()
    }

    /// Whether all have said so.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) >= self.cores.len()
    }

    /// A core cannot go on, and so nobody shall.
    pub fn set_over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Whether that is so.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Somebody is connected to a core.
    pub fn set_busy(&self, core: usize) {
        self.cores[core].rest.is_busy.store(true, Ordering::SeqCst);
    }

    /// A core rests: nobody is connected, and so many of its frames are home. The sums of all, if
    /// it is the last to rest.
    pub fn rests(&self, core: usize, home: u64, all: u64) -> Option<(u64, u64)> {
        let rest = &self.cores[core].rest;
        rest.home.store(home, Ordering::Relaxed);
        rest.all.store(all, Ordering::Relaxed);
        // Of two that come to rest at once, one sees the other: sequentially consistent.
        rest.is_busy.store(false, Ordering::SeqCst);
        let mut sums = (0, 0);
        for Core { rest, .. } in &self.cores {
            if rest.is_busy.load(Ordering::SeqCst) {
                return None;
            }
            sums.0 += rest.home.load(Ordering::Relaxed);
            sums.1 += rest.all.load(Ordering::Relaxed);
        }
        Some(sums)
    }
}

struct Answered<'a>(&'a Board);

impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, core) in self.0.cores.iter().enumerate() {
            let separator = if idx == 0 { "" } else { " + " };
            // The first figure.
            write!(f, "{separator}{}", core.figures[0].load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
