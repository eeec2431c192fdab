//! The sites of an archive: it is one, or each folder in it is that of a host.

use core::borrow::Borrow;

use super::path::PathBuf;
use super::table::{Content, Entry, Table};

/// Calls `visit` with the folder of each site: the root, or each folder in it.
pub(super) fn for_each_root<M: Borrow<[Entry]>>(
    table: &Table<M>,
    has_hosts: bool,
    mut visit: impl FnMut(&'static [u8]),
) {
    if !has_hosts {
        return visit(&[]);
    }
    for node in table.nodes().filter(|node| node.is_folder()) {
        if let Some(name) = node.path.single()
            && !name.is_empty()
        {
            visit(name);
        }
    }
}

/// The bytes of a file in the folder of a site.
pub(super) fn file_of<M: Borrow<[Entry]>>(
    table: &Table<M>,
    root: &[u8],
    name: &[u8],
) -> Option<&'static [u8]> {
    let mut path = PathBuf::new();
    path.walk(root).ok()?;
    path.walk(name).ok()?;
    match &table.find(path.as_bytes())?.content {
        Content::File(file) => Some(file.body),
        _ => None,
    }
}

/// The folder of the site that a path belongs to.
pub(super) fn root_of(path: &[u8], has_hosts: bool) -> &[u8] {
    let name = path.split(|byte| *byte == b'/').next();
    name.filter(|_| has_hosts).unwrap_or(&[])
}
