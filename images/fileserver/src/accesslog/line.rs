//! A line of the log, out of an answer and the head of its request: sixteen bytes at a time, and
//! without the formatter, as a busy server writes as many lines as answers.

use core::fmt::Write;

use simoom::Addr;

use super::Answered;
use crate::http::{LANES, Lanes, first};
use crate::message::HeadWriter;
use crate::message::date::imf_fixdate;

/// Characters of a request line, and of either header, that are written at most.
const LINE_MAX: usize = 600;
const HEADER_MAX: usize = 256;

/// A second, as lines have it.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) unix: i64,
    /// `[06/Nov/1994:08:49:37 +0000]`
    combined: [u8; 28],
    /// `1994-11-06T08:49:37Z`
    syslog: [u8; 20],
}

impl Stamp {
    /// `unix` is in seconds since 1970.
    pub(super) fn new(unix: i64) -> Self {
        let date = imf_fixdate(unix);
        let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
        let [day, name, year, time] =
            [(5, 7), (8, 11), (12, 16), (17, 25)].map(|(a, b)| part(a, b));
        let month = MONTHS.iter().position(|month| *month == name);
        let month = month.unwrap_or(0) as u8 + 1;
        let month = [b'0' + month / 10, b'0' + month % 10];
        let (mut combined, mut syslog) = ([0; 28], [0; 20]);
        put_all(
            &mut combined,
            &[b"[", day, b"/", name, b"/", year, b":", time, b" +0000]"],
        );
        put_all(
            &mut syslog,
            &[year, b"-", &month, b"-", day, b"T", time, b"Z"],
        );
        Self {
            unix,
            combined,
            syslog,
        }
    }
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

fn put_all(room: &mut [u8], parts: &[&[u8]]) {
    let mut out = HeadWriter::new(room);
    for part in parts {
        out.put(part);
    }
}

/// Writes the combined format: `host ident user [time] "request" status bytes "referer" "agent"`.
/// `head` is that of the request, `stamp` the time of the answer, if it is known.
pub(super) fn combined(
    out: &mut HeadWriter<'_>,
    answered: &Answered,
    head: &[u8],
    stamp: Option<&Stamp>,
) {
    put_addr(out, answered.remote);
    out.put(b" - - ");
    match stamp {
        None => out.put(b"[-]"),
        Some(stamp) => out.put(&stamp.combined),
    }
    let mut lines = Lines(head);
    // Empty lines in front of a request are not part of it.
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    out.put(b" \"");
    put_escaped(out, first, LINE_MAX);
    out.put(b"\" ");
    out.decimal(answered.status.code().into());
    out.put(b" ");
    match answered.sent_len {
        0 => out.put(b"-"),
        len => out.decimal(len),
    }
    let (mut referer, mut agent) = (None, None);
    // Up to the empty line that ends the head.
    for line in lines.take_while(|line| !line.is_empty()) {
        // The low bits of a letter are its place in the alphabet, small or not.
        match line.first().map(|initial| initial | 0x20) {
            Some(b'r') => referer = value_of(line, b"referer").or(referer),
            Some(b'u') => agent = value_of(line, b"user-agent").or(agent),
            _ => {}
        }
    }
    for header in [referer, agent] {
        out.put(b" \"");
        put_escaped(out, header.unwrap_or_default(), HEADER_MAX);
        out.put(b"\"");
    }
}

/// The value of the field `name`, if the line has that.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (has, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    has.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Writes a message of RFC 5424 up to where its text begins. `host` is our own address.
pub(super) fn syslog_head(out: &mut HeadWriter<'_>, host: Addr, stamp: Option<&Stamp>) {
    // Facility local0, severity informational; then version 1.
    out.put(b"<134>1 ");
    match stamp {
        // RFC 5424 6.2.3.1: of a system without a clock.
        None => out.put(b"-"),
        Some(stamp) => out.put(&stamp.syslog),
    }
    out.put(b" ");
    put_addr(out, host);
    out.put(b" simoom - access - ");
}

fn put_addr(out: &mut HeadWriter<'_>, addr: Addr) {
    let Some(v4) = addr.as_v4() else {
        // Takes what fits, and never fails.
        let _ = write!(out, "{addr}");
        return;
    };
    let (mut text, mut len) = ([b'.'; 16], 0);
    for octet in v4.octets() {
        for (unit, has) in [(100, octet >= 100), (10, octet >= 10), (1, true)] {
            if has && let Some(digit) = text.get_mut(len) {
                *digit = b'0' + octet / unit % 10;
                len += 1;
            }
        }
        // The full stop behind it is there.
        len += 1;
    }
    out.put(text.get(..len - 1).unwrap_or_default());
}

/// Writes what a client has said: nothing of it can end the line, the quotes, or the terminal's
/// good behaviour. No more than `max` characters; `-` for nothing.
fn put_escaped(out: &mut HeadWriter<'_>, bytes: &[u8], max: usize) {
    if bytes.is_empty() {
        return out.put(b"-");
    }
    let (mut rest, mut left) = (bytes, max);
    loop {
        let len = plain_len(rest).min(left);
        let (plain, odd) = rest.split_at_checked(len).unwrap_or_default();
        out.put(plain);
        left -= len;
        match odd.split_first() {
            Some((byte, after)) if left >= 4 => {
                let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
                out.put(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
                (rest, left) = (after, left - 4);
            }
            _ => return,
        }
    }
}

/// Bytes in front of the first that must be escaped.
fn plain_len(bytes: &[u8]) -> usize {
    let odd = |lanes: Lanes| lanes.not_printable() | lanes.are(b'"') | lanes.are(b'\\');
    position(bytes, odd, |byte| {
        !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\')
    })
}

/// Where the first byte of some kind is, or the end: asked of sixteen at once, and of those that
/// are left one by one.
#[inline]
fn position(bytes: &[u8], of_all: impl Fn(Lanes) -> u32, of_one: impl Fn(u8) -> bool) -> usize {
    let (chunks, tail) = bytes.as_chunks::<LANES>();
    for (idx, chunk) in chunks.iter().enumerate() {
        let found = of_all(Lanes::new(chunk));
        if found != 0 {
            return idx * LANES + first(found);
        }
    }
    let in_tail = tail.iter().position(|byte| of_one(*byte));
    bytes.len() - tail.len() + in_tail.unwrap_or(tail.len())
}

/// The lines of a head, without their ends. What stands behind the last end is one, too: the head
/// may have been cut.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = position(self.0, |lanes| lanes.are(b'\n'), |byte| byte == b'\n');
        let line = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end.saturating_add(1)..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}
