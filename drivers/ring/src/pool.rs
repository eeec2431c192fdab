//! Where frames come from: a region of memory that the device reaches, cut into equal frames.
//!
//! ```text
//!   memory   │ frame 0 │ frame 1 │ frame 2 │ ...        frame_size bytes each
//!   metas    │ next, window, tag, holders, lent │ ...   ours alone, the device never sees it
//! ```
//!
//! Each frame is in one of four states, and `metas` is the only authority on which:
//!
//! | state | holders | lent | who may touch the bytes |
//! |---|---|---|---|
//! | foreign | `FOREIGN` | 0 | someone else: not (yet) given to this pool |
//! | home | 0 | 0 | nobody: on the free list |
//! | held | n ≥ 1 | 0 | its owner; all may read, none write, if n > 1 |
//! | lent | n ≥ 1 | 1..=n | the device, too: we do not write |
//!
//! A driver lends a frame by index and asks for it back by index. An index that the device made up
//! fails the check, so no lie of the device's can give a frame two owners.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::Frame;

/// Bytes in a [`FrameMemory`]: an Ethernet frame of 1514 bytes with room in front for headers,
/// and netmap's default buffer size.
pub const FRAME_SIZE: usize = 2048;

/// Memory for one frame.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct FrameMemory(pub [u8; FRAME_SIZE]);

impl FrameMemory {
    /// Zeroed memory.
    pub const ZERO: Self = Self([0; FRAME_SIZE]);
}

/// Names a frame within its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameIdx(pub u32);

/// What the pool knows of one frame. The embedder provides one for each frame.
#[derive(Debug)]
pub struct FrameMeta {
    /// Next on the free list or in a queue; `NONE` at the end.
    pub(crate) next: Cell<u32>,
    /// A number for whoever queues the frame: a sequence number, a stream offset.
    pub(crate) tag: Cell<u32>,
    /// How many frames there are in the queue that this is the last of.
    pub(crate) queued: Cell<u32>,
    /// One more than the bytes in the queue that this is the last of, while it is parked; else 0.
    pub(crate) parked: Cell<u32>,
    /// The window, while the frame is in a queue.
    pub(crate) start: Cell<u16>,
    pub(crate) len: Cell<u16>,
    /// Owners, or `FOREIGN`.
    pub(crate) holders: Cell<u16>,
    /// How many of the holders are the device.
    pub(crate) lent: Cell<u16>,
}

impl FrameMeta {
    /// For a table that a pool is made over.
    pub const fn new() -> Self {
        Self {
            next: Cell::new(NONE),
            tag: Cell::new(0),
            queued: Cell::new(0),
            parked: Cell::new(0),
            start: Cell::new(0),
            len: Cell::new(0),
            holders: Cell::new(FOREIGN),
            lent: Cell::new(0),
        }
    }
}

impl Default for FrameMeta {
    fn default() -> Self {
        Self::new()
    }
}

/// A pool of frames. It belongs to one core: it is neither `Send` while frames are out nor `Sync`.
pub struct FramePool<'m> {
    base: NonNull<u8>,
    frame_size: u16,
    metas: &'m [FrameMeta],
    free_first: Cell<u32>,
    free_cnt: Cell<u32>,
    free_low: Cell<u32>,
    owned_cnt: Cell<u32>,
    memory: PhantomData<&'m mut [FrameMemory]>,
}

impl<'m> FramePool<'m> {
    /// A pool that owns all of `memory`, with every frame home.
    ///
    /// Uses as many frames as both slices have, `u32::MAX - 1` at most.
    pub fn new(memory: &'m mut [FrameMemory], metas: &'m mut [FrameMeta]) -> Self {
        let frames = memory.len().min(metas.len()).min((NONE - 1) as usize);
        let metas = &mut metas[..frames];
        let base = NonNull::from(memory).cast::<u8>();
        // SAFETY: `memory` is exclusively ours for 'm and holds at least `metas.len()` frames of
        // FRAME_SIZE bytes, one behind the other (repr(C), size a multiple of the alignment).
        let pool = unsafe { Self::from_raw(base, FRAME_SIZE as u16, metas) };
        for idx in (0..frames as u32).rev() {
            pool.adopt(FrameIdx(idx));
        }
        pool.free_low.set(pool.free_cnt.get());
        pool
    }

    /// A pool over a region whose frames may belong to someone else (a netmap region). All frames
    /// are foreign until [`adopt`](Self::adopt) or [`adopt_lent`](Self::adopt_lent).
    ///
    /// # Safety
    /// `base` points to `metas.len()` frames of `frame_size` bytes, valid for reads and writes for
    /// `'m`; while a frame is adopted and not lent, nothing but this pool accesses its bytes.
    pub unsafe fn from_raw(base: NonNull<u8>, frame_size: u16, metas: &'m mut [FrameMeta]) -> Self {
        for meta in metas.iter_mut() {
            *meta = FrameMeta::new();
        }
        Self {
            base,
            frame_size,
            metas,
            free_first: Cell::new(NONE),
            free_cnt: Cell::new(0),
            free_low: Cell::new(u32::MAX),
            owned_cnt: Cell::new(0),
            memory: PhantomData,
        }
    }

    /// Takes a foreign frame into the pool, at home; false when there is none of that index.
    #[inline]
    pub fn adopt(&self, idx: FrameIdx) -> bool {
        let Some(meta) = self.foreign(idx) else {
            return false;
        };
        meta.holders.set(0);
        self.owned_cnt.set(self.owned_cnt.get() + 1);
        self.free(idx.0, meta);
        true
    }

    /// Takes a foreign frame into the pool that lies in one of the device's slots now; false when
    /// there is none of that index.
    #[inline]
    pub fn adopt_lent(&self, idx: FrameIdx) -> bool {
        let Some(meta) = self.foreign(idx) else {
            return false;
        };
        meta.holders.set(1);
        meta.lent.set(1);
        self.owned_cnt.set(self.owned_cnt.get() + 1);
        true
    }

    /// Takes a foreign frame into the pool that comes filled, with the window
    /// `[start, start + len)` that the other side wrote: [`adopt_lent`](Self::adopt_lent) and
    /// [`take_back`](Self::take_back) in one. `None` when there is none of that index, or the
    /// window does not fit: then nothing changes.
    #[inline]
    pub fn adopt_filled(&'m self, idx: FrameIdx, start: usize, len: usize) -> Option<Frame<'m>> {
        let meta = self.foreign(idx)?;
        let end = start.checked_add(len)?;
        if end > usize::from(self.frame_size) {
            return None;
        }
        meta.holders.set(1);
        self.owned_cnt.set(self.owned_cnt.get() + 1);
        // No more than a frame has, so both fit.
        let (start, len) = (start as u16, len as u16);
        Some(Frame {
            pool: self,
            idx: idx.0,
            start,
            len,
        })
    }

    /// Gives up a frame that nobody else holds, for the other side to keep: it is foreign again.
    /// Its name.
    #[inline]
    pub(crate) fn forsake(&self, idx: u32) -> FrameIdx {
        self.meta(idx).holders.set(FOREIGN);
        self.owned_cnt.set(self.owned_cnt.get() - 1);
        FrameIdx(idx)
    }

    /// Sets a foreign frame aside for good: its memory is used for something else, and no far side
    /// can make the pool adopt it. False when there is none of that index.
    pub fn reserve(&self, idx: FrameIdx) -> bool {
        let Some(meta) = self.foreign(idx) else {
            return false;
        };
        // Held and never lent: nothing takes it back or gives it up.
        meta.holders.set(1);
        true
    }

    /// Gives up a frame that is lent and that nobody else holds: the other side keeps it (a netmap
    /// pipe does), and it is foreign again. False when it is not so: then nothing changes.
    #[inline]
    pub fn forsake_lent(&self, idx: FrameIdx) -> bool {
        let Some(meta) = self.metas.get(idx.0 as usize) else {
            return false;
        };
        if meta.lent.get() != 1 || meta.holders.get() != 1 {
            return false;
        }
        meta.lent.set(0);
        meta.holders.set(FOREIGN);
        self.owned_cnt.set(self.owned_cnt.get() - 1);
        true
    }

    #[inline]
    fn foreign(&self, idx: FrameIdx) -> Option<&FrameMeta> {
        self.metas
            .get(idx.0 as usize)
            .filter(|meta| meta.holders.get() == FOREIGN)
    }

    /// Takes a frame out, empty, with `headroom` bytes in front; `None` when all are out or the
    /// headroom is larger than a frame.
    #[inline]
    pub fn alloc(&'m self, headroom: usize) -> Option<Frame<'m>> {
        self.alloc_window(headroom, 0)
    }

    /// Takes a frame out, with `headroom` bytes in front of a window of `len` bytes, in which is
    /// whatever was there; `None` when all are out or a frame is smaller.
    #[inline]
    pub fn alloc_window(&'m self, headroom: usize, len: usize) -> Option<Frame<'m>> {
        let end = headroom.checked_add(len)?;
        if end > usize::from(self.frame_size) {
            return None;
        }
        // No more than a frame has, so both fit.
        self.take_out(headroom as u16, len as u16)
    }

    /// Takes a frame out, with a window that fits.
    #[inline(always)]
    pub(crate) fn take_out(&'m self, start: u16, len: u16) -> Option<Frame<'m>> {
        let idx = self.free_first.get();
        let meta = self.metas.get(idx as usize)?;
        self.free_first.set(meta.next.get());
        let free = self.free_cnt.get() - 1;
        self.free_cnt.set(free);
        if free < self.free_low.get() {
            self.free_low.set(free);
        }
        meta.holders.set(1);
        Some(Frame {
            pool: self,
            idx,
            start,
            len,
        })
    }

    /// Takes a frame back from the device, with the window `[start, start + len)` that it wrote.
    /// `None` when no such frame is lent, when someone else holds it too, or when the window does
    /// not fit: then nothing changes and the frame stays lent.
    #[inline]
    pub fn take_back(&'m self, idx: FrameIdx, start: usize, len: usize) -> Option<Frame<'m>> {
        let meta = self.metas.get(idx.0 as usize)?;
        if meta.lent.get() != 1 || meta.holders.get() != 1 {
            return None;
        }
        let end = start.checked_add(len)?;
        if end > usize::from(self.frame_size) {
            return None;
        }
        meta.lent.set(0);
        Some(Frame {
            pool: self,
            idx: idx.0,
            start: start as u16,
            len: len as u16,
        })
    }

    /// Has the processor fetch the headers of a packet that lies in frame `idx` from `start` on, to
    /// be read soon: what a device wrote is in no cache of ours. Nothing is read, so that the index
    /// need not be believed.
    #[inline]
    pub fn prefetch(&self, idx: FrameIdx, start: usize) {
        let at = (idx.0 as usize).wrapping_mul(self.frame_size.into());
        let first = self.base.as_ptr().wrapping_add(at.wrapping_add(start));
        prefetch_line(first);
        // Ethernet, IPv4, TCP and its options with a device's own header in front: 78 bytes.
        prefetch_line(first.wrapping_add(LINE_LEN));
    }

    /// Ends one loan: the device has sent the frame. It goes home unless someone holds it still.
    /// False when no such frame is lent: then nothing changes.
    #[inline]
    pub fn give_back(&self, idx: FrameIdx) -> bool {
        let Some(meta) = self.metas.get(idx.0 as usize) else {
            return false;
        };
        if meta.lent.get() == 0 {
            return false;
        }
        meta.lent.set(meta.lent.get() - 1);
        self.release(idx.0);
        true
    }

    /// Frames that are home.
    #[inline]
    pub fn free_cnt(&self) -> u32 {
        self.free_cnt.get()
    }

    /// The fewest frames that have ever been home at once.
    pub fn free_low(&self) -> u32 {
        self.free_low.get().min(self.free_cnt.get())
    }

    /// Frames that belong to the pool, wherever they are.
    #[inline]
    pub fn owned_cnt(&self) -> u32 {
        self.owned_cnt.get()
    }

    /// Frames that the device has now, or that it may still read. Looks at each: not for a packet's
    /// way.
    pub fn lent_cnt(&self) -> u32 {
        let lent = self.metas.iter().filter(|meta| meta.lent.get() > 0);
        // As many as indices are 32 bits wide.
        lent.count() as u32
    }

    /// Whether every frame is home: the end of a test, and of an idle server but for the rings.
    pub fn all_home(&self) -> bool {
        self.free_cnt.get() == self.owned_cnt.get()
    }

    /// Bytes in each frame.
    #[inline]
    pub fn frame_size(&self) -> usize {
        usize::from(self.frame_size)
    }

    /// The first byte of frame 0: what a driver translates to the device's addresses.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length of the whole region in bytes.
    pub fn region_len(&self) -> usize {
        self.metas.len() * self.frame_size()
    }

    /// The bookkeeping of a frame that someone holds.
    #[inline]
    pub(crate) fn meta(&self, idx: u32) -> &FrameMeta {
        // An index in a Frame, a SharedFrame or a queue was checked when it was made.
        &self.metas[idx as usize]
    }

    /// A reference for one more holder, or `None` past 65,534 of them.
    #[inline]
    pub(crate) fn hold(&self, idx: u32) -> Option<()> {
        let meta = self.meta(idx);
        let holders = meta.holders.get() + 1;
        if holders == FOREIGN {
            return None;
        }
        meta.holders.set(holders);
        Some(())
    }

    /// One holder less; the last one sends the frame home.
    #[inline]
    pub(crate) fn release(&self, idx: u32) {
        let meta = self.meta(idx);
        let holders = meta.holders.get() - 1;
        meta.holders.set(holders);
        if holders == 0 {
            self.free(idx, meta);
        }
    }

    /// Marks one holder as the device.
    #[inline]
    pub(crate) fn lend(&self, idx: u32) -> FrameIdx {
        let meta = self.meta(idx);
        meta.lent.set(meta.lent.get() + 1);
        FrameIdx(idx)
    }

    #[inline]
    fn free(&self, idx: u32, meta: &FrameMeta) {
        meta.next.set(self.free_first.get());
        self.free_first.set(idx);
        self.free_cnt.set(self.free_cnt.get() + 1);
    }

    /// The address of byte `start` of a frame, `start <= frame_size`.
    #[inline]
    pub(crate) fn byte(&self, idx: u32, start: u16) -> NonNull<u8> {
        debug_assert!((idx as usize) < self.metas.len() && start <= self.frame_size);
        let offset = idx as usize * self.frame_size() + usize::from(start);
        // SAFETY: idx < metas.len() and start <= frame_size, kept by all makers of frames, so the
        // address is within the region or one past it (see `from_raw`).
        unsafe { self.base.add(offset) }
    }
}

/// Has the processor fetch the cache line at `at`, which need not be valid.
#[inline(always)]
fn prefetch_line(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE, and a prefetch reads nothing: it never faults.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

impl core::fmt::Debug for FramePool<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "FramePool {{ home: {} of {} }}",
            self.free_cnt(),
            self.owned_cnt()
        )
    }
}

/// Bytes of a cache line.
const LINE_LEN: usize = 64;

/// The end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// The holder count of a frame that is not this pool's.
const FOREIGN: u16 = u16::MAX;

#[cfg(test)]
mod tests;
