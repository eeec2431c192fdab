//! From the bytes of an archive to a site, in memory that the caller finds.

use super::error::{Fault, SiteError};
use super::index::Archive;
use super::{Entry, Site};

/// Where a site's tables come from: taken at boot, kept for good.
pub trait Memory {
    /// `cnt` values made by `init`; `None` when there is not so much memory.
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]>;
}

impl Site {
    /// Indexes `archive`, a tar that zeros may follow, as an initrd is padded.
    ///
    /// `seed` is any number that the writer of the archive does not know.
    ///
    /// # Errors
    /// Whatever is malformed, see [`Fault`]; `NoSpace` when `memory` has not enough.
    pub fn open(
        archive: &'static [u8],
        seed: u64,
        memory: &mut impl Memory,
    ) -> Result<Self, SiteError> {
        let no_space = SiteError {
            fault: Fault::NoSpace,
            offset: 0,
            name: &[],
        };
        let archive = Archive::new(archive);
        let slot_cnt = archive.census()?.slot_cnt;
        let entries = memory.take(slot_cnt, || Entry::VACANT).ok_or(no_space)?;
        let draft = archive.index(entries, seed)?;
        let text = memory.take(draft.text_len(), || 0u8).ok_or(no_space)?;
        draft.finish(text)
    }
}
