//! One request out of the bytes that have arrived: RFC 9112, with httparse for the grammar and,
//! here, everything that a grammar alone lets through.
//!
//! Where one server reads one request and another reads two, requests are smuggled. So whatever
//! can be read in two ways is refused and the connection closed: a line that does not end in
//! CR LF, two lengths, a length beside a transfer coding, a header name with a space behind it,
//! folded lines, a second Host.

use core::mem::MaybeUninit;

use httparse::{Error, Header, Status as Parsed};

use super::Limits;
use super::status::Status;
use super::target::is_host;

/// Header fields a request may have at most, whatever [`Limits`] say: memory on the stack.
pub(super) const HEADERS_MAX: usize = 64;

/// Memory for header fields while a request is read.
pub(super) type HeaderRoom<'b> = [MaybeUninit<Header<'b>>; HEADERS_MAX];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    /// The bytes after it belong to a tunnel that will not be.
    Connect,
    Other,
}

/// A request whose framing is beyond doubt.
#[derive(Debug)]
pub(super) struct Request<'h, 'b> {
    pub(super) method: Method,
    pub(super) target: &'b [u8],
    pub(super) is_http10: bool,
    /// What version and Connection field say together: RFC 9112 9.3.
    pub(super) keeps_alive: bool,
    /// Bytes of request body behind the head.
    pub(super) body_len: u64,
    /// The body may or may not come: RFC 9110 10.1.1.
    pub(super) expects_continue: bool,
    pub(super) has_if_none_match: bool,
    pub(super) if_modified_since: Option<&'b [u8]>,
    pub(super) headers: &'h [Header<'b>],
    /// Bytes of the head, empty lines in front included.
    pub(super) head_len: usize,
}

/// Reads the request at the start of `bytes`; `None` when its head is not complete.
///
/// # Errors
/// The status to answer with before the connection is closed.
pub(super) fn parse<'h, 'b>(
    bytes: &'b [u8],
    room: &'h mut HeaderRoom<'b>,
    limits: &Limits,
) -> Result<Option<Request<'h, 'b>>, Status> {
    let Some(blank_len) = blank_len(bytes)? else {
        return Ok(None);
    };
    let bytes = bytes.get(blank_len..).unwrap_or(&[]);
    let header_cnt_max = usize::from(limits.header_cnt_max).min(HEADERS_MAX);
    let room = room.get_mut(..header_cnt_max).unwrap_or(&mut []);
    let mut parsed = httparse::Request::new(&mut []);
    let head_len = match parsed.parse_with_uninit_headers(bytes, room) {
        Ok(Parsed::Complete(head_len)) => head_len,
        Ok(Parsed::Partial) => return Ok(None),
        Err(error) => return refusal(error, bytes).map_or(Ok(None), Err),
    };
    let line_len = check_line_ends(bytes, head_len, parsed.headers)?;
    if line_len > usize::from(limits.line_len_max) {
        return Err(Status::UriTooLong);
    }
    if head_len > usize::from(limits.head_len_max) {
        return Err(Status::HeaderFieldsTooLarge);
    }
    let method = match parsed.method.unwrap_or("") {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        _ => Method::Other,
    };
    let is_http10 = parsed.version == Some(0);
    let fields = Fields::read(parsed.headers, is_http10)?;
    Ok(Some(Request {
        method,
        target: parsed.path.unwrap_or("").as_bytes(),
        is_http10,
        keeps_alive: !fields.has_close && (!is_http10 || fields.has_keep_alive),
        body_len: fields.content_length.unwrap_or(0),
        expects_continue: fields.expects_continue,
        has_if_none_match: fields.has_if_none_match,
        if_modified_since: fields.if_modified_since,
        headers: parsed.headers,
        head_len: blank_len + head_len,
    }))
}

/// Empty lines in front of a request are skipped, as RFC 9112 2.2 asks, but not without end.
/// `None` when more bytes must come to tell.
fn blank_len(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let mut rest = bytes;
    for _ in 0..=BLANK_LINES_MAX {
        match rest {
            [b'\r', b'\n', after @ ..] => rest = after,
            [] | [b'\r'] => return Ok(None),
            [b'\r' | b'\n', ..] => return Err(Status::BadRequest),
            _ => return Ok(Some(bytes.len() - rest.len())),
        }
    }
    Err(Status::BadRequest)
}

const BLANK_LINES_MAX: usize = 4;

/// httparse takes a bare LF for a line end; a proxy in front may not. Every field name must
/// follow CR LF, which says the same of the line before, and so must the end. Gives the length of
/// the request line.
fn check_line_ends(bytes: &[u8], head_len: usize, headers: &[Header<'_>]) -> Result<usize, Status> {
    let head = bytes.get(..head_len).ok_or(Status::BadRequest)?;
    let follows_line_end = |name: &str| {
        let at = name.as_ptr().addr().checked_sub(head.as_ptr().addr())?;
        head.get(..at)?.strip_suffix(b"\r\n")
    };
    let end = head.strip_suffix(b"\r\n\r\n").ok_or(Status::BadRequest)?;
    let mut line = end;
    for header in headers.iter().rev() {
        line = follows_line_end(header.name).ok_or(Status::BadRequest)?;
    }
    Ok(line.len())
}

/// What httparse refuses, in terms of HTTP; `None` when more bytes must come to tell.
fn refusal(error: Error, bytes: &[u8]) -> Option<Status> {
    match error {
        Error::TooManyHeaders => Some(Status::HeaderFieldsTooLarge),
        Error::Version => {
            let line_len = bytes.iter().position(|byte| *byte == b'\n')?;
            let line = bytes.get(..line_len)?;
            Some(
                if has_foreign_version(line.strip_suffix(b"\r").unwrap_or(line)) {
                    Status::VersionNotSupported
                } else {
                    Status::BadRequest
                },
            )
        }
        _ => Some(Status::BadRequest),
    }
}

/// Whether a request line ends, after two words, in a well-formed version: RFC 9112 2.3.
fn has_foreign_version(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (_, _, version) = (words.next(), words.next(), words.next());
    match version.and_then(|version| version.strip_prefix(b"HTTP/")) {
        Some([major, b'.', minor]) => {
            major.is_ascii_digit() && minor.is_ascii_digit() && words.next().is_none()
        }
        _ => false,
    }
}

/// What the header fields say that concerns us.
#[derive(Default)]
struct Fields<'b> {
    has_close: bool,
    has_keep_alive: bool,
    content_length: Option<u64>,
    expects_continue: bool,
    has_if_none_match: bool,
    if_modified_since: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    fn read(headers: &[Header<'b>], is_http10: bool) -> Result<Self, Status> {
        let mut fields = Self::default();
        let mut host_cnt = 0;
        let (mut transfer_coding, mut transfer_coding_cnt) = (None, 0);
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Most fields are told apart by length alone.
            match header.name.len() {
                4 if is("host") => {
                    host_cnt += 1;
                    if host_cnt > 1 || !is_host(header.value) {
                        return Err(Status::BadRequest);
                    }
                }
                6 if is("expect") => {
                    if !header.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Status::ExpectationFailed);
                    }
                    fields.expects_continue = true;
                }
                10 if is("connection") => fields.connection(header.value),
                13 if is("if-none-match") => fields.has_if_none_match = true,
                14 if is("content-length") => {
                    // RFC 9112 6.3 allows equal repetitions; nobody honest sends them.
                    if fields.content_length.is_some() {
                        return Err(Status::BadRequest);
                    }
                    fields.content_length = Some(length(header.value).ok_or(Status::BadRequest)?);
                }
                17 if is("transfer-encoding") => {
                    transfer_coding_cnt += 1;
                    transfer_coding = Some(header.value);
                }
                17 if is("if-modified-since") => fields.if_modified_since = Some(header.value),
                _ => {}
            }
        }
        if host_cnt == 0 && !is_http10 {
            return Err(Status::BadRequest);
        }
        match transfer_coding {
            None => Ok(fields),
            // RFC 9112 6.1: both at once, or from a client that cannot know codings.
            Some(_) if is_http10 || fields.content_length.is_some() => Err(Status::BadRequest),
            Some(_) if transfer_coding_cnt > 1 => Err(Status::BadRequest),
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Err(Status::LengthRequired),
            Some(_) => Err(Status::NotImplemented),
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.has_close |= option.eq_ignore_ascii_case(b"close");
            self.has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// The value of Content-Length: digits only, no sign, no list.
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, byte| match byte {
        b'0'..=b'9' => length.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
