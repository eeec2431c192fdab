//! Precompressed variants are told to the file that they are of, at boot.

use super::coding::Coding;
use super::error::SiteError;
use super::file::File;
use super::path::PathBuf;
use super::table::{Content, Entry, Place, Table};

/// Tells every file which variants it has. One that is not smaller than the file is none.
pub(super) fn attach(table: &mut Table<&'static mut [Entry]>) -> Result<(), SiteError> {
    let mut path = PathBuf::new();
    for slot_idx in 0..table.slot_cnt() {
        let Some(node) = table.node(slot_idx) else {
            continue;
        };
        let Content::File(File { body, .. }) = node.content else {
            continue;
        };
        let fail = |fault| SiteError {
            fault,
            offset: 0,
            name: node.path.name(),
        };
        let joined = node.path.join(&mut path).map_err(fail)?;
        let Some((coding, base)) = Coding::of_path(joined) else {
            continue;
        };
        let Ok(Place::Taken(base_idx)) = table.place(base) else {
            continue;
        };
        let len_at = |idx| match table.node(idx).map(|node| &node.content) {
            Some(Content::File(file)) => file.body.len(),
            _ => usize::MAX,
        };
        let mut variants = match table.node(base_idx).map(|node| &node.content) {
            Some(Content::File(file)) if body.len() < file.body.len() => file.variants,
            _ => continue,
        };
        variants.add(coding, slot_idx, len_at);
        if let Some(node) = table.node_mut(base_idx)
            && let Content::File(file) = &mut node.content
        {
            file.variants = variants;
        }
    }
    Ok(())
}
