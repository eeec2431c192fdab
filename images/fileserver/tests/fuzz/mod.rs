//! What the fuzz targets do with the bytes they are given. `tests/replay.rs` does the same with
//! their corpus, under plain `cargo test`.
//!
//! ```text
//!   requests   2 bytes: length of a piece │ bytes of a connection
//!   short_cut  1 byte: clock, answers before │ 1 byte: room for the head │ bytes of a frame
//!   rules      bytes of `_redirects`, a zero, bytes of `_headers`
//! ```
//!
//! The admin port's is in `look.rs`, as it takes two stacks.

pub(crate) mod look;

use std::cell::RefCell;
use std::sync::OnceLock;

use simoom_fileserver::http::{
    Answer, Exchange, Gather, KNOWN_CNT, Known, Limits, PIECE_LEN_MAX, Parts, Place, Server,
    Status, Step,
};
use simoom_fileserver::site::{Memory, Options, Site};

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

/// What no client may ever see.
const SECRET: &str = "SECRET";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mtime(0x2e);
        builder.append_data(&mut header, name, *body).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Two sites: one with rules and listings, one with hosts.
fn servers() -> &'static [Server; 2] {
    static SERVERS: OnceLock<[Server; 2]> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let rules = format!(
            "# {SECRET}\n/old /new\n/b/:x/* /c/:splat/:x 302\n/f/* /:splat 303!\n\
             /u/* https://h/:splat 308\n/app/* /index.html 200\n/gone/* /:splat 404\n"
        );
        let headers = format!("# {SECRET}\n/*\n  X-Own: 1\n/d/*\n  Cache-Control: no-store\n");
        let files: Vec<(&str, &[u8])> = vec![
            ("_redirects", rules.as_bytes()),
            ("_headers", headers.as_bytes()),
            ("index.html", b"<h1>/"),
            ("404.html", b"lost"),
            ("a.txt", b"text"),
            ("big", &[b'x'; 5_000]),
            ("d/index.html", b"dir"),
            ("bare/file.bin", b"\0\x01"),
            ("s p/\u{e9}.txt", b"e"),
            ("v.css", b"0123456789"),
            ("v.css.gz", b"gzipped"),
            ("v.css.br", b"broth"),
        ];
        let hosts: Vec<(&str, &[u8])> = vec![
            ("h/index.html", b"h"),
            ("h/_redirects", rules.as_bytes()),
            ("default/index.html", b"d"),
            ("outside", SECRET.as_bytes()),
        ];
        let options = Options::default();
        let one = Options {
            listing: true,
            ..options
        };
        let other = Options {
            hosts: true,
            ..options
        };
        [(files, one), (hosts, other)].map(|(files, options)| {
            let archive = tar(&files).leak();
            let site = Site::open(archive, options, 1, &mut Leak).unwrap();
            Server::new(site, Limits::DEFAULT)
        })
    })
}

/// A connection, whole and in pieces: the same answers, each well-formed, none with what is no
/// file of the site.
pub(crate) fn requests(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let piece_len = usize::from(u16::from_le_bytes(*size) % 2_000) + 1;
    for server in servers() {
        let whole = answers(server, stream, stream.len().max(1));
        let pieces = answers(server, stream, piece_len);
        // How a malformed end is refused may depend on how much of it was there.
        let (whole, pieces) = (good(&whole), good(&pieces));
        assert_eq!(whole, pieces, "pieces of {piece_len}");
    }
}

/// A frame's bytes read with the short cut, without, and from what is known: the same step, the
/// same answer byte for byte, on a server with a clock and on one without, wherever in a
/// connection, with any room for the head. What a request leaves is read on from there, as in a
/// frame of several.
pub(crate) fn short_cut(bytes: &[u8]) {
    let Some(([settings, room], stream)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let answered = [0, 1, LAST - 1, LAST][usize::from(settings >> 1 & 3)];
    let room_len = match room {
        0..128 => 1_800,
        room => usize::from(room - 128) * 8,
    };
    for (site, server) in servers().iter().enumerate() {
        let mut server = Server::new(*server.site(), LIMITS);
        server.set_time((settings & 1 != 0).then_some(784_111_777));
        let (mut exchange, mut rest) = (Exchange::NEW, stream);
        for _ in 0..answered {
            let request = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
            server.respond(&mut exchange, request, &mut [0; 1_800], None);
        }
        // Each answer takes something, or ends the connection.
        while !rest.is_empty() && !exchange.is_closed() {
            match compare_in(&server, site, &mut exchange, rest, room_len) {
                0 => break,
                consumed => rest = &rest[consumed..],
            }
        }
    }
}

/// Answers a connection at most: so few that it often is the last one.
const LAST: u32 = 4;
const LIMITS: Limits = Limits {
    requests_max: LAST,
    ..Limits::DEFAULT
};

/// The answers before one that closes.
fn good(answers: &[(u16, bool, Vec<u8>)]) -> &[(u16, bool, Vec<u8>)] {
    let end = answers
        .iter()
        .position(|(status, close, _)| *close && *status >= 400);
    &answers[..end.unwrap_or(answers.len())]
}

fn answers(server: &Server, stream: &[u8], piece_len: usize) -> Vec<(u16, bool, Vec<u8>)> {
    let (mut exchange, mut gather) = (Exchange::NEW, Gather::default());
    let mut scratch = vec![0; 8_192];
    let mut out: Vec<(u16, bool, Vec<u8>)> = Vec::new();
    for piece in stream.chunks(piece_len) {
        let mut rest = piece;
        while !rest.is_empty() {
            if gather.is_empty() {
                compare(server, exchange, rest);
            }
            let (mut head, mut parts) = ([0; 1_800], Parts::NONE);
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
                    assert!(
                        !out.last().is_some_and(|(_, close, _)| *close),
                        "after the end"
                    );
                    out.push(check(server, &answer, &head, &mut parts));
                    answer.consumed
                }
                Step::Taken { consumed } => {
                    assert!(consumed > 0, "no progress");
                    consumed
                }
                Step::NeedMore => panic!("a gathered head is taken"),
            };
            assert!(consumed <= rest.len());
            rest = &rest[consumed..];
        }
    }
    out
}

/// With and without the short cut, and from what is known of other requests, which this one
/// joins: the same answer, byte for byte.
fn compare(server: &Server, mut exchange: Exchange, bytes: &[u8]) {
    let site = usize::from(!std::ptr::eq(server, &servers()[0]));
    compare_in(server, site, &mut exchange, bytes, 1_800);
}

/// The same with so much room for the head; how many bytes of the request were consumed. `site` is
/// the place of the server's site among the two.
fn compare_in(
    server: &Server,
    site: usize,
    exchange: &mut Exchange,
    bytes: &[u8],
    room_len: usize,
) -> usize {
    let (mut short, mut full) = (*exchange, *exchange);
    let (mut short_head, mut full_head) = (vec![0; room_len], vec![0; room_len]);
    let (mut short_parts, mut full_parts) = (Parts::NONE, Parts::NONE);
    let short_step = server.respond(&mut short, bytes, &mut short_head, Some(&mut short_parts));
    let full_step = server.respond_in_full(&mut full, bytes, &mut full_head, Some(&mut full_parts));
    assert_eq!((short_step, short), (full_step, full));
    if let (Step::Answer(short), Step::Answer(full)) = (short_step, full_step) {
        let (short, full) = (&short_head[..short.head_len], &full_head[..full.head_len]);
        assert_eq!(
            short.escape_ascii().to_string(),
            full.escape_ascii().to_string()
        );
    }
    for _ in 0..2 {
        let (mut again, mut head, mut parts) = (*exchange, vec![0; room_len], Parts::NONE);
        let step = with_known(site, |known| {
            server.respond_known(known, &mut again, bytes, &mut head, Some(&mut parts))
        });
        assert_eq!((step, again), (short_step, short));
        if let Step::Answer(answer) = step {
            assert_eq!(head[..answer.head_len], short_head[..answer.head_len]);
        }
    }
    *exchange = short;
    match short_step {
        Step::Answer(answer) => answer.consumed,
        Step::Taken { consumed } => consumed,
        Step::NeedMore => 0,
    }
}

/// What is known of the requests to one of the two sites.
fn with_known<R>(site: usize, act: impl FnOnce(&mut Known) -> R) -> R {
    thread_local! {
        static KNOWN: [RefCell<Known>; 2] = [(); 2].map(|()| {
            RefCell::new(Known::new(vec![Place::EMPTY; KNOWN_CNT].leak()))
        });
    }
    KNOWN.with(|known| act(&mut known[site].borrow_mut()))
}

/// One answer, against its own head and the site.
fn check(server: &Server, answer: &Answer, head: &[u8], parts: &mut Parts) -> (u16, bool, Vec<u8>) {
    let text = std::str::from_utf8(&head[..answer.head_len]).expect("text");
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(text);
    let lines = text.strip_suffix("\r\n\r\n").expect("an end");
    let mut len = None;
    for (at, line) in lines.split("\r\n").enumerate() {
        assert!(
            line.bytes().all(|byte| (32..127).contains(&byte)),
            "{line:?}"
        );
        match line.split_once(": ") {
            Some(("Content-Length", value)) => len = Some(value.parse::<usize>().unwrap()),
            Some(("Location", value)) => {
                let is_own = value.starts_with('/') && !value.starts_with("//");
                assert!(is_own || value.starts_with("https://h/"), "{line}");
            }
            Some(_) => {}
            None => assert_eq!(at, 0, "{line:?}"),
        }
    }
    let code = format!("HTTP/1.1 {} ", answer.status.code());
    assert!(text.starts_with(&code) && Status::ALL.contains(&answer.status));
    let mut body = Vec::new();
    if answer.has_parts {
        while !parts.is_done() {
            let mut room = [0; PIECE_LEN_MAX];
            let piece = parts.write(&mut room).expect("it fits");
            body.extend(&room[..piece.head_len]);
            check_body(server, piece.body);
            body.extend(piece.body);
            parts.advance();
        }
    } else {
        check_body(server, answer.body);
        body.extend(answer.body);
    }
    if !body.is_empty() {
        assert_eq!(len, Some(body.len()), "{text}");
    }
    (answer.status.code(), answer.close, body)
}

/// Bytes of a file, of a listing or of an error's page, and never of what is hidden.
fn check_body(server: &Server, body: &'static [u8]) {
    let has_secret = body
        .windows(SECRET.len())
        .any(|bytes| bytes == SECRET.as_bytes());
    assert!(!has_secret, "{}", body.escape_ascii());
    let archive = server.site().archive().as_ptr_range();
    if !body.is_empty() && archive.contains(&body.as_ptr()) {
        let is_of_file = server.site().files().any(|file| {
            let range = file.body.as_ptr_range();
            range.contains(&body.as_ptr()) && body.as_ptr_range().end <= range.end
        });
        assert!(is_of_file, "bytes of the archive that are no file's");
    }
}

/// Rules of any site, and a few requests to it: no panic, nothing malformed in any head.
pub(crate) fn rules(bytes: &[u8]) {
    let mut texts = bytes.splitn(2, |byte| *byte == 0);
    let redirects = texts.next().unwrap_or(&[]);
    let headers = texts.next().unwrap_or(&[]);
    let files: [(&str, &[u8]); 4] = [
        ("_redirects", redirects),
        ("_headers", headers),
        ("index.html", b"root"),
        ("a/b.html", b"b"),
    ];
    let archive: &'static [u8] = tar(&files).leak();
    let site = Site::open(archive, Options::default(), 1, &mut Leak).unwrap();
    let mut fault_cnt = 0;
    site.rule_faults(|_| fault_cnt += 1);
    let line_cnt = bytes.iter().filter(|byte| **byte == b'\n').count() + 3;
    assert!(fault_cnt + site.redirect_cnt() <= line_cnt);
    let server = Server::new(site, Limits::DEFAULT);
    for path in [
        "/",
        "/a/b.html",
        "/a",
        "/x/y/z?q",
        "/%0d%0aX:y",
        "//h/",
        "/_headers",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut head = [0; 1_800];
        let step = server.respond(
            &mut Exchange::default(),
            request.as_bytes(),
            &mut head,
            None,
        );
        let Step::Answer(answer) = step else {
            panic!("{step:?}")
        };
        let text = &head[..answer.head_len];
        let lines = text.strip_suffix(b"\r\n\r\n").expect("an end");
        let is_plain = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
        let mut rest = lines;
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            assert!(rest[..end].iter().all(is_plain) && end > 0);
            rest = &rest[end + 2..];
        }
        assert!(rest.iter().all(is_plain));
    }
}
