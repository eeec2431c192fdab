//! The device's side of one split virtqueue, obedient or not.

use std::vec::Vec;

use crate::split::Areas;

/// A piece as the device finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundPiece {
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) is_writable: bool,
}

/// A chain as the device finds it.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) head: u16,
    pub(crate) pieces: Vec<FoundPiece>,
}

impl Chain {
    /// All bytes that the device may read.
    pub(crate) fn read(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in self.pieces.iter().filter(|piece| !piece.is_writable) {
            let data = piece.addr as *const u8;
            // SAFETY: the driver under test says that the piece is readable; Miri checks.
            bytes.extend_from_slice(unsafe {
                core::slice::from_raw_parts(data, piece.len as usize)
            });
        }
        bytes
    }

    /// Writes to the first piece.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let piece = self.pieces[0];
        assert!(piece.is_writable && bytes.len() <= piece.len as usize);
        // SAFETY: the driver under test says that the piece is writable; Miri checks.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), piece.addr as *mut u8, bytes.len());
        }
    }
}

/// The device's view of the three areas.
#[derive(Clone, Debug)]
pub(crate) struct FakeRing {
    desc: u64,
    avail: u64,
    used: u64,
    size: u16,
    pub(crate) last_avail_idx: u16,
    pub(crate) used_idx: u16,
}

impl FakeRing {
    pub(crate) fn new(desc: u64, avail: u64, used: u64, size: u16) -> Self {
        Self {
            desc,
            avail,
            used,
            size,
            last_avail_idx: 0,
            used_idx: 0,
        }
    }

    pub(crate) fn at(base: *mut u8, areas: Areas, size: u16) -> Self {
        let base = base.expose_provenance() as u64;
        let (avail, used) = (areas.avail_at as u64, areas.used_at as u64);
        Self::new(base, base + avail, base + used, size)
    }

    /// The next available chain.
    pub(crate) fn pop(&mut self) -> Option<Chain> {
        if self.avail_idx() == self.last_avail_idx {
            return None;
        }
        let position = u64::from(self.last_avail_idx & (self.size - 1));
        let head = load::<u16>(self.avail + 4 + 2 * position);
        self.last_avail_idx = self.last_avail_idx.wrapping_add(1);
        let mut pieces = Vec::new();
        let mut id = head;
        loop {
            assert!(id < self.size && pieces.len() < usize::from(self.size));
            let desc = self.desc + 16 * u64::from(id);
            let flags = load::<u16>(desc + 12);
            let len = load::<u32>(desc + 8);
            assert!(len > 0, "devices take a zero-sized buffer for an error");
            pieces.push(FoundPiece {
                addr: load::<u64>(desc),
                len,
                is_writable: flags & 2 != 0,
            });
            if flags & 1 == 0 {
                break;
            }
            id = load::<u16>(desc + 14);
        }
        Some(Chain { head, pieces })
    }

    /// Returns a chain.
    pub(crate) fn push(&mut self, id: u32, len: u32) {
        self.write_used(self.used_idx, id, len);
        self.store_used_idx(self.used_idx.wrapping_add(1));
    }

    pub(crate) fn write_used(&mut self, idx: u16, id: u32, len: u32) {
        let entry = self.used + 4 + 8 * u64::from(idx & (self.size - 1));
        store(entry, id);
        store(entry + 4, len);
    }

    pub(crate) fn store_used_idx(&mut self, idx: u16) {
        self.used_idx = idx;
        store(self.used + 2, idx);
    }

    pub(crate) fn avail_idx(&self) -> u16 {
        load(self.avail + 2)
    }

    pub(crate) fn avail_flags(&self) -> u16 {
        load(self.avail)
    }

    pub(crate) fn used_event(&self) -> u16 {
        load(self.avail + self.used_event_at())
    }

    /// Where used_event is in the driver area: behind the ring.
    pub(crate) fn used_event_at(&self) -> u64 {
        4 + 2 * u64::from(self.size)
    }

    /// Writes a byte anywhere in the shared areas, round and round.
    pub(crate) fn scribble(&self, at: u64, byte: u8) {
        let byte_len = self.used - self.desc + 6 + 8 * u64::from(self.size);
        store(self.desc + at % byte_len, byte);
    }

    pub(crate) fn store_no_notify(&self, flag: u16) {
        store(self.used, flag);
    }

    pub(crate) fn store_avail_event(&self, idx: u16) {
        store(self.used + 4 + 8 * u64::from(self.size), idx);
    }
}

fn load<T: Copy>(addr: u64) -> T {
    // SAFETY: within a ring of the driver under test; Miri checks.
    unsafe { (addr as usize as *const T).read_volatile() }
}

fn store<T>(addr: u64, value: T) {
    // SAFETY: as in `load`.
    unsafe { (addr as usize as *mut T).write_volatile(value) };
}
