//! From four-tuple to connection: a keyed hash table with open addressing.
//!
//! ```text
//!   hash ─► │ hash, value │ hash, value │  empty  │      probe until empty
//! ```
//!
//! An entry is the 32-bit hash and a tagged index, so that a probe compares hashes and touches the
//! connection only when it is most likely the right one. Removal shifts later entries back, so
//! there are no tombstones and no decay. The table is at most half full by construction, and the
//! key is secret, so nobody can aim at one chain.

use managed::ManagedSlice;

use super::tuple::Tuple;

/// What a four-tuple leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A connection, by its slot.
    Conn(u32),
    /// A half-open connection in a listener's SYN queue.
    Syn(u32),
    /// A connection in TIME-WAIT.
    TimeWait(u32),
}

/// One place in the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemuxEntry {
    hash: u32,
    /// 0 when empty, else kind and index plus one.
    value: u32,
}

pub(crate) struct Demux<'p> {
    entries: ManagedSlice<'p, DemuxEntry>,
    mask: usize,
    key: [u64; 4],
    used: usize,
}

impl<'p> Demux<'p> {
    /// Uses the largest power of two of `entries`.
    pub(crate) fn new(mut entries: ManagedSlice<'p, DemuxEntry>, key: [u64; 4]) -> Self {
        let size = 1_usize << entries.len().max(1).ilog2();
        entries.fill(DemuxEntry::default());
        Self {
            entries,
            mask: size - 1,
            key,
            used: 0,
        }
    }

    /// How many four-tuples it may hold: half of its places.
    pub(crate) fn capacity(&self) -> usize {
        self.entries.len().min(self.mask + 1) / 2
    }

    /// Whether one more has a place.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.used < self.capacity()
    }

    /// The keyed hash: two folded multiplications over both endpoints. The table uses its low half.
    #[inline]
    pub(crate) fn hash(&self, tuple: Tuple) -> u64 {
        let [k0, k1, k2, k3] = self.key;
        let (local, remote) = tuple.addrs();
        let ports = u64::from(tuple.ports());
        let first = fold(u64::from(remote.to_bits()) ^ k0, ports ^ k1);
        let second = fold(first ^ u64::from(local.to_bits()) ^ k2, k3);
        second ^ first.rotate_left(32)
    }

    /// The entry of `hash` for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(Found) -> bool) -> Option<Found> {
        let mut at = hash as usize & self.mask;
        // At most half of the places are used, so an empty one ends every chain.
        for _ in 0..=self.mask {
            let entry = self.entries.get(at)?;
            let found = found(entry.value)?;
            if entry.hash == hash as u32 && is_it(found) {
                return Some(found);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// Adds an entry; false when the table holds its most.
    pub(crate) fn insert(&mut self, hash: u64, to: Found) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut at = hash as usize & self.mask;
        while self.entries[at].value != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = DemuxEntry {
            hash: hash as u32,
            value: value(to),
        };
        self.used += 1;
        true
    }

    /// Makes the entry of `hash` that leads to `from` lead to `to`.
    pub(crate) fn replace(&mut self, hash: u64, from: Found, to: Found) {
        if let Some(at) = self.position(hash, from) {
            self.entries[at].value = value(to);
        }
    }

    /// Removes the entry of `hash` that leads to `to`.
    pub(crate) fn remove(&mut self, hash: u64, to: Found) {
        let Some(mut hole) = self.position(hash, to) else {
            return;
        };
        self.used -= 1;
        let mut at = hole;
        // Shift back what would no longer be found past the hole.
        loop {
            at = (at + 1) & self.mask;
            let entry = self.entries[at];
            if entry.value == 0 {
                break;
            }
            let home = entry.hash as usize & self.mask;
            let from_home = at.wrapping_sub(home) & self.mask;
            let from_hole = at.wrapping_sub(hole) & self.mask;
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = DemuxEntry::default();
    }

    fn position(&self, hash: u64, to: Found) -> Option<usize> {
        let mut at = hash as usize & self.mask;
        for _ in 0..=self.mask {
            let entry = self.entries[at];
            if entry.value == 0 {
                return None;
            }
            if entry.hash == hash as u32 && entry.value == value(to) {
                return Some(at);
            }
            at = (at + 1) & self.mask;
        }
        None
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    product as u64 ^ (product >> 64) as u64
}

const KIND_SHIFT: u32 = 30;
const INDEX_MASK: u32 = (1 << KIND_SHIFT) - 1;

/// Most entries of one kind: what the index can name.
pub(crate) const INDEX_MAX: usize = (INDEX_MASK - 1) as usize;

#[inline]
fn value(found: Found) -> u32 {
    let (kind, idx) = match found {
        Found::Conn(idx) => (0, idx),
        Found::Syn(idx) => (1, idx),
        Found::TimeWait(idx) => (2, idx),
    };
    kind << KIND_SHIFT | (idx + 1)
}

#[inline]
fn found(value: u32) -> Option<Found> {
    let idx = (value & INDEX_MASK).checked_sub(1)?;
    match value >> KIND_SHIFT {
        0 => Some(Found::Conn(idx)),
        1 => Some(Found::Syn(idx)),
        _ => Some(Found::TimeWait(idx)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Endpoint, FourTuple};
    use core::net::Ipv4Addr;
    use std::collections::HashMap;
    use std::vec;

    fn tuple(n: u32) -> Tuple {
        let local = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 80);
        let remote = Endpoint::new(
            Ipv4Addr::from(0x0a01_0000 + n / 60_000),
            (n % 60_000) as u16,
        );
        Tuple::new(&FourTuple { local, remote }).expect("IPv4")
    }

    /// Random insertions and removals against a map; few hashes, so that chains collide and wrap.
    #[test]
    fn agrees_with_a_map() {
        let mut demux = Demux::new(vec![DemuxEntry::default(); 64].into(), [1, 2, 3, 4]);
        let mut model: HashMap<u32, u64> = HashMap::new();
        let mut random = 12_345_u32;
        for _ in 0..100_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let idx = random >> 16 & 63;
            let hash = u64::from((idx * 7 + 60) & 0x3f | (idx << 20));
            if model.remove(&idx).is_some() {
                demux.remove(hash, Found::Conn(idx));
            } else {
                let fits = model.len() < demux.capacity();
                assert_eq!(demux.insert(hash, Found::Conn(idx)), fits);
                if fits {
                    model.insert(idx, hash);
                }
            }
            for (&idx, &hash) in &model {
                assert_eq!(demux.find(hash, |_| true), Some(Found::Conn(idx)));
            }
            assert_eq!(demux.used, model.len());
        }
    }

    #[test]
    fn the_hash_spreads_and_depends_on_the_key() {
        let one = Demux::new(vec![DemuxEntry::default(); 2].into(), [11, 22, 33, 44]);
        let two = Demux::new(vec![DemuxEntry::default(); 2].into(), [11, 22, 33, 45]);
        let mut buckets = [0_u32; 256];
        for n in 0..65_536 {
            buckets[one.hash(tuple(n)) as usize & 255] += 1;
            assert_ne!(one.hash(tuple(n)), two.hash(tuple(n)));
        }
        assert!(
            buckets.iter().all(|&n| (150..400).contains(&n)),
            "{buckets:?}"
        );
    }

    #[test]
    fn kinds_are_told_apart() {
        for idx in [0, 1, 1_000_000, INDEX_MAX as u32] {
            for to in [Found::Conn(idx), Found::Syn(idx), Found::TimeWait(idx)] {
                assert_eq!(found(value(to)), Some(to));
            }
        }
        assert_eq!(found(0), None);
    }
}
