//! Linux as the peer: its TCP and ours on the same bad wire, in real time.
//!
//! ```text
//!   namespace 1                                                namespace 2
//!   Linux server ─ TAP ─┐          the same Wire           ┌─ TAP ─ Linux client
//!                       ├─ relay ─ delay, queue, loss, ... ─┤
//!   our Stack ─ SimPort ┘          by the real clock        └─ ...
//! ```
//!
//! A [`transfer`] is one wire with two hosts at it: Linux and Linux for the reference, ours and
//! Linux in either role. The wire is `simoom-sim`'s, so both suffer from the same queue and the
//! same chances (a seed is a sequence of fates, one for each frame of a direction), in the middle,
//! where no sender's own kernel sees them. The relay has no names or addresses on the machine: its
//! namespaces end with it.
//!
//! [`fast_open`] and [`flood`] are about beginnings: the client's request in its SYN, and a third
//! host that makes SYNs as fast as it can.
//!
//! In the order of use: [`netns`], [`tap`], [`sockets`] for Linux; [`ours`], [`peer`] for us;
//! [`wires`], [`exchange`], [`relay`], [`transfer`], [`check`] for both.

pub(crate) mod check;
pub(crate) mod exchange;
mod fast_open;
mod flood;
pub(crate) mod netns;
mod ours;
mod peer;
mod relay;
mod sockets;
mod tap;
pub(crate) mod transfer;
pub(crate) mod wires;

use anyhow::{Context, Result, bail};
use simoom_ring::MacAddr;
use simoom_sim::Wire;
use std::net::Ipv4Addr;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Host `n` of the wire's network.
fn addr(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 66, 0, n)
}

/// Its station address, locally administered.
fn mac(n: u8) -> MacAddr {
    MacAddr([0x02, 0x66, 0, 0, 0, n])
}

/// Whether namespaces and TAP devices are to be had.
///
/// # Errors
/// Not by us: why.
pub(crate) fn look() -> Result<()> {
    tap::LinuxHost::new(&Wire::new(0), 1).map(drop)
}

/// Runs this program with `args` as root of a user namespace, where whoever is not root may have
/// network namespaces, too.
///
/// # Errors
/// There are no user namespaces for us either.
pub(crate) fn in_user_namespace(args: &[&str]) -> Result<ExitStatus> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--"]);
        command
    };
    let probe = unshare().arg("true").output().context("unshare")?;
    if !probe.status.success() {
        bail!("neither root nor a user namespace");
    }
    let program = std::env::current_exe()?;
    Ok(unshare().arg(program).args(args).status()?)
}

const ADDR_BITS: u8 = 24;
const PORT: u16 = 8080;
/// A connection on which nothing moves for so long is stuck: far above any backed-off timer that a
/// passing transfer sees.
const STALL_MAX: Duration = Duration::from_secs(60);
