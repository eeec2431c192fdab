//! Memory for answers in several parts that do not fit into a send queue at once: few, bounded for
//! all connections. When all are in use, a request for several ranges gets the whole file.

use crate::http::Parts;

/// Answers in several parts at once.
pub const PARTS_CNT: usize = 8;

/// Parts, each in use by one connection or by none.
pub(super) struct PartsTable {
    parts: [Parts; PARTS_CNT],
    /// A bit for each that is not in use.
    free: u8,
}

/// Parts that are in use. They go back by [`PartsTable::give_back`].
#[derive(Debug)]
pub(super) struct PartsIdx(u8);

impl PartsTable {
    pub(super) const fn new() -> Self {
        Self {
            parts: [Parts::NONE; PARTS_CNT],
            free: u8::MAX,
        }
    }

    /// Those that [`take_vacant`](Self::take_vacant) would give.
    pub(super) fn vacant(&mut self) -> Option<&mut Parts> {
        self.parts.get_mut(self.free.trailing_zeros() as usize)
    }

    pub(super) fn take_vacant(&mut self) -> Option<PartsIdx> {
        let idx = self.free.trailing_zeros() as u8;
        if usize::from(idx) >= PARTS_CNT {
            return None;
        }
        self.free &= !(1 << idx);
        Some(PartsIdx(idx))
    }

    pub(super) fn give_back(&mut self, idx: Option<PartsIdx>) {
        if let Some(PartsIdx(idx)) = idx {
            self.free |= 1 << idx;
        }
    }

    pub(super) fn get(&mut self, idx: &PartsIdx) -> Option<&mut Parts> {
        self.parts.get_mut(usize::from(idx.0))
    }

    pub(super) fn free_cnt(&self) -> usize {
        self.free.count_ones() as usize
    }
}

const _: () = assert!(PARTS_CNT == u8::BITS as usize);
