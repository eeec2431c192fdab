//! `_headers`: a path, and below it the fields that answers for it have.

use super::super::head::CONTENT_TYPE_LEN_MAX;
use super::{HEADERS_LEN_MAX, Pattern, lines};
use crate::message::HeadWriter;

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Path(Pattern),
    Field(&'static [u8], &'static [u8]),
}

fn read(line: &'static [u8]) -> Result<Line, &'static str> {
    if line.starts_with(b"/") {
        return Pattern::read(line).map(Line::Path);
    }
    if line.starts_with(b"http://") || line.starts_with(b"https://") {
        return Err("a path starts with /");
    }
    if line.starts_with(b"!") {
        return Err("fields are not taken back here");
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = colon
        .and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?.trim_ascii())))
        .ok_or("neither a path nor a field")?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return Err("a field has a name of letters, digits and dashes");
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err("this field is the server's own");
    }
    if value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err("a field has no control characters");
    }
    if is_content_type(name) && value.len() > CONTENT_TYPE_LEN_MAX {
        return Err("a content type is shorter");
    }
    Ok(Line::Field(name, value))
}

/// What a site cannot say better than the server.
const OURS: [&[u8]; 14] = [
    b"Accept-Ranges",
    b"Allow",
    b"Connection",
    b"Content-Encoding",
    b"Content-Length",
    b"Content-Range",
    b"Date",
    b"ETag",
    b"Keep-Alive",
    b"Last-Modified",
    b"Location",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
];

fn is_content_type(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-type")
}

/// The part of a file that counts, to the last line that ends in it.
fn bounded(text: &'static [u8]) -> &'static [u8] {
    match text.get(..HEADERS_LEN_MAX) {
        None => text,
        Some(front) => {
            let end = front.iter().rposition(|byte| *byte == b'\n');
            front.get(..end.unwrap_or(0)).unwrap_or(&[])
        }
    }
}

/// The fields for a path: that of a file, and for an `index.html` that of its folder as well.
fn fields<'p>(
    text: &'static [u8],
    path: &'p [u8],
) -> impl Iterator<Item = (&'static [u8], &'static [u8])> + use<'p> {
    let folder = match path.strip_suffix(b"index.html") {
        Some(b"") => Some(&path[..0]),
        Some(front) => front.strip_suffix(b"/"),
        None => None,
    };
    let mut is_below = false;
    lines(bounded(text)).filter_map(move |(_, line)| match read(line) {
        Ok(Line::Path(pattern)) => {
            let fits = |path| pattern.captures(path).is_some();
            is_below = fits(path) || folder.is_some_and(fits);
            None
        }
        Ok(Line::Field(name, value)) => is_below.then_some((name, value)),
        // A path that is none has no fields.
        Err(_) => {
            is_below &= !line.starts_with(b"/") && !line.starts_with(b"http");
            None
        }
    })
}

/// The content type that the site wants for a path.
pub(in crate::site) fn content_type(text: &'static [u8], path: &[u8]) -> Option<&'static [u8]> {
    let of_type = fields(text, path).filter(|(name, _)| is_content_type(name));
    of_type.last().map(|(_, value)| value)
}

/// Writes all other fields that the site wants for a path.
pub(in crate::site) fn put_own(text: &'static [u8], path: &[u8], head: &mut HeadWriter<'_>) {
    for (name, value) in fields(text, path).filter(|(name, _)| !is_content_type(name)) {
        head.put(name);
        head.put(b": ");
        head.put(value);
        head.put(b"\r\n");
    }
}

pub(super) fn faults(text: &'static [u8], tell: &mut impl FnMut(usize, &'static str)) {
    let counts = bounded(text);
    let mut has_path = false;
    for (line, words) in lines(counts) {
        match read(words) {
            Ok(Line::Path(_)) => has_path = true,
            Ok(Line::Field(..)) if !has_path => tell(line, "a field without a path above it"),
            Ok(Line::Field(..)) => {}
            Err(why) => tell(line, why),
        }
    }
    if counts.len() < text.len() {
        let line = counts.iter().filter(|byte| **byte == b'\n').count() + 2;
        tell(line, "the file is longer than 64 KiB");
    }
}
