//! The four rings that AF_XDP shares with the kernel, from our side.
//!
//! ```text
//!   fill         we produce buffers to receive into      kernel consumes
//!   rx           kernel produces frames                  we consume
//!   tx           we produce frames                       kernel consumes
//!   completion   kernel produces buffers that are sent   we consume
//!
//!          consumer            producer          free-running 32-bit numbers, masked
//!   ───────┼───────────────────┼──────────       only when an entry is looked up
//!          │ entries           │ room
//! ```
//!
//! A producer writes entries, then its index; a consumer reads the index, then the entries, then
//! writes its own index, by which it gives them back. Each side has its indices in memory of its
//! own and trusts nothing else: the other's index is read once, and believed when it is no more
//! than a ring ahead or behind. What is in an entry is its reader's to check.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Where a ring lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingParts {
    pub(super) producer: NonNull<u8>,
    pub(super) consumer: NonNull<u8>,
    /// Kernels before 5.4 have none.
    pub(super) flags: Option<NonNull<u8>>,
    pub(super) entries: NonNull<u8>,
    /// Entries of the ring: a power of two.
    pub(super) size: u32,
}

// SAFETY: addresses of memory that is mapped until the program ends, accessed atomically; whoever
// makes a producer or consumer of them says that it is the only one.
unsafe impl Send for RingParts {}

/// What a ring consists of.
pub(super) trait Entry: Copy {
    /// Eight bytes each.
    const WORDS: usize;

    fn read(words: impl FnMut(usize) -> u64) -> Self;
    fn write(self, words: impl FnMut(usize, u64));
}

/// An address in the UMEM: an entry of the fill and completion rings.
impl Entry for u64 {
    const WORDS: usize = 1;

    #[inline]
    fn read(mut words: impl FnMut(usize) -> u64) -> Self {
        words(0)
    }

    #[inline]
    fn write(self, mut words: impl FnMut(usize, u64)) {
        words(0, self);
    }
}

/// `struct xdp_desc`: an entry of the receive and transmit rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desc {
    /// In the UMEM, bytes.
    pub(super) addr: u64,
    /// Bytes.
    pub(super) len: u32,
    /// `XDP_PKT_CONTD`: the packet goes on in the next descriptor.
    pub(super) has_more: bool,
}

impl Entry for Desc {
    const WORDS: usize = 2;

    #[inline]
    fn read(mut words: impl FnMut(usize) -> u64) -> Self {
        let addr = words(0);
        let [a, b, c, d, e, f, g, h] = words(1).to_ne_bytes();
        Self {
            addr,
            len: u32::from_ne_bytes([a, b, c, d]),
            has_more: u32::from_ne_bytes([e, f, g, h]) & XDP_PKT_CONTD != 0,
        }
    }

    #[inline]
    fn write(self, mut words: impl FnMut(usize, u64)) {
        words(0, self.addr);
        let [a, b, c, d] = self.len.to_ne_bytes();
        let options = if self.has_more { XDP_PKT_CONTD } else { 0 };
        let [e, f, g, h] = options.to_ne_bytes();
        words(1, u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// The memory of a ring.
#[derive(Debug)]
struct Shared<E> {
    parts: RingParts,
    mask: u32,
    entry: PhantomData<E>,
}

impl<E: Entry> Shared<E> {
    #[inline]
    fn index(at: NonNull<u8>) -> AtomicU32Ref {
        // SAFETY: four aligned bytes that stay valid and that all access atomically (`new`).
        unsafe { AtomicU32::from_ptr(at.cast().as_ptr()) }
    }

    #[inline]
    fn word(&self, idx: u32, word: usize) -> &AtomicU64 {
        let at = (idx & self.mask) as usize * E::WORDS + word;
        // SAFETY: the entry is masked, so it is within the ring's entries (`new`).
        let address = unsafe { self.parts.entries.cast::<u64>().add(at) };
        // SAFETY: eight aligned bytes of them, accessed atomically by all.
        unsafe { AtomicU64::from_ptr(address.as_ptr()) }
    }

    #[inline]
    fn read(&self, idx: u32) -> E {
        E::read(|word| self.word(idx, word).load(Ordering::Relaxed))
    }

    #[inline]
    fn write(&self, idx: u32, entry: E) {
        entry.write(|word, value| self.word(idx, word).store(value, Ordering::Relaxed));
    }
}

type AtomicU32Ref = &'static AtomicU32;

/// A ring that we write: fill, tx.
#[derive(Debug)]
pub(super) struct Producer<E> {
    shared: Shared<E>,
    /// Entries up to here are written.
    written: u32,
    /// Entries up to here are visible.
    published: u32,
    /// The kernel's index as it was believed last.
    consumed: u32,
    /// Times that it was not believed.
    pub(super) bad_index: u64,
}

impl<E: Entry> Producer<E> {
    /// A ring that nobody has used yet.
    ///
    /// # Safety
    /// Indices and flags are 4-aligned, entries 8-aligned and `size * E::WORDS * 8` bytes; all of
    /// it is valid until the program ends, and everybody accesses it atomically. `size` is a power
    /// of two.
    pub(super) unsafe fn new(parts: RingParts) -> Self {
        Self {
            shared: Shared {
                parts,
                mask: parts.size - 1,
                entry: PhantomData,
            },
            written: 0,
            published: 0,
            consumed: 0,
            bad_index: 0,
        }
    }

    /// Learns how far the kernel has got. Entries that are not consumed yet.
    #[inline]
    pub(super) fn learn(&mut self) -> u32 {
        // Acquire: pairs with the kernel's release of its index, so that what is written to the
        // entries from now on comes after its reading them.
        let consumed = Shared::<E>::index(self.shared.parts.consumer).load(Ordering::Acquire);
        let left = self.published.wrapping_sub(consumed);
        // It cannot go back, nor past what is visible.
        match left <= self.published.wrapping_sub(self.consumed) {
            true => self.consumed = consumed,
            false => self.bad_index += 1,
        }
        self.published.wrapping_sub(self.consumed)
    }

    /// Entries that can be written, as far as was learnt.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        self.shared.parts.size - self.written.wrapping_sub(self.consumed)
    }

    /// Writes an entry that is not visible yet; false when there is no room.
    #[inline]
    pub(super) fn push(&mut self, entry: E) -> bool {
        if self.room() == 0 {
            return false;
        }
        self.shared.write(self.written, entry);
        self.written = self.written.wrapping_add(1);
        true
    }

    /// Makes what was written visible; whether that was anything.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        if self.written == self.published {
            return false;
        }
        self.published = self.written;
        // Release: pairs with the kernel's acquire of this index; it sees the entries.
        Shared::<E>::index(self.shared.parts.producer).store(self.written, Ordering::Release);
        true
    }

    /// Whether the kernel wants to be called for what was published.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        let Some(flags) = self.shared.parts.flags else {
            return true;
        };
        // The index that was just stored must be out before the flag is read: the kernel sets the
        // flag, then looks at the index once more.
        fence(Ordering::SeqCst);
        Shared::<E>::index(flags).load(Ordering::Relaxed) & XDP_RING_NEED_WAKEUP != 0
    }
}

/// A ring that we read: rx, completion.
#[derive(Debug)]
pub(super) struct Consumer<E> {
    shared: Shared<E>,
    /// Entries up to here are read.
    read: u32,
    /// Entries up to here are given back.
    given: u32,
    /// The kernel's index as it was believed last.
    produced: u32,
    /// Times that it was not believed.
    pub(super) bad_index: u64,
}

impl<E: Entry> Consumer<E> {
    /// A ring that nobody has used yet.
    ///
    /// # Safety
    /// As [`Producer::new`].
    pub(super) unsafe fn new(parts: RingParts) -> Self {
        Self {
            shared: Shared {
                parts,
                mask: parts.size - 1,
                entry: PhantomData,
            },
            read: 0,
            given: 0,
            produced: 0,
            bad_index: 0,
        }
    }

    /// Learns how far the kernel has got. Entries to be read.
    #[inline]
    pub(super) fn learn(&mut self) -> u32 {
        // Acquire: pairs with the kernel's release of its index; its entries are seen.
        let produced = Shared::<E>::index(self.shared.parts.producer).load(Ordering::Acquire);
        let full = produced.wrapping_sub(self.given);
        let known = self.produced.wrapping_sub(self.given);
        // It cannot go back, nor more than a ring ahead of what was given back.
        match (known..=self.shared.parts.size).contains(&full) {
            true => self.produced = produced,
            false => self.bad_index += 1,
        }
        self.produced.wrapping_sub(self.read)
    }

    /// The next entry, as far as was learnt.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<E> {
        if self.read == self.produced {
            return None;
        }
        let entry = self.shared.read(self.read);
        self.read = self.read.wrapping_add(1);
        Some(entry)
    }

    /// Gives the entries that were read back.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if self.read != self.given {
            self.given = self.read;
            // Release: pairs with the kernel's acquire of this index; it writes the entries anew
            // after they were read.
            Shared::<E>::index(self.shared.parts.consumer).store(self.read, Ordering::Release);
        }
    }
}

const XDP_PKT_CONTD: u32 = 1;
const XDP_RING_NEED_WAKEUP: u32 = 1;

#[cfg(test)]
mod tests;
