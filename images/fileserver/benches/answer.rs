//! What a request costs above TCP, in instructions: from its bytes to the head of its answer.
//!
//! `cargo bench -p simoom-fileserver --bench answer` runs itself under callgrind, which counts in
//! `counted` alone, with GLIBC's `rep movsb` off. Each row must cost what was recorded for it or
//! less, give or take 3 %; `-- --record` records what they cost now.

#[path = "../../../stack/benches/paths/callgrind.rs"]
mod callgrind;
#[path = "../../../stack/benches/paths/record.rs"]
mod record;

use std::hint::black_box;
use std::process::ExitCode;

use record::Record;
use simoom_fileserver::http::{Exchange, Limits, Parts, Server, Step};
use simoom_fileserver::site::{Memory, Options, Site};

/// A request, and the status of its answer.
struct Row {
    name: &'static str,
    status: u16,
    request: &'static str,
}

/// What browsers send, as far as it is the same for all.
macro_rules! browser {
    ($path:literal, $more:literal) => {
        concat!(
            "GET ",
            $path,
            " HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n",
            "sec-ch-ua: \"Chromium\";v=\"126\", \"Not.A/Brand\";v=\"24\"\r\n",
            "sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n",
            "Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) ",
            "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n",
            "Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n",
            "Accept-Language: en-US,en;q=0.9\r\n",
            $more,
            "\r\n"
        )
    };
}

const ROWS: [Row; 7] = [
    Row {
        name: "smallest",
        status: 200,
        request: "GET /file.html HTTP/1.1\r\nHost: h\r\n\r\n",
    },
    Row {
        name: "curl",
        status: 200,
        request: "GET /file.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\n\
            Accept: */*\r\n\r\n",
    },
    Row {
        name: "browser",
        status: 200,
        request: browser!("/file.html", ""),
    },
    Row {
        name: "browser, variant",
        status: 200,
        request: browser!("/app.js", ""),
    },
    Row {
        name: "browser, 304",
        status: 304,
        request: browser!("/file.html", "If-None-Match: \"0797881285f20ee3\"\r\n"),
    },
    Row {
        name: "one range",
        status: 206,
        request: "GET /file.html HTTP/1.1\r\nHost: h\r\nRange: bytes=100-199\r\n\r\n",
    },
    Row {
        name: "404",
        status: 404,
        request: "GET /none.html HTTP/1.1\r\nHost: h\r\n\r\n",
    },
];

/// Requests that are counted.
const TIMES: u32 = 1_000;

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

fn server() -> Server {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, len: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_size(len as u64);
        header.set_mtime(0x2e);
        let body = vec![b'x'; len];
        builder
            .append_data(&mut header, name, body.as_slice())
            .unwrap();
    };
    add("file.html", 1_024);
    add("app.js", 1_024);
    add("app.js.br", 300);
    add("app.js.gz", 350);
    (0..1_000).for_each(|n| add(&format!("other/{n}.html"), 10));
    let archive = builder.into_inner().unwrap().leak();
    let site = Site::open(archive, Options::default(), 1, &mut Leak).unwrap();
    let mut server = Server::new(site, Limits::DEFAULT);
    server.set_time(Some(784_111_777));
    server
}

/// What callgrind counts.
#[inline(never)]
fn counted(
    server: &Server,
    exchange: &mut Exchange,
    request: &[u8],
    head: &mut [u8],
    parts: &mut Parts,
) -> Step {
    server.respond(exchange, request, head, Some(parts))
}

fn go(row: &Row) {
    let (server, mut head, mut parts) = (server(), [0; 1_800], Parts::NONE);
    for _ in 0..TIMES {
        let mut exchange = Exchange::NEW;
        let request = black_box(row.request.as_bytes());
        match counted(&server, &mut exchange, request, &mut head, &mut parts) {
            Step::Answer(answer) => assert_eq!(answer.status.code(), row.status),
            step => panic!("{step:?}"),
        }
    }
}

/// Instructions of one request; `None` without valgrind.
fn count(row: &Row) -> Option<f64> {
    Some(callgrind::instructions("*counted*", &[row.name])? / f64::from(TIMES))
}

fn main() -> ExitCode {
    let arg = std::env::args().nth(1).unwrap_or_default();
    if let Some(row) = ROWS.iter().find(|row| row.name == arg) {
        go(row);
        return ExitCode::SUCCESS;
    }
    let mut record = Record::read(env!("CARGO_MANIFEST_DIR"), "answer", arg == "--record");
    for row in &ROWS {
        let Some(all) = count(row) else {
            println!("valgrind is not installed: instructions are not counted");
            return ExitCode::SUCCESS;
        };
        let verdict = record.judge(row.name, all);
        let (name, status, len) = (row.name, row.status, row.request.len());
        println!("{name:<17} {all:>6.0} instructions; {verdict}  {status}, {len} bytes");
    }
    record.end()
}
