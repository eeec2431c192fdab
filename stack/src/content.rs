//! Content to send, and what its bytes sum to.
//!
//! ```text
//!   content     │ block │ block │ block │ block │ ...
//!   prefixes    0       s1      s2      s3      s4       sums of all that lies before
//!   a part            [──────────────)
//!                     a              b      s(b) - s(a), each a prefix and a ragged end
//! ```
//!
//! Content does not change, so its Internet checksums (RFC 1071) are known before anyone asks for
//! it: one folded 16-bit sum of all that lies before each block. The sum of any part is then a
//! difference, at a cost that does not depend on its length. Where segments begin and end is not
//! known before, and need not be: that is the difference between this and segments that are made
//! beforehand, checksums and all.

use crate::wire::checksum::Sum;

/// Bytes of a block: two bytes of table for each. A ragged end is half of it at most.
pub const SUMS_BLOCK: usize = 128;

/// The table of sums of some content.
#[derive(Clone, Copy)]
pub struct Sums {
    content: &'static [u8],
    /// One for each block's beginning, and for the last one's end if it is whole.
    prefixes: &'static [u16],
}

impl Sums {
    /// Entries of the table for `len` bytes of content.
    pub const fn entries(len: usize) -> usize {
        len / SUMS_BLOCK + 1
    }

    /// Sums `content` up, at the speed of memory. `None` when `table` is shorter than
    /// [`entries`](Self::entries) says.
    pub fn of(content: &'static [u8], table: &'static mut [u16]) -> Option<Self> {
        Self::of_blocks(content, table, |blocks, sums| {
            for (sum, block) in sums.iter_mut().zip(blocks) {
                *sum = Sum::of(block).folded();
            }
        })
    }

    /// As [`of`](Self::of), by a function that writes the folded sum of each block, which the
    /// machine may be faster at than what all machines have.
    pub fn of_blocks(
        content: &'static [u8],
        table: &'static mut [u16],
        sums_of: impl FnOnce(&[[u8; SUMS_BLOCK]], &mut [u16]),
    ) -> Option<Self> {
        let table = table.get_mut(..Self::entries(content.len()))?;
        let (first, rest) = table.split_first_mut()?;
        let (blocks, _) = content.as_chunks::<SUMS_BLOCK>();
        sums_of(blocks, rest);
        let mut sum = Sum::new();
        *first = sum.folded();
        for prefix in rest {
            sum.combine(Sum::from_folded(*prefix));
            *prefix = sum.folded();
        }
        Some(Self {
            content,
            prefixes: table,
        })
    }

    /// The sum of `part`; `None` when it is no part of the content.
    #[inline]
    pub fn sum(&self, part: &[u8]) -> Option<Sum> {
        let start = part
            .as_ptr()
            .addr()
            .checked_sub(self.content.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        if end > self.content.len() {
            return None;
        }
        if part.len() <= SUMS_BLOCK {
            return Some(Sum::of(part));
        }
        Some(self.prefix(end)?.without_prefix(self.prefix(start)?))
    }

    /// The sum of the first `at` bytes, from the nearest beginning of a block.
    #[inline]
    fn prefix(&self, at: usize) -> Option<Sum> {
        let nearest = at.saturating_add(SUMS_BLOCK / 2) / SUMS_BLOCK;
        let block = nearest.min(self.prefixes.len().saturating_sub(1));
        let edge = block.checked_mul(SUMS_BLOCK)?;
        let sum = Sum::from_folded(*self.prefixes.get(block)?);
        if edge == at {
            // As files of an archive begin.
            return Some(sum);
        }
        if edge < at {
            return Some(sum.followed_by(Sum::of(self.content.get(edge..at)?)));
        }
        Some(sum.without_suffix(Sum::of(self.content.get(at..edge)?)))
    }
}

impl core::fmt::Debug for Sums {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "sums of {} bytes", self.content.len())
    }
}

/// Immutable content to send, by reference.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    pub(crate) bytes: &'static [u8],
    pub(crate) sums: Option<&'static Sums>,
}

impl Body {
    /// Content whose sums are in `sums`, where it is part of what that has: on a port that leaves
    /// the checksums to us it is not read then, but for ragged ends.
    #[inline]
    pub const fn summed(bytes: &'static [u8], sums: Option<&'static Sums>) -> Self {
        Self { bytes, sums }
    }
}

impl From<&'static [u8]> for Body {
    #[inline]
    fn from(bytes: &'static [u8]) -> Self {
        Self::summed(bytes, None)
    }
}

impl<const LEN: usize> From<&'static [u8; LEN]> for Body {
    #[inline]
    fn from(bytes: &'static [u8; LEN]) -> Self {
        Self::summed(bytes, None)
    }
}

#[cfg(test)]
mod tests;
