//! `serve`: a folder in, a running file server out, its log until Ctrl-C.

use crate::accel::{self, AccelChoice};
use crate::console::{self, Line};
use crate::guest::{Event, Guest};
use crate::kernel::{self, FILESERVER, Kernel};
use crate::machine::{self, EXIT_SUCCESS, Entropy, Launch, Machine, Net, NetChoice, Qemu};
use crate::site::{self, Packed};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// When to say that nothing has happened yet: a guest may rightly wait for its DHCP server.
const STILL_WAITING: Duration = Duration::from_secs(10);

/// What `serve` takes.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// A folder or a tar archive; without it, the demo site
    site: Option<PathBuf>,
    /// Port of 127.0.0.1 that leads to the guest
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    machine: MachineArgs,
    /// Where the network card leads: user, or tap=NAME
    #[arg(long, default_value = "user", value_name = "user|tap=NAME")]
    net: NetChoice,
    /// Print the QEMU command line before running it
    #[arg(long)]
    print_command: bool,
}

/// What `serve` and `image` both take.
#[derive(Args)]
pub(crate) struct MachineArgs {
    /// How QEMU runs the guest
    #[arg(long, value_enum, default_value = "auto", env = "SIMOOM_ACCEL")]
    accel: AccelChoice,
    /// Which machine it is
    #[arg(long, value_enum, default_value = "q35")]
    pub(crate) machine: Machine,
    /// Make .br, .zst and .gz of text and the like, where they are smaller
    #[arg(long)]
    pub(crate) compress: bool,
    /// Guest memory; by default what the site needs
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// More words for the image's command line, such as ip=10.0.2.15::10.0.2.2:255.255.255.0
    #[arg(long, value_name = "ARGS", default_value = "")]
    pub(crate) append: String,
}

impl MachineArgs {
    /// The run that these arguments ask for.
    ///
    /// # Errors
    /// Memory that is too little for the site.
    pub(crate) fn launch(
        &self,
        qemu: Qemu,
        kernel: &Kernel,
        site: &Packed,
        net: Net,
    ) -> Result<Launch> {
        let memory_mib = machine::memory_mib(site.tar_len, self.machine, self.memory)?;
        Ok(Launch {
            accel: accel::choose(self.accel, &qemu),
            qemu,
            machine: self.machine,
            machine_options: "",
            memory_mib,
            kernel: kernel.boot.clone(),
            initrd: Some(site.path()),
            disk: None,
            append: self.append.clone(),
            net,
            card_options: String::new(),
            entropy: Entropy::Rdrand,
            netns: None,
        })
    }
}

/// Runs `serve` until the guest ends; a signal ends both.
///
/// # Errors
/// Whatever is wrong with SITE, the port, QEMU, the build or the boot.
pub(crate) fn run(args: ServeArgs) -> Result<ExitCode> {
    let net = match &args.net {
        NetChoice::User => {
            check_port(args.port)?;
            Net::User {
                port: args.port,
                guest: None,
            }
        }
        NetChoice::Tap(name) => Net::Tap { name: name.clone() },
    };
    let site = site::open(args.site.as_deref())?.compressed_if(args.machine.compress)?;
    // Before the build, so that what cannot work fails at once.
    machine::memory_mib(site.tar_len, args.machine.machine, args.machine.memory)?;
    let qemu = Qemu::find()?;
    let kernel = kernel::build(FILESERVER, FILESERVER)?;
    let launch = args.machine.launch(qemu, &kernel, &site, net)?;
    if args.print_command {
        println!("{}", launch.shell_line());
    }
    let mut guest = Guest::start(&launch, &kernel)?;
    follow(&mut guest, &args, &launch, &kernel, &site)
}

/// Says now, in a plain sentence, what QEMU would say later in its own.
fn check_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} of 127.0.0.1 is in use: say another with --port")
        }
        Err(error) => Err(error).with_context(|| format!("port {port} of 127.0.0.1")),
    }
}

/// Shows what the guest says: before it listens everything, then the summary, then its log.
fn follow(
    guest: &mut Guest,
    args: &ServeArgs,
    launch: &Launch,
    kernel: &Kernel,
    site: &Packed,
) -> Result<ExitCode> {
    let mut warn_at = Some(Instant::now() + STILL_WAITING);
    loop {
        match guest.next(warn_at) {
            None => {
                warn_at = None;
                eprintln!("  Still booting; Ctrl-C ends it");
            }
            Some(Event::Console(at, text)) => match console::parse(&text) {
                Line::Listening {
                    url,
                    files_cnt,
                    entry_ms,
                } => {
                    warn_at = None;
                    let boot = at.duration_since(guest.started);
                    let url = match args.net {
                        NetChoice::User => format!("http://127.0.0.1:{}/", args.port),
                        NetChoice::Tap(_) => url,
                    };
                    print_summary(&url, boot, entry_ms, files_cnt, launch, kernel, site);
                }
                _ => println!("  {text}"),
            },
            Some(Event::Log(line)) => println!("  {line}"),
            Some(Event::Qemu(line)) => eprintln!("  qemu: {line}"),
            Some(Event::End) => {
                return match guest.wait_end(STILL_WAITING)? {
                    Some(0 | EXIT_SUCCESS) => Ok(ExitCode::SUCCESS),
                    _ => Err(guest.why_ended()),
                };
            }
        }
    }
}

fn print_summary(
    url: &str,
    boot: Duration,
    entry_ms: f64,
    files_cnt: u64,
    launch: &Launch,
    kernel: &Kernel,
    site: &Packed,
) {
    println!();
    println!("  {url}");
    println!();
    println!(
        "  {} files, {}; image {}; up {} after QEMU's start, {entry_ms} ms after its own",
        text::count(files_cnt),
        text::bytes(site.tar_len),
        text::bytes(kernel.boot_len),
        text::span(boot),
    );
    println!(
        "  {} with {} MiB under {}; Ctrl-C ends it",
        launch.machine.name(),
        launch.memory_mib,
        launch.accel.name()
    );
    println!();
}
