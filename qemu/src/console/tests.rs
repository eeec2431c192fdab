//! The wording that the image and the host program share.

use super::{Line, parse};

#[test]
fn every_known_line_is_read() {
    let listening = "simoom: listening on http://10.0.2.15:80/ (1366 files, 12.5 ms after entry)";
    let url = "http://10.0.2.15:80/".to_owned();
    let rows = [
        (
            listening,
            Line::Listening {
                url,
                files_cnt: 1366,
                entry_ms: 12.5,
            },
        ),
        (
            "simoom: error: no network card",
            Line::Error("no network card".to_owned()),
        ),
        (
            "simoom: cannot start: no RDRAND",
            Line::Error("no RDRAND".to_owned()),
        ),
        (
            "simoom: all home: connections 0, frames 512 of 512",
            Line::AllHome {
                connections_cnt: 0,
                frames_home: 512,
                frames_cnt: 512,
            },
        ),
        (
            "panic: a broken invariant",
            Line::Panic("panic: a broken invariant".to_owned()),
        ),
        (
            "panicked at a.rs:1:2:",
            Line::Panic("panicked at a.rs:1:2:".to_owned()),
        ),
        (
            "exception: page fault",
            Line::Panic("exception: page fault".to_owned()),
        ),
        ("simoom: dhcp: discover", Line::Other),
        ("SeaBIOS", Line::Other),
    ];
    for (text, line) in rows {
        assert_eq!(parse(text), line, "{text}");
    }
}

#[test]
fn a_garbled_line_is_only_a_line() {
    for text in [
        "simoom: listening on http://x/ (many files, 1.0 ms after entry)",
        "simoom: listening on",
        "simoom: all home: connections 0, frames 1",
        "simoom: all home: connections -1, frames 1 of 1",
        "simoom: ",
        "",
    ] {
        assert_eq!(parse(text), Line::Other, "{text}");
    }
}
