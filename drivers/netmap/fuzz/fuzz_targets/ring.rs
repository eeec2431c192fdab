//! `cargo +nightly fuzz run ring`: see `src/tests/fuzzed.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| simoom_netmap::fuzzing::ring(bytes));
