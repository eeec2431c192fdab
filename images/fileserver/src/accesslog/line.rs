//! A line of the log, out of an answer and the head of its request.

use core::fmt::{self, Write};

use super::Request;
use crate::http::imf_fixdate;

/// Characters of a request line, and of either header, that are written at most.
const LINE_MAX: usize = 600;
const HEADER_MAX: usize = 256;

/// Writes the combined format: `host ident user [time] "request" status bytes "referer" "agent"`.
/// `unix` is the time of the answer, if it is known.
pub(super) fn combined(
    out: &mut impl Write,
    request: &Request<'_>,
    unix: Option<i64>,
) -> fmt::Result {
    write!(out, "{} - - ", request.remote)?;
    match unix {
        None => out.write_str("[-]")?,
        Some(unix) => {
            let (date, part) = (imf_fixdate(unix), part);
            let [day, month, year, time] =
                [(5, 7), (8, 11), (12, 16), (17, 25)].map(|(a, b)| part(&date, a, b));
            write!(out, "[{day}/{month}/{year}:{time} +0000]")?;
        }
    }
    let mut lines = Lines(request.head);
    // Empty lines in front of a request are not part of it.
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    out.write_str(" \"")?;
    escaped(out, first, LINE_MAX)?;
    write!(out, "\" {} ", request.status.code())?;
    match request.sent_len {
        0 => out.write_char('-')?,
        len => write!(out, "{len}")?,
    }
    let (mut referer, mut agent) = (None, None);
    // Up to the empty line that ends the head.
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"referer") {
            referer = Some(value);
        } else if name.eq_ignore_ascii_case(b"user-agent") {
            agent = Some(value);
        }
    }
    for header in [referer, agent] {
        out.write_str(" \"")?;
        escaped(out, header.unwrap_or_default(), HEADER_MAX)?;
        out.write_char('"')?;
    }
    Ok(())
}

/// Writes a message of RFC 5424 up to where its text begins. `host` is our own address.
pub(super) fn syslog_head(
    out: &mut impl Write,
    host: &dyn fmt::Display,
    unix: Option<i64>,
) -> fmt::Result {
    // Facility local0, severity informational; then version 1.
    write!(out, "<134>1 ")?;
    match unix {
        // RFC 5424 6.2.3.1: of a system without a clock.
        None => out.write_char('-')?,
        Some(unix) => {
            let date = imf_fixdate(unix);
            let [day, name, year, time] =
                [(5, 7), (8, 11), (12, 16), (17, 25)].map(|(a, b)| part(&date, a, b));
            let month = MONTHS.iter().position(|month| *month == name);
            let month = month.unwrap_or(0) + 1;
            write!(out, "{year}-{month:02}-{day}T{time}Z")?;
        }
    }
    write!(out, " {host} simoom - access - ")
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Part of a date, which is ASCII.
fn part(date: &[u8], from: usize, to: usize) -> &str {
    let bytes = date.get(from..to).unwrap_or_default();
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Writes what a client has said: nothing of it can end the line, the quotes, or the terminal's
/// good behaviour. No more than `max` characters; `-` for nothing.
fn escaped(out: &mut impl Write, bytes: &[u8], max: usize) -> fmt::Result {
    if bytes.is_empty() {
        return out.write_char('-');
    }
    let mut left = max;
    for byte in bytes {
        let is_plain = matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let len = if is_plain { 1 } else { 4 };
        let Some(rest) = usize::checked_sub(left, len) else {
            return Ok(());
        };
        left = rest;
        match is_plain {
            true => out.write_char(char::from(*byte))?,
            false => write!(out, "\\x{byte:02X}")?,
        }
    }
    Ok(())
}

/// The lines of a head, without their ends. What stands behind the last end is one, too: the head
/// may have been cut.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let end = end.unwrap_or(self.0.len());
        let line = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end.saturating_add(1)..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}
