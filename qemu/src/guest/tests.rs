//! Lines from a source that owes us nothing.

use super::{Event, Guest, LINE_LEN_MAX, for_lines};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

fn lines(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for_lines(bytes, |line| out.push(line));
    out
}

#[test]
fn lines_end_as_a_uart_ends_them() {
    assert_eq!(lines(b"a\r\nb\n\nc"), ["a", "b", "", "c"]);
    assert!(lines(b"").is_empty());
}

#[test]
fn what_is_no_text_is_made_harmless() {
    assert_eq!(lines(b"\x1b[2J\xff\n"), [".[2J\u{fffd}"]);
}

#[test]
fn a_line_without_end_comes_in_pieces() {
    let long = vec![b'x'; LINE_LEN_MAX as usize * 2 + 1];
    let lens: Vec<usize> = lines(&long).iter().map(String::len).collect();
    assert_eq!(lens, [LINE_LEN_MAX as usize, LINE_LEN_MAX as usize, 1]);
}

#[test]
fn the_end_that_was_seen_is_not_waited_for_again() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo 'simoom: cannot start: no card'; exit 3"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The sender lives on, as it does where a log is decoded.
    let (mut guest, _log) = Guest::spawn(command, PathBuf::new()).expect("a shell");
    let mut said = Vec::new();
    while let Some(Event::Console(_, line)) = guest.next(None) {
        said.push(line);
    }
    assert_eq!(said, ["simoom: cannot start: no card"]);
    let code = guest.wait_end(Duration::ZERO).expect("it has ended");
    assert_eq!(code, Some(3));
    assert_eq!(guest.why_ended().to_string(), "the image says: no card");
}
