//! `bench`: how our stack stands against others, in figures.
//!
//! Each suite measures us and a rival in the same run, prints a table of ratios (above 1 means
//! that ours is better) with the bars that they are meant to keep, and can write them as JSON.

mod linux;
mod report;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// The exit code that says "not on this machine".
pub(crate) const EXIT_NOT_HERE: u8 = 77;

/// What `bench` takes.
#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    suite: Suite,
}

/// What can be measured.
#[derive(Subcommand)]
enum Suite {
    /// Goodput over bad wires, against Linux reno on the same wires
    Linux(linux::LinuxArgs),
}

/// Runs a suite.
///
/// # Errors
/// A measurement was not possible, or its bytes were wrong. A missed bar is no error.
pub(crate) fn run(args: BenchArgs) -> Result<ExitCode> {
    match args.suite {
        Suite::Linux(args) => linux::run(args),
    }
}
