//! Last-Modified and ETag of a file, written once, at boot: RFC 9110 8.8.
//!
//! ```text
//!   Sun, 06 Nov 1994 08:49:37 GMT CR LF ETag: "2ebc9ae1-5" CR LF
//!   |---- Last-Modified's value --|           |-- tag ---|
//! ```
//!
//! The tag is `"MTIME-SIZE"` in hexadecimal, as nginx makes it, so that what browsers have kept
//! from there stays valid.

use super::date::{DATE_LEN, imf_fixdate};
use super::head::HeadWriter;

const BETWEEN: &[u8] = b"\r\nETag: ";

/// Ten digits for seconds up to the year 9999, ten for sizes below a tebibyte, a dash and quotes.
const TAG_LEN_MAX: usize = 10 + 1 + 10 + 2;
const TEXT_LEN_MAX: usize = DATE_LEN + BETWEEN.len() + TAG_LEN_MAX + 2;

/// The value of Last-Modified, and the line of ETag behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators {
    text: [u8; TEXT_LEN_MAX],
    text_len: u8,
}

impl Validators {
    /// For a file of `body_len` bytes that was changed `mtime` seconds after 1970. `None` for
    /// sizes from a tebibyte on, which may not fit, and times outside of 1970 to 9999.
    pub(crate) fn new(mtime: i64, body_len: usize) -> Option<Self> {
        let mut text = [0; TEXT_LEN_MAX];
        let mut out = HeadWriter::new(&mut text);
        out.put(&imf_fixdate(mtime));
        out.put(BETWEEN);
        out.put(b"\"");
        out.hexadecimal(u64::try_from(mtime).ok()?);
        out.put(b"-");
        out.hexadecimal(u64::try_from(body_len).ok()?);
        out.put(b"\"\r\n");
        let text_len = u8::try_from(out.finish()?).ok()?;
        Some(Self { text, text_len })
    }

    /// What follows `Last-Modified: ` in a head, to the line end behind the tag.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.text_len)).unwrap_or(&[])
    }

    /// The strong entity tag, with its quotes.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        let line = self.as_bytes().get(DATE_LEN + BETWEEN.len()..);
        line.and_then(|line| line.strip_suffix(b"\r\n"))
            .unwrap_or(&[])
    }

    /// Whether a field value of If-None-Match names the file: `*`, or a list in which one tag is
    /// equal under the weak comparison of RFC 9110 8.8.3.2. A malformed list names what it names
    /// up to where it is malformed.
    pub(super) fn is_named(&self, value: &[u8]) -> bool {
        let mut rest = value.trim_ascii();
        if rest == b"*" {
            return true;
        }
        loop {
            rest = rest.trim_ascii_start();
            while let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
            }
            let tag = rest.strip_prefix(b"W/").unwrap_or(rest);
            let Some(opaque) = tag.strip_prefix(b"\"") else {
                return false;
            };
            let Some(close) = opaque.iter().position(|byte| *byte == b'"') else {
                return false;
            };
            if tag.get(..close + 2) == Some(self.tag()) {
                return true;
            }
            rest = opaque.get(close + 1..).unwrap_or(&[]).trim_ascii_start();
            if !rest.starts_with(b",") {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let ours = Validators::new(0x65a0_b1c2, 5).unwrap();
        assert_eq!(ours.tag(), b"\"65a0b1c2-5\"");
        let row = |value: &str, want: bool| {
            assert_eq!(ours.is_named(value.as_bytes()), want, "{value}");
        };
        row("\"65a0b1c2-5\"", true);
        row("W/\"65a0b1c2-5\"", true);
        row("  \"x\" ,\t W/\"y\",,\"65a0b1c2-5\" ", true);
        row("*", true);
        row("\"x\", *", false);
        row("65a0b1c2-5", false);
        row("\"65a0b1c2-5", false);
        row("\"65a0b1c2-6\"", false);
        row("w/\"65a0b1c2-5\"", false);
        row("\"x\" \"65a0b1c2-5\"", false);
        row("\"x,\", \"a,b\",\"65a0b1c2-5\"", true);
        row("", false);
        row(",", false);
    }

    #[test]
    fn the_longest_fits_and_longer_is_none() {
        let longest = Validators::new(253_402_300_799, (1 << 40) - 1).unwrap();
        assert_eq!(longest.tag(), b"\"3afff4417f-ffffffffff\"");
        assert_eq!(longest.as_bytes().len(), TEXT_LEN_MAX);
        assert_eq!(Validators::new(253_402_300_799, 1 << 40), None);
        assert_eq!(Validators::new(-1, 0), None);
    }
}
