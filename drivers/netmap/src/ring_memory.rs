//! One ring in the region: its indices and its slots. Memory only, no rules.
//!
//! Our side and the far sides in this crate go through here alike. An index of a slot is checked
//! against the number of slots as it was when the ring was found, never as it reads now.

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::abi::{NetmapRing, NetmapSlot, SLOT_LEN, SLOTS_AT, SlotFlags};

/// A ring that lies in a [`Region`](crate::Region) as a whole.
#[derive(Clone, Copy, Debug)]
pub struct RingMemory {
    base: NonNull<u8>,
    num_slots: u32,
    offset_mask: u64,
    buf_align: u64,
}

// SAFETY: an address of memory that outlives the program's threads, accessed atomically.
unsafe impl Send for RingMemory {}

/// `head`, `cur` and `tail` as they were read, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indices {
    /// First slot that is ours.
    pub head: u32,
    /// How far we have got.
    pub cur: u32,
    /// First slot of the other side.
    pub tail: u32,
}

impl RingMemory {
    /// A ring at `base`.
    ///
    /// # Safety
    /// `base` is 8-aligned and points to a `netmap_ring` with `num_slots` slots, in memory that is
    /// valid until the program ends and accessed by atomic operations only.
    pub(crate) unsafe fn new(
        base: NonNull<u8>,
        num_slots: u32,
        offset_mask: u64,
        buf_align: u64,
    ) -> Self {
        Self {
            base,
            num_slots,
            offset_mask,
            buf_align,
        }
    }

    /// Slots of the ring, as it was found.
    #[inline]
    pub fn num_slots(&self) -> u32 {
        self.num_slots
    }

    /// The bits of a slot's `ptr` that are an offset, as the ring was found.
    #[inline]
    pub fn offset_mask(&self) -> u64 {
        self.offset_mask
    }

    /// Where in its buffer the packet in a slot begins, as the slot says.
    #[inline]
    pub fn offset(&self, slot: &NetmapSlot) -> usize {
        usize::try_from(slot.ptr & self.offset_mask).unwrap_or(usize::MAX)
    }

    /// What the start of a packet to send must be a multiple of; 0 and 1 say nothing.
    #[inline]
    pub fn buf_align(&self) -> u64 {
        self.buf_align
    }

    /// The far side's index. What it says of slots in front of it can be read afterwards.
    #[inline]
    pub fn load_tail(&self) -> u32 {
        // Acquire: pairs with the far side's release in `store_tail`; its slots are seen as it
        // left them.
        self.index(offset_of!(NetmapRing, tail))
            .load(Ordering::Acquire)
    }

    /// All three indices.
    #[inline]
    pub fn load_indices(&self) -> Indices {
        let index = |at| self.index(at).load(Ordering::Acquire);
        Indices {
            head: index(offset_of!(NetmapRing, head)),
            cur: index(offset_of!(NetmapRing, cur)),
            tail: index(offset_of!(NetmapRing, tail)),
        }
    }

    /// Publishes our two indices, which are one for us.
    #[inline]
    pub fn store_head(&self, head: u32) {
        // Release: pairs with the far side's acquire in `load_indices`; it sees the slots as we
        // left them. `cur` first, so that head is never ahead of it.
        self.index(offset_of!(NetmapRing, cur))
            .store(head, Ordering::Release);
        self.index(offset_of!(NetmapRing, head))
            .store(head, Ordering::Release);
    }

    /// Moves `cur` alone ahead of `head`: a kernel wakes us when `tail` has moved past it. The next
    /// [`store_head`](Self::store_head) makes the two one again.
    pub fn store_cur(&self, cur: u32) {
        // Relaxed: it says when to wake us, and nothing of any slot.
        self.index(offset_of!(NetmapRing, cur))
            .store(cur, Ordering::Relaxed);
    }

    /// For a far side: gives slots to us.
    #[inline]
    pub fn store_tail(&self, tail: u32) {
        // Release: pairs with the acquire in `load_tail`.
        self.index(offset_of!(NetmapRing, tail))
            .store(tail, Ordering::Release);
    }

    /// A slot.
    ///
    /// # Panics
    /// When there is no such slot: a mistake of ours.
    #[inline]
    pub fn slot(&self, idx: usize) -> NetmapSlot {
        let [first, second] = self.slot_words(idx);
        let [a, b, c, d, e, f, g, h] = first.load(Ordering::Relaxed).to_ne_bytes();
        NetmapSlot {
            buf_idx: u32::from_ne_bytes([a, b, c, d]),
            len: u16::from_ne_bytes([e, f]),
            flags: SlotFlags(u16::from_ne_bytes([g, h])),
            ptr: second.load(Ordering::Relaxed),
        }
    }

    /// Writes a slot.
    ///
    /// # Panics
    /// As [`slot`](Self::slot).
    #[inline]
    pub fn set_slot(&self, idx: usize, slot: NetmapSlot) {
        let NetmapSlot {
            buf_idx,
            len,
            flags,
            ptr: _,
        } = slot;
        let [first, second] = self.slot_words(idx);
        // As the fields lie in memory.
        let word = match cfg!(target_endian = "little") {
            true => u64::from(buf_idx) | u64::from(len) << 32 | u64::from(flags.0) << 48,
            false => u64::from(buf_idx) << 32 | u64::from(len) << 16 | u64::from(flags.0),
        };
        first.store(word, Ordering::Relaxed);
        second.store(slot.ptr, Ordering::Relaxed);
    }

    /// The two halves of a slot: `buf_idx`, `len` and `flags`; `ptr`.
    #[inline]
    fn slot_words(&self, idx: usize) -> [&AtomicU64; 2] {
        assert!(idx < self.num_slots as usize, "slot {idx} of the ring");
        let word = |at: usize| {
            // SAFETY: the slot is within the ring, as just checked, and the ring within memory that
            // stays valid (see `new`).
            let address = unsafe { self.base.add(SLOTS_AT + idx * SLOT_LEN + at) };
            // SAFETY: as before; aligned, because base, SLOTS_AT, SLOT_LEN and `at` are.
            unsafe { AtomicU64::from_ptr(address.cast().as_ptr()) }
        };
        [word(0), word(8)]
    }

    /// The index at `at` bytes, one of the three.
    #[inline]
    fn index(&self, at: usize) -> &AtomicU32 {
        // SAFETY: an offset within `netmap_ring`, which is all valid (see `new`).
        let address = unsafe { self.base.add(at) };
        // SAFETY: as before; the offsets of the indices are multiples of four.
        unsafe { AtomicU32::from_ptr(address.cast().as_ptr()) }
    }
}
