//! Two namespaces with a cable between them.

use super::{FREE_LIMIT, run, within};
use crate::install;
use crate::stop::{self, Guard};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Our end's interface.
pub(super) const OUR_IF: &str = "simoom0";
const PEER_IF: &str = "peer0";
/// Linux's address on it, ours, and the peer's.
pub(super) const LINUX_ADDR: &str = "10.78.0.1";
pub(super) const OUR_ADDR: &str = "10.78.0.3";
const PEER_ADDR: &str = "10.78.0.2";

/// Gone when it is dropped, or the program is stopped.
pub(super) struct Cable {
    ip: PathBuf,
    /// Ours, the peer's.
    netns: [String; 2],
    _guard: Guard,
}

impl Cable {
    /// # Errors
    /// There is none to be had: not root, or a kernel without.
    pub(super) fn new(is_native: bool) -> Result<Self> {
        static CNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            bail!("NOT TESTED: needs root, for devices and XDP programs");
        }
        let ip = install::IP.need()?;
        let number = CNT.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("simoom-{}-{number}-{end}", std::process::id());
        let netns = ["ours", "peer"].map(name);
        let (tool, names) = (ip.clone(), netns.clone());
        let guard = stop::guard(move || {
            for name in names {
                let mut command = Command::new(&tool);
                command.args(["netns", "del", &name]);
                let _ = command.stderr(Stdio::null()).status();
            }
        });
        let cable = Self {
            ip,
            netns,
            _guard: guard,
        };
        let [ours, peer] = &cable.netns;
        for name in [ours, peer] {
            run(Command::new(&cable.ip).args(["netns", "add", name]))?;
        }
        let [our_queues, peer_queues] = match is_native {
            true => ["1", "1"],
            false => ["1", "2"],
        };
        let queues = |cnt| ["numtxqueues", cnt, "numrxqueues", cnt];
        let mut add = Command::new(&cable.ip);
        add.args(["-n", ours, "link", "add", OUR_IF])
            .args(queues(our_queues));
        add.args(["type", "veth", "peer", "name", PEER_IF, "netns", peer]);
        run(add.args(queues(peer_queues)))?;
        let ends = [(ours, OUR_IF, LINUX_ADDR), (peer, PEER_IF, PEER_ADDR)];
        for (netns, interface, addr) in ends {
            let ip = |words: &[&str]| run(Command::new(&cable.ip).args(["-n", netns]).args(words));
            ip(&["addr", "add", &format!("{addr}/24"), "dev", interface])?;
            ip(&["link", "set", interface, "up"])?;
            ip(&["link", "set", "lo", "up"])?;
        }
        // Linux would leave checksums and segments to a device that does not exist.
        let ethtool = install::ETHTOOL.need()?;
        let off = [
            "-K", PEER_IF, "tx", "off", "tso", "off", "gso", "off", "gro", "off",
        ];
        run(cable.peer(&ethtool).args(off))?;
        Ok(cable)
    }

    /// A program in our namespace.
    pub(super) fn ours(&self, program: &Path) -> Command {
        self.inside(&self.netns[0], program)
    }

    /// A program in the peer's.
    pub(super) fn peer(&self, program: &Path) -> Command {
        self.inside(&self.netns[1], program)
    }

    fn inside(&self, netns: &str, program: &Path) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", netns]).arg(program);
        command
    }

    /// `ip` in our namespace.
    pub(super) fn ip(&self, words: &[&str]) -> Result<String> {
        run(Command::new(&self.ip)
            .args(["-n", &self.netns[0]])
            .args(words))
    }

    /// Whether there is no XDP program on our interface.
    pub(super) fn is_bare(&self) -> Result<bool> {
        let said = self.ip(&["-d", "link", "show", OUR_IF])?;
        if !said.contains(OUR_IF) {
            bail!("{OUR_IF} is not there any more");
        }
        Ok(!said.contains("xdp"))
    }

    /// Waits until there is none.
    pub(super) fn expect_bare(&self) -> Result<()> {
        match within(FREE_LIMIT, || self.is_bare().unwrap_or(false)) {
            true => Ok(()),
            false => bail!("{OUR_IF} has an XDP program still"),
        }
    }
}
