//! An indexed archive on its way to a site: rules are read, listings and the heads of answers
//! written, first counted, then into memory that the caller found.

use super::coding::Coding;
use super::digest::Digest;
use super::error::{Fault, SiteError};
use super::file::File;
use super::head::{HEAD_LEN_MAX, Head, Marks, Source};
use super::listing::{self, Text};
use super::lookup::Site;
use super::media::MediaType;
use super::path::PathBuf;
use super::roots::{file_of, for_each_root, root_of};
use super::rules::{self, HEADERS_NAME, REDIRECTS_NAME, Redirect};
use super::table::{Content, Entry, Node, Table};
use crate::message::HeadWriter;

/// A site whose heads are not written yet.
pub struct Draft {
    pub(super) archive: &'static [u8],
    pub(super) table: Table<&'static mut [Entry]>,
    pub(super) seed: u64,
    pub(super) file_cnt: usize,
    pub(super) skipped_cnt: usize,
    pub(super) has_alias: bool,
    pub(super) has_hosts: bool,
    /// Places of the table by folder and name, when folders are listed.
    pub(super) order: &'static [u32],
    pub(super) redirects: &'static [Redirect],
}

/// A head to be written: what from, and what the site adds.
#[derive(Clone, Copy)]
struct Plan<'a> {
    source: Source<'a>,
    /// The `_headers` that counts, and the path that it is asked for.
    headers: &'static [u8],
    path: &'a [u8],
}

impl Draft {
    /// Rules of all `_redirects`, as many as count.
    pub(super) fn redirect_cnt(&self) -> usize {
        let mut cnt = 0usize;
        for_each_root(&self.table, self.has_hosts, |root| {
            let text = file_of(&self.table, root, REDIRECTS_NAME).unwrap_or(&[]);
            cnt = cnt.saturating_add(rules::count(text));
        });
        cnt.min(rules::REDIRECTS_MAX)
    }

    /// Reads the rules of all `_redirects` into `memory`.
    pub(super) fn read_redirects(&mut self, memory: &'static mut [Redirect]) {
        let mut filled_cnt = 0;
        for_each_root(&self.table, self.has_hosts, |root| {
            let text = file_of(&self.table, root, REDIRECTS_NAME).unwrap_or(&[]);
            let room = memory.get_mut(filled_cnt..).unwrap_or(&mut []);
            filled_cnt += rules::fill(root, text, room);
        });
        let memory: &'static [Redirect] = memory;
        self.redirects = memory.get(..filled_cnt).unwrap_or(&[]);
    }

    /// Bytes of memory that [`finish`](Self::finish) wants.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let mut room = [0; HEAD_LEN_MAX];
        let mut len = 0usize;
        let mut path = PathBuf::new();
        for node in self.table.nodes() {
            let joined = node.path.join(&mut path).unwrap_or(&[]);
            let (file, body_len) = match &node.content {
                Content::File(file) => (*file, file.body.len()),
                Content::Folder(None) if self.is_listed() => {
                    let page_len = self.listing(joined, Text::counting());
                    len = len.saturating_add(page_len);
                    (listing_file(&[], self.newest(joined)), page_len)
                }
                _ => continue,
            };
            for plan in self.plans(joined, &file, body_len).into_iter().flatten() {
                let head_len = write_plan(&plan, &mut room).map_or(0, |(_, len, _)| len);
                len = len.saturating_add(head_len);
            }
        }
        len
    }

    /// Writes listings and the heads of all answers to `text`.
    ///
    /// # Errors
    /// `NoSpace` when `text` is shorter than [`text_len`](Self::text_len).
    pub fn finish(mut self, mut text: &'static mut [u8]) -> Result<Site, SiteError> {
        let mut crowded_cnt = 0;
        let mut path = PathBuf::new();
        for slot_idx in 0..self.table.slot_cnt() {
            let Some(&node) = self.table.node(slot_idx) else {
                continue;
            };
            let joined = node.path.join(&mut path).unwrap_or(&[]);
            let mut file = match node.content {
                Content::File(file) => file,
                Content::Folder(None) if self.is_listed() => {
                    let page_len = self.listing(joined, Text::counting());
                    let page = take(&mut text, page_len)?;
                    self.listing(joined, Text::writing(page));
                    let mtime = self.newest(joined);
                    listing_file(page, mtime)
                }
                _ => continue,
            };
            let plans = self.plans(joined, &file, file.body.len());
            for (which, plan) in plans.into_iter().enumerate() {
                let Some(plan) = plan else { continue };
                let (marks, len, is_crowded) =
                    write_plan(&plan, &mut *text).ok_or(SiteError::of(Fault::NoSpace))?;
                crowded_cnt += usize::from(is_crowded);
                file.texts[which] = take(&mut text, len)?;
                file.marks[which] = marks;
            }
            let content = match node.content {
                Content::File(_) => Content::File(file),
                _ => Content::Listed(file),
            };
            self.table.put(slot_idx, Node { content, ..node });
        }
        Ok(self.into_site(crowded_cnt))
    }

    fn into_site(self, crowded_cnt: usize) -> Site {
        let memory: &'static [Entry] = self.table.into_memory();
        let table = Table::new(memory, self.seed);
        let folder_cnt = table.nodes().filter(|node| node.is_folder()).count();
        Site {
            archive: self.archive,
            table,
            file_cnt: self.file_cnt,
            folder_cnt,
            skipped_cnt: self.skipped_cnt,
            has_alias: self.has_alias,
            has_hosts: self.has_hosts,
            redirects: self.redirects,
            has_forced_redirects: self.redirects.iter().any(|rule| rule.is_forced),
            crowded_cnt,
        }
    }

    fn is_listed(&self) -> bool {
        !self.order.is_empty()
    }

    /// Writes the listing of a folder; its length.
    fn listing(&self, folder: &[u8], text: Text<'_>) -> usize {
        let root = root_of(folder, self.has_hosts);
        let shown = folder.get(root.len()..).unwrap_or(&[]);
        let shown = shown.strip_prefix(b"/").unwrap_or(shown);
        listing::write(&self.table, self.order, folder, shown, text)
    }

    /// The last change of what a folder has.
    fn newest(&self, folder: &[u8]) -> i64 {
        let children = listing::children(&self.table, self.order, folder);
        let times = children.filter_map(|node| match &node.content {
            Content::File(file) => Some(file.mtime),
            _ => None,
        });
        times.max().unwrap_or(0)
    }

    /// What a file's head is written from, and the head under which it stands for another file.
    fn plans<'a>(&'a self, path: &'a [u8], file: &File, body_len: usize) -> [Option<Plan<'a>>; 2] {
        let root = root_of(path, self.has_hosts);
        let headers = file_of(&self.table, root, HEADERS_NAME).unwrap_or(&[]);
        let plan = |path: &'a [u8], media: MediaType, coding, has_variants| {
            let own_path = path.get(root.len()..).unwrap_or(&[]);
            let own_path = own_path.strip_prefix(b"/").unwrap_or(own_path);
            let own_type = rules::content_type(headers, own_path);
            Plan {
                source: Source {
                    body_len,
                    mtime: file.mtime,
                    digest: file.digest,
                    content_type: own_type.unwrap_or(media.as_bytes()),
                    coding,
                    has_variants,
                },
                headers,
                path: own_path,
            }
        };
        let coded = Coding::of_path(path).and_then(|(coding, base_path)| {
            match &self.table.find(base_path)?.content {
                Content::File(base) if base.has_variants() => {
                    Some(plan(base_path, base.media, Some(coding), true))
                }
                _ => None,
            }
        });
        [
            Some(plan(path, file.media, None, file.has_variants())),
            coded,
        ]
    }
}

/// A page that lists a folder, as a file.
fn listing_file(page: &'static [u8], mtime: i64) -> File {
    File {
        body: page,
        mtime,
        digest: Digest::of(page),
        media: MediaType::Html,
        ..File::NONE
    }
}

/// Writes a head to the front of `out`, without what the site adds when that is too much.
fn write_plan(plan: &Plan<'_>, out: &mut [u8]) -> Option<(Marks, usize, bool)> {
    let out_len = out.len().min(HEAD_LEN_MAX);
    let out = out.get_mut(..out_len)?;
    let mut room = [0; HEAD_LEN_MAX];
    let put_own = |head: &mut HeadWriter<'_>| rules::put_own(plan.headers, plan.path, head);
    let full = Head::write(&plan.source, put_own, &mut room);
    match full {
        Some((marks, len)) => {
            out.get_mut(..len)?.copy_from_slice(room.get(..len)?);
            Some((marks, len, false))
        }
        None => {
            let (marks, len) = Head::write(&plan.source, |_| {}, out)?;
            Some((marks, len, true))
        }
    }
}

/// Takes the front of `text`, which is then the rest.
fn take(text: &mut &'static mut [u8], len: usize) -> Result<&'static mut [u8], SiteError> {
    let all = core::mem::take(text);
    let (front, rest) = all
        .split_at_mut_checked(len)
        .ok_or(SiteError::of(Fault::NoSpace))?;
    *text = rest;
    Ok(front)
}
