//! Memory for request heads that straddle frames: few pieces, bounded for all connections.

/// Bytes of one piece: a head beyond them is refused with 431, as beyond
/// [`Limits::DEFAULT`](crate::http::Limits::DEFAULT).
pub const SCRATCH_LEN: usize = 8192;

/// Pieces at most: the bits of a word. Heads that are longer than a frame are few, and gone with
/// the next segment.
const CNT_MAX: usize = 64;

/// Pieces of memory, each in use by one connection or by none.
#[derive(Debug)]
pub struct Scratches {
    memory: &'static mut [u8],
    /// A bit for each piece that is not in use.
    free: u64,
}

/// A piece that is in use. It goes back by [`Scratches::give_back`].
#[derive(Debug)]
pub(super) struct ScratchIdx(u8);

impl Scratches {
    /// As many pieces of [`SCRATCH_LEN`] bytes as `memory` has, 64 at most.
    #[must_use]
    pub fn new(memory: &'static mut [u8]) -> Self {
        let cnt = (memory.len() / SCRATCH_LEN).min(CNT_MAX);
        let free = match cnt {
            CNT_MAX => u64::MAX,
            cnt => (1 << cnt) - 1,
        };
        Self { memory, free }
    }

    pub(super) fn free_cnt(&self) -> usize {
        self.free.count_ones() as usize
    }

    pub(super) fn take(&mut self) -> Option<ScratchIdx> {
        let idx = self.free.trailing_zeros() as u8;
        if usize::from(idx) >= CNT_MAX {
            return None;
        }
        self.free &= !(1 << idx);
        Some(ScratchIdx(idx))
    }

    pub(super) fn give_back(&mut self, idx: Option<ScratchIdx>) {
        if let Some(ScratchIdx(idx)) = idx {
            self.free |= 1 << idx;
        }
    }

    /// The memory of a piece; `None` for no piece.
    pub(super) fn memory(&mut self, idx: Option<&ScratchIdx>) -> Option<&mut [u8]> {
        let start = usize::from(idx?.0) * SCRATCH_LEN;
        self.memory.get_mut(start..start + SCRATCH_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn pieces_are_distinct_bounded_and_used_again() {
        for (len, cnt) in [
            (0, 0),
            (SCRATCH_LEN - 1, 0),
            (3 * SCRATCH_LEN + 7, 3),
            (70 * SCRATCH_LEN, 64),
        ] {
            let mut scratches = Scratches::new(vec![0; len].leak());
            for _ in 0..2 {
                let taken: Vec<_> = (0..cnt).map(|_| scratches.take().unwrap()).collect();
                assert!(scratches.take().is_none());
                for (n, idx) in taken.iter().enumerate() {
                    scratches.memory(Some(idx)).unwrap().fill(n as u8);
                }
                for (n, idx) in taken.iter().enumerate() {
                    let memory = scratches.memory(Some(idx)).unwrap();
                    assert!(memory.len() == SCRATCH_LEN && memory.iter().all(|b| *b == n as u8));
                }
                for idx in taken {
                    scratches.give_back(Some(idx));
                }
                assert_eq!(scratches.free_cnt(), cnt);
            }
        }
    }
}
