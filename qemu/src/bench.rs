//! `bench`: how our stack stands against others, in figures.
//!
//! Each suite measures us and a rival in the same run, in turn (A B A B), whoever serves on one
//! core and whoever asks on another; prints medians, their spread and a ratio (above 1 means that
//! ours is better) with the bar that it is meant to keep; and can write all that as JSON and as
//! plots. What else the machine does is said with the figures, for it spoils them: instructions
//! and ratios mean more than times.

mod callgrind;
pub(crate) mod child;
mod guest;
mod hosts;
mod http;
mod linux;
mod plot;
pub(crate) mod report;
mod stack;
mod wrk;

use crate::text;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use report::Row;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The exit code that says "not on this machine".
pub(crate) const EXIT_NOT_HERE: u8 = 77;

/// What `bench` takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    suite: Option<Suite>,
    #[command(flatten)]
    options: Options,
}

/// What can be measured; without a name, all of it.
#[derive(Subcommand)]
enum Suite {
    /// The stack alone, in memory, against smoltcp (4 minutes)
    Stack(Options),
    /// simoom-httpd on each of its backends, against nginx (6 minutes)
    Http(Options),
    /// The booted image, against Debian's cloud kernel with nginx (4 minutes)
    Guest(Options),
    /// What the ports below simoom-httpd cost (half a minute)
    Host(Options),
    /// Goodput over bad wires, against Linux reno on the same wires (40 minutes)
    Linux(linux::LinuxArgs),
    /// One suite after the other (40 minutes, with fewer runs over bad wires)
    All(Options),
}

/// How it is measured, and where the figures go.
#[derive(Args, Clone, Debug, Default)]
struct Options {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures as SVG, into this folder
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Short and rough: to see that it works
    #[arg(long)]
    quick: bool,
}

/// A suite with the options that all have.
struct Plain {
    name: &'static str,
    /// How long it takes, about, seconds.
    estimate: fn(bool) -> u32,
    run: fn(bool) -> Result<Vec<Row>>,
}

const STACK: Plain = Plain {
    name: "stack",
    estimate: stack::estimate,
    run: stack::run,
};
const HTTP: Plain = Plain {
    name: "http",
    estimate: http::estimate,
    run: http::run,
};
const GUEST: Plain = Plain {
    name: "guest",
    estimate: guest::estimate,
    run: guest::run,
};
const HOST: Plain = Plain {
    name: "host",
    estimate: hosts::estimate,
    run: hosts::run,
};
const LINUX: Plain = Plain {
    name: "linux",
    estimate: linux::estimate,
    run: linux::once,
};
/// In the order of a run.
const ALL: [Plain; 5] = [STACK, HTTP, GUEST, HOST, LINUX];

/// Runs a suite.
///
/// # Errors
/// A measurement was not possible, or its bytes were wrong. A missed bar is no error.
pub(crate) fn run(args: BenchArgs) -> Result<ExitCode> {
    match args.suite {
        Some(Suite::Stack(options)) => run_plain(&[STACK], &options),
        Some(Suite::Http(options)) => run_plain(&[HTTP], &options),
        Some(Suite::Guest(options)) => run_plain(&[GUEST], &options),
        Some(Suite::Host(options)) => run_plain(&[HOST], &options),
        Some(Suite::Linux(args)) => linux::run(args),
        Some(Suite::All(options)) => run_plain(&ALL, &options),
        None => run_plain(&ALL, &args.options),
    }
}

fn run_plain(suites: &[Plain], options: &Options) -> Result<ExitCode> {
    // What cannot be written is better known before than after.
    if let Some(file) = &options.json {
        report::write_json(&[], file)?;
    }
    if let Some(folder) = &options.plot {
        plot::draw(&[], folder)?;
    }
    let estimate: u32 = suites
        .iter()
        .map(|suite| (suite.estimate)(options.quick))
        .sum();
    println!("{}", child::machine());
    println!(
        "this takes about {}, and what must be built first",
        text::span(Duration::from_secs(estimate.into()))
    );
    let begun = Instant::now();
    let mut rows = Vec::new();
    for suite in suites {
        println!("\nsuite {}", suite.name);
        let suite_begun = Instant::now();
        rows.extend((suite.run)(options.quick).context(suite.name)?);
        println!("{} took {}", suite.name, text::span(suite_begun.elapsed()));
        // After each: what comes later may fail.
        if let Some(file) = &options.json {
            report::write_json(&rows, file)?;
        }
        if let Some(folder) = &options.plot {
            let cnt = plot::draw(&rows, folder)?;
            println!("{cnt} plots in {}", folder.display());
        }
    }
    println!(
        "\n{} figures in {}; load average {} now",
        rows.len(),
        text::span(begun.elapsed()),
        child::load()
    );
    Ok(ExitCode::SUCCESS)
}
