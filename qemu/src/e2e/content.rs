//! Every byte of a site, on every machine.

use super::http::{Client, encoded, request};
use super::sites::{self, Noise, Pages};
use super::{Outcome, Served, World, within};
use crate::install;
use crate::machine::{Launch, Machine};
use crate::text::{self, MIB};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Length of the one big file, bytes.
const FILE_LEN: u64 = 256 * MIB;
/// Most memory beside it, MiB.
const BESIDE_MAX_MIB: u64 = 64;
/// How many curls run at once, each with a connection that it keeps.
const CURLS_CNT: usize = 16;
/// How long to wait for the first answer to each.
const FIRST_LIMIT: Duration = Duration::from_secs(10);
/// curl ends after this, seconds.
const CURL_LIMIT_S: &str = "240";

/// The big site.
pub(super) fn site_1000(world: &mut World) -> Result<Outcome> {
    let pages = sites::big()?;
    fetch_pages(world, &pages, |_| {})
}

/// The smaller site on pc.
pub(super) fn site_pc(world: &mut World) -> Result<Outcome> {
    fetch_pages(world, &sites::small()?, |launch| {
        launch.machine = Machine::Pc
    })
}

/// The smaller site on microvm, whose ACPI says nothing about devices on the command line.
pub(super) fn site_microvm(world: &mut World) -> Result<Outcome> {
    fetch_pages(world, &sites::small()?, |launch| {
        launch.machine = Machine::Microvm
    })
}

/// The smaller site on microvm without ACPI, which names its devices on the command line.
pub(super) fn site_microvm_words(world: &mut World) -> Result<Outcome> {
    fetch_pages(world, &sites::small()?, |launch| {
        launch.machine = Machine::Microvm;
        launch.machine_options = "acpi=off";
    })
}

fn fetch_pages(
    world: &mut World,
    pages: &Pages,
    change: impl FnOnce(&mut Launch),
) -> Result<Outcome> {
    let site = sites::packed(pages)?;
    let mut served = world.serve(&site, change)?;
    let begun = Instant::now();
    let url = format!("http://{}", served.at);
    let curl = install::CURL.need()?;
    let compared = fetch_and_compare(|| Command::new(&curl), &url, pages)?;
    println!(
        "       {} files, {} fetched and compared in {}",
        text::count(pages.len() as u64),
        text::bytes(compared),
        text::span(begun.elapsed())
    );
    served.wait_all_home()?;
    served.finish()
}

/// Fetches every page with several curls at once and compares it with its file; returns the bytes.
///
/// Each curl is started when the one before it has its first answer: QEMU's own network accepts one
/// connection at a time, and the host's kernel drops what comes on top of that.
pub(super) fn fetch_and_compare(
    curl: impl Fn() -> Command,
    url: &str,
    pages: &Pages,
) -> Result<u64> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let target = |idx: usize| folder.path().join(idx.to_string());
    let mut curls = Vec::new();
    for first in 0..CURLS_CNT.min(pages.len()) {
        let mut lines = String::new();
        for (idx, (name, _)) in pages.iter().enumerate().skip(first).step_by(CURLS_CNT) {
            writeln!(lines, "url = \"{url}/{}\"", encoded(name))?;
            writeln!(lines, "output = \"{}\"", target(idx).display())?;
        }
        let config = folder.path().join(format!("config-{first}"));
        fs::write(&config, lines)?;
        let child = curl()
            .args(["--silent", "--show-error", "--fail"])
            .args(["--max-time", CURL_LIMIT_S, "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run curl")?;
        curls.push(child);
        within(FIRST_LIMIT, || target(first).exists());
    }
    for child in curls {
        let out = child.wait_with_output().context("cannot wait for curl")?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = text::one_line(said.lines().last().unwrap_or_default());
            bail!("curl: {said} ({})", out.status);
        }
    }
    let mut compared = 0;
    for (idx, (name, path)) in pages.iter().enumerate() {
        compared += compare(&target(idx), path).with_context(|| name.clone())?;
    }
    Ok(compared)
}

/// Fails at the first byte that differs; returns the length.
fn compare(fetched: &Path, original: &Path) -> Result<u64> {
    let [fetched, original] = [fs::read(fetched)?, fs::read(original)?];
    if let Some(at) = fetched.iter().zip(&original).position(|(a, b)| a != b) {
        bail!("byte {at} differs");
    }
    if fetched.len() != original.len() {
        bail!("{} bytes instead of {}", fetched.len(), original.len());
    }
    Ok(original.len() as u64)
}

/// One big file, in a guest that has little more memory than it.
pub(super) fn file_256m(world: &mut World) -> Result<Outcome> {
    let site = sites::made(FILE_LEN)?;
    let mut beside = 0;
    let mut served = world.serve(&site, |launch| {
        beside = launch.memory_mib - site.tar_len / MIB;
    })?;
    if beside > BESIDE_MAX_MIB {
        bail!("the guest has {beside} MiB beside its site");
    }
    let begun = Instant::now();
    fetch_noise(&mut served, FILE_LEN)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = format!("{:.0} MiB/s", (FILE_LEN / MIB) as f64 / seconds);
    world.figure("one 256 MiB file through QEMU's own network", rate, "");
    served.wait_all_home()?;
    served.finish()
}

/// Reads `noise.bin` and compares it on the way, without ever having it whole.
pub(super) fn fetch_noise(served: &mut Served, len: u64) -> Result<()> {
    let mut client = Client::connect(served.at)?;
    client.send(&request("GET", "/noise.bin", "Connection: close\r\n"))?;
    let answer = client.header()?;
    answer.expect(200)?;
    if answer.content_length()? as u64 != len {
        bail!(
            "Content-Length {} instead of {len}",
            answer.content_length()?
        );
    }
    compare_noise(&mut client, &mut Noise::new(len), len)?;
    client.expect_end()
}

/// Reads `len` bytes of a body and compares them with what `noise` goes on with.
pub(super) fn compare_noise(client: &mut Client, noise: &mut Noise, len: u64) -> Result<()> {
    let mut got = vec![0; 1 << 18];
    let mut expected = got.clone();
    let mut at = 0;
    while at < len {
        let part = usize::try_from(len - at)?.min(got.len());
        client
            .stream
            .read_exact(&mut got[..part])
            .with_context(|| format!("cut at {at}"))?;
        noise.read_exact(&mut expected[..part])?;
        if got[..part] != expected[..part] {
            bail!("it differs between byte {at} and {}", at + part as u64);
        }
        at += part as u64;
    }
    Ok(())
}
