//! The suite `host`: what the ports below `simoom-httpd` cost.
//!
//! Frames a second through a pipe that one core drives at both ends; what a TAP device carries when
//! it takes super-segments; and on TAP and AF_XDP the system calls of an answer and the payload
//! bytes that were copied. Where nobody has such a figure, the bar stands in the rival's place,
//! or nothing.

use super::child::{self, Running};
use super::http::{self, Backend, Link, OUR_ADDR, our_server};
use super::report::{Better, Row, Sample, print_heading};
use super::wrk::{self, Load};
use crate::host;
use crate::kernel;
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::time::Duration;

/// How long it takes, about, seconds.
pub(crate) fn estimate(is_quick: bool) -> u32 {
    if is_quick { 30 } else { 60 }
}

/// Runs the suite.
///
/// # Errors
/// What it takes cannot be had here, or does not say what it should.
pub(crate) fn run(is_quick: bool) -> Result<Vec<Row>> {
    child::look_at_cores()?;
    crate::linux::look()?;
    print_heading("rival");
    let mut rows = pipe(if is_quick { 1 } else { 5 })?;
    let seconds = if is_quick { 2 } else { 4 };
    let program = host::build()?;
    let site = http::made(&[1 << 10, 1 << 20])?;
    for backend in [Backend::Tap, Backend::XdpNative] {
        for size in [1 << 10, 1 << 20] {
            let load = Load {
                size,
                is_kept: true,
                conns: 64,
                seconds,
            };
            let figures = serve(&program, backend, &site, &load)?;
            rows.extend(figures.rows(backend, &load));
        }
    }
    Ok(rows)
}

/// Frames a second, as the pipe's own benchmark says.
fn pipe(times: u32) -> Result<Vec<Row>> {
    let program = kernel::build_bench("simoom-netmap", "pipe")?;
    let mut cases: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..times {
        let said = Running::output(child::on_core(child::SERVER_CORE, &program))?;
        for line in said.lines() {
            let (case, rate) = frames(line).with_context(|| format!("it says {line:?}"))?;
            match cases.iter_mut().find(|(known, _)| known == case) {
                Some((_, rates)) => rates.push(rate),
                None => cases.push((case.to_owned(), vec![rate])),
            }
        }
    }
    let rows = cases.into_iter().map(|(case, rates)| {
        let ours = Sample::of(&rates);
        row(case, "frames", "M/s", ours, None, Better::More)
    });
    Ok(rows.collect())
}

/// Of `pipe, Move, 60 B: 41.0 M frames/s, ...`: the case and the number.
fn frames(line: &str) -> Option<(&str, f64)> {
    let (case, rest) = line.split_once(": ")?;
    let (rate, _) = rest.split_once(" M frames/s")?;
    Some((case, rate.parse().ok()?))
}

/// What a server that was asked says of itself.
#[derive(Debug, PartialEq)]
struct Figures {
    rate: f64,
    calls_an_answer: f64,
    copied: f64,
}

impl Figures {
    fn rows(&self, backend: Backend, load: &Load) -> Vec<Row> {
        let case = format!("{}, {}", backend.name(), text::size(load.size));
        let gbit_s = self.rate * load.size as f64 * 8.0 / 1e9;
        let (more, less) = (Better::More, Better::Less);
        let row = |metric, unit, value, rival, better| {
            row(
                case.clone(),
                metric,
                unit,
                Sample::exact(value),
                rival,
                better,
            )
        };
        let calls_bar = (backend != Backend::Tap && load.size < 1 << 20).then_some(CALLS_BAR);
        vec![
            row("goodput", "Gbit/s", gbit_s, None, more),
            row(
                "system calls an answer",
                "calls",
                self.calls_an_answer,
                calls_bar,
                less,
            ),
            row("payload copied in all", "B", self.copied, None, less),
        ]
    }
}

/// Has `simoom-httpd` serve a load, and reads what it says.
fn serve(
    program: &std::path::Path,
    backend: Backend,
    site: &crate::site::Packed,
    load: &Load,
) -> Result<Figures> {
    let link = match backend {
        Backend::Tap => Link::alone()?,
        _ => Link::veth(true)?,
    };
    if backend != Backend::Tap {
        link.set_client_offloads(false)?;
    }
    // Without a name: it is gone when nobody has it open.
    let said = tempfile::tempfile().context("cannot make a temporary file")?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), said.as_raw_fd());
    let stdout = Stdio::from(said.try_clone()?);
    let server = our_server(program, backend, &link, site, &["--stats"], stdout)?;
    let at = SocketAddrV4::new(Ipv4Addr::from(OUR_ADDR), 80);
    wrk::wait_answer(&link.client, at, load.size, LIMIT)?;
    let rate = load.ask(&link.client, at)?.rate;
    server.terminate(LIMIT);
    let text = fs::read_to_string(path)?;
    let (calls_an_answer, copied) = read(&text)?;
    Ok(Figures {
        rate,
        calls_an_answer,
        copied,
    })
}

/// System calls an answer, over all seconds that had some; and payload bytes copied.
fn read(text: &str) -> Result<(f64, f64)> {
    let [mut answers, mut calls] = [0.0; 2];
    for line in text.lines().filter(|line| line.contains(" answers, ")) {
        let cnt = number_before(line, " answers")?;
        answers += cnt;
        calls += number_before(line, " calls an answer")? * cnt;
    }
    if answers == 0.0 {
        bail!("no answers in the server's own figures");
    }
    let ended = text.lines().find(|line| line.contains("ended: "));
    let ended = ended.context("it does not say how it ended")?;
    Ok((
        calls / answers,
        number_before(ended, " payload bytes copied")?,
    ))
}

/// The number that stands before `word`.
fn number_before(line: &str, word: &str) -> Result<f64> {
    let before = line.split_once(word).map(|(before, _)| before);
    let number = before.and_then(|before| before.rsplit(' ').next()?.parse().ok());
    number.with_context(|| format!("no number before {word:?}: {line}"))
}

fn row(
    case: String,
    metric: &str,
    unit: &'static str,
    ours: Sample,
    bar: Option<f64>,
    better: Better,
) -> Row {
    let row = Row {
        suite: "host",
        case,
        metric: metric.to_owned(),
        unit,
        ours,
        rival: bar.map(Sample::exact),
        rival_name: bar.map(|_| "the bar"),
        is_rival: false,
        better,
        bar: bar.map(|_| 1.0),
        at: Vec::new(),
    };
    row.print();
    row
}

/// System calls an answer at a load, at most.
const CALLS_BAR: f64 = 0.1;
/// How long a server may take to answer, and to end.
const LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
