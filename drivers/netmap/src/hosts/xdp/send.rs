//! When the kernel is called to send.
//!
//! Without zero copy (and where a driver sleeps) nothing is sent before the kernel is called. A
//! call for each answer is what makes a server slow, and calls are what a burst is meant to save:
//! so while more comes in we wait for it, for [`QUIET_US`] at a time and [`HELD_US`] at most, or
//! until [`HELD_MAX`] descriptors wait. Before the loop sleeps the rest goes out.

use std::rc::Rc;

use super::counters::Counters;
use super::rings::{Desc, Producer};
use super::{Calls, Sent};

/// Nothing has come in for so long: nothing to wait for.
pub(super) const QUIET_US: u64 = 15;
/// The first that waits waits no longer.
pub(super) const HELD_US: u64 = 150;
/// So many are a burst.
pub(super) const HELD_MAX: u32 = 64;
/// Calls in a row, each for a part of the ring: kernels that do not let us choose send 32
/// descriptors a call, and a ring has 2,048 at most.
const CALLS_MAX: u32 = 64;

/// The kernel's transmit ring, and what in it waits for a call.
pub(super) struct Sender<C> {
    calls: Rc<C>,
    counters: Rc<Counters>,
    pub(super) tx: Producer<Desc>,
    held: Option<Held>,
}

/// Since when something waits.
#[derive(Clone, Copy, Debug)]
struct Held {
    since_us: u64,
    /// When something came in last, and how much had come in by then.
    news_us: u64,
    received: u64,
}

impl<C: Calls> Sender<C> {
    pub(super) fn new(calls: Rc<C>, counters: Rc<Counters>, tx: Producer<Desc>) -> Self {
        Self {
            calls,
            counters,
            tx,
            held: None,
        }
    }

    /// Calls the kernel if there is something to be called for and it is time to, or when
    /// `is_last`: there will be no other occasion. False when a further call is worth while.
    #[inline]
    pub(super) fn kick(&mut self, is_last: bool) -> bool {
        let mut left = self.tx.learn();
        if left == 0 || !self.tx.needs_wakeup() {
            self.held = None;
            return true;
        }
        if !is_last && left < HELD_MAX && self.may_wait() {
            return false;
        }
        self.held = None;
        for _ in 0..CALLS_MAX {
            self.counters.kicks.note();
            let sent = self.calls.send();
            let before = core::mem::replace(&mut left, self.tx.learn());
            match sent {
                _ if left == 0 => return true,
                Sent::Done | Sent::Later if left < before => {}
                Sent::Done | Sent::Later => {
                    self.counters.kicks_refused.note();
                    return false;
                }
                // Until the link is up again, or for ever.
                Sent::Down | Sent::Gone => return true,
            }
        }
        false
    }

    /// Whether what waits is not there for long, and more may come.
    #[inline]
    fn may_wait(&mut self) -> bool {
        let now_us = self.calls.now_us();
        let received = self.counters.received.get();
        let held = self.held.get_or_insert(Held {
            since_us: now_us,
            news_us: now_us,
            received,
        });
        if held.received != received {
            held.received = received;
            held.news_us = now_us;
        }
        now_us.saturating_sub(held.news_us) < QUIET_US
            && now_us.saturating_sub(held.since_us) < HELD_US
    }
}
