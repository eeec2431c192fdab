use super::*;
use crate::http::{self, Known};
use crate::message::HeadWriter;
use core::net::Ipv4Addr;
use std::string::String;
use std::vec;
use std::vec::Vec;

const UNIX: i64 = 784_111_777;

const ANSWERED: Answered = Answered {
    at: Instant::from_micros(5_000_000),
    remote: Addr::v4(Ipv4Addr::new(192, 0, 2, 7)),
    status: Status::NotFound,
    sent_len: 153,
};

fn known(cnt: usize) -> Known {
    Known::new(vec![http::Place::EMPTY; cnt].leak())
}

fn line(head: &[u8], unix: Option<i64>) -> String {
    line_of(&ANSWERED, head, unix)
}

fn line_of(answered: &Answered, head: &[u8], unix: Option<i64>) -> String {
    let stamp = unix.map(line::Stamp::new);
    written(|out| line::combined(out, answered, head, stamp.as_ref()))
}

fn written(write: impl FnOnce(&mut HeadWriter<'_>)) -> String {
    let mut room = [0; LINE_LEN_MAX];
    let mut out = HeadWriter::new(&mut room);
    write(&mut out);
    let len = out.finish().expect("it fits");
    String::from_utf8(room[..len].to_vec()).unwrap()
}

#[test]
fn the_combined_format() {
    let head =
        b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nREFERER:  http://r/ \r\nUser-Agent: curl/8\r\n\r\n\
        User-Agent: of the next request\r\n\r\n";
    assert_eq!(
        line(head, Some(UNIX)),
        "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b=c HTTP/1.1\" 404 153 \
         \"http://r/\" \"curl/8\""
    );
    // What is not known: the time, the bytes of no body, headers, all of a request.
    let nothing = Answered {
        sent_len: 0,
        ..ANSWERED
    };
    let out = line_of(&nothing, b"", None);
    assert_eq!(out, "192.0.2.7 - - [-] \"-\" 404 - \"-\" \"-\"");
    assert_eq!(
        line(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", None),
        "192.0.2.7 - - [-] \"GET / HTTP/1.0\" 404 153 \"-\" \"-\""
    );
}

/// Nothing that a client says can end a line, a field, or the good behaviour of a terminal.
#[test]
fn what_a_client_says_stays_where_it_is() {
    let rows: [(&[u8], &str); 6] = [
        (b"GET /\" 200 1 \"x", "GET /\\x22 200 1 \\x22x"),
        (b"GET /\\x22", "GET /\\x5Cx22"),
        (b"GET /\x1b[2J", "GET /\\x1B[2J"),
        (b"GET /\rfake", "GET /\\x0Dfake"),
        (b"GET /\xff\x00\x7f", "GET /\\xFF\\x00\\x7F"),
        ("GET /\u{e9}".as_bytes(), "GET /\\xC3\\xA9"),
    ];
    for (said, written) in rows {
        let out = line(said, None);
        assert!(out.contains(&std::format!("\"{written}\" 404")), "{out}");
    }
    // Every byte in every field.
    for byte in 0..=u8::MAX {
        let said = [
            b"GET /",
            &[byte][..],
            b"\r\nReferer: x",
            &[byte],
            b"y\r\n\r\n",
        ]
        .concat();
        let out = line(&said, None);
        assert!(
            out.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{out}"
        );
        assert_eq!(out.matches('"').count(), 6, "{out}");
    }
}

#[test]
fn a_line_is_bounded_and_no_escape_is_cut() {
    for fill in [b'a', b'"', 0xff] {
        let said = [b"GET /", &vec![fill; 5_000][..]].concat();
        let out = line(&said, Some(UNIX));
        assert!(out.len() < 700, "{}", out.len());
        let in_quotes = out.split('"').nth(1).unwrap();
        assert_eq!((in_quotes.len() - 5) % if fill == b'a' { 1 } else { 4 }, 0);
    }
}

#[test]
fn syslog_has_its_own_head() {
    let host = Addr::v4(Ipv4Addr::new(10, 0, 2, 15));
    let stamp = line::Stamp::new(UNIX);
    assert_eq!(
        written(|out| line::syslog_head(out, host, Some(&stamp))),
        "<134>1 1994-11-06T08:49:37Z 10.0.2.15 simoom - access - "
    );
    let out = written(|out| line::syslog_head(out, host, None));
    assert_eq!(out, "<134>1 - 10.0.2.15 simoom - access - ");
    let v6 = Addr::v6(core::net::Ipv6Addr::LOCALHOST);
    assert!(written(|out| line::syslog_head(out, v6, None)).contains(" ::1 "));
    for (unix, month) in [(0, "Jan"), (UNIX, "Nov"), (UNIX + 40 * 86_400, "Dec")] {
        assert!(line(b"", Some(unix)).contains(&std::format!("/{month}/")));
    }
}

fn print_all(log: &mut Log, known: &mut Known, room: usize) -> String {
    let mut out = Vec::new();
    for _ in 0..10_000 {
        let mut left = room;
        let mut print = |text: &[u8]| {
            let taken = text.len().min(left);
            left -= taken;
            out.extend(&text[..taken]);
            taken
        };
        if !log.print(known, &mut 100, &mut print) && !log.has_lines() {
            break;
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_is_counted() {
    for room in [1, 7, 2_000] {
        // The next power of two below is used.
        let mut log = Log::new(Sink::Console, vec![Place::EMPTY; 7].leak());
        assert!(log.is_on() && !log.has_lines());
        for round in 1..=4_u64 {
            for path in ["/1", "/2", "/3", "/4", "/5", "/6"] {
                let head = std::format!("GET {path} HTTP/1.1\r\n\r\n");
                log.record(ANSWERED, head.as_bytes());
            }
            assert_eq!(log.waiting_cnt(), 4);
            let out = print_all(&mut log, &mut known(0), room);
            let paths: Vec<_> = out.lines().map(|line| line.split(' ').nth(5)).collect();
            assert_eq!(paths, ["/1", "/2", "/3", "/4"].map(Some), "{out}");
            assert!(out.ends_with('\n'));
            let counters = log.counters();
            assert_eq!(
                (counters.recorded, counters.written),
                (4 * round, 4 * round)
            );
            assert_eq!(counters.overflowed, 2 * round);
        }
    }
    let mut off = Log::off();
    off.record(ANSWERED, b"");
    assert!(!off.is_on() && !off.has_lines());
}

/// While packets wait lines go only from when half of the places are taken on, but then as many as
/// come: with as many places as two bursts have answers, none is lost.
#[test]
fn a_server_that_is_never_idle_keeps_up() {
    const BURST: usize = simoom::config::BURST_MAX;
    let mut log = Log::new(Sink::Console, vec![Place::EMPTY; PLACES].leak());
    for burst in 1..=100 {
        for _ in 0..BURST {
            log.record(ANSWERED, b"GET / HTTP/1.1\r\n\r\n");
        }
        let due = log.due(false);
        assert_eq!(due, log.waiting_cnt().saturating_sub(PLACES / 2));
        let mut left = due;
        while left > 0 {
            assert!(log.print(&mut known(0), &mut left, &mut |text| text.len()));
        }
        let most = (burst * BURST).min(PLACES / 2);
        assert_eq!(log.waiting_cnt(), most);
    }
    assert_eq!(log.counters().overflowed, 0);
    assert!(log.due(true) >= 64);
}

#[test]
fn addresses_have_as_many_digits_as_they_need() {
    for octets in [[0, 0, 0, 0], [1, 10, 100, 255], [9, 99, 199, 7]] {
        let addr = Addr::v4(octets.into());
        let out = written(|out| line::syslog_head(out, addr, None));
        assert_eq!(out, std::format!("<134>1 - {addr} simoom - access - "));
    }
}

#[test]
fn a_head_that_is_too_long_is_cut_and_times_fit_a_clock_that_is_told_late() {
    let mut log = Log::new(Sink::Console, vec![Place::EMPTY; 3].leak());
    let cookies = "c".repeat(HEAD_LEN_MAX);
    let head =
        std::format!("GET / HTTP/1.1\r\nUser-Agent: a\r\nCookie: {cookies}\r\nReferer: r\r\n\r\n");
    log.record(ANSWERED, head.as_bytes());
    log.set_clock(Some((UNIX, Instant::from_micros(4_000_000))));
    let out = print_all(&mut log, &mut known(0), 2_000);
    assert!(
        out.contains("08:49:38") && out.ends_with("\"-\" \"a\"\n"),
        "{out}"
    );
    log.record(ANSWERED, b"");
    log.set_clock(Some((UNIX, Instant::from_micros(7_500_000))));
    assert!(print_all(&mut log, &mut known(0), 2_000).contains("08:49:35"));
}
