//! The file server as a Linux process, which owns the rings of a network port: no VM, no kernel
//! TCP.
//!
//! ```text
//!   SITE ─ site ─► tar ─┐
//!   --net SPEC ─► H ────┴─ run::<H> ─► listening … SIGTERM ─► drained ─► the port as it was
//! ```
//!
//! What it says begins with `simoom:`, on standard output; an error is one line, `error: …`, on
//! standard error, with a non-zero exit, and nothing is left behind.

#![deny(unsafe_code)]

mod ended;
mod others;
mod run;
mod shared;
mod site;

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use simoom::tcp::cc::Algorithm;
use simoom_netmap::hosts::Spec;
use simoom_netmap::hosts::netmap::NetmapHost;
use simoom_netmap::hosts::pipe::PipeHost;
use simoom_netmap::hosts::tap::TapHost;
use simoom_netmap::hosts::xdp::XdpHost;
use simoom_platform::linux::{Clock, undo_on_panic};

/// Serves a folder of files over HTTP from its own TCP/IP stack, on a port of the network.
#[derive(Clone, Parser)]
#[command(name = "simoom-httpd", version)]
struct Args {
    /// A folder or a tar archive
    site: PathBuf,
    /// What the image's command line says to the server, such as listing=on or idle=30
    #[arg(value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// The port to serve on: tap:IFNAME, xdp:IFNAME[@QUEUE], netmap:IFNAME, valeS:P, pipe:PATH
    #[arg(long, value_name = "SPEC")]
    net: String,
    /// Our address with the length of its network's prefix, or dhcp
    #[arg(long, value_name = "CIDR|dhcp", default_value = "dhcp")]
    ip: String,
    /// The router to everywhere else; on a TAP device that is created here, Linux's own address
    #[arg(long, value_name = "A")]
    gateway: Option<Ipv4Addr>,
    /// TCP port to listen on
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Congestion control
    #[arg(long, value_name = "cubic|reno|westwood", default_value_t, value_parser = algorithm)]
    cc: Algorithm,
    /// Processor cores to run on: one by default, several on a port of as many queues
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Give the machine's own stack the packets that are not ours (netmap: only)
    #[arg(long)]
    passthrough: bool,
    /// How long to look for more packets before sleeping, microseconds
    #[arg(long, value_name = "US", default_value_t = 0)]
    busy_poll: u32,
    /// Print a line of figures each second
    #[arg(long)]
    stats: bool,
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    Algorithm::from_name(name).ok_or("cubic, reno or westwood")
}

fn main() -> ExitCode {
    let clock = Clock::start();
    let args = Args::parse();
    undo_on_panic();
    match serve(&args, clock) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Once: from here on everything is of one port's type.
fn serve(args: &Args, clock: Clock) -> Result<ExitCode, Box<dyn Error>> {
    let spec = Spec::parse(&args.net)?;
    match &spec {
        Spec::Tap { .. } => run::run::<TapHost>(args, &spec, clock),
        Spec::Xdp { .. } => run::run::<XdpHost>(args, &spec, clock),
        Spec::Netmap { .. } => run::run::<NetmapHost>(args, &spec, clock),
        Spec::Pipe { .. } => run::run::<PipeHost>(args, &spec, clock),
    }
}
