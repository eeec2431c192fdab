use super::*;
use crate::http::request;
use core::mem::MaybeUninit;
use std::format;
use std::string::String;
use std::vec::Vec;

/// What both ways read: the same, or the short one nothing. Whether it read it.
fn same(bytes: &[u8], limits: &Limits) -> bool {
    let Some(plain) = read(bytes, limits) else {
        return false;
    };
    let shown = bytes.escape_ascii();
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let Ok(Some(full)) = request::parse(bytes, &mut room, limits) else {
        panic!("refused: {shown}");
    };
    let mut room = [EMPTY_HEADER];
    let short = plain.request(&mut room);
    assert_eq!(short.method, full.method, "{shown}");
    assert_eq!(short.target, full.target, "{shown}");
    assert_eq!(short.is_http10, full.is_http10, "{shown}");
    assert_eq!(short.keeps_alive, full.keeps_alive, "{shown}");
    assert_eq!(short.body, full.body, "{shown}");
    assert_eq!(short.head_len, full.head_len, "{shown}");
    let (ours, theirs) = (&short.fields, &full.fields);
    assert_eq!(ours.host, theirs.host, "{shown}");
    assert_eq!(ours.expects_continue, theirs.expects_continue, "{shown}");
    assert_eq!(ours.accept_encoding, theirs.accept_encoding, "{shown}");
    assert!(!theirs.has_more_accept_encoding, "{shown}");
    assert_eq!(ours.has_if_match, theirs.has_if_match, "{shown}");
    assert_eq!(ours.has_if_none_match, theirs.has_if_none_match, "{shown}");
    assert_eq!(ours.range, theirs.range, "{shown}");
    assert_eq!(ours.if_range, theirs.if_range, "{shown}");
    assert_eq!(theirs.if_unmodified_since, None, "{shown}");
    let tags = |headers: &[Header<'_>]| -> Vec<Vec<u8>> {
        let is_tag = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("if-none-match");
        let tags = headers.iter().filter(is_tag);
        tags.map(|header| header.value.to_vec()).collect()
    };
    assert_eq!(tags(short.headers), tags(full.headers), "{shown}");
    let target = super::super::target::RawTarget::parse(full.target).expect("a target");
    assert_eq!(Some(plain.target()), target.as_normal(), "{shown}");
    true
}

fn is_read(text: &str) -> bool {
    same(text.as_bytes(), &Limits::DEFAULT)
}

#[test]
fn what_is_read() {
    for fields in [
        "",
        "User-Agent: x/1 (y; z)\r\nAccept: */*\r\n",
        "Connection: keep-alive\r\nAccept-Language: de\r\nAccept-Encoding: gzip;q=0.5\r\n",
        "CONNECTION: Close\r\n",
        "if-none-match: \"a\", W/\"b\"\r\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "Range: bytes=0-1\r\n",
        "Upgrade-Insecure-Requests-And-More: 1\r\nX:\r\nY:  two spaces \r\n",
        "Cookie: a=b; c=\"d\"\r\nReferer: http://h/?q=1#f\r\n",
    ] {
        for path in [
            "/",
            "/a.html",
            "/a/b.c/d-e_f~g",
            "/a/?q=%20&r=../x",
            "/sixteen-bytes.it/x",
        ] {
            let text =
                format!("GET {path} HTTP/1.1\r\nHost: www.example.org:80\r\n{fields}\r\nnext");
            assert!(is_read(&text), "{text}");
            let text = format!("GET {path} HTTP/1.1\r\n{fields}hOST: h\r\n\r\n");
            assert!(is_read(&text), "{text}");
        }
    }
}

#[test]
fn what_is_left_to_the_full_way() {
    for fields in [
        "",
        "Host: h\r\nHost: h\r\n",
        "Host: a b\r\n",
        "Host:h\r\n",
        "Host : h\r\n",
        "Host: h \r\n",
        "Host: h/x\r\n",
        "Host: \r\n",
        "Host: h\r\nContent-Length: 0\r\n",
        "Host: h\r\nTransfer-Encoding: chunked\r\n",
        "Host: h\r\nExpect: 100-continue\r\n",
        "Host: h\r\nConnection: upgrade\r\n",
        "Host: h\r\nConnection: close\r\nConnection: close\r\n",
        "Host: h\r\nIf-Match: \"x\"\r\n",
        "Host: h\r\nIf-Range: \"x\"\r\nRange: bytes=0-1\r\n",
        "Host: h\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "Host: h\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "Host: h\r\nAccept-Encoding: br\r\nAccept-Encoding: gzip\r\n",
        "Host: h\r\nX: \u{e9}\r\n",
        "Host: h\r\nX: a\tb\r\n",
        "Host: h\r\nX: a\nY: b\r\n",
        "Host: h\r\nX: a\rb\r\n",
        "Host: h\r\nX: a\0b\r\n",
        "Host: h\r\nX: a\u{7f}\r\n",
        "Host: h\r\nX y: a\r\n",
        "Host: h\r\n: a\r\n",
        "Host: h\r\nnothing\r\n",
        "Host: h\r\n folded\r\n",
        "Host: h\r\nX_y: a\r\n",
        "Host: h\nX: a\r\n",
    ] {
        let text = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert!(!is_read(&text), "{text}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET /a%20b HTTP/1.1",
        "GET //a HTTP/1.1",
        "GET /a/. HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /fifteen-bytes./.x HTTP/1.1",
        "GET /a-slash-at-15/./x HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a?b#c HTTP/1.1",
        "GET /a? HTTP/1.0",
        "GET /\u{e9} HTTP/1.1",
        "GET http://h/ HTTP/1.1",
        "GET * HTTP/1.1",
        "get / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/1.1 ",
        "GET /",
    ] {
        let text = format!("{line}\r\nHost: www.example.org\r\n\r\n");
        assert!(!is_read(&text), "{text}");
    }
    assert!(!is_read("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"));
}

#[test]
fn no_part_of_a_head_is_read() {
    let head = "GET /a/file.html?x HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\
        Accept-Encoding: gzip, deflate, br\r\nA-Name-Of-Twenty-Bytes: v\r\n\r\n";
    for len in 0..head.len() {
        assert!(!is_read(&head[..len]), "{len}");
    }
    assert!(is_read(head));
}

#[test]
fn limits_are_those_of_the_full_way() {
    let text = "GET /abcdefgh HTTP/1.1\r\nHost: www.example.org\r\nA: b\r\nC: d\r\n\r\n";
    let (line_len, head_len, header_cnt) = (22, text.len() as u16, 3);
    let just = Limits {
        line_len_max: line_len,
        head_len_max: head_len,
        header_cnt_max: header_cnt,
        ..Limits::DEFAULT
    };
    assert!(same(text.as_bytes(), &just));
    let line_len_max = line_len - 1;
    assert!(!same(
        text.as_bytes(),
        &Limits {
            line_len_max,
            ..just
        }
    ));
    let head_len_max = head_len - 1;
    assert!(!same(
        text.as_bytes(),
        &Limits {
            head_len_max,
            ..just
        }
    ));
    let header_cnt_max = header_cnt - 1;
    assert!(!same(
        text.as_bytes(),
        &Limits {
            header_cnt_max,
            ..just
        }
    ));
    let many: String = (0..70).map(|_| "A: b\r\n").collect();
    assert!(!is_read(&format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"
    )));
}

/// Every byte at every place of requests that the short cut reads: what it still reads, the full
/// way reads the same.
#[test]
fn every_byte_replaced() {
    let heads = [
        "GET /a/file.html?x HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\
         Connection: keep-alive\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\nHost: h\r\nRange: bytes=1-2\r\n\
         If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: *\r\n\r\n",
    ];
    let mut read_cnt = 0u32;
    for head in heads {
        for at in 0..head.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = head.as_bytes().to_vec();
                bytes[at] = byte;
                read_cnt += u32::from(same(&bytes, &Limits::DEFAULT));
            }
            for len in 1..4 {
                let mut bytes = head.as_bytes().to_vec();
                bytes.drain(at..(at + len).min(head.len()));
                read_cnt += u32::from(same(&bytes, &Limits::DEFAULT));
            }
        }
    }
    assert!(read_cnt > 10_000, "{read_cnt}");
}

/// Lines put together at random.
#[test]
fn random_requests() {
    let lines = [
        "Host: h\r\n",
        "Host: www.example.org:8080\r\n",
        "HOST: H\r\n",
        "Host:\r\n",
        "Connection: keep-alive\r\n",
        "connection: close\r\n",
        "Connection: close, x\r\n",
        "Accept-Encoding: gzip, deflate, br\r\n",
        "Accept-Encoding: \r\n",
        "If-None-Match: *\r\n",
        "If-None-Match: \"2e-4\"\r\n",
        "If-Modified-Since: x\r\n",
        "Range: bytes=0-\r\n",
        "Content-Length: 0\r\n",
        "Content-Range: x\r\n",
        "Cache-Control: no-cache\r\n",
        "Accept-Language: en\r\n",
        "Accept: text/html,*/*;q=0.8\r\n",
        "X-Y: z\r\n",
        "X: \t\r\n",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n",
        "Expect: x\r\n",
        "Transfer-Encodinx: chunked\r\n",
        "If-Something: \"x\"\r\n",
        "\r\n",
        "\n",
        " ",
        ":",
        "\r",
    ];
    let mut state = 0x5eed_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let mut read_cnt = 0u32;
    for _ in 0..40_000 {
        let mut text = String::from("GET /a.txt HTTP/1.1\r\nHost: h\r\n");
        if below(4) == 0 {
            text.truncate(21);
        }
        for _ in 0..below(7) {
            text.push_str(lines[below(lines.len())]);
        }
        text.push_str("\r\n");
        read_cnt += u32::from(is_read(&text));
    }
    assert!(read_cnt > 1_000, "{read_cnt}");
}
