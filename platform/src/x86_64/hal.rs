//! Memory that devices reach, for the virtio-drivers crate and drivers built on it.
//!
//! Physical and virtual addresses are the same, and every device reaches all memory: there is no
//! IOMMU, so sharing a buffer costs nothing.

use super::free::CARVE;
use super::paging;
use crate::memory::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Bytes that drivers may have for their rings at once: rings of 1024 slots take 32 KiB a queue.
pub const DMA_LEN_MAX: u64 = 16 << 20;

static DMA_LEN: AtomicU64 = AtomicU64::new(0);

/// Memory at its own address.
pub struct MachineHal;

// SAFETY: `dma_alloc` gives pages taken from `CARVE`, so nobody else has them, zeroed; addresses
// of devices are mapped before they are given out, and refused where memory is.
unsafe impl Hal for MachineHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let len = pages as u64 * PAGE_SIZE as u64;
        let refused = (0, NonNull::dangling());
        if len == 0 || DMA_LEN.load(Ordering::Relaxed) + len > DMA_LEN_MAX {
            return refused;
        }
        let Some(start) = CARVE.lock().take(len, PAGE_SIZE as u64) else {
            return refused;
        };
        let Some(first) = NonNull::new(start as *mut u8) else {
            return refused;
        };
        DMA_LEN.fetch_add(len, Ordering::Relaxed);
        // SAFETY: `len` bytes that were just taken, so they are mapped and ours.
        unsafe { first.write_bytes(0, len as usize) };
        (start, first)
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _vaddr: NonNull<u8>, pages: usize) -> i32 {
        let len = pages as u64 * PAGE_SIZE as u64;
        CARVE.lock().add(Range {
            start: paddr,
            end: paddr + len,
        });
        DMA_LEN.fetch_sub(len, Ordering::Relaxed);
        0
    }

    /// # Panics
    ///
    /// The registers are where memory is, or beyond the address space: the firmware's mistake.
    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        match paging::map(paddr, size as u64) {
            Ok(registers) => registers,
            Err(error) => panic!("{size} bytes at {paddr:#x}: {error}"),
        }
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as PhysAddr
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// Why registers cannot be mapped, for drivers.
pub use paging::MapError;
