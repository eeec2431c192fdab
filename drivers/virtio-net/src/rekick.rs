//! One more kick when a queue has been silent for long: belt and braces.
//!
//! With the fences of [`split`](crate::split) no kick is lost by us, but emulators have lost the
//! fences themselves (QEMU before 8.1 with one vCPU under TCG). So a queue that the device ought to
//! be working on, and that has not moved for a while, gets one kick that nobody asked for. It costs
//! one store in each quiet period.

use crate::config::{IDLE_POLLS_MAX, IDLE_SLEEPS_MAX};

/// Looks at a queue since anything moved on it.
#[derive(Debug, Default)]
pub(crate) struct Rekick {
    polls: u16,
    sleeps: u16,
}

impl Rekick {
    /// Something moved: a chain was published or completed.
    #[inline]
    pub(crate) fn moved(&mut self) {
        *self = Self::default();
    }

    /// A poll has found nothing, though the device has work; whether to kick now.
    #[inline]
    pub(crate) fn is_due_at_poll(&mut self) -> bool {
        count_to(&mut self.polls, IDLE_POLLS_MAX)
    }

    /// The same before going to sleep.
    #[inline]
    pub(crate) fn is_due_at_sleep(&mut self) -> bool {
        count_to(&mut self.sleeps, IDLE_SLEEPS_MAX)
    }
}

/// True once, at the `max`th time.
#[inline]
fn count_to(count: &mut u16, max: u16) -> bool {
    if *count >= max {
        return false;
    }
    *count += 1;
    *count == max
}
