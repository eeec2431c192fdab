//! The same server as a Linux process, on a TAP device or AF_XDP in network namespaces of its own.
//!
//! The namespace has no name and ends with us, and with it everything in it. Whoever is not root
//! may have one in a user namespace.

mod cable;
mod clients;
mod cores;
mod dhcp;
mod failing;
mod far_side;
mod leaving;
mod slow;

pub(super) use cable::xdp;
pub(super) use clients::{clients, long};
pub(super) use cores::cores;
pub(super) use failing::errors;
pub(super) use far_side::{captures, matrix};
pub(super) use leaving::ends;
pub(super) use slow::slow;

use super::content::fetch_noise;
use super::offloads::Moved;
use super::sites;
use super::{BOOT_LIMIT, HOME_LIMIT, Outcome, PORTABLE, Served, World, listening};
use crate::console::Line;
use crate::guest::Guest;
use crate::host;
use crate::install;
use crate::linux;
use crate::linux::netns::Netns;
use crate::site::Packed;
use crate::text::{self, MIB};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the process serves.
pub(super) const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, 2), 80);
/// Its address, as it is given.
const CIDR: &str = "10.78.0.2/24";
/// Linux's end of the cable.
pub(super) const GATEWAY: &str = "10.78.0.1";
/// The device, and the port that it is.
const DEVICE: &str = "simoom0";
const SPEC: &str = "tap:simoom0";
/// Length of the one big file, bytes.
const FILE_LEN: u64 = 256 * MIB;
/// How long wrk asks, and by how many connections.
const WRK: [&str; 3] = ["-t1", "-c100", "-d3s"];

/// `simoom-httpd`, built.
pub(super) struct Program {
    path: PathBuf,
    /// The port that it serves on.
    spec: &'static str,
    /// More of its command line.
    words: &'static [&'static str],
    /// Where that is, unless it is where the client is, too.
    netns: Option<Netns>,
}

impl Program {
    /// Starts it with `site` on its port.
    pub(super) fn start(&self, site: &Packed) -> Result<Guest> {
        self.start_with(site, &[])
    }

    /// The same, with more words for the server.
    fn start_with(&self, site: &Packed, words: &[&str]) -> Result<Guest> {
        let mut command = self.command(site);
        command.args(words);
        command.args(["--net", self.spec, "--ip", CIDR, "--gateway", GATEWAY]);
        command.args(self.words);
        let start = || Guest::start_program(command, self.path.clone());
        match &self.netns {
            Some(netns) => netns.within(start),
            None => start(),
        }
    }

    /// Its command line with nothing but the site.
    fn command(&self, site: &Packed) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(site.path());
        command
    }
}

/// The portable cases, one big file, and wrk.
pub(super) fn cases(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "hosted-cases", |world| {
        portable(world, "TAP")?;
        Ok(Outcome::Passed)
    })
}

/// All that can be asked on any port; `port` is its name in the figures.
fn portable(world: &mut World, port: &str) -> Result<()> {
    for case in PORTABLE {
        let begun = Instant::now();
        (case.run)(world).context(case.name)?;
        println!("       {} ({})", case.name, text::span(begun.elapsed()));
    }
    big_file(world, port)?;
    wrk(world, port)
}

/// 256 MiB, every byte.
fn big_file(world: &mut World, port: &str) -> Result<()> {
    let mut served = world.serve(&sites::made(FILE_LEN)?, |_| {})?;
    let begun = Instant::now();
    fetch_noise(&mut served, FILE_LEN)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = format!("{:.0} MiB/s", (FILE_LEN / MIB) as f64 / seconds);
    world.figure(format!("simoom-httpd: 256 MiB file, {port}"), rate, "");
    let _ = by_reference(&mut served, FILE_LEN)?;
    served.wait_all_home()?;
    served.finish().map(drop)
}

/// All of so many bytes went by reference, and the processor has not touched one.
fn by_reference(served: &mut Served, len: u64) -> Result<Moved> {
    let is_all = |moved: &Moved| moved.referenced + moved.copied >= len;
    let wanted = |_: &Line, text: &str| Moved::parse(text).filter(is_all);
    let (moved, _) = served
        .guest
        .wait_for("count of all that moved", HOME_LIMIT, wanted)?;
    // Where the device does not sum, a table knows; but for the ragged ends of its blocks.
    let is_summed_here = moved.presummed >= len && moved.summed < len / 10;
    let is_left_alone = moved.presummed + moved.summed == 0;
    if moved.copied > 0 || moved.referenced < len || !(is_summed_here || is_left_alone) {
        bail!("{moved:?}");
    }
    Ok(moved)
}

/// 100 connections that ask again and again.
fn wrk(world: &mut World, port: &str) -> Result<()> {
    if install::WRK.need().is_err() {
        println!("       no wrk here, and none to be installed");
        return Ok(());
    }
    let mut served = world.serve(&sites::made(1000)?, |_| {})?;
    let rate = load(&served)?;
    let what = format!("simoom-httpd: requests a second, {port}");
    world.figure(what, rate, "");
    served.wait_all_home()?;
    served.finish().map(drop)
}

/// What wrk says of its rate.
fn load(served: &Served) -> Result<String> {
    let program = install::WRK.need()?;
    let mut wrk = Command::new(program);
    wrk.args(WRK).arg(format!("http://{}/", served.at.ip()));
    let out = wrk
        .stdin(Stdio::null())
        .output()
        .context("cannot run wrk")?;
    let said = String::from_utf8_lossy(&out.stdout);
    if said.contains("Socket errors") || said.contains("Non-2xx") || !out.status.success() {
        bail!("wrk: {}", text::one_line(&said));
    }
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk names no rate")?.trim().to_owned())
}

/// Starts the process of a namespace with words for the server, and waits until it listens.
pub(super) fn serve_with(world: &World, site: &Packed, words: &[&str]) -> Result<Served> {
    let guest = program(world)?.start_with(site, words)?;
    listening(guest, AT, site.files_cnt)
}

/// Does `work` in a namespace, where guests are processes; `step` is its name.
pub(super) fn in_namespace(
    world: &mut World,
    step: &str,
    work: impl FnOnce(&mut World) -> Result<Outcome>,
) -> Result<Outcome> {
    let device = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    if let Err(error) = device {
        return Ok(Outcome::Skipped(format!("no TAP devices: {error}")));
    }
    if !rustix::process::geteuid().is_root() {
        return match linux::in_user_namespace(&["test", step]) {
            Ok(status) if status.success() => Ok(Outcome::Passed),
            Ok(status) => bail!("it failed in a user namespace ({status})"),
            Err(error) => Ok(Outcome::Skipped(format!("{error:#}"))),
        };
    }
    let netns = match Netns::new() {
        Ok(netns) => netns,
        Err(error) => return Ok(Outcome::Skipped(text::one_line(&format!("{error:#}")))),
    };
    let path = host::build()?;
    world.process = Some(Program {
        path,
        spec: SPEC,
        words: &[],
        netns: None,
    });
    let done = netns.within(|| work(world));
    world.process = None;
    done
}

/// The program of this run.
fn program(world: &World) -> Result<&Program> {
    world.process.as_ref().context("only in a namespace")
}

/// Whether the device is there.
fn has_device() -> Result<bool> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    Ok(table.lines().any(|line| line.trim().starts_with(DEVICE)))
}

/// Runs `ip` in the namespace.
fn ip(words: &str) -> Result<()> {
    let mut command = Command::new(install::IP.need()?);
    let out = command
        .args(words.split(' '))
        .stdin(Stdio::null())
        .output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("ip {words}: {}", text::one_line(&said));
    }
    Ok(())
}
