//! Whole answers, byte for byte, and the limits of a connection.

use simoom_fileserver::http::{
    Answer, Exchange, Gather, HEAD_LEN_MIN, Limits, Server, Status, Step,
};
use simoom_fileserver::site::{Memory, Options, Site};

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

fn server(limits: Limits) -> Server {
    let mut builder = tar::Builder::new(Vec::new());
    let deep = format!("{}/x", ["é".repeat(100).as_str(); 5].join("/"));
    for name in [
        "index.html",
        "style.css",
        "dir/x",
        "a b/ü?/x",
        deep.as_str(),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mtime(784_111_777);
        builder
            .append_data(&mut header, name, &b"hello"[..])
            .unwrap();
    }
    let archive = builder.into_inner().unwrap().leak();
    Server::new(
        Site::open(archive, Options::default(), 1, &mut Leak).unwrap(),
        limits,
    )
}

fn ask(server: &Server, exchange: &mut Exchange, request: &[u8]) -> (Answer, String) {
    let mut head = [0; HEAD_LEN_MIN];
    match server.respond(exchange, request, &mut head, None) {
        Step::Answer(answer) => {
            let text = String::from_utf8(head[..answer.head_len].to_vec()).unwrap();
            (answer, text)
        }
        other => panic!("{other:?}"),
    }
}

fn get(server: &Server, path: &str) -> (Answer, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    ask(server, &mut Exchange::default(), request.as_bytes())
}

#[test]
fn a_file() {
    let mut server = server(Limits::DEFAULT);
    let (answer, head) = get(&server, "/");
    let want = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html; charset=utf-8\r\n\
        ETag: \"26c7827d889f6da3\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Accept-Ranges: bytes\r\n\r\n";
    assert_eq!(head, want);
    assert_eq!(
        (answer.body, answer.close, answer.status),
        (&b"hello"[..], false, Status::Ok)
    );
    // The body is the archive's own bytes.
    assert!(
        server
            .site()
            .archive()
            .as_ptr_range()
            .contains(&answer.body.as_ptr())
    );

    server.set_time(Some(784_111_778));
    let (_, head) = get(&server, "/style.css");
    assert!(
        head.ends_with("\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nContent-Type: text/css; charset=utf-8\r\n"),
        "{head}"
    );
    server.set_time(None);
    assert!(!get(&server, "/style.css").1.contains("Date:"));
}

#[test]
fn redirects() {
    let server = server(Limits::DEFAULT);
    let location = |path: &str| {
        let (answer, head) = get(&server, path);
        assert_eq!(answer.status, Status::MovedPermanently, "{path}");
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .unwrap();
        line.to_string()
    };
    assert_eq!(location("/dir"), "/dir/");
    assert_eq!(location("/dir?a=1&b=%20"), "/dir/?a=1&b=%20");
    assert_eq!(location("/dir?"), "/dir/?");
    assert_eq!(location("//dir//../dir"), "/dir/");
    assert_eq!(location("/a%20b/%c3%bc%3F"), "/a%20b/%C3%BC%3F/");
    // What another host could be made of.
    assert_eq!(location("///dir"), "/dir/");
    assert_eq!(location("http://evil/dir"), "/dir/");
    // Too long a query is dropped, too long a path is an error.
    assert_eq!(location(&format!("/dir?{}", "q".repeat(1000))), "/dir/");
    let deep = format!("/{}", ["%C3%A9".repeat(100).as_str(); 5].join("/"));
    assert_eq!(get(&server, &deep).0.status, Status::UriTooLong);
    let mut head = [0; 8192];
    let request = format!("GET {deep} HTTP/1.1\r\nHost: h\r\n\r\n");
    let step = server.respond(
        &mut Exchange::default(),
        request.as_bytes(),
        &mut head,
        None,
    );
    assert!(matches!(step, Step::Answer(answer) if answer.status == Status::MovedPermanently));
}

#[test]
fn the_last_request_of_a_connection() {
    let server = server(Limits {
        requests_max: 3,
        ..Limits::DEFAULT
    });
    let mut exchange = Exchange::default();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for number in 1..=3 {
        let (answer, head) = ask(&server, &mut exchange, request);
        assert_eq!(answer.close, number == 3);
        assert_eq!(head.contains("Connection: close\r\n"), number == 3);
    }
    let step = server.respond(&mut exchange, request, &mut [0; HEAD_LEN_MIN], None);
    assert_eq!(
        step,
        Step::Taken {
            consumed: request.len()
        }
    );
}

#[test]
fn a_refusal_from_outside() {
    let server = server(Limits::DEFAULT);
    let mut exchange = Exchange::default();
    let mut head = [0; HEAD_LEN_MIN];
    let step = server.respond(&mut exchange, b"GET / HT", &mut head, None);
    assert_eq!(step, Step::NeedMore);
    assert!(exchange.is_within_head());
    let answer = server.refuse(&mut exchange, Status::RequestTimeout, &mut head);
    assert!(answer.close && exchange.is_closed());
    assert!(head.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
}

#[test]
fn scratch_memory_of_every_length() {
    let server = server(Limits::DEFAULT);
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /dir HTTP/1.1\r\nHost: h\r\n\r\n";
    for scratch_len in 0..request.len() {
        for cut in 1..27 {
            let mut scratch = vec![0; scratch_len];
            let (mut exchange, mut gather) = (Exchange::default(), Gather::default());
            let mut head = [0; HEAD_LEN_MIN];
            let (front, mut rest) = request.split_at(cut);
            let step = server.respond_gathered(
                &mut exchange,
                &mut gather,
                &mut scratch,
                front,
                &mut head,
                None,
            );
            if scratch_len < cut {
                let Step::Answer(answer) = step else {
                    panic!("{step:?}")
                };
                assert_eq!(answer.status, Status::HeaderFieldsTooLarge);
                assert!(answer.consumed == cut && exchange.is_closed());
                continue;
            }
            assert_eq!(step, Step::Taken { consumed: cut });
            let mut statuses = Vec::new();
            while !rest.is_empty() {
                let step = server.respond_gathered(
                    &mut exchange,
                    &mut gather,
                    &mut scratch,
                    rest,
                    &mut head,
                    None,
                );
                let consumed = match step {
                    Step::Answer(answer) => {
                        statuses.push(answer.status.code());
                        answer.consumed
                    }
                    Step::Taken { consumed } => consumed,
                    Step::NeedMore => panic!("gathered"),
                };
                rest = &rest[consumed..];
            }
            // The first head is 27 bytes, the second is whole in its frame.
            let want: &[u16] = if scratch_len < 27 {
                &[431]
            } else {
                &[200, 301]
            };
            assert_eq!(statuses, want, "scratch {scratch_len}, cut {cut}");
            assert!(gather.is_empty());
        }
    }
}

/// The pages of all statuses fit and say
/// which status it is.
#[test]
fn every_page() {
    let mut server = server(Limits::DEFAULT);
    server.set_time(Some(0));
    for status in Status::ALL {
        let mut head = [0; HEAD_LEN_MIN];
        let answer = server.refuse(&mut Exchange::default(), *status, &mut head);
        assert!(answer.head_len > 0 && answer.head_len < HEAD_LEN_MIN);
        if status.code() < 300 {
            continue;
        }
        let page = std::str::from_utf8(answer.body).unwrap();
        assert!(
            page.contains(&format!("<title>{} ", status.code())),
            "{page}"
        );
    }
}
