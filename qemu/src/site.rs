//! The site: whatever SITE names becomes one tar in an unnamed file.
//!
//! ```text
//!   folder ──► walk ──► sorted list ──► pack ─┐
//!   demo   ──► generated entries ─────► pack ─┼──► Packed: file, bytes, number of files
//!   x.tar  ──► archive: every byte read ──────┘        └──► compress: the same with variants
//! ```
//!
//! The same folder always gives the same bytes: names sorted, owner 0, mode 0644, times as on disk.

mod archive;
mod compress;
mod demo;
mod pack;
mod walk;

pub(crate) use pack::{Entry, Source, pack};

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A site that is ready to be handed to a guest.
pub(crate) struct Packed {
    /// The tar. Unnamed when we made it: it is gone when nobody has it open.
    pub(crate) tar: File,
    /// Length of the tar, bytes.
    pub(crate) tar_len: u64,
    /// How many files it serves.
    pub(crate) files_cnt: u64,
}

impl Packed {
    /// A path by which another program of the same user can open the tar while we run.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.tar.as_raw_fd()
        ))
    }

    /// With precompressed variants, when they are asked for; says what was made.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn compressed_if(self, is_wanted: bool) -> Result<Self> {
        if !is_wanted {
            return Ok(self);
        }
        let (packed, made) = compress::compress(&self)?;
        println!("  {}", made.line());
        Ok(packed)
    }

    /// Writes the tar to a named file.
    pub(crate) fn write_to(&self, path: &Path) -> Result<()> {
        let copy = || io::copy(&mut File::open(self.path())?, &mut File::create(path)?);
        copy()
            .map(drop)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Every file under a folder: the name that it would be served under, and where it is.
///
/// # Errors
/// As for [`open`].
pub(crate) fn files(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = walk::walk(root)?.into_iter();
    Ok(entries
        .filter_map(|entry| match entry.source {
            Source::Disk(path) => Some((entry.name, path)),
            Source::Bytes(_) | Source::Stream(..) => None,
        })
        .collect())
}

/// Makes the archive of `site`: a folder, a tar, or without a name the demo site.
///
/// # Errors
/// One line that names the path and what is wrong with it.
pub(crate) fn open(site: Option<&Path>) -> Result<Packed> {
    let Some(path) = site else {
        return pack(demo::entries());
    };
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!("{shown}: there is no such file or folder"),
        io::ErrorKind::PermissionDenied => anyhow::anyhow!("{shown}: not readable by this user"),
        _ => anyhow::anyhow!("{shown}: {error}"),
    })?;
    let packed = if meta.is_dir() {
        pack(walk::walk(path)?)?
    } else if meta.is_file() {
        archive::open(path)?
    } else {
        bail!("{shown}: neither a folder nor a tar archive");
    };
    if packed.files_cnt == 0 {
        bail!("{shown}: empty, there is no file to serve");
    }
    Ok(packed)
}

/// The name of an entry, without `./` in front and a slash behind.
fn shown_name(path: &[u8]) -> Result<String> {
    let Ok(name) = str::from_utf8(path) else {
        bail!("{}: the name is not UTF-8", path.escape_ascii());
    };
    Ok(name
        .trim_start_matches("./")
        .trim_end_matches('/')
        .to_owned())
}

#[cfg(test)]
mod tests;
