//! The memory that is shared with the other side, read and written through checks.
//!
//! Everything goes through atomic loads and stores, relaxed ones: the other side may write at the
//! same time, and a value is read once and then only looked at in our copy. What orders them is in
//! [`RingMemory`](crate::RingMemory), at the indices.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A shared region, mapped until the program ends.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is an address and a length. It is accessed by atomic operations here; frames are
// made of it by unsafe functions, whose callers keep each with one owner.
unsafe impl Send for Region {}

impl Region {
    /// What `base` must be a multiple of: a cache line, and more than any field needs.
    pub const ALIGN: usize = 128;

    /// A region of `len` bytes; `None` when `base` is not a multiple of [`Self::ALIGN`].
    ///
    /// # Safety
    /// `base` points to `len` bytes that are valid for reads and writes until the program ends (a
    /// mapping that is never undone), and that Rust references of the caller's do not point into.
    pub unsafe fn new(base: NonNull<u8>, len: usize) -> Option<Self> {
        base.as_ptr()
            .addr()
            .is_multiple_of(Self::ALIGN)
            .then_some(Self { base, len })
    }

    /// Bytes of the region.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of `[at, at + len)`; `None` unless that is inside, and `at` a multiple of
    /// `align`.
    pub fn address(&self, at: usize, len: usize, align: usize) -> Option<NonNull<u8>> {
        let end = at.checked_add(len)?;
        if end > self.len || !at.is_multiple_of(align) {
            return None;
        }
        // SAFETY: `at` is within the region or one past its end, as just checked.
        Some(unsafe { self.base.add(at) })
    }

    /// The 32-bit number at `at`; `None` when that is outside or not aligned.
    pub fn load_u32(&self, at: usize) -> Option<u32> {
        Some(self.atomic_u32(at)?.load(Ordering::Relaxed))
    }

    /// The 64-bit number at `at`; `None` when that is outside or not aligned.
    pub fn load_u64(&self, at: usize) -> Option<u64> {
        Some(self.atomic_u64(at)?.load(Ordering::Relaxed))
    }

    /// Writes a 32-bit number; `None`, and nothing written, when `at` is outside or not aligned.
    pub fn store_u32(&self, at: usize, value: u32) -> Option<()> {
        self.atomic_u32(at)?.store(value, Ordering::Relaxed);
        Some(())
    }

    /// Writes a 64-bit number; `None`, and nothing written, when `at` is outside or not aligned.
    pub fn store_u64(&self, at: usize, value: u64) -> Option<()> {
        self.atomic_u64(at)?.store(value, Ordering::Relaxed);
        Some(())
    }

    fn atomic_u32(&self, at: usize) -> Option<&AtomicU32> {
        let address = self.address(at, 4, 4)?;
        // SAFETY: four bytes inside the region, aligned (the base is, and `at`), valid for as long
        // as the program runs; all accesses to such bytes are atomic.
        Some(unsafe { AtomicU32::from_ptr(address.cast().as_ptr()) })
    }

    fn atomic_u64(&self, at: usize) -> Option<&AtomicU64> {
        let address = self.address(at, 8, 8)?;
        // SAFETY: as for four bytes.
        Some(unsafe { AtomicU64::from_ptr(address.cast().as_ptr()) })
    }
}
