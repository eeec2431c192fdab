//! `cargo +nightly fuzz run look`: see `tests/fuzz/look.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::look::look(bytes));
