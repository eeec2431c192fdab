//! Many seeds on all cores, and what a seed that fails leaves behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use simoom_sim::Wire;

/// Runs `one` with the seed in `SIMOOM_SEED`, or with as many as `SIMOOM_SEEDS` says: `default`
/// unless told, and a part of it where a seed is `cost` times as dear as the plain ones.
pub(crate) fn each(default: u64, cost: u64, one: fn(u64)) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("SIMOOM_SEED") {
        return one(seed);
    }
    let seeds = (number("SIMOOM_SEEDS").unwrap_or(default) / cost).max(1);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let _stop = StopOthers(&next);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            one(seed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// The first failure ends the run on all threads.
struct StopOthers<'a>(&'a AtomicU64);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(u64::MAX / 2, Ordering::Relaxed);
        }
    }
}

/// Says how to repeat a seed that failed, and leaves its capture.
pub(crate) struct Report<'a> {
    wire: &'a Wire,
    /// The test's name: what cargo is to run.
    test: &'a str,
    seed: u64,
}

impl<'a> Report<'a> {
    /// Of a seed that is run alone, the record is kept from the start.
    pub(crate) fn new(wire: &'a Wire, test: &'a str, seed: u64) -> Self {
        if std::env::var_os("SIMOOM_SEED").is_some() {
            wire.record_len_max(RECORD_LEN_MAX);
        }
        Self { wire, test, seed }
    }
}

/// Bytes.
const RECORD_LEN_MAX: usize = 1 << 30;

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let Self { wire, test, seed } = self;
        let path = std::env::temp_dir().join(format!("simoom-{test}-{seed}.pcap"));
        let file = std::fs::File::create(&path);
        let written = file.and_then(|file| wire.write_pcap(std::io::BufWriter::new(file)));
        eprintln!(
            "seed {seed} failed; SIMOOM_SEED={seed} cargo test -p simoom --test simulation {test} \
             repeats it; capture {}: {written:?}",
            path.display()
        );
    }
}
