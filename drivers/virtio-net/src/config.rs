//! Every fixed size of this crate, with its reason.

/// Descriptors of a receive queue at most: what QEMU's `rx_queue_size` can be raised to.
pub const RX_SIZE_MAX: usize = 1024;

/// Descriptors of a transmit queue at most: vhost-user devices offer that many, QEMU's own 256.
pub const TX_SIZE_MAX: usize = 1024;

/// Descriptors of either queue unless the embedder asks for another number: QEMU's default.
pub const SIZE_DEFAULT: u16 = 256;

/// Alignment of a ring and of its used area: legacy devices place it by this (virtio 1.2 2.7.2).
pub(crate) const RING_ALIGN: usize = 4096;

/// Reads of a register until the device must have changed it: a reset takes microseconds.
pub(crate) const REGISTER_READS_MAX: u32 = 1_000_000;

/// Queue pairs of one device that are of use: one a core, and few machines have more for us.
pub const QUEUE_PAIRS_MAX: usize = 8;

/// Looks for the answer to a command, until it is taken for certain that none comes: looks are as
/// often as the rings are polled, so that is milliseconds, or so many sleeps.
pub(crate) const COMMAND_LOOKS_MAX: u32 = 100_000;

/// Reads of a multi-byte configuration field that changes while it is read.
pub(crate) const CONFIG_READS_MAX: u32 = 16;

/// Idle polls with something outstanding before the device is kicked once more: milliseconds, so
/// that a device that is merely busy is left alone.
pub(crate) const IDLE_POLLS_MAX: u16 = 50_000;

/// Sleeps with something outstanding before the device is kicked once more: by the second, it has
/// had a whole sleep to look at its queue.
pub(crate) const IDLE_SLEEPS_MAX: u16 = 2;

/// PCI capabilities of one function: 192 bytes of configuration space, at least 4 each.
pub(crate) const PCI_CAPABILITIES_MAX: usize = 48;
