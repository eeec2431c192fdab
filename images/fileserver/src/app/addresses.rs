//! How many connections each address has, in memory that does not grow with addresses.

use simoom::Addr;

/// Counters of connections by address. Which counter an address has depends on a seed that nobody
/// knows; two addresses may share one, the rarer the more counters there are.
#[derive(Debug)]
pub struct Addresses {
    counters: &'static mut [u16],
    seed: u64,
}

/// The counter that a connection is counted in. It goes back by [`Addresses::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressIdx(u16);

impl AddressIdx {
    /// Counted nowhere.
    pub(super) const NONE: Self = Self(u16::MAX);
}

impl Addresses {
    /// Over `counters`, all zero, 65,535 at most; without any nothing is counted. `seed` is any
    /// number that nobody knows.
    #[must_use]
    pub fn new(counters: &'static mut [u16], seed: u64) -> Self {
        let cnt = counters.len().min(u16::MAX.into());
        let counters = counters.get_mut(..cnt).unwrap_or(&mut []);
        Self { counters, seed }
    }

    /// Counts one more for an address, `None` when it has `max` already.
    pub(super) fn add(&mut self, addr: Addr, max: u32) -> Option<AddressIdx> {
        let (high, low) = self.key(addr);
        let state = fold(fold(high ^ self.seed) ^ low);
        let scaled = (u128::from(state) * self.counters.len() as u128) >> 64;
        let idx = u16::try_from(scaled).unwrap_or(u16::MAX);
        let Some(counter) = self.counters.get_mut(usize::from(idx)) else {
            return Some(AddressIdx::NONE);
        };
        if u32::from(*counter) >= max.min(u16::MAX.into()) {
            return None;
        }
        *counter += 1;
        Some(AddressIdx(idx))
    }

    /// What counts as one address: of IPv6 the network, 64 bits, which one person has whole.
    fn key(&self, addr: Addr) -> (u64, u64) {
        match addr.words() {
            words if addr.is_v4() => words,
            (high, _) => (high, 0),
        }
    }

    /// One less.
    pub(super) fn remove(&mut self, idx: AddressIdx) {
        if let Some(counter) = self.counters.get_mut(usize::from(idx.0)) {
            *counter = counter.saturating_sub(1);
        }
    }

    /// Connections counted, for tests.
    pub(super) fn total(&self) -> u64 {
        self.counters.iter().map(|cnt| u64::from(*cnt)).sum()
    }
}

fn fold(state: u64) -> u64 {
    // An odd number with bits all over: the fraction of the square root of 7.
    let product = u128::from(state ^ 0x9e6f_1b4c_8d25_a703) * 0xa54f_f53a_5f1d_36f1;
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::vec;

    #[test]
    fn addresses_are_counted_apart() {
        let mut addresses = Addresses::new(vec![0; 4096].leak(), 7);
        let addr = |n: u32| Addr::v4(Ipv4Addr::from(0x0a00_0000 + n));
        let first: [_; 3] = core::array::from_fn(|_| addresses.add(addr(1), 3).unwrap());
        assert_eq!(addresses.add(addr(1), 3), None);
        let others = (2..66).filter(|n| addresses.add(addr(*n), 1).is_some());
        // A few of them share a counter.
        let others = others.count();
        assert!(others >= 60, "{others}");
        addresses.remove(first[0]);
        assert!(addresses.add(addr(1), 3).is_some());
        assert_eq!(addresses.total(), 3 + others as u64);
    }

    #[test]
    fn without_memory_nothing_is_counted() {
        let mut addresses = Addresses::new(&mut [], 7);
        let addr = Addr::v4(Ipv4Addr::LOCALHOST);
        for _ in 0..10 {
            assert_eq!(addresses.add(addr, 1), Some(AddressIdx::NONE));
        }
        addresses.remove(AddressIdx::NONE);
    }
}
