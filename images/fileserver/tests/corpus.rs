//! The requests of `requests.txt`, each in one piece, cut at every byte and in single bytes:
//! the answers must be the same.

use simoom_fileserver::http::{
    Answer, Exchange, Gather, HEAD_LEN_MIN, Limits, Parts, Server, Step,
};
use simoom_fileserver::site::{Found, Memory, Options, Site};

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

fn server() -> Server {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in [
        ("index.html", &b"<h1>/"[..]),
        ("a.txt", b"text"),
        ("dir/index.html", b"dir"),
        ("bare/file.bin", b"\0\x01"),
        ("s p/é.txt", b"e"),
        (".well-known/x", b"x"),
        ("v.css", b"0123456789"),
        ("v.css.gz", b"gzipped"),
        ("v.css.br", b"broth"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mtime(0x2e);
        builder.append_data(&mut header, name, body).unwrap();
    }
    let archive = builder.into_inner().unwrap().leak();
    Server::new(
        Site::open(archive, Options::default(), 1, &mut Leak).unwrap(),
        Limits::DEFAULT,
    )
}

/// The entity tag of a file, or of the variant whose coding is named behind it.
fn tag(site: &Site, words: &str) -> &'static [u8] {
    let (path, coding) = words.split_once(' ').unwrap_or((words, ""));
    let Some(Found::File(file)) = site.find(path.as_bytes()) else {
        panic!("no file {path}");
    };
    let mut variants = site.variants(file);
    match coding {
        "" => file.identity(),
        coding => {
            let named = variants.find(|(has, _)| has.name() == coding.as_bytes());
            named.expect("a variant").1
        }
    }
    .tag()
}

/// The escapes of the file.
fn unescape(site: &Site, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(repeated) = rest.strip_prefix('{') {
            let (inside, after) = repeated.split_once('}').unwrap();
            match inside.strip_prefix("tag ") {
                Some(words) => out.extend(tag(site, words)),
                None => {
                    let (count, what) = inside.split_once('*').unwrap();
                    out.extend(unescape(site, what).repeat(count.parse().unwrap()));
                }
            }
            rest = after;
            continue;
        }
        let mut len = first.len_utf8();
        if first == '\\' {
            let letter = rest.as_bytes()[1];
            len = if letter == b'x' { 4 } else { 2 };
            out.push(match letter {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => u8::from_str_radix(&rest[2..4], 16).unwrap(),
                other => panic!("escape {other}"),
            });
        } else {
            out.extend(&rest.as_bytes()[..len]);
        }
        rest = &rest[len..];
    }
    out
}

/// One answer as the file writes it, checked against its own head.
fn verdict(answer: &Answer, head: &[u8]) -> String {
    let text = std::str::from_utf8(&head[..answer.head_len]).unwrap();
    let is_continued = text.starts_with("HTTP/1.1 100 Continue\r\n\r\n");
    let text = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
    let body = text.strip_suffix("\r\n\r\n").expect("head ends");
    let mut lines = body.split("\r\n");
    let status = lines.next().unwrap();
    assert!(
        status.starts_with(&format!("HTTP/1.1 {} ", answer.status.code())),
        "{status}"
    );
    let fields: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let field = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    assert_eq!(field("Connection") == Some("close"), answer.close, "{text}");
    let code = answer.status.code();
    let length = field("Content-Length").map(|value| value.parse::<usize>().unwrap());
    assert_eq!(length.is_none(), matches!(code, 204 | 304), "{text}");
    if !answer.body.is_empty() {
        assert_eq!(length, Some(answer.body.len()));
    }
    assert_eq!(field("Allow").is_some(), matches!(code, 204 | 405));
    assert_eq!(field("Transfer-Encoding"), None);
    // Nobody has told it what time it is.
    assert_eq!(field("Date"), None);
    let is_file = matches!(code, 200 | 206 | 304);
    assert_eq!(field("ETag").is_some(), is_file);
    assert_eq!(field("Last-Modified").is_some(), is_file);
    assert_eq!(
        field("Content-Range").is_some(),
        code == 416 || code == 206 && !answer.has_parts
    );
    if code == 301 {
        let location = field("Location").unwrap();
        assert!(location.starts_with('/') && location.ends_with('/') && location.is_ascii());
    }
    if code >= 400 && !answer.body.is_empty() {
        assert!(answer.body.starts_with(b"<!doctype html>"));
    }
    let front = if is_continued { "100+" } else { "" };
    let no_body = match (answer.has_parts, answer.body) {
        (true, _) => "m",
        (false, []) => "h",
        _ => "",
    };
    format!(
        "{front}{code}{no_body}{}",
        if answer.close { "c" } else { "" }
    )
}

/// Feeds the pieces as frames, with scratch memory of `scratch_len`.
fn answers<'p>(server: &Server, pieces: impl Iterator<Item = &'p [u8]>) -> String {
    let mut exchange = Exchange::NEW;
    let mut gather = Gather::default();
    let mut scratch = vec![0; usize::from(Limits::DEFAULT.head_len_max)];
    let mut out: Vec<String> = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let mut head = [0; HEAD_LEN_MIN];
            let mut parts = Parts::NONE;
            let step = server.respond_gathered(
                &mut exchange,
                &mut gather,
                &mut scratch,
                rest,
                &mut head,
                Some(&mut parts),
            );
            let consumed = match step {
                Step::Answer(answer) => {
                    out.push(verdict(&answer, &head));
                    answer.consumed
                }
                Step::Taken { consumed } => {
                    if exchange.is_closed() && !out.last().is_some_and(|last| is_end(last)) {
                        out.push("x".to_string());
                    }
                    consumed
                }
                Step::NeedMore => panic!("gathered"),
            };
            assert!(consumed <= rest.len());
            assert!(
                consumed > 0 || matches!(step, Step::Answer(_)),
                "no progress"
            );
            rest = &rest[consumed..];
        }
    }
    assert_eq!(
        out.last().is_some_and(|last| is_end(last)),
        exchange.is_closed()
    );
    let answered = out.iter().filter(|verdict| *verdict != "x");
    assert_eq!(exchange.answered_cnt() as usize, answered.count());
    if !gather.is_empty() {
        assert!(exchange.is_within_head());
        out.push("...".to_string());
    }
    out.join(",")
}

/// Whether nothing follows a verdict.
fn is_end(verdict: &str) -> bool {
    verdict.ends_with('c') || verdict == "x"
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let server = server();
    let rows = include_str!("requests.txt").lines();
    let rows = rows.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let (want, _) = line.split_once(' ').unwrap();
        // The bytes start in a fixed column, or one space behind a longer list.
        let start = (want.len() + 1).max(8);
        (
            want.trim_end_matches(',').to_string(),
            unescape(server.site(), &line[start..]),
        )
    })
    .collect()
}

#[test]
fn whole() {
    let server = server();
    let corpus = corpus();
    assert!(corpus.len() > 140, "{}", corpus.len());
    let mut wrong = 0;
    for (want, request) in &corpus {
        let got = answers(&server, std::iter::once(&request[..]));
        if got != *want {
            let shown = &request[..request.len().min(200)];
            println!("want {want}, got {got}: {}", shown.escape_ascii());
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0);
}

/// With and without the short cut, in head memory of every length: the same, byte for byte.
#[test]
fn the_short_cut_answers_as_the_full_way() {
    let mut server = server();
    let mut answer_cnt = 0;
    for time in [None, Some(784_111_777)] {
        server.set_time(time);
        for (_, bytes) in corpus() {
            for len in (0..HEAD_LEN_MIN).step_by(61).chain([HEAD_LEN_MIN, 1_800]) {
                let (mut short, mut full) = (Exchange::NEW, Exchange::NEW);
                let (mut short_head, mut full_head) = (vec![0; len], vec![0; len]);
                let step = server.respond(&mut short, &bytes, &mut short_head, None);
                let full_step = server.respond_in_full(&mut full, &bytes, &mut full_head, None);
                assert_eq!((step, short), (full_step, full), "{}", bytes.escape_ascii());
                if let Step::Answer(answer) = step {
                    let len = answer.head_len;
                    assert_eq!(
                        short_head[..len],
                        full_head[..len],
                        "{}",
                        bytes.escape_ascii()
                    );
                    answer_cnt += 1;
                }
            }
        }
    }
    assert!(answer_cnt > 1_000, "{answer_cnt}");
}

#[test]
fn cut_anywhere() {
    let server = server();
    for (want, request) in corpus() {
        if request.len() > 1000 {
            continue;
        }
        for cut in 1..request.len() {
            let (front, back) = request.split_at(cut);
            let got = answers(&server, [front, back].into_iter());
            assert_eq!(got, want, "cut at {cut}: {}", request.escape_ascii());
        }
        let got = answers(&server, request.chunks(1));
        assert_eq!(got, want, "in single bytes: {}", request.escape_ascii());
    }
}

/// Memory for a head that is too small never panics and never sends half a head.
#[test]
fn head_memory_of_every_length() {
    let server = server();
    for (_, request) in corpus() {
        for len in 0..HEAD_LEN_MIN {
            let mut head = vec![0; len];
            let mut exchange = Exchange::NEW;
            if let Step::Answer(answer) = server.respond(&mut exchange, &request, &mut head, None) {
                if answer.head_len == 0 {
                    assert!(answer.close && answer.body.is_empty());
                } else {
                    verdict(&answer, &head);
                }
                assert_eq!(answer.close, exchange.is_closed());
            }
        }
    }
}

/// Each byte of a good request replaced by each other byte: what is answered with 2xx or 3xx is
/// a request that a strict reader accepts as well.
#[test]
fn every_byte_replaced() {
    let server = server();
    let good = b"GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nX: y\r\n\r\n";
    for at in 0..good.len() {
        for value in 0..=255 {
            let mut request = *good;
            request[at] = value;
            let mut head = [0; HEAD_LEN_MIN];
            let step = server.respond(&mut Exchange::default(), &request, &mut head, None);
            if let Step::Answer(answer) = step
                && !answer.close
            {
                assert!(is_strict(&request), "{}", request.escape_ascii());
            }
        }
    }
}

/// A slow and plain reading of RFC 9112: lines by CR LF, no other CR, LF or control byte, three
/// words in the first, a token and a colon in each other.
fn is_strict(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let text = &request[..end];
    let is_token = |word: &[u8]| {
        !word.is_empty()
            && word
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    };
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(len) = text[start..].windows(2).position(|two| two == b"\r\n") {
        lines.push(&text[start..start + len]);
        start += len + 2;
    }
    lines.push(&text[start..]);
    let is_plain = |line: &&[u8]| line.iter().all(|b| *b == b'\t' || (*b >= 32 && *b != 127));
    let words: Vec<&[u8]> = lines[0].split(|b| *b == b' ').collect();
    lines.iter().all(is_plain)
        && words.len() == 3
        && is_token(words[0])
        && words[1].starts_with(b"/")
        && matches!(
            words[2],
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9']
        )
        && lines[1..].iter().all(|line| {
            let colon = line.iter().position(|b| *b == b':');
            colon.is_some_and(|colon| is_token(&line[..colon]))
        })
}

/// The answers before a refusal that closes, or before the wait for more.
fn good_answers(answers: &str) -> Vec<&str> {
    let is_end = |answer: &&str| matches!(*answer, "..." | "x" | "");
    let is_refusal = |answer: &&str| answer.starts_with(['4', '5']) && answer.ends_with('c');
    answers
        .split(',')
        .take_while(|answer| !is_end(answer) && !is_refusal(answer))
        .collect()
}

/// Random cuts and splices of the corpus: no panic, progress at every call, nothing after a close.
#[test]
fn random_splices() {
    let server = server();
    let corpus = corpus();
    let mut state = 0x5eed_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound.max(1) as u64) as usize
    };
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..=below(3) {
            let (_, request) = &corpus[below(corpus.len())];
            let from = below(request.len().min(100));
            bytes.extend(&request[from..request.len() - below(4).min(request.len() - from)]);
        }
        if !bytes.is_empty() {
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
        }
        let piece_len = 1 + below(1500);
        let whole = answers(&server, std::iter::once(&bytes[..]));
        let pieces = answers(&server, bytes.chunks(piece_len));
        // Cut or whole, the same answers; only how a malformed end is refused may depend on how
        // much of it was there, and an end without a line end is not judged yet when it is cut.
        let (whole, pieces) = (good_answers(&whole), good_answers(&pieces));
        assert_eq!(whole, pieces, "{}", bytes.escape_ascii());
    }
}
