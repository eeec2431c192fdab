//! From the server's TAP device through Linux to the clients.

use super::super::{DEVICE, GATEWAY, ip};
use crate::install;
use crate::linux::netns::Netns;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::{Command, Stdio};

/// The clients' end.
pub(super) const CLIENT_IF: &str = "client0";
const SERVER_IF: &str = "server0";

/// All of it. It goes with this.
pub(super) struct Cable {
    /// Where the server is.
    pub(super) server: Netns,
}

impl Cable {
    /// Lays it, for frames of `mtu`.
    pub(super) fn lay(mtu: usize) -> Result<Self> {
        let cable = Self {
            server: Netns::new()?,
        };
        let there = cable.server.path();
        ip(&format!(
            "link add {CLIENT_IF} mtu {mtu} type veth peer name {SERVER_IF} mtu {mtu}"
        ))?;
        ip(&format!("link set {SERVER_IF} netns {}", there.display()))?;
        ip(&format!("addr add 10.79.0.2/24 dev {CLIENT_IF}"))?;
        ip(&format!("link set {CLIENT_IF} up"))?;
        bare(CLIENT_IF)?;
        cable.server.within(|| {
            ip(&format!("tuntap add {DEVICE} mode tap vnet_hdr"))?;
            ip(&format!("link set {DEVICE} mtu {mtu}"))?;
            ip(&format!("addr add {GATEWAY}/24 dev {DEVICE}"))?;
            ip(&format!("link set {DEVICE} up"))?;
            ip(&format!("addr add 10.79.0.1/24 dev {SERVER_IF}"))?;
            ip(&format!("link set {SERVER_IF} up"))?;
            bare(SERVER_IF)?;
            // A machine looks for a free port of this host, too.
            ip("link set lo up")?;
            set("ip_forward", "1")
        })?;
        Ok(cable)
    }

    /// Has the clients of from now on ask for segments of so many bytes, options included.
    pub(super) fn use_segments(&self, mss: usize, has_timestamps: bool) -> Result<()> {
        set("tcp_timestamps", if has_timestamps { "1" } else { "0" })?;
        ip(&format!(
            "route replace 10.78.0.0/24 via 10.79.0.1 advmss {mss}"
        ))
    }

    /// Puts a queue in front of the clients that is too short, or takes it away.
    pub(super) fn narrow(&self, is_narrow: bool) -> Result<()> {
        let tc = install::find("tc").context("iproute2 has no tc")?;
        let words = match is_narrow {
            true => format!("qdisc add dev {SERVER_IF} root tbf {QUEUE}"),
            false => format!("qdisc del dev {SERVER_IF} root"),
        };
        self.server
            .within(|| run(Command::new(tc).args(words.split(' '))))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {CLIENT_IF}"));
    }
}

/// Takes all offloads from a device: what goes through it is as on a wire.
fn bare(device: &str) -> Result<()> {
    let mut ethtool = Command::new(install::ETHTOOL.need()?);
    ethtool.args(["-K", device]);
    run(ethtool.args(["tx", "off", "tso", "off", "gso", "off", "gro", "off"]))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{command:?}: {}", crate::text::one_line(&said));
    }
    Ok(())
}

/// Sets one of the namespace's settings.
fn set(name: &str, value: &str) -> Result<()> {
    let file = format!("/proc/sys/net/ipv4/{name}");
    fs::write(&file, value).with_context(|| format!("setting {file} to {value}"))
}

/// 50 Mbit/s behind a queue of twenty frames.
const QUEUE: &str = "rate 50mbit burst 10kb limit 30kb";
