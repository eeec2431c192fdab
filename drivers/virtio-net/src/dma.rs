//! Memory that the device reaches: the rings' pages, and the addresses of frames and content.

use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// The device's address of `byte_len` bytes (not 0) at `base`.
///
/// [`Hal::share`] is used as a translation and nothing else: it is never undone, and the same bytes
/// may be on a ring twice. A `Hal` that copies to bounce buffers does not work with this driver.
#[inline]
pub(crate) fn device_addr<H: Hal>(
    base: NonNull<u8>,
    byte_len: usize,
    direction: BufferDirection,
) -> PhysAddr {
    let bytes = NonNull::slice_from_raw_parts(base, byte_len);
    // SAFETY: the caller's frame or content is valid memory of that length, and the pools and
    // rings of one core are not touched by any other thread.
    unsafe { H::share(bytes, direction) }
}

/// Pages for one ring; freed when dropped, unless the device may still write to them.
pub(crate) struct DmaPages<H: Hal> {
    addr: PhysAddr,
    base: NonNull<u8>,
    pages: usize,
    is_abandoned: bool,
    hal: PhantomData<H>,
}

impl<H: Hal> DmaPages<H> {
    /// Zeroed pages for `byte_len` bytes; `None` when the machine has no more.
    pub(crate) fn alloc(byte_len: usize) -> Option<Self> {
        let pages = byte_len.div_ceil(PAGE_SIZE);
        let (addr, base) = H::dma_alloc(pages, BufferDirection::Both);
        (addr != 0).then_some(Self {
            addr,
            base,
            pages,
            is_abandoned: false,
            hal: PhantomData,
        })
    }

    /// The address for the device.
    pub(crate) fn addr(&self) -> PhysAddr {
        self.addr
    }

    /// The address for us.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The device could not be stopped: never free the pages.
    pub(crate) fn abandon(&mut self) {
        self.is_abandoned = true;
    }
}

impl<H: Hal> Drop for DmaPages<H> {
    fn drop(&mut self) {
        if !self.is_abandoned {
            // SAFETY: allocated by `dma_alloc` with these values, and freed once, here. What it
            // answers is of no use: there is nothing left to do.
            let _ = unsafe { H::dma_dealloc(self.addr, self.base, self.pages) };
        }
    }
}
