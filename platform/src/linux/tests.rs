//! The process itself: its clock, its chance, its panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use simoom_netmap::hosts::undo;

use super::*;

#[test]
fn a_panic_takes_back_what_was_changed_before_anything_else_can_go_wrong() {
    undo_on_panic();
    let is_undone = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_undone);
    let guard = undo::later(move || seen.store(true, Ordering::SeqCst));
    // Not dropped: a process that aborts drops nothing.
    core::mem::forget(guard);
    let ended = std::thread::spawn(|| panic!("on purpose")).join();
    assert!(ended.is_err() && is_undone.load(Ordering::SeqCst));
}

#[test]
fn time_goes_on_and_chance_differs() {
    let clock = Clock::start();
    let first = clock.now();
    assert!(clock.now() >= first);
    let seeds = [seed(), seed()].map(|seed| seed.expect("Linux has chance"));
    assert_ne!(seeds[0], seeds[1]);
}
