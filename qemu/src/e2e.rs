//! The cases: the booted image, asked from the host.
//!
//! Every case boots its own guest through [`World`], waits for what the console says and never for
//! a while, and checks bytes. Cases are plain functions, listed in [`CASES`] in the order of a run.

mod admin;
mod bench;
mod boot;
mod content;
mod corpus;
mod figures;
mod hosted;
mod http;
mod linux;
mod load;
mod network;
mod offloads;
mod program;
mod protocol;
mod running;
mod sites;
mod xdp;

use crate::accel::{self, AccelChoice};
use crate::console::Line;
use crate::guest::Guest;
use crate::kernel::{self, FILESERVER, Kernel};
use crate::machine::{self, Accel, Entropy, Launch, Machine, Net, Qemu};
use crate::site::Packed;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::{Duration, Instant};

/// How long a guest may take to listen: seconds of slack over a boot of less than one, because
/// other work may hold the machine's cores.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How long frames and connections may take to be free after the last client has gone.
const HOME_LIMIT: Duration = Duration::from_secs(60);

/// Every case, in the order of a run.
pub(crate) const CASES: &[Step] = &[
    step(
        "linux-peer",
        "our stack and Linux over bad wires, every byte",
        linux::peer,
    ),
    step(
        "probe",
        "the accelerator probe ends as it should under TCG",
        boot::probe,
    ),
    step(
        "program-errors",
        "bad sites and arguments: one line, non-zero exit",
        program::errors,
    ),
    step(
        "program-serve",
        "serve shows its address; Ctrl-C leaves nothing",
        program::serve,
    ),
    step(
        "program-image",
        "image writes kernel and archive that boot",
        program::image,
    ),
    step(
        "program-disk",
        "image --disk: one file that boots as CD and disk, under BIOS and UEFI",
        program::disk,
    ),
    step("site-pc", "a smaller real site on pc", content::site_pc),
    step(
        "site-microvm",
        "the same on microvm, devices found by scan",
        content::site_microvm,
    ),
    step(
        "site-microvm-words",
        "the same, devices from the command line",
        content::site_microvm_words,
    ),
    step(
        "file-256m",
        "one 256 MiB file, little memory beside it",
        content::file_256m,
    ),
    step(
        "http-corpus",
        "hundreds of requests to us and to nginx, each difference explained",
        corpus::nginx,
    ),
    step(
        "http-date",
        "Date by the machine's clock and by the command line",
        protocol::date,
    ),
    step(
        "net-static",
        "a static ip= instead of DHCP",
        network::static_ip,
    ),
    step(
        "net-no-dhcp",
        "no DHCP answer: it asks again, visibly",
        network::no_dhcp,
    ),
    step(
        "net-ping",
        "ping and curl through a TAP device",
        network::ping,
    ),
    step(
        "net-queues",
        "a card with several queue pairs and a control queue",
        network::queues,
    ),
    step(
        "offload-matrix",
        "each offload on and off, through a TAP device",
        offloads::matrix,
    ),
    step(
        "xdp-native",
        "simoom-httpd on AF_XDP beside nginx: a site, a big file, 100 connections",
        xdp::native,
    ),
    step(
        "xdp-skb",
        "the same where the driver takes no program",
        xdp::skb,
    ),
    step(
        "xdp-ends",
        "SIGTERM, kill -9 and a crash leave nothing on the interface",
        xdp::ends,
    ),
    step(
        "xdp-refusals",
        "what is wrong with an interface: one line, nothing changed",
        xdp::refusals,
    ),
    step(
        "entropy-rng",
        "virtio-rng stands in for RDRAND",
        boot::entropy_rng,
    ),
    step(
        "entropy-none",
        "neither RDRAND nor virtio-rng: refused",
        boot::entropy_none,
    ),
    step(
        "boot-no-nic",
        "no network card: an error, an exit code",
        boot::no_nic,
    ),
    step(
        "boot-bad-tar",
        "a corrupt or cut archive: an error, an exit code",
        boot::bad_tar,
    ),
    step(
        "boot-no-memory",
        "too little memory: an error, an exit code",
        boot::no_memory,
    ),
    step(
        "hosted-cases",
        "the cases above of no particular machine, asked of simoom-httpd on TAP",
        hosted::cases,
    ),
    step("hosted-xdp", "the same over AF_XDP", hosted::xdp),
    step(
        "offload-hosted",
        "simoom-httpd on TAP without each combination of offloads",
        hosted::matrix,
    ),
    step(
        "far-side",
        "every checksum and every segment, as they arrive, of process and image",
        hosted::captures,
    ),
    step(
        "hosted-cores",
        "simoom-httpd on two cores and queues, TAP and AF_XDP",
        hosted::cores,
    ),
    step(
        "hosted-clients",
        "curl, wget, Chromium, redbot, ab, h2load and wrk have nothing to say",
        hosted::clients,
    ),
    step(
        "hosted-slow",
        "10,000 slow connections: others are answered, memory is bounded, all are ended",
        hosted::slow,
    ),
    step(
        "hosted-long",
        "ten minutes of wrk, sizes mixed, and all comes home",
        hosted::long,
    ),
    step(
        "hosted-ends",
        "simoom-httpd: start, DHCP, SIGTERM, kill -9, what it leaves: nothing",
        hosted::ends,
    ),
    step(
        "hosted-errors",
        "simoom-httpd: bad arguments and ports: one line, nothing left",
        hosted::errors,
    ),
    step(
        "bench",
        "bench stack --quick: what it writes is whole, whatever the figures are",
        bench::stack,
    ),
    step(
        "admin",
        "the admin port and the log, booted and hosted: promtool, tshark, Chromium",
        admin::admin,
    ),
    step(
        "figures",
        "boot time, size, memory, idle processor",
        figures::figures,
    ),
];

/// Cases that change nothing of the machine nor of its command line: asked of the booted image,
/// and all over again of the Linux process, by `hosted-cases` and `hosted-xdp`.
pub(crate) const PORTABLE: &[Step] = &[
    step(
        "site-1000",
        "over 1,000 pages of a real site, every byte",
        content::site_1000,
    ),
    step(
        "http-pipelined",
        "requests that come together are answered in order",
        protocol::pipelined,
    ),
    step(
        "http-head",
        "HEAD: the same header, no body",
        protocol::head,
    ),
    step(
        "http-304",
        "what has not changed is not sent again",
        protocol::not_modified,
    ),
    step(
        "http-redirect",
        "a folder without its slash",
        protocol::redirect,
    ),
    step(
        "http-errors",
        "400 404 405 414 431 505, each readable",
        protocol::errors,
    ),
    step("load-200", "200 connections at once", load::together),
    step(
        "load-stalled",
        "a client that stops reading for 5 s",
        load::stalled,
    ),
    step(
        "load-aborts",
        "500 aborts in mid-transfer, then all frames home",
        load::aborts,
    ),
];

const fn step(
    name: &'static str,
    what: &'static str,
    run: fn(&mut World) -> Result<Outcome>,
) -> Step {
    Step { name, what, run }
}

/// One step of `test`.
pub(crate) struct Step {
    /// Its name, which the filter sees.
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) what: &'static str,
    /// Does it.
    pub(crate) run: fn(&mut World) -> Result<Outcome>,
}

/// How a case ended, when it did not fail.
pub(crate) enum Outcome {
    /// Everything was as it should be.
    Passed,
    /// It cannot be done here, and why.
    Skipped(String),
}

/// One measured figure and what it is held against.
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// The value with its unit.
    pub(crate) measured: String,
    /// The bar.
    pub(crate) bar: &'static str,
}

/// What the cases share: the image, built once, the QEMU, found once, and the figures.
#[derive(Default)]
pub(crate) struct World {
    /// Measured so far.
    pub(crate) figures: Vec<Figure>,
    built: Option<(Kernel, Qemu, Accel)>,
    /// In place of guests, while the same cases are asked of the Linux process.
    process: Option<hosted::Program>,
}

/// A guest that listens.
pub(crate) struct Served {
    /// The guest.
    pub(crate) guest: Guest,
    /// Where a client finds it.
    pub(crate) at: SocketAddrV4,
    /// From QEMU's start to the line that says so.
    pub(crate) boot: Duration,
    /// From the guest's first instruction to there, by its own clock, ms.
    pub(crate) entry_ms: f64,
}

impl World {
    /// The image, and what runs it.
    fn built(&mut self) -> Result<&(Kernel, Qemu, Accel)> {
        if self.built.is_none() {
            let kernel = kernel::build(FILESERVER, FILESERVER)?;
            let qemu = Qemu::find()?;
            let choice = match std::env::var("SIMOOM_ACCEL") {
                Ok(word) => AccelChoice::from_str(&word, true)
                    .map_err(|_| anyhow::anyhow!("SIMOOM_ACCEL: {word} is no accelerator"))?,
                Err(_) => AccelChoice::Auto,
            };
            let accel = accel::choose(choice, &qemu);
            self.built = Some((kernel, qemu, accel));
        }
        self.built.as_ref().context("just built")
    }

    /// A run with `site`, changed by `change`; does not wait for anything.
    fn start(&mut self, site: &Packed, change: impl FnOnce(&mut Launch)) -> Result<(Guest, u16)> {
        let port = free_port()?;
        let (kernel, qemu, accel) = self.built()?;
        let mut launch = Launch {
            qemu: qemu.clone(),
            accel: *accel,
            machine: Machine::Q35,
            machine_options: "",
            memory_mib: machine::memory_mib(site.tar_len, Machine::Q35, None)?,
            kernel: kernel.boot.clone(),
            initrd: Some(site.path()),
            disk: None,
            append: String::new(),
            net: Net::User { port, admin: None },
            card_options: String::new(),
            entropy: Entropy::Rdrand,
            netns: None,
        };
        change(&mut launch);
        Ok((Guest::start(&launch, kernel)?, port))
    }

    /// Boots and waits until it listens.
    fn serve(&mut self, site: &Packed, change: impl FnOnce(&mut Launch)) -> Result<Served> {
        if let Some(process) = &self.process {
            // What is changed is a machine, and there is none.
            let guest = process.start(site)?;
            return listening(guest, hosted::AT, site.files_cnt);
        }
        let (guest, port) = self.start(site, change)?;
        let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        listening(guest, at, site.files_cnt)
    }

    /// Boots what must not come up; returns the reason that it gives.
    fn refused(&mut self, site: &Packed, change: impl FnOnce(&mut Launch)) -> Result<String> {
        let (mut guest, _) = self.start(site, change)?;
        let wanted = |line: &Line, _: &str| matches!(line, Line::Listening { .. }).then_some(());
        match guest.wait_for("end of the guest", BOOT_LIMIT, wanted) {
            Ok(_) => bail!("it serves, and should have refused"),
            Err(error) if !format!("{error}").contains("says: ") => return Err(error),
            Err(_) => {}
        }
        match guest.wait_end(BOOT_LIMIT)? {
            Some(0 | machine::EXIT_SUCCESS) | None => bail!("it ended as if all were well"),
            Some(_) => Ok(guest.why_ended().to_string()),
        }
    }

    /// Adds a line to the table at the end.
    fn figure(&mut self, what: impl Into<String>, measured: impl Into<String>, bar: &'static str) {
        self.figures.push(Figure {
            what: what.into(),
            measured: measured.into(),
            bar,
        });
    }
}

/// Waits for the line that says where it listens, and checks the number of files in it.
fn listening(mut guest: Guest, server: SocketAddrV4, files_cnt: u64) -> Result<Served> {
    let wanted = |line: &Line, _: &str| match line {
        Line::Listening {
            files_cnt,
            entry_ms,
            ..
        } => Some((*files_cnt, *entry_ms)),
        _ => None,
    };
    let ((served_cnt, entry_ms), at) = guest.wait_for("listening line", BOOT_LIMIT, wanted)?;
    if served_cnt != files_cnt {
        bail!("it serves {served_cnt} files of {files_cnt}");
    }
    let boot = at.duration_since(guest.started);
    Ok(Served {
        guest,
        at: server,
        boot,
        entry_ms,
    })
}

impl Served {
    /// Waits until connections and frames are all free, after a last request of our own.
    ///
    /// That request is open when earlier lines are thrown away, so the line that counts is one that
    /// was said after it.
    ///
    /// # Errors
    /// A frame or a connection is still in use when the guest says that none is, or it says
    /// nothing.
    fn wait_all_home(&mut self) -> Result<()> {
        let mut client = http::Client::connect(self.at)?;
        client.get("/index.html")?;
        self.guest.drain();
        drop(client);
        let wanted = |line: &Line, _: &str| match line {
            Line::AllHome {
                connections_cnt,
                frames_home,
                frames_cnt,
            } => Some((*connections_cnt, *frames_home, *frames_cnt)),
            _ => None,
        };
        let (counts, _) = self
            .guest
            .wait_for("line that all is home", HOME_LIMIT, wanted)?;
        match counts {
            (0, home, all) if home == all && all > 0 => Ok(()),
            (connections, home, all) => {
                bail!("{connections} connections left, {home} of {all} frames home")
            }
        }
    }

    /// Ends the guest, which must still run.
    fn finish(mut self) -> Result<Outcome> {
        self.guest.drain();
        if let Some(line) = self.guest.panic_line() {
            bail!("{line}");
        }
        Ok(Outcome::Passed)
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Calls `check` until it says yes or `limit` passes.
fn within(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if check() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
