//! The fuzz target's function under plain `cargo test`: every file of the minimised corpus, and
//! programs drawn from seeds, which show that the lies arrive.

use std::path::Path;
use std::string::String;
use std::vec::Vec;
use std::{format, fs};

use simoom_sim::Rng;

use super::fuzzed::{Seen, ring};
use crate::Violation;

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_corpus_of_rings_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/ring");
    let entries = fs::read_dir(&folder).expect("the corpus is committed");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "{} files", paths.len());
    for path in paths {
        let _failed = Failed(format!("{}", path.display()));
        ring(&fs::read(&path).expect("a file"));
    }
}

#[test]
fn far_sides_of_all_kinds_are_survived() {
    let mut seen = Seen::default();
    for seed in 0..if cfg!(miri) { 5 } else { 4_000 } {
        let mut rng = Rng::new(seed);
        let len = 4 + rng.below(500) as usize;
        let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let _failed = Failed(format!("seed {seed}"));
        let one = ring(&bytes);
        seen.violations.extend(one.violations);
        seen.received += one.received;
        seen.finished += one.finished;
    }
    if cfg!(miri) {
        return;
    }
    for violation in [
        Violation::Tail,
        Violation::BufIdx,
        Violation::Len,
        Violation::Chain,
        Violation::Reset,
    ] {
        let has_it = seen.violations.contains(&violation);
        assert!(has_it, "no seed has shown {violation:?}");
    }
    assert!(seen.received > 1_000 && seen.finished > 1_000, "{seen:?}");
}

/// Says what was being run when something panics.
struct Failed(String);

impl Drop for Failed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("failed: {}", self.0);
        }
    }
}
