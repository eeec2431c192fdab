//! `simoom-httpd` on AF_XDP, beside Linux's own stack on the same interface.
//!
//! ```text
//!   namespace "ours"                                namespace "peer"
//!   simoom-httpd 10.78.0.3 ─┐
//!                           ├─ simoom0 ═ veth ═ peer0 ─ 10.78.0.2  curl, wrk
//!   nginx 10.78.0.1 ─ Linux ┘
//! ```

mod cable;
mod httpd;

use super::content::fetch_and_compare;
use super::sites::{self, Noise};
use super::{Outcome, World, within};
use crate::host;
use crate::install;
use crate::text::{self, MIB};
use anyhow::{Context, Result, bail};
use cable::{Cable, OUR_ADDR, OUR_IF};
use httpd::{Httpd, Nginx};
use rustix::process::Signal;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Length of the one big file, bytes.
const FILE_LEN: u64 = 256 * MIB;
/// Connections of the load, and for how long.
const CONNS: &str = "100";
const LOAD: &str = "4s";
/// System calls for each answer at that load, at most.
const CALLS_MAX: f64 = 0.1;
/// How long a port may take to be free again: another test's process may be about to begin, with
/// all descriptors that were open then.
const FREE_LIMIT: Duration = Duration::from_secs(10);

/// In the driver.
pub(super) fn native(world: &mut World) -> Result<Outcome> {
    served(world, true)
}

/// In Linux's stack: the peer has more queues than we, and veth takes no program then.
pub(super) fn skb(world: &mut World) -> Result<Outcome> {
    served(world, false)
}

fn served(world: &mut World, is_native: bool) -> Result<Outcome> {
    let cable = match Cable::new(is_native) {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let mode = if is_native { "native mode" } else { "SKB mode" };
    let program = host::build()?;
    let nginx = Nginx::start(&cable)?;

    let pages = sites::big()?;
    let site = sites::packed(&pages)?;
    let httpd = Httpd::start(&program, &cable, &site, &[])?;
    if !httpd.transcript().iter().any(|line| line.contains(mode)) {
        bail!("not in {mode}: {:?}", httpd.transcript());
    }
    let curl = install::CURL.need()?;
    let begun = Instant::now();
    let url = format!("http://{OUR_ADDR}");
    let compared = fetch_and_compare(|| cable.peer(&curl), &url, &pages)?;
    println!(
        "       {mode}: {} files, {} fetched and compared in {}",
        text::count(pages.len() as u64),
        text::bytes(compared),
        text::span(begun.elapsed())
    );
    nginx.answers(&cable).context("nginx beside us")?;
    httpd.end()?;

    let site = sites::made(FILE_LEN)?;
    let mut httpd = Httpd::start(&program, &cable, &site, &["--stats"])?;
    let begun = Instant::now();
    fetch_noise(&cable)?;
    let rate = (FILE_LEN / MIB) as f64 / begun.elapsed().as_secs_f64();
    world.figure(
        format!("one 256 MiB file over veth, AF_XDP in {mode}"),
        format!("{rate:.0} MiB/s"),
        "",
    );
    let (answers, calls) = load(&cable, &mut httpd, &nginx)?;
    world.figure(
        format!("answers a second, {CONNS} connections, {mode}"),
        text::count(answers),
        "",
    );
    world.figure(
        format!("system calls an answer, {mode}"),
        format!("{calls:.3}"),
        "under 0.1",
    );
    if calls >= CALLS_MAX {
        bail!("{calls:.3} system calls an answer");
    }
    httpd.end()?;
    cable.expect_bare()?;
    Ok(Outcome::Passed)
}

/// Reads the big file and compares it on the way.
fn fetch_noise(cable: &Cable) -> Result<()> {
    let curl = install::CURL.need()?;
    let mut curl = cable.peer(&curl);
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "240"]);
    curl.arg(format!("http://{OUR_ADDR}/noise.bin"));
    let mut child = curl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut body = child.stdout.take().context("a pipe")?;
    let mut noise = Noise::new(FILE_LEN);
    let [mut got, mut expected] = [vec![0; 1 << 18], vec![0; 1 << 18]];
    let mut at = 0;
    loop {
        let len = body.read(&mut got)?;
        if len == 0 {
            break;
        }
        noise
            .read_exact(&mut expected[..len])
            .context("it is too long")?;
        if got[..len] != expected[..len] {
            bail!("it differs between byte {at} and {}", at + len as u64);
        }
        at += len as u64;
    }
    match child.wait()?.success() && at == FILE_LEN {
        true => Ok(()),
        false => bail!("cut at {at}"),
    }
}

/// Many connections at once, with nginx being asked all the while. Answers a second by wrk's
/// count, and system calls an answer by the server's own.
fn load(cable: &Cable, httpd: &mut Httpd, nginx: &Nginx) -> Result<(u64, f64)> {
    let wrk = install::WRK.need()?;
    let mut wrk = cable.peer(&wrk);
    wrk.args(["-t1", "-c", CONNS, "-d", LOAD]);
    wrk.arg(format!("http://{OUR_ADDR}/index.html"));
    wrk.stdin(Stdio::null()).stdout(Stdio::piped());
    let before = httpd.wait_stats()?;
    let child = Running(Some(wrk.spawn().context("cannot run wrk")?));
    let mut asked = 0;
    while !child.has_ended()? {
        nginx.answers(cable).context("nginx beside us under load")?;
        asked += 1;
    }
    let said = child.output()?;
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        bail!("wrk: {}", text::one_line(&said));
    }
    if asked == 0 {
        bail!("nginx was not asked meanwhile");
    }
    let after = httpd.wait_stats()?;
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate: f64 = rate.context("wrk says no rate")?.trim().parse()?;
    let answers = after.answers - before.answers;
    if answers == 0 {
        bail!("no answers in the server's own figures");
    }
    Ok((rate as u64, (after.calls - before.calls) / answers as f64))
}

/// A child that does not outlive the case.
struct Running(Option<Child>);

impl Running {
    fn has_ended(&self) -> Result<bool> {
        let pid = self.0.as_ref().map(Child::id).context("it runs")?;
        // A zombie has ended, and waits for us.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Ok(stat
            .rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z')))
    }

    fn output(mut self) -> Result<String> {
        let child = self.0.take().context("it runs")?;
        Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// However it ends, the interface is as it was, and another can begin.
pub(super) fn ends(_world: &mut World) -> Result<Outcome> {
    let cable = match Cable::new(true) {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let program = host::build()?;
    let site = sites::made(MIB)?;
    let curl = install::CURL.need()?;
    for signal in [Signal::TERM, Signal::KILL, Signal::ABORT, Signal::TERM] {
        let httpd = Httpd::start(&program, &cable, &site, &[])?;
        let mut fetch = cable.peer(&curl);
        fetch.args(["--silent", "--fail", "--max-time", "30", "-o", "/dev/null"]);
        let status = fetch.arg(format!("http://{OUR_ADDR}/noise.bin")).status()?;
        if !status.success() {
            bail!("curl before {signal:?}: {status}");
        }
        if cable.is_bare()? {
            bail!("no program on {OUR_IF} while it serves");
        }
        httpd.signal(signal)?;
        cable
            .expect_bare()
            .with_context(|| format!("after {signal:?}"))?;
    }
    Ok(Outcome::Passed)
}

/// Each is one line that names what is wrong.
pub(super) fn refusals(_world: &mut World) -> Result<Outcome> {
    let cable = match Cable::new(true) {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let program = host::build()?;
    let site = sites::made(1_000)?;
    // A file, because who has no rights may not look into our descriptors.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let tar = folder.path().join("site.tar");
    site.write_to(&tar)?;
    let refused = |net: &str, expected: &str, before: &[&str]| -> Result<()> {
        let mut command = match before.split_first() {
            Some((first, rest)) => {
                let mut command = cable.ours(first.as_ref());
                command.args(rest).arg(&program);
                command
            }
            None => cable.ours(&program),
        };
        let addr = format!("{OUR_ADDR}/24");
        command.arg(&tar).args(["--net", net, "--ip", &addr]);
        let out = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
        if out.status.success() || !said.starts_with("error: ") || said.contains('\n') {
            bail!("{net}: {}: {said:?}", out.status);
        }
        if !said.contains(expected) {
            bail!("{net}: {said:?} does not say {expected:?}");
        }
        Ok(())
    };
    let ours = format!("xdp:{OUR_IF}");
    refused("xdp:no-such-if", "there is no such interface", &[])?;
    refused("xdp:lo", "an Ethernet interface", &[])?;
    refused(&format!("{ours}@9"), "there are 1", &[])?;
    cable.ip(&["link", "set", OUR_IF, "mtu", "9000"])?;
    refused(&ours, "its MTU of 9000 bytes is too large", &[])?;
    cable.ip(&["link", "set", OUR_IF, "mtu", "1500"])?;
    let powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    refused(&ours, "it takes root", &powerless)?;
    let addr = format!("{OUR_ADDR}/24");
    cable.ip(&["addr", "add", &addr, "dev", OUR_IF])?;
    refused(&ours, "the machine has this address itself", &[])?;
    cable.ip(&["addr", "del", &addr, "dev", OUR_IF])?;
    cable.expect_bare()?;

    let first = Httpd::start(&program, &cable, &site, &[])?;
    refused(&ours, "in use by XDP program", &[])?;
    first.signal(Signal::TERM)?;
    cable.expect_bare()?;
    Ok(Outcome::Passed)
}

/// The last line that a command says, if it fails.
fn run(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
        bail!(
            "{} ({})",
            text::one_line(said.lines().last().unwrap_or_default()),
            out.status
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
