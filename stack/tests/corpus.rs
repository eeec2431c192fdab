//! The fuzz targets' functions under plain `cargo test`: every file of the minimised corpus, and
//! programs drawn from seeds. `SIMOOM_FUZZ_SEED=n` runs one of those.

mod fuzz;

use std::fs;
use std::path::Path;

use simoom_sim::Rng;

/// Runs `target` on all files of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).expect("the corpus is committed");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(
        paths.len() >= 10,
        "{}: {} files",
        folder.display(),
        paths.len()
    );
    for path in paths {
        let bytes = fs::read(&path).expect("a file");
        let _failed = Failed(path.display().to_string());
        target(&bytes);
    }
}

/// Says what was being run when something panics.
struct Failed(String);

impl Drop for Failed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: {}", self.0);
        }
    }
}

/// Bytes as likely as a fuzzer's first ones: mostly small, so that operations and fields are met.
fn program(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let len = 16 + rng.below(600) as usize;
    (0..len)
        .map(|_| match rng.below(3) {
            0 => rng.below(16) as u8,
            1 => rng.below(128) as u8,
            _ => rng.next_u64() as u8,
        })
        .collect()
}

fn sample(seeds: u64, target: fn(&[u8])) {
    if let Ok(seed) = std::env::var("SIMOOM_FUZZ_SEED") {
        return target(&program(
            seed.parse().expect("SIMOOM_FUZZ_SEED is a number"),
        ));
    }
    for seed in 0..seeds {
        let _failed = Failed(format!("SIMOOM_FUZZ_SEED={seed}"));
        target(&program(seed));
    }
}

#[test]
fn the_corpus_of_frames_holds() {
    replay("frames", fuzz::frames);
}

#[test]
fn the_corpus_of_options_holds() {
    replay("options", fuzz::options);
}

#[test]
fn programs_of_all_kinds_hold() {
    sample(500, fuzz::frames);
}

#[test]
fn options_of_all_kinds_hold() {
    sample(2_000, fuzz::options);
}
