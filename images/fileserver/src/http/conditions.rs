//! Conditional requests: RFC 9110 13, against the representation that would be sent.

use super::request::Request;
use crate::message::date;
use crate::site::Representation;

/// What the conditions of a request make of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if there were none.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client thinks it is.
    Failed,
}

/// Looks at the conditions in the order of RFC 9110 13.2.2. A date that is none is not there
/// (13.1.3, 13.1.4).
#[inline]
pub(super) fn evaluate(request: &Request<'_, '_>, file: &Representation) -> Verdict {
    if !request.fields.has_condition {
        return Verdict::Proceed;
    }
    evaluate_all(request, file)
}

#[inline(never)]
fn evaluate_all(request: &Request<'_, '_>, file: &Representation) -> Verdict {
    let fields = &request.fields;
    // First step. If-Match compares strongly (13.1.1).
    if fields.has_if_match {
        if !is_named(request, "if-match", file.tag(), Comparison::Strong) {
            return Verdict::Failed;
        }
    } else {
        // Second step, only without If-Match.
        let since = fields.if_unmodified_since.and_then(date::parse);
        if since.is_some_and(|since| file.mtime > since) {
            return Verdict::Failed;
        }
    }
    // Third step. If-None-Match compares weakly (13.1.2); this is GET or HEAD.
    if fields.has_if_none_match {
        return if is_named(request, "if-none-match", file.tag(), Comparison::Weak) {
            Verdict::NotModified
        } else {
            Verdict::Proceed
        };
    }
    // Fourth step, only without If-None-Match.
    let since = fields.if_modified_since.and_then(date::parse);
    if since.is_some_and(|since| file.mtime <= since) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Fifth step: whether Range counts. If-Range (13.1.5) holds a strong tag, or the very date of the
/// last change: content that never changes has not changed twice within a second, so that the date
/// is a strong validator (8.8.2.2).
pub(super) fn range_counts(request: &Request<'_, '_>, file: &Representation) -> bool {
    match request.fields.if_range {
        None => true,
        Some(value) if value.starts_with(b"\"") || value.starts_with(b"W/") => value == file.tag(),
        Some(value) => date::parse(value) == Some(file.mtime),
    }
}

/// How tags are compared: RFC 9110 8.8.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag equals nothing.
    Strong,
    /// `W/` does not matter.
    Weak,
}

/// Whether a field of this name, of which there may be several, names `tag`.
fn is_named(request: &Request<'_, '_>, name: &str, tag: &[u8], comparison: Comparison) -> bool {
    let fields = request.headers.iter();
    fields
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .any(|header| is_in(header.value, tag, comparison))
}

/// Whether the one If-None-Match of a request names `tag`.
#[inline]
pub(super) fn is_listed(value: &[u8], tag: &[u8]) -> bool {
    // What nearly all clients send back is the tag that they had.
    value == tag || is_in(value, tag, Comparison::Weak)
}

/// Whether a field value is `*`, or a list in which one tag equals ours. A malformed list names
/// what it names up to where it is malformed.
fn is_in(value: &[u8], ours: &[u8], comparison: Comparison) -> bool {
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
        let is_weak = tag.len() < rest.len();
        let Some(opaque) = tag.strip_prefix(b"\"") else {
            return false;
        };
        let Some(close) = opaque.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let counts = !is_weak || comparison == Comparison::Weak;
        if counts && tag.get(..close + 2) == Some(ours) {
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

    #[test]
    fn lists() {
        let row = |value: &str, weak: bool, strong: bool| {
            let is = |comparison| is_in(value.as_bytes(), b"\"65a0b1c2-5\"", comparison);
            assert_eq!(is(Comparison::Weak), weak, "{value}");
            assert_eq!(is(Comparison::Strong), strong, "{value}");
        };
        row("\"65a0b1c2-5\"", true, true);
        row("W/\"65a0b1c2-5\"", true, false);
        row("  \"x\" ,\t W/\"y\",,\"65a0b1c2-5\" ", true, true);
        row("W/\"65a0b1c2-5\", \"65a0b1c2-5\"", true, true);
        row("*", true, true);
        row("\"x\", *", false, false);
        row("65a0b1c2-5", false, false);
        row("\"65a0b1c2-5", false, false);
        row("\"65a0b1c2-6\"", false, false);
        row("w/\"65a0b1c2-5\"", false, false);
        row("\"x\" \"65a0b1c2-5\"", false, false);
        row("\"x,\", \"a,b\",\"65a0b1c2-5\"", true, true);
        row("", false, false);
        row(",", false, false);
    }
}
