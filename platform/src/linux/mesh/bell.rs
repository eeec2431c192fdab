//! What wakes a core that sleeps: an event, written to only when somebody waits for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// One core's bell. It looks for news after it has lain down; who has news rings after them.
pub(in crate::linux) struct Bell {
    event: OwnedFd,
    is_asleep: AtomicBool,
    /// Something was asked or answered at a desk.
    is_called: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self {
            event: eventfd(0, flags)?,
            is_asleep: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
        })
    }

    /// Readable once it has been rung.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// From now on ringing wakes.
    pub(super) fn lie_down(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
        // Before the last look for news; its partner is in `ring`.
        fence(Ordering::SeqCst);
    }

    /// From now on it does not. `is_rung`: the event is readable.
    pub(super) fn get_up(&self, is_rung: bool) {
        self.is_asleep.store(false, Ordering::Relaxed);
        if is_rung {
            // Nothing to read is as good.
            let _ = rustix::io::read(&self.event, &mut [0; 8]);
        }
    }

    /// There is something at a desk for this core.
    pub(in crate::linux) fn call(&self) {
        // Behind what is on the sheet; its partner is in `take_call`.
        self.is_called.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether that is so.
    #[inline]
    pub(in crate::linux) fn is_called(&self) -> bool {
        self.is_called.load(Ordering::Relaxed)
    }

    /// It will be looked at now.
    pub(in crate::linux) fn take_call(&self) {
        self.is_called.swap(false, Ordering::Acquire);
    }

    /// There is news for this core.
    pub(super) fn ring(&self) {
        // Behind what the news is; its partner is in `lie_down`. Of the two, one sees the other.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) && self.is_asleep.swap(false, Ordering::Relaxed) {
            // It fails if the counter is full: then it has long been signalled.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}
