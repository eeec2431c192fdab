//! What happened to frames, counted for each end.

/// The counters of one end. On a wire of two ends and with nothing
/// [in flight](crate::Wire::in_flight), what left one end is accounted for:
/// `sent + duplicated = lost + blacked_out + link_down + queue_full` of that end
/// `+ delivered + ring_full + no_frame + too_long` of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that this end put on the wire, one count for each other end.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Super-segments that were cut.
    pub cut: u64,
    /// Frames that this end put on the wire with a wrong IPv4, TCP, UDP or ICMP checksum: 0, or
    /// the stack (or the test) has a mistake, or the device was told to cut wrongly.
    pub bad_csum_sent: u64,
    /// Vanished by chance.
    pub lost: u64,
    /// Vanished in a blackout.
    pub blacked_out: u64,
    /// Vanished because the link was down at either end.
    pub link_down: u64,
    /// Dropped at the tail of the bottleneck's queue.
    pub queue_full: u64,
    /// Second copies that the wire made.
    pub duplicated: u64,
    /// Held back so that others may overtake.
    pub reordered: u64,
    /// Marked "congestion experienced".
    pub marked: u64,
    /// Of which bits were flipped.
    pub corrupted: u64,
    /// Of which a length field was overwritten.
    pub corrupted_len: u64,
    /// Changes of the delay.
    pub jumps: u64,

    /// Frames that arrived at this end, before merging.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Of these, merged into the one before.
    pub merged: u64,
    /// Dropped because all slots of the receive ring were full.
    pub ring_full: u64,
    /// Dropped because slots were empty: the pool had had no frame for them.
    pub no_frame: u64,
    /// Dropped because they are longer than this end's MTU allows.
    pub too_long: u64,
    /// Times that an armed interrupt came.
    pub interrupts: u64,
}
