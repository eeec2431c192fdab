//! What a port has changed on the machine is taken back, whichever way the process ends.
//!
//! Each change is registered with the closure that takes it back. The closure runs once: when its
//! [`Undo`] is dropped, or when [`run_all`] is called, by the hook of a panic (release profiles
//! abort, so no destructor would run). After `kill -9` nothing runs: see
//! [`record`](super::record). What the kernel takes back with the last descriptor (a device that is
//! not persistent, a program that a link has attached) needs no entry.

use std::boxed::Box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

type Closure = Box<dyn FnOnce() + Send>;

static CHANGES: Changes = Changes::new();

/// Takes back what it was made for, when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Undo {
    id: u64,
    changes: &'static Changes,
}

/// Has `undo` run exactly once.
pub fn later(undo: impl FnOnce() + Send + 'static) -> Undo {
    CHANGES.later(undo)
}

/// Takes everything back, last first: for a panic hook.
pub fn run_all() {
    CHANGES.run_all();
}

impl Drop for Undo {
    fn drop(&mut self) {
        let undo = {
            let mut list = self.changes.list();
            let found = list.iter().position(|(id, _)| *id == self.id);
            found.map(|idx| list.remove(idx).1)
        };
        if let Some(undo) = undo {
            undo();
        }
    }
}

/// What is to be taken back: the process has one list, and a test its own.
struct Changes(Mutex<Vec<(u64, Closure)>>);

impl Changes {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn later(&'static self, undo: impl FnOnce() + Send + 'static) -> Undo {
        let mut list = self.list();
        let id = list.last().map_or(0, |(id, _)| id + 1);
        list.push((id, Box::new(undo)));
        let changes = self;
        Undo { id, changes }
    }

    fn run_all(&self) {
        loop {
            // Not locked while it runs: it may panic, too.
            let next = self.list().pop();
            match next {
                Some((_, undo)) => undo(),
                None => return,
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<(u64, Closure)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl core::fmt::Debug for Changes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
