//! When the kernel is called to send.
//!
//! Without zero copy (and where a driver sleeps) nothing is sent before the kernel is called. A
//! call for each answer is what makes a server slow, and calls are what a burst is meant to save:
//! so while more comes in we wait for it, for [`QUIET_US`] at a time and [`HELD_US`] at most, or
//! until [`HELD_MAX`] descriptors wait. The loop stays awake for that.
//!
//! Whether it is worth while shows: one client alone sends nothing before it has its answer, and
//! then as much comes in as calls are made. Only where it has been more lately do we wait.

use std::rc::Rc;

use super::counters::Counters;
use super::rings::{Desc, Producer};
use super::{Calls, Sent};

/// Nothing has come in for so long: nothing to wait for.
pub(super) const QUIET_US: u64 = 30;
/// The first that waits waits no longer.
pub(super) const HELD_US: u64 = 250;
/// So many are a burst.
pub(super) const HELD_MAX: u32 = 64;
/// Of what came in between two calls, an eighth enters the mean.
const MEAN_WEIGHT: u32 = 8;
/// The mean, in sixteenths, from which on there are several clients.
const SEVERAL: u32 = 24;
/// A burst counts as so many at most: a mean that is quick to come down again.
const BURST_MAX: u64 = 16;
/// Calls in a row, each for a part of the ring: kernels that do not let us choose send 32
/// descriptors a call, and a ring has 2,048 at most.
const CALLS_MAX: u32 = 64;

/// The kernel's transmit ring, and what in it waits for a call.
pub(super) struct Sender<C> {
    calls: Rc<C>,
    counters: Rc<Counters>,
    pub(super) tx: Producer<Desc>,
    held: Option<Held>,
    /// What came in between two calls: the mean, in sixteenths.
    mean: u32,
    /// How much had come in by the last call, and when that was.
    received: u64,
    called_us: u64,
    is_down: bool,
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
            mean: 0,
            received: 0,
            called_us: 0,
            is_down: false,
        }
    }

    /// Whether the interface was down when it was to send last.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Calls the kernel if there is something to be called for and it is time to. False when it is
    /// not yet, or a further call is worth while: then it is too early to sleep.
    #[inline]
    pub(super) fn kick(&mut self) -> bool {
        let mut left = self.tx.learn();
        if left == 0 || !self.tx.needs_wakeup() {
            self.held = None;
            return true;
        }
        if left < HELD_MAX && self.may_wait() {
            return false;
        }
        self.held = None;
        self.note_received();
        for _ in 0..CALLS_MAX {
            self.counters.kicks.note();
            let sent = self.calls.send();
            self.is_down = sent == Sent::Down;
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

    /// Whether the next of several clients is likely to be heard before a sleep has begun.
    pub(super) fn expects_more(&self) -> bool {
        self.mean >= SEVERAL && self.calls.now_us().saturating_sub(self.called_us) < QUIET_US
    }

    /// Whether what waits is not there for long, and more may come.
    #[inline]
    fn may_wait(&mut self) -> bool {
        if self.mean < SEVERAL {
            return false;
        }
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

    /// A call is made: how much has come in since the last?
    #[inline]
    fn note_received(&mut self) {
        let received = self.counters.received.get();
        let new = received.wrapping_sub(self.received).min(BURST_MAX);
        self.received = received;
        if self.mean >= SEVERAL {
            self.called_us = self.calls.now_us();
        }
        // At most a burst.
        self.mean += new as u32 * (16 / MEAN_WEIGHT);
        self.mean -= self.mean / MEAN_WEIGHT;
    }
}
