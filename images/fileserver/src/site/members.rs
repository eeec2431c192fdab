//! The entries of an archive in order, with everything that headers say about each put together.

use super::block::{BLOCK_LEN, Block, until_nul};
use super::error::{Fault, SiteError};
use super::path::Path;
use super::pax::Pax;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    HardLink,
    SymLink,
    /// Devices, queues, volume labels: nothing to serve.
    Other,
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) offset: usize,
    pub(super) kind: Kind,
    pub(super) path: Path,
    pub(super) link: &'static [u8],
    pub(super) body: &'static [u8],
    pub(super) mtime: i64,
}

impl Member {
    pub(super) fn error(&self, fault: Fault) -> SiteError {
        SiteError {
            fault,
            offset: self.offset,
            name: self.path.name(),
        }
    }
}

/// A walk through an archive. Each step moves at least one block forward.
pub(super) struct Members {
    archive: &'static [u8],
    offset: usize,
    global: Pax,
}

impl Members {
    pub(super) fn new(archive: &'static [u8]) -> Self {
        Self {
            archive,
            offset: 0,
            global: Pax::default(),
        }
    }

    /// The next entry; `None` at the archive's end mark.
    pub(super) fn next(&mut self) -> Result<Option<Member>, SiteError> {
        let mut local = Pax::default();
        let mut has_extension = false;
        loop {
            let offset = self.offset;
            let fail = |fault| SiteError {
                fault,
                offset,
                name: &[],
            };
            let Some(block) = self.block(has_extension)? else {
                return Ok(None);
            };
            let fail_named = |fault| SiteError {
                name: block.name(),
                ..fail(fault)
            };
            match block.typeflag() {
                b'x' | b'X' => {
                    let records = self.body(block.size().map_err(fail_named)?, fail_named)?;
                    local.read(records).map_err(fail_named)?;
                }
                b'g' => {
                    let records = self.body(block.size().map_err(fail_named)?, fail_named)?;
                    self.global.read(records).map_err(fail_named)?;
                }
                // GNU's long names: the body is the name, with a zero at its end.
                b'L' => {
                    let name = self.body(block.size().map_err(fail_named)?, fail_named)?;
                    local.path = Some(until_nul(name));
                }
                b'K' => {
                    let name = self.body(block.size().map_err(fail_named)?, fail_named)?;
                    local.linkpath = Some(until_nul(name));
                }
                _ => {
                    return self
                        .member(offset, block, local.over(self.global))
                        .map(Some);
                }
            }
            has_extension = true;
        }
    }

    /// The header block at the place reached, which is then behind it.
    fn block(&mut self, has_extension: bool) -> Result<Option<Block>, SiteError> {
        let fail = |fault| SiteError {
            fault,
            offset: self.offset,
            name: &[],
        };
        let rest = self.archive.get(self.offset..).unwrap_or(&[]);
        if rest.is_empty() {
            return Err(fail(Fault::NoEnd));
        }
        if self.offset == 0 && is_compressed(rest) {
            return Err(fail(Fault::Compressed));
        }
        let bytes = rest
            .first_chunk::<BLOCK_LEN>()
            .ok_or(fail(Fault::Truncated))?;
        let block = match Block::read(bytes) {
            Ok(block) => block,
            Err(Fault::Checksum) if self.offset == 0 && bytes.get(257..262) != Some(b"ustar") => {
                return Err(fail(Fault::NotTar));
            }
            Err(fault) => {
                let name = until_nul(bytes.get(..100).unwrap_or(&[]));
                return Err(SiteError {
                    name,
                    ..fail(fault)
                });
            }
        };
        if block.is_none() && has_extension {
            // An extended header without the entry that it extends.
            return Err(fail(Fault::Truncated));
        }
        self.offset += BLOCK_LEN;
        Ok(block)
    }

    /// The body at the place reached, which is then behind it and its padding.
    fn body(
        &mut self,
        size: i64,
        fail: impl Fn(Fault) -> SiteError,
    ) -> Result<&'static [u8], SiteError> {
        let size = usize::try_from(size).map_err(|_| fail(Fault::Size))?;
        let padded = size.checked_next_multiple_of(BLOCK_LEN);
        let end = padded.and_then(|padded| padded.checked_add(self.offset));
        let end = end.ok_or_else(|| fail(Fault::Size))?;
        let padded = self.archive.get(self.offset..end);
        let body = padded.and_then(|padded| padded.get(..size));
        self.offset = end;
        body.ok_or_else(|| fail(Fault::Truncated))
    }

    fn member(&mut self, offset: usize, block: Block, pax: Pax) -> Result<Member, SiteError> {
        let (prefix, name) = match pax.path {
            Some(path) => (&[][..], path),
            None => (block.prefix(), block.name()),
        };
        let (path, was_folder) = Path::trim(prefix, name);
        let fail = |fault| SiteError {
            fault,
            offset,
            name: path.name(),
        };
        let kind = match block.typeflag() {
            // Version 7 knows no folders: a slash at the name's end makes one.
            b'0' | b'7' | 0 if was_folder => Kind::Folder,
            b'0' | b'7' | 0 => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymLink,
            b'5' | b'D' => Kind::Folder,
            b'S' => return Err(fail(Fault::Sparse)),
            _ => Kind::Other,
        };
        if pax.is_sparse && kind == Kind::File {
            return Err(fail(Fault::Sparse));
        }
        let size = match pax.size {
            Some(size) => size,
            None => block.size().map_err(fail)?,
        };
        // Links, devices and folders have no body, whatever their size field says; kinds that
        // only a newer tar knows do.
        let has_body = !matches!(block.typeflag(), b'1'..=b'6');
        let body = self.body(if has_body { size } else { 0 }, fail)?;
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => block.mtime().map_err(fail)?,
        };
        let link = pax.linkpath.unwrap_or(block.linkname());
        let mtime = mtime.clamp(0, MTIME_MAX);
        Ok(Member {
            offset,
            kind,
            path,
            link,
            body,
            mtime,
        })
    }
}

/// The last second of the year 9999, the last that an HTTP date can say.
const MTIME_MAX: i64 = 253_402_300_799;

/// The magic numbers of gzip, xz, zstd and bzip2.
fn is_compressed(archive: &[u8]) -> bool {
    const MAGICS: [&[u8]; 4] = [b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh"];
    let is_ustar = archive.get(257..262) == Some(b"ustar");
    !is_ustar && MAGICS.iter().any(|magic| archive.starts_with(magic))
}
