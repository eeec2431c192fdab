//! `serve`: a folder in, a running file server out, its log until Ctrl-C.

use crate::accel::{self, AccelChoice};
use crate::console::{self, Line};
use crate::guest::{Event, Guest};
use crate::kernel::{self, FILESERVER, Kernel};
use crate::machine::{self, EXIT_SUCCESS, Entropy, Launch, Listens, Machine, Net, NetChoice, Qemu};
use crate::site::{self, Packed};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Args;
use simoom_platform::command_line::CommandLine;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
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
    /// More words for the image's command line, such as "listing=on idle=30"; README.md names them
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) append: String,
}

impl MachineArgs {
    /// Says at once what the guest would say of its words.
    ///
    /// # Errors
    /// A word that cannot mean anything to the platform; those of the server it knows itself.
    pub(crate) fn check_words(&self) -> Result<()> {
        match CommandLine::parse(self.append.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => bail!("--append {}: expected {}", error.argument, error.expected),
        }
    }

    /// QEMU's own network, with `port` of 127.0.0.1 for the site, and for the admin port its own.
    pub(crate) fn user_net(&self, port: u16) -> Net {
        let admin = Listens::read(&self.append).admin;
        Net::User { port, admin }
    }

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
    args.machine.check_words()?;
    let net = match &args.net {
        NetChoice::User => args.machine.user_net(args.port),
        NetChoice::Tap(name) => Net::Tap { name: name.clone() },
    };
    check_net(&net)?;
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
    follow(&mut guest, &launch, &kernel, &site)
}

/// Says now, in a plain sentence, what QEMU would say later in its own, or would not say at all.
fn check_net(net: &Net) -> Result<()> {
    match net {
        Net::User { port, admin } => {
            check_port(*port, "--port")?;
            admin.map_or(Ok(()), |port| check_port(port, "admin="))
        }
        // As root QEMU would make one that leads nowhere.
        Net::Tap { name }
            if !Path::new("/sys/class/net")
                .join(name)
                .join("tun_flags")
                .exists() =>
        {
            bail!(
                "--net tap={name}: there is no such TAP device: `ip tuntap add {name} mode tap` \
                 makes one; then give it an address and set it up"
            )
        }
        Net::Tap { .. } | Net::Isolated | Net::Absent => Ok(()),
    }
}

fn check_port(port: u16, by: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} of 127.0.0.1 is in use: say another with {by}")
        }
        Err(error) => Err(error).with_context(|| format!("port {port} of 127.0.0.1")),
    }
}

/// Shows what the guest says: before it listens everything, then the summary, then its log.
fn follow(guest: &mut Guest, launch: &Launch, kernel: &Kernel, site: &Packed) -> Result<ExitCode> {
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
                    let urls = urls(&launch.net, url);
                    print_summary(&urls, boot, entry_ms, files_cnt, launch, kernel, site);
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

/// Where a client of this machine finds the guest, which finds itself at `own`.
fn urls(net: &Net, own: String) -> Vec<String> {
    match net {
        Net::User { port, admin } => {
            let site = format!("http://127.0.0.1:{port}/");
            let admin = admin.map(|port| format!("http://127.0.0.1:{port}/ looks inside"));
            [site].into_iter().chain(admin).collect()
        }
        Net::Tap { .. } | Net::Isolated | Net::Absent => vec![own],
    }
}

fn print_summary(
    urls: &[String],
    boot: Duration,
    entry_ms: f64,
    files_cnt: u64,
    launch: &Launch,
    kernel: &Kernel,
    site: &Packed,
) {
    println!();
    for url in urls {
        println!("  {url}");
    }
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
