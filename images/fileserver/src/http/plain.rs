//! The short cut: requests as nearly all are, read sixteen bytes at a time.
//!
//! ```text
//!   GET /path?query HTTP/1.1 CR LF       no escape, no dot or slash behind a slash
//!   Name: value CR LF                    letters and hyphens; printable ASCII
//!   CR LF                                of the names that matter: Host, Connection,
//!                                        Accept-Encoding, If-None-Match, Range, once each
//! ```
//!
//! What is read here means the same to [`request::parse`](super::request::parse), which is the
//! reference and reads everything else: a request that is odd in any way is left to it, never
//! refused here. So there is one grammar, and this is a part of it.
//!
//! What was asked before, byte for byte, is not even read: see [`known`](super::known).

use httparse::{EMPTY_HEADER, Header};

use super::answer::Out;
use super::exchange::{Answer, Exchange};
use super::known::{Known, KnownIdx, Prepared};
use super::lanes::{LANES, Lanes, below_first, first};
use super::limits::{HEADERS_MAX, Limits};
use super::request::{Body, Fields, Method, Request};
use super::server::Server;
use super::target::{Target, is_host};
use super::{accept, conditions, route};
use crate::message::Status;
use crate::site::{File, Found};

/// A request that the short cut has read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain<'b> {
    /// Behind `GET `.
    target: &'b [u8],
    /// Bytes of it in front of the query.
    path_len: usize,
    query: Option<&'b [u8]>,
    host: &'b [u8],
    accept_encoding: Option<&'b [u8]>,
    if_none_match: Option<&'b [u8]>,
    range: Option<&'b [u8]>,
    /// The client is done after it.
    has_close: bool,
    /// Bytes of the head.
    head_len: usize,
}

/// Reads the request at the start of `bytes`; `None` for what is to be read in full.
#[inline]
pub(super) fn read<'b>(bytes: &'b [u8], limits: &Limits) -> Option<Plain<'b>> {
    let (path_len, query) = path_and_query(bytes)?;
    let line_len = METHOD.len() + path_len + query.map_or(0, |query| query.len() + 1);
    let target = bytes.get(METHOD.len()..line_len)?;
    let mut at = line_len + VERSION.len();
    let is_in_limit = at - LINE_END.len() <= usize::from(limits.line_len_max);
    if !is_in_limit || bytes.get(line_len..)?.first_chunk()? != VERSION {
        return None;
    }
    let mut plain = Plain {
        target,
        path_len,
        query,
        host: &[],
        accept_encoding: None,
        if_none_match: None,
        range: None,
        has_close: false,
        head_len: 0,
    };
    let (mut seen, mut header_cnt) = (0u8, 0);
    loop {
        header_cnt += 1;
        let field = Field::read(bytes, at)?;
        if field.may_matter() {
            let value = bytes.get(at + field.name_len + 1..at + field.line_len)?;
            seen = plain.keep(bytes, at, field.name_len, value, seen)?;
        }
        at += field.line_len + LINE_END.len();
        if field.is_last {
            break;
        }
    }
    plain.head_len = at + LINE_END.len();
    // A date counts only without tags: RFC 9110 13.1.3.
    let is_clear = seen & HAS_DATE == 0 || plain.if_none_match.is_some();
    let is_in_limits = plain.head_len <= usize::from(limits.head_len_max)
        && header_cnt <= usize::from(limits.header_cnt_max).min(HEADERS_MAX);
    (seen & HAS_HOST != 0 && is_clear && is_in_limits).then_some(plain)
}

impl<'b> Plain<'b> {
    /// What is asked for.
    #[inline]
    fn target(&self) -> Target<'b> {
        let path = self.target.get(1..self.path_len).unwrap_or(&[]);
        let (path, has_slash) = match path.strip_suffix(b"/") {
            Some(shorter) => (shorter, true),
            None => (path, path.is_empty()),
        };
        Target {
            path,
            has_slash,
            query: self.query,
            authority: None,
        }
    }

    /// As the full way would have read it, as far as anybody looks.
    fn request<'h>(&self, room: &'h mut [Header<'b>; 1]) -> Request<'h, 'b> {
        if let ([header], Some(value)) = (&mut *room, self.if_none_match) {
            *header = Header {
                name: "if-none-match",
                value,
            };
        }
        let mut fields = Fields::plain(self.host, self.accept_encoding);
        fields.range = self.range;
        fields.has_if_none_match = self.if_none_match.is_some();
        fields.has_condition = self.if_none_match.is_some();
        Request {
            method: Method::Get,
            target: self.target,
            is_http10: false,
            keeps_alive: !self.has_close,
            body: Body::Length(0),
            fields,
            headers: room,
            head_len: self.head_len,
        }
    }

    /// Keeps the value of a field that matters. `None` for one that this way does not know, or
    /// that is there again.
    #[inline]
    fn keep(
        &mut self,
        bytes: &'b [u8],
        at: usize,
        name_len: usize,
        value: &'b [u8],
        seen: u8,
    ) -> Option<u8> {
        // One space in front is what everybody writes; any other is for the full way.
        let value = value.strip_prefix(b" ")?;
        if matches!(value, [] | [b' ', ..] | [.., b' ']) {
            return None;
        }
        // The first eight bytes of the name and what follows it, and its last: a name has only
        // letters and hyphens, of which this makes small ones.
        let eight = |at: usize| {
            let word = bytes.get(at..)?.first_chunk::<8>()?;
            Some(u64::from_le_bytes(*word) | SMALL)
        };
        let first = eight(at)?;
        let last = || eight(at + name_len.checked_sub(8)?);
        let mark = match name_len {
            4 if first & LOW_HALF == HOST => {
                self.host = value;
                is_host(value).then_some(HAS_HOST)?
            }
            10 if first == CONNECTI && last()? == NNECTION => {
                self.has_close = value.eq_ignore_ascii_case(b"close");
                let is_known = self.has_close || value.eq_ignore_ascii_case(b"keep-alive");
                is_known.then_some(HAS_CONNECTION)?
            }
            5 if first & LOW_FIVE == RANGE => {
                self.range = Some(value);
                HAS_RANGE
            }
            15 if first == ACCEPT_E && last()? == ENCODING => {
                self.accept_encoding = Some(value);
                HAS_CODING
            }
            13 if first == IF_NONE && last()? == NE_MATCH => {
                self.if_none_match = Some(value);
                HAS_TAG
            }
            17 if first == IF_MODIF && last()? == ED_SINCE => HAS_DATE,
            // As long as one that matters, and begins as it does.
            15 if first == ACCEPT_L => return Some(seen),
            _ => return None,
        };
        (seen & mark == 0).then_some(seen | mark)
    }
}

impl Server {
    /// Answers what the short cut has read: from what was prepared, or the long way. What was
    /// prepared is kept in `known` at `place`.
    #[inline]
    pub(super) fn answer_plain(
        &self,
        exchange: &mut Exchange,
        plain: &Plain<'_>,
        bytes: &[u8],
        out: Out<'_>,
        known: Option<(&mut Known, KnownIdx)>,
    ) -> Answer {
        let answered_cnt = exchange.answered_cnt.saturating_add(1);
        if answered_cnt < self.limits.requests_max
            && plain.range.is_none()
            && let Some((status, prepared)) = self.prepared(plain)
            && let Some(head_len) = prepared.write(self.date.as_ref(), out.head)
        {
            exchange.count_prepared(prepared.closes);
            if let Some((known, place)) = known
                && let Some(head) = bytes.get(..plain.head_len)
            {
                known.keep(place, head, status, prepared);
            }
            return prepared.answer(status, plain.head_len, head_len);
        }
        self.answer_read(exchange, plain, out)
    }

    #[inline(never)]
    fn answer_read(&self, exchange: &mut Exchange, plain: &Plain<'_>, out: Out<'_>) -> Answer {
        self.answer(exchange, &plain.request(&mut [EMPTY_HEADER]), out)
    }

    /// 200 or 304, from the head that was written at boot. `None` when it takes more than that.
    #[inline]
    fn prepared(&self, plain: &Plain<'_>) -> Option<(Status, Prepared)> {
        let file = self.plain_file(&plain.target())?;
        let chosen = accept::choose_by(plain.accept_encoding, &self.site, file)?;
        let is_known = match plain.if_none_match {
            None => false,
            Some(tags) => conditions::is_listed(tags, chosen.tag()),
        };
        let (status, lines, body) = match is_known {
            false => (Status::Ok, [chosen.head.whole(), &[]], chosen.body),
            true => {
                let lines = [Status::NotModified.line(), chosen.head.since_validators()];
                (Status::NotModified, lines, &[][..])
            }
        };
        let prepared = Prepared {
            lines,
            body,
            closes: plain.has_close,
        };
        Some((status, prepared))
    }

    /// The file of a path, when no rule and no host comes before it.
    #[inline]
    fn plain_file(&self, target: &Target<'_>) -> Option<&File> {
        let is_ruled = self.site.has_hosts() || !self.site.redirects(true).is_empty();
        if is_ruled || route::is_hidden(target.path) {
            return None;
        }
        match self.site.find(target.path)? {
            Found::File(file) if !target.has_slash => Some(file),
            Found::Folder(index) if target.has_slash => index,
            _ => None,
        }
    }
}

/// A line with a field.
#[derive(Clone, Copy)]
struct Field {
    initial: u8,
    name_len: usize,
    /// Up to its CR LF.
    line_len: usize,
    /// The empty line follows.
    is_last: bool,
}

impl Field {
    /// Reads the line at `at`; `None` for any that is odd.
    #[inline]
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let line = bytes.get(at..)?;
        match line.first_chunk() {
            Some(chunk) => Self::of(line, Lanes::new(chunk)),
            None => Self::of(line, Lanes::load(bytes, at)?),
        }
    }

    /// The line at the start of `line`, of which `lanes` has the first bytes.
    #[inline(always)]
    fn of(line: &[u8], lanes: Lanes) -> Option<Self> {
        let colons = lanes.are(b':');
        if lanes.not_of_name() & below_first(colons) != 0 {
            return None;
        }
        let name_len = match colons {
            0 => LANES + name_len(line.get(LANES..)?)?,
            colons => first(colons),
        };
        // Up to the first control character, of which the name has none.
        let line_len = match lanes.not_printable() {
            0 => LANES + line_len(line.get(LANES..)?)?,
            ends => first(ends),
        };
        let end = u32::from_le_bytes(*line.get(line_len..)?.first_chunk()?);
        let is_end = name_len > 0 && end & 0xffff == HEAD_END & 0xffff;
        is_end.then_some(Self {
            initial: *line.first()?,
            name_len,
            line_len,
            is_last: end == HEAD_END,
        })
    }

    /// Whether length and initial are those of a name that matters to any server.
    #[inline]
    fn may_matter(&self) -> bool {
        // The low bits of a letter are its place in the alphabet, small or not.
        let lens = LENS.get(usize::from(self.initial & 0x1f)).copied();
        self.name_len < 32 && lens.unwrap_or(0) >> self.name_len & 1 != 0
    }
}

/// The rest of a name that is longer than most.
#[inline]
fn name_len(rest: &[u8]) -> Option<usize> {
    let (chunks, tail) = rest.as_chunks::<LANES>();
    for (idx, chunk) in chunks.iter().enumerate() {
        let lanes = Lanes::new(chunk);
        let colons = lanes.are(b':');
        if lanes.not_of_name() & below_first(colons) != 0 {
            return None;
        }
        if colons != 0 {
            return Some(idx * LANES + first(colons));
        }
    }
    let is_of_name = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    let end = tail.iter().position(|byte| !is_of_name(byte))?;
    let name_len = rest.len() - tail.len() + end;
    (rest.get(name_len) == Some(&b':')).then_some(name_len)
}

/// The rest of a line that is longer than sixteen bytes.
#[inline]
fn line_len(rest: &[u8]) -> Option<usize> {
    let (chunks, tail) = rest.as_chunks::<LANES>();
    for (idx, chunk) in chunks.iter().enumerate() {
        let ends = Lanes::new(chunk).not_printable();
        if ends != 0 {
            return Some(idx * LANES + first(ends));
        }
    }
    let end = tail.iter().position(|byte| !matches!(byte, b' '..=b'~'))?;
    Some(rest.len() - tail.len() + end)
}

/// By initial, the lengths of names that matter: a bit each.
const LENS: [u32; 32] = {
    let mut lens = [0; 32];
    lens[(b'a' & 0x1f) as usize] = 1 << "accept-encoding".len();
    lens[(b'c' & 0x1f) as usize] = 1 << "connection".len() | 1 << "content-length".len();
    lens[(b'e' & 0x1f) as usize] = 1 << "expect".len();
    lens[(b'h' & 0x1f) as usize] = 1 << "host".len();
    lens[(b'i' & 0x1f) as usize] = 1 << "if-match".len()
        | 1 << "if-range".len()
        | 1 << "if-none-match".len()
        | 1 << "if-modified-since".len()
        | 1 << "if-unmodified-since".len();
    lens[(b'r' & 0x1f) as usize] = 1 << "range".len();
    lens[(b't' & 0x1f) as usize] = 1 << "transfer-encoding".len();
    lens
};

/// The length of the path behind `GET `, and the query.
#[inline]
fn path_and_query(bytes: &[u8]) -> Option<(usize, Option<&[u8]>)> {
    if bytes.get(..METHOD.len() + 1)? != b"GET /" {
        return None;
    }
    // The slash in front was looked at.
    let (mut path_len, mut was_slash) = (1, 1);
    loop {
        let lanes = Lanes::load(bytes, METHOD.len() + path_len)?;
        let ends = lanes.end_path();
        let slashes = lanes.are(b'/');
        let behind_slash = (slashes << 1 | was_slash) & below_first(ends);
        if behind_slash & (slashes | lanes.are(b'.')) != 0 {
            return None;
        }
        if ends == 0 {
            was_slash = slashes >> (LANES - 1);
            path_len += LANES;
            continue;
        }
        path_len += first(ends);
        return match bytes.get(METHOD.len() + path_len)? {
            b' ' => Some((path_len, None)),
            b'?' => Some((path_len, Some(query(bytes, METHOD.len() + path_len + 1)?))),
            _ => None,
        };
    }
}

/// The query that starts at `at`: up to the next space.
#[inline(never)]
fn query(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let is_of_query = |byte: &u8| matches!(byte, 0x21..=0x7e) && *byte != b'#';
    let end = rest.iter().position(|byte| !is_of_query(byte))?;
    rest.get(..end)
}

const METHOD: &[u8] = b"GET ";
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";
const LINE_END: &[u8] = b"\r\n";
/// The end of a line and the empty one.
const HEAD_END: u32 = u32::from_le_bytes(*b"\r\n\r\n");

/// What makes letters small. Hyphens have the bit.
const SMALL: u64 = 0x2020_2020_2020_2020;
const LOW_HALF: u64 = 0xffff_ffff;
const LOW_FIVE: u64 = 0xff_ffff_ffff;
const RANGE: u64 = u64::from_le_bytes(*b"range\0\0\0");
const HOST: u64 = u64::from_le_bytes(*b"host\0\0\0\0");
const CONNECTI: u64 = u64::from_le_bytes(*b"connecti");
const NNECTION: u64 = u64::from_le_bytes(*b"nnection");
const ACCEPT_E: u64 = u64::from_le_bytes(*b"accept-e");
const ACCEPT_L: u64 = u64::from_le_bytes(*b"accept-l");
const ENCODING: u64 = u64::from_le_bytes(*b"encoding");
const IF_NONE: u64 = u64::from_le_bytes(*b"if-none-");
const NE_MATCH: u64 = u64::from_le_bytes(*b"ne-match");
const IF_MODIF: u64 = u64::from_le_bytes(*b"if-modif");
const ED_SINCE: u64 = u64::from_le_bytes(*b"ed-since");

const HAS_HOST: u8 = 1;
const HAS_CONNECTION: u8 = 2;
const HAS_CODING: u8 = 4;
const HAS_TAG: u8 = 8;
const HAS_DATE: u8 = 16;
const HAS_RANGE: u8 = 32;

#[cfg(test)]
mod tests;
