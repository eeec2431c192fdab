//! The memory that nothing holds, out of which page tables, drivers and the image take theirs.

use crate::memory::{Carve, Memory};

/// The free memory of the machine.
pub(crate) static CARVE: spin::Mutex<Carve> = spin::Mutex::new(Carve::new());

/// Makes `free` the machine's memory. Called once.
pub(crate) fn install(free: Carve) -> Memory {
    *CARVE.lock() = free;
    // SAFETY: usable memory that nothing holds (`BootInfo::free`), mapped by entry.s below 4 GiB
    // and by `paging` above, at its own address; RAM holds some value in every byte. What comes
    // back to `CARVE` later (`dma_dealloc`) was taken from it.
    unsafe { Memory::new(&CARVE) }
}
