//! Writes a list of files as one deterministic tar.

use super::Packed;
use crate::text;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One file of the site.
pub(crate) struct Entry {
    /// What it is served as: UTF-8, `/` between folders, none in front.
    pub(crate) name: String,
    /// Where its bytes come from.
    pub(crate) source: Source,
}

/// Where the bytes of a file come from.
pub(crate) enum Source {
    /// A file on disk, read when packed.
    Disk(PathBuf),
    /// Bytes that are there already.
    Bytes(Vec<u8>),
    /// A stream of a known length in bytes, for files too big to hold.
    Stream(u64, Box<dyn Read>),
}

/// Modification time of generated files: 2026-01-01, so that they too pack to the same bytes.
const GENERATED_MTIME_S: u64 = 1_767_225_600;

/// Packs `entries` in the order given, which is the order of their names.
///
/// # Errors
/// A file that cannot be read, or that changed while it was read; a full disk.
pub(crate) fn pack(entries: Vec<Entry>) -> Result<Packed> {
    let files_cnt = entries.len() as u64;
    let bar = progress("Packing", files_cnt);
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 18, file));
    for entry in entries {
        bar.set_message(entry.name.clone());
        match entry.source {
            Source::Disk(path) => append_disk(&mut tar, &entry.name, &path)?,
            Source::Bytes(bytes) => {
                append(
                    &mut tar,
                    &entry.name,
                    bytes.len() as u64,
                    GENERATED_MTIME_S,
                    &bytes[..],
                )?;
            }
            Source::Stream(len, stream) => {
                append(&mut tar, &entry.name, len, GENERATED_MTIME_S, stream)?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    finish(tar, files_cnt)
}

/// Ends an archive.
pub(super) fn finish(tar: tar::Builder<BufWriter<File>>, files_cnt: u64) -> Result<Packed> {
    let full = "cannot write the archive";
    let mut file = tar.into_inner().context(full)?.into_inner().context(full)?;
    file.flush().context(full)?;
    let tar_len = file.stream_position().context(full)?;
    Ok(Packed {
        tar: file,
        tar_len,
        files_cnt,
    })
}

/// A bar that shows itself only when there is enough to watch.
pub(super) fn progress(what: &str, files_cnt: u64) -> ProgressBar {
    let bar = ProgressBar::new(files_cnt);
    let template = format!("   {what} {{bar:30}} {{pos}}/{{len}} {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Appends a file on disk, sure that what was packed is what the file was at one moment.
fn append_disk<W: Write>(tar: &mut tar::Builder<W>, name: &str, path: &Path) -> Result<()> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("{shown}: not readable"))?;
    let before = file
        .metadata()
        .with_context(|| format!("{shown}: not readable"))?;
    let mut reader = ExactReader {
        inner: &file,
        left: before.len(),
    };
    let mtime = u64::try_from(before.mtime()).unwrap_or(0);
    append(tar, name, before.len(), mtime, &mut reader).with_context(|| shown.to_string())?;
    let has_more = (&file)
        .read(&mut [0])
        .with_context(|| format!("{shown}: not readable"))?
        > 0;
    let after = file
        .metadata()
        .with_context(|| format!("{shown}: not readable"))?;
    if has_more || stamp(&before) != stamp(&after) {
        bail!("{shown}: changed while it was packed");
    }
    Ok(())
}

/// What must not move while a file is read: length and modification time.
fn stamp(meta: &Metadata) -> (u64, i64, i64) {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

/// Appends a file.
pub(super) fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    len: u64,
    mtime: u64,
    bytes: impl Read,
) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(len);
    header.set_mtime(mtime);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    // A name that fits neither 100 bytes nor ustar's prefix goes in front as a GNU long name.
    tar.append_data(&mut header, name, bytes)
        .with_context(|| format!("cannot pack {name} ({})", text::bytes(len)))
}

/// Gives exactly the promised number of bytes, or says that the file shrank.
struct ExactReader<'a> {
    inner: &'a File,
    left: u64,
}

impl Read for ExactReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        if want == 0 {
            return Ok(0);
        }
        let got = self.inner.read(&mut buf[..want])?;
        if got == 0 {
            return Err(io::Error::other("changed while it was packed"));
        }
        self.left -= got as u64;
        Ok(got)
    }
}
