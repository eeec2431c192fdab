//! What bad arguments and bad ports get: one line, an exit code, and nothing left behind.

use super::super::sites;
use super::super::{Outcome, World, listening};
use super::{AT, CIDR, DEVICE, SPEC, has_device, in_namespace, ip, program};
use crate::site::Packed;
use anyhow::{Result, bail};
use simoom_netmap::hosts::netdev::NetDev;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Arguments, and what the line must say.
const ROWS: [(&[&str], &str); 13] = [
    (&["--net", "dpdk:eth0"], "no such port: dpdk:eth0"),
    (&["--net", "tap:a name"], "no name of an interface"),
    (&["--net", SPEC, "--ip", "10.78.0.0/24"], "not an address"),
    (&["--net", SPEC, "--ip", "here"], "expected dhcp"),
    (
        &["--net", SPEC, "--ip", CIDR, "--gateway", "10.79.0.1"],
        "--gateway 10.79.0.1: expected",
    ),
    (&["--net", SPEC, "--cores", "0-64"], "64 at most"),
    (&["--net", SPEC, "--cores", "0,1000"], "no such core"),
    (
        &["--net", "pipe:/nowhere/at/all", "--cores", "0,1"],
        "it has queues for 1",
    ),
    (&["--net", SPEC, "--passthrough"], "only netmap:"),
    (
        &["nonsense=1", "--net", SPEC],
        "expected one of listing= hosts=",
    ),
    (
        &["listing=on", "listing=maybe", "--net", SPEC],
        "listing=maybe: expected on or off",
    ),
    (&["--net", "tap:lo"], "it is not a TAP device"),
    (&["--net", "xdp:nosuch0"], "there is no such interface"),
];

/// All of it.
pub(in super::super) fn errors(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "hosted-errors", |world| {
        let site = sites::made(1000)?;
        for (args, said) in ROWS {
            expect_refused(world, &site, args, said)?;
        }
        no_tar(world)?;
        same_options()?;
        if has_device()? {
            bail!("a device is left behind");
        }
        in_use(world, &site)?;
        found_device(world, &site)?;
        Ok(Outcome::Passed)
    })
}

/// `host` hands on whatever `simoom-httpd` takes.
fn same_options() -> Result<()> {
    let options = |mut program: Command| -> Result<BTreeSet<String>> {
        let help = String::from_utf8(program.arg("--help").output()?.stdout)?;
        let words = help
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        Ok(words.map(str::to_owned).collect())
    };
    let mut host = Command::new("/proc/self/exe");
    host.arg("host");
    let (host, httpd) = (
        options(host)?,
        options(Command::new(crate::host::build()?))?,
    );
    let missing: Vec<_> = httpd
        .difference(&host)
        .filter(|word| *word != "--version")
        .collect();
    if httpd.is_empty() || !missing.is_empty() {
        bail!("of {} options `host` lacks {missing:?}", httpd.len());
    }
    Ok(())
}

/// A file that is no tar.
fn no_tar(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("site.tar");
    std::fs::write(&file, [0xa5; 2048])?;
    let noise = Packed {
        tar: std::fs::File::open(&file)?,
        tar_len: 2048,
        files_cnt: 0,
    };
    expect_refused(world, &noise, &["--net", SPEC, "--ip", CIDR], "fd/")
}

/// A device that another process of ours is on.
fn in_use(world: &World, site: &Packed) -> Result<()> {
    let guest = program(world)?.start(site)?;
    let served = listening(guest, AT, site.files_cnt)?;
    expect_refused(world, site, &["--net", SPEC, "--ip", CIDR], "it is in use")?;
    served.finish().map(drop)
}

/// A device that was there is as it was: with an MTU that is too large, and an address that Linux
/// has itself.
fn found_device(world: &World, site: &Packed) -> Result<()> {
    ip(&format!("tuntap add dev {DEVICE} mode tap"))?;
    ip(&format!("link set {DEVICE} mtu 20000"))?;
    let args = ["--net", SPEC, "--ip", CIDR];
    expect_refused(world, site, &args, "its MTU of 20000 bytes is too large")?;
    ip(&format!("link set {DEVICE} mtu 1500"))?;
    ip(&format!("addr add {CIDR} dev {DEVICE}"))?;
    expect_refused(world, site, &args, "10.78.0.2 is already used on this link")?;
    if NetDev::find(DEVICE)?.is_up()? {
        bail!("the device was down, and is up");
    }
    ip(&format!("link del {DEVICE}"))
}

/// The program must fail, with one line that says `said`.
fn expect_refused(world: &World, site: &Packed, args: &[&str], said: &str) -> Result<()> {
    let mut command = program(world)?.command(site);
    let out = command.args(args).stdin(Stdio::null()).output()?;
    let error = String::from_utf8_lossy(&out.stderr);
    let line = error.trim_end();
    let is_one = line.starts_with("error: ") && !line.contains('\n');
    if out.status.success() || !is_one || !line.contains(said) {
        bail!("{args:?}: {} and {line:?}, not {said:?}", out.status);
    }
    println!("       {line}");
    Ok(())
}
