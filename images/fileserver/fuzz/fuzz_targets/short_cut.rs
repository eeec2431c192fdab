//! `cargo +nightly fuzz run short_cut`: see `tests/fuzz/mod.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::short_cut(bytes));
