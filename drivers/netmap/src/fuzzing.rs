//! What the fuzz target of `fuzz/` calls: the tests' far side that does anything at all.

#[path = "tests/fuzzed.rs"]
mod fuzzed;
#[path = "tests/memory.rs"]
mod memory;

/// Runs a program of the fuzzer's against a port.
pub fn ring(bytes: &[u8]) {
    fuzzed::ring(bytes);
}
