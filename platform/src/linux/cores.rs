//! Which processor cores the process runs on: a thread on each.

use std::string::{String, ToString};
use std::vec::Vec;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::signals::CORES_MAX;

/// Cores by their numbers: `0`, `1,3`, `0-2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    list: Vec<usize>,
}

/// Why there is no such set of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoresError {
    /// That is no list of numbers.
    List {
        /// What was given.
        given: String,
    },
    /// There is no room for so many.
    Many {
        /// How many were given.
        cnt: usize,
    },
    /// The machine has no such core, or does not let us have it.
    NoCore {
        /// Its number.
        core: usize,
    },
}

impl Cores {
    /// Reads a list.
    ///
    /// # Errors
    /// [`CoresError::List`], [`CoresError::Many`].
    pub fn parse(text: &str) -> Result<Self, CoresError> {
        let wrong = || CoresError::List {
            given: text.to_string(),
        };
        let mut list = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n < CpuSet::MAX_CPU);
            let first = number(first).ok_or_else(wrong)?;
            let last = number(last)
                .filter(|last| *last >= first)
                .ok_or_else(wrong)?;
            list.extend(first..=last);
        }
        list.sort_unstable();
        list.dedup();
        match list.len() {
            cnt if cnt > CORES_MAX => Err(CoresError::Many { cnt }),
            _ => Ok(Self { list }),
        }
    }

    /// How many there are: one at least.
    pub fn cnt(&self) -> usize {
        self.list.len()
    }

    /// Has this thread run on the `idx`-th core of the list.
    ///
    /// # Errors
    /// [`CoresError::NoCore`].
    ///
    /// # Panics
    /// There are not so many.
    pub fn pin(&self, idx: usize) -> Result<(), CoresError> {
        let core = self.list[idx];
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).map_err(|_| CoresError::NoCore { core })
    }
}

impl core::fmt::Display for CoresError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::List { given } => write!(f, "--cores {given}: expected a list such as 0 or 1,3"),
            Self::Many { cnt } => write!(f, "--cores: {cnt} cores: {CORES_MAX} at most"),
            Self::NoCore { core } => write!(f, "--cores {core}: this machine has no such core"),
        }
    }
}

impl core::error::Error for CoresError {}

#[cfg(test)]
mod tests;
