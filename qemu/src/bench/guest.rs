//! The suite `guest`: our image, and Debian's cloud kernel with nginx, on the same QEMU.
//!
//! ```text
//!   core 0: QEMU, each on a TAP device     core 1: wrk, in the namespace of one of them
//! ```
//!
//! All guests run while they are measured in turn; the one that is not asked sleeps. The files are
//! in memory in both. Linux has no virtio over MMIO without ACPI tables of a PC, so its machine is
//! q35 each time.
//!
//! One core is for all of QEMU: the processor that it plays, and the thread that moves packets. So
//! what a core of the host gives is what is compared, as in the suite `http`. Where QEMU may have
//! wrk's core, too, Linux answers up to 1.4 times as many requests (its processor is what it lacks:
//! four fifths of QEMU's time), and ours as many as before.
//!
//! Linux is set up as who knows it would: [`linux`] says how nginx and the driver are, [`Kind`] how
//! QEMU is, where that is another way than for our image. All that together is 1.2 to 1.7 times
//! what it does with nothing but what QEMU and nginx are usually told.

mod cpio;
mod linux;

use super::child::{self, Running};
use super::http;
use super::report::{At, Axis, Better, Row, Sample, print_heading};
use super::wrk::{self, Load};
use crate::accel::{self, AccelChoice};
use crate::kernel::{self, FILESERVER, Kernel};
use crate::linux::netns::Netns;
use crate::machine::{Accel, Entropy, Launch, Machine, Net, Qemu};
use crate::site::Packed;
use crate::text;
use anyhow::{Context, Result, bail};
use linux::Linux;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Lengths of the files, bytes, whether connections are kept, and the bar.
const LOADS: [(usize, bool, f64); 5] = [
    (64, true, 8.0),
    (4 << 10, true, 8.0),
    (64 << 10, true, 3.0),
    (1 << 20, true, 1.5),
    (64, false, 8.0),
];
const CONNS: u32 = 32;
const ROUNDS: u32 = 5;
const BOOTS: u32 = 3;
/// Memory of a guest whose speed is measured, MiB.
const MEMORY_MIB: u64 = 256;

/// How long it takes, about, seconds.
pub(crate) fn estimate(is_quick: bool) -> u32 {
    if is_quick { 60 } else { 240 }
}

/// Who is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ours(Machine),
    Linux,
}

const OURS: [Kind; 2] = [Kind::Ours(Machine::Q35), Kind::Ours(Machine::Microvm)];

impl Kind {
    fn machine(self) -> Machine {
        match self {
            Self::Ours(machine) => machine,
            Self::Linux => Machine::Q35,
        }
    }

    /// The processor, if it is not the one that our image gets as anywhere. On TCG's largest Linux
    /// copies by `rep movsb`, which is emulated byte by byte, walks five levels of pages, and has
    /// more registers to save.
    fn cpu(self, accel: Accel) -> Option<&'static str> {
        (self == Self::Linux && accel == Accel::Tcg).then_some("qemu64")
    }

    /// Properties of the network card. Under TCG a kick that the processor's thread passes on
    /// itself takes less from Linux, which kicks for nearly every packet.
    fn card_options(self, accel: Accel) -> &'static str {
        match (self, accel) {
            (Self::Linux, Accel::Tcg) => ",ioeventfd=off",
            _ => "",
        }
    }
}

/// What they are made of.
struct Parts {
    qemu: Qemu,
    accel: Accel,
    ours: Kernel,
    site: Packed,
    linux: Linux,
}

impl Parts {
    fn make(sizes: &[usize]) -> Result<Self> {
        let qemu = Qemu::find()?;
        let accel = accel::choose(AccelChoice::Auto, &qemu);
        Ok(Self {
            accel,
            qemu,
            ours: kernel::build(FILESERVER, FILESERVER)?,
            site: http::made(sizes)?,
            linux: linux::build(sizes)?,
        })
    }
}

/// Runs the suite.
///
/// # Errors
/// What it takes cannot be had here, a guest does not serve, or has wrong answers.
pub(crate) fn run(is_quick: bool) -> Result<Vec<Row>> {
    child::look_at_cores()?;
    crate::linux::look()?;
    let mut sizes: Vec<usize> = LOADS.iter().map(|(size, ..)| *size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let parts = Parts::make(&sizes)?;
    println!(
        "{}, {}, {MEMORY_MIB} MiB; QEMU on core {}, wrk -t1 on core {}, {CONNS} connections",
        parts.qemu.version_line,
        parts.accel.name(),
        child::SERVER_CORE,
        child::CLIENT_CORE,
    );
    print_heading(RIVAL);
    let mut rows = speed(&parts, if is_quick { 1 } else { ROUNDS })?;
    rows.extend(boots(if is_quick { 1 } else { BOOTS })?);
    rows.push(image(&parts));
    if !is_quick {
        rows.extend(memory()?);
    }
    Ok(rows)
}

/// Requests a second, all guests running.
fn speed(parts: &Parts, rounds: u32) -> Result<Vec<Row>> {
    let theirs = Booted::start(parts, Kind::Linux, MEMORY_MIB)?;
    theirs.wait(64, BOOT_LIMIT)?;
    let mut rows = Vec::new();
    for kind in OURS {
        let ours = Booted::start(parts, kind, MEMORY_MIB)?;
        ours.wait(64, BOOT_LIMIT)?;
        for (size, is_kept, bar) in LOADS {
            let load = Load {
                size,
                is_kept,
                conns: CONNS,
                seconds: 1,
            };
            let [mut our_figures, mut their_figures] = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                our_figures.push(ours.ask(&load).context("ours")?);
                their_figures.push(theirs.ask(&load).context("Linux")?);
            }
            let way = if is_kept { "kept" } else { "closed" };
            let case = format!("{}, {} {way}", kind.machine().name(), text::size(size));
            let samples = |of: fn(&Figures) -> f64| {
                let sample = |all: &[Figures]| Sample::of(&all.iter().map(of).collect::<Vec<_>>());
                (sample(&our_figures), sample(&their_figures))
            };
            let (rates, cpu_us) = (samples(|of| of.rate), samples(|of| of.cpu_us));
            let (more, less) = (Better::More, Better::Less);
            let mut row_of_rates = row(case.clone(), "requests", "/s", rates, more, Some(bar));
            rows.push(row(case, "QEMU's CPU a request", "us", cpu_us, less, None));
            row_of_rates.at = vec![At {
                axis: Axis::Size,
                x: size as f64,
                chart: kind.machine().name(),
                line: way.to_owned(),
            }];
            rows.push(row_of_rates);
        }
    }
    Ok(rows)
}

/// What came of one second of requests.
struct Figures {
    rate: f64,
    /// Processor time of QEMU, with what the kernel did in its name, which is the client's
    /// receiving, too: it says more than the rate where something else uses the cores as well.
    cpu_us: f64,
}

/// From QEMU's start to the first answer, each in turn.
fn boots(times: u32) -> Result<Vec<Row>> {
    let parts = Parts::make(&[64])?;
    let kinds = [OURS[0], OURS[1], Kind::Linux];
    let mut took: [Vec<f64>; 3] = Default::default();
    for _ in 0..times {
        for (kind, took) in kinds.into_iter().zip(&mut took) {
            let first = Booted::start(&parts, kind, MEMORY_MIB)?.first_answer()?;
            took.push(first.as_secs_f64() * 1e3);
        }
    }
    let [q35, microvm, theirs] = took.map(|took| Sample::of(&took));
    let rows = OURS.into_iter().zip([q35, microvm]).map(|(kind, ours)| {
        let case = format!("{}, start", kind.machine().name());
        row(
            case,
            "first answer",
            "ms",
            (ours, theirs),
            Better::Less,
            None,
        )
    });
    Ok(rows.collect())
}

fn image(parts: &Parts) -> Row {
    let kib = |len: u64| Sample::exact(len as f64 / 1024.0);
    let samples = (kib(parts.ours.boot_len), kib(parts.linux.image_len));
    let less = Better::Less;
    row(
        "image".to_owned(),
        "without the files",
        "KiB",
        samples,
        less,
        None,
    )
}

/// The least memory that serves one small file.
fn memory() -> Result<Vec<Row>> {
    let parts = Parts::make(&[64])?;
    let serves = |kind, mib| -> Result<bool> {
        let booted = Booted::start(&parts, kind, mib)?;
        Ok(booted.comes_up(64, BOOT_LIMIT))
    };
    let theirs = least(32, 256, |mib| serves(Kind::Linux, mib))?;
    let mut rows = Vec::new();
    for kind in OURS {
        let ours = least(2, 64, |mib| serves(kind, mib))?;
        let mib = |mib: u64| Sample::exact(mib as f64);
        let case = format!("{}, memory", kind.machine().name());
        let samples = (mib(ours), mib(theirs));
        rows.push(row(
            case,
            "least that serves",
            "MiB",
            samples,
            Better::Less,
            None,
        ));
    }
    Ok(rows)
}

/// The least number that will do, where `most` does.
fn least(
    mut too_little: u64,
    most: u64,
    mut will_do: impl FnMut(u64) -> Result<bool>,
) -> Result<u64> {
    if !will_do(most)? {
        bail!("not even {most} MiB will do");
    }
    let mut enough = most;
    while too_little + 1 < enough {
        let middle = too_little.midpoint(enough);
        match will_do(middle)? {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    Ok(enough)
}

fn row(
    case: String,
    metric: &str,
    unit: &'static str,
    (ours, rival): (Sample, Sample),
    better: Better,
    bar: Option<f64>,
) -> Row {
    let row = Row {
        suite: "guest",
        case,
        metric: metric.to_owned(),
        unit,
        ours,
        rival: Some(rival),
        rival_name: Some(RIVAL),
        is_rival: true,
        better,
        bar,
        at: Vec::new(),
    };
    row.print();
    row
}

/// A guest, and the namespace that its TAP device leads to. Ended when it is dropped.
struct Booted {
    netns: Netns,
    started: Instant,
    running: Running,
}

impl Booted {
    /// Starts QEMU; does not wait for anything.
    fn start(parts: &Parts, kind: Kind, memory_mib: u64) -> Result<Self> {
        let netns = Netns::new()?;
        netns.within(|| {
            http::ip("link set lo up")?;
            http::ip(&format!("tuntap add {TAP} mode tap vnet_hdr"))?;
            http::ip(&format!("addr add {GATEWAY}/24 dev {TAP}"))?;
            http::ip(&format!("link set {TAP} up"))?;
            // Who asks before the guest is up would be kept waiting for a second by ARP.
            http::ip(&format!("neigh add {GUEST} lladdr {MAC} dev {TAP}"))
        })?;
        let launch = launch(parts, kind, memory_mib);
        let mut command = child::on_core(child::SERVER_CORE, &launch.qemu.program);
        command.args(launch.args(None));
        if let Some(cpu) = kind.cpu(parts.accel) {
            // The last one counts.
            command.args(["-cpu", cpu]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let running = netns.within(|| Running::start(command))?;
        Ok(Self {
            netns,
            started,
            running,
        })
    }

    /// Waits until it answers.
    fn wait(&self, size: usize, limit: Duration) -> Result<()> {
        wrk::wait_answer(&self.netns, AT, size, limit).map(drop)
    }

    /// Asks for a while.
    fn ask(&self, load: &Load) -> Result<Figures> {
        let before_s = http::cpu_s(self.running.pid());
        let answered = load.ask(&self.netns, AT)?;
        let cpu_s = http::cpu_s(self.running.pid()) - before_s;
        Ok(Figures {
            rate: answered.rate,
            cpu_us: cpu_s * 1e6 / answered.cnt,
        })
    }

    /// Whether it answers at all: a guest that has too little memory ends, or says nothing more.
    fn comes_up(&self, size: usize, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && !self.running.has_ended() {
            if self.wait(size, ASK_EVERY).is_ok() {
                return true;
            }
        }
        false
    }

    /// From QEMU's start to the end of its first answer. A question is asked every few
    /// milliseconds, for one that came too early is not heard again before a second.
    fn first_answer(&self) -> Result<Duration> {
        let (sender, answers) = mpsc::channel();
        let deadline = self.started + BOOT_LIMIT;
        loop {
            let sender = sender.clone();
            drop(self.netns.spawn(move || {
                wrk::answer(AT, 64)?;
                // Only the first one is waited for.
                let _ = sender.send(Instant::now());
                Ok(())
            }));
            if let Ok(at) = answers.recv_timeout(ASK_EVERY) {
                return Ok(at.duration_since(self.started));
            }
            if Instant::now() > deadline {
                bail!("no answer within {} s", BOOT_LIMIT.as_secs());
            }
        }
    }
}

fn launch(parts: &Parts, kind: Kind, memory_mib: u64) -> Launch {
    let (kernel, initrd, append) = match kind {
        Kind::Ours(_) => (
            parts.ours.boot.clone(),
            parts.site.path(),
            format!("ip={GUEST}::{GATEWAY}:255.255.255.0::eth0:off"),
        ),
        Kind::Linux => (
            parts.linux.kernel.clone(),
            parts.linux.initrd_path(),
            LINUX_WORDS.to_owned(),
        ),
    };
    Launch {
        qemu: parts.qemu.clone(),
        accel: parts.accel,
        machine: kind.machine(),
        machine_options: "",
        memory_mib,
        kernel,
        initrd: Some(initrd),
        disk: None,
        append,
        net: Net::Tap {
            name: TAP.to_owned(),
        },
        card_options: format!(",mac={MAC}{}", kind.card_options(parts.accel)),
        entropy: Entropy::Rdrand,
        netns: None,
    }
}

const RIVAL: &str = "linux+nginx";
/// One processor, as we use one: the second of QEMU before 8.1 would only take time from the first,
/// and Linux waits for it. No guards against what nobody does in here, and no pages zeroed for it.
const LINUX_WORDS: &str = "console=ttyS0 quiet panic=-1 rdinit=/init nr_cpus=1 mitigations=off \
                           tsc=reliable init_on_alloc=0";
const TAP: &str = "tap0";
const MAC: &str = "52:54:00:12:34:56";
const GATEWAY: &str = "10.77.0.1";
const GUEST: &str = "10.77.0.2";
const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 2), 80);
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long a guest may take to answer, the machine having other work.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
