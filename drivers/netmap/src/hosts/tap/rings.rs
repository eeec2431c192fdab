//! The far sides: `readv` and `writev` on the buffers that the slots name.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use libc::iovec;

use super::{Gone, Interface, Kring, Syscalls, Wake};
use crate::FarSide;
use crate::abi::{NetmapSlot, SlotFlags};

/// Buffers of one packet at most, in either direction: 64 KiB in buffers of 2 KiB, with each piece
/// of a body that begins in one and ends in another.
pub(super) const PIECES_MAX: usize = 64;

/// Frames that are taken from the device at a sync.
const BURST_MAX: u32 = 64;

/// Slots that a frame of 64 KiB with its headers takes at most.
const LARGE_PIECES: u32 = 33;

/// What both far sides need.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) interface: Interface,
    pub(super) wake: Wake,
    pub(super) syscalls: Syscalls,
    pub(super) counts: Rc<Counts>,
}

/// What has happened, counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Frames that were longer than the buffers that they had, and thrown away.
    pub(super) rx_cut: Cell<u64>,
    /// Packets that the device refused: it is down, or short of memory.
    pub(super) tx_refused: Cell<u64>,
    /// Rules of netmap's that our own side has broken.
    pub(super) faults: Cell<u64>,
}

impl Link {
    /// The memory of a part of a buffer; an empty one where that is outside of the region, which
    /// the ring's checks have seen to.
    #[inline]
    fn vector(&self, buf_idx: u32, offset: usize, len: usize) -> iovec {
        let buf_at = buf_idx as usize * usize::from(self.interface.buf_size());
        let at = self.interface.bufs_at() + buf_at + offset;
        match self.interface.region().address(at, len, 1) {
            Some(base) => iovec {
                iov_base: base.as_ptr().cast(),
                iov_len: len,
            },
            None => NO_VECTOR,
        }
    }

    fn note_fault(&self) {
        let faults = &self.counts.faults;
        faults.set(faults.get() + 1);
    }
}

/// What a call has come to.
enum Called {
    /// So many bytes were moved.
    Moved(usize),
    /// Not now.
    WouldBlock,
    /// Not this packet.
    Refused,
}

/// Reads the outcome of `readv` and `writev`.
#[inline]
fn called(moved: isize) -> Result<Called, Gone> {
    if let Ok(len) = usize::try_from(moved) {
        return Ok(Called::Moved(len));
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => Ok(Called::WouldBlock),
        // The device was deleted; the descriptor is of no use any more.
        Some(libc::EBADFD | libc::EBADF | libc::ENODEV | libc::ENXIO) => Err(Gone),
        _ => Ok(Called::Refused),
    }
}

/// The far side of the receive ring.
pub struct TapRx {
    kring: Kring<'static>,
    link: Link,
}

impl TapRx {
    pub(super) fn new(kring: Kring<'static>, link: Link) -> Self {
        Self { kring, link }
    }

    /// Takes one frame from the device; false when there is none, or no room for it.
    #[inline]
    fn receive(&mut self) -> Result<bool, Gone> {
        if self.kring.ready() < LARGE_PIECES {
            return Ok(false);
        }
        let buf_size = usize::from(self.link.interface.buf_size());
        let mut vectors = [NO_VECTOR; LARGE_PIECES as usize];
        for (n, vector) in (0..).zip(&mut vectors) {
            let buf_idx = self.kring.buf_idx(self.kring.position(n));
            *vector = self.link.vector(buf_idx, 0, buf_size);
        }
        let fd = self.link.wake.fd().as_raw_fd();
        self.link.syscalls.note();
        // SAFETY: an open descriptor, and buffers inside the region that the ring's user has given
        // us to be filled: it has no reference to them.
        let moved = unsafe { libc::readv(fd, vectors.as_ptr(), LARGE_PIECES as i32) };
        match called(moved)? {
            Called::Moved(len) if len < LARGE_PIECES as usize * buf_size => {
                self.fill(len, buf_size);
                Ok(true)
            }
            // It may have been longer: the kernel does not say.
            Called::Moved(_) => {
                let cut = &self.link.counts.rx_cut;
                cut.set(cut.get() + 1);
                Ok(true)
            }
            Called::WouldBlock => Ok(false),
            // The device is down. It says so again when it is asked again.
            Called::Refused => Ok(false),
        }
    }

    /// Gives a frame of `len` bytes to the ring's user, a slot for each buffer.
    #[inline]
    fn fill(&mut self, len: usize, buf_size: usize) {
        let mut left = len;
        while left > 0 {
            let position = self.kring.position(0);
            let part_len = left.min(buf_size);
            left -= part_len;
            let slot = NetmapSlot {
                buf_idx: self.kring.buf_idx(position),
                // At most a buffer's size, which is a u16.
                len: part_len as u16,
                flags: match left {
                    0 => SlotFlags::NONE,
                    _ => SlotFlags::MOREFRAG,
                },
                ptr: 0,
            };
            self.kring.write(position, slot);
            self.kring.advance(1);
        }
    }
}

impl FarSide for TapRx {
    /// A call for each frame, and one to see that there are no more.
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        if self.kring.begin().is_err() {
            self.link.note_fault();
        }
        let mut outcome = Ok(());
        for _ in 0..BURST_MAX {
            match self.receive() {
                Ok(true) => {}
                Ok(false) => break,
                Err(gone) => {
                    outcome = Err(gone);
                    break;
                }
            }
        }
        self.kring.end();
        outcome
    }

    /// A frame that waits in the device ends the sleep at once. With a ring that is full it must
    /// not: then what ends the sleep is a frame of ours that comes home.
    fn arm(&mut self) -> bool {
        self.link
            .wake
            .set_rx_full(self.kring.ready() < LARGE_PIECES);
        false
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.kring.rewrite();
        Ok(())
    }

    /// Nothing is read into a buffer between two syncs.
    fn stop(&mut self) {}
}

/// The far side of the transmit ring.
pub struct TapTx {
    kring: Kring<'static>,
    link: Link,
}

impl TapTx {
    pub(super) fn new(kring: Kring<'static>, link: Link) -> Self {
        Self { kring, link }
    }

    /// Sends the next packet; false when there is none, or the device takes none now.
    #[inline]
    fn send(&mut self) -> Result<bool, Gone> {
        let mut vectors = [NO_VECTOR; PIECES_MAX];
        let (mut cnt, mut is_whole) = (0, false);
        let ready = self.kring.ready();
        while cnt < ready && !is_whole {
            let position = self.kring.position(cnt);
            let slot = self.kring.slot(position);
            if let Some(vector) = vectors.get_mut(cnt as usize) {
                let offset = usize::try_from(self.kring.offset(&slot)).unwrap_or(usize::MAX);
                let room = usize::from(self.link.interface.buf_size()).saturating_sub(offset);
                let len = usize::from(slot.len).min(room);
                let buf_idx = self.kring.buf_idx(position);
                *vector = self
                    .link
                    .vector(buf_idx, offset.min(usize::from(u16::MAX)), len);
            }
            cnt += 1;
            is_whole = !slot.flags.contains(SlotFlags::MOREFRAG);
        }
        if cnt == 0 {
            return Ok(false);
        }
        let called = match cnt as usize <= PIECES_MAX {
            true => self.write(&vectors, cnt)?,
            // Longer than our capabilities: a mistake of the ring's user.
            false => Called::Refused,
        };
        match called {
            Called::Moved(_) => {}
            Called::WouldBlock => return Ok(false),
            Called::Refused => {
                let refused = &self.link.counts.tx_refused;
                refused.set(refused.get() + 1);
            }
        }
        self.kring.advance(cnt);
        Ok(true)
    }

    #[inline]
    fn write(&self, vectors: &[iovec; PIECES_MAX], cnt: u32) -> Result<Called, Gone> {
        let fd = self.link.wake.fd().as_raw_fd();
        self.link.syscalls.note();
        // SAFETY: an open descriptor, and `cnt` vectors, no more than there are, of memory inside
        // the region that the ring's user does not write to until it has the slots back.
        called(unsafe { libc::writev(fd, vectors.as_ptr(), cnt as i32) })
    }
}

impl FarSide for TapTx {
    /// A call for each packet.
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        if self.kring.begin().is_err() {
            self.link.note_fault();
        }
        let mut outcome = Ok(());
        // No more packets than slots.
        loop {
            match self.send() {
                Ok(true) => {}
                Ok(false) => break,
                Err(gone) => {
                    outcome = Err(gone);
                    break;
                }
            }
        }
        self.kring.end();
        outcome
    }

    fn arm(&mut self) -> bool {
        if self.kring.ready() > 0 {
            self.link.wake.want_tx();
        }
        self.kring.has_news()
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.kring.rewrite();
        Ok(())
    }

    /// What was published and not sent is lost.
    fn stop(&mut self) {
        let left = self.kring.ready();
        self.kring.advance(left);
    }
}

const NO_VECTOR: iovec = iovec {
    iov_base: core::ptr::null_mut(),
    iov_len: 0,
};
