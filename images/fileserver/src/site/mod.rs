//! A site: an ordinary tar in memory, indexed in place.
//!
//! ```text
//!   archive  ┌──────┬───────────┬──────┬──────┬─────┐     read only, never copied
//!            │header│ body, pad │header│ body │ ... │
//!            └──▲───┴──▲────────┴──▲───┴──▲───┴─────┘
//!   entries  ┌──┼──────┼─┬─ ─ ─┬───┼──────┼─┬─ ─ ─┐        128 bytes each, a hash table
//!            │ path  body│     │  path  body│     │        with open addressing
//!            └───────────┴─ ─ ─┴────────────┴─ ─ ─┘
//! ```
//!
//! Two passes: [`Archive::census`] reads the headers and says how many slots the table needs; the
//! caller finds the memory; [`Archive::index`] fills it. A lookup is one hash and one compare.
//!
//! The archive is what any `tar` writes: ustar, pax (path, linkpath, size, mtime, also for the
//! whole archive), GNU's long names and base-256 numbers, and the older format of version 7.
//! The last entry of a name wins, as in extraction. Links within the archive are followed at
//! boot. Devices and other kinds are left out and counted. What would be served wrong is refused:
//! every malformed header, a name that leaves the site, a link that leads nowhere, a sparse file,
//! an archive without its end mark. The reader is ours because tar-no-std 0.5, the one `no_std`
//! crate that is kept up, has no pax paths, no GNU long names and no links, and copies names.

mod block;
mod error;
mod index;
mod links;
mod media;
mod members;
pub(crate) mod path;
mod pax;
mod table;
#[cfg(test)]
mod tests;

pub use error::{Fault, SiteError};
pub use index::{Archive, Census};
pub use media::MediaType;
pub use path::PATH_MAX;

use crate::http::Validators;
use table::{Content, Node, Table};

/// Memory for one place of the table: 128 bytes, what a lookup reads first in the front half.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Entry(Node);

impl Entry {
    /// What the memory for the table is filled with before [`Archive::index`].
    pub const VACANT: Self = Self(Node::VACANT);
}

/// What is sent for a path: a body, and what its header fields are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// The bytes of the file, where they lie in the archive.
    pub body: &'static [u8],
    /// Last change, seconds since 1970, 0 to the end of the year 9999.
    pub mtime: i64,
    /// From the extension of the name.
    pub media: MediaType,
    /// What a client keeps to ask whether its copy is still good.
    pub validators: Validators,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'s> {
    /// A file.
    File(&'s Representation),
    /// A folder, with its `index.html` when it has one.
    Folder(Option<&'s Representation>),
}

/// An indexed archive. Read only from here on: cores may share it.
#[derive(Clone, Copy)]
pub struct Site {
    archive: &'static [u8],
    table: Table<&'static [Entry]>,
    file_cnt: usize,
    folder_cnt: usize,
    skipped_cnt: usize,
    has_alias: bool,
}

impl Site {
    /// What `path` names: without a slash at either end, normal, already percent-decoded.
    /// The empty path is the root.
    #[inline]
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<Found<'_>> {
        match self.table.find(path) {
            Some(node) if !matches!(node.content, Content::Alias(_)) => self.found(node),
            _ if self.has_alias => self.find_through_alias(path),
            _ => None,
        }
    }

    #[inline]
    fn found<'s>(&'s self, node: &'s Node) -> Option<Found<'s>> {
        match &node.content {
            Content::File(file) => Some(Found::File(file)),
            Content::Folder(index_idx) => {
                let index = index_idx.and_then(|slot_idx| self.table.node(slot_idx));
                Some(Found::Folder(index.and_then(
                    |index| match &index.content {
                        Content::File(file) => Some(file),
                        _ => None,
                    },
                )))
            }
            Content::Vacant | Content::Link(_) | Content::Alias(_) => None,
        }
    }

    /// A path through a link to a folder.
    #[inline(never)]
    fn find_through_alias(&self, path: &[u8]) -> Option<Found<'_>> {
        let slot_idx = links::resolve(&self.table, path).ok()?;
        self.found(self.table.node(slot_idx)?)
    }

    /// Every file, in no order, links included.
    pub fn files(&self) -> impl Iterator<Item = &Representation> {
        self.table.nodes().filter_map(|node| match &node.content {
            Content::File(file) => Some(file),
            _ => None,
        })
    }

    /// The archive that the bodies lie in.
    #[must_use]
    pub fn archive(&self) -> &'static [u8] {
        self.archive
    }

    /// Files, links to files included.
    #[must_use]
    pub fn file_cnt(&self) -> usize {
        self.file_cnt
    }

    /// Folders, the root and those that the archive does not list included.
    #[must_use]
    pub fn folder_cnt(&self) -> usize {
        self.folder_cnt
    }

    /// Entries that are neither file nor folder nor link.
    #[must_use]
    pub fn skipped_cnt(&self) -> usize {
        self.skipped_cnt
    }
}
