//! The client against a server that says exactly what the test wrote.

use super::{Client, encoded, request};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// A port where one connection gets `answer` after it has sent a whole request.
fn scripted(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the test connects");
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the test sends");
            seen.extend(byte);
        }
        stream.write_all(answer).expect("the test reads");
    });
    port
}

#[test]
fn a_whole_answer_is_read_and_no_more() {
    let port = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: a:b \r\n\r\nabc");
    let mut client = Client::connect(port).expect("listening");
    let answer = client.get("/").expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
    assert_eq!(answer.field("x"), Some("a:b"));
    assert_eq!(answer.field("y"), None);
    client.expect_end().expect("nothing more");
}

#[test]
fn a_wrong_answer_is_an_error() {
    let rows: [&'static [u8]; 5] = [
        b"",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ];
    for row in rows {
        let mut client = Client::connect(scripted(row)).expect("listening");
        assert!(client.get("/").is_err(), "{}", row.escape_ascii());
    }
    let port = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab");
    let mut client = Client::connect(port).expect("listening");
    client.get("/").expect("an answer");
    assert!(client.expect_end().is_err());
}

#[test]
fn requests_and_names_are_written_as_the_rfc_wants() {
    assert_eq!(
        request("HEAD", "/a", "X: 1\r\n"),
        b"HEAD /a HTTP/1.1\r\nHost: simoom\r\nX: 1\r\n\r\n"
    );
    assert_eq!(encoded("a b/\u{fc}?.html"), "a%20b/%C3%BC%3F.html");
}
