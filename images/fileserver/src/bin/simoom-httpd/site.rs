//! SITE: the bytes of a tar, from a file or made of a folder.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

/// A tar that is to be read, once.
pub(crate) struct Archive {
    /// How long it is, bytes.
    pub(crate) len: usize,
    /// Where it comes from.
    pub(crate) reader: Box<dyn Read>,
}

/// Opens SITE.
///
/// # Errors
/// A line that names it, and says what is wrong.
pub(crate) fn open(path: &Path) -> Result<Archive, Box<dyn Error>> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let meta = fs::metadata(path).map_err(said)?;
    if meta.is_dir() {
        let bytes = pack(path).map_err(said)?;
        return Ok(Archive {
            len: bytes.len(),
            reader: Box::new(Cursor::new(bytes)),
        });
    }
    if !meta.is_file() {
        return Err(format!("{}: neither a folder nor a tar archive", path.display()).into());
    }
    let file = File::open(path).map_err(said)?;
    Ok(Archive {
        len: usize::try_from(meta.len())?,
        reader: Box::new(file),
    })
}

/// Packs a folder; links are followed. `simoom host` packs it more carefully: sorted, and with all
/// that cannot be served named.
fn pack(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("", folder)?;
    tar.into_inner()
}
