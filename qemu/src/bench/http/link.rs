//! Two namespaces and the link between them; all of it ends with us.
//!
//! ```text
//!   server's namespace                     client's namespace
//!   nginx 10.79.0.1 ─ Linux ┐
//!                           ├─ server0 ═ veth ═ client0 ─ 10.79.0.2  wrk
//!   simoom-httpd 10.79.0.3 ─┘
//!
//!   simoom-httpd 10.79.0.3 ─ TAP ─ Linux 10.79.0.1  wrk      both in one namespace
//! ```

use crate::install;
use crate::linux::netns::Netns;
use crate::text;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// The server's interface on veth, and its TAP device.
pub(crate) const SERVER_IF: &str = "server0";
pub(crate) const TAP_IF: &str = "tap0";
/// Linux's address at the server's end, the client's, ours.
pub(crate) const LINUX_ADDR: [u8; 4] = [10, 79, 0, 1];
const CLIENT_CIDR: &str = "10.79.0.2/24";
pub(crate) const OUR_ADDR: [u8; 4] = [10, 79, 0, 3];

/// A pair of namespaces.
pub(crate) struct Link {
    pub(crate) server: Netns,
    pub(crate) client: Netns,
}

impl Link {
    /// Both ends of a veth pair. The server's end takes an XDP program only when the other has no
    /// more queues than it.
    ///
    /// # Errors
    /// There are no namespaces or devices for us.
    pub(crate) fn veth(is_native: bool) -> Result<Self> {
        let link = Self {
            server: Netns::new()?,
            client: Netns::new()?,
        };
        let client_queues = if is_native { 1 } else { 2 };
        let there = link.client.path();
        link.server.within(|| {
            ip(&format!(
                "link add {SERVER_IF} numtxqueues 1 numrxqueues 1 type veth peer name client0 \
                 numtxqueues {client_queues} numrxqueues {client_queues} netns {}",
                there.display()
            ))?;
            ip(&format!("addr add 10.79.0.1/24 dev {SERVER_IF}"))?;
            ip(&format!("link set {SERVER_IF} up"))?;
            ip("link set lo up")
        })?;
        link.client.within(|| {
            ip(&format!("addr add {CLIENT_CIDR} dev client0"))?;
            ip("link set client0 up")?;
            ip("link set lo up")
        })?;
        Ok(link)
    }

    /// One namespace, where whoever serves makes a TAP device.
    ///
    /// # Errors
    /// There are none for us.
    pub(crate) fn alone() -> Result<Self> {
        let netns = Netns::new()?;
        netns.within(|| ip("link set lo up"))?;
        Ok(Self {
            server: netns.clone(),
            client: netns,
        })
    }

    /// Has the client's end leave checksums and segments to the device, or do them itself: what
    /// comes by AF_XDP must be as it would be on a wire. Merging what comes in stays off, as veth
    /// has it by itself.
    ///
    /// # Errors
    /// ethtool cannot be had, or fails.
    pub(crate) fn set_client_offloads(&self, is_on: bool) -> Result<()> {
        let ethtool = install::ETHTOOL.need()?;
        let word = if is_on { "on" } else { "off" };
        let mut command = Command::new(ethtool);
        command.args(["-K", "client0"]);
        command.args(["gro", "off"]);
        for name in ["tx", "tso", "gso"] {
            command.args([name, word]);
        }
        self.client.within(|| run(&mut command))
    }
}

/// Runs `ip` in this thread's namespace.
pub(crate) fn ip(words: &str) -> Result<()> {
    let mut command = Command::new(install::IP.need()?);
    run(command.args(words.split(' ')))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        let name = Path::new(command.get_program()).display().to_string();
        bail!("{name}: {}", text::one_line(&said));
    }
    Ok(())
}
