//! The three shared areas of a split virtqueue, and every access to them.
//!
//! ```text
//!   base                                          used_at (4096-aligned)
//!   │ desc: size × 16 │ flags idx ring[size] used_event │ … │ flags idx ring[size] avail_event │
//!   └─ descriptor ────┴─ avail: driver area ────────────┘   └─ used: device area ──────────────┘
//! ```
//!
//! This is the layout of legacy devices (virtio 1.2 2.7.2), which modern ones take as well. All
//! accesses are volatile or atomic, and every index is masked here, so nothing that the device
//! writes can make one go astray. All fields are little-endian (virtio 1.2 2.7.1).

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};

use crate::config::RING_ALIGN;

/// A descriptor as the device reads it (virtio 1.2 2.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desc {
    /// Where the piece is, as the device sees it.
    pub(super) addr: u64,
    /// Bytes in the piece.
    pub(super) len: u32,
    /// `NEXT` and `WRITE`.
    pub(super) flags: u16,
    /// The piece after this one, with `NEXT`.
    pub(super) next: u16,
}

impl Desc {
    /// The chain goes on at `next`.
    pub(super) const NEXT: u16 = 1;
    /// The device writes to the piece (it reads without this).
    pub(super) const WRITE: u16 = 2;
}

/// The shared areas of one queue of `size` descriptors.
pub(super) struct RingMemory {
    base: NonNull<u8>,
    size: u16,
    avail_at: usize,
    used_at: usize,
}

impl RingMemory {
    /// Bytes that a queue of `size` descriptors needs.
    pub(super) const fn byte_len(size: u16) -> usize {
        used_at(size) + 6 + 8 * size as usize
    }

    /// The areas at `base`; `None` when `size` is not a power of two up to 32,768.
    ///
    /// # Safety
    /// `base` is 4096-aligned and points to `byte_len(size)` bytes, valid for reads and writes for
    /// as long as the result lives, and accessed by it and the device only.
    pub(super) unsafe fn new(base: NonNull<u8>, size: u16) -> Option<Self> {
        size.is_power_of_two().then_some(Self {
            base,
            size,
            avail_at: desc_byte_len(size),
            used_at: used_at(size),
        })
    }

    /// Number of descriptors.
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    /// The driver area, in bytes from the base.
    pub(super) fn avail_at(&self) -> usize {
        self.avail_at
    }

    /// The device area, in bytes from the base.
    pub(super) fn used_at(&self) -> usize {
        self.used_at
    }

    /// Makes all areas zero: the state that a device expects of a queue that it has not started.
    pub(super) fn clear(&mut self) {
        let base = self.base.as_ptr();
        // SAFETY: the whole area is ours by the contract of `new`; the device does not run.
        unsafe { base.write_bytes(0, Self::byte_len(self.size)) };
    }

    /// Fills in descriptor `id`.
    #[inline]
    pub(super) fn write_desc(&mut self, id: u16, desc: Desc) {
        let at = 16 * self.masked(id);
        self.write_u64(at, desc.addr.to_le());
        let rest = u64::from(desc.len) | u64::from(desc.flags) << 32 | u64::from(desc.next) << 48;
        self.write_u64(at + 8, rest.to_le());
    }

    /// Puts the head of a chain at position `idx` of the available ring.
    #[inline]
    pub(super) fn write_avail(&mut self, idx: u16, head: u16) {
        let at = self.avail_at + 4 + 2 * self.masked(idx);
        self.u16_at(at).store(head.to_le(), Ordering::Relaxed);
    }

    /// Shows the device everything up to `idx`.
    #[inline]
    pub(super) fn store_avail_idx(&mut self, idx: u16) {
        // Release: pairs with the device's read barrier between avail.idx and the ring entries.
        self.u16_at(self.avail_at + 2)
            .store(idx.to_le(), Ordering::Release);
    }

    /// How far the device has got.
    #[inline]
    pub(super) fn load_used_idx(&self) -> u16 {
        // Acquire: pairs with the device's write barrier between used entries and used.idx.
        u16::from_le(self.u16_at(self.used_at + 2).load(Ordering::Acquire))
    }

    /// The id and the length that the device put at position `idx` of the used ring.
    #[inline]
    pub(super) fn read_used(&self, idx: u16) -> (u32, u32) {
        let at = self.used_at + 4 + 8 * self.masked(idx);
        (self.read_u32(at), self.read_u32(at + 4))
    }

    /// `VIRTQ_USED_F_NO_NOTIFY`: the device asks not to be kicked.
    #[inline]
    pub(super) fn load_no_notify(&self) -> bool {
        let flags = self.u16_at(self.used_at).load(Ordering::Relaxed);
        u16::from_le(flags) & 1 != 0
    }

    /// The device wants a kick when avail.idx passes this.
    #[inline]
    pub(super) fn load_avail_event(&self) -> u16 {
        let at = self.used_at + 4 + 8 * usize::from(self.size);
        u16::from_le(self.u16_at(at).load(Ordering::Relaxed))
    }

    /// We want an interrupt when used.idx passes this.
    #[inline]
    pub(super) fn store_used_event(&mut self, idx: u16) {
        let at = self.avail_at + 4 + 2 * usize::from(self.size);
        self.u16_at(at).store(idx.to_le(), Ordering::Relaxed);
    }

    /// `VIRTQ_AVAIL_F_NO_INTERRUPT`: we ask not to be interrupted.
    #[inline]
    pub(super) fn store_no_interrupt(&mut self, is_set: bool) {
        self.u16_at(self.avail_at)
            .store(u16::from(is_set).to_le(), Ordering::Relaxed);
    }

    #[inline]
    fn masked(&self, idx: u16) -> usize {
        usize::from(idx & (self.size - 1))
    }

    /// `at` is even and below `byte_len(size)`: all callers compute it from a masked index.
    #[inline]
    fn u16_at(&self, at: usize) -> &AtomicU16 {
        debug_assert!(at.is_multiple_of(2) && at < Self::byte_len(self.size));
        // SAFETY: within the area of `new`'s contract.
        let field = unsafe { self.base.add(at) };
        // SAFETY: 2-aligned (base is 4096-aligned, `at` even) and valid for the life of `self`;
        // the device's accesses are outside of this program.
        unsafe { AtomicU16::from_ptr(field.cast().as_ptr()) }
    }

    #[inline]
    fn read_u32(&self, at: usize) -> u32 {
        debug_assert!(at.is_multiple_of(4) && at + 4 <= Self::byte_len(self.size));
        // SAFETY: within the area of `new`'s contract.
        let field = unsafe { self.base.add(at) }.cast::<u32>();
        // SAFETY: valid and aligned as above; volatile, because the device may write it meanwhile.
        u32::from_le(unsafe { field.read_volatile() })
    }

    #[inline]
    fn write_u64(&mut self, at: usize, value: u64) {
        debug_assert!(at.is_multiple_of(8) && at + 8 <= self.avail_at);
        // SAFETY: within the descriptor table of `new`'s contract.
        let field = unsafe { self.base.add(at) }.cast::<u64>();
        // SAFETY: valid and aligned as above; volatile, because the device reads it.
        unsafe { field.write_volatile(value) };
    }
}

const fn desc_byte_len(size: u16) -> usize {
    16 * size as usize
}

const fn used_at(size: u16) -> usize {
    (desc_byte_len(size) + 6 + 2 * size as usize).next_multiple_of(RING_ALIGN)
}
