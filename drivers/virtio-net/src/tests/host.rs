//! The host as a machine: addresses are their own translation.

use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

pub(crate) struct HostHal;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap()
}

// SAFETY: the allocator's memory is valid, aligned and nobody else's; `share` answers the address
// itself, with its provenance exposed for the fake device.
unsafe impl Hal for HostHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: never of no bytes.
        let base = unsafe { alloc_zeroed(layout(pages)) };
        let base = NonNull::new(base).unwrap();
        (base.as_ptr().expose_provenance() as u64, base)
    }

    unsafe fn dma_dealloc(_: PhysAddr, base: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: from `dma_alloc`, by the caller's word.
        unsafe { dealloc(base.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(addr: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(addr as usize as *mut u8).unwrap()
    }

    unsafe fn share(bytes: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        bytes.as_ptr().expose_provenance() as u64
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {
        panic!("the driver never undoes a translation");
    }
}
