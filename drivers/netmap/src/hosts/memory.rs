//! Memory for a region, from the kernel.
//!
//! | made by | what it is for |
//! |---|---|
//! | [`Mapping::anonymous`] | a region of one process: AF_XDP, TAP |
//! | [`Mapping::shared`] | a file without a name that another process can map, too: the pipe |
//! | [`Mapping::of`] | a region that someone else has made: `/dev/netmap`, the pipe's other end |
//!
//! Huge pages are used where the machine has set some aside, else the kernel is asked to make them
//! of what it has. A mapping is undone when it is dropped, unless a [`Region`] was made of it: that
//! lasts until the program ends, because content that lies in it does.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use super::OpenError;
use crate::{Interface, Plan, Region};

/// Memory that the kernel has mapped: zeroed, unless it is someone else's.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    fd: Option<OwnedFd>,
    has_huge_pages: bool,
}

impl Mapping {
    /// `len` bytes of this process alone.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    pub fn anonymous(len: usize) -> Result<Self, OpenError> {
        let whole = len.max(1).next_multiple_of(HUGE_LEN);
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let map = |len, flags| {
            // SAFETY: a new mapping, where the kernel finds room: nothing else is there.
            let base = unsafe { mmap_anonymous(ptr::null_mut(), len, prot, flags) };
            base.map(|base| (base, len))
        };
        let huge = map(whole, MapFlags::PRIVATE | MapFlags::HUGETLB);
        let has_huge_pages = huge.is_ok();
        let plain = || map(len.max(1), MapFlags::PRIVATE);
        let (base, len) = huge.or_else(|_| plain()).map_err(failed(len))?;
        let mapping = Self::new(base.cast(), len, None, has_huge_pages)?;
        mapping.advise();
        Ok(mapping)
    }

    /// `len` bytes in a file without a name, which [`fd`](Self::fd) is, for another process to map.
    /// Its size is sealed: neither can take memory away from the other.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    pub fn shared(len: usize) -> Result<Self, OpenError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("simoom", flags).map_err(failed(len))?;
        ftruncate(&fd, len as u64).map_err(failed(len))?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&fd, seals).map_err(failed(len))?;
        Self::of(fd, len)
    }

    /// The first `len` bytes of a file that may be mapped to be read and written.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    pub fn of(fd: OwnedFd, len: usize) -> Result<Self, OpenError> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, where the kernel finds room: nothing else is there.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, &fd, 0) };
        let base = base.map_err(failed(len))?;
        let mapping = Self::new(base.cast(), len, Some(fd), false)?;
        mapping.advise();
        Ok(mapping)
    }

    /// As [`shared`](Self::shared), for another process that may only read: it cannot map the file
    /// to write, whatever rights it has.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    pub fn published(len: usize) -> Result<Self, OpenError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("simoom", flags).map_err(failed(len))?;
        ftruncate(&file, len as u64).map_err(failed(len))?;
        let mapping = Self::of(file, len)?;
        // From now on, as we have mapped it ourselves.
        let size = SealFlags::SHRINK | SealFlags::GROW;
        let seals = size | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
        let file = mapping.fd().expect("a file is mapped");
        fcntl_add_seals(file, seals).map_err(failed(len))?;
        Ok(mapping)
    }

    /// The first `len` bytes of a file that someone else may write to, to be read here.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    pub fn to_read(fd: OwnedFd, len: usize) -> Result<Self, OpenError> {
        // SAFETY: a new mapping, where the kernel finds room: nothing else is there.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                &fd,
                0,
            )
        };
        Self::new(base.map_err(failed(len))?.cast(), len, Some(fd), false)
    }

    /// A region that is only read, and no longer used than the mapping is there.
    pub(crate) fn region_to_read(&self) -> Option<Region> {
        // SAFETY: the callers keep the mapping as long as what they make of the region, and store
        // nothing: they have an `Interface` and a `RingMemory` of it that they load from.
        unsafe { Region::new(self.base, self.len) }
    }

    fn new(
        base: *mut u8,
        len: usize,
        fd: Option<OwnedFd>,
        has_huge_pages: bool,
    ) -> Result<Self, OpenError> {
        let base = NonNull::new(base).ok_or(Errno::NOMEM);
        Ok(Self {
            base: base.map_err(failed(len))?,
            len,
            fd,
            has_huge_pages,
        })
    }

    /// Bytes of it: as many as were asked for, or a little more.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it consists of huge pages that were set aside.
    pub fn has_huge_pages(&self) -> bool {
        self.has_huge_pages
    }

    /// The file that is mapped; none for memory of this process alone.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// A region of it, which stays mapped until the program ends.
    pub fn into_region(self) -> Region {
        let (base, len) = (self.base, self.len);
        core::mem::forget(self);
        // SAFETY: the mapping is never undone, and only the region's owner knows of it.
        let region = unsafe { Region::new(base, len) };
        region.expect("a mapping begins with a page")
    }

    /// Lays out what is planned, at the beginning: the port `0` of it, and its region.
    ///
    /// # Errors
    /// [`OpenError::Layout`].
    pub fn lay_out(self, plan: &Plan) -> Result<Interface, OpenError> {
        let region = self.into_region();
        plan.lay_out(region)?;
        Ok(Interface::new(region, plan.if_at(0))?)
    }

    /// Asks for huge pages; the kernel may have its reasons not to.
    fn advise(&self) {
        if !self.has_huge_pages && self.len >= HUGE_LEN {
            // SAFETY: our own mapping, whose contents the advice does not change.
            let _ = unsafe { madvise(self.base.as_ptr().cast(), self.len, Advice::LinuxHugepage) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, of which no region was made: nobody refers to it.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn failed(byte_len: usize) -> impl FnOnce(Errno) -> OpenError {
    move |error| OpenError::Memory { byte_len, error }
}

/// Bytes of a huge page on x86-64 and, with 4 KiB pages, on aarch64.
const HUGE_LEN: usize = 2 << 20;

#[cfg(test)]
mod tests;
