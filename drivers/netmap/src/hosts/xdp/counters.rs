//! What has happened on the way to the kernel and back, counted.

use std::cell::Cell;

/// A number that the port shows and its far sides count up.
#[derive(Debug, Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    /// One more.
    #[inline]
    pub(super) fn note(&self) {
        self.0.set(self.0.get() + 1);
    }

    #[inline]
    pub(super) fn set(&self, cnt: u64) {
        self.0.set(cnt);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Of one queue pair.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Descriptors received.
    pub(super) received: Count,
    /// Calls to send.
    pub(super) kicks: Count,
    /// Those after which as much was left as before.
    pub(super) kicks_refused: Count,
    /// Calls to take buffers from the fill ring.
    pub(super) fill_wakeups: Count,
    /// Descriptors of buffers that the kernel does not have, or outside of them.
    pub(super) bad_descs: Count,
    /// Completions of what was not being sent.
    pub(super) bad_completions: Count,
    /// Indices of the kernel's that made no sense: receive side.
    pub(super) bad_rx_indices: Count,
    /// And transmit side.
    pub(super) bad_tx_indices: Count,
    /// Rules that our own side of the ring has broken.
    pub(super) faults: Count,
}

impl Counters {
    /// Everything that should be zero.
    pub(super) fn violations(&self) -> u64 {
        let Self {
            received: _,
            kicks: _,
            kicks_refused: _,
            fill_wakeups: _,
            bad_descs,
            bad_completions,
            bad_rx_indices,
            bad_tx_indices,
            faults,
        } = self;
        let counts = [
            bad_descs,
            bad_completions,
            bad_rx_indices,
            bad_tx_indices,
            faults,
        ];
        counts.iter().map(|count| count.get()).sum()
    }
}
