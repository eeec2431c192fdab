//! What moves frames: a wire in virtual time that keeps up with the real one.
//!
//! ```text
//!   TAP ─ read ─► Wire::inject ─┐                          ┌─► captured ─ write ─► TAP
//!                               ├─ advance_to(real time) ──┤
//!   Stack ─ poll ─► SimPort ────┘                          └─► SimPort ─► poll ─ Stack
//!
//!   then sleep: until a TAP has frames, Wire::next_at, or Stack::poll_at
//! ```

use super::ours::OurHost;
use super::tap::LinuxHost;
use anyhow::{Result, bail};
use rustix::event::poll;
use rustix::time::Timespec;
use simoom::Instant;
use simoom_sim::Wire;
use std::num::NonZeroU64;
use std::time::Duration;

/// The wire with its hosts.
pub(crate) struct Relay<'p> {
    pub(crate) wire: Wire,
    pub(crate) linux: Vec<LinuxHost>,
    pub(crate) ours: Option<OurHost<'p>>,
    pub(crate) lag: Lag,
    started: std::time::Instant,
}

/// How late the relay was: all ends suffer from it, and it must be small beside the delays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lag {
    /// Most, in microseconds.
    pub(crate) worst_us: u64,
    /// In all, in microseconds, and how often something was due.
    total_us: u64,
    dues: u64,
}

impl Lag {
    /// Of what was due.
    pub(crate) fn mean_us(&self) -> u64 {
        self.total_us / self.dues.max(1)
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            worst_us: self.worst_us.max(other.worst_us),
            total_us: self.total_us + other.total_us,
            dues: self.dues + other.dues,
        }
    }
}

impl<'p> Relay<'p> {
    /// A relay over a wire whose time begins now.
    pub(crate) fn new(wire: Wire) -> Self {
        // This thread is the wire: it has to be in time. Without the right it goes without.
        let _ = rustix::process::setpriority_process(None, PRIORITY);
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Self {
            wire,
            linux: Vec::new(),
            ours: None,
            lag: Lag::default(),
            started: std::time::Instant::now(),
        }
    }

    /// Virtual time as it should be.
    pub(crate) fn now_us(&self) -> u64 {
        // 580,000 years.
        self.started.elapsed().as_micros() as u64
    }

    /// Moves frames until `is_done`, which is asked at least every [`NAP_MAX`].
    ///
    /// # Errors
    /// A device's, a stack that does not end, or `limit` passed.
    pub(crate) fn run(
        &mut self,
        limit: Duration,
        mut is_done: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let until_us = self.now_us() + limit.as_micros() as u64;
        while !is_done(self)? {
            let now_us = self.now_us();
            if now_us > until_us {
                bail!("not done after {} s", limit.as_secs());
            }
            self.step(now_us)?;
        }
        Ok(())
    }

    /// Everything that is due, then sleep until more is.
    fn step(&mut self, now_us: u64) -> Result<()> {
        if let Some(due_us) = self.next_at() {
            let late_us = now_us.saturating_sub(due_us);
            self.lag.worst_us = self.lag.worst_us.max(late_us);
            self.lag.total_us += late_us;
            self.lag.dues += u64::from(due_us <= now_us);
        }
        self.wire.advance_to(now_us);
        for host in &mut self.linux {
            host.receive(&self.wire)?;
            host.send(&self.wire)?;
        }
        if let Some(ours) = &mut self.ours {
            ours.poll(Instant::from_micros(self.wire.now_us()))?;
        }
        let now_us = self.now_us();
        let due_us = self.next_at().unwrap_or(u64::MAX);
        let nap = Duration::from_micros(due_us.saturating_sub(now_us)).min(NAP_MAX);
        // What is due at once leaves no time to sleep, but other hosts their turn.
        let nap = Timespec::try_from(nap)?;
        let mut fds: Vec<_> = self.linux.iter().map(LinuxHost::poll_fd).collect();
        match poll(&mut fds, Some(&nap)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When something happens next by itself.
    fn next_at(&self) -> Option<u64> {
        let now = Instant::from_micros(self.wire.now_us());
        let stack_at = self.ours.as_ref().and_then(|ours| {
            let at = ours.stack.poll_at(now);
            (at != Instant::NEVER).then(|| at.as_micros())
        });
        stack_at.into_iter().chain(self.wire.next_at()).min()
    }
}

/// Nice value of a relay's thread.
const PRIORITY: i32 = -10;
/// Longest sleep.
const NAP_MAX: Duration = Duration::from_millis(10);
