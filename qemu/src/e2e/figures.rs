//! The figures of the bars: taken each run, printed, and checked only against what would be absurd.

use super::http::{Client, request};
use super::sites;
use super::{Outcome, Served, World};
use crate::machine::Machine;
use crate::text::{self, MIB};
use anyhow::{Context, Result, bail};
use std::fs;
use std::time::{Duration, Instant};

/// Boots of which the quickest counts: the others measure what else the machine did.
const BOOTS_CNT: usize = 3;
/// A boot that takes longer is broken, whatever else the machine does.
const BOOT_ABSURD: Duration = Duration::from_secs(20);
/// An image that is larger has something in it that does not belong there, bytes.
const IMAGE_ABSURD: u64 = 4 * MIB;
/// Memory beside the site, MiB, tried from the most to the least.
const BESIDE_MIB: [u64; 7] = [32, 24, 16, 12, 8, 6, 4];
/// How long an idle guest is watched.
const IDLE_TIME: Duration = Duration::from_secs(5);
/// Parts of a second in which `/proc/PID/stat` counts.
const TICKS_PER_S: f64 = 100.0;
/// An idle guest that uses more than this part of a core spins.
const IDLE_ABSURD: f64 = 0.5;

/// Takes them all.
pub(super) fn figures(world: &mut World) -> Result<Outcome> {
    boot(world, Machine::Q35, "under 1.5 s")?;
    boot(world, Machine::Microvm, "under 0.8 s")?;
    let (kernel, ..) = world.built()?;
    let boot_len = kernel.boot_len;
    if boot_len > IMAGE_ABSURD {
        bail!("the image has {}", text::bytes(boot_len));
    }
    world.figure("stripped image", text::bytes(boot_len), "under 1 MB");
    memory(world)?;
    idle(world)?;
    Ok(Outcome::Passed)
}

/// From QEMU's start to the first byte of an answer, and the guest's own part of it.
fn boot(world: &mut World, machine: Machine, bar: &'static str) -> Result<()> {
    let site = sites::made(1000)?;
    let mut best = Duration::MAX;
    let mut best_entry_ms = f64::INFINITY;
    for _ in 0..BOOTS_CNT {
        let served = world.serve(&site, |launch| launch.machine = machine)?;
        best = best.min(first_byte(&served)?);
        best_entry_ms = best_entry_ms.min(served.entry_ms);
    }
    if best > BOOT_ABSURD {
        bail!("{} on {}", text::span(best), machine.name());
    }
    let name = machine.name();
    world.figure(
        format!("QEMU start to first response byte, {name}"),
        text::span(best),
        bar,
    );
    let entry = format!("{best_entry_ms:.1} ms");
    world.figure(
        format!("guest entry to listening, {name}"),
        entry,
        "under 50 ms",
    );
    Ok(())
}

fn first_byte(served: &Served) -> Result<Duration> {
    let mut client = Client::connect(served.at)?;
    client.send(&request("GET", "/", ""))?;
    let mut byte = [0];
    std::io::Read::read_exact(&mut client.stream, &mut byte).context("no answer")?;
    let took = Instant::now().duration_since(served.guest.started);
    if took < served.boot {
        bail!("an answer before it listened");
    }
    Ok(took)
}

/// The least memory beside the site with which it still serves.
fn memory(world: &mut World) -> Result<()> {
    let site = sites::made(16 * MIB)?;
    let site_mib = site.tar_len.div_ceil(MIB);
    let mut least = None;
    for beside in BESIDE_MIB {
        let served = world.serve(&site, |launch| launch.memory_mib = site_mib + beside);
        let has_answered = served
            .and_then(|served| Client::connect(served.at)?.get("/")?.expect(200))
            .is_ok();
        if !has_answered {
            break;
        }
        least = Some(beside);
    }
    let least = least.context("it does not serve with 32 MiB beside the site")?;
    world.figure(
        "memory beside a site of 16 MiB",
        format!("{least} MiB"),
        "32 MiB",
    );
    Ok(())
}

/// What QEMU uses of a core while nobody asks for anything.
fn idle(world: &mut World) -> Result<()> {
    let mut served = world.serve(&sites::made(1000)?, |_| {})?;
    Client::connect(served.at)?.get("/")?.expect(200)?;
    served.wait_all_home()?;
    let pid = served.guest.pid();
    let before = ticks(pid)?;
    std::thread::sleep(IDLE_TIME);
    let used = (ticks(pid)? - before) as f64 / TICKS_PER_S / IDLE_TIME.as_secs_f64();
    if used > IDLE_ABSURD {
        bail!("an idle image uses {:.0} % of a core", used * 100.0);
    }
    world.figure(
        "idle image, of a core",
        format!("{:.1} %", used * 100.0),
        "under 2 %",
    );
    Ok(())
}

/// Processor time of a process, user and system, in ticks: fields 14 and 15 of `stat`.
fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("QEMU is gone")?;
    let (_, fields) = stat.rsplit_once(')').context("no such format")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut field = || fields.next().and_then(|text| text.parse::<u64>().ok());
    Ok(field().context("no user time")? + field().context("no system time")?)
}
