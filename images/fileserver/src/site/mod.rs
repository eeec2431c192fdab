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
//! [`Site::open`] does it, in memory that the caller finds: [`Archive::census`] reads the headers
//! and says how many slots the table needs, [`Archive::index`] fills it, then the heads of answers
//! are written. A lookup is one hash and one compare.
//!
//! The archive is what any `tar` writes: ustar, pax (path, linkpath, size, mtime, also for the
//! whole archive), GNU's long names and base-256 numbers, and the older format of version 7.
//! The last entry of a name wins, as in extraction. Links within the archive are followed at
//! boot. Devices and other kinds are left out and counted. What would be served wrong is refused:
//! every malformed header, a name that leaves the site, a link that leads nowhere, a sparse file,
//! an archive without its end mark. The reader is ours because tar-no-std 0.5, the one `no_std`
//! crate that is kept up, has no pax paths, no GNU long names and no links, and copies names.

mod block;
mod coding;
mod digest;
mod draft;
mod error;
mod head;
mod index;
mod links;
mod listing;
mod media;
mod members;
mod open;
pub(crate) mod path;
mod pax;
mod rules;
mod table;
#[cfg(test)]
mod tests;

pub use coding::Coding;
pub use error::{Fault, SiteError};
pub use index::{Archive, Census};
pub use media::MediaType;
pub use open::{Memory, Options};
pub use path::PATH_MAX;
pub use rules::{HEADERS_LEN_MAX, REDIRECTS_MAX, RuleFault};

use coding::Variants;
use digest::Digest;
pub(crate) use head::Head;
use head::Marks;
pub(crate) use rules::{Captures, Redirect, ToPiece};
use table::{Content, Node, Table};

/// Memory for one place of the table: 128 bytes, what a lookup reads first in the front half.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Entry(Node);

impl Entry {
    /// What the memory for the table is filled with before [`Archive::index`].
    pub const VACANT: Self = Self(Node::VACANT);
}

/// A file of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// The bytes of the file, where they lie in the archive.
    pub body: &'static [u8],
    /// Last change, seconds since 1970, 0 to the end of the year 9999.
    pub mtime: i64,
    /// From the extension of the name.
    pub media: MediaType,
    /// Of the bytes, for the tag.
    digest: Digest,
    variants: Variants,
    /// The head of an answer, and that when the file stands for another one, whose variant it is.
    texts: [&'static [u8]; 2],
    marks: [Marks; 2],
}

/// Which of a file's two heads.
const OWN: usize = 0;
const AS_VARIANT: usize = 1;

/// What is sent for a file: the file or a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// The bytes of the body, where they lie in the archive.
    pub body: &'static [u8],
    /// Last change, seconds since 1970.
    pub mtime: i64,
    pub(crate) head: Head,
}

impl File {
    const NONE: Self = Self {
        body: &[],
        mtime: 0,
        media: MediaType::Unknown,
        digest: Digest::NONE,
        variants: Variants::NONE,
        texts: [&[]; 2],
        marks: [Head::NONE.marks; 2],
    };

    fn new(body: &'static [u8], mtime: i64, path: &[u8]) -> Result<Self, Fault> {
        // The length of a body has room for 64 bits.
        u64::try_from(body.len()).map_err(|_| Fault::Size)?;
        Ok(Self {
            body,
            mtime,
            media: MediaType::of_path(path),
            digest: Digest::of(body),
            ..Self::NONE
        })
    }

    /// The file as it is.
    #[inline]
    #[must_use]
    pub fn identity(&self) -> Representation {
        Representation {
            body: self.body,
            mtime: self.mtime,
            head: self.head(OWN),
        }
    }

    #[inline]
    fn head(&self, which: usize) -> Head {
        Head {
            text: self.texts[which],
            marks: self.marks[which],
        }
    }

    /// Whether there are variants that are smaller.
    #[inline]
    #[must_use]
    pub fn has_variants(&self) -> bool {
        !self.variants.is_empty()
    }
}

impl Representation {
    /// The strong entity tag, with its quotes.
    #[must_use]
    pub fn tag(&self) -> &'static [u8] {
        self.head.tag()
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'s> {
    /// A file.
    File(&'s File),
    /// A folder, with its `index.html`, or the page that lists it, when it has one.
    Folder(Option<&'s File>),
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
    has_hosts: bool,
    redirects: &'static [Redirect],
    has_forced_redirects: bool,
    crowded_cnt: usize,
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
            Content::Listed(listing) => Some(Found::Folder(Some(listing))),
            Content::Vacant | Content::Link(_) | Content::Alias(_) => None,
        }
    }

    /// A path through a link to a folder.
    #[inline(never)]
    fn find_through_alias(&self, path: &[u8]) -> Option<Found<'_>> {
        let slot_idx = links::resolve(&self.table, path).ok()?;
        self.found(self.table.node(slot_idx)?)
    }

    /// The variants of a file, the smallest first, each smaller than the file.
    pub fn variants(&self, file: &File) -> impl Iterator<Item = (Coding, Representation)> {
        let variants = file.variants.iter();
        variants.filter_map(
            |(coding, slot_idx)| match &self.table.node(slot_idx)?.content {
                Content::File(variant) => Some((
                    coding,
                    Representation {
                        head: variant.head(AS_VARIANT),
                        ..variant.identity()
                    },
                )),
                _ => None,
            },
        )
    }

    /// The rules of the site in the folder `root`: all of them, or those that come before files.
    #[inline]
    pub(crate) fn redirects(&self, is_before_files: bool) -> &'static [Redirect] {
        if is_before_files && !self.has_forced_redirects {
            return &[];
        }
        self.redirects
    }

    /// Whether each top-level folder is the site of the host of that name.
    #[inline]
    #[must_use]
    pub fn has_hosts(&self) -> bool {
        self.has_hosts
    }

    /// The folder of the site of a host: that of its name, to which links may lead, or `default`.
    pub(crate) fn root_of_host(&self, host: &[u8]) -> Option<&'static [u8]> {
        let folder = |name: &[u8]| {
            let node = self.table.find(name)?;
            let node = match node.content {
                Content::Alias(slot_idx) => self.table.node(slot_idx)?,
                _ => node,
            };
            let name = node.path.single()?;
            (node.is_folder() && !name.is_empty()).then_some(name)
        };
        folder(host).or_else(|| folder(b"default"))
    }

    /// Rules for redirects, of all `_redirects`.
    #[must_use]
    pub fn redirect_cnt(&self) -> usize {
        self.redirects.len()
    }

    /// Files whose fields of `_headers` are more than fit into an answer, and are left out.
    #[must_use]
    pub fn crowded_cnt(&self) -> usize {
        self.crowded_cnt
    }

    /// Tells of every line of `_redirects` and `_headers` that is left out.
    pub fn rule_faults(&self, mut tell: impl FnMut(RuleFault)) {
        draft::for_each_root(&self.table, self.has_hosts, |root| {
            let text = |name| draft::file_of(&self.table, root, name).unwrap_or(&[]);
            rules::faults(
                root,
                text(rules::REDIRECTS_NAME),
                text(rules::HEADERS_NAME),
                &mut tell,
            );
        });
    }

    /// A number that depends on `tag`, and that the writer of the archive cannot know.
    pub(crate) fn boundary(&self, tag: &[u8]) -> u64 {
        self.table.keyed(tag)
    }

    /// Every file, in no order, links included.
    pub fn files(&self) -> impl Iterator<Item = &File> {
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
