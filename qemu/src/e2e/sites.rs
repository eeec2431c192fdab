//! The sites that the cases serve.

use crate::install;
use crate::site::{self, Entry, Packed, Source};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Books of the toolchain's documentation that make the big site, up to its greatest size.
const BOOKS: [&str; 7] = [
    "book",
    "error_codes",
    "edition-guide",
    "nomicon",
    "embedded-book",
    "cargo",
    "style-guide",
];
/// The smaller site.
const SMALL_BOOKS: [&str; 2] = ["nomicon", "style-guide"];
/// Where there is no such documentation: a Debian package with over a thousand pages.
const FALLBACK_PACKAGE: &str = "postgresql-doc-15";
const FALLBACK_FOLDER: &str = "/usr/share/doc/postgresql-doc-15/html";
/// The big site has more files than this.
pub(super) const BIG_FILES_MIN: usize = 1000;
/// Files of the fallback that make the smaller site.
const SMALL_FALLBACK_FILES: usize = 100;

/// A site of files on disk: names and where they are.
pub(super) type Pages = Vec<(String, PathBuf)>;

/// The HTML of a real site, over a thousand files.
pub(super) fn big() -> Result<Pages> {
    let pages = match toolchain_docs() {
        Some(root) => pages(&root, &BOOKS)?,
        None => fallback()?,
    };
    if pages.len() <= BIG_FILES_MIN {
        bail!("only {} pages of documentation are installed", pages.len());
    }
    Ok(pages)
}

/// A real site of about a hundred files.
pub(super) fn small() -> Result<Pages> {
    match toolchain_docs() {
        Some(root) => pages(&root, &SMALL_BOOKS),
        None => Ok(fallback()?.into_iter().take(SMALL_FALLBACK_FILES).collect()),
    }
}

/// Packs pages as they are on disk.
pub(super) fn packed(pages: &Pages) -> Result<Packed> {
    let entry = |(name, path): &(String, PathBuf)| Entry {
        name: name.clone(),
        source: Source::Disk(path.clone()),
    };
    site::pack(pages.iter().map(entry).collect())
}

/// The toolchain's own documentation, if it is installed.
fn toolchain_docs() -> Option<PathBuf> {
    let out = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(out.stdout).ok()?.trim());
    let root = sysroot.join("share/doc/rust/html");
    BOOKS
        .iter()
        .all(|book| root.join(book).is_dir())
        .then_some(root)
}

fn fallback() -> Result<Pages> {
    let root = Path::new(FALLBACK_FOLDER);
    if !root.is_dir() {
        install::install_package(FALLBACK_PACKAGE).context("no documentation to serve")?;
    }
    pages(root, &["."])
}

/// Every HTML file in some folders of `root`.
fn pages(root: &Path, folders: &[&str]) -> Result<Pages> {
    let mut found = Vec::new();
    for folder in folders {
        for (name, path) in site::files(&root.join(folder))? {
            if name.ends_with(".html") {
                found.push((format!("{folder}/{name}").replace("./", ""), path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A site made here: an index, a folder with an index, and a file of `len` bytes of noise.
pub(super) fn made(len: u64) -> Result<Packed> {
    let entry = |name: &str, source| Entry {
        name: name.to_owned(),
        source,
    };
    site::pack(vec![
        entry(
            "folder/index.html",
            Source::Bytes(b"<p>folder</p>\n".to_vec()),
        ),
        entry("index.html", Source::Bytes(INDEX.to_vec())),
        entry("noise.bin", Source::Stream(len, Box::new(Noise::new(len)))),
    ])
}

/// What `index.html` of a made site holds.
pub(super) const INDEX: &[u8] = b"<!doctype html><title>made</title><p>made</p>\n";

/// Bytes that look like chance and are the same in every run: xorshift64*, 8 bytes a step.
pub(super) struct Noise {
    state: u64,
    word: [u8; 8],
    used: usize,
    left: u64,
}

impl Noise {
    /// The first `len` bytes of the one stream that there is.
    pub(super) fn new(len: u64) -> Self {
        Noise {
            state: 0x5130_0b5e_d5a1_7a11,
            word: [0; 8],
            used: 8,
            left: len,
        }
    }

    fn next_word(&mut self) -> [u8; 8] {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    }
}

impl Read for Noise {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut rest = &mut buf[..len];
        while !rest.is_empty() {
            if self.used == self.word.len() {
                self.word = self.next_word();
                self.used = 0;
            }
            let part = rest.len().min(self.word.len() - self.used);
            rest[..part].copy_from_slice(&self.word[self.used..self.used + part]);
            self.used += part;
            rest = &mut rest[part..];
        }
        self.left -= len as u64;
        Ok(len)
    }
}
