//! The carve-out of boot time: all memory is taken once, before the first packet, and kept.
//!
//! ```text
//!   RAM   |  1 MiB  | image | free ............ | initrd | reserved |   hole   | free .... |
//!                           ^ taken from here up
//! ```
//!
//! [`Carve`] is arithmetic on addresses. [`Memory`] turns them into `&'static mut` slices.

use core::fmt;
use core::mem::{align_of, size_of};

#[cfg(test)]
mod tests;

/// Addresses `[start, end)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
}

impl Range {
    /// `len` bytes at `start`, or nothing when they would pass the end of the address space.
    pub fn new(start: u64, len: u64) -> Option<Range> {
        Some(Range {
            start,
            end: start.checked_add(len)?,
        })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Range) -> bool {
        !self.is_empty() && !other.is_empty() && self.start < other.end && other.start < self.end
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The part of it below `limit`.
    pub fn below(&self, limit: u64) -> Range {
        Range {
            start: self.start.min(limit),
            end: self.end.min(limit),
        }
    }

    /// Grown outwards to multiples of `align`, a power of two.
    pub fn align_out(&self, align: u64) -> Range {
        let mask = align - 1;
        Range {
            start: self.start & !mask,
            end: self.end.saturating_add(mask) & !mask,
        }
    }

    /// Shrunk inwards to multiples of `align`, a power of two; possibly empty.
    pub fn align_in(&self, align: u64) -> Range {
        let mask = align - 1;
        Range {
            start: self.start.saturating_add(mask) & !mask,
            end: self.end & !mask,
        }
    }
}

/// Free memory that no map so far has split into more pieces: a PC's has about ten. Pieces beyond
/// are given up and counted.
pub const RANGES_MAX: usize = 64;

/// Free addresses: sorted ranges that neither overlap nor touch.
pub struct Carve {
    ranges: [Range; RANGES_MAX],
    range_cnt: usize,
    lost_len: u64,
}

impl Default for Carve {
    fn default() -> Self {
        Self::new()
    }
}

impl Carve {
    /// Nothing is free.
    pub const fn new() -> Self {
        Self {
            ranges: [Range { start: 0, end: 0 }; RANGES_MAX],
            range_cnt: 0,
            lost_len: 0,
        }
    }

    /// The free ranges in order of address.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..self.range_cnt]
    }

    /// Free bytes in all.
    pub fn free_len(&self) -> u64 {
        self.ranges().iter().map(Range::len).sum()
    }

    /// Bytes given up because the memory was in more than [`RANGES_MAX`] pieces.
    pub fn lost_len(&self) -> u64 {
        self.lost_len
    }

    /// Makes `range` free, together with what is free already.
    pub fn add(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        let first = self
            .ranges()
            .iter()
            .take_while(|free| free.end < range.start)
            .count();
        let reached = self.ranges()[first..]
            .iter()
            .take_while(|free| free.start <= range.end);
        let merged_cnt = reached.count();
        let mut union = range;
        for free in &self.ranges[first..first + merged_cnt] {
            union.start = union.start.min(free.start);
            union.end = union.end.max(free.end);
        }
        self.replace(first, merged_cnt, &[union]);
    }

    /// Makes `range` not free, whether or not it was.
    pub fn remove(&mut self, range: Range) {
        let mut range_idx = 0;
        while range_idx < self.range_cnt {
            let free = self.ranges[range_idx];
            if !free.overlaps(&range) {
                range_idx += 1;
                continue;
            }
            let below = Range {
                start: free.start,
                end: range.start,
            };
            let above = Range {
                start: range.end,
                end: free.end,
            };
            range_idx += match (below.is_empty(), above.is_empty()) {
                (true, true) => self.replace(range_idx, 1, &[]),
                (false, true) => self.replace(range_idx, 1, &[below]),
                (true, false) => self.replace(range_idx, 1, &[above]),
                (false, false) => self.replace(range_idx, 1, &[below, above]),
            };
        }
    }

    /// Takes `len` bytes at a multiple of `align` (a power of two), from the lowest range that has
    /// them.
    pub fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        let mask = align.checked_sub(1)?;
        let taken = self.ranges().iter().find_map(|free| {
            let start = free.start.checked_add(mask)? & !mask;
            let taken = Range::new(start, len)?;
            free.contains(&taken).then_some(taken)
        })?;
        self.remove(taken);
        Some(taken.start)
    }

    /// Puts `with` in the place of `cnt` ranges at `first`; says how many were put there. What no
    /// longer fits, at the high end, is lost.
    fn replace(&mut self, first: usize, cnt: usize, with: &[Range]) -> usize {
        let tail_cnt = self.range_cnt - first - cnt;
        let kept_cnt = tail_cnt.min(RANGES_MAX - first - with.len().min(RANGES_MAX - first));
        let tail = first + cnt;
        self.lost_len += self.ranges[tail + kept_cnt..tail + tail_cnt]
            .iter()
            .map(Range::len)
            .sum::<u64>();
        let put_cnt = with.len().min(RANGES_MAX - first);
        self.lost_len += with[put_cnt..].iter().map(Range::len).sum::<u64>();
        self.ranges
            .copy_within(tail..tail + kept_cnt, first + put_cnt);
        self.ranges[first..first + put_cnt].copy_from_slice(&with[..put_cnt]);
        self.range_cnt = first + put_cnt + kept_cnt;
        put_cnt
    }
}

/// There is no piece of memory of the size asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes asked for; `u64::MAX` when the size has no number.
    pub asked_len: u64,
    /// Bytes free, perhaps in several pieces.
    pub free_len: u64,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked_len,
            free_len,
        } = self;
        write!(
            f,
            "out of memory: {asked_len} bytes asked for, {free_len} bytes free"
        )
    }
}

impl core::error::Error for OutOfMemory {}

/// The machine's free memory, to be taken and kept.
pub struct Memory {
    carve: &'static spin::Mutex<Carve>,
}

impl Memory {
    /// Memory over the ranges of `carve`, now and later.
    ///
    /// # Safety
    ///
    /// Every address that is free in `carve`, or is made free later, is that of a mapped, writable
    /// byte that holds a value and that nothing else in the program uses, for ever.
    pub unsafe fn new(carve: &'static spin::Mutex<Carve>) -> Self {
        Self { carve }
    }

    /// Bytes free, perhaps in several pieces.
    pub fn free_bytes(&self) -> u64 {
        self.carve.lock().free_len()
    }

    /// The largest piece, in bytes: no more can be taken at once.
    pub fn largest_bytes(&self) -> u64 {
        self.carve
            .lock()
            .ranges()
            .iter()
            .map(Range::len)
            .max()
            .unwrap_or(0)
    }

    /// Takes `len` values; `init` makes the one at each index.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when no single free piece has the room; nothing was taken then.
    pub fn take_slice<T: 'static>(
        &mut self,
        len: usize,
        init: impl FnMut(usize) -> T,
    ) -> Result<&'static mut [T], OutOfMemory> {
        self.take_slice_aligned(len, align_of::<T>(), init)
    }

    /// Like [`Memory::take_slice`], the first value at a multiple of `align` bytes.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when no single free piece has the room; nothing was taken then.
    ///
    /// # Panics
    ///
    /// `align` is not a power of two.
    pub fn take_slice_aligned<T: 'static>(
        &mut self,
        len: usize,
        align: usize,
        mut init: impl FnMut(usize) -> T,
    ) -> Result<&'static mut [T], OutOfMemory> {
        let start = self.take_raw(len.checked_mul(size_of::<T>()), align.max(align_of::<T>()))?;
        let first = start.cast::<T>();
        for slot_idx in 0..len {
            // SAFETY: `take_raw` gave room for `len` values, and `slot_idx < len`.
            let slot = unsafe { first.add(slot_idx) };
            // SAFETY: the slot is aligned for T, writable, and ours alone (`Memory::new`).
            unsafe { slot.write(init(slot_idx)) };
        }
        // SAFETY: all `len` values were just written, and nobody else has the memory, ever.
        Ok(unsafe { core::slice::from_raw_parts_mut(first, len) })
    }

    /// Takes `len` bytes at a multiple of `align`, as they are: nothing is written, so memory that
    /// is never used costs the machine's owner nothing.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when no single free piece has the room; nothing was taken then.
    ///
    /// # Panics
    ///
    /// `align` is not a power of two.
    pub fn take_bytes(
        &mut self,
        len: usize,
        align: usize,
    ) -> Result<&'static mut [u8], OutOfMemory> {
        let start = self.take_raw(Some(len), align)?;
        // SAFETY: the bytes hold values (`Memory::new`), and nobody else has them, ever.
        Ok(unsafe { core::slice::from_raw_parts_mut(start, len) })
    }

    fn take_raw(&mut self, len: Option<usize>, align: usize) -> Result<*mut u8, OutOfMemory> {
        assert!(align.is_power_of_two(), "an alignment is a power of two");
        if len == Some(0) {
            return Ok(core::ptr::without_provenance_mut(align));
        }
        let mut carve = self.carve.lock();
        let asked_len = len.map_or(u64::MAX, |len| len as u64);
        let start = carve.take(asked_len, align as u64);
        let start = start.ok_or(OutOfMemory {
            asked_len,
            free_len: carve.free_len(),
        })?;
        Ok(core::ptr::with_exposed_provenance_mut(start as usize))
    }
}
