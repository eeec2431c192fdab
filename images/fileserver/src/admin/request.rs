//! One request to the admin port: a method, a path, a few parameters.

use httparse::{EMPTY_HEADER, Status as Parsed};
use simoom_capture::{BadFilter, Filter};

use super::capture::{self, SECONDS_MAX, SNAP_DEFAULT, SNAP_MAX};
use super::connections::Shape;

/// What came of the bytes.
pub(super) enum Read<'b> {
    /// The head is not whole.
    More,
    /// It is none, by this status.
    Bad(&'static str),
    /// A request.
    Asked(Asked<'b>),
}

/// What somebody wants.
#[derive(Debug)]
pub(super) enum Wanted<'b> {
    /// `/`
    Page,
    /// `/metrics`
    Metrics,
    /// `/connections`
    Connections(Shape),
    /// `/capture`
    Capture(capture::Wish),
    /// `/healthz`
    Healthy,
    /// `/readyz`
    Ready,
    /// A filter that cannot be read. The words are those of the request, still escaped.
    BadFilter(BadFilter<'b>),
    /// Nothing that there is: status and reason.
    Error(&'static str, &'static str),
}

/// A request.
#[derive(Debug)]
pub(super) struct Asked<'b> {
    pub(super) wanted: Wanted<'b>,
    pub(super) is_head: bool,
    pub(super) is_http10: bool,
}

impl<'b> Asked<'b> {
    /// What was wanted, of a request of which no more is known.
    pub(super) fn of(wanted: Wanted<'b>) -> Self {
        Self {
            wanted,
            is_head: false,
            is_http10: false,
        }
    }
}

/// Header fields at most: what browsers send, with room.
const HEADERS_MAX: usize = 40;

/// Reads the request at the start of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read<'_> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(Parsed::Complete(_)) => {}
        Ok(Parsed::Partial) => return Read::More,
        Err(httparse::Error::TooManyHeaders) => {
            return Read::Bad("431 Request Header Fields Too Large");
        }
        Err(_) => return Read::Bad("400 Bad Request"),
    }
    let is_http10 = parsed.version == Some(0);
    let method = parsed.method.unwrap_or_default();
    let target = parsed.path.unwrap_or_default();
    let accept = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("accept"));
    // A browser names HTML first; programs name nothing, or everything.
    let likes_html = accept.is_some_and(|header| header.value.starts_with(b"text/html"));
    let wanted = match method {
        "GET" | "HEAD" => wanted(target, likes_html),
        _ => Wanted::Error("405 Method Not Allowed", "GET and HEAD only\n"),
    };
    Read::Asked(Asked {
        wanted,
        is_head: method == "HEAD",
        is_http10,
    })
}

fn wanted(target: &str, likes_html: bool) -> Wanted<'_> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/" => Wanted::Page,
        "/metrics" => Wanted::Metrics,
        "/connections" => shape(query, likes_html),
        "/connections.html" => shape(query, true),
        "/capture" => wish(query),
        "/healthz" => Wanted::Healthy,
        "/readyz" => Wanted::Ready,
        _ => Wanted::Error("404 Not Found", PATHS),
    }
}

/// What there is.
const PATHS: &str = "there is: /, /metrics, /connections, /connections.html, /healthz, /readyz,\n\
    /capture?seconds=N&filter=TERMS&snaplen=N\n";

fn shape(query: &str, is_html: bool) -> Wanted<'_> {
    let mut shape = Shape {
        is_html,
        ..Shape::default()
    };
    for (key, value) in pairs(query) {
        let place = match key {
            "from" => &mut shape.from,
            "limit" => &mut shape.limit,
            _ => return Wanted::Error(BAD, "connections: parameters are from=N and limit=N\n"),
        };
        let Ok(number) = value.parse() else {
            return Wanted::Error(BAD, "connections: from and limit are numbers\n");
        };
        *place = number;
    }
    Wanted::Connections(shape)
}

fn wish(query: &str) -> Wanted<'_> {
    let mut wish = capture::Wish {
        seconds: 10,
        snap_len: SNAP_DEFAULT,
        filter: Filter::default(),
        text: capture::FilterText::EMPTY,
    };
    for (key, value) in pairs(query) {
        match key {
            "seconds" => match value.parse() {
                Ok(seconds) if (1..=SECONDS_MAX).contains(&seconds) => wish.seconds = seconds,
                _ => return Wanted::Error(BAD, "capture: seconds is 1 to 3600\n"),
            },
            "snaplen" => match value.parse() {
                Ok(len) if (14..=SNAP_MAX).contains(&len) => wish.snap_len = len,
                _ => return Wanted::Error(BAD, "capture: snaplen is 14 to 1514 bytes\n"),
            },
            "filter" => {
                let Some(text) = capture::FilterText::decode(value) else {
                    return Wanted::Error(BAD, "capture: the filter is too long, or no text\n");
                };
                wish.text = text;
                match Filter::parse(wish.text.as_str()) {
                    Ok(filter) => wish.filter = filter,
                    Err(error) => return Wanted::BadFilter(named(error, value)),
                }
            }
            _ => {
                let known = "capture: parameters are seconds=N, filter=TERMS and snaplen=N\n";
                return Wanted::Error(BAD, known);
            }
        }
    }
    Wanted::Capture(wish)
}

/// The same error with words that live as long as the request: those of the filter as it was sent.
fn named<'b>(error: BadFilter<'_>, sent: &'b str) -> BadFilter<'b> {
    let find = |word: &str| sent.find(word).and_then(|at| sent.get(at..at + word.len()));
    match error {
        BadFilter::Word(word) => BadFilter::Word(find(word).unwrap_or(sent)),
        BadFilter::Value(key, word) => BadFilter::Value(key, find(word).unwrap_or(sent)),
        _ => BadFilter::TooMany,
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

const BAD: &str = "400 Bad Request";

#[cfg(test)]
mod tests;
