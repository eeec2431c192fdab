//! `test`: every check there is, one after the other, with one closing line.
//!
//! First what cargo can say (format, lints, tests, the rules of `qemu/tests/tidy.rs` among them),
//! then the booted image: the cases of [`crate::e2e`]. A case that fails shows what its guest said
//! last. One QEMU runs at a time, so that the figures mean something, and a deadline ends
//! everything.

use crate::e2e::{self, Outcome, Step, World};
use crate::guest;
use crate::kernel::{self, FILESERVER};
use crate::stop;
use crate::text;
use anyhow::{Result, bail};
use clap::Args;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The whole run may take this long; then something hangs, and is ended.
const LIMIT: Duration = Duration::from_secs(25 * 60);
/// Lines of a guest's last words that are shown.
const LAST_WORDS_MAX: usize = 30;

/// What `test` takes.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only the steps whose names contain this
    filter: Option<String>,
    /// Name the steps and do nothing
    #[arg(long)]
    list: bool,
}

/// What cargo says about the source.
const CARGO_STEPS: [Step; 11] = [
    Step {
        name: "format",
        what: "cargo fmt has nothing to change",
        run: |_| cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "lints",
        what: "clippy has nothing to say",
        run: |_| {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "lints-images",
        what: "clippy has nothing to say of what boots",
        run: |_| {
            let packages = ["--package", "simoom-echo", "--package", "simoom-fileserver"];
            let flags = ["--features", "boot,defmt", "--", "-D", "warnings"];
            cargo(&[&["clippy"], &packages[..], &flags[..]].concat())
        },
    },
    Step {
        name: "lints-hosted",
        what: "clippy has nothing to say of the Linux process",
        run: |_| {
            let package = ["--package", "simoom-fileserver"];
            let targets = ["--bin", "simoom-httpd", "--test", "hosted"];
            let flags = ["--features", "hosted,fault", "--", "-D", "warnings"];
            cargo(&[&["clippy"], &package[..], &targets[..], &flags[..]].concat())
        },
    },
    Step {
        name: "docs",
        what: "cargo doc has nothing to say: each link leads somewhere",
        run: |_| {
            let doc = ["doc", "--workspace", "--no-deps"];
            cargo_with(&doc, &[("RUSTDOCFLAGS", "-D warnings")])
        },
    },
    Step {
        name: "units",
        what: "unit, simulation and documentation tests, and the tidy rules",
        run: |_| cargo(&["test", "--workspace"]),
    },
    Step {
        name: "hosted-pipe",
        what: "simoom-httpd over a pipe, on a fake /dev/netmap, in a user namespace, after a panic",
        run: |_| {
            let package = ["--package", "simoom-fileserver"];
            let flags = ["--features", "hosted,fault", "--test", "hosted"];
            cargo(&[&["test"], &package[..], &flags[..]].concat())
        },
    },
    Step {
        name: "simulation",
        what: "10,000 seeds, with smoltcp too, and a million connections, optimised",
        run: |_| simulation(),
    },
    Step {
        name: "segment-cost",
        what: "key paths cost what is recorded, a segment at a million connections twice at most",
        run: |_| cargo(&["bench", "--package", "simoom", "--bench", "segment"]),
    },
    Step {
        name: "request-cost",
        what: "a request, from frame to frame through the whole server, costs what is recorded",
        run: |_| {
            let package = ["--package", "simoom-fileserver"];
            cargo(&[&["bench"], &package[..], &["--bench", "request"]].concat())
        },
    },
    Step {
        name: "look-cost",
        what: "HTTP alone costs what is recorded; metrics and log a few percent of a request",
        run: |_| {
            let benches = ["--bench", "answer", "--bench", "look"];
            cargo(&[&["bench", "--package", FILESERVER], &benches[..]].concat())
        },
    },
];

/// Runs the steps.
///
/// # Errors
/// Never: a step's failure is counted, shown, and told by the exit code.
pub(crate) fn run(args: TestArgs) -> Result<ExitCode> {
    let wanted = |step: &&Step| {
        args.filter
            .as_ref()
            .is_none_or(|part| step.name.contains(part))
    };
    let steps: Vec<&Step> = CARGO_STEPS
        .iter()
        .chain(e2e::PORTABLE)
        .chain(e2e::CASES)
        .filter(wanted)
        .collect();
    if args.list {
        for step in steps {
            println!("{:<24} {}", step.name, step.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if steps.is_empty() {
        bail!("no step has that in its name: see `test --list`");
    }
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("error: the run is not done after {}", text::span(LIMIT));
        stop::exit(1);
    });
    Ok(run_steps(&steps))
}

fn run_steps(steps: &[&Step]) -> ExitCode {
    let started = Instant::now();
    let mut world = World::default();
    let [mut passed, mut failed, mut skipped] = [0_u32; 3];
    for step in steps {
        println!("step {}: {}", step.name, step.what);
        let begun = Instant::now();
        let outcome = (step.run)(&mut world);
        let took = text::span(begun.elapsed());
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("  ok   {} ({took})", step.name);
            }
            Ok(Outcome::Skipped(reason)) => {
                skipped += 1;
                println!("  skip {}: {reason}", step.name);
            }
            Err(error) => {
                failed += 1;
                println!(
                    "  FAIL {} ({took}): {}",
                    step.name,
                    text::one_line(&format!("{error:#}"))
                );
                print_last_words();
            }
        }
        guest::forget_last_words();
    }
    print_bars(&world, started.elapsed());
    let skipped_too = if skipped > 0 {
        format!(", {skipped} skipped")
    } else {
        String::new()
    };
    println!("{passed} passed, {failed} failed{skipped_too}");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_last_words() {
    let words = guest::last_words();
    for line in words
        .iter()
        .skip(words.len().saturating_sub(LAST_WORDS_MAX))
    {
        println!("       | {line}");
    }
}

/// The figures that were taken, beside the bars they are meant to keep.
fn print_bars(world: &World, took: Duration) {
    let row = |what: &str, measured: &str, bar: &str| println!("{what:<44} {measured:>12}  {bar}");
    println!();
    row("figure", "measured", "bar");
    for figure in &world.figures {
        row(&figure.what, &figure.measured, figure.bar);
    }
    row(
        "this run",
        &text::span(took),
        "under 15 min, from a clean clone",
    );
    println!();
}

/// The simulation, with all that continuous integration has time for.
fn simulation() -> Result<Outcome> {
    let args = [
        "test",
        "--profile",
        "simulation",
        "--package",
        "simoom",
        "--test",
        "simulation",
    ];
    let sizes = [("SIMOOM_SEEDS", "10000"), ("SIMOOM_CONNS", "1000000")];
    cargo_with(&args, &sizes)
}

/// Runs cargo in the workspace, its output as it is.
fn cargo(args: &[&str]) -> Result<Outcome> {
    cargo_with(args, &[])
}

/// As `cargo`, with these in its environment.
fn cargo_with(args: &[&str], variables: &[(&str, &str)]) -> Result<Outcome> {
    let mut cargo = kernel::cargo();
    cargo.envs(variables.iter().copied());
    let status = cargo.args(args).stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("cargo {} failed ({status})", args.join(" "));
    }
    Ok(Outcome::Passed)
}
