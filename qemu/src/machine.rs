//! The machine: everything about QEMU's command line, and nothing else.
//!
//! A guest is the same on every machine: two vCPUs where the QEMU needs them (see [`Qemu::vcpus`]),
//! a console on the first UART (standard output), defmt on the second (a pipe),
//! one network card without an option ROM, a device whose port ends QEMU with an exit code.

mod forward;

pub(crate) use forward::Listens;

use crate::install;
use crate::text::{MIB, shell_word};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// The device whose port `0xf4` ends QEMU: code `(value << 1) | 1`.
pub(crate) const EXIT_DEVICE: &str = "isa-debug-exit,iobase=0xf4,iosize=4";
/// QEMU's exit code when the guest says 0x10, which is its word for "all is well".
pub(crate) const EXIT_SUCCESS: i32 = 0x10 << 1 | 1;

/// Guest memory beside the site, MiB: the bar that the image keeps.
const BESIDE_SITE_MIB: u64 = 32;
/// Least guest memory, MiB: firmware included.
const MEMORY_MIN_MIB: u64 = 48;

/// How QEMU runs a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// Hardware virtualisation.
    Kvm,
    /// Translation.
    Tcg,
}

impl Accel {
    /// QEMU's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }

    /// The CPU model that goes with it. Both have RDRAND where there is one: a guest without
    /// entropy refuses to start.
    pub(crate) fn cpu(self) -> &'static str {
        match self {
            Accel::Kvm => "host,migratable=off",
            Accel::Tcg => "max",
        }
    }
}

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// PCI Express, configured through ECAM
    Q35,
    /// PCI, configured through I/O ports
    Pc,
    /// No PCI at all: virtio over MMIO, and the quickest to boot
    Microvm,
}

impl Machine {
    /// QEMU's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Machine::Q35 => "q35",
            Machine::Pc => "pc",
            Machine::Microvm => "microvm",
        }
    }

    /// Most memory below 4 GiB, MiB: what QEMU can put an initrd in.
    fn low_memory_max_mib(self) -> u64 {
        match self {
            Machine::Q35 => 2048,
            Machine::Pc | Machine::Microvm => 3072,
        }
    }

    /// `-device` for a virtio device of `kind` ("net", "rng").
    fn virtio(self, kind: &str) -> String {
        match self {
            Machine::Q35 | Machine::Pc => format!("virtio-{kind}-pci"),
            Machine::Microvm => format!("virtio-{kind}-device"),
        }
    }
}

/// What the user wants the network card connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetChoice {
    /// QEMU's own network with a port forwarded.
    User,
    /// A TAP device of the host, by name.
    Tap(String),
}

impl FromStr for NetChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "user" => Ok(NetChoice::User),
            Some(("tap", name)) if is_interface_name(name) => Ok(NetChoice::Tap(name.to_owned())),
            _ => Err("say user, or tap=NAME with the name of a TAP device".to_owned()),
        }
    }
}

/// What Linux takes as an interface name, less what QEMU's option syntax would misread.
fn is_interface_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (1..16).contains(&name.len()) && name.chars().all(is_plain)
}

/// What the network card is connected to.
#[derive(Clone, Debug)]
pub(crate) enum Net {
    /// QEMU's own network; ports of 127.0.0.1 lead to where the guest [`Listens`].
    User {
        /// The port on the host that leads to the site.
        port: u16,
        /// The one that leads to the admin port.
        admin: Option<u16>,
    },
    /// A TAP device with `vnet_hdr`.
    Tap {
        /// Its name.
        name: String,
    },
    /// A cable to nowhere: the link is up and nobody answers.
    Isolated,
    /// No card.
    Absent,
}

/// Where the guest finds chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entropy {
    /// The RDRAND instruction of the default CPU model.
    Rdrand,
    /// A virtio-rng device, on a CPU without RDRAND.
    VirtioRng,
    /// Nowhere.
    Absent,
}

/// A QEMU on this host.
#[derive(Clone, Debug)]
pub(crate) struct Qemu {
    /// Its path.
    pub(crate) program: PathBuf,
    /// First line of `--version`.
    pub(crate) version_line: String,
    /// Major and minor number.
    version: (u32, u32),
}

impl Qemu {
    /// Finds QEMU, installing it where that is allowed.
    ///
    /// # Errors
    /// Missing and not installable, or a program that does not say its version.
    pub(crate) fn find() -> Result<Self> {
        let program = install::QEMU.need()?;
        let out = Command::new(&program)
            .arg("--version")
            .output()
            .context("cannot run QEMU")?;
        let text = String::from_utf8_lossy(&out.stdout);
        let version_line = text.lines().next().unwrap_or_default().to_owned();
        let version = version(&version_line)
            .with_context(|| format!("{} does not say its version", program.display()))?;
        Ok(Qemu {
            program,
            version_line,
            version,
        })
    }

    /// QEMU before 8.1 drops a guest's memory barriers when there is a single vCPU, and kicks get
    /// lost: there it always gets two, the second of which stays parked.
    fn vcpus(&self) -> u32 {
        if self.version < (8, 1) { 2 } else { 1 }
    }
}

/// Reads `QEMU emulator version 7.2.22 (Debian ...)`.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split("version ").nth(1)?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor: String = numbers
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((major, minor.parse().ok()?))
}

/// A disk with kernel and archive on it, and a boot loader.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Where its bytes are.
    pub(crate) path: PathBuf,
    /// What the machine takes it for.
    pub(crate) medium: Medium,
    /// The code of a UEFI; without it the machine has its BIOS.
    pub(crate) firmware: Option<PathBuf>,
}

/// What holds the bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Cdrom,
    Drive,
}

impl Disk {
    /// What a boot loader and a firmware want beside the guest, MiB.
    pub(crate) const LOADER_MIB: u64 = 128;

    /// QEMU's arguments. What a firmware writes, it writes to no file.
    fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut drive = |path: &Path, what: &str| {
            let path = path.display().to_string().replace(',', ",,");
            args.extend([
                "-drive".to_owned(),
                format!("{what},format=raw,file={path}"),
            ]);
        };
        if let Some(firmware) = &self.firmware {
            drive(firmware, "if=pflash,readonly=on");
        }
        match self.medium {
            Medium::Cdrom => drive(&self.path, "if=ide,index=2,media=cdrom,readonly=on"),
            Medium::Drive => drive(&self.path, "if=ide,snapshot=on"),
        }
        args
    }
}

/// One run of QEMU, described.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Which QEMU.
    pub(crate) qemu: Qemu,
    /// How it runs the guest's instructions.
    pub(crate) accel: Accel,
    /// Which machine it is.
    pub(crate) machine: Machine,
    /// More words for `-M`, such as `acpi=off`.
    pub(crate) machine_options: &'static str,
    /// Guest memory, MiB.
    pub(crate) memory_mib: u64,
    /// The stripped image.
    pub(crate) kernel: PathBuf,
    /// The site's archive.
    pub(crate) initrd: Option<PathBuf>,
    /// A disk that has both, and the command line, in place of the three.
    pub(crate) disk: Option<Disk>,
    /// The guest's command line.
    pub(crate) append: String,
    /// What the card is connected to.
    pub(crate) net: Net,
    /// More properties of the network card, such as `,csum=off`.
    pub(crate) card_options: String,
    /// Where chance comes from.
    pub(crate) entropy: Entropy,
    /// Run inside this network namespace.
    pub(crate) netns: Option<String>,
}

impl Launch {
    /// QEMU's arguments. `log` is the file that takes the second UART's bytes.
    pub(crate) fn args(&self, log: Option<&Path>) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
        let mut machine = self.machine.name().to_owned();
        if self.machine == Machine::Microvm {
            machine.push_str(",isa-serial=on");
        }
        if !self.machine_options.is_empty() {
            machine = format!("{machine},{}", self.machine_options);
        }
        let cpu = match self.entropy {
            Entropy::Rdrand => self.accel.cpu().to_owned(),
            Entropy::VirtioRng | Entropy::Absent => "qemu64,-rdrand".to_owned(),
        };
        add(&["-M", &machine, "-accel", self.accel.name(), "-cpu", &cpu]);
        add(&[
            "-smp",
            &self.qemu.vcpus().to_string(),
            "-m",
            &format!("{}M", self.memory_mib),
        ]);
        add(&["-nodefaults", "-display", "none", "-no-reboot"]);
        add(&[
            "-chardev",
            "stdio,id=console,signal=off",
            "-serial",
            "chardev:console",
        ]);
        if let Some(path) = log {
            let file = format!("file,id=log,path={}", path.display());
            add(&["-chardev", &file]);
            add(&["-device", "isa-serial,chardev=log,index=1"]);
        }
        add(&["-device", EXIT_DEVICE]);
        if self.entropy == Entropy::VirtioRng {
            add(&["-device", &self.machine.virtio("rng")]);
        }
        if let Some(netdev) = self.netdev() {
            let rom = if self.machine == Machine::Microvm {
                ""
            } else {
                ",romfile="
            };
            let card = format!(
                "{},netdev=net{rom}{}",
                self.machine.virtio("net"),
                self.card_options
            );
            add(&["-netdev", &netdev, "-device", &card]);
        }
        if let Some(disk) = &self.disk {
            args.extend(disk.args());
            return args;
        }
        add(&["-kernel", &self.kernel.to_string_lossy()]);
        if let Some(initrd) = &self.initrd {
            add(&["-initrd", &initrd.to_string_lossy()]);
        }
        if !self.append.is_empty() {
            add(&["-append", &self.append]);
        }
        args
    }

    fn netdev(&self) -> Option<String> {
        match &self.net {
            Net::User { port, admin } => {
                let forwards = Listens::read(&self.append).forwards(*port, *admin);
                Some(format!("user,id=net,ipv6=off{forwards}"))
            }
            Net::Tap { name } => Some(format!(
                "tap,id=net,ifname={name},script=no,downscript=no,vnet_hdr=on"
            )),
            Net::Isolated => Some("hubport,id=net,hubid=0".to_owned()),
            Net::Absent => None,
        }
    }

    /// The whole line for a shell. The console is on standard output; the defmt UART is left out,
    /// for its bytes are of no use without the decoder.
    pub(crate) fn shell_line(&self) -> String {
        let mut words = vec![shell_word(&self.qemu.program.to_string_lossy())];
        words.extend(self.args(None).iter().map(|word| shell_word(word)));
        words.join(" ")
    }
}

/// Guest memory, MiB, for a site whose archive has `tar_len` bytes; `asked` is the user's wish.
///
/// # Errors
/// The wish is too small for the site, or the site too big for the machine.
pub(crate) fn memory_mib(tar_len: u64, machine: Machine, asked: Option<u64>) -> Result<u64> {
    let site_mib = tar_len.div_ceil(MIB);
    let least = (site_mib + BESIDE_SITE_MIB).max(MEMORY_MIN_MIB);
    let most = machine.low_memory_max_mib();
    if least > most {
        anyhow::bail!(
            "the site has {site_mib} MiB, {} takes at most {} MiB",
            machine.name(),
            most - BESIDE_SITE_MIB
        );
    }
    match asked {
        Some(asked) if asked < least => {
            anyhow::bail!("--memory {asked} is too little: this site needs {least} MiB")
        }
        Some(asked) => Ok(asked),
        None => Ok(least),
    }
}

#[cfg(test)]
mod tests;
