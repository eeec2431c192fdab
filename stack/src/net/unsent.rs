//! What could not be sent.

use simoom_ring::TxPacket;

use super::Net;
use crate::counters::DropReason;

/// A packet that could not be sent, as it was when it was handed over: it may be handed over again.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unsent<'p> {
    /// The transmit ring is full; nothing is counted, for the packet is not lost.
    RingFull(TxPacket<'p>),
    /// There is no way to the destination, or no address to send from. Counted.
    NoRoute(TxPacket<'p>),
    /// The head frame has no room for the headers, or the datagram is too long. Counted.
    NoRoom(TxPacket<'p>),
}

impl Unsent<'_> {
    /// Drops a packet that nobody keeps, and counts it if that has not been done.
    pub(crate) fn forget(self, net: &mut Net<'_>) {
        if let Self::RingFull(_) = self {
            net.counters.drop(DropReason::TxRingFull);
        }
    }
}

impl core::fmt::Display for Unsent<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::RingFull(_) => "the transmit ring is full",
            Self::NoRoute(_) => "no route to the destination",
            Self::NoRoom(_) => "no room for the headers",
        })
    }
}
