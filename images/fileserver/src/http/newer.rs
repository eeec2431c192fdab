//! Requests of a version 1 that is newer than ours: RFC 9110 2.5 has them answered as if they were
//! of the newest that we know. Nobody speaks one, so what is spent on them here is memory, and not
//! care: everything behind the version is checked as in any other request.

use httparse::{Header, Status as Parsed};

use super::limits::{HEADERS_MAX, Limits};
use super::request::{self, Request};
use crate::message::Status;

/// Reads the request at the start of `bytes`; `None` when its head is not complete.
///
/// # Errors
/// The status to answer with before the connection is closed: 505 for any other version.
pub(super) fn parse<'h, 'b>(
    bytes: &'b [u8],
    room: &'h mut [Header<'b>; HEADERS_MAX],
    limits: &Limits,
) -> Result<Option<Request<'h, 'b>>, Status> {
    let Some(blank_len) = request::blank_len(bytes)? else {
        return Ok(None);
    };
    let bytes = bytes.get(blank_len..).unwrap_or(&[]);
    let Some(line_len) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let (line, fields) = bytes
        .split_at_checked(line_len + 1)
        .ok_or(Status::BadRequest)?;
    let (method, target) = words(line)?;
    let header_cnt_max = usize::from(limits.header_cnt_max).min(HEADERS_MAX);
    let room = room.get_mut(..header_cnt_max).unwrap_or(&mut []);
    let (fields_len, headers) = match httparse::parse_headers(fields, room) {
        Ok(Parsed::Complete(parsed)) => parsed,
        Ok(Parsed::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HeaderFieldsTooLarge),
        Err(_) => return Err(Status::BadRequest),
    };
    let raw = request::RawRequest {
        bytes,
        blank_len,
        head_len: line.len() + fields_len,
        method,
        target,
        is_http10: false,
    };
    raw.check(headers, limits).map(Some)
}

/// Method and target of a request line with its end: RFC 9112 3.
fn words(line: &[u8]) -> Result<(&str, &[u8]), Status> {
    let line = line.strip_suffix(b"\r\n").ok_or(Status::BadRequest)?;
    let mut words = line.split(|byte| *byte == b' ');
    let all = (words.next(), words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = all else {
        return Err(Status::BadRequest);
    };
    if !matches!(
        version,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']
    ) {
        return Err(Status::VersionNotSupported);
    }
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_of_target = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    let is_good = !method.is_empty()
        && method.iter().all(is_token)
        && !target.is_empty()
        && target.iter().all(is_of_target)
        && core::str::from_utf8(target).is_ok();
    let method = core::str::from_utf8(method).map_err(|_| Status::BadRequest)?;
    is_good
        .then_some((method, target))
        .ok_or(Status::BadRequest)
}
