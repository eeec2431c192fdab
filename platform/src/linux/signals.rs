//! Signals that ask the process to end: counted, and the sleep ends by them.
//!
//! A signal that comes between the last look and the sleep is not lost: it has made a descriptor
//! readable that the sleep waits for.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// Cores that a process may have.
pub(super) const CORES_MAX: usize = 64;

/// How many came.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// What becomes readable: for each core that waits.
static WAKE_FDS: [AtomicI32; CORES_MAX] = [const { AtomicI32::new(-1) }; CORES_MAX];

/// SIGTERM, SIGINT and SIGHUP, caught.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Catches them from now on, for the first core. Once a process.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn catch() -> io::Result<Self> {
        let signals = Self::beside(0)?;
        let arrived: extern "C" fn(libc::c_int) = arrived;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            // SAFETY: numbers, a mask and a pointer, for all of which zero is a value.
            let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
            action.sa_sigaction = arrived as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            // SAFETY: the function does nothing that a signal must not (see there).
            if unsafe { libc::sigaction(signal, &action, core::ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(signals)
    }

    /// For another core, which is woken by itself.
    ///
    /// # Errors
    /// The kernel has no descriptors left; there is no room for so many cores.
    pub fn beside(core: usize) -> io::Result<Self> {
        let slot = WAKE_FDS.get(core);
        let slot = slot.ok_or(io::ErrorKind::InvalidInput)?;
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Before the first signal can be caught.
        slot.store(fd.as_raw_fd(), Ordering::Release);
        Ok(Self { fd })
    }

    /// How many have come.
    #[inline]
    pub fn asked_cnt(&self) -> u32 {
        ASKED.load(Ordering::Relaxed)
    }

    /// Readable once one has come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes it unreadable until the next one.
    pub fn seen(&self) {
        let mut count = [0; 8];
        // Nothing to read is as good.
        let _ = rustix::io::read(&self.fd, &mut count);
    }
}

/// Called in the middle of anything: it touches atomics and makes calls that signals may make
/// (signal-safety(7)), and leaves `errno` as it was.
extern "C" fn arrived(_signal: libc::c_int) {
    ASKED.fetch_add(1, Ordering::Relaxed);
    let one = 1_u64;
    // SAFETY: the address of this thread's `errno`, which there always is.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as before.
    let before = unsafe { *errno };
    for fd in &WAKE_FDS {
        let fd = fd.load(Ordering::Acquire);
        if fd >= 0 {
            // SAFETY: eight bytes that are there; a descriptor that is closed is an error that
            // changes nothing.
            let _ = unsafe { libc::write(fd, (&raw const one).cast(), size_of::<u64>()) };
        }
    }
    // SAFETY: as before.
    unsafe { *errno = before };
}
