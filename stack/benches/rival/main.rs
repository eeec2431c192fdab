//! Our stack and smoltcp in the same harness: the server side of bulk transfers and of requests,
//! over rings in memory.
//!
//! ```text
//!   clients by script ── frames ──► ring ── the stack, its application ── ring ──► clients
//!       (uncounted)                        a turn: timed, counted              (uncounted)
//! ```
//!
//! Both see the same frames at the same virtual times, with the options that a Linux client offers
//! (MSS 1,460, window scale, SACK, timestamps) and a window of 128 KiB; both sum in software, and
//! send the same bytes: a head of 180 bytes that is generated, and a body. What is theirs alone:
//!
//! - ours refers to the body and has its table of sums, as the file server does, and has CUBIC;
//! - smoltcp has buffers as large as the window, no congestion control (its default, and the
//!   quickest), and an application that is told which of its sockets to look at, as wakers would.
//!
//! `cargo run --release -- bench stack` drives this; by hand:
//! `cargo bench -p simoom --bench rival -- list`, `... time NAME 5 100` (rounds, milliseconds), or
//! `... count ours|smoltcp NAME`, which is for callgrind.

mod cases;
mod clients;
#[allow(dead_code)] // Shared with the simulation, which uses all of it.
#[path = "../../tests/simulation/memory.rs"]
mod memory;
mod ours;
#[allow(dead_code)]
#[path = "../../tests/simulation/said.rs"]
mod said;
mod smol;

use std::process::ExitCode;
use std::time::Duration;

use cases::{CASES, Case, Run};
use ours::Ours;
use smol::Smol;

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let words = words.strip_suffix(&["--bench"]).unwrap_or(&words);
    let done = match words {
        ["list"] => list(),
        ["time", name, rounds, ms] => time(name, rounds, ms),
        ["count", side, name] => count(side, name),
        _ => None,
    };
    if done.is_none() {
        eprintln!("error: list, time NAME ROUNDS MS, or count ours|smoltcp NAME");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Before times are taken.
const WARM_UP: Duration = Duration::from_millis(30);

fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

/// A line a case: its name, what one of it is, and how often it is counted, by whom.
fn list() -> Option<()> {
    for case in &CASES {
        let sides = if case.has_rival { 2 } else { 1 };
        println!("{}\t{}\t{sides}", case.name, case.what);
    }
    Some(())
}

/// Nanoseconds of each round, in turn.
fn time(name: &str, rounds: &str, ms: &str) -> Option<()> {
    let case = find(name)?;
    let (rounds, ms): (u32, u64) = (rounds.parse().ok()?, ms.parse().ok()?);
    let budget = Duration::from_millis(ms);
    let mut ours = Run::<Ours>::new(case);
    let mut rival = case.has_rival.then(|| Run::<Smol>::new(case));
    let [mut ours_ns, mut rival_ns] = [Vec::new(), Vec::new()];
    // All memory has been touched then.
    ours.time(WARM_UP.max(budget));
    if let Some(rival) = &mut rival {
        rival.time(WARM_UP.max(budget));
    }
    for _ in 0..rounds {
        ours_ns.push(ours.time(budget));
        rival_ns.extend(rival.as_mut().map(|rival| rival.time(budget)));
    }
    ours.check();
    print_line("ours", &ours_ns);
    if let Some(rival) = rival {
        rival.check();
        print_line("smoltcp", &rival_ns);
    }
    Some(())
}

fn print_line(side: &str, values: &[f64]) {
    let values: Vec<String> = values.iter().map(|ns| format!("{ns:.2}")).collect();
    println!("{side}\t{}", values.join("\t"));
}

/// So many, after a warming up; callgrind counts in `counted` alone.
fn count(side: &str, name: &str) -> Option<()> {
    let case = find(name)?;
    let cnt = match side {
        "ours" => Run::<Ours>::new(case).count(),
        "smoltcp" if case.has_rival => Run::<Smol>::new(case).count(),
        _ => return None,
    };
    println!("{side}\t{cnt}");
    Some(())
}
