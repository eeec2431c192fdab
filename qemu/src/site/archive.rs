//! A tar that somebody else made: read to its last byte before a guest sees it.

use super::Packed;
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path};
use tar::EntryType;

/// Bytes of one tar record.
const RECORD_LEN: u64 = 512;

/// Compressed archives by their first bytes, with what unpacks them.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
];

/// Opens and checks a tar.
///
/// # Errors
/// Compressed, corrupt, truncated, or with an entry that cannot be served.
pub(super) fn open(path: &Path) -> Result<Packed> {
    let shown = path.display();
    let mut file = File::open(path).with_context(|| format!("{shown}: not readable"))?;
    let tar_len = file
        .metadata()
        .with_context(|| format!("{shown}: not readable"))?
        .len();
    if tar_len == 0 {
        bail!("{shown}: empty");
    }
    check_kind(&mut file, path)?;
    let files_cnt = check_entries(&mut file).with_context(|| format!("{shown}: bad archive"))?;
    check_end(&mut file, tar_len).with_context(|| format!("{shown}: bad archive"))?;
    Ok(Packed {
        tar: file,
        tar_len,
        files_cnt,
    })
}

fn check_kind(file: &mut File, path: &Path) -> Result<()> {
    let mut first = [0; RECORD_LEN as usize];
    let mut len = 0;
    while len < first.len() {
        match file
            .read(&mut first[len..])
            .with_context(|| path.display().to_string())?
        {
            0 => break,
            got => len += got,
        }
    }
    file.rewind()?;
    for (magic, kind, tool) in COMPRESSED {
        if first[..len].starts_with(magic) {
            bail!(
                "{}: compressed with {kind}: unpack it with {tool} first",
                path.display()
            );
        }
    }
    if !is_header(&first) {
        bail!("{}: neither a folder nor a tar archive", path.display());
    }
    Ok(())
}

/// Whether an archive may begin with this: with a header whose magic or checksum is right (one that
/// has broken is told apart later), or, without an entry, with the empty record of its end.
fn is_header(record: &[u8; RECORD_LEN as usize]) -> bool {
    /// Where the checksum itself is, which counts as spaces.
    const CKSUM: std::ops::Range<usize> = 148..156;
    let at = |idx| {
        if CKSUM.contains(&idx) {
            b' '
        } else {
            record[idx]
        }
    };
    let sum: u32 = (0..record.len()).map(|idx| u32::from(at(idx))).sum();
    let told = tar::Header::from_byte_slice(record).cksum();
    let is_empty = record.iter().all(|byte| *byte == 0);
    is_empty || record[257..].starts_with(b"ustar") || told.is_ok_and(|told| told == sum)
}

/// Reads every entry; returns how many files there are.
fn check_entries(file: &mut File) -> Result<u64> {
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, &*file));
    let mut names = HashSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = super::shown_name(&entry.path_bytes())?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Symlink | EntryType::Link => {
                bail!("{name}: a link; pack with `tar --dereference --hard-dereference`")
            }
            kind => bail!("{name}: entry type {kind:?} cannot be served"),
        }
        let is_inside = Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_inside {
            bail!("{name}: leads out of the archive");
        }
        let len = entry.size();
        if io::copy(&mut entry, &mut io::sink())? != len {
            bail!("{name}: truncated");
        }
        if names.contains(&name) {
            bail!("{name}: there twice");
        }
        names.insert(name);
    }
    Ok(names.len() as u64)
}

/// An archive ends with two empty records; one that was cut off does not.
fn check_end(file: &mut File, tar_len: u64) -> Result<()> {
    const END_LEN: usize = 2 * RECORD_LEN as usize;
    if !tar_len.is_multiple_of(RECORD_LEN) || tar_len < END_LEN as u64 {
        bail!("truncated: not a whole number of {RECORD_LEN}-byte records");
    }
    let mut end = [0; END_LEN];
    file.seek(SeekFrom::End(-(END_LEN as i64)))?;
    file.read_exact(&mut end)?;
    if end.iter().any(|byte| *byte != 0) {
        bail!("truncated: the two empty records of its end are missing");
    }
    Ok(())
}
