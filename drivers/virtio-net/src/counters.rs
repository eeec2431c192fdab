//! What has happened on a queue pair, counted.

use crate::Violation;

/// The receive half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Packets taken out of the ring and handed on.
    pub frames: u64,
    /// Packets in more than one frame among those that came.
    pub large: u64,
    /// Frames dropped for being shorter than their headers.
    pub dropped_short: u64,
    /// Frames dropped for a `virtio_net_hdr` that makes no sense.
    pub dropped_header: u64,
    /// Times that the pool had no frame for the ring, which then ran with fewer.
    pub pool_empty: u64,
    /// Kicks that the device asked for.
    pub kicks: u64,
    /// Kicks after a long silence.
    pub rekicks: u64,
}

/// The transmit half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxCounters {
    /// Packets put on the ring.
    pub packets: u64,
    /// Super-segments among them.
    pub super_segments: u64,
    /// Packets that the device has finished with.
    pub finished: u64,
    /// Packets dropped for asking for an offload that [`Caps`](simoom_ring::Caps) does not have, or
    /// for lack of headroom: mistakes of the caller.
    pub dropped_request: u64,
    /// Kicks that the device asked for.
    pub kicks: u64,
    /// Kicks after a long silence.
    pub rekicks: u64,
}

/// Both halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The receive half.
    pub rx: RxCounters,
    /// The transmit half.
    pub tx: TxCounters,
    /// Times that the device was reset, because it had broken a ring or asked for it.
    pub resets: u64,
    /// What broke a ring last.
    pub last_violation: Option<Violation>,
    /// Commands on the control queue that the device has done.
    pub commands_done: u64,
    /// Commands that it says it has not.
    pub commands_refused: u64,
    /// Commands that it has not answered, or not as the ring allows: it was asked no more then.
    pub commands_unanswered: u64,
}
