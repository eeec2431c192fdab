use super::*;

#[test]
fn entries_are_padded_and_the_trailer_ends_them() {
    let mut archive = Archive::default();
    archive.folder("dev");
    archive.device("dev/console", (5, 1));
    archive.file("init", b"#!/bin");
    let bytes = archive.finish();
    assert_eq!(bytes.len() % 4, 0);
    let text = String::from_utf8(bytes).unwrap();
    let folder = "07070100000001000041ed0000000000000000000000010000000000000000\
                  00000000000000000000000000000000000000040000000\
                  0dev\0";
    assert!(text.starts_with(folder), "{text:?}");
    assert!(text.contains("0000000500000001"), "the console's number");
    // Header and name have 115 bytes: one of padding, and two behind the contents.
    assert!(text.contains("init\0\0#!/bin\0\x00070701"));
    assert!(text.trim_end_matches('\0').ends_with("TRAILER!!!"));
}
