//! What has moved, and on which rung of the zero-copy ladder, in one line.

use core::fmt;

use simoom::Counters;

/// What a stack and its rings have moved since the start.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// The stack's.
    pub stack: &'a Counters,
    /// Packets put on the transmit ring.
    pub sent: u64,
    /// Times that the device was told of some: kicks, system calls of a ring.
    pub doorbells: u64,
    /// Packets received.
    pub received: u64,
    /// Those among them that did not fit into one frame.
    pub large: u64,
}

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, sent, .. } = self;
        let tenths = sent * 10 / self.doorbells.max(1);
        write!(
            f,
            "sent {sent} packets ({} super-segments), {}.{} a doorbell; bodies: {} bytes by \
             reference, {} copied, {} summed, {} presummed; received {} packets ({} large)",
            stack.tcp_super_segments,
            tenths / 10,
            tenths % 10,
            stack.payload_bytes_referenced,
            stack.payload_bytes_copied,
            stack.payload_bytes_summed,
            stack.payload_bytes_presummed,
            self.received,
            self.large
        )
    }
}
