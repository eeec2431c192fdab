//! The page that both ends write to: everything in it is a rumour.

use std::sync::atomic::{Ordering, fence};

use crate::Region;

/// Bytes of the page.
pub(super) const CONTROL_LEN: usize = 4_096;

/// The control page as one end sees it.
#[derive(Clone, Copy)]
pub(super) struct Control {
    region: Region,
    /// Which end we are: 0 came first.
    us: usize,
}

impl Control {
    pub(super) fn new(region: Region, us: usize) -> Self {
        Self { region, us }
    }

    /// Slots of the other's transmit ring that we have read, modulo 2^32.
    pub(super) fn set_read(&self, cnt: u32) {
        // Release, so that the other writes to buffers after we have read them.
        fence(Ordering::Release);
        self.store(self.us, READ_AT, cnt);
    }

    /// Slots of ours that the other says to have read.
    pub(super) fn read_by_peer(&self) -> u32 {
        let cnt = self.load(1 - self.us, READ_AT);
        fence(Ordering::Acquire);
        cnt
    }

    /// We are going to sleep: whoever has news wakes us. Look once more afterwards.
    pub(super) fn set_sleeping(&self, is_sleeping: bool) {
        self.store(self.us, SLEEPS_AT, is_sleeping.into());
        // Before we look: pairs with the fence in `wants_waking`.
        fence(Ordering::SeqCst);
    }

    /// Whether the other end sleeps, and is to be woken for the news that were just published.
    pub(super) fn wants_waking(&self) -> bool {
        // After the news: pairs with the fence in `set_sleeping`. One of the two sees the other.
        fence(Ordering::SeqCst);
        let is_sleeping = self.load(1 - self.us, SLEEPS_AT) != 0;
        if is_sleeping {
            self.store(1 - self.us, SLEEPS_AT, 0);
        }
        is_sleeping
    }

    fn load(&self, end: usize, at: usize) -> u32 {
        let value = self.region.load_u32(END_AT + END_LEN * end + at);
        value.expect("within the page")
    }

    fn store(&self, end: usize, at: usize, value: u32) {
        let stored = self.region.store_u32(END_AT + END_LEN * end + at, value);
        stored.expect("within the page");
    }
}

/// Where an end's part begins, and how long it is: cache lines apart.
const END_AT: usize = 128;
const END_LEN: usize = 256;
const READ_AT: usize = 0;
const SLEEPS_AT: usize = 128;
