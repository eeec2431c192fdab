//! The suite `stack`: ours and smoltcp in one process, over rings in memory.
//!
//! `stack/benches/rival` does the work: it times both in turn, and goes a case for callgrind. Here
//! its figures become rows: nanoseconds, instructions, and instructions by layer.

use super::callgrind::{self, Layer, Split};
use super::child::{self, Running};
use super::report::{At, Axis, Better, Row, Sample, print_heading};
use crate::install;
use crate::kernel;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

/// How much is measured.
struct Effort {
    /// Rounds of each side, in turn, and how long one is, milliseconds. Short ones: what else the
    /// machine does spoils few of them.
    rounds: u32,
    round_ms: u32,
    /// Cases that are left out.
    is_left_out: fn(&str) -> bool,
}

const FULL: Effort = Effort {
    rounds: 151,
    round_ms: 3,
    is_left_out: |_| false,
};
const QUICK: Effort = Effort {
    rounds: 5,
    round_ms: 3,
    is_left_out: |case| {
        let wanted = ["bulk sent", "100 B kept", "1 KB kept", "1 KB new"];
        !wanted.contains(&case) && !case.ends_with("none idle") && !case.ends_with(" 1000 idle")
    },
};

/// How long it takes, about, seconds.
pub(crate) fn estimate(is_quick: bool) -> u32 {
    if is_quick { 20 } else { 300 }
}

/// Runs the suite.
///
/// # Errors
/// The harness cannot be built, or breaks.
pub(crate) fn run(is_quick: bool) -> Result<Vec<Row>> {
    child::look_at_cores()?;
    let effort = if is_quick { QUICK } else { FULL };
    let harness = kernel::build_bench("simoom", "rival")?;
    let valgrind = install::VALGRIND.need();
    if let Err(error) = &valgrind {
        println!("instructions are not counted: {error:#}");
    }
    let valgrind = valgrind.ok();
    let listed = Running::output(harness_command(&harness, &["list"]))?;
    let cases = cases(&listed)?;
    println!(
        "in memory, software checksums, MSS 1,448 with timestamps, a window of 128 KiB; medians of \
         {} rounds of {} ms in turn, less those that other programs disturbed",
        effort.rounds, effort.round_ms
    );
    print_heading(RIVAL);
    let mut rows: Vec<Row> = Vec::new();
    for case in cases
        .iter()
        .filter(|case| !(effort.is_left_out)(&case.name))
    {
        let measured = || -> Result<Vec<Row>> {
            let mut measured = vec![time(&harness, case, &effort, &rows)?];
            if let Some(valgrind) = &valgrind {
                measured.extend(count(&harness, valgrind, case, &rows)?);
            }
            Ok(measured)
        };
        rows.extend(measured().with_context(|| case.name.clone())?);
    }
    Ok(rows)
}

/// A case as the harness names it.
struct Case {
    name: String,
    /// "request" or "segment".
    what: String,
    has_rival: bool,
}

fn cases(listed: &str) -> Result<Vec<Case>> {
    let case = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        [name, what, sides] => Ok(Case {
            name: name.to_owned(),
            what: what.to_owned(),
            has_rival: sides == "2",
        }),
        _ => bail!("the harness lists {line:?}"),
    };
    listed.lines().map(case).collect()
}

fn harness_command(harness: &Path, words: &[&str]) -> std::process::Command {
    let mut command = child::on_core(child::SERVER_CORE, harness);
    command.args(words);
    command
}

/// Wall time, in turn.
fn time(harness: &Path, case: &Case, effort: &Effort, before: &[Row]) -> Result<Row> {
    let (rounds, ms) = (effort.rounds.to_string(), effort.round_ms.to_string());
    let words = ["time", &case.name, &rounds, &ms];
    let said = Running::output(harness_command(harness, &words))?;
    let sample = |side: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(side));
        let values: Result<Vec<f64>, _> = line?.trim().split('\t').map(str::parse).collect();
        values.ok().map(|values| Sample::undisturbed(&values))
    };
    let metric = format!("time a {}", case.what);
    let ours = sample("ours").context("the harness says no times")?;
    let rival = match case.has_rival {
        true => sample(RIVAL),
        false => alone(before, &metric),
    };
    let mut row = row(case, metric, "ns", ours, rival);
    row.at = at(case);
    row.print();
    Ok(row)
}

/// Instructions, and those of each layer.
fn count(harness: &Path, valgrind: &Path, case: &Case, before: &[Row]) -> Result<Vec<Row>> {
    let ours = profile(harness, valgrind, case, "ours")?;
    let rival = match case.has_rival {
        true => Some(profile(harness, valgrind, case, RIVAL)?),
        false => None,
    };
    let each = |profile: &Profile, cost: u64| Sample::exact(cost as f64 / profile.cnt);
    let metric = format!("instructions a {}", case.what);
    let total = |profile: &Profile| each(profile, profile.split.total());
    let rival_total = match &rival {
        Some(rival) => Some(total(rival)),
        None => alone(before, &metric),
    };
    let mut all = row(case, metric.clone(), "Ir", total(&ours), rival_total);
    all.at = at(case);
    all.print();
    print_split("ours", &ours);
    let mut rows = vec![all];
    let Some(rival) = rival else {
        return Ok(rows);
    };
    print_split(RIVAL, &rival);
    for layer in Layer::ALL {
        let of = |profile: &Profile| each(profile, profile.split.of(layer));
        let metric = format!("{metric}: {}", layer.name());
        rows.push(row(case, metric, "Ir", of(&ours), Some(of(&rival))));
    }
    Ok(rows)
}

fn print_split(side: &str, profile: &Profile) {
    let layers = Layer::ALL.map(|layer| {
        let cost = profile.split.of(layer) as f64 / profile.cnt;
        format!("{} {}", layer.name(), crate::text::count(cost as u64))
    });
    println!("{:<24}{side}: {}", "", layers.join(", "));
}

/// What callgrind has counted.
struct Profile {
    split: Split,
    /// Requests or segments.
    cnt: f64,
}

fn profile(harness: &Path, valgrind: &Path, case: &Case, side: &str) -> Result<Profile> {
    // Without a name: it is gone when nobody has it open.
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let mut command = child::on_core(child::SERVER_CORE, valgrind);
    command.args(["--tool=callgrind", "--toggle-collect=*counted*"]);
    command.arg(format!("--callgrind-out-file={path}"));
    command.arg(harness).args(["count", side, &case.name]);
    // It counts `rep movsb` once a byte, which no processor does.
    command.env(
        "GLIBC_TUNABLES",
        "glibc.cpu.x86_rep_movsb_threshold=0x7fffffffffffffff",
    );
    let said = Running::output(command)?;
    let cnt = said.lines().find_map(|line| line.strip_prefix(side));
    let cnt: f64 = cnt.context("the harness says no number")?.trim().parse()?;
    let text = fs::read_to_string(&path).context("callgrind wrote nothing")?;
    let split = callgrind::read(&text)?;
    Ok(Profile { split, cnt })
}

/// Where a case is drawn, by its name: `8 KB kept`, `1 KB, 1000 idle`.
fn at(case: &Case) -> Vec<At> {
    let words: Vec<&str> = case.name.split([' ', ',']).collect();
    let (axis, x, line) = match words[..] {
        [number, unit, way @ ("kept" | "new")] => {
            let scale = match unit {
                "KB" => 1_024.0,
                "MB" => 1_048_576.0,
                _ => 1.0,
            };
            (
                Axis::Size,
                number.parse().map(|number: f64| number * scale),
                way,
            )
        }
        // A logarithmic axis has no 0.
        [_, "KB", "", "none", "idle"] => (Axis::Conns, Ok(1.0), "idle beside it"),
        [_, "KB", "", idle, "idle"] => (Axis::Conns, idle.parse(), "idle beside it"),
        _ => return Vec::new(),
    };
    let line = line.to_owned();
    let at = x.map(|x| At {
        axis,
        x,
        chart: "",
        line,
    });
    at.into_iter().collect()
}

/// Where the rival does not get: what ours takes when nothing is idle.
fn alone(before: &[Row], metric: &str) -> Option<Sample> {
    let mut before = before.iter();
    let row = before.find(|row| row.case.ends_with(ALONE) && row.metric == metric)?;
    Some(row.ours)
}

fn row(
    case: &Case,
    metric: String,
    unit: &'static str,
    ours: Sample,
    rival: Option<Sample>,
) -> Row {
    let is_alone = !case.has_rival;
    Row {
        suite: "stack",
        case: case.name.clone(),
        metric,
        unit,
        ours,
        rival,
        rival_name: Some(if is_alone { OURS_ALONE } else { RIVAL }),
        is_rival: !is_alone,
        better: Better::Less,
        // At a million idle connections at most 1.5 times what it is at none.
        bar: is_alone.then_some(1.0 / 1.5),
        at: Vec::new(),
    }
}

const RIVAL: &str = "smoltcp";
const ALONE: &str = "none idle";
const OURS_ALONE: &str = "ours, none idle";

#[cfg(test)]
mod tests;
