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

static CHANGES: Mutex<Vec<(u64, Closure)>> = Mutex::new(Vec::new());

/// Takes back what it was made for, when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Undo {
    id: u64,
}

/// Has `undo` run exactly once.
pub fn later(undo: impl FnOnce() + Send + 'static) -> Undo {
    let mut changes = changes();
    let id = changes.last().map_or(0, |(id, _)| id + 1);
    changes.push((id, Box::new(undo)));
    Undo { id }
}

/// Takes everything back, last first: for a panic hook.
pub fn run_all() {
    loop {
        // Not locked while it runs: it may panic, too.
        let next = changes().pop();
        match next {
            Some((_, undo)) => undo(),
            None => return,
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let undo = {
            let mut changes = changes();
            let found = changes.iter().position(|(id, _)| *id == self.id);
            found.map(|idx| changes.remove(idx).1)
        };
        if let Some(undo) = undo {
            undo();
        }
    }
}

fn changes() -> MutexGuard<'static, Vec<(u64, Closure)>> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
