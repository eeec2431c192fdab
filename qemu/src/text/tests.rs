//! The edges of each unit.

use super::{bytes, count, one_line, shell_word, span};
use std::time::Duration;

#[test]
fn lengths_change_unit_where_they_should() {
    let rows = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (256 << 20, "256 MiB"),
        (u64::MAX, "16777216 TiB"),
    ];
    for (len, text) in rows {
        assert_eq!(bytes(len), text);
    }
}

#[test]
fn thousands_are_apart() {
    let rows = [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (1_234_567, "1,234,567"),
    ];
    for (number, text) in rows {
        assert_eq!(count(number), text);
    }
}

#[test]
fn spans_change_unit_where_they_should() {
    assert_eq!(span(Duration::from_millis(999)), "999 ms");
    assert_eq!(span(Duration::from_millis(1420)), "1.42 s");
    assert_eq!(span(Duration::from_secs(192)), "3 min 12 s");
}

#[test]
fn an_error_is_one_line() {
    assert_eq!(one_line("a:\n\n   b\n"), "a:; b");
}

#[test]
fn a_shell_reads_a_word_back() {
    assert_eq!(shell_word("a,b=c"), "a,b=c");
    assert_eq!(shell_word("a b"), "'a b'");
    assert_eq!(shell_word("it's"), r"'it'\''s'");
    assert_eq!(shell_word(""), "''");
}
