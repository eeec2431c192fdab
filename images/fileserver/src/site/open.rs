//! From the bytes of an archive to a site, in memory that the caller finds.

use super::error::{Fault, SiteError};
use super::index::Archive;
use super::listing;
use super::lookup::Site;
use super::rules::Redirect;
use super::table::Entry;

/// Where a site's tables come from: taken at boot, kept for good.
pub trait Memory {
    /// `cnt` values made by `init`; `None` when there is not so much memory.
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]>;
}

/// How a site is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Folders without an `index.html` are listed.
    pub listing: bool,
    /// Each top-level folder is the site of the host of that name, `default` that of all others.
    pub hosts: bool,
    /// What time it is, in seconds since 1970, if anybody knows: no file has changed later.
    pub now: Option<i64>,
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
        options: Options,
        seed: u64,
        memory: &mut impl Memory,
    ) -> Result<Self, SiteError> {
        let no_space = SiteError::of(Fault::NoSpace);
        let archive = Archive::new(archive).read_at(options.now);
        let slot_cnt = archive.census()?.slot_cnt;
        let entries = memory.take(slot_cnt, || Entry::VACANT).ok_or(no_space)?;
        let mut draft = archive.index(entries, seed)?;
        draft.has_hosts = options.hosts;
        if options.listing {
            let order = memory.take(slot_cnt, || 0u32).ok_or(no_space)?;
            let listed_cnt = listing::sort(&draft.table, order);
            let order: &'static [u32] = order;
            draft.order = order.get(..listed_cnt).unwrap_or(&[]);
        }
        let rules = memory
            .take(draft.redirect_cnt(), || Redirect::NONE)
            .ok_or(no_space)?;
        draft.read_redirects(rules);
        let text = memory.take(draft.text_len(), || 0u8).ok_or(no_space)?;
        draft.finish(text)
    }
}
