//! `cargo +nightly fuzz run pairs`: see `tests/fuzz/pairs.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _taken = fuzz::pairs(bytes);
});
