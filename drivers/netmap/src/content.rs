//! Content in the region: extra buffers side by side, written once, then only read.
//!
//! ```text
//!   buffers   │ 529 │ 530 │ 531 │ …        no frame is made of them any more
//!   content   │ index.html │ a.png …│      a slice is one slot for each buffer that it touches
//! ```

use core::ptr::NonNull;
use core::slice;

/// Memory for content that slots can refer to.
#[derive(Debug)]
pub struct ContentMemory {
    base: NonNull<u8>,
    len: usize,
    used: usize,
    first_buf: u32,
    buf_size: u16,
}

/// A part of a slice that lies in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) buf_idx: u32,
    pub(crate) offset: u16,
    pub(crate) len: u16,
}

/// Which addresses are content: what a transmit ring needs to know, of another port too, whose
/// region is the same.
#[derive(Clone, Copy, Debug)]
pub struct ContentRange {
    start: usize,
    len: usize,
    first_buf: u32,
    buf_size: u16,
}

impl ContentMemory {
    /// None at all.
    pub const NONE: Self = Self {
        base: NonNull::dangling(),
        len: 0,
        used: 0,
        first_buf: 0,
        buf_size: 1,
    };

    /// Memory of whole buffers from `first_buf` on.
    ///
    /// # Safety
    /// `base` points to `len` bytes that are valid until the program ends, begin with buffer
    /// `first_buf`, and are accessed by this value and by far sides that read, until
    /// [`bufs`](Self::bufs) gives them up.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize, first_buf: u32, buf_size: u16) -> Self {
        Self {
            base,
            len,
            used: 0,
            first_buf,
            buf_size,
        }
    }

    /// Bytes that are free.
    pub fn left(&self) -> usize {
        self.len - self.used
    }

    /// Copies content into the region, once, when it is loaded; `None` when it is full.
    pub fn place(&mut self, content: &[u8]) -> Option<&'static [u8]> {
        if content.len() > self.left() {
            return None;
        }
        // SAFETY: `used` is at most `len`, so this is within the memory or one past it.
        let to = unsafe { self.base.add(self.used) };
        // SAFETY: `to` has room for the content, which lies elsewhere (nobody has a reference to
        // memory that is not placed yet).
        unsafe { to.copy_from_nonoverlapping(NonNull::from(content).cast(), content.len()) };
        self.used += content.len();
        // SAFETY: just written, valid until the program ends, and written to by nobody again: the
        // far side reads what it is sent.
        Some(unsafe { slice::from_raw_parts(to.as_ptr(), content.len()) })
    }

    /// As [`place`](Self::place), with content that `fill` writes to where it is to lie: read from
    /// a file, it is not copied twice.
    ///
    /// # Errors
    /// Those of `fill`: then nothing is placed.
    pub fn place_with<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Option<&'static [u8]>, E> {
        if len > self.left() {
            return Ok(None);
        }
        // SAFETY: `used` is at most `len`, so this is within the memory or one past it.
        let to = unsafe { self.base.add(self.used) };
        // SAFETY: so many bytes are there, initialised (the kernel gives zeroed memory, or someone
        // has written to it), and nobody has a reference to memory that is not placed yet.
        let room = unsafe { slice::from_raw_parts_mut(to.as_ptr(), len) };
        fill(room)?;
        self.used += len;
        // SAFETY: as in `place`; the reference that was written through has ended.
        Ok(Some(unsafe { slice::from_raw_parts(to.as_ptr(), len) }))
    }

    /// The names of all its buffers, which are given up with it. Content in it must not be used
    /// any more by then: that is the end of the port.
    pub(crate) fn bufs(self) -> core::ops::Range<u32> {
        let bufs = self.len / usize::from(self.buf_size);
        // As many as were found by 32-bit names.
        self.first_buf..self.first_buf + bufs as u32
    }

    pub(crate) fn range(&self) -> ContentRange {
        ContentRange {
            start: self.base.as_ptr().addr(),
            len: self.len,
            first_buf: self.first_buf,
            buf_size: self.buf_size,
        }
    }
}

impl ContentRange {
    /// Whether its names are those of the buffers from `base` on.
    pub(crate) fn is_within(&self, base: NonNull<u8>, bufs_cnt: u32) -> bool {
        let at = self.first_buf as usize * usize::from(self.buf_size);
        let bufs = self.len / usize::from(self.buf_size);
        self.len == 0
            || (self.start == base.as_ptr().addr() + at
                && self.first_buf as usize + bufs <= bufs_cnt as usize)
    }

    /// The parts of a slice, a buffer each; `None` when it is not all content.
    #[inline]
    pub(crate) fn pieces(
        &self,
        slice: &[u8],
    ) -> Option<impl ExactSizeIterator<Item = Piece> + use<>> {
        let offset = slice.as_ptr().addr().checked_sub(self.start)?;
        let end = offset.checked_add(slice.len())?;
        if end > self.len {
            return None;
        }
        let (size, first_buf) = (usize::from(self.buf_size), self.first_buf);
        let cnt = match slice.len() {
            0 => 0,
            _ => (end - 1) / size - offset / size + 1,
        };
        let first = offset / size;
        Some((0..cnt).map(move |n| {
            let buf = first + n;
            let from = offset.max(buf * size);
            let to = end.min((buf + 1) * size);
            Piece {
                // Buffers have 32-bit names; offsets and lengths are within a buffer.
                buf_idx: first_buf + buf as u32,
                offset: (from - buf * size) as u16,
                len: (to - from) as u16,
            }
        }))
    }
}

#[cfg(test)]
mod tests;
