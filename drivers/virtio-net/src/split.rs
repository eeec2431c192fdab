//! A split virtqueue (virtio 1.2 2.7): memory only, no device access.
//!
//! ```text
//!   add ──► desc chain, avail entry        reap ◄── used entry, checked against the shadow
//!             │                                       ▲
//!   publish   ▼ avail.idx, once a burst     learn     │ used.idx, once a burst
//!        ─────┴──────────────── device ───────────────┘
//! ```
//!
//! What a descriptor holds and which are free is in the [`Shadow`], which the device never sees:
//! nothing is read back from the shared tables but used entries, and these are believed only as far
//! as the shadow confirms them. The first lie breaks the queue for good ([`Violation`]): it does
//! nothing more until [`SplitQueue::reset`], which its owner calls once the device has stopped.
//!
//! Indices (`avail_idx`, `last_used_idx`) are free-running `u16`s, masked only when indexing.

mod memory;
mod violation;

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use memory::{Desc, RingMemory};
use simoom_ring::FrameIdx;
pub use violation::Violation;

/// What we know of one descriptor. The embedder provides one for each.
#[derive(Clone, Copy, Debug)]
pub struct Shadow {
    /// One more than the index of the frame that is lent with this piece; content has none: 0.
    frame: u32,
    /// In a head: bytes that the device may write into the chain.
    writable_len: u32,
    /// In a head: where in the available ring it was put.
    avail_idx: u16,
    /// The next piece, or the next free descriptor.
    next: u16,
    /// Pieces in the chain that begins here; 0 in a free descriptor, `BODY` further down a chain.
    chain_cnt: u16,
}

impl Shadow {
    /// For a table that a queue is made over. All zero bits, so that it costs no image space.
    pub const EMPTY: Self = Self {
        frame: 0,
        writable_len: 0,
        avail_idx: 0,
        next: 0,
        chain_cnt: 0,
    };

    #[inline]
    fn lend(&mut self, frame: Option<FrameIdx>) {
        // A pool has fewer frames than 32 bits can count.
        self.frame = frame.map_or(0, |idx| idx.0.wrapping_add(1));
    }

    #[inline]
    fn take(&mut self) -> Option<FrameIdx> {
        let frame = core::mem::take(&mut self.frame);
        (frame != 0).then(|| FrameIdx(frame.wrapping_sub(1)))
    }
}

/// A place is found by a shift.
const _: () = assert!(size_of::<Shadow>() == 16);

/// One piece of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Where it is, as the device sees it.
    pub addr: u64,
    /// Its length in bytes, never 0: devices take a zero-sized buffer for an error.
    pub len: u32,
    /// Whether the device writes to it.
    pub is_writable: bool,
    /// The frame that comes back when the chain is reaped.
    pub frame: Option<FrameIdx>,
}

impl Piece {
    /// To fill an array with before its pieces are known.
    pub const NONE: Self = Self {
        addr: 0,
        len: 0,
        is_writable: false,
        frame: None,
    };
}

/// There are not enough free descriptors, or the queue is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where the areas of a queue lie, in bytes from the start of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Driver area (available ring).
    pub avail_at: usize,
    /// Device area (used ring).
    pub used_at: usize,
}

/// A split virtqueue of up to 32,768 descriptors.
pub struct SplitQueue<'m> {
    memory: RingMemory,
    shadow: &'m mut [Shadow],
    has_event_idx: bool,
    violation: Option<Violation>,
    free_first: u16,
    free_cnt: u16,
    /// Next position of the available ring.
    avail_idx: u16,
    /// avail.idx as the device sees it.
    published_idx: u16,
    /// Next position of the used ring.
    last_used_idx: u16,
    /// used.idx when it was last read and found plausible.
    used_idx: u16,
    /// used_event as the device sees it.
    used_event: u16,
}

impl<'m> SplitQueue<'m> {
    /// Bytes of shared memory that a queue of `size` descriptors needs.
    pub const fn byte_len(size: u16) -> usize {
        RingMemory::byte_len(size)
    }

    /// A queue of as many descriptors as `shadow` has, with interrupts suppressed; `None` unless
    /// that is a power of two up to 32,768.
    ///
    /// # Safety
    /// `base` is 4096-aligned and points to `byte_len(shadow.len())` bytes, valid for reads and
    /// writes for as long as the queue lives, and accessed by it and the device only.
    pub unsafe fn new(
        base: NonNull<u8>,
        shadow: &'m mut [Shadow],
        has_event_idx: bool,
    ) -> Option<Self> {
        let size = u16::try_from(shadow.len()).ok()?;
        // SAFETY: passed on to the caller.
        let memory = unsafe { RingMemory::new(base, size) }?;
        let mut queue = Self {
            memory,
            shadow,
            has_event_idx,
            violation: None,
            free_first: 0,
            free_cnt: size,
            avail_idx: 0,
            published_idx: 0,
            last_used_idx: 0,
            used_idx: 0,
            used_event: 0,
        };
        queue.reset(|_| ());
        Some(queue)
    }

    /// Back to the state of a new queue; the frames of all chains go to `home`. Only for a queue
    /// whose device has been reset: it must not touch the memory any more.
    pub fn reset(&mut self, mut home: impl FnMut(FrameIdx)) {
        let size = self.memory.size();
        for (shadow, next) in self.shadow.iter_mut().zip(1..=size) {
            if let Some(frame) = shadow.take() {
                home(frame);
            }
            *shadow = Shadow {
                next,
                ..Shadow::EMPTY
            };
        }
        self.memory.clear();
        self.violation = None;
        (self.free_first, self.free_cnt) = (0, size);
        (self.avail_idx, self.published_idx) = (0, 0);
        (self.last_used_idx, self.used_idx) = (0, 0);
        self.park();
    }

    /// Number of descriptors.
    pub fn size(&self) -> u16 {
        self.memory.size()
    }

    /// Where the device finds the areas.
    pub fn areas(&self) -> Areas {
        Areas {
            avail_at: self.memory.avail_at(),
            used_at: self.memory.used_at(),
        }
    }

    /// Descriptors that are free; none in a broken queue.
    #[inline]
    pub fn free_cnt(&self) -> u16 {
        if self.violation.is_some() {
            return 0;
        }
        self.free_cnt
    }

    /// Chains that the device has and that have not been reaped.
    #[inline]
    pub fn outstanding_cnt(&self) -> u16 {
        self.published_idx.wrapping_sub(self.last_used_idx)
    }

    /// Chains that have been learned of and not been reaped yet.
    #[inline]
    pub fn ready_cnt(&self) -> u16 {
        self.used_idx.wrapping_sub(self.last_used_idx)
    }

    /// What broke the queue, if it is.
    #[inline]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Puts one chain on the available ring; the device sees it at the next
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// `Full` when there are fewer free descriptors than pieces: then nothing changes. A chain of
    /// no pieces is `Full`, too.
    #[inline]
    pub fn add(&mut self, pieces: &[Piece]) -> Result<(), Full> {
        let mut pieces_left = pieces.iter().copied();
        self.add_chain(pieces.len(), || pieces_left.next().unwrap_or(Piece::NONE))
    }

    /// As [`add`](Self::add), a chain of `chain_cnt` pieces that are made one by one, once it is
    /// certain that there is room.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    #[inline]
    pub fn add_chain(
        &mut self,
        chain_cnt: usize,
        mut piece: impl FnMut() -> Piece,
    ) -> Result<(), Full> {
        if chain_cnt == 0 || chain_cnt > usize::from(self.free_cnt()) {
            return Err(Full);
        }
        // At most the free descriptors, of which there are at most 32,768.
        let chain_cnt = chain_cnt as u16;
        let head = self.free_first;
        let mut writable_len = 0u32;
        let mut id = head;
        let mut left = chain_cnt;
        loop {
            let piece = piece();
            let shadow = &mut self.shadow[usize::from(id)];
            let next = shadow.next;
            shadow.lend(piece.frame);
            shadow.chain_cnt = BODY;
            left -= 1;
            let mut desc = Desc {
                addr: piece.addr,
                len: piece.len,
                flags: 0,
                next: 0,
            };
            if piece.is_writable {
                desc.flags = Desc::WRITE;
                writable_len = writable_len.saturating_add(piece.len);
            }
            if left > 0 {
                desc.flags |= Desc::NEXT;
                desc.next = next;
            }
            self.memory.write_desc(id, desc);
            id = next;
            if left == 0 {
                break;
            }
        }
        let shadow = &mut self.shadow[usize::from(head)];
        shadow.chain_cnt = chain_cnt;
        shadow.writable_len = writable_len;
        shadow.avail_idx = self.avail_idx;
        self.free_first = id;
        self.free_cnt -= chain_cnt;
        self.memory.write_avail(self.avail_idx, head);
        self.avail_idx = self.avail_idx.wrapping_add(1);
        Ok(())
    }

    /// Shows the device all chains added since the last time; whether it wants a kick.
    #[inline]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published_idx, self.avail_idx);
        if old == new || self.violation.is_some() {
            return false;
        }
        self.memory.store_avail_idx(new);
        self.published_idx = new;
        // Full fence: pairs with the device's between its store of avail_event (or the flag) and
        // its last look at avail.idx. One of the two sees the other's store: no kick is lost.
        fence(Ordering::SeqCst);
        if self.has_event_idx {
            wants_event(self.memory.load_avail_event(), old, new)
        } else {
            !self.memory.load_no_notify()
        }
    }

    /// Reads how far the device has got; how many chains can be reaped.
    ///
    /// # Errors
    /// The violation that has broken the queue, now or before.
    #[inline]
    pub fn learn(&mut self) -> Result<u16, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        let used_idx = self.memory.load_used_idx();
        let used_cnt = used_idx.wrapping_sub(self.last_used_idx);
        if used_cnt > self.outstanding_cnt() || used_cnt < self.ready_cnt() {
            return Err(self.break_off(Violation::UsedIdx));
        }
        self.used_idx = used_idx;
        Ok(used_cnt)
    }

    /// Takes the next chain that [`learn`](Self::learn) has found: its frames go to `home`, the
    /// answer is the number of bytes written by the device (not to be believed for a chain that it
    /// cannot write to: legacy devices put anything there). `None` when there is none left.
    ///
    /// # Errors
    /// The violation that has broken the queue, now or before. The frames stay lent.
    #[inline]
    pub fn reap(&mut self, home: impl FnMut(FrameIdx)) -> Result<Option<u32>, Violation> {
        if self.last_used_idx == self.used_idx {
            // As it is in a broken queue.
            return self.violation.map_or(Ok(None), Err);
        }
        let (id, written_len) = self.memory.read_used(self.last_used_idx);
        match self.check_used(id, written_len) {
            Ok(head) => self.free_chain(head, home),
            Err(violation) => return Err(self.break_off(violation)),
        }
        self.last_used_idx = self.last_used_idx.wrapping_add(1);
        Ok(Some(written_len))
    }

    /// The frame of the chain that [`reap`](Self::reap) takes next, as far as can be told without
    /// checking what the device says: to prefetch.
    #[inline]
    pub fn next_frame(&self) -> Option<FrameIdx> {
        if self.last_used_idx == self.used_idx {
            return None;
        }
        let (id, _) = self.memory.read_used(self.last_used_idx);
        let shadow = self.shadow.get(id as usize)?;
        shadow.frame.checked_sub(1).map(FrameIdx)
    }

    /// Asks for no interrupts, while polling. Only a hint to the device.
    #[inline]
    pub fn park(&mut self) {
        if self.has_event_idx {
            // As far from being passed as can be.
            self.used_event = self.last_used_idx.wrapping_sub(1);
            self.memory.store_used_event(self.used_event);
        } else {
            self.memory.store_no_interrupt(true);
        }
    }

    /// Parks again before used.idx comes round to the parked event. Cheap: once a burst.
    #[inline]
    pub fn keep_parked(&mut self) {
        if self.has_event_idx && self.last_used_idx.wrapping_sub(self.used_event) > u16::MAX / 4 {
            self.park();
        }
    }

    /// Asks for an interrupt for the next used chain; whether one is there already, which the
    /// interrupt may then have missed.
    #[inline]
    pub fn arm(&mut self) -> bool {
        if self.has_event_idx {
            self.used_event = self.last_used_idx;
            self.memory.store_used_event(self.used_event);
        } else {
            self.memory.store_no_interrupt(false);
        }
        // Full fence: pairs with the device's between its store of used.idx and its look at
        // used_event (or the flag). Either it sees the request, or we see the chain.
        fence(Ordering::SeqCst);
        self.memory.load_used_idx() != self.last_used_idx
    }

    /// Whether a used entry is what it says: the head of a published chain, with room for so much.
    #[inline]
    fn check_used(&self, id: u32, written_len: u32) -> Result<u16, Violation> {
        let Ok(head) = u16::try_from(id) else {
            return Err(Violation::IdRange);
        };
        let Some(shadow) = self.shadow.get(usize::from(head)) else {
            return Err(Violation::IdRange);
        };
        if shadow.chain_cnt == 0 || shadow.chain_cnt == BODY {
            return Err(Violation::IdNotHead);
        }
        let unpublished_cnt = self.avail_idx.wrapping_sub(self.published_idx);
        if shadow.avail_idx.wrapping_sub(self.published_idx) < unpublished_cnt {
            return Err(Violation::IdNotHead);
        }
        if shadow.writable_len > 0 && written_len > shadow.writable_len {
            return Err(Violation::LenOver);
        }
        Ok(head)
    }

    /// Returns the descriptors of a chain to the free list.
    #[inline]
    fn free_chain(&mut self, head: u16, mut home: impl FnMut(FrameIdx)) {
        let mut shadow = &mut self.shadow[usize::from(head)];
        let chain_cnt = shadow.chain_cnt;
        // Of a chain that `add_chain` has made, so that it has an end.
        let mut left = chain_cnt;
        loop {
            if let Some(frame) = shadow.take() {
                home(frame);
            }
            shadow.chain_cnt = 0;
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
            shadow = &mut self.shadow[usize::from(shadow.next)];
        }
        shadow.next = self.free_first;
        self.free_first = head;
        self.free_cnt += chain_cnt;
    }

    /// Stops the queue for good: the device has broken a rule.
    #[cold]
    pub(crate) fn break_off(&mut self, violation: Violation) -> Violation {
        self.violation = Some(violation);
        // Nothing that was learned of is to be believed.
        self.used_idx = self.last_used_idx;
        violation
    }
}

impl core::fmt::Debug for SplitQueue<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SplitQueue")
            .field("size", &self.size())
            .field("free_cnt", &self.free_cnt)
            .field("avail_idx", &self.avail_idx)
            .field("published_idx", &self.published_idx)
            .field("last_used_idx", &self.last_used_idx)
            .field("used_idx", &self.used_idx)
            .field("violation", &self.violation)
            .finish_non_exhaustive()
    }
}

/// Whether an index that went from `old` to `new` has passed `event` (virtio 1.2 2.7.10.1).
///
/// `old` is the index at the last time that this was asked, not at the last kick: a device that
/// polls wants no kick for more than 65,536 chains, and a distance to the last kick would wrap.
#[inline]
fn wants_event(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// `chain_cnt` of a descriptor that is not the first of its chain.
const BODY: u16 = u16::MAX;

#[cfg(test)]
mod tests;
