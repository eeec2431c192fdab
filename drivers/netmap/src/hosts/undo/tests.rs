//! Changes that are taken back, once. On a list of the test's own: other tests have changes, too.

use std::sync::Arc;
use std::sync::Mutex;
use std::vec::Vec;

use super::Changes;

#[test]
fn a_change_is_taken_back_once_by_its_guard_or_by_the_end_last_first() {
    static CHANGES: Changes = Changes::new();
    let undone: Arc<Mutex<Vec<u32>>> = Arc::default();
    let change = |n| {
        let undone = Arc::clone(&undone);
        CHANGES.later(move || undone.lock().expect("one thread").push(n))
    };
    let seen = || undone.lock().expect("one thread").clone();
    let guards = [change(1), change(2), change(3)];
    let [first, second, third] = guards;
    drop(second);
    assert_eq!(seen(), [2]);
    CHANGES.run_all();
    assert_eq!(seen(), [2, 3, 1]);
    drop((first, third));
    assert_eq!(seen(), [2, 3, 1]);
    let fourth = change(4);
    drop(fourth);
    assert_eq!(seen(), [2, 3, 1, 4]);
}
