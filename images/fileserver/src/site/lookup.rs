//! What a path names in an indexed archive.

use super::coding::Coding;
use super::file::{AS_VARIANT, File, Representation};
use super::links;
use super::roots::{file_of, for_each_root};
use super::rules::{self, Redirect, RuleFault};
use super::table::{Content, Entry, Node, Table};

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
    pub(super) archive: &'static [u8],
    pub(super) table: Table<&'static [Entry]>,
    pub(super) file_cnt: usize,
    pub(super) folder_cnt: usize,
    pub(super) skipped_cnt: usize,
    pub(super) has_alias: bool,
    pub(super) has_hosts: bool,
    pub(super) redirects: &'static [Redirect],
    pub(super) has_forced_redirects: bool,
    pub(super) crowded_cnt: usize,
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
        for_each_root(&self.table, self.has_hosts, |root| {
            let text = |name| file_of(&self.table, root, name).unwrap_or(&[]);
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
