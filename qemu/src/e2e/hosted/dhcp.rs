//! Our address by DHCP, from dnsmasq at Linux's end of the device.

use super::super::http::Client;
use super::super::running::Running;
use super::super::{World, listening, sites};
use super::{DEVICE, GATEWAY, SPEC, ip, program};
use crate::guest::Guest;
use crate::install::Tool;
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{Command, Stdio};

/// Nobody says who we are, so it is who dnsmasq says: its one address.
pub(super) fn taken(world: &World) -> Result<()> {
    ip(&format!("tuntap add dev {DEVICE} mode tap"))?;
    ip(&format!("addr add {GATEWAY}/24 dev {DEVICE}"))?;
    ip(&format!("link set {DEVICE} up"))?;
    let folder = tempfile::tempdir()?;
    let server = dnsmasq(folder.path())?;
    let (program, site) = (program(world)?, sites::made(1000)?);
    let mut command = program.command(&site);
    command.args(["--net", SPEC]);
    let guest = Guest::start_program(command, program.path.clone())?;
    let mut served = listening(guest, SocketAddrV4::new(OFFERED, 80), site.files_cnt)?;
    Client::connect(served.at)?.get("/")?.expect(200)?;
    served.wait_all_home()?;
    served.finish()?;
    drop(server);
    ip(&format!("link del {DEVICE}"))
}

/// Starts dnsmasq as a DHCP server, and nothing else, of one address.
fn dnsmasq(folder: &Path) -> Result<Running> {
    let words = [
        "--keep-in-foreground --conf-file=/dev/null --pid-file --user=root --port=0",
        "--no-ping --dhcp-authoritative --bind-dynamic",
    ];
    let child = Command::new(DNSMASQ.need()?)
        .args(words.iter().flat_map(|words| words.split(' ')))
        .arg(format!("--interface={DEVICE}"))
        .arg(format!("--dhcp-range={OFFERED},{OFFERED},2m"))
        .arg(format!("--dhcp-leasefile={}/leases", folder.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run dnsmasq")?;
    Ok(Running(child))
}

/// Not what the other cases are given.
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 50);

/// Without the package that starts a service.
const DNSMASQ: Tool = Tool {
    program: "dnsmasq",
    package: "dnsmasq-base",
};
