//! The head of a 200 answer, written once, at boot: what each request would write again.
//!
//! ```text
//!   HTTP/1.1 200 OK CR LF
//!   Content-Length: 5 CR LF
//!   Content-Type: text/css; charset=utf-8 CR LF      ◄ type_at       a 206 of one range: from here
//!   Content-Encoding: br CR LF                       ◄ coding_at     one of several: from here
//!   ETag: "26c7827d889f6da3-br" CR LF                ◄ validators_at a 304: from here
//!   Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT CR LF
//!   Accept-Ranges: bytes CR LF
//!   Vary: Accept-Encoding CR LF
//!   Cache-Control: ...                               ◄ own_at        what the site asks for
//! ```
//!
//! Date and Connection follow when an answer is given. The tag is made of the bytes that are sent
//! ([`Digest`]) and of their coding: `x.gz` asked for by its name and as a variant of `x` are two
//! representations of the same bytes.

use super::coding::Coding;
use super::digest::Digest;
use crate::message::HeadWriter;
use crate::message::date::{DATE_LEN, imf_fixdate};

/// A written head, where it lies in the memory for them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(super) text: &'static [u8],
    pub(super) marks: Marks,
}

/// Where the parts of a head begin. Apart from its text, so that two of them are ten bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    type_at: u8,
    coding_at: u8,
    validators_at: u8,
    tag_len: u8,
    /// From `validators_at` on.
    own_after: u8,
}

/// What a head is written from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) body_len: usize,
    pub(super) mtime: i64,
    pub(super) digest: Digest,
    pub(super) content_type: &'a [u8],
    pub(super) coding: Option<Coding>,
    pub(super) has_variants: bool,
}

impl Head {
    pub(crate) const NONE: Self = Self {
        text: &[],
        marks: Marks {
            type_at: 0,
            coding_at: 0,
            validators_at: 0,
            tag_len: 0,
            own_after: 0,
        },
    };

    /// Writes the head to the start of `out`; `own` writes the fields that the site asks for.
    /// `None` when it does not fit.
    pub(super) fn write(
        source: &Source<'_>,
        own: impl FnOnce(&mut HeadWriter<'_>),
        out: &mut [u8],
    ) -> Option<(Marks, usize)> {
        let mut head = HeadWriter::new(out);
        head.put(OK_LINE);
        head.put(b"Content-Length: ");
        head.decimal(u64::try_from(source.body_len).ok()?);
        head.put(b"\r\n");
        let type_at = u8::try_from(head.len()).ok()?;
        head.put(b"Content-Type: ");
        head.put(source.content_type);
        head.put(b"\r\n");
        let coding_at = u8::try_from(head.len()).ok()?;
        if let Some(coding) = source.coding {
            head.put(b"Content-Encoding: ");
            head.put(coding.name());
            head.put(b"\r\n");
        }
        let validators_at = u8::try_from(head.len()).ok()?;
        head.put(TAG_FIELD);
        let tag_at = head.len();
        head.put(b"\"");
        head.put(&source.digest.digits());
        head.put(source.coding.map_or(&[][..], Coding::tag_suffix));
        head.put(b"\"");
        let tag_len = u8::try_from(head.len() - tag_at).ok()?;
        head.put(b"\r\nLast-Modified: ");
        head.put(&imf_fixdate(source.mtime));
        head.put(b"\r\nAccept-Ranges: bytes\r\n");
        if source.has_variants {
            head.put(b"Vary: Accept-Encoding\r\n");
        }
        let own_after = u8::try_from(head.len() - usize::from(validators_at)).ok()?;
        own(&mut head);
        let len = head.finish()?;
        let marks = Marks {
            type_at,
            coding_at,
            validators_at,
            tag_len,
            own_after,
        };
        Some((marks, len))
    }

    fn from(&self, at: u8) -> &'static [u8] {
        self.text.get(usize::from(at)..).unwrap_or(&[])
    }

    /// Status line and all fields of a 200.
    #[inline]
    pub(crate) fn whole(&self) -> &'static [u8] {
        self.text
    }

    /// Length, type and coding: what the page of an error has as well.
    pub(crate) fn before_validators(&self) -> &'static [u8] {
        let fields = OK_LINE.len()..usize::from(self.marks.validators_at);
        self.text.get(fields).unwrap_or(&[])
    }

    /// All fields but the length.
    pub(crate) fn behind_length(&self) -> &'static [u8] {
        self.from(self.marks.type_at)
    }

    /// All fields but length and type.
    pub(crate) fn behind_type(&self) -> &'static [u8] {
        self.from(self.marks.coding_at)
    }

    /// Validators and what the site asks for.
    pub(crate) fn since_validators(&self) -> &'static [u8] {
        self.from(self.marks.validators_at)
    }

    /// The line of Content-Type.
    pub(crate) fn type_line(&self) -> &'static [u8] {
        let line = usize::from(self.marks.type_at)..usize::from(self.marks.coding_at);
        self.text.get(line).unwrap_or(&[])
    }

    /// The strong entity tag, with its quotes.
    pub(crate) fn tag(&self) -> &'static [u8] {
        let at = usize::from(self.marks.validators_at) + TAG_FIELD.len();
        let tag = self.text.get(at..at + usize::from(self.marks.tag_len));
        tag.unwrap_or(&[])
    }

    /// The fields that the site asks for.
    pub(crate) fn own(&self) -> &'static [u8] {
        let at = usize::from(self.marks.validators_at) + usize::from(self.marks.own_after);
        self.text.get(at..).unwrap_or(&[])
    }
}

impl core::fmt::Debug for Head {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Head({})", self.tag().escape_ascii())
    }
}

const OK_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";
const TAG_FIELD: &[u8] = b"ETag: ";

/// Content types may have so many bytes: then every offset fits its byte.
pub(super) const CONTENT_TYPE_LEN_MAX: usize = 140;

/// Status line and length, type, coding, and from the tag to the site's own fields.
const _: () = assert!(
    OK_LINE.len() + 16 + 20 + 2 + 14 + CONTENT_TYPE_LEN_MAX + 2 + 24 < 256
        && TAG_FIELD.len() + 2 + 16 + 4 + 19 + DATE_LEN + 24 + 23 < 256
);

/// A head at most, so that with Date and Connection it fits into a frame behind TCP's header.
pub(super) const HEAD_LEN_MAX: usize = 1_664;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(source: &Source<'_>, own: &[u8]) -> Head {
        let mut out = [0; HEAD_LEN_MAX];
        let (marks, len) = Head::write(source, |head| head.put(own), &mut out).unwrap();
        Head {
            text: out[..len].to_vec().leak(),
            marks,
        }
    }

    #[test]
    fn the_parts_of_a_head() {
        let source = Source {
            body_len: 5,
            mtime: 784_111_777,
            digest: Digest::of(b"hello"),
            content_type: b"text/css",
            coding: Some(Coding::Brotli),
            has_variants: true,
        };
        let head = head(&source, b"X: y\r\n");
        let want = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/css\r\n\
            Content-Encoding: br\r\nETag: \"26c7827d889f6da3-br\"\r\n\
            Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n\
            Vary: Accept-Encoding\r\nX: y\r\n";
        assert_eq!(head.whole(), want.as_bytes());
        let behind = |start: &str| &want.as_bytes()[want.find(start).unwrap()..];
        assert_eq!(head.behind_length(), behind("Content-Type"));
        assert_eq!(head.behind_type(), behind("Content-Encoding"));
        assert_eq!(head.since_validators(), behind("ETag"));
        assert_eq!(head.own(), b"X: y\r\n");
        assert_eq!(head.type_line(), b"Content-Type: text/css\r\n");
        assert!(head.tag().starts_with(b"\"") && head.tag().ends_with(b"-br\""));
    }

    #[test]
    fn the_longest_has_offsets_that_fit() {
        let source = Source {
            body_len: usize::MAX,
            mtime: i64::MAX,
            digest: Digest::of(b""),
            content_type: &[b'x'; CONTENT_TYPE_LEN_MAX],
            coding: Some(Coding::Zstd),
            has_variants: true,
        };
        let own = [b'y'; 1_000];
        let head = head(&source, &own);
        assert_eq!(head.own(), own);
        assert_eq!(head.tag(), b"\"ef46db3751d8e999-zst\"");
        let mut short = std::vec![0; head.whole().len() - 1];
        assert_eq!(
            Head::write(&source, |head| head.put(&own), &mut short),
            None
        );
    }
}
