//! Precompressed variants: `name.br`, `name.zst` and `name.gz` beside `name`, where they are
//! smaller.
//!
//! ```text
//!   tar ──► names ──► each file ──► its own bytes ─────────────────────────────────► tar
//!             │                └──► text, fonts, ...: br 11, zst 19, gz 9 ─ smaller? ─┘
//!             └─ a variant that is there already stays as it is
//! ```
//!
//! The same site always gives the same bytes: no time and no name goes into a variant, and each has
//! the time of its file.

use super::pack::{append, finish, progress};
use super::{Packed, shown_name};
use crate::text;
use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, GzBuilder};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::thread;
use tar::{Archive, EntryType};

/// The ends of variants' names, as the server knows them, and how each is made.
const CODINGS: [(&str, Encode); 3] = [(".br", brotli), (".gz", gzip), (".zst", zstd)];

type Encode = fn(&[u8]) -> Result<Vec<u8>>;

/// Ends of names of files whose bytes are not compressed already.
const COMPRESSIBLE: [&str; 31] = [
    "html",
    "htm",
    "xhtml",
    "css",
    "js",
    "mjs",
    "cjs",
    "json",
    "map",
    "jsonld",
    "geojson",
    "webmanifest",
    "xml",
    "rss",
    "atom",
    "svg",
    "txt",
    "text",
    "md",
    "csv",
    "tsv",
    "yaml",
    "yml",
    "ics",
    "vtt",
    "wasm",
    "ttf",
    "otf",
    "eot",
    "bmp",
    "ico",
];

/// A file longer than this is left as it is: it would be held in memory, for minutes.
const BODY_LEN_MAX: u64 = 64 << 20;

/// The window of zstd that every client must accept: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Files that have a new variant.
    pub(crate) files_cnt: u64,
    /// Variants of them.
    pub(crate) variants_cnt: u64,
    /// Bytes of these files, and of the smallest variant of each.
    pub(crate) before_len: u64,
    pub(crate) after_len: u64,
}

/// Packs a site again, with variants.
///
/// # Errors
/// A full disk.
pub(crate) fn compress(site: &Packed) -> Result<(Packed, Made)> {
    let names = names(site)?;
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 18, file));
    let (mut made, mut files_cnt) = (Made::default(), 0);
    let bar = progress("Compressing", site.files_cnt);
    let mut archive = read(site)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = shown_name(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        let mtime = entry.header().mtime()?;
        let len = entry.size();
        if kind == EntryType::Directory {
            let mut header = entry.header().clone();
            tar.append_data(&mut header, &name, &[][..])?;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        bar.set_message(name.clone());
        files_cnt += 1;
        if !is_compressible(&name) || len > BODY_LEN_MAX {
            append(&mut tar, &name, len, mtime, &mut entry)?;
            bar.inc(1);
            continue;
        }
        let mut body = Vec::new();
        entry.read_to_end(&mut body)?;
        append(&mut tar, &name, len, mtime, &body[..])?;
        let variants = variants(&name, &body, &names)?;
        made.add(len, &variants);
        for (name, bytes) in &variants {
            append(&mut tar, name, bytes.len() as u64, mtime, &bytes[..])?;
            files_cnt += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((finish(tar, files_cnt)?, made))
}

impl Made {
    fn add(&mut self, len: u64, variants: &[(String, Vec<u8>)]) {
        if let Some(least) = variants.iter().map(|(_, bytes)| bytes.len() as u64).min() {
            self.files_cnt += 1;
            self.variants_cnt += variants.len() as u64;
            self.before_len += len;
            self.after_len += least;
        }
    }

    /// One line for a person.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} variants of {} files: {} became {}",
            text::count(self.variants_cnt),
            text::count(self.files_cnt),
            text::bytes(self.before_len),
            text::bytes(self.after_len)
        )
    }
}

/// The variants of a file that are smaller than it, and not in the site yet.
fn variants(name: &str, body: &[u8], names: &HashSet<String>) -> Result<Vec<(String, Vec<u8>)>> {
    let missing = CODINGS
        .iter()
        .map(|(suffix, encode)| (format!("{name}{suffix}"), encode))
        .filter(|(name, _)| !names.contains(name));
    let encoded: Vec<Result<(String, Vec<u8>)>> = thread::scope(|scope| {
        let runs: Vec<_> = missing
            .map(|(name, encode)| scope.spawn(move || Ok((name, encode(body)?))))
            .collect();
        let join = |run: thread::ScopedJoinHandle<'_, _>| match run.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        runs.into_iter().map(join).collect()
    });
    let mut smaller = Vec::new();
    for variant in encoded {
        let (name, bytes) = variant?;
        if bytes.len() < body.len() {
            smaller.push((name, bytes));
        }
    }
    Ok(smaller)
}

/// The names of all files.
fn names(site: &Packed) -> Result<HashSet<String>> {
    let mut names = HashSet::new();
    for entry in read(site)?.entries()? {
        names.insert(shown_name(&entry?.path_bytes())?);
    }
    Ok(names)
}

fn read(site: &Packed) -> Result<Archive<BufReader<File>>> {
    let mut file = File::open(site.path()).context("the archive")?;
    file.rewind()?;
    Ok(Archive::new(BufReader::with_capacity(1 << 18, file)))
}

fn is_compressible(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    let is = |known: &&str| end.eq_ignore_ascii_case(known);
    COMPRESSIBLE.iter().any(is)
}

fn gzip(body: &[u8]) -> Result<Vec<u8>> {
    let mut out = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    out.write_all(body)?;
    Ok(out.finish()?)
}

fn brotli(body: &[u8]) -> Result<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: body.len(),
        ..BrotliEncoderParams::default()
    };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &body[..], &mut out, &params)?;
    Ok(out)
}

fn zstd(body: &[u8]) -> Result<Vec<u8>> {
    let mut out = ::zstd::Encoder::new(Vec::new(), 19)?;
    out.window_log(ZSTD_WINDOW_LOG)?;
    out.set_pledged_src_size(Some(body.len() as u64))?;
    out.include_contentsize(true)?;
    out.write_all(body)?;
    Ok(out.finish()?)
}

#[cfg(test)]
mod tests;
