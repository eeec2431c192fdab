//! The forms of an answer: ranges, parts, variants; the bytes compared with the files.

use simoom_fileserver::http::{
    Answer, Exchange, HEAD_LEN_MIN, Limits, PIECE_LEN_MAX, Parts, RANGES_MAX, Server, Step,
};
use simoom_fileserver::site::{Memory, Options, Site};

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

fn server() -> Server {
    server_at(None)
}

/// The server of a machine that was started at a time, in seconds since 1970.
fn server_at(now: Option<i64>) -> Server {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in [
        ("big.bin", big()),
        ("empty.txt", Vec::new()),
        ("a.js", b"0123456789".to_vec()),
        ("a.js.gz", b"gzip".to_vec()),
        ("a.js.br", b"brotli".to_vec()),
        ("a.js.zst", b"zstandard!".to_vec()),
        ("dir/index.html", b"<!doctype html>".to_vec()),
        ("dir/index.html.gz", b"<gz>".to_vec()),
        ("lone.css.gz", b"gz".to_vec()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mtime(784_111_777);
        builder
            .append_data(&mut header, name, body.as_slice())
            .unwrap();
    }
    let archive = builder.into_inner().unwrap().leak();
    let options = Options {
        now,
        ..Options::default()
    };
    Server::new(
        Site::open(archive, options, 1, &mut Leak).unwrap(),
        Limits::DEFAULT,
    )
}

fn big() -> Vec<u8> {
    (0..100_000u32).map(|n| (n * 7 / 3) as u8).collect()
}

/// An answer as a client has it.
struct Heard {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

fn ask(server: &Server, path: &str, fields: &str) -> Heard {
    let heard = ask_by("GET", server, path, fields);
    let len = heard
        .field("Content-Length")
        .map(|len| len.parse().unwrap());
    assert_eq!(
        len.unwrap_or(0),
        heard.body.len(),
        "{fields}: {}",
        heard.head
    );
    heard
}

fn ask_by(method: &str, server: &Server, path: &str, fields: &str) -> Heard {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let (mut head, mut parts) = ([0; HEAD_LEN_MIN], Parts::NONE);
    let mut exchange = Exchange::NEW;
    let step = server.respond(
        &mut exchange,
        request.as_bytes(),
        &mut head,
        Some(&mut parts),
    );
    let Step::Answer(answer) = step else {
        panic!("{step:?}")
    };
    Heard {
        status: answer.status.code(),
        head: String::from_utf8(head[..answer.head_len].to_vec()).unwrap(),
        body: body(&answer, &mut parts),
    }
}

fn body(answer: &Answer, parts: &mut Parts) -> Vec<u8> {
    if !answer.has_parts {
        return answer.body.to_vec();
    }
    let mut out = Vec::new();
    while !parts.is_done() {
        let mut room = [0; PIECE_LEN_MAX];
        let piece = parts.write(&mut room).expect("it fits");
        assert_eq!(parts.write(&mut [0; 16]), None);
        out.extend(&room[..piece.head_len]);
        out.extend(piece.body);
        parts.advance();
    }
    out
}

/// Takes a multipart body apart, as RFC 2046 5.1.1 says: first and last byte, and the bytes.
fn parts_of(heard: &Heard) -> Vec<(usize, usize, Vec<u8>)> {
    let kind = heard.field("Content-Type").unwrap();
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let mark = format!("\r\n--{boundary}");
    let body = String::from_utf8(heard.body.iter().map(|byte| byte & 0x7f).collect()).unwrap();
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        assert!(body[at..].starts_with(&mark));
        at += mark.len();
        if body[at..] == *"--\r\n" {
            return parts;
        }
        let head_len = body[at..].find("\r\n\r\n").unwrap() + 4;
        let head = &body[at..at + head_len];
        at += head_len;
        assert!(head.contains("\r\nContent-Type: application/octet-stream\r\n"));
        let range = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Range: bytes "));
        let (range, len) = range.unwrap().split_once('/').unwrap();
        assert_eq!(len, "100000");
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        parts.push((first, last, heard.body[at..at + last - first + 1].to_vec()));
        at += last - first + 1;
    }
}

#[test]
fn one_range() {
    let server = server();
    for (field, first, last) in [
        ("0-0", 0, 0),
        ("0-99999", 0, 99_999),
        ("500-", 500, 99_999),
        ("-1", 99_999, 99_999),
        ("99999-200000", 99_999, 99_999),
        ("10-20,15-30,31-40", 10, 40),
        ("200000-300000,5-6", 5, 6),
    ] {
        let heard = ask(&server, "/big.bin", &format!("Range: bytes={field}\r\n"));
        assert_eq!(heard.status, 206, "{field}");
        assert_eq!(
            heard.field("Content-Range"),
            Some(&*format!("bytes {first}-{last}/100000"))
        );
        assert_eq!(
            heard.field("Content-Type"),
            Some("application/octet-stream")
        );
        assert_eq!(heard.field("Accept-Ranges"), Some("bytes"));
        assert!(heard.body == big()[first..=last], "{field}");
    }
    let heard = ask(&server, "/big.bin", "Range: bytes=100000-\r\n");
    assert_eq!(heard.status, 416);
    assert_eq!(heard.field("Content-Range"), Some("bytes */100000"));
    assert_eq!(
        ask(&server, "/empty.txt", "Range: bytes=0-\r\n").status,
        416
    );
    assert_eq!(
        ask(&server, "/empty.txt", "Range: bytes=-5\r\n").status,
        200
    );
}

#[test]
fn several_ranges() {
    let server = server();
    let rows: [(&str, &[(usize, usize)]); 4] = [
        ("0-9,1000-1999", &[(0, 9), (1000, 1999)]),
        ("-10, 0-0", &[(99_990, 99_999), (0, 0)]),
        (
            "70000-,0-50,10-60,500-600",
            &[(70_000, 99_999), (0, 60), (500, 600)],
        ),
        ("0-0,300000-,99999-", &[(0, 0), (99_999, 99_999)]),
    ];
    for (field, want) in rows {
        let heard = ask(&server, "/big.bin", &format!("Range: bytes={field}\r\n"));
        assert_eq!(heard.status, 206, "{field}");
        assert_eq!(heard.field("Content-Range"), None);
        assert!(heard.field("ETag").is_some());
        let parts = parts_of(&heard);
        assert_eq!(parts.len(), want.len());
        for ((first, last, bytes), want) in parts.into_iter().zip(want) {
            assert_eq!((first, last), *want, "{field}");
            assert!(bytes == big()[first..=last], "{field}");
        }
    }
}

/// What a hostile client asks for costs hardly more than the file, or gives the file.
#[test]
fn abuse_of_ranges_is_bounded() {
    let server = server();
    let ask = |set: String| ask(&server, "/big.bin", &format!("Range: bytes={set}\r\n"));
    let many =
        |cnt: usize, range: fn(usize) -> String| (0..cnt).map(range).collect::<Vec<_>>().join(",");
    let heard = ask(many(RANGES_MAX, |_| "0-".into()));
    assert_eq!((heard.status, heard.body.len()), (206, 100_000));
    let heard = ask(many(RANGES_MAX + 1, |_| "0-".into()));
    assert_eq!((heard.status, heard.body.len()), (200, 100_000));
    // Small ones in descending order.
    let heard = ask(many(RANGES_MAX, |n| format!("{0}-{0}", 90_000 - n * 1_000)));
    assert_eq!((heard.status, parts_of(&heard).len()), (206, RANGES_MAX));
    assert!(heard.body.len() < RANGES_MAX * PIECE_LEN_MAX);
    let heard = ask(many(RANGES_MAX, |n| format!("{}-", n * 3_000)));
    assert_eq!((heard.status, heard.body.len()), (206, 100_000));
}

#[test]
fn variants() {
    let server = server();
    let row = |path: &str, fields: &str, want: (&str, Option<&str>, &str)| {
        let heard = ask(&server, path, fields);
        assert_eq!(heard.status, 200, "{path} {fields}");
        let (body, coding, kind) = want;
        assert_eq!(String::from_utf8(heard.body.clone()).unwrap(), body);
        assert_eq!(heard.field("Content-Encoding"), coding, "{fields}");
        assert_eq!(heard.field("Content-Type"), Some(kind), "{fields}");
        heard
    };
    let js = "text/javascript; charset=utf-8";
    let plain = row("/a.js", "", ("0123456789", None, js));
    let gzip = row(
        "/a.js",
        "Accept-Encoding: gzip\r\n",
        ("gzip", Some("gzip"), js),
    );
    let br = row(
        "/a.js",
        "Accept-Encoding: br\r\n",
        ("brotli", Some("br"), js),
    );
    // The variant that is not smaller than the file is none.
    row(
        "/a.js",
        "Accept-Encoding: zstd\r\n",
        ("0123456789", None, js),
    );
    // The smallest of those that are equal.
    row(
        "/a.js",
        "Accept-Encoding: br, gzip\r\n",
        ("gzip", Some("gzip"), js),
    );
    row(
        "/a.js",
        "Accept-Encoding: gzip;q=0.3\r\nAccept-Encoding: br;q=0.4\r\n",
        ("brotli", Some("br"), js),
    );
    let tags = [&plain, &gzip, &br].map(|heard| heard.field("ETag").unwrap());
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    for heard in [&plain, &gzip, &br] {
        assert_eq!(heard.field("Vary"), Some("Accept-Encoding"));
    }
    // Through the folder.
    let html = "text/html; charset=utf-8";
    row(
        "/dir/",
        "Accept-Encoding: gzip\r\n",
        ("<gz>", Some("gzip"), html),
    );
    // By their own names they are files like others.
    let own = row(
        "/a.js.gz",
        "Accept-Encoding: gzip\r\n",
        ("gzip", None, "application/gzip"),
    );
    assert_eq!(own.field("Vary"), None);
    row("/lone.css.gz", "", ("gz", None, "application/gzip"));
    assert_eq!(
        ask(&server, "/lone.css", "Accept-Encoding: gzip\r\n").status,
        404
    );
    // A range is one of the variant's bytes.
    let part = ask(
        &server,
        "/a.js",
        "Accept-Encoding: br\r\nRange: bytes=2-\r\n",
    );
    assert_eq!(
        (part.status, part.body, part.head.contains("bytes 2-5/6")),
        (206, b"otli".to_vec(), true)
    );
    assert!(part.head.contains("Content-Encoding: br"));
}

/// RFC 9110 8.8.2.1: Last-Modified is never behind Date, whatever the archive says.
#[test]
fn a_change_to_come_is_one_of_now() {
    const CHANGED: i64 = 784_111_777;
    let said = "Sun, 06 Nov 1994 08:49:37 GMT";
    for now in [None, Some(CHANGED), Some(CHANGED + 9)] {
        let heard = ask(&server_at(now), "/a.js", "");
        assert_eq!(heard.field("Last-Modified"), Some(said), "{now:?}");
    }
    let early = server_at(Some(CHANGED - 7));
    let heard = ask(&early, "/a.js", "Accept-Encoding: br\r\n");
    let now = "Sun, 06 Nov 1994 08:49:30 GMT";
    assert_eq!(heard.field("Last-Modified"), Some(now));
    // Conditions are held against what was said.
    let since = ask(&early, "/a.js", &format!("If-Modified-Since: {now}\r\n"));
    assert_eq!(since.status, 304);
    let part = format!("Range: bytes=0-1\r\nIf-Range: {now}\r\n");
    assert_eq!(ask(&early, "/a.js", &part).status, 206);
    // A clock from before 1970 says nothing that a date of ours could.
    assert_eq!(ask(&server_at(Some(-5)), "/a.js", "").status, 200);
}

/// RFC 9110 9.3.2: HEAD gets the head that GET gets, and nothing behind it.
#[test]
fn head_has_the_fields_of_get() {
    let mut server = server();
    server.set_time(Some(784_111_777));
    let tag = ask(&server, "/a.js", "").field("ETag").unwrap().to_owned();
    let rows = [
        ("/a.js", "", 200),
        ("/a.js", "Accept-Encoding: br\r\n", 200),
        ("/a.js", &format!("If-None-Match: {tag}\r\n"), 304),
        ("/a.js", "If-Match: \"x\"\r\n", 412),
        ("/a.js", "Accept-Encoding: *;q=0\r\n", 406),
        ("/empty.txt", "", 200),
        ("/dir", "", 301),
        ("/dir/", "", 200),
        ("/none", "", 404),
    ];
    for (path, fields, status) in rows {
        let get = ask(&server, path, fields);
        let head = ask_by("HEAD", &server, path, fields);
        assert_eq!((get.status, head.status), (status, status), "{path}");
        assert_eq!((get.head, head.body), (head.head, Vec::new()), "{path}");
    }
}
