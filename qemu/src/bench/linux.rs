//! The suite `linux`: the transfers of [`crate::linux`], by our stack and by Linux reno.

use super::EXIT_NOT_HERE;
use super::report::{self, Better, Row, Sample};
use crate::linux;
use crate::linux::check::at_once;
use crate::linux::exchange::{CONTENT_LEN, Op, Work};
use crate::linux::transfer::{Captures, Done, Lag, Roles, Transfer};
use crate::linux::wires::{WIRES, WireKind};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Args;
use simoom::tcp::cc::Algorithm;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What `bench linux` takes.
#[derive(Args)]
pub(crate) struct LinuxArgs {
    /// Transfers of each kind, for us and for Linux; medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..1000))]
    runs: u32,
    /// The seed of the first run; the others have the next ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the cases whose names contain this
    #[arg(long)]
    only: Option<String>,
    /// Only this congestion control of ours; without: CUBIC, and Westwood+ for long transfers
    #[arg(long, value_name = "cubic|reno|westwood", value_parser = algorithm)]
    cc: Option<Algorithm>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave a capture of every transfer, as its server saw it
    #[arg(long, value_name = "FOLDER")]
    pcap: Option<PathBuf>,
    /// Print every transfer
    #[arg(long)]
    verbose: bool,
    /// Only look that all bytes are right
    #[arg(long, hide = true)]
    check: bool,
}

/// A kind of transfer on a kind of wire.
#[derive(Clone, Copy)]
struct Case {
    kind: &'static WireKind,
    work: Work,
    /// Of ours; Linux has reno.
    congestion: Algorithm,
}

impl Case {
    fn name(&self) -> String {
        let name = format!("{}, {}", self.kind.name, Transfer::title(self.work));
        match self.congestion {
            Algorithm::Cubic => name,
            other => format!("{name}, {other}"),
        }
    }

    fn is_long(&self) -> bool {
        self.work.len as usize == CONTENT_LEN
    }

    /// The bars are for long transfers: of short ones the round trips of slow start are most, and
    /// nobody sends less.
    fn bar(&self) -> Option<f64> {
        self.kind.bar.filter(|_| self.is_long())
    }

    fn mbit_per_s(&self, done: &Done) -> f64 {
        self.work.total_len() as f64 * 8.0 / 1e6 / done.took.as_secs_f64()
    }
}

/// Runs the suite.
///
/// # Errors
/// No namespaces here; a transfer that failed.
pub(crate) fn run(args: LinuxArgs) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        let own: Vec<String> = std::env::args().skip(1).collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let status = linux::in_user_namespace(&own)?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    if let Err(error) = linux::look() {
        eprintln!("error: {}", text::one_line(&format!("{error:#}")));
        return Ok(ExitCode::from(EXIT_NOT_HERE));
    }
    if args.check {
        linux::check::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = measure_all(&args)?;
    if let Some(file) = &args.json {
        report::write_json(&rows, file)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How long [`once`] takes, about, seconds.
pub(crate) fn estimate(is_quick: bool) -> u32 {
    if is_quick { 60 } else { 1_500 }
}

/// The suite as a part of all: few runs, or one.
///
/// # Errors
/// As [`run`].
pub(crate) fn once(is_quick: bool) -> Result<Vec<Row>> {
    linux::look()?;
    let args = LinuxArgs {
        runs: if is_quick { 1 } else { 3 },
        seed: 1,
        only: is_quick.then(|| QUICK_ONLY.to_owned()),
        cc: None,
        json: None,
        pcap: None,
        verbose: false,
        check: false,
    };
    measure_all(&args)
}

/// Measures the cases that are wanted, and prints them.
fn measure_all(args: &LinuxArgs) -> Result<Vec<Row>> {
    let wanted = |case: &Case| match &args.only {
        Some(part) => case.name().contains(part.as_str()),
        None => true,
    };
    let cases: Vec<Case> = cases(args.cc).into_iter().filter(wanted).collect();
    if cases.is_empty() {
        bail!("no case has that in its name");
    }
    println!(
        "both directions have the same faults; medians of {}",
        args.runs
    );
    report::print_heading(RIVAL);
    let mut rows = Vec::new();
    let mut lag = Lag::default();
    for case in &cases {
        let (row, its_lag) = measure(args, case).with_context(|| case.name())?;
        row.print();
        rows.push(row);
        lag = lag.and(its_lag);
    }
    println!(
        "the wire's events came {} us late in the mean, {} ms at most",
        lag.mean_us(),
        lag.worst_us / 1_000
    );
    Ok(rows)
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    Algorithm::from_name(name).ok_or("cubic, reno or westwood")
}

fn cases(only: Option<Algorithm>) -> Vec<Case> {
    let work = |len, times, is_kept| Work {
        op: Op::Get,
        len,
        times,
        is_kept,
    };
    let works = [
        work(CONTENT_LEN as u32, 1, false),
        work(64 << 10, 100, false),
        work(64 << 10, 100, true),
    ];
    let of_kind = |kind| {
        Algorithm::ALL.into_iter().flat_map(move |congestion| {
            works.map(|work| Case {
                kind,
                work,
                congestion,
            })
        })
    };
    let is_measured = |case: &Case| match (only, case.congestion) {
        (Some(only), congestion) => congestion == only,
        (None, Algorithm::Cubic) => true,
        // Where it makes a difference.
        (None, Algorithm::Westwood) => case.is_long() && !is_clean(case.kind),
        (None, _) => false,
    };
    WIRES.iter().flat_map(of_kind).filter(is_measured).collect()
}

/// Ours and theirs in turn, the same seeds for both; and how late the wire was.
fn measure(args: &LinuxArgs, case: &Case) -> Result<(Row, Lag)> {
    let captures = Captures {
        folder: args.pcap.clone(),
    };
    let both = [Roles::WeServeLinux, Roles::LinuxServesLinux];
    let runs = (0..args.runs).flat_map(|run| both.map(|roles| (run, roles)));
    let transfers: Vec<Transfer> = runs
        .map(|(run, roles)| Transfer {
            kind: case.kind,
            roles,
            work: case.work,
            seed: args.seed + u64::from(run),
            congestion: case.congestion,
            limit: LIMIT,
        })
        .collect();
    let done = at_once(&transfers, lanes(case.kind), |transfer| {
        let done = transfer.run(&captures)?;
        if args.verbose {
            println!(
                "  {:?} seed {}: {:.2} Mbit/s in {} (relay late by {} us, {} us at most)",
                transfer.roles,
                transfer.seed,
                case.mbit_per_s(&done),
                text::span(done.took),
                done.lag.mean_us(),
                done.lag.worst_us,
            );
        }
        Ok(done)
    })?;
    let of = |roles: Roles| {
        let done = transfers.iter().zip(&done);
        let done = done.filter(|(transfer, _)| transfer.roles == roles);
        let rates: Vec<f64> = done.map(|(_, done)| case.mbit_per_s(done)).collect();
        Sample::of(&rates)
    };
    let (ours, rival) = (of(Roles::WeServeLinux), of(Roles::LinuxServesLinux));
    let lag = done
        .iter()
        .map(|done| done.lag)
        .fold(Lag::default(), Lag::and);
    let row = Row {
        suite: "linux",
        case: case.name(),
        metric: "goodput".to_owned(),
        unit: "Mbit/s",
        ours,
        rival: Some(rival),
        rival_name: Some(RIVAL),
        is_rival: true,
        better: Better::More,
        bar: case.bar(),
        at: Vec::new(),
    };
    Ok((row, lag))
}

/// Transfers at a time. On a wire that loses nothing they keep a core busy, and go alone; on the
/// others they wait most of the time, and one of ours goes beside one of Linux's.
fn lanes(kind: &WireKind) -> usize {
    if is_clean(kind) { 1 } else { 2 }
}

fn is_clean(kind: &WireKind) -> bool {
    kind.loss == simoom_sim::Chance::NEVER
}

const RIVAL: &str = "linux reno";
/// Cases that are quick.
const QUICK_ONLY: &str = "clean";
/// Longest time for a transfer: 16 MiB at a fifth of a megabit a second.
const LIMIT: Duration = Duration::from_secs(600);
