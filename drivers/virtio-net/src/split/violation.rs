//! What breaks a queue: a device that says what cannot be.

/// What the device did wrong. The queue must be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// used.idx claims more chains than are outstanding.
    UsedIdx,
    /// A used id that is no descriptor of this queue.
    IdRange,
    /// A used id that is not the head of an outstanding chain: free, repeated, further down a
    /// chain, or not published yet.
    IdNotHead,
    /// More bytes written than the chain has room for.
    LenOver,
    /// A packet in more buffers than the device has returned.
    NumBuffers,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::UsedIdx => "used.idx is ahead of what is outstanding",
            Self::IdRange => "used id out of range",
            Self::IdNotHead => "used id is not an outstanding head",
            Self::LenOver => "used length over what was offered",
            Self::NumBuffers => "a packet in more buffers than there are",
        })
    }
}
