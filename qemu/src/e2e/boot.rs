//! Boots that must fail, and say why; and where chance comes from.

use super::http::Client;
use super::sites;
use super::{Outcome, World};
use crate::accel;
use crate::machine::{Accel, Entropy, Machine, Net, Qemu};
use crate::site::Packed;
use crate::text::MIB;
use anyhow::{Context, Result, bail};
use std::io::{Read, Seek, SeekFrom, Write};

/// The probe itself is right: under TCG it comes to its end.
pub(super) fn probe(_: &mut World) -> Result<Outcome> {
    let qemu = Qemu::find()?;
    if !accel::runs_under(&qemu, Accel::Tcg)? {
        bail!("the probe does not come to its end under TCG");
    }
    Ok(Outcome::Passed)
}

/// A CPU without RDRAND and a virtio-rng device.
pub(super) fn entropy_rng(world: &mut World) -> Result<Outcome> {
    for machine in [Machine::Q35, Machine::Microvm] {
        let served = world.serve(&sites::made(1000)?, |launch| {
            launch.machine = machine;
            launch.entropy = Entropy::VirtioRng;
        })?;
        Client::connect(served.at)?.get("/")?.expect(200)?;
        served.finish()?;
    }
    Ok(Outcome::Passed)
}

/// No chance anywhere.
pub(super) fn entropy_none(world: &mut World) -> Result<Outcome> {
    let site = sites::made(1000)?;
    let reason = world.refused(&site, |launch| launch.entropy = Entropy::Absent)?;
    expect_said(&reason, &["entropy", "random", "rdrand"])
}

/// No network card.
pub(super) fn no_nic(world: &mut World) -> Result<Outcome> {
    let site = sites::made(1000)?;
    for machine in [Machine::Q35, Machine::Pc, Machine::Microvm] {
        let reason = world.refused(&site, |launch| {
            launch.machine = machine;
            launch.net = Net::Absent;
        })?;
        expect_said(&reason, &["network", "nic"])?;
    }
    Ok(Outcome::Passed)
}

/// An archive with a broken header, one that was cut, and none at all.
pub(super) fn bad_tar(world: &mut World) -> Result<Outcome> {
    for (what, bytes) in [
        ("a wrong checksum", edited(|tar| tar[4] ^= 1)?),
        (
            "no number as length",
            edited(|tar| tar[124..136].fill(b'x'))?,
        ),
        ("a length beyond the end", edited(|tar| long_last(tar))?),
        ("cut in a file", edited(|tar| tar.truncate(20_000))?),
        ("cut in a header", edited(|tar| tar.truncate(300))?),
        ("noise", edited(|tar| tar.fill(0xa5))?),
    ] {
        let site = in_file(&bytes).with_context(|| what.to_owned())?;
        let reason = world
            .refused(&site, |_| {})
            .with_context(|| what.to_owned())?;
        expect_said(&reason, &["tar", "archive", "site"]).with_context(|| what.to_owned())?;
    }
    let site = sites::made(1000)?;
    let reason = world
        .refused(&site, |launch| launch.initrd = None)
        .context("no archive")?;
    expect_said(&reason, &["tar", "archive", "site", "initrd"])?;
    Ok(Outcome::Passed)
}

/// The bytes of a made site after `edit`.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>> {
    let mut site = sites::made(50_000)?;
    let mut bytes = Vec::new();
    site.tar.seek(SeekFrom::Start(0))?;
    site.tar.read_to_end(&mut bytes)?;
    edit(&mut bytes);
    Ok(bytes)
}

/// Gives the first header a length of 8 GiB less one, with its checksum set right.
fn long_last(tar: &mut [u8]) {
    tar[124..136].copy_from_slice(b"77777777777\0");
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn in_file(bytes: &[u8]) -> Result<Packed> {
    let mut tar = tempfile::tempfile()?;
    tar.write_all(bytes)?;
    Ok(Packed {
        tar,
        tar_len: bytes.len() as u64,
        files_cnt: 0,
    })
}

/// The archive fits into memory, and nothing beside it does.
pub(super) fn no_memory(world: &mut World) -> Result<Outcome> {
    let site = sites::made(20 * MIB)?;
    let reason = world.refused(&site, |launch| launch.memory_mib = 23)?;
    expect_said(&reason, &["memory", "initrd", "too large"])
}

/// The reason has one of these words, in either case of letters.
fn expect_said(reason: &str, words: &[&str]) -> Result<Outcome> {
    let lower = reason.to_lowercase();
    if !words.iter().any(|word| lower.contains(word)) {
        bail!("the reason does not say what is wrong: {reason}");
    }
    println!("       {reason}");
    Ok(Outcome::Passed)
}
