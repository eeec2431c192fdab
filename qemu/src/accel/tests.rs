//! The cache of the answer.

use super::{recall, remember};
use crate::machine::Accel;

#[test]
fn an_answer_is_recalled_for_its_own_key_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("deep").join("accel");
    assert_eq!(recall(&file, "a|b"), None);
    for accel in [Accel::Kvm, Accel::Tcg] {
        remember(&file, "a|b", accel).expect("writable");
        assert_eq!(recall(&file, "a|b"), Some(accel));
        assert_eq!(recall(&file, "a|c"), None);
        assert_eq!(recall(&file, "a|b|c"), None);
    }
    std::fs::write(&file, "a|b\nxen\n").expect("writable");
    assert_eq!(recall(&file, "a|b"), None);
}
