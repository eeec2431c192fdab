//! Who holds most: the entries of the table, in lists by how many frames they hold.
//!
//! A list is for entries whose count has the same number of bits, so whoever is in the last list
//! that is not empty holds more than half of what anyone holds, and is found without a search.

use super::entry::{GapEntry, GapIdx, Link};

/// The first entry of each list.
#[derive(Debug)]
pub(super) struct Sizes([GapIdx; LISTS]);

impl Sizes {
    pub(super) const fn new() -> Self {
        Self([GapIdx::NONE; LISTS])
    }

    /// One of those who hold most; `None` when nobody holds anything.
    pub(super) fn largest(&self) -> Option<GapIdx> {
        let lists = self.0.iter().skip(1).rev();
        lists.copied().find(|first| first.is_some())
    }

    /// Entry `at` holds `frames` frames now.
    #[inline]
    pub(super) fn set(&mut self, entries: &mut [GapEntry<'_>], at: GapIdx, frames: u16) {
        // At most 16.
        let list = (u16::BITS - frames.leading_zeros()) as u8;
        let Some(entry) = entries.get_mut(at.get()) else {
            return;
        };
        if entry.link.list != list {
            self.unlink(entries, at);
            self.link(entries, at, list);
        }
    }

    fn unlink(&mut self, entries: &mut [GapEntry<'_>], at: GapIdx) {
        let Some(entry) = entries.get_mut(at.get()) else {
            return;
        };
        let Link {
            previous,
            next,
            list,
        } = core::mem::take(&mut entry.link);
        if list == 0 {
            return;
        }
        match entries.get_mut(previous.get()) {
            Some(previous) => previous.link.next = next,
            None => self.0[usize::from(list)] = next,
        }
        if let Some(next) = entries.get_mut(next.get()) {
            next.link.previous = previous;
        }
    }

    fn link(&mut self, entries: &mut [GapEntry<'_>], at: GapIdx, list: u8) {
        if list == 0 {
            return;
        }
        let next = core::mem::replace(&mut self.0[usize::from(list)], at);
        if let Some(next) = entries.get_mut(next.get()) {
            next.link.previous = at;
        }
        if let Some(entry) = entries.get_mut(at.get()) {
            entry.link = Link {
                previous: GapIdx::NONE,
                next,
                list,
            };
        }
    }
}

/// One for each number of bits of a `u16`, and none.
const LISTS: usize = 17;
