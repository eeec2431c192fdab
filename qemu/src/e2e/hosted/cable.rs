//! The portable cases over AF_XDP, between two namespaces.
//!
//! ```text
//!   our namespace                 namespace of the server
//!   clients ─ client0 ── veth ── server0 ─ XDP ─► simoom-httpd
//! ```

use super::super::{Outcome, World};
use super::{in_namespace, ip, portable};
use crate::install;
use crate::linux::netns::Netns;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// All of them, on a fresh cable.
pub(in super::super) fn xdp(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "hosted-xdp", |world| {
        let server = Netns::new()?;
        connect(&server, 1)?;
        if let Some(program) = &mut world.process {
            program.spec = "xdp:server0";
            program.netns = Some(server);
        }
        portable(world, "AF_XDP on veth")?;
        Ok(Outcome::Passed)
    })
}

/// Puts a cable between us and the server's namespace.
pub(super) fn connect(server: &Netns, queues: u32) -> Result<()> {
    let there = server.path();
    let queues = format!("numtxqueues {queues} numrxqueues {queues}");
    ip(&format!(
        "link add client0 {queues} type veth peer name server0 {queues}"
    ))?;
    ip(&format!("link set server0 netns {}", there.display()))?;
    ip("addr add 10.78.0.1/24 dev client0")?;
    ip("link set client0 up")?;
    // AF_XDP takes whole frames with whole checksums, as a wire would have them.
    let ethtool = install::ETHTOOL.need()?;
    let mut off = Command::new(ethtool);
    off.args([
        "-K", "client0", "tx", "off", "tso", "off", "gso", "off", "gro", "off",
    ]);
    let status = off.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("ethtool: {status}");
    }
    server.within(|| ip("link set server0 up"))
}
