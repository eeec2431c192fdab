//! Links inside the archive, followed at boot. A link to a file becomes that file under another
//! name; a link to a folder becomes an alias, which a lookup walks through.

use core::borrow::Borrow;

use super::error::{Fault, SiteError};
use super::file::File;
use super::media::MediaType;
use super::path::PathBuf;
use super::table::{Content, Entry, Node, Table};

/// Links on the way from one name to its file.
const LINKS_MAX: usize = 16;

/// Follows every link of the table. Says whether there is an alias.
pub(super) fn follow_all(table: &mut Table<&'static mut [Entry]>) -> Result<bool, SiteError> {
    let mut has_alias = false;
    let mut path = PathBuf::new();
    for slot_idx in 0..table.slot_cnt() {
        let Some(&node) = table.node(slot_idx) else {
            continue;
        };
        if !matches!(node.content, Content::Link(_)) {
            continue;
        }
        let fail = |fault| SiteError {
            fault,
            offset: 0,
            name: node.path.name(),
        };
        let joined = node.path.join(&mut path).map_err(fail)?;
        let target_idx = resolve(table, joined).map_err(fail)?;
        let content = match table.node(target_idx).map(|target| target.content) {
            Some(Content::File(file)) => Content::File(File {
                media: MediaType::of_path(joined),
                ..file
            }),
            Some(Content::Folder(_)) => {
                has_alias = true;
                Content::Alias(target_idx)
            }
            _ => return Err(fail(Fault::LinkDangling)),
        };
        table.put(slot_idx, Node { content, ..node });
    }
    Ok(has_alias)
}

/// The place of the file or folder that `path` leads to, through at most [`LINKS_MAX`] links.
pub(super) fn resolve<M: Borrow<[Entry]>>(table: &Table<M>, path: &[u8]) -> Result<usize, Fault> {
    let mut here = PathBuf::new();
    here.append(path)?;
    let mut rest = PathBuf::new();
    for _ in 0..=LINKS_MAX {
        match step(table, here.as_bytes())? {
            Step::There(slot_idx) => return Ok(slot_idx),
            Step::Link { link_len, content } => {
                rest.clear();
                rest.append(here.as_bytes().get(link_len..).unwrap_or(&[]))?;
                here.truncate(link_len);
                match content {
                    Content::Alias(slot_idx) => {
                        let target = table.node(slot_idx).ok_or(Fault::LinkDangling)?;
                        target.path.join(&mut here)?;
                    }
                    Content::Link(target) if target.starts_with(b"/") => {
                        return Err(Fault::LinkOutside);
                    }
                    Content::Link(b"") => return Err(Fault::LinkDangling),
                    Content::Link(target) => {
                        here.pop();
                        here.walk(target)?;
                    }
                    _ => return Err(Fault::LinkDangling),
                }
                here.walk(rest.as_bytes())?;
            }
        }
    }
    Err(Fault::LinkDepth)
}

enum Step {
    There(usize),
    /// The first `link_len` bytes of the path are a link.
    Link {
        link_len: usize,
        content: Content,
    },
}

/// Walks down from the root to the first link on the way. Stops at the first name that is not
/// there: all folders of what is in the table are in the table.
fn step<M: Borrow<[Entry]>>(table: &Table<M>, path: &[u8]) -> Result<Step, Fault> {
    use super::table::Place;
    let ends = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at);
    for end in ends.chain(core::iter::once(path.len())) {
        let front = path.get(..end).unwrap_or(&[]);
        let Ok(Place::Taken(slot_idx)) = table.place(front) else {
            return Err(Fault::LinkDangling);
        };
        let content = table
            .node(slot_idx)
            .map_or(Content::Vacant, |node| node.content);
        match content {
            Content::Link(_) | Content::Alias(_) => {
                return Ok(Step::Link {
                    link_len: end,
                    content,
                });
            }
            Content::File(_) | Content::Folder(_) | Content::Listed(_) if end == path.len() => {
                return Ok(Step::There(slot_idx));
            }
            Content::Folder(_) | Content::Listed(_) => {}
            Content::File(_) | Content::Vacant => return Err(Fault::LinkDangling),
        }
    }
    Err(Fault::LinkDangling)
}
