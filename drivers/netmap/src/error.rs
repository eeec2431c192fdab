//! What the far side can have done wrong: a region that makes no sense, a ring that breaks.

/// Why a region is no netmap region, or not one for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// Something that the region speaks of is not inside it, or not aligned.
    OutOfRegion,
    /// No ring is bound.
    NotBound,
    /// There is no ring of that number.
    NoRing,
    /// A ring has fewer than two slots, or more than indices are meant for.
    NumSlots {
        /// What the ring says.
        num_slots: u32,
    },
    /// Buffers are too small for a frame, or larger than a length field says.
    BufSize {
        /// What the ring says.
        buf_size: u32,
    },
    /// Two rings disagree on where the buffers are.
    BufsDiffer,
    /// The list of extra buffers has a name twice, or one that is no buffer's.
    ExtraList {
        /// The name.
        buf_idx: u32,
    },
    /// The pool's memory is not this region's buffers.
    OtherPool,
}

impl core::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfRegion => f.write_str("netmap: the region ends before what it speaks of"),
            Self::NotBound => f.write_str("netmap: no ring is bound"),
            Self::NoRing => f.write_str("netmap: no such ring"),
            Self::NumSlots { num_slots } => write!(f, "netmap: a ring of {num_slots} slots"),
            Self::BufSize { buf_size } => write!(f, "netmap: buffers of {buf_size} bytes"),
            Self::BufsDiffer => f.write_str("netmap: two rings have different buffers"),
            Self::ExtraList { buf_idx } => {
                write!(f, "netmap: buffer {buf_idx} in the list of extra buffers")
            }
            Self::OtherPool => f.write_str("netmap: the pool is not of this region"),
        }
    }
}

impl core::error::Error for LayoutError {}

/// What the far side did wrong with a ring. The ring is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A tail outside of the slots that were the far side's.
    Tail,
    /// A slot came back with a buffer that it was not given, or that is not the far side's to give.
    BufIdx,
    /// More bytes in a slot than fit into its buffer.
    Len,
    /// A chain of slots that does not end.
    Chain,
    /// Indices that make no sense after a reset: the ring is given up.
    Reset,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tail => "tail outside of the far side's slots",
            Self::BufIdx => "buffer that the slot was not given",
            Self::Len => "slot longer than its buffer",
            Self::Chain => "chain without an end",
            Self::Reset => "bad indices after a reset",
        })
    }
}
