//! Fast opens of a listener that are not acknowledged: they are bounded (RFC 7413 5.1).

use crate::config::FAST_OPEN_RESET_AGE;
use crate::time::Instant;

/// PendingFastOpenRequests of a listener (RFC 7413 5.1).
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// Connections whose SYN-ACK is not acknowledged.
    cnt: u16,
    /// Those that a reset has ended, until there has been none for a while. Who spoofs SYNs of
    /// hosts that answer with RST would else empty the count as fast as he fills it.
    reset_cnt: u16,
    reset_at: Instant,
}

impl Pending {
    pub(crate) const NONE: Self = Self {
        cnt: 0,
        reset_cnt: 0,
        reset_at: Instant::ZERO,
    };

    pub(super) fn has_room(&mut self, max: u16, now: Instant) -> bool {
        if now.since(self.reset_at) >= FAST_OPEN_RESET_AGE {
            self.reset_cnt = 0;
        }
        self.cnt.saturating_add(self.reset_cnt) < max
    }

    pub(super) fn began(&mut self) {
        self.cnt = self.cnt.saturating_add(1);
    }

    pub(super) fn ended(&mut self, was_reset: bool, now: Instant) {
        self.cnt = self.cnt.saturating_sub(1);
        if was_reset {
            self.reset_cnt = self.reset_cnt.saturating_add(1);
            self.reset_at = now;
        }
    }
}
