//! netmap's shared memory and its requests, byte for byte (header version 14, 64-bit).
//!
//! ```text
//!   region  │ netmap_if │ … │ netmap_ring + slots │ … │ buffer 0 │ buffer 1 │ buffer 2 │ …
//!             │ ring_ofs[i] ──────▲ │ buf_ofs ─────────▲
//!             └ relative to itself  └ relative to the ring
//! ```
//!
//! Numbers are in the machine's byte order. The structures are never laid over the region: their
//! fields' offsets are taken from here, and the region is read through checks
//! ([`Region`](crate::Region)). `ring_ofs` lists transmit rings, host transmit rings, receive
//! rings, host receive rings; a ring that is not bound has offset 0.

mod request;

pub use request::{
    OPT_OFFSETS, OptOffsets, PoolsInfo, PortHdr, PortInfo, REG_ALL_NIC, REG_NIC_SW, REG_ONE_NIC,
    REG_ONE_SW, REG_SW, REQ_POOLS_INFO_GET, REQ_PORT_HDR_GET, REQ_PORT_HDR_SET, REQ_PORT_INFO_GET,
    REQ_REGISTER, Register, RegisterFlags, ReqHeader, ReqOption, VERSION, ioctl,
};

use core::mem::{offset_of, size_of};

/// `struct netmap_if`, without the array of offsets behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetmapIf {
    /// The port's name, ended by a zero byte.
    pub name: [u8; 16],
    /// Reads 0 on the kernels that were looked at: not checked.
    pub version: u32,
    /// 1: the memory is this port's alone.
    pub flags: u32,
    /// Transmit rings of the device.
    pub tx_rings: u32,
    /// Receive rings of the device.
    pub rx_rings: u32,
    /// First of the list of extra buffers; 0 when there is none.
    pub bufs_head: u32,
    /// Transmit rings to the host's stack: their entries in `ring_ofs` exist even when unbound.
    pub host_tx_rings: u32,
    /// Receive rings from the host's stack.
    pub host_rx_rings: u32,
    /// Reserved.
    pub spare: [u32; 3],
}

/// `struct netmap_ring`, without the slots behind it.
#[repr(C, align(128))]
#[derive(Clone, Copy, Debug)]
pub struct NetmapRing {
    /// Buffer 0, in bytes from this ring.
    pub buf_ofs: i64,
    /// Slots of the ring.
    pub num_slots: u32,
    /// Bytes in each buffer.
    pub buf_size: u32,
    /// The ring's number.
    pub ringid: u16,
    /// 1 for transmit, 0 for receive: the opposite of what netmap's header says of it.
    pub dir: u16,
    /// First slot that is ours.
    pub head: u32,
    /// How far we have got.
    pub cur: u32,
    /// First slot of the other side.
    pub tail: u32,
    /// `NR_TIMESTAMP` 2, `NR_FORWARD` 4.
    pub flags: u32,
    /// When the ring was last synced, on request; may be a former user's.
    pub ts: [i64; 2],
    /// The bits of a slot's `ptr` that are an offset into its buffer; 0 without that option.
    pub offset_mask: u64,
    /// What the start of a packet in a transmit slot must be a multiple of; 0 is as good as 1.
    pub buf_align: u64,
    /// Reserved for the kernel.
    pub sem: Sem,
}

/// The reserved part of a ring.
#[repr(C, align(128))]
#[derive(Clone, Copy, Debug)]
pub struct Sem(pub [u8; 128]);

/// `struct netmap_slot`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetmapSlot {
    /// The buffer's name: 0 and 1 are never given out.
    pub buf_idx: u32,
    /// Bytes in the buffer.
    pub len: u16,
    /// [`SlotFlags`].
    pub flags: SlotFlags,
    /// With `offset_mask`: where in the buffer the bytes begin.
    pub ptr: u64,
}

/// Flags of a slot.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotFlags(pub u16);

impl SlotFlags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `NS_BUF_CHANGED`: `buf_idx` is not what it was.
    pub const BUF_CHANGED: Self = Self(1);
    /// `NS_REPORT`: tell when this slot has been sent.
    pub const REPORT: Self = Self(2);
    /// `NS_FORWARD`: pass on between the device and the host's stack.
    pub const FORWARD: Self = Self(4);
    /// `NS_NO_LEARN`: a VALE switch is not to learn the source address.
    pub const NO_LEARN: Self = Self(8);
    /// `NS_INDIRECT`: `ptr` is the address of the bytes (VALE only).
    pub const INDIRECT: Self = Self(0x10);
    /// `NS_MOREFRAG`: the packet goes on in the next slot.
    pub const MOREFRAG: Self = Self(0x20);

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The first buffer that is given out: 0 and 1 are the kernel's own.
pub const BUF_IDX_MIN: u32 = 2;

/// Bytes of `netmap_if` in front of `ring_ofs`.
pub const RING_OFS_AT: usize = size_of::<NetmapIf>();
/// Bytes of `netmap_ring` in front of its slots.
pub const SLOTS_AT: usize = size_of::<NetmapRing>();
/// Bytes of a slot.
pub const SLOT_LEN: usize = size_of::<NetmapSlot>();

const _: () = {
    assert!(size_of::<NetmapIf>() == 56);
    assert!(offset_of!(NetmapIf, version) == 16 && offset_of!(NetmapIf, flags) == 20);
    assert!(offset_of!(NetmapIf, tx_rings) == 24 && offset_of!(NetmapIf, rx_rings) == 28);
    assert!(offset_of!(NetmapIf, bufs_head) == 32);
    assert!(offset_of!(NetmapIf, host_tx_rings) == 36 && offset_of!(NetmapIf, spare) == 44);
    assert!(offset_of!(NetmapIf, host_rx_rings) == 40);

    assert!(size_of::<NetmapRing>() == 256 && align_of::<NetmapRing>() == 128);
    assert!(offset_of!(NetmapRing, buf_ofs) == 0 && offset_of!(NetmapRing, num_slots) == 8);
    assert!(offset_of!(NetmapRing, buf_size) == 12 && offset_of!(NetmapRing, ringid) == 16);
    assert!(offset_of!(NetmapRing, dir) == 18 && offset_of!(NetmapRing, head) == 20);
    assert!(offset_of!(NetmapRing, cur) == 24 && offset_of!(NetmapRing, tail) == 28);
    assert!(offset_of!(NetmapRing, flags) == 32 && offset_of!(NetmapRing, ts) == 40);
    assert!(offset_of!(NetmapRing, offset_mask) == 56);
    assert!(offset_of!(NetmapRing, buf_align) == 64 && offset_of!(NetmapRing, sem) == 128);

    assert!(size_of::<NetmapSlot>() == 16);
    assert!(offset_of!(NetmapSlot, buf_idx) == 0 && offset_of!(NetmapSlot, len) == 4);
    assert!(offset_of!(NetmapSlot, flags) == 6 && offset_of!(NetmapSlot, ptr) == 8);
};

#[cfg(test)]
pub(crate) mod tests;
