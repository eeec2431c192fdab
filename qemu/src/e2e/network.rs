//! Addresses: DHCP (which every other case uses), static, none; and ICMP through a TAP device.

use super::content::fetch_and_compare;
use super::http::Client;
use super::sites;
use super::{BOOT_LIMIT, HOME_LIMIT, Outcome, World, listening};
use crate::console::Line;
use crate::install;
use crate::machine::{Launch, Net};
use crate::stop;
use crate::text;
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An address of QEMU's network that its DHCP server does not give first.
const STATIC_ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 77);
/// The TAP device and the addresses at its two ends.
const TAP: &str = "simoom0";
const TAP_HOST: &str = "10.77.0.1";
pub(super) const TAP_GUEST: &str = "10.77.0.2";
/// Times that an unanswered DHCP client must have asked again.
const RETRIES_MIN: u32 = 2;

/// `ip=` in Linux's syntax.
pub(super) fn static_ip(world: &mut World) -> Result<Outcome> {
    let site = sites::made(1000)?;
    let mut served = world.serve(&site, |launch| {
        launch.append = format!("ip={STATIC_ADDR}::10.0.2.2:255.255.255.0::eth0:off");
    })?;
    if served
        .guest
        .transcript
        .iter()
        .any(|line| line.contains("dhcp"))
    {
        bail!("it asked for an address that it was given");
    }
    Client::connect(served.at)?.get("/")?.expect(200)?;
    served.wait_all_home()?;
    served.finish()
}

/// A cable that leads nowhere: it says that it asks, again and again, and goes on.
pub(super) fn no_dhcp(world: &mut World) -> Result<Outcome> {
    let site = sites::made(1000)?;
    let (mut guest, _) = world.start(&site, |launch| launch.net = Net::Isolated)?;
    let mut asked = 0;
    guest
        .wait_for(
            "second retry of the DHCP client",
            BOOT_LIMIT,
            |line, text| {
                if matches!(line, Line::Listening { .. }) {
                    return Some(false);
                }
                asked += u32::from(text.starts_with("simoom: dhcp:"));
                (asked > RETRIES_MIN).then_some(true)
            },
        )
        .and_then(|(is_asking, _)| match is_asking {
            true => Ok(Outcome::Passed),
            false => bail!("it listens without an address"),
        })
}

/// A TAP device in a network namespace of its own, with `ping` and `curl` on the host's side.
pub(super) fn ping(world: &mut World) -> Result<Outcome> {
    let ping = install::PING.need()?;
    let curl = install::CURL.need()?;
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let pages = sites::small()?;
    let site = sites::packed(&pages)?;
    let (guest, port) = world.start(&site, |launch| cable.connect(launch))?;
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let served = listening(guest, at, site.files_cnt)?;
    let inside = |program: &Path| cable.inside(program);
    for len in ["56", "1400"] {
        self::run(inside(&ping).args(["-c", "3", "-i", "0.2", "-W", "10", "-s", len, TAP_GUEST]))
            .with_context(|| format!("ping with {len} bytes"))?;
    }
    fetch_and_compare(|| inside(&curl), &format!("http://{TAP_GUEST}"), &pages)?;
    served.finish()
}

/// A card of several queue pairs, of which an image with one core uses the first: the control queue
/// lies elsewhere then, and the device has more queues than are set up.
pub(super) fn queues(world: &mut World) -> Result<Outcome> {
    let curl = install::CURL.need()?;
    let cable = match Cable::lay_as(&["multi_queue"]) {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let pages = sites::small()?;
    let site = sites::packed(&pages)?;
    let (guest, port) = world.start(&site, |launch| {
        cable.connect(launch);
        // An option of the same device, behind its name.
        launch.net = Net::Tap {
            name: format!("{TAP},queues=2"),
        };
        launch.card_options = ",mq=on,vectors=6".to_owned();
    })?;
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let mut served = listening(guest, at, site.files_cnt)?;
    let inside = || cable.inside(&curl);
    fetch_and_compare(inside, &format!("http://{TAP_GUEST}"), &pages)?;
    // The device was told that one pair is served, and has said so.
    let told = |_: &Line, text: &str| text.ends_with(": 1 commands done, 0 not").then_some(());
    let what = "line that the card was told";
    served.guest.wait_for(what, HOME_LIMIT, told)?;
    served.finish()
}

/// A TAP device in a network namespace of its own, which goes with this.
pub(super) struct Cable {
    ip: PathBuf,
    netns: String,
    _guard: stop::Guard,
}

impl Cable {
    /// Makes both.
    ///
    /// # Errors
    /// Why they are not to be had.
    pub(super) fn lay() -> Result<Self> {
        Self::lay_as(&[])
    }

    /// Makes both, the device of a kind: more words of `ip tuntap`.
    fn lay_as(kind: &[&str]) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("needs root for a network namespace");
        }
        let ip = install::IP.need()?;
        let netns = format!("simoom-{}", std::process::id());
        let run = |words: &[&str]| run(Command::new(&ip).args(words));
        run(&["netns", "add", &netns]).context("no network namespace")?;
        let (tool, name) = (ip.clone(), netns.clone());
        let guard = stop::guard(move || {
            // It may be gone with the machine that it was made on.
            let _ = Command::new(tool)
                .args(["netns", "del", &name])
                .stderr(Stdio::null())
                .status();
        });
        let tap = ["tuntap", "add", TAP, "mode", "tap", "vnet_hdr"];
        run(&[&["-n", &netns], &tap[..], kind].concat()).context("no TAP device")?;
        let host = format!("{TAP_HOST}/24");
        run(&["-n", &netns, "addr", "add", &host, "dev", TAP])?;
        run(&["-n", &netns, "link", "set", TAP, "up"])?;
        Ok(Self {
            ip,
            netns,
            _guard: guard,
        })
    }

    /// Connects a guest's network card to it, and gives the guest its address.
    pub(super) fn connect(&self, launch: &mut Launch) {
        launch.net = Net::Tap {
            name: TAP.to_owned(),
        };
        launch.netns = Some(self.netns.clone());
        launch.append = format!("ip={TAP_GUEST}::{TAP_HOST}:255.255.255.0::eth0:off");
    }

    /// A command on the host's side of it.
    pub(super) fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.netns]).arg(program);
        command
    }
}

/// Runs a command to its end; its last line is the reason when it fails.
fn run(command: &mut Command) -> Result<()> {
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim_end().to_owned();
        bail!(
            "{} ({})",
            text::one_line(said.lines().last().unwrap_or_default()),
            out.status
        );
    }
    Ok(())
}
