use super::*;
use std::format;
use std::string::ToString;

fn asked(head: &str) -> Asked<'_> {
    match read(head.as_bytes()) {
        Read::Asked(asked) => asked,
        Read::More => panic!("{head}: more"),
        Read::Bad(status) => panic!("{head}: {status}"),
    }
}

/// A request for `target`, of which only what is wanted counts.
fn wants(target: &str) -> Wanted<'_> {
    wanted(target, false)
}

#[test]
fn every_path() {
    assert!(matches!(wants("/"), Wanted::Page));
    assert!(matches!(wants("/metrics"), Wanted::Metrics));
    assert!(matches!(wants("/metrics?x=y"), Wanted::Metrics));
    assert!(matches!(wants("/healthz"), Wanted::Healthy));
    assert!(matches!(wants("/readyz"), Wanted::Ready));
    for target in ["/metric", "/..", "", "*", "http://a/", "/healthz/"] {
        assert!(
            matches!(wants(target), Wanted::Error("404 Not Found", _)),
            "{target}"
        );
    }
    let Wanted::Connections(shape) = wants("/connections?from=7&limit=9") else {
        panic!("connections");
    };
    assert_eq!((shape.is_html, shape.from, shape.limit), (false, 7, 9));
    assert!(matches!(wants("/connections.html"), Wanted::Connections(shape) if shape.is_html));
    for query in ["from=x", "limit=-1", "page=2"] {
        let target = format!("/connections?{query}");
        assert!(
            matches!(wants(&target), Wanted::Error("400 Bad Request", _)),
            "{query}"
        );
    }
}

#[test]
fn a_browser_gets_html_and_a_program_json() {
    for (accept, is_html) in [
        ("", false),
        ("Accept: */*\r\n", false),
        ("Accept: text/html,application/xhtml+xml;q=0.9\r\n", true),
    ] {
        let head = format!("HEAD /connections HTTP/1.0\r\n{accept}\r\n");
        let asked = asked(&head);
        assert!(asked.is_head && asked.is_http10);
        assert!(matches!(asked.wanted, Wanted::Connections(shape) if shape.is_html == is_html));
    }
}

#[test]
fn what_is_no_request() {
    let post = asked("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    assert!(matches!(
        post.wanted,
        Wanted::Error("405 Method Not Allowed", _)
    ));
    for (head, status) in [("GET /\0 HTTP/1.1\r\n\r\n", "400"), ("\x16\x03\x01", "400")] {
        let Read::Bad(said) = read(head.as_bytes()) else {
            panic!("{head:?}");
        };
        assert!(said.starts_with(status));
    }
    let many = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        "A: b\r\n".repeat(HEADERS_MAX + 1)
    );
    assert!(matches!(read(many.as_bytes()), Read::Bad(status) if status.starts_with("431")));
    let whole = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
    for len in 0..whole.len() {
        assert!(
            matches!(read(&whole.as_bytes()[..len]), Read::More),
            "{len}"
        );
    }
}

#[test]
fn a_capture_is_what_was_said() {
    let Wanted::Capture(wish) = wants("/capture") else {
        panic!("defaults");
    };
    assert_eq!(
        (wish.seconds, wish.snap_len, wish.text.as_str()),
        (10, SNAP_DEFAULT, "")
    );
    let Wanted::Capture(wish) = wants("/capture?seconds=3&snaplen=1514&filter=tcp%20and+port%2080")
    else {
        panic!("all words");
    };
    assert_eq!((wish.seconds, wish.snap_len), (3, 1_514));
    assert_eq!(wish.text.as_str(), "tcp and port 80");
    assert_eq!(
        wish.filter,
        Filter::parse("port 80 and tcp")
            .map(|_| wish.filter)
            .unwrap()
    );
    for query in [
        "seconds=0",
        "seconds=3601",
        "seconds=",
        "snaplen=13",
        "snaplen=1515",
        "filter=%",
        "filter=%0a",
        "filter=%c3%a9",
        "what=1",
    ] {
        let target = format!("/capture?{query}");
        assert!(
            matches!(wants(&target), Wanted::Error("400 Bad Request", _)),
            "{query}"
        );
    }
    let long = format!("/capture?filter={}", "a".repeat(200));
    assert!(matches!(wants(&long), Wanted::Error("400 Bad Request", _)));
    for (query, said) in [
        ("vlan", "filter: vlan: expected host A"),
        ("tcp+or+udp", "filter: or: expected host A"),
        ("port+x", "filter: port x: expected 0 to 65535"),
    ] {
        let target = format!("/capture?filter={query}");
        let Wanted::BadFilter(error) = wants(&target) else {
            panic!("{query}");
        };
        assert!(error.to_string().starts_with(said), "{error}");
    }
}
