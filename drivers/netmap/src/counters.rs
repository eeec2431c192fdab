//! What has happened on a queue pair, counted.

use crate::Violation;

/// The receive half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Packets handed on.
    pub packets: u64,
    /// Those among them that lay in several slots.
    pub large: u64,
    /// Packets that the far side had back, for someone else.
    pub diverted: u64,
    /// Packets dropped for being shorter than their headers.
    pub dropped_short: u64,
    /// Packets dropped for a virtio-net header that makes no sense.
    pub dropped_header: u64,
    /// Packets dropped in slots that break the rules.
    pub dropped_violation: u64,
    /// Times that the pool had no frame for a slot, which then waited for one.
    pub pool_empty: u64,
    /// Syncs that the far side was asked for.
    pub syncs: u64,
    /// Times that the ring was reset for a [`Violation`].
    pub resets: u64,
    /// What broke it last.
    pub last_violation: Option<Violation>,
}

/// The transmit half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Packets put on the ring.
    pub packets: u64,
    /// Packets among them that were someone else's.
    pub guests: u64,
    /// Packets that the far side has finished with.
    pub finished: u64,
    /// Packets dropped for asking for what [`Caps`](simoom_ring::Caps) does not have, for lack of
    /// headroom or of frames to copy into, or for more pieces than a packet has: mistakes of the
    /// caller, as a rule.
    pub dropped_request: u64,
    /// Bytes moved to the start of their buffer, on ports whose packets can begin nowhere else.
    pub bytes_moved: u64,
    /// Bytes of content that was not placed in the region, copied into frames.
    pub content_copied: u64,
    /// Syncs that the far side was asked for.
    pub syncs: u64,
    /// Times that the ring was reset for a [`Violation`].
    pub resets: u64,
    /// What broke it last.
    pub last_violation: Option<Violation>,
}

/// Both halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The receive half.
    pub rx: RxCounters,
    /// The transmit half.
    pub tx: TxCounters,
}
