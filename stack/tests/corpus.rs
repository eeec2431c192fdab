//! The fuzz targets' functions under plain `cargo test`: every file of the minimised corpus, and
//! programs drawn from seeds. `SIMOOM_FUZZ_SEED=n` runs one of those, `SIMOOM_FUZZ_SEEDS=n` as
//! many.

mod fuzz;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

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

fn sample(seeds: u64, program: fn(u64) -> Vec<u8>, target: fn(&[u8])) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("SIMOOM_FUZZ_SEED") {
        return target(&program(seed));
    }
    for seed in 0..number("SIMOOM_FUZZ_SEEDS").unwrap_or(seeds) {
        let _failed = Failed(format!("SIMOOM_FUZZ_SEED={seed}"));
        target(&program(seed));
    }
}

/// The same for two stacks that are compared: any bytes, behind a plan with little that is rare.
fn program_of_rows(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let way = rng.next_u64() as u8;
    let port = rng.next_u64() as u8;
    let mut often_zero = || match rng.below(3) {
        0 => rng.next_u64() as u8,
        _ => 0,
    };
    let mut bytes = vec![way, port, often_zero(), often_zero()];
    let len = 16 + rng.below(800);
    bytes.extend((0..len).map(|_| rng.next_u64() as u8));
    bytes
}

#[test]
fn the_corpus_of_frames_holds() {
    replay("frames", fuzz::frames);
}

#[test]
fn the_corpus_of_pairs_holds() {
    replay("pairs", |bytes| {
        let _taken = fuzz::pairs(bytes);
    });
}

#[test]
fn the_corpus_of_options_holds() {
    replay("options", fuzz::options);
}

#[test]
fn programs_of_all_kinds_hold() {
    sample(500, program, fuzz::frames);
}

#[test]
fn short_cuts_lead_where_the_long_way_does() {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    sample(1_500, program_of_rows, |bytes| {
        TAKEN.fetch_add(fuzz::pairs(bytes), Ordering::Relaxed);
    });
    println!("{TAKEN:?} segments took a short cut");
}

#[test]
fn options_of_all_kinds_hold() {
    sample(2_000, program, fuzz::options);
}
