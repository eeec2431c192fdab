//! Why an archive is not a site: each fault with the place where it was found.

use core::fmt;

/// What is wrong with an archive.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The archive starts with the magic number of a compressor.
    Compressed,
    /// The first block is no tar header at all: its checksum is wrong and so is its magic.
    NotTar,
    /// A header's checksum is not the sum of its bytes.
    Checksum,
    /// The archive ends inside a header or a body.
    Truncated,
    /// The archive ends without the block of zeros that ends a tar: something is cut off.
    NoEnd,
    /// A number field holds something else than a number.
    Number,
    /// A size that is negative or beyond what memory can hold.
    Size,
    /// An extended header (pax) that breaks its own syntax.
    Pax,
    /// A sparse file: its holes are not in the archive, so it cannot be served in place.
    Sparse,
    /// A name that starts with `/`.
    Absolute,
    /// A name with a `..` component.
    DotDot,
    /// A name with an empty or `.` component inside.
    NotNormal,
    /// A name with a zero byte.
    Nul,
    /// A name that is not UTF-8.
    NotUtf8,
    /// A file without a name.
    Nameless,
    /// A name longer than [`PATH_MAX`](super::PATH_MAX) bytes.
    PathTooLong,
    /// The same name is a file and a folder.
    Conflict,
    /// A link to something that is not in the archive.
    LinkDangling,
    /// A link that leaves the site.
    LinkOutside,
    /// Links that lead to links, too many or in a circle.
    LinkDepth,
    /// The memory given has too few slots: see [`Census::slot_cnt`](super::Census::slot_cnt).
    NoSpace,
    /// Too many names fall on the same place of the table: another seed may do.
    Crowded,
    /// No file in the archive.
    Empty,
}

/// A fault, where it is, and the entry that it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteError {
    /// What is wrong.
    pub fault: Fault,
    /// Bytes from the start of the archive to the header concerned.
    pub offset: usize,
    /// The entry's name as the archive has it, as far as it is known; may be empty.
    pub name: &'static [u8],
}

impl SiteError {
    /// Of the whole archive, no entry of it.
    pub(super) fn of(fault: Fault) -> Self {
        Self {
            fault,
            offset: 0,
            name: &[],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Compressed => "compressed archive, an uncompressed tar is needed",
            Self::NotTar => "not a tar archive",
            Self::Checksum => "header checksum is wrong",
            Self::Truncated => "archive ends inside an entry",
            Self::NoEnd => "archive has no end mark, it is cut off",
            Self::Number => "a number field is not a number",
            Self::Size => "size is out of range",
            Self::Pax => "extended header is malformed",
            Self::Sparse => "sparse files are not served",
            Self::Absolute => "name is absolute",
            Self::DotDot => "name has a .. component",
            Self::NotNormal => "name has an empty or . component",
            Self::Nul => "name has a zero byte",
            Self::NotUtf8 => "name is not UTF-8",
            Self::Nameless => "file has no name",
            Self::PathTooLong => "name is too long",
            Self::Conflict => "name is both a file and a folder",
            Self::LinkDangling => "link leads nowhere in the archive",
            Self::LinkOutside => "link leads out of the site",
            Self::LinkDepth => "links lead in a circle or too deep",
            Self::NoSpace => "index memory is too small",
            Self::Crowded => "too many names share one place of the table",
            Self::Empty => "no file in the archive",
        })
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at byte {}", self.fault, self.offset)?;
        if self.name.is_empty() {
            return Ok(());
        }
        write!(out, ", entry \"{}\"", self.name.escape_ascii())
    }
}

impl core::error::Error for SiteError {}
