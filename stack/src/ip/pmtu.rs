//! What is known of paths that are narrower than our link (RFC 1191).
//!
//! Only what a connection has verified gets in here, so a stranger cannot fill the table.

use heapless::Vec;

use crate::addr::Addr;
use crate::config::{PATH_MTU_AGE, PATH_MTUS_MAX};
use crate::time::Instant;

/// The narrow paths learned last. Where nothing is known, the link's own MTU counts.
#[derive(Debug, Default)]
pub(crate) struct PathMtus {
    entries: Vec<Entry, PATH_MTUS_MAX>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: Addr,
    mtu: u16,
    learned_at: Instant,
}

impl PathMtus {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// The IP MTU of the path to `remote`, if it is known to be narrow.
    pub(crate) fn get(&self, remote: Addr, now: Instant) -> Option<u16> {
        self.entries
            .iter()
            .find(|entry| entry.remote == remote && entry.is_fresh(now))
            .map(|entry| entry.mtu)
    }

    /// Remembers a path. The one learned first goes when there is no room.
    pub(crate) fn learn(&mut self, remote: Addr, mtu: u16, now: Instant) {
        self.entries
            .retain(|entry| entry.remote != remote && entry.is_fresh(now));
        if self.entries.is_full() {
            self.entries.remove(0);
        }
        let _has_room = self.entries.push(Entry {
            remote,
            mtu,
            learned_at: now,
        });
    }

    /// Forgets all: another network has other paths.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl Entry {
    /// RFC 1191 6.3: a path may become wider again.
    fn is_fresh(&self, now: Instant) -> bool {
        now.since(self.learned_at) < PATH_MTU_AGE
    }
}

/// The next smaller size in use, for a router that does not say what it takes (RFC 1191 7.1).
pub(crate) fn plateau_below(mtu: u16) -> u16 {
    const PLATEAUS: [u16; 9] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296];
    PLATEAUS
        .into_iter()
        .find(|plateau| *plateau < mtu)
        .unwrap_or(crate::config::PATH_MTU_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> Addr {
        Addr::v4([10, 0, 0, n].into())
    }

    #[test]
    fn a_path_is_remembered_for_its_time() {
        let mut paths = PathMtus::new();
        paths.learn(host(1), 1_400, Instant::ZERO);
        let end = Instant::ZERO + PATH_MTU_AGE;
        assert_eq!(paths.get(host(1), Instant::ZERO), Some(1_400));
        assert_eq!(paths.get(host(2), Instant::ZERO), None);
        assert_eq!(paths.get(host(1), end), None);
        paths.learn(host(1), 1_300, end);
        assert_eq!(paths.get(host(1), end), Some(1_300));
    }

    #[test]
    fn the_path_learned_first_goes() {
        let mut paths = PathMtus::new();
        for n in 0..=PATH_MTUS_MAX as u8 {
            paths.learn(host(n), 1_400, Instant::ZERO);
        }
        assert_eq!(paths.get(host(0), Instant::ZERO), None);
        let last = host(PATH_MTUS_MAX as u8);
        assert_eq!(paths.get(last, Instant::ZERO), Some(1_400));
    }

    #[test]
    fn plateaus_descend_to_the_least() {
        let mut mtu = u16::MAX;
        let mut steps = 0;
        while mtu > crate::config::PATH_MTU_MIN {
            let below = plateau_below(mtu);
            assert!(below < mtu);
            (mtu, steps) = (below, steps + 1);
        }
        assert_eq!(steps, 10);
    }
}
