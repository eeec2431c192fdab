use super::*;
use crate::http::server::head_end_sums;
use std::vec;
use std::vec::Vec;

const PREPARED: Prepared = Prepared {
    lines: [b"HTTP/1.1 200 OK\r\n", b"ETag: \"1\"\r\n"],
    body: b"body",
    closes: false,
};

fn known() -> Known {
    Known::new(vec![Place::EMPTY; KNOWN_CNT].leak())
}

fn request(path: &str, more: &str) -> Vec<u8> {
    std::format!("GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n").into_bytes()
}

fn keep(known: &mut Known, head: &[u8]) {
    let place = known.place_of(head).unwrap();
    known.keep(place, head, Status::Ok, PREPARED);
}

fn find(known: &Known, bytes: &[u8]) -> Option<usize> {
    let place = known.find(known.place_of(bytes)?, bytes)?;
    assert_eq!((place.prepared, place.status), (PREPARED, Status::Ok));
    Some(place.len())
}

#[test]
fn a_request_is_known_by_all_of_its_bytes() {
    let head = request("/a/page.html", "Accept: */*\r\n");
    let mut known = known();
    assert_eq!(find(&known, &head), None);
    keep(&mut known, &head);
    assert_eq!(find(&known, &head), Some(head.len()));
    for at in 0..head.len() {
        let mut other = head.clone();
        other[at] ^= 1;
        assert_eq!(find(&known, &other), None, "byte {at} is another");
        assert_eq!(find(&known, &head[..at]), None, "only {at} bytes");
    }
}

#[test]
fn what_follows_is_no_part_of_it() {
    let mut known = known();
    let head = request("/", "");
    let mut two = [head.clone(), request("/b", "")].concat();
    keep(&mut known, &two[..head.len()]);
    // The place depends on what follows, the answer does not.
    let place = known.place_of(&head).unwrap();
    assert_eq!(known.find(place, &two).unwrap().len(), head.len());
    two.truncate(head.len() - 1);
    assert!(known.find(place, &two).is_none());
}

#[test]
fn the_last_request_of_a_place_is_the_one_that_is_known() {
    let mut known = known();
    let heads: Vec<_> = (0..1_000)
        .map(|n| request(&std::format!("/{n}.html"), ""))
        .collect();
    heads.iter().for_each(|head| keep(&mut known, head));
    let left: Vec<_> = (0..heads.len())
        .filter(|n| find(&known, &heads[*n]).is_some())
        .collect();
    assert!(left.len() <= KNOWN_CNT && left.len() > KNOWN_CNT / 2);
    let taken = |n: usize| known.place_of(&heads[n]);
    for n in left {
        assert!((n + 1..heads.len()).all(|later| taken(later) != taken(n)));
    }
}

#[test]
fn a_request_that_lines_of_the_log_wait_for_is_kept_until_they_are_made() {
    let mut known = known();
    let first = request("/a/page.html", "");
    let mut second = first.clone();
    // Of the same length and with the same path, so it falls on the same place.
    let end = second.len() - 5;
    second[end] = b'i';
    let idx = known.place_of(&first).unwrap();
    assert_eq!(known.place_of(&second), Some(idx));
    keep(&mut known, &first);
    known.hold(idx, 7);
    known.hold(idx, 9);
    for made in [0, 7, 8] {
        known.release(made);
        keep(&mut known, &second);
        assert_eq!(known.head(idx), Some(&first[..]), "{made} lines are made");
        assert_eq!(find(&known, &second), None);
    }
    known.release(9);
    keep(&mut known, &second);
    assert_eq!(known.head(idx), Some(&second[..]));
}

#[test]
fn what_is_long_or_short_or_has_no_place_is_not_kept() {
    let mut known = known();
    let long = request("/", &std::format!("X: {}\r\n", "x".repeat(HEAD_LEN_MAX)));
    keep(&mut known, &long);
    assert_eq!(find(&known, &long), None);
    assert_eq!(known.place_of(b"GET / HTTP/1.1\r\n\r\n"), None);
    let mut none = Known::new(&mut []);
    let head = request("/", "");
    keep(&mut none, &head);
    assert_eq!(find(&none, &head), None);
}

#[test]
fn a_head_is_written_whole_or_not_at_all() {
    let date = crate::message::date::date_lines(784_111_777);
    let whole = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\n";
    let with_date = std::format!("{whole}Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    let without = std::format!("{whole}\r\n");
    let last = with_date.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let cases = [
        (Some(&date), false, with_date),
        (None, false, without),
        (Some(&date), true, last),
        (None, true, std::format!("{whole}Connection: close\r\n\r\n")),
    ];
    for (date, closes, text) in cases {
        let prepared = Prepared { closes, ..PREPARED };
        for room_len in 0..text.len() + 3 {
            let mut room = vec![0; room_len];
            let written = prepared.write(date, &mut room);
            assert_eq!(written, (room_len >= text.len()).then_some(text.len()));
            if let Some(len) = written {
                assert_eq!(&room[..len], text.as_bytes());
            }
        }
    }
}

#[test]
fn the_sum_of_an_answer_is_that_of_its_bytes() {
    let site: &'static [u8] = vec![7; 1_000].leak();
    let table = vec![0; Sums::entries(site.len())].leak();
    let sums: &'static Sums = std::boxed::Box::leak(std::boxed::Box::new(
        Sums::of(site, table).expect("the table is long enough"),
    ));
    let date = crate::message::date::date_lines(784_111_777);
    for (line, body) in [(&b"odd"[..], &site[3..700]), (b"even", &site[..501])] {
        let prepared = Prepared {
            lines: [line, b"ETag: \"1\"\r\n"],
            body,
            closes: body.len() == 501,
        };
        let (mut known, head) = (known(), request("/", ""));
        let place = known.place_of(&head).unwrap();
        known.keep(place, &head, Status::Ok, prepared);
        let has_none = known.find(place, &head).unwrap().sum(Sum::of(&date));
        assert_eq!(has_none, None);
        known.set_sums(Some(sums));
        known.keep(place, &head, Status::Ok, prepared);
        for date in [Some(&date), None] {
            let [stays, closes] = head_end_sums(date);
            let end = if prepared.closes { closes } else { stays };
            let mut room = vec![0; 512];
            let place = known.find(place, &head).unwrap();
            let head_len = place.prepared().write(date, &mut room).unwrap();
            let bytes = [&room[..head_len], body].concat();
            let sum = place.sum(end).expect("the table has it");
            assert_eq!(sum.folded(), Sum::of(&bytes).folded());
        }
    }
}
