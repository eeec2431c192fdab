//! Bytes: every role on every wire, with transfers that take seconds.

use super::exchange::{Op, Work};
use super::transfer::{Captures, Roles, Transfer};
use super::wires::{WIRES, WireKind};
use super::{fast_open, flood};
use crate::text;
use anyhow::{Context, Result};
use simoom::tcp::cc::Algorithm;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs all of them, some at a time, and prints a line for each wire.
///
/// # Errors
/// The first that failed.
pub(crate) fn run() -> Result<()> {
    for kind in &WIRES {
        let begun = Instant::now();
        let transfers = transfers(kind);
        at_once(&transfers, LANES, |transfer| {
            let title = Transfer::title(transfer.work);
            let done = transfer.run(&Captures::default());
            done.with_context(|| format!("{}, {:?}, {title}", kind.name, transfer.roles))
        })?;
        println!(
            "  {:<20} {} transfers, every byte ({})",
            kind.name,
            transfers.len(),
            text::span(begun.elapsed())
        );
    }
    let kinds = WIRES.iter().filter(|kind| FAST_ON.contains(&kind.tag));
    for kind in kinds {
        let begun = Instant::now();
        let fast = fast_open::run(kind, FAST_OPENS);
        let fast = fast.with_context(|| format!("{}, opened fast", kind.name))?;
        println!(
            "  {:<20} {fast} of {FAST_OPENS} connections opened fast ({})",
            kind.name,
            text::span(begun.elapsed())
        );
    }
    let flooded = flood::run(FLOOD).context("a flood of SYNs")?;
    println!("  {:<20} {flooded}", "flood of SYNs");
    Ok(())
}

/// What is done on a wire.
fn transfers(kind: &'static WireKind) -> Vec<Transfer> {
    let work = |op, len, times, is_kept| Work {
        op,
        len,
        times,
        is_kept,
    };
    let (ours, theirs) = (Roles::WeServeLinux, Roles::LinuxServesUs);
    let all = [
        (ours, work(Op::Get, LARGE, 1, false)),
        (ours, work(Op::Get, SMALL, 10, false)),
        (ours, work(Op::Get, SMALL, 5, true)),
        (ours, work(Op::Put, LARGE, 1, false)),
        (theirs, work(Op::Get, LARGE, 1, false)),
        (theirs, work(Op::Put, LARGE, 1, false)),
        (Roles::LinuxServesLinux, work(Op::Get, SMALL, 1, false)),
    ];
    let transfers = all.into_iter().zip(1..);
    transfers
        .map(|((roles, work), seed)| Transfer {
            kind,
            roles,
            work,
            seed,
            // All of them, on each wire.
            congestion: Algorithm::ALL[seed as usize % Algorithm::ALL.len()],
            limit: LIMIT,
        })
        .collect()
}

/// Does `work` with each of `items`, `lanes` at a time, begun in their order; the results in the
/// same order. After a failure no more are begun.
///
/// # Errors
/// The first failure.
pub(crate) fn at_once<I: Sync, T: Send>(
    items: &[I],
    lanes: usize,
    work: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..lanes.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let idx = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(item), Some(result)) = (items.get(idx), results.get(idx)) else {
                        return;
                    };
                    let done = work(item);
                    if done.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    if let Ok(mut slot) = result.lock() {
                        *slot = Some(done);
                    }
                }
            });
        }
    });
    let done = results.into_iter().map(|slot| slot.into_inner());
    let done: Vec<Result<T>> = done.filter_map(|slot| slot.ok().flatten()).collect();
    done.into_iter().collect()
}

/// Transfers at a time: they mostly wait.
const LANES: usize = 7;
const LARGE: u32 = 1 << 20;
const SMALL: u32 = 64 << 10;
/// Connections one after the other, of which the first asks for a cookie.
const FAST_OPENS: u32 = 20;
/// The wires that they are opened on.
const FAST_ON: [&str; 3] = ["clean", "loss5", "mixed"];
/// How long SYNs come, beside the time to fill the queue.
const FLOOD: Duration = Duration::from_secs(3);
/// Longest time for one of them: then it is stuck, or a machine is.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
