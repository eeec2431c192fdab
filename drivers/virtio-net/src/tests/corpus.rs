//! The fuzz target's function under plain `cargo test`: every file of the minimised corpus, and
//! programs drawn from seeds.

use std::path::Path;
use std::vec::Vec;
use std::{eprintln, format, fs};

use simoom_sim::Rng;

use super::fuzzed::ring;

/// Says what was being run when something panics.
struct Failed(std::string::String);

impl Drop for Failed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: {}", self.0);
        }
    }
}

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
fn devices_of_all_kinds_are_survived() {
    for seed in 0..if cfg!(miri) { 5 } else { 2_000 } {
        let mut rng = Rng::new(seed);
        let len = 4 + rng.below(400) as usize;
        let bytes: Vec<u8> = (0..len)
            .map(|_| match rng.below(2) {
                0 => rng.below(20) as u8,
                _ => rng.next_u64() as u8,
            })
            .collect();
        let _failed = Failed(format!("seed {seed}"));
        ring(&bytes);
    }
}
