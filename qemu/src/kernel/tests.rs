//! Cargo's messages.

use super::executable;
use std::path::PathBuf;

#[test]
fn only_the_artifact_asked_for_counts() {
    let line = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/t/a"}"#;
    assert_eq!(executable(line, "a"), Some(PathBuf::from("/t/a")));
    assert_eq!(executable(line, "b"), None);
    let library = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}"#;
    assert_eq!(executable(library, "a"), None);
    assert_eq!(executable("not json", "a"), None);
}
