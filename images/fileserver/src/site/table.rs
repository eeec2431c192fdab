//! The table of paths: open addressing with linear probing, in memory that the caller gives.

use core::borrow::{Borrow, BorrowMut};

use super::error::Fault;
use super::file::File;
use super::path::Path;

/// Memory for one place of the table: 128 bytes, what a lookup reads first in the front half.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Entry(Node);

impl Entry {
    /// What the memory for the table is filled with before it is
    /// [indexed](super::Archive::index).
    pub const VACANT: Self = Self(Node::VACANT);
}

/// What a place of the table holds.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Vacant,
    File(File),
    /// A folder, and the place of its `index.html`.
    Folder(Option<usize>),
    /// A folder without one, and the page that lists it.
    Listed(File),
    /// A symbolic link that is not followed yet; the target as the archive has it.
    Link(&'static [u8]),
    /// A link that leads to the folder in that place.
    Alias(usize),
}

/// A path and what it names.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) path: Path,
    pub(super) content: Content,
}

impl Node {
    pub(super) const VACANT: Self = Self {
        path: Path::EMPTY,
        content: Content::Vacant,
    };

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder(_) | Content::Listed(_))
    }
}

/// The table over its memory: `&mut [Entry]` while it is filled, `&[Entry]` after.
#[derive(Clone, Copy)]
pub(super) struct Table<M> {
    memory: M,
    seed: u64,
}

/// Where a path is, or would be.
pub(super) enum Place {
    Taken(usize),
    Free(usize),
}

impl<M: Borrow<[Entry]>> Table<M> {
    pub(super) fn new(memory: M, seed: u64) -> Self {
        Self { memory, seed }
    }

    fn entries(&self) -> &[Entry] {
        self.memory.borrow()
    }

    pub(super) fn node(&self, slot_idx: usize) -> Option<&Node> {
        self.entries().get(slot_idx).map(|entry| &entry.0)
    }

    /// Every place that is taken.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        let taken = |node: &&Node| !matches!(node.content, Content::Vacant);
        self.entries().iter().map(|entry| &entry.0).filter(taken)
    }

    pub(super) fn slot_cnt(&self) -> usize {
        self.entries().len()
    }

    /// A number for `bytes` under the table's seed.
    pub(super) fn keyed(&self, bytes: &[u8]) -> u64 {
        hash(self.seed.rotate_left(32), bytes)
    }

    /// The first place to look at. The high half of the hash, scaled to the table.
    #[inline]
    fn home(&self, path: &[u8]) -> usize {
        let scaled = u128::from(hash(self.seed, path)) * self.slot_cnt() as u128;
        (scaled >> 64) as usize
    }

    #[inline]
    pub(super) fn find(&self, path: &[u8]) -> Option<&Node> {
        match self.place(path) {
            Ok(Place::Taken(slot_idx)) => self.node(slot_idx),
            _ => None,
        }
    }

    /// Where `path` is or belongs.
    ///
    /// # Errors
    /// `NoSpace` in a full table, `Crowded` after [`PROBES_MAX`] places that are taken by others.
    #[inline]
    pub(super) fn place(&self, path: &[u8]) -> Result<Place, Fault> {
        let entries = self.entries();
        let mut slot_idx = self.home(path);
        for _ in 0..PROBES_MAX.min(entries.len()) {
            let Some(Entry(node)) = entries.get(slot_idx) else {
                break;
            };
            if matches!(node.content, Content::Vacant) {
                return Ok(Place::Free(slot_idx));
            }
            if node.path.is(path) {
                return Ok(Place::Taken(slot_idx));
            }
            slot_idx += 1;
            if slot_idx >= entries.len() {
                slot_idx = 0;
            }
        }
        Err(if entries.len() > PROBES_MAX {
            Fault::Crowded
        } else {
            Fault::NoSpace
        })
    }
}

impl<M: BorrowMut<[Entry]>> Table<M> {
    pub(super) fn node_mut(&mut self, slot_idx: usize) -> Option<&mut Node> {
        let entry = self.memory.borrow_mut().get_mut(slot_idx);
        entry.map(|entry| &mut entry.0)
    }

    pub(super) fn put(&mut self, slot_idx: usize, node: Node) {
        if let Some(entry) = self.memory.borrow_mut().get_mut(slot_idx) {
            *entry = Entry(node);
        }
    }

    pub(super) fn into_memory(self) -> M {
        self.memory
    }

    pub(super) fn clear(&mut self) {
        self.memory.borrow_mut().fill(Entry::VACANT);
    }
}

/// A keyed hash: multiply and fold, eight bytes at a step. What can be asked for is remote, but
/// what is in the table is not: a seed only keeps an archive from crowding one place on purpose.
#[inline]
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIERS[0]);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MULTIPLIERS[1]);
    }
    fold(
        fold(state ^ last_word(bytes, tail), MULTIPLIERS[1]) ^ seed,
        MULTIPLIERS[2],
    )
}

/// What is left behind the words of `bytes`: with bytes before it or twice, as the length is known
/// to the hash.
#[inline]
fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(front), Some(back)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        let half = |bytes: [u8; 4]| u64::from(u32::from_le_bytes(bytes));
        return half(*front) << 32 | half(*back);
    }
    let byte = |at: usize| tail.get(at).copied().map_or(0, u64::from);
    byte(0) << 16 | byte(1) << 8 | byte(2)
}

/// Both halves of the product, one over the other.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// Odd numbers with bits all over: the fractions of the square roots of 2, 3 and 5.
const MULTIPLIERS: [u64; 3] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
];

/// Places looked at before a table counts as crowded. At two thirds full a hash leaves runs of
/// some tens even with a million files.
const PROBES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
    }

    #[test]
    fn hash_depends_on_every_byte_and_the_seed() {
        let path = b"a/longer/path/than/two/words.html";
        for at in 0..path.len() {
            let mut other = *path;
            other[at] ^= 1;
            assert_ne!(hash(1, path), hash(1, &other));
            assert_ne!(hash(1, path), hash(1, &path[..at]));
            for byte in 0..at {
                let mut other = *path;
                other[byte] ^= 1;
                assert_ne!(hash(1, &path[..at]), hash(1, &other[..at]));
            }
        }
        assert_ne!(hash(1, path), hash(2, path));
    }
}
