//! Entity tags: RFC 9110 8.8.3. `"MTIME-SIZE"` in hexadecimal, as nginx makes them, so that what
//! browsers have kept from there stays valid.

use crate::site::Representation;

use super::head::HeadWriter;

/// Room for a tag: two `u64` in hexadecimal, a dash, two quotes.
const TAG_LEN_MAX: usize = 16 + 1 + 16 + 2;

/// Writes the strong tag of a representation.
pub(super) fn put(head: &mut HeadWriter<'_>, file: &Representation) {
    head.put(b"\"");
    head.hexadecimal(file.mtime.unsigned_abs());
    head.put(b"-");
    head.hexadecimal(file.body.len() as u64);
    head.put(b"\"");
}

/// Whether a field value of If-None-Match names the representation: `*`, or a list in which one
/// tag is equal under the weak comparison of RFC 9110 8.8.3.2. A malformed list names what it
/// names up to where it is malformed.
pub(super) fn is_named(value: &[u8], file: &Representation) -> bool {
    let mut room = [0; TAG_LEN_MAX];
    let mut ours = HeadWriter::new(&mut room);
    put(&mut ours, file);
    let ours = ours.as_bytes();
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
        if tag.get(..close + 2) == Some(ours) {
            return true;
        }
        rest = opaque.get(close + 1..).unwrap_or(&[]).trim_ascii_start();
        if !rest.starts_with(b",") {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::MediaType;

    #[test]
    fn lists() {
        let file = Representation {
            body: b"hello",
            mtime: 0x65a0_b1c2,
            media: MediaType::Text,
        };
        let row = |value: &str, want: bool| {
            assert_eq!(is_named(value.as_bytes(), &file), want, "{value}");
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
    fn the_longest_tag_fits() {
        let file = Representation {
            body: b"",
            mtime: i64::MIN,
            media: MediaType::Text,
        };
        assert!(!is_named(b"\"8000000000000000-1\"", &file));
        assert!(is_named(b"\"8000000000000000-0\"", &file));
    }
}
