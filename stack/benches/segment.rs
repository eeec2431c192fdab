//! What a segment costs when there are a hundred connections, and when there are a million.
//!
//! `cargo bench -p simoom --bench segment` prints nanoseconds a segment, and instructions where
//! valgrind is installed: it runs itself under callgrind, which counts in `exchanges` alone. The
//! bar is twice as many instructions at a million; it fails above that. Nanoseconds show the
//! cache misses, too, and are for information.
//!
//! A segment here is one of two: a request to a random connection, with its answer going out, and
//! the acknowledgment of that.
//!
//! Before that come the key paths ([`paths`]), each of which must cost what was recorded for it or
//! less; `-- --record` records what they cost now.

use std::process::ExitCode;
use std::time::Instant;

use simoom_sim::Rng;

// Shared with the simulation, which uses all of it.
#[allow(dead_code)]
#[path = "../tests/simulation/crowd.rs"]
mod crowd;
#[allow(dead_code)]
#[path = "../tests/simulation/memory.rs"]
mod memory;
mod paths;
#[allow(dead_code)]
#[path = "../tests/simulation/said.rs"]
mod said;
#[allow(dead_code)]
#[path = "../tests/simulation/served.rs"]
mod served;

use crowd::Crowd;
use paths::callgrind::instructions;
use served::{BURST, Served};

/// Connections, few and many.
const FEW: usize = 100;
const MANY: usize = 1_000_000;

/// Bursts of requests that are measured.
const BURSTS: usize = 4_000;
const SEGMENTS: usize = 2 * BURSTS * BURST;

/// Most instructions at a million connections for one at a hundred.
const RATIO_MAX: f64 = 2.0;

fn main() -> ExitCode {
    // The child under callgrind gets the name of a path, or its number of connections.
    let arg = std::env::args().nth(1).unwrap_or_default();
    if paths::go(&arg) {
        return ExitCode::SUCCESS;
    }
    if let Ok(conns) = arg.parse() {
        run(conns);
        return ExitCode::SUCCESS;
    }
    let do_record = arg == "--record";
    match paths::check(do_record) {
        Some(verdict) if do_record || verdict != ExitCode::SUCCESS => return verdict,
        _ => {}
    }
    for conns in [FEW, MANY] {
        let ns = run(conns);
        println!("{conns:>9} connections: {ns:.0} ns a segment");
    }
    let [few, many] = [FEW, MANY].map(|conns| {
        let count = instructions("*exchanges*", &[&conns.to_string()])?;
        let instructions = count / SEGMENTS as f64;
        println!("{conns:>9} connections: {instructions:.0} instructions a segment");
        Some(instructions)
    });
    let (Some(few), Some(many)) = (few, many) else {
        println!("valgrind is not installed: instructions are not counted");
        return ExitCode::SUCCESS;
    };
    let ratio = many / few;
    println!("{ratio:.2} times as many instructions, {RATIO_MAX} at most");
    if ratio <= RATIO_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Opens the connections, then measures; nanoseconds a segment.
fn run(conns: usize) -> f64 {
    let mut served = Served::new(conns);
    served.all(Crowd::open, |_| true);
    assert_eq!(served.stack.levels().conns, conns);
    let mut rng = Rng::new(1);
    let mut chosen = vec![0; BURST];
    // What a connection needs once is not counted where few are asked often.
    served.all(|crowd, n| crowd.ask(n, REQUEST), |_| true);
    let mut spent_ns = 0;
    for _ in 0..BURSTS {
        choose(&mut rng, conns, &mut chosen);
        for &n in &chosen {
            served.crowd.ask(n, REQUEST);
        }
        spent_ns += exchanges(&mut served);
        served.crowd.look();
        for &n in &chosen {
            served.crowd.ack(n);
        }
        spent_ns += exchanges(&mut served);
        served.crowd.look();
    }
    let counters = served.stack.counters();
    assert_eq!((counters.tcp_retransmits, counters.dropped_total()), (0, 0));
    spent_ns as f64 / SEGMENTS as f64
}

/// Different connections: each has one request under way.
fn choose(rng: &mut Rng, conns: usize, chosen: &mut [usize]) {
    for n in 0..chosen.len() {
        chosen[n] = loop {
            let conn = rng.below(conns as u64) as usize;
            if !chosen[..n].contains(&conn) {
                break conn;
            }
        };
    }
}

/// All that the stack does with a burst; callgrind counts here.
#[inline(never)]
fn exchanges(served: &mut Served) -> u128 {
    let before = Instant::now();
    served.turn();
    before.elapsed().as_nanos()
}

const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: simoom\r\n\r\n";
