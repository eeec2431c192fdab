//! A process on Linux: the same stack and the same loop as on a bare machine, over a port that
//! another process, the kernel or a card is at the other end of.
//!
//! ```text
//!   Spec ─ H::open ─ start ─► Started<H> ─ content::load ─ start ─► Net { served, .. }
//!                                                                     │ net::serve
//!   clock, signals, cores, poll(2) ──────────────── Process: Ground ──┘
//! ```
//!
//! The kernel's part is what it always is: memory, time, chance, a file descriptor to sleep on. No
//! byte goes through its TCP. On SIGTERM, SIGINT and SIGHUP no more connections are accepted, those
//! that there are close when what is queued has been sent, and after [`DRAIN`] the rest is aborted;
//! a second signal ends that at once. Then, and after a panic, what the port has changed on the
//! machine is taken back.

mod board;
pub mod content;
mod cores;
mod desks;
pub mod mesh;
mod net;
mod printer;
mod process;
mod signals;
mod sums;

pub use board::{Board, Figures};
pub use cores::{Cores, CoresError};
pub use desks::Desks;
pub use mesh::Mesh;
pub use net::{Addressing, Net, NetError, Rungs};
pub use printer::Printer;
pub use process::{DRAIN, Hooks, Process};
pub use signals::Signals;

use std::io::Write;
use std::vec::Vec;

use simoom::Instant;

use crate::net::Tables;

/// Microseconds since the process began to look: `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: std::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self {
            began: std::time::Instant::now(),
        }
    }

    /// The time.
    #[inline]
    pub fn now(&self) -> Instant {
        let micros = self.began.elapsed().as_micros();
        // Half a million years.
        Instant::from_micros(micros as u64)
    }
}

/// Bytes that nobody can guess (`getrandom`).
///
/// # Errors
/// The kernel has no such call.
pub fn seed() -> std::io::Result<u64> {
    chance().map(u64::from_ne_bytes)
}

/// As [`seed`], as many as a key of connections takes (RFC 6528 3).
///
/// # Errors
/// The kernel has no such call.
pub fn key() -> std::io::Result<u128> {
    chance().map(u128::from_ne_bytes)
}

fn chance<const LEN: usize>() -> std::io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    let len = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Up to 256 bytes are given at once (getrandom(2)).
    assert!(len == bytes.len(), "getrandom gives a few bytes whole");
    Ok(bytes)
}

/// Has a panic take back what ports have changed on the machine, before the process aborts.
pub fn undo_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(std::boxed::Box::new(move |info| {
        print(info);
        simoom_netmap::hosts::undo::run_all();
    }));
}

/// Says a line; whoever has closed our output does not want it.
pub fn say(line: core::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "simoom: {line}");
    let _ = out.flush();
}

/// Tables that last until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Leaked;

impl Tables for Leaked {
    type Error = core::convert::Infallible;

    fn slice<T>(
        &mut self,
        len: usize,
        make: impl FnMut() -> T,
    ) -> Result<&'static mut [T], Self::Error> {
        let mut table = Vec::with_capacity(len);
        table.resize_with(len, make);
        Ok(table.leak())
    }
}

#[cfg(test)]
mod tests;
