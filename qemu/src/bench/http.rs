//! The suite `http`: `simoom-httpd` on each of its backends, and nginx on Linux's stack.
//!
//! Both have the same files in memory and one core; wrk has the other one. Before each measurement
//! whoever serves is started, and ended after it: the other would be in its way, our XDP program
//! in nginx's above all. On veth nginx has all offloads at both ends; we need the client to make
//! whole frames. A TAP device cannot have Linux at both ends, so there nginx is on veth, too.
//!
//! What a request takes of a processor is told twice. The server's own time has in it what the
//! kernel did in its name, which on veth is the client's receiving, too, for both servers. So the
//! time of both ends is told with it: server, wrk, and the kernel's threads for soft interrupts.

mod link;
mod servers;

use super::child;
use super::report::{At, Axis, Better, Row, Sample, print_heading};
use super::wrk::{self, Answered, Load};
use crate::host;
use crate::linux;
use crate::site::{self, Entry, Packed, Source};
use crate::text;
use anyhow::{Context, Result};
use link::LINUX_ADDR;
pub(crate) use link::{Link, OUR_ADDR, ip};
use servers::Nginx;
pub(crate) use servers::{Backend, config as nginx_config, cpu_s, ours as our_server};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// Lengths of the files, bytes.
const SIZES: [usize; 6] = [64, 1 << 10, 4 << 10, 8 << 10, 64 << 10, 1 << 20];
const QUICK_SIZES: [usize; 2] = [64, 64 << 10];
/// Connections at a time, and those that are tried with this size, too.
const CONNS: u32 = 64;
const CROWD_SIZE: usize = 1 << 10;
const MORE_CONNS: [u32; 3] = [1, 8, 512];
/// Measurements of each, in turn, of a second each.
const ROUNDS: u32 = 3;

/// How long it takes, about, seconds.
pub(crate) fn estimate(is_quick: bool) -> u32 {
    if is_quick { 40 } else { 420 }
}

/// Everything that the measurements need.
struct Bench {
    program: PathBuf,
    site: Packed,
    nginx: Nginx,
    rounds: u32,
}

/// Runs the suite.
///
/// # Errors
/// No namespaces here, a server that does not serve, a client that has wrong answers.
pub(crate) fn run(is_quick: bool) -> Result<Vec<Row>> {
    child::look_at_cores()?;
    linux::look()?;
    let sizes: &[usize] = if is_quick { &QUICK_SIZES } else { &SIZES };
    let bench = Bench {
        program: host::build()?,
        site: made(sizes)?,
        nginx: Nginx::new(sizes)?,
        rounds: if is_quick { 1 } else { ROUNDS },
    };
    let rounds = bench.rounds;
    println!(
        "server on core {}, wrk -t1 on core {}, {CONNS} connections; medians of {rounds} in turn",
        child::SERVER_CORE,
        child::CLIENT_CORE
    );
    print_heading(RIVAL);
    let mut rows = Vec::new();
    for backend in Backend::ALL {
        for load in loads(sizes, is_quick) {
            let case = name(backend, &load);
            let measured = bench.measure(backend, &load);
            rows.extend(measured.with_context(|| case)?);
        }
    }
    Ok(rows)
}

fn loads(sizes: &[usize], is_quick: bool) -> Vec<Load> {
    let load = |size, is_kept, conns| Load {
        size,
        is_kept,
        conns,
        seconds: 1,
    };
    let kept = sizes.iter().map(|size| load(*size, true, CONNS));
    let closed = sizes.iter().map(|size| load(*size, false, CONNS));
    let crowds = MORE_CONNS
        .iter()
        .map(|conns| load(CROWD_SIZE, true, *conns));
    let crowds = crowds.filter(|_| !is_quick);
    kept.chain(closed).chain(crowds).collect()
}

fn name(backend: Backend, load: &Load) -> String {
    let size = text::size(load.size);
    let way = if load.is_kept { "kept" } else { "closed" };
    let conns = match load.conns {
        CONNS => String::new(),
        conns => format!(", {conns} conns"),
    };
    format!("{}, {size} {way}{conns}", backend.name())
}

/// The files, as an archive.
pub(crate) fn made(sizes: &[usize]) -> Result<Packed> {
    let entry = |size: &usize| Entry {
        name: format!("{size}.bin"),
        source: Source::Bytes(body(*size)),
    };
    site::pack(sizes.iter().map(entry).collect())
}

/// What a file of this length holds.
pub(crate) fn body(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + (at % 26) as u8).collect()
}

/// Figures of one measurement.
struct Figures {
    answered: Answered,
    server_s: f64,
    softirq_s: f64,
}

impl Figures {
    fn server_us(&self) -> f64 {
        self.server_s * 1e6 / self.answered.cnt
    }

    fn both_us(&self) -> f64 {
        let all = self.server_s + self.softirq_s + self.answered.client_s;
        all * 1e6 / self.answered.cnt
    }
}

impl Bench {
    /// Ours and nginx in turn.
    fn measure(&self, backend: Backend, load: &Load) -> Result<Vec<Row>> {
        let our_link = match backend {
            Backend::Tap => Link::alone()?,
            _ => Link::veth(backend == Backend::XdpNative)?,
        };
        let their_link = match backend {
            Backend::Tap => Link::veth(true)?,
            _ => Link {
                server: our_link.server.clone(),
                client: our_link.client.clone(),
            },
        };
        let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
        for _ in 0..self.rounds {
            ours.push(self.ours(backend, &our_link, load).context("ours")?);
            theirs.push(self.nginx(&their_link, load).context("nginx")?);
        }
        Ok(rows(backend, load, &ours, &theirs))
    }

    fn ours(&self, backend: Backend, link: &Link, load: &Load) -> Result<Figures> {
        if backend != Backend::Tap {
            link.set_client_offloads(false)?;
        }
        let (program, site) = (&self.program, &self.site);
        let server = our_server(program, backend, link, site, &[], Stdio::null())?;
        let at = SocketAddrV4::new(Ipv4Addr::from(OUR_ADDR), 80);
        asked(&server, link, at, load)
    }

    fn nginx(&self, link: &Link, load: &Load) -> Result<Figures> {
        link.set_client_offloads(true)?;
        let server = self.nginx.start(link)?;
        let at = SocketAddrV4::new(Ipv4Addr::from(LINUX_ADDR), 80);
        asked(&server, link, at, load)
    }
}

/// Asks a server that has just been started, and ends it.
fn asked(server: &child::Running, link: &Link, at: SocketAddrV4, load: &Load) -> Result<Figures> {
    wrk::wait_answer(&link.client, at, load.size, START_LIMIT)?;
    let (server_s, softirq_s) = (servers::cpu_s(server.pid()), servers::softirq_s());
    let answered = load.ask(&link.client, at)?;
    let figures = Figures {
        answered,
        server_s: servers::cpu_s(server.pid()) - server_s,
        softirq_s: servers::softirq_s() - softirq_s,
    };
    server.terminate(END_LIMIT);
    Ok(figures)
}

fn rows(backend: Backend, load: &Load, ours: &[Figures], theirs: &[Figures]) -> Vec<Row> {
    let is_small = load.size <= 8 << 10 && load.is_kept && load.conns == CONNS;
    let row = |metric: &str, unit, value: fn(&Figures) -> f64, better, bar: Option<f64>| {
        let sample = |of: &[Figures]| Sample::of(&of.iter().map(value).collect::<Vec<_>>());
        Row {
            suite: "http",
            case: name(backend, load),
            metric: metric.to_owned(),
            unit,
            ours: sample(ours),
            rival: Some(sample(theirs)),
            rival_name: Some(RIVAL),
            is_rival: true,
            better,
            bar: bar.filter(|_| is_small),
            at: at(backend, load),
        }
    };
    let (more, less) = (Better::More, Better::Less);
    let rows = [
        row("requests", "/s", |f| f.answered.rate, more, Some(1.3)),
        row("server CPU", "us", Figures::server_us, less, Some(2.0)),
        row("CPU of both ends", "us", Figures::both_us, less, None),
    ];
    rows.iter().for_each(Row::print);
    rows.into()
}

/// By size, with the usual connections; and by connections, with the usual size.
fn at(backend: Backend, load: &Load) -> Vec<At> {
    let way = if load.is_kept { "kept" } else { "closed" };
    let line = format!("{way}, {}", backend.name());
    let by_size = (load.conns == CONNS).then(|| At {
        axis: Axis::Size,
        x: load.size as f64,
        chart: backend.name(),
        line: way.to_owned(),
    });
    let by_conns = (load.size == CROWD_SIZE && load.is_kept).then(|| At {
        axis: Axis::Conns,
        x: f64::from(load.conns),
        chart: "",
        line,
    });
    by_size.into_iter().chain(by_conns).collect()
}

const RIVAL: &str = "nginx";
/// How long a server may take to answer, and to end.
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(10);
