//! From an archive to a site: counted in one pass, filled in a second.

use super::draft::Draft;
use super::error::{Fault, SiteError};
use super::file::File;
use super::links;
use super::media::MediaType;
use super::members::{Kind, Member, Members};
use super::path::{PathBuf, check};
use super::table::{Content, Entry, Node, Place, Table};
use super::variants;

/// A tar in memory. Zeros may follow it, as an initrd is padded.
#[derive(Clone, Copy)]
pub struct Archive {
    bytes: &'static [u8],
    /// No file has changed later.
    mtime_max: i64,
}

/// What the first pass counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Entries that are files or links.
    pub file_cnt: usize,
    /// Entries that are left out.
    pub skipped_cnt: usize,
    /// Bytes of all bodies.
    pub body_len: usize,
    /// Entries of memory that [`Archive::index`] wants: half as many again as there are paths.
    pub slot_cnt: usize,
}

impl Archive {
    /// The archive in `bytes`.
    #[must_use]
    pub fn new(bytes: &'static [u8]) -> Self {
        Self {
            bytes,
            mtime_max: i64::MAX,
        }
    }

    /// The same, read by a machine that knows what time it is, in seconds since 1970: what has
    /// changed later has changed now (RFC 9110 8.8.2.1).
    #[must_use]
    pub fn read_at(self, now: Option<i64>) -> Self {
        Self {
            mtime_max: now.unwrap_or(i64::MAX).max(0),
            ..self
        }
    }

    /// Reads all headers, checks them and every name, and counts.
    ///
    /// # Errors
    /// Whatever is malformed, see [`Fault`]; `Empty` when there is no file.
    pub fn census(&self) -> Result<Census, SiteError> {
        let mut census = Census::default();
        let mut members = Members::new(self.bytes);
        let (mut path, mut last) = (PathBuf::new(), PathBuf::new());
        let mut path_cnt = 1usize;
        while let Some(member) = members.next()? {
            let joined = member
                .path
                .join(&mut path)
                .map_err(|fault| member.error(fault))?;
            check(joined).map_err(|fault| member.error(fault))?;
            match member.kind {
                Kind::Other => {
                    census.skipped_cnt += 1;
                    continue;
                }
                Kind::Folder => {}
                Kind::File | Kind::HardLink | Kind::SymLink => {
                    if joined.is_empty() {
                        return Err(member.error(Fault::Nameless));
                    }
                    census.file_cnt += 1;
                    census.body_len = census.body_len.saturating_add(member.body.len());
                }
            }
            // Folders that the entry before did not have on its way: an upper bound, and exact
            // for archives that were written folder by folder.
            let pairs = joined.iter().zip(last.as_bytes());
            let shared_len = pairs.take_while(|(a, b)| a == b).count();
            let fresh = joined.get(shared_len..).unwrap_or(&[]);
            path_cnt += 1 + fresh.iter().filter(|&&byte| byte == b'/').count();
            core::mem::swap(&mut path, &mut last);
        }
        if census.file_cnt == 0 {
            return Err(SiteError::of(Fault::Empty));
        }
        census.slot_cnt = path_cnt + path_cnt / 2 + 4;
        Ok(census)
    }

    /// Fills the table in `memory`, follows links, finds each folder's `index.html`.
    ///
    /// `seed` is any number that the writer of the archive does not know.
    ///
    /// # Errors
    /// As [`census`](Self::census), and `NoSpace` when `memory` is shorter than it said.
    pub fn index(&self, memory: &'static mut [Entry], seed: u64) -> Result<Draft, SiteError> {
        let mut builder = Builder {
            table: Table::new(memory, seed),
            path: PathBuf::new(),
            mtime_max: self.mtime_max,
        };
        builder.table.clear();
        let root = Node {
            content: Content::Folder(None),
            ..Node::VACANT
        };
        match builder.table.place(b"").map_err(SiteError::of)? {
            Place::Free(slot_idx) | Place::Taken(slot_idx) => builder.table.put(slot_idx, root),
        }
        let mut members = Members::new(self.bytes);
        let (mut skipped_cnt, mut has_link) = (0, false);
        while let Some(member) = members.next()? {
            has_link |= member.kind == Kind::SymLink;
            skipped_cnt += usize::from(member.kind == Kind::Other);
            builder.add(&member).map_err(|fault| member.error(fault))?;
        }
        let has_alias = has_link && links::follow_all(&mut builder.table)?;
        builder.attach_index_files()?;
        variants::attach(&mut builder.table)?;
        let Builder { table, .. } = builder;
        let is_file = |node: &&Node| matches!(node.content, Content::File(_));
        let file_cnt = table.nodes().filter(is_file).count();
        if file_cnt == 0 {
            return Err(SiteError::of(Fault::Empty));
        }
        Ok(Draft {
            archive: self.bytes,
            table,
            seed,
            file_cnt,
            skipped_cnt,
            has_alias,
            has_hosts: false,
            order: &[],
            redirects: &[],
        })
    }
}

struct Builder {
    table: Table<&'static mut [Entry]>,
    path: PathBuf,
    mtime_max: i64,
}

impl Builder {
    fn add(&mut self, member: &Member) -> Result<(), Fault> {
        let path = member.path.join(&mut self.path)?;
        check(path)?;
        let content = match member.kind {
            Kind::Other => return Ok(()),
            Kind::Folder => Content::Folder(None),
            _ if path.is_empty() => return Err(Fault::Nameless),
            Kind::SymLink => Content::Link(member.link),
            Kind::File => {
                let mtime = member.mtime.min(self.mtime_max);
                Content::File(File::new(member.body, mtime, path)?)
            }
            Kind::HardLink => {
                let target = Self::hard_link_target(&self.table, member.link)?;
                match target {
                    Content::File(file) => Content::File(File {
                        media: MediaType::of_path(path),
                        ..file
                    }),
                    other => other,
                }
            }
        };
        let node = Node {
            path: member.path,
            content,
        };
        match self.table.place(path)? {
            Place::Free(slot_idx) => {
                self.table.put(slot_idx, node);
                self.add_folders(member)
            }
            Place::Taken(slot_idx) => {
                let was_folder = self.table.node(slot_idx).map(|node| node.is_folder());
                match (was_folder.unwrap_or(false), node.is_folder()) {
                    (true, true) => {}
                    (false, false) => self.table.put(slot_idx, node),
                    _ => return Err(Fault::Conflict),
                }
                Ok(())
            }
        }
    }

    /// The folders on the way to an entry, which an archive need not list.
    fn add_folders(&mut self, member: &Member) -> Result<(), Fault> {
        let path = self.path.as_bytes();
        for (slash, _) in path
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'/')
        {
            let folder = path.get(..slash).unwrap_or(&[]);
            match self.table.place(folder)? {
                Place::Free(slot_idx) => {
                    let path = member.path.up_to(slash);
                    self.table.put(
                        slot_idx,
                        Node {
                            path,
                            content: Content::Folder(None),
                        },
                    );
                }
                Place::Taken(slot_idx) => {
                    // A folder that is there has its own folders above it.
                    return match self.table.node(slot_idx) {
                        Some(node) if node.is_folder() => Ok(()),
                        _ => Err(Fault::Conflict),
                    };
                }
            }
        }
        Ok(())
    }

    /// A hard link names an entry before it.
    fn hard_link_target(
        table: &Table<&'static mut [Entry]>,
        link: &'static [u8],
    ) -> Result<Content, Fault> {
        let (path, _) = super::path::Path::trim(&[], link);
        check(path.name()).map_err(|fault| match fault {
            Fault::Absolute | Fault::DotDot => Fault::LinkOutside,
            other => other,
        })?;
        let target = table.find(path.name()).map(|node| node.content);
        match target {
            Some(content @ (Content::File(_) | Content::Link(_))) => Ok(content),
            _ => Err(Fault::LinkDangling),
        }
    }

    /// Gives each folder its `index.html`.
    fn attach_index_files(&mut self) -> Result<(), SiteError> {
        for slot_idx in 0..self.table.slot_cnt() {
            let Some(&Node {
                path,
                content: Content::File(_),
            }) = self.table.node(slot_idx)
            else {
                continue;
            };
            let fail = |fault| SiteError {
                fault,
                offset: 0,
                name: path.name(),
            };
            let joined = path.join(&mut self.path).map_err(fail)?;
            let folder = match joined.strip_suffix(b"index.html") {
                Some(b"") => b"",
                Some(front) => match front.strip_suffix(b"/") {
                    Some(folder) => folder,
                    None => continue,
                },
                None => continue,
            };
            let Place::Taken(folder_idx) = self.table.place(folder).map_err(fail)? else {
                continue;
            };
            if let Some(&node) = self.table.node(folder_idx)
                && node.is_folder()
            {
                let content = Content::Folder(Some(slot_idx));
                self.table.put(folder_idx, Node { content, ..node });
            }
        }
        Ok(())
    }
}
