//! Beginnings and ends: how soon it listens, and as whom, and what it leaves when it is told to go,
//! or killed.

use super::super::content::compare_noise;
use super::super::http::{Client, request};
use super::super::sites::{self, Noise};
use super::super::{Outcome, Served, World};
use super::{BOOT_LIMIT, DEVICE, dhcp, has_device, in_namespace, ip, program};
use crate::text::{self, MIB};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use simoom_netmap::hosts::netdev::NetDev;
use std::time::Duration;

/// Starts of which the quickest counts.
const STARTS_CNT: usize = 3;
/// A start that takes longer is broken, whatever else the machine does.
const START_ABSURD: Duration = Duration::from_secs(5);
/// Bytes of the transfer that is under way when SIGTERM comes: more than all buffers on the way.
const NOISE_LEN: u64 = 24 * MIB;

/// All of it.
pub(in super::super) fn ends(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "hosted-ends", |world| {
        start(world).context("start")?;
        dhcp::taken(world).context("an address by DHCP")?;
        drained(world).context("SIGTERM")?;
        killed(world).context("kill -9")?;
        persistent(world).context("a persistent device")?;
        Ok(Outcome::Passed)
    })
}

/// How soon it listens.
fn start(world: &mut World) -> Result<()> {
    let site = sites::made(1000)?;
    let mut best = Duration::MAX;
    for _ in 0..STARTS_CNT {
        let served = world.serve(&site, |_| {})?;
        Client::connect(served.at)?.get("/")?.expect(200)?;
        best = best.min(served.boot);
    }
    if best > START_ABSURD {
        bail!("{} until it listens", text::span(best));
    }
    let what = "simoom-httpd: start to listening, TAP";
    world.figure(what, text::span(best), "under 100 ms");
    Ok(())
}

/// SIGTERM with one connection idle and one in mid-transfer.
fn drained(world: &mut World) -> Result<()> {
    let mut served = world.serve(&sites::made(NOISE_LEN)?, |_| {})?;
    let mut idle = Client::connect(served.at)?;
    idle.get("/")?.expect(200)?;
    let mut slow = Client::connect(served.at)?;
    slow.send(&request("GET", "/noise.bin", ""))?;
    slow.header()?.expect(200)?;
    let mut noise = Noise::new(NOISE_LEN);
    compare_noise(&mut slow, &mut noise, MIB)?;
    signal(&served, Signal::TERM)?;
    idle.expect_end().context("the idle connection")?;
    compare_noise(&mut slow, &mut noise, NOISE_LEN - MIB).context("the rest of a transfer")?;
    slow.expect_end().context("after the transfer")?;
    drop((idle, slow));
    expect_end(&mut served)?;
    match has_device()? {
        true => bail!("the device outlived it"),
        false => Ok(()),
    }
}

/// `kill -9`: the kernel takes the device, and the next start knows of nothing.
fn killed(world: &mut World) -> Result<()> {
    let site = sites::made(1000)?;
    for _ in 0..2 {
        let mut served = world.serve(&site, |_| {})?;
        Client::connect(served.at)?.get("/")?.expect(200)?;
        signal(&served, Signal::KILL)?;
        served.guest.wait_end(BOOT_LIMIT)?;
        if has_device()? {
            bail!("the device outlived it");
        }
    }
    Ok(())
}

/// A device that was there, and down, is down again: after SIGTERM, and after `kill -9` when the
/// next run has ended.
fn persistent(world: &mut World) -> Result<()> {
    ip(&format!("tuntap add dev {DEVICE} mode tap"))?;
    ip(&format!("addr add 10.78.0.1/24 dev {DEVICE}"))?;
    let site = sites::made(1000)?;
    let is_up = || Ok::<_, anyhow::Error>(NetDev::find(DEVICE)?.is_up()?);
    for fate in [Signal::TERM, Signal::KILL, Signal::TERM] {
        let was_up = is_up()?;
        let guest = program(world)?.start(&site)?;
        let mut served = super::super::listening(guest, super::AT, site.files_cnt)?;
        if !is_up()? {
            bail!("it serves on a device that is down");
        }
        Client::connect(served.at)?.get("/")?.expect(200)?;
        let has_said = |what: &str| {
            let mut lines = served.guest.transcript.iter();
            lines.any(|line| line.contains(what))
        };
        let has_record = !has_said("no record of its settings");
        if was_up && has_record && !has_said("taken over from a run that was killed") {
            bail!("it does not know what the last run has left");
        }
        signal(&served, fate)?;
        if fate == Signal::KILL {
            served.guest.wait_end(BOOT_LIMIT)?;
            continue;
        }
        expect_end(&mut served)?;
        // Without a record nobody knows what was there before the kill.
        if is_up()? && (has_record || !was_up) {
            bail!("the device was down, and is up");
        }
    }
    ip(&format!("link del {DEVICE}"))
}

fn signal(served: &Served, signal: Signal) -> Result<()> {
    let pid = i32::try_from(served.guest.pid())?;
    let pid = Pid::from_raw(pid).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// It ends by itself, in order: all frames home, nothing copied.
fn expect_end(served: &mut Served) -> Result<()> {
    let code = served.guest.wait_end(BOOT_LIMIT)?;
    let mut lines = served.guest.transcript.iter();
    let last = lines.find_map(|line| line.strip_prefix("simoom: ended: frames "));
    let last = last.with_context(|| format!("no last line, code {code:?}"))?;
    let counts = last.split_once(" home, ").and_then(|(frames, copied)| {
        let (home, all) = frames.split_once(" of ")?;
        Some((home == all, copied == "0 payload bytes copied"))
    });
    match (counts, code) {
        (Some((true, true)), Some(0)) => Ok(()),
        _ => bail!("it ended with {code:?}: {last}"),
    }
}
