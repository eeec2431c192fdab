//! One request out of the bytes that have arrived: RFC 9112, with httparse for the grammar and,
//! here, everything that a grammar alone lets through.
//!
//! Where one server reads one request and another reads two, requests are smuggled. So whatever
//! can be read in two ways is refused and the connection closed: a line that does not end in
//! CR LF, two lengths, a length beside a transfer coding, a header name with a space behind it,
//! folded lines, a second Host.

use core::mem::MaybeUninit;

use httparse::{Error, Header, Status as Parsed};

use super::limits::{HEADERS_MAX, Limits};
use super::target::is_host;
use crate::message::Status;

/// Memory for header fields while a request is read.
pub(super) type HeaderRoom<'b> = [MaybeUninit<Header<'b>>; HEADERS_MAX];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Options,
    /// The bytes after it belong to a tunnel that will not be.
    Connect,
    Other,
}

/// What comes behind the head: RFC 9112 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes; 0 is no body.
    Length(u64),
    /// Chunks: RFC 9112 7.1.
    Chunked,
}

/// A request whose framing is beyond doubt.
#[derive(Debug)]
pub(super) struct Request<'h, 'b> {
    pub(super) method: Method,
    pub(super) target: &'b [u8],
    pub(super) is_http10: bool,
    /// What version and Connection field say together: RFC 9112 9.3.
    pub(super) keeps_alive: bool,
    pub(super) body: Body,
    pub(super) fields: Fields<'b>,
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
    let raw = RawRequest {
        bytes,
        blank_len,
        head_len,
        method: parsed.method.unwrap_or(""),
        target: parsed.path.unwrap_or("").as_bytes(),
        is_http10: parsed.version == Some(0),
    };
    raw.check(parsed.headers, limits).map(Some)
}

/// A request by its grammar alone.
pub(super) struct RawRequest<'b> {
    /// From the request line on.
    pub(super) bytes: &'b [u8],
    /// Bytes of the empty lines in front.
    pub(super) blank_len: usize,
    /// Bytes of the head without them.
    pub(super) head_len: usize,
    pub(super) method: &'b str,
    pub(super) target: &'b [u8],
    pub(super) is_http10: bool,
}

impl<'b> RawRequest<'b> {
    /// What a grammar lets through.
    pub(super) fn check<'h>(
        self,
        headers: &'h [Header<'b>],
        limits: &Limits,
    ) -> Result<Request<'h, 'b>, Status> {
        let line_len = check_line_ends(self.bytes, self.head_len, headers)?;
        if line_len > usize::from(limits.line_len_max) {
            return Err(Status::UriTooLong);
        }
        if self.head_len > usize::from(limits.head_len_max) {
            return Err(Status::HeaderFieldsTooLarge);
        }
        let method = match self.method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            "CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        let fields = Fields::read(headers, self.is_http10)?;
        Ok(Request {
            method,
            target: self.target,
            is_http10: self.is_http10,
            keeps_alive: !fields.has_close && (!self.is_http10 || fields.has_keep_alive),
            body: fields.body(),
            fields,
            headers,
            head_len: self.blank_len + self.head_len,
        })
    }
}

/// Empty lines in front of a request are skipped, as RFC 9112 2.2 asks, but not without end.
/// `None` when more bytes must come to tell.
pub(super) fn blank_len(bytes: &[u8]) -> Result<Option<usize>, Status> {
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
#[derive(Debug, Default)]
pub(super) struct Fields<'b> {
    has_close: bool,
    has_keep_alive: bool,
    is_chunked: bool,
    content_length: Option<u64>,
    /// Only the first: a second one is refused.
    pub(super) host: Option<&'b [u8]>,
    /// The body may or may not come: RFC 9110 10.1.1.
    pub(super) expects_continue: bool,
    /// The first of them.
    pub(super) accept_encoding: Option<&'b [u8]>,
    /// There are more, which make one list with it (RFC 9110 5.3).
    pub(super) has_more_accept_encoding: bool,
    /// One of the next four is there.
    pub(super) has_condition: bool,
    pub(super) has_if_match: bool,
    pub(super) has_if_none_match: bool,
    pub(super) if_modified_since: Option<&'b [u8]>,
    pub(super) if_unmodified_since: Option<&'b [u8]>,
    pub(super) range: Option<&'b [u8]>,
    pub(super) if_range: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    /// Of a request that says no more than this.
    pub(super) fn plain(host: &'b [u8], accept_encoding: Option<&'b [u8]>) -> Self {
        Self {
            host: Some(host),
            accept_encoding,
            ..Self::default()
        }
    }

    fn read(headers: &[Header<'b>], is_http10: bool) -> Result<Self, Status> {
        let mut fields = Self::default();
        let mut transfer_coding = None;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Nearly all fields are told apart by length and first letter alone.
            let first = header.name.as_bytes().first().copied().unwrap_or(0) | 0x20;
            match (header.name.len(), first) {
                (4, b'h') if is("host") => {
                    if fields.host.is_some() || !is_host(header.value) {
                        return Err(Status::BadRequest);
                    }
                    fields.host = Some(header.value);
                }
                // RFC 9110 10.1.1: not from a client of version 1.0.
                (6, b'e') if !is_http10 && is("expect") => {
                    if !header.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Status::ExpectationFailed);
                    }
                    fields.expects_continue = true;
                }
                (10, b'c') if is("connection") => fields.connection(header.value),
                (14, b'c') if is("content-length") => {
                    // RFC 9112 6.3 allows equal repetitions; nobody honest sends them.
                    if fields.content_length.is_some() {
                        return Err(Status::BadRequest);
                    }
                    fields.content_length = Some(length(header.value).ok_or(Status::BadRequest)?);
                }
                (17, b't') if is("transfer-encoding") => {
                    // Two fields would be a list of two codings.
                    if transfer_coding.is_some() {
                        return Err(Status::BadRequest);
                    }
                    transfer_coding = Some(header.value);
                }
                (5, b'r') | (8 | 13 | 17 | 19, b'i') | (15, b'a') => fields.wish(header),
                _ => {}
            }
        }
        if fields.host.is_none() && !is_http10 {
            return Err(Status::BadRequest);
        }
        match transfer_coding {
            None => Ok(fields),
            // RFC 9112 6.1: both at once, or from a client that cannot know codings.
            Some(_) if is_http10 || fields.content_length.is_some() => Err(Status::BadRequest),
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => {
                fields.is_chunked = true;
                Ok(fields)
            }
            Some(coding) => Err(unknown_coding(coding)),
        }
    }

    /// Fields that say which answer is wanted.
    fn wish(&mut self, header: &Header<'b>) {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            5 if is("range") => set_once(&mut self.range, header.value),
            8 if is("if-range") => set_once(&mut self.if_range, header.value),
            8 if is("if-match") => self.has_if_match = true,
            13 if is("if-none-match") => self.has_if_none_match = true,
            15 if is("accept-encoding") => {
                self.has_more_accept_encoding = self.accept_encoding.is_some();
                self.accept_encoding = self.accept_encoding.or(Some(header.value));
                return;
            }
            17 if is("if-modified-since") => set_once(&mut self.if_modified_since, header.value),
            19 if is("if-unmodified-since") => {
                set_once(&mut self.if_unmodified_since, header.value);
            }
            _ => return,
        }
        self.has_condition = self.has_if_match
            || self.has_if_none_match
            || self.if_modified_since.is_some()
            || self.if_unmodified_since.is_some();
    }

    fn body(&self) -> Body {
        match self.is_chunked {
            true => Body::Chunked,
            false => Body::Length(self.content_length.unwrap_or(0)),
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

/// What a body in codings that are not known here gets. RFC 9112 6.3: with `chunked` at their end
/// its length is known, and it is 501 (6.1); without, nobody knows where it ends, and it is 400.
fn unknown_coding(codings: &[u8]) -> Status {
    let last = codings.rsplit(|byte| *byte == b',').next();
    match last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
        true => Status::NotImplemented,
        false => Status::BadRequest,
    }
}

/// Keeps the value of a field that may be there once. A second one makes both invalid: the empty
/// value is no date, no tag and no range (RFC 9110 5.3).
fn set_once<'b>(place: &mut Option<&'b [u8]>, value: &'b [u8]) {
    *place = Some(if place.is_some() { &[] } else { value });
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
