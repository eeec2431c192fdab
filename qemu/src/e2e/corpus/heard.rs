//! Answers, reduced to what two servers must have in common.

use anyhow::{Context, Result};
use std::fmt;

/// One answer.
#[derive(PartialEq, Eq)]
pub(super) struct Heard {
    status: u16,
    /// It says that the connection ends.
    is_last: bool,
    /// Fields that count, in one order.
    fields: Vec<(&'static str, String)>,
    /// The body; of an error's page, which each server writes in its own words, nothing.
    body: Vec<u8>,
}

/// Fields that two servers must agree on. Not Allow: nginx has none with 405, although it must (RFC
/// 9110 15.5.6).
const FIELDS: [&str; 10] = [
    "Content-Type",
    "Content-Encoding",
    "Content-Range",
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Location",
    "Vary",
    "Cache-Control",
    "X-Own",
];

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value:?}")?;
        }
        let shown = &self.body[..self.body.len().min(24)];
        write!(f, " {} bytes {}", self.body.len(), shown.escape_ascii())?;
        f.write_str(if self.is_last { " close" } else { "" })
    }
}

/// Status codes with `c` behind the last of a connection, as the tables have them; `-` for none.
pub(super) fn short(answers: &[Heard]) -> String {
    let all: Vec<_> = answers
        .iter()
        .map(|heard| format!("{}{}", heard.status, if heard.is_last { "c" } else { "" }))
        .collect();
    match all.is_empty() {
        true => "-".to_owned(),
        false => all.join(","),
    }
}

/// The methods of requests, one after the other: words in front of lines that end in a version.
pub(super) fn methods(bytes: &[u8]) -> Vec<&[u8]> {
    let mut methods = Vec::new();
    for at in 0..bytes.len() {
        let rest = &bytes[at..];
        let line = rest.split(|byte| *byte == b'\r' || *byte == b'\n').next();
        let is_request = line.is_some_and(|line| {
            [
                &b"GET "[..],
                b"HEAD ",
                b"POST ",
                b"PUT ",
                b"OPTIONS ",
                b"DELETE ",
            ]
            .iter()
            .any(|method| line.starts_with(method))
                && line.windows(5).any(|five| five == b"HTTP/")
        });
        if is_request {
            methods.extend(rest.split(|byte| *byte == b' ').next());
        }
    }
    methods
}

/// Takes the answers of a connection apart; `methods` says which of them have no body.
pub(super) fn split(mut bytes: &[u8], methods: &[&[u8]]) -> Result<Vec<Heard>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            // nginx answers what it takes for HTTP/0.9 with a page alone.
            let body = bytes.to_vec();
            answers.push(Heard {
                status: 9,
                is_last: true,
                fields: Vec::new(),
                body,
            });
            return Ok(answers);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 4..];
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status: u16 = status.with_context(|| format!("no status: {head:?}"))?;
        if status == 100 {
            continue;
        }
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let has_body =
            !matches!(status, 204 | 304) && methods.get(answers.len()) != Some(&&b"HEAD"[..]);
        let len = field("Content-Length").and_then(|len| len.parse().ok());
        let len = len.filter(|_| has_body).unwrap_or(0).min(bytes.len());
        let (body, rest) = bytes.split_at(len);
        bytes = rest;
        answers.push(reduced(status, &field, body));
    }
    Ok(answers)
}

fn reduced(status: u16, field: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Heard {
    let is_page = status >= 300 && !body.starts_with(b"<h1>");
    let mut fields: Vec<_> = FIELDS
        .iter()
        .filter_map(|name| Some((*name, field(name)?)))
        .collect();
    fields.retain(|(name, _)| match *name {
        "Content-Type" => !is_page && status != 304,
        // nginx gives its page for 404 a tag, which nobody can use.
        "ETag" => status != 404,
        // nginx does not say it in 206, we do.
        "Accept-Ranges" => status == 200,
        // 304 need not have it (RFC 9110 15.4.5).
        "Last-Modified" => status != 304,
        _ => true,
    });
    let mut body = if is_page { Vec::new() } else { body.to_vec() };
    for (name, value) in &mut fields {
        // The word between parts is each server's own, of its own length.
        if *name == "Content-Type"
            && let Some((kind, boundary)) = value.clone().split_once("; boundary=")
        {
            *value = kind.to_owned();
            body = parts(&body, boundary);
        }
        // Each makes its tags from something else; which is meant, the requests show that name it.
        if *name == "ETag" {
            *value = match value.starts_with("W/") {
                true => "weak".to_owned(),
                false => "strong".to_owned(),
            };
        }
        if *name == "Location" {
            *value = location(value);
        }
    }
    let connection = field("Connection").unwrap_or_default();
    Heard {
        status,
        is_last: connection.eq_ignore_ascii_case("close"),
        fields,
        body,
    }
}

/// The parts of a multipart body: the range of each, and its bytes.
fn parts(body: &[u8], boundary: &str) -> Vec<u8> {
    let mark = format!("--{boundary}");
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(next) = body[at..]
        .windows(mark.len())
        .position(|w| w == mark.as_bytes())
    {
        let part = &body[at..at + next];
        let head_end = part.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = head_end {
            let head = String::from_utf8_lossy(&part[..end]).to_ascii_lowercase();
            let range = head.lines().find(|line| line.starts_with("content-range"));
            out.extend(range.unwrap_or("no range").as_bytes());
            out.extend(&part[end..]);
        }
        at += next + mark.len();
    }
    out
}

/// Percent-encoding in one form.
fn location(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((front, after)) = rest.split_once('%') {
        out += front;
        let digits = after.get(..2).unwrap_or("");
        out += "%";
        out += &digits.to_ascii_uppercase();
        rest = after.get(digits.len()..).unwrap_or("");
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
            x-own: y\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        let methods = methods(b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
        let heard = split(bytes, &methods).unwrap();
        assert_eq!(short(&heard), "200,200c");
        assert_eq!(heard[0].body, b"ab");
        assert_eq!(heard[0].fields, [("X-Own", "y".to_owned())]);
        assert_eq!(short(&[]), "-");
    }

    #[test]
    fn boundaries_do_not_count() {
        let body = |mark: &str| {
            format!(
                "\r\n--{mark}\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--{mark}\r\n\
                 Content-Range: bytes 5-5/9\r\n\r\nx\r\n--{mark}--\r\n"
            )
        };
        let [one, other] = ["abc", "00012"].map(|mark| parts(body(mark).as_bytes(), mark));
        assert_eq!(one, other);
        assert!(one.starts_with(b"content-range: bytes 0-1/9\r\n\r\nab"));
    }
}
