//! A queue of frames that costs no memory of its own: the links are in the pool.
//!
//! Received data that the application has not taken, segments that came out of order, the tail of
//! a large receive: all are this. Each frame has a `tag`, for instance its sequence number, and a
//! name by which the next one can be put behind it.

use core::mem::ManuallyDrop;

use crate::pool::NONE;
use crate::{Frame, FrameIdx, FramePool, NoRoom};

/// A first-in, first-out queue of frames of one pool.
pub struct FrameQueue<'p> {
    pool: &'p FramePool<'p>,
    first: u32,
    last: u32,
    frames: u32,
    byte_len: u32,
}

impl<'p> FrameQueue<'p> {
    /// An empty queue.
    #[inline]
    pub fn new(pool: &'p FramePool<'p>) -> Self {
        Self {
            pool,
            first: NONE,
            last: NONE,
            frames: 0,
            byte_len: 0,
        }
    }

    /// Whether there is no frame.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.frames as usize
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
    pub fn push_back(&mut self, frame: Frame<'p>, tag: u32) {
        let idx = self.store(frame, tag, NONE);
        if self.last == NONE {
            self.first = idx;
        } else {
            self.pool.meta(self.last).next.set(idx);
        }
        self.last = idx;
    }

    /// Puts a frame behind the one that `previous` names, or at the front; returns its name. Names
    /// are for queues in an order that their owner keeps: they cost no search.
    ///
    /// # Panics
    /// As [`push_back`](Self::push_back). A `previous` that is not in this queue is a mix-up of
    /// ours, too: frames would be lost.
    pub fn insert_after(
        &mut self,
        previous: Option<FrameIdx>,
        frame: Frame<'p>,
        tag: u32,
    ) -> FrameIdx {
        let next = match previous {
            Some(previous) => self.pool.meta(previous.0).next.get(),
            None => self.first,
        };
        let idx = self.store(frame, tag, next);
        match previous {
            Some(previous) => self.pool.meta(previous.0).next.set(idx),
            None => self.first = idx,
        }
        if next == NONE {
            self.last = idx;
        }
        FrameIdx(idx)
    }

    /// Takes the first frame out.
    pub fn pop_front(&mut self) -> Option<Frame<'p>> {
        if self.first == NONE {
            return None;
        }
        let idx = self.first;
        let meta = self.pool.meta(idx);
        self.first = meta.next.get();
        if self.first == NONE {
            self.last = NONE;
        }
        let (start, len) = (meta.start.get(), meta.len.get());
        self.frames -= 1;
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
        if self.first == NONE {
            return None;
        }
        let meta = self.pool.meta(self.first);
        Some((meta.tag.get(), usize::from(meta.len.get())))
    }

    /// Puts a frame at the front again, for a reader that has taken only a part of it.
    ///
    /// # Panics
    /// As [`push_back`](Self::push_back).
    pub fn push_front(&mut self, frame: Frame<'p>, tag: u32) {
        let idx = self.store(frame, tag, self.first);
        self.first = idx;
        if self.last == NONE {
            self.last = idx;
        }
    }

    /// Copies bytes behind those of the last frame.
    ///
    /// # Errors
    /// `NoRoom` when there is no frame, or not enough tailroom in it: then nothing changes.
    pub fn append_to_last(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if self.last == NONE {
            return Err(NoRoom);
        }
        self.append_to(FrameIdx(self.last), bytes)
    }

    /// Copies bytes behind those of a frame in this queue.
    ///
    /// # Errors
    /// `NoRoom` when there is not enough tailroom in it: then nothing changes.
    pub fn append_to(&mut self, frame: FrameIdx, bytes: &[u8]) -> Result<(), NoRoom> {
        let (pool, idx) = (self.pool, frame.0);
        let meta = pool.meta(idx);
        // The queue owns the frame: this one never drops, it only writes.
        let (start, len) = (meta.start.get(), meta.len.get());
        let mut last = ManuallyDrop::new(Frame {
            pool,
            idx,
            start,
            len,
        });
        last.append(bytes)?;
        meta.len.set(last.len);
        self.byte_len += u32::from(last.len - len);
        Ok(())
    }

    /// Tags and lengths in bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let mut next = self.first;
        core::iter::from_fn(move || {
            if next == NONE {
                return None;
            }
            let meta = self.pool.meta(next);
            next = meta.next.get();
            Some((meta.tag.get(), usize::from(meta.len.get())))
        })
    }

    /// Shows the bytes of each frame, in order.
    pub fn for_each(&self, mut show: impl FnMut(&[u8])) {
        let (pool, mut idx) = (self.pool, self.first);
        while idx != NONE {
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
            idx = meta.next.get();
        }
    }

    /// Sends all frames home.
    pub fn clear(&mut self) {
        while self.pop_front().is_some() {}
    }

    /// Moves a frame's ownership and window into the pool's table.
    fn store(&mut self, frame: Frame<'p>, tag: u32, next: u32) -> u32 {
        assert!(
            core::ptr::eq(frame.pool, self.pool),
            "a queue holds frames of one pool"
        );
        let (pool, idx, start, len) = frame.into_raw();
        let meta = pool.meta(idx);
        meta.next.set(next);
        meta.tag.set(tag);
        meta.start.set(start);
        meta.len.set(len);
        self.frames += 1;
        self.byte_len += u32::from(len);
        idx
    }
}

impl Drop for FrameQueue<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl core::fmt::Debug for FrameQueue<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
