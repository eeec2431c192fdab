//! A file of the site, and what is sent for it.

use super::coding::Variants;
use super::digest::Digest;
use super::error::Fault;
use super::head::{Head, Marks};
use super::media::MediaType;

/// A file of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// The bytes of the file, where they lie in the archive.
    pub body: &'static [u8],
    /// Last change, seconds since 1970, 0 to the end of the year 9999.
    pub mtime: i64,
    /// From the extension of the name.
    pub media: MediaType,
    /// Of the bytes, for the tag.
    pub(super) digest: Digest,
    pub(super) variants: Variants,
    /// The head of an answer, and that when the file stands for another one, whose variant it is.
    pub(super) texts: [&'static [u8]; 2],
    pub(super) marks: [Marks; 2],
}

/// Which of a file's two heads.
const OWN: usize = 0;
pub(super) const AS_VARIANT: usize = 1;

/// What is sent for a file: the file or a variant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// The bytes of the body, where they lie in the archive.
    pub body: &'static [u8],
    /// Last change, seconds since 1970.
    pub mtime: i64,
    pub(crate) head: Head,
}

impl File {
    pub(super) const NONE: Self = Self {
        body: &[],
        mtime: 0,
        media: MediaType::Unknown,
        digest: Digest::NONE,
        variants: Variants::NONE,
        texts: [&[]; 2],
        marks: [Head::NONE.marks; 2],
    };

    pub(super) fn new(body: &'static [u8], mtime: i64, path: &[u8]) -> Result<Self, Fault> {
        // The length of a body has room for 64 bits.
        u64::try_from(body.len()).map_err(|_| Fault::Size)?;
        Ok(Self {
            body,
            mtime,
            media: MediaType::of_path(path),
            digest: Digest::of(body),
            ..Self::NONE
        })
    }

    /// The file as it is.
    #[inline]
    #[must_use]
    pub fn identity(&self) -> Representation {
        Representation {
            body: self.body,
            mtime: self.mtime,
            head: self.head(OWN),
        }
    }

    #[inline]
    pub(super) fn head(&self, which: usize) -> Head {
        Head {
            text: self.texts[which],
            marks: self.marks[which],
        }
    }

    /// Whether there are variants that are smaller.
    #[inline]
    #[must_use]
    pub fn has_variants(&self) -> bool {
        !self.variants.is_empty()
    }
}

impl Representation {
    /// The strong entity tag, with its quotes.
    #[must_use]
    pub fn tag(&self) -> &'static [u8] {
        self.head.tag()
    }
}
