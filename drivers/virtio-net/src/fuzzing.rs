//! What the fuzz target of `fuzz/` calls: the tests' fake device, in fuzz builds too.

#[path = "tests/fake_device.rs"]
mod fake_device;
#[path = "tests/fake_ring.rs"]
mod fake_ring;
#[path = "tests/fuzzed.rs"]
mod fuzzed;
#[path = "tests/host.rs"]
mod host;

/// Runs a program of the fuzzer's against a port.
pub fn ring(bytes: &[u8]) {
    fuzzed::ring(bytes);
}
