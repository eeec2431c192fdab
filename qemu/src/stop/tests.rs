//! Endings run once, in whichever order their guards go.

use super::guard;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn an_ending_runs_when_its_guard_goes_and_only_then() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = |by: usize| {
        let ran = Arc::clone(&ran);
        guard(move || {
            ran.fetch_add(by, Ordering::SeqCst);
        })
    };
    let first = count(1);
    let second = count(10);
    drop(first);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    let third = count(100);
    drop(second);
    assert_eq!(ran.load(Ordering::SeqCst), 11);
    drop(third);
    assert_eq!(ran.load(Ordering::SeqCst), 111);
}
