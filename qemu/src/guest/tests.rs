//! Lines from a source that owes us nothing.

use super::{LINE_LEN_MAX, for_lines};

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
