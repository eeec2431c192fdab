//! Every fixed size of this crate, with its reason.

/// Slots of a ring at most: far above what any adapter has, and no index arithmetic overflows.
pub const NUM_SLOTS_MAX: u32 = 1 << 20;

/// Bytes of a buffer at least: the smallest that the kernel lets an administrator choose.
pub const BUF_SIZE_MIN: u16 = 64;

/// Bytes between the `netmap_if`s of a region that is laid out here: the kernel's.
pub const IF_SIZE: usize = 1024;
