//! A queue of frames that costs no memory of its own: the links are in the pool.
//!
//! Received data that the application has not taken, segments that came out of order, the tail of
//! a large receive: all are this. Each frame has a `tag`, for instance its sequence number.

use core::mem::ManuallyDrop;

use crate::pool::NONE;
use crate::{Frame, FramePool, NoRoom};

/// A first-in, first-out queue of frames of one pool.
///
/// The links are a circle, so that a queue is as small as this; the last frame knows how many there
/// are.
pub struct FrameQueue<'p> {
    pool: &'p FramePool<'p>,
    last: u32,
    byte_len: u32,
}

impl<'p> FrameQueue<'p> {
    /// An empty queue.
    #[inline]
    pub fn new(pool: &'p FramePool<'p>) -> Self {
        Self {
            pool,
            last: NONE,
            byte_len: 0,
        }
    }

    /// Whether there is no frame.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.last == NONE
    }

    /// How many frames there are.
    #[inline]
    pub fn frames(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.pool.meta(self.last).queued.get() as usize
    }

    /// Bytes in all windows together.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.byte_len as usize
    }

    /// Puts a frame at the end.
    ///
    /// # Panics
    /// When the frame is of another pool: a mix-up of ours.
    #[inline]
    pub fn push_back(&mut self, frame: Frame<'p>, tag: u32) {
        self.insert(frame, tag, true);
    }

    /// Puts all frames of another queue at the end, at once.
    ///
    /// # Panics
    /// As [`push_back`](Self::push_back).
    pub fn append(&mut self, other: Self) {
        assert_one_pool(self.pool, other.pool);
        let frames = (self.frames() + other.frames()) as u32;
        // Its frames are not its own any more.
        let mut other = ManuallyDrop::new(other);
        if self.is_empty() {
            core::mem::swap(self, &mut other);
        } else if !other.is_empty() {
            let (last, other_last) = (self.pool.meta(self.last), self.pool.meta(other.last));
            let first = last.next.replace(other_last.next.get());
            other_last.next.set(first);
            other_last.queued.set(frames);
            self.last = other.last;
            self.byte_len += other.byte_len;
        }
    }

    /// Takes the first frame out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Frame<'p>> {
        if self.is_empty() {
            return None;
        }
        let last = self.pool.meta(self.last);
        let idx = last.next.get();
        let meta = self.pool.meta(idx);
        if idx == self.last {
            self.last = NONE;
        } else {
            last.next.set(meta.next.get());
            last.queued.set(last.queued.get() - 1);
        }
        let (start, len) = (meta.start.get(), meta.len.get());
        self.byte_len -= u32::from(len);
        Some(Frame {
            pool: self.pool,
            idx,
            start,
            len,
        })
    }

    /// The tag and the length in bytes of the first frame.
    pub fn front(&self) -> Option<(u32, usize)> {
        self.iter().next()
    }

    /// Puts a frame at the front again, for a reader that has taken only a part of it.
    ///
    /// # Panics
    /// As [`push_back`](Self::push_back).
    pub fn push_front(&mut self, frame: Frame<'p>, tag: u32) {
        // In a circle, the first is behind the last.
        let is_last = self.is_empty();
        self.insert(frame, tag, is_last);
    }

    /// Copies bytes behind those of the last frame.
    ///
    /// # Errors
    /// `NoRoom` when there is no frame, or not enough tailroom in it: then nothing changes.
    pub fn append_to_last(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if self.is_empty() {
            return Err(NoRoom);
        }
        let (pool, idx) = (self.pool, self.last);
        let meta = pool.meta(idx);
        // The queue owns the frame: this one never drops, it only writes.
        let (start, len) = (meta.start.get(), meta.len.get());
        let mut grown = ManuallyDrop::new(Frame {
            pool,
            idx,
            start,
            len,
        });
        grown.append(bytes)?;
        meta.len.set(grown.len);
        self.byte_len += u32::from(grown.len - len);
        Ok(())
    }

    /// Tags and lengths in bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        self.indices().map(|idx| {
            let meta = self.pool.meta(idx);
            (meta.tag.get(), usize::from(meta.len.get()))
        })
    }

    /// Shows the bytes of each frame, in order.
    pub fn for_each(&self, mut show: impl FnMut(&[u8])) {
        let pool = self.pool;
        for idx in self.indices() {
            let meta = pool.meta(idx);
            // The queue owns the frame: this one never drops, it is only looked at.
            let (start, len) = (meta.start.get(), meta.len.get());
            show(
                ManuallyDrop::new(Frame {
                    pool,
                    idx,
                    start,
                    len,
                })
                .bytes(),
            );
        }
    }

    /// The frames, in order.
    fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.last;
        (0..self.frames()).map(move |_| {
            at = self.pool.meta(at).next.get();
            at
        })
    }

    /// Sends all frames home.
    pub fn clear(&mut self) {
        while self.pop_front().is_some() {}
    }

    /// Moves a frame's ownership and window into the pool's table, and links it behind the last.
    #[inline]
    fn insert(&mut self, frame: Frame<'p>, tag: u32, is_last: bool) {
        assert_one_pool(self.pool, frame.pool);
        let frames = self.frames() as u32 + 1;
        let (pool, idx, start, len) = frame.into_raw();
        let meta = pool.meta(idx);
        if self.is_empty() {
            meta.next.set(idx);
        } else {
            let last = pool.meta(self.last);
            meta.next.set(last.next.replace(idx));
        }
        if is_last {
            self.last = idx;
        }
        pool.meta(self.last).queued.set(frames);
        meta.tag.set(tag);
        meta.start.set(start);
        meta.len.set(len);
        self.byte_len += u32::from(len);
    }
}

/// A queue that was left in its pool, as a number of four bytes: for many that are empty as a rule.
/// It is no owner: what is parked and never taken out again never goes home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked(u32);

impl Parked {
    /// A queue without frames.
    pub const EMPTY: Self = Self(NONE);

    /// Whether there is no frame.
    #[inline]
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }
}

impl<'p> FrameQueue<'p> {
    /// Leaves the queue in its pool, until [`FramePool::unpark`].
    #[inline]
    pub fn park(self) -> Parked {
        // Its frames are the pool's now.
        let queue = ManuallyDrop::new(self);
        if !queue.is_empty() {
            // A queue has fewer bytes than the pool has, so this fits.
            queue.pool.meta(queue.last).parked.set(queue.byte_len + 1);
        }
        Parked(queue.last)
    }
}

impl<'m> FramePool<'m> {
    /// Takes a queue out that was parked here: once, whoever asks first.
    ///
    /// # Panics
    /// When no queue of this name is parked here (any more): a mix-up of ours.
    #[inline]
    pub fn unpark(&'m self, parked: Parked) -> FrameQueue<'m> {
        if parked.is_empty() {
            return FrameQueue::new(self);
        }
        let byte_len = self.parked_len(parked);
        self.meta(parked.0).parked.set(0);
        FrameQueue {
            pool: self,
            last: parked.0,
            // At most what was parked.
            byte_len: byte_len as u32,
        }
    }

    /// Bytes in a queue that is parked here.
    ///
    /// # Panics
    /// As [`unpark`](Self::unpark).
    #[inline]
    pub fn parked_len(&self, parked: Parked) -> usize {
        if parked.is_empty() {
            return 0;
        }
        let len = self.meta(parked.0).parked.get().checked_sub(1);
        len.expect("what is asked for is parked") as usize
    }

    /// Frames in a queue that is parked here.
    ///
    /// # Panics
    /// As [`unpark`](Self::unpark).
    #[inline]
    pub fn parked_frames(&self, parked: Parked) -> usize {
        if parked.is_empty() {
            return 0;
        }
        let meta = self.meta(parked.0);
        assert!(meta.parked.get() > 0, "what is asked for is parked");
        meta.queued.get() as usize
    }
}

#[inline]
fn assert_one_pool(ours: &FramePool<'_>, theirs: &FramePool<'_>) {
    assert!(
        core::ptr::eq(ours, theirs),
        "a queue holds frames of one pool"
    );
}

impl Drop for FrameQueue<'_> {
    #[inline]
    fn drop(&mut self) {
        // Nearly all that are dropped hold nothing.
        if !self.is_empty() {
            self.clear();
        }
    }
}

impl core::fmt::Debug for FrameQueue<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
