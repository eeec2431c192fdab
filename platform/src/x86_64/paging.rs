//! Who may read, write and execute what.
//!
//! ```text
//!   0          page 0: nothing        image text   r-x        initrd   r--
//!   memory     rw-, 2 MiB pages       image rodata r--        below each stack: nothing
//!   else, below 4 GiB: devices, rw-, not cached    image data   rw-
//! ```
//!
//! Everything is at its own address. The tables that entry.s made are edited in place; further
//! ones are taken from the free memory. Above 4 GiB only memory is mapped, and what
//! [`map`] adds.

use super::boot::{BootInfo, RegionKind};
use super::free::CARVE;
use super::record::BootRecord;
use crate::memory::{Carve, OutOfMemory, Range};
use core::arch::asm;
use core::fmt;
use core::ptr::NonNull;

/// Memory at or above this address is not used: 60 pages of tables map it all.
pub(crate) const MEMORY_END: u64 = 64 << 30;

/// Device registers at or above this address cannot be mapped: the end of the lower half.
const DEVICE_END: u64 = 1 << 47;

/// One device's registers are no longer than this: it bounds the tables they take.
const DEVICE_LEN_MAX: u64 = 1 << 30;

static ROOT: spin::Mutex<u64> = spin::Mutex::new(0);

/// Why a device's registers cannot be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// They are empty, longer than 1 GiB, or beyond the address space.
    BadRange,
    /// There is memory at these addresses.
    IsMemory,
    /// There is no memory for the tables.
    OutOfMemory,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapError::BadRange => "device registers outside of the address space",
            MapError::IsMemory => "device registers where memory is",
            MapError::OutOfMemory => "no memory to map device registers",
        })
    }
}

impl core::error::Error for MapError {}

/// Gives every page its rights.
pub(crate) fn install(record: &BootRecord, info: &BootInfo<'_>) -> Result<(), OutOfMemory> {
    let mut carve = CARVE.lock();
    let mut root = ROOT.lock();
    *root = record.page_tables;
    let mut tables = Tables {
        root: *root,
        carve: &mut carve,
    };

    // The image first and page by page: this code runs in it.
    let image = record.image();
    let around = image.align_out(LARGE_LEN);
    let pieces = [
        (around.start, record.text_start, DATA),
        (record.text_start, record.rodata_start, TEXT),
        (record.rodata_start, record.data_start, READ_ONLY),
        (record.data_start, record.image_end, DATA),
        (record.image_end, around.end, DATA),
    ];
    for (start, end, rights) in pieces {
        tables.map(Range { start, end }, rights)?;
    }
    for start in record.guards {
        let end = start + PAGE_LEN;
        tables.map(Range { start, end }, NOTHING)?;
    }

    let is_memory = |large: &Range| {
        let mut regions = info.regions.as_slice().iter();
        regions.any(|region| region.kind != RegionKind::Reserved && region.range.overlaps(large))
    };
    for start in (0..FOUR_GIB).step_by(LARGE_LEN as usize) {
        let large = Range {
            start,
            end: start + LARGE_LEN,
        };
        if !large.overlaps(&around) {
            tables.map(large, if is_memory(&large) { DATA } else { DEVICE })?;
        }
    }
    let (start, end) = (0, PAGE_LEN);
    tables.map(Range { start, end }, NOTHING)?;

    for usable in info.regions.usable(MEMORY_END).ranges() {
        let above = Range {
            start: usable.start.max(FOUR_GIB),
            end: usable.end,
        };
        if !above.is_empty() {
            tables.map(above.align_out(LARGE_LEN), DATA)?;
        }
    }
    if let Some(initrd) = info.initrd {
        let whole = initrd.align_in(PAGE_LEN);
        if !whole.is_empty() {
            tables.map(whole, READ_ONLY)?;
        }
    }
    // SAFETY: the same tables again; they map what is in use with the rights that it needs.
    unsafe { asm!("mov cr3, {}", in(reg) *root, options(nostack)) };
    Ok(())
}

/// Makes `len` bytes of device registers at `base` accessible, not cached. The pointer is good for
/// ever; again for the same registers is fine.
///
/// # Errors
///
/// [`MapError`]: an impossible place, memory there, or no memory for page tables.
pub fn map(base: u64, len: u64) -> Result<NonNull<u8>, MapError> {
    let registers = Range::new(base, len).ok_or(MapError::BadRange)?;
    if registers.is_empty() || registers.len() > DEVICE_LEN_MAX || registers.end > DEVICE_END {
        return Err(MapError::BadRange);
    }
    let pages = registers.align_out(PAGE_LEN);
    let mut carve = CARVE.lock();
    let mut tables = Tables {
        root: *ROOT.lock(),
        carve: &mut carve,
    };
    let mut start = pages.start;
    while start < pages.end {
        let (leaf, len) = tables.look_up(start);
        if leaf & PRESENT == 0 {
            // Not present before, so nothing stale can be cached.
            let end = pages.end.min((start | (len - 1)) + 1);
            tables
                .map(Range { start, end }, DEVICE)
                .map_err(|_| MapError::OutOfMemory)?;
        } else if leaf & NO_CACHE == 0 {
            return Err(MapError::IsMemory);
        }
        start = (start | (len - 1)) + 1;
    }
    NonNull::new(core::ptr::with_exposed_provenance_mut(base as usize)).ok_or(MapError::BadRange)
}

/// The tree of tables: four levels of 512 entries, of which the lower two have leaves.
struct Tables<'a> {
    root: u64,
    carve: &'a mut Carve,
}

impl Tables<'_> {
    /// Maps whole pages at their own address, in large pages where they fit.
    fn map(&mut self, range: Range, rights: u64) -> Result<(), OutOfMemory> {
        let mut start = range.start;
        while start < range.end {
            let pdpt = self.child(self.root, index(start, 3))?;
            let pd = self.child(pdpt, index(start, 2))?;
            let entry = slot(pd, index(start, 1));
            let is_large = start.is_multiple_of(LARGE_LEN) && range.end - start >= LARGE_LEN;
            let has_table = read(entry) & (PRESENT | LARGE) == PRESENT;
            if is_large && !has_table {
                let large = if rights == NOTHING {
                    NOTHING
                } else {
                    start | rights | LARGE
                };
                write(entry, large);
                start += LARGE_LEN;
            } else {
                let table = self.child(pd, index(start, 1))?;
                let leaf = if rights == NOTHING {
                    NOTHING
                } else {
                    start | rights
                };
                write(slot(table, index(start, 0)), leaf);
                start += PAGE_LEN;
            }
        }
        Ok(())
    }

    /// The entry that decides about `address`, and how much it covers.
    fn look_up(&self, address: u64) -> (u64, u64) {
        let mut table = self.root;
        for level in (0..4).rev() {
            let entry = read(slot(table, index(address, level)));
            if entry & PRESENT == 0 || entry & LARGE != 0 || level == 0 {
                return (entry, PAGE_LEN << (9 * level));
            }
            table = entry & ADDRESS;
        }
        unreachable!("level 0 returns")
    }

    /// The table below an entry: made when there is none, split when there is a large page.
    fn child(&mut self, table: u64, entry_idx: u64) -> Result<u64, OutOfMemory> {
        let entry = slot(table, entry_idx);
        let old = read(entry);
        if old & (PRESENT | LARGE) == PRESENT {
            return Ok(old & ADDRESS);
        }
        // New tables must be reachable before the map is complete: below 4 GiB, as the lowest
        // free page is unless the machine is out of memory.
        let page = self
            .carve
            .take(PAGE_LEN, PAGE_LEN)
            .filter(|page| *page < FOUR_GIB);
        let free_len = self.carve.free_len();
        let page = page.ok_or(OutOfMemory {
            asked_len: PAGE_LEN,
            free_len,
        })?;
        for page_idx in 0..512 {
            let leaf = match old & PRESENT {
                0 => NOTHING,
                _ => (old & !LARGE) + page_idx * PAGE_LEN,
            };
            write(slot(page, page_idx), leaf);
        }
        write(entry, page | PRESENT | WRITE);
        Ok(page)
    }
}

/// Which of a table's entries `address` uses; level 0 has pages, level 3 is the root.
fn index(address: u64, level: u32) -> u64 {
    address >> (12 + 9 * level) & 511
}

fn slot(table: u64, entry_idx: u64) -> *mut u64 {
    (table + entry_idx * 8) as *mut u64
}

fn read(entry: *mut u64) -> u64 {
    // SAFETY: an entry of a table, which only this module accesses; volatile, as the processor
    // sets bits in it.
    unsafe { entry.read_volatile() }
}

fn write(entry: *mut u64, value: u64) {
    // SAFETY: as in `read`; what is in use keeps the rights that it needs (`install`).
    unsafe { entry.write_volatile(value) };
}

const PAGE_LEN: u64 = 1 << 12;
const LARGE_LEN: u64 = 1 << 21;
const FOUR_GIB: u64 = 1 << 32;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const NO_CACHE: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

const NOTHING: u64 = 0;
const TEXT: u64 = PRESENT;
const READ_ONLY: u64 = PRESENT | NO_EXECUTE;
const DATA: u64 = PRESENT | WRITE | NO_EXECUTE;
const DEVICE: u64 = DATA | NO_CACHE | WRITE_THROUGH;
