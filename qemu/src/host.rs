//! `host`: the file server as a process of this machine, on a port of its network.
//!
//! Packs the site, builds `simoom-httpd` and becomes it: what it says is what you see, and signals
//! are its own. The archive goes along as an open file without a name.

use crate::kernel::{self, FILESERVER};
use crate::site;
use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::io::{FdFlags, fcntl_setfd};
use simoom_netmap::hosts::Spec;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The binary, and the feature that it is built with.
const HTTPD: &str = "simoom-httpd";
const FEATURE: &str = "hosted";

/// What `--net` takes: text, where a comment would be read as a link.
const NET_HELP: &str = "The port to serve on: tap:IFNAME, xdp:IFNAME[@QUEUE], netmap:IFNAME, \
                        valeS:P, pipe:PATH";

/// What `host` takes: what `simoom-httpd` takes.
#[derive(Args)]
pub(crate) struct HostArgs {
    /// A folder or a tar archive; without it, the demo site
    site: Option<PathBuf>,
    /// What the image's command line says to the server, such as listing=on or idle=30
    #[arg(value_name = "KEY=VALUE")]
    options: Vec<String>,
    #[arg(long, value_name = "SPEC", value_parser = Spec::parse, help = NET_HELP)]
    net: Spec,
    /// Make .br, .zst and .gz of text and the like, where they are smaller
    #[arg(long)]
    compress: bool,
    /// Our address with the length of its network's prefix, or dhcp
    #[arg(long, value_name = "CIDR|dhcp")]
    ip: Option<String>,
    /// The router to everywhere else; on a TAP device that is created here, Linux's own address
    #[arg(long, value_name = "A")]
    gateway: Option<Ipv4Addr>,
    /// TCP port to listen on; 80 by default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Congestion control; cubic by default
    #[arg(long, value_parser = ["cubic", "reno", "westwood"])]
    cc: Option<String>,
    /// Processor cores to run on: one by default, several on a port of as many queues
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Give the machine's own stack the packets that are not ours (netmap: only)
    #[arg(long)]
    passthrough: bool,
    /// How long to look for more packets before sleeping, microseconds
    #[arg(long, value_name = "US")]
    busy_poll: Option<u32>,
    /// Print a line of figures each second
    #[arg(long)]
    stats: bool,
}

/// Becomes `simoom-httpd`.
///
/// # Errors
/// Whatever is wrong with SITE or the build.
pub(crate) fn run(args: HostArgs) -> Result<ExitCode> {
    let site = site::open(args.site.as_deref())?.compressed_if(args.compress)?;
    let program = build()?;
    // Not closed when this program becomes the other one.
    fcntl_setfd(&site.tar, FdFlags::empty()).context("the archive")?;
    let mut command = Command::new(&program);
    command.arg(format!("/proc/self/fd/{}", site.tar.as_raw_fd()));
    command.args(args.words());
    // It comes back only when it fails.
    let error = command.exec();
    bail!("{}: {error}", program.display())
}

/// Builds `simoom-httpd`; where it is.
///
/// # Errors
/// Cargo is missing or fails.
pub(crate) fn build() -> Result<PathBuf> {
    kernel::build_program(FILESERVER, HTTPD, FEATURE)
}

impl HostArgs {
    /// The arguments as they were given, but for the site.
    fn words(&self) -> Vec<String> {
        let mut words = vec!["--net".to_owned(), self.net.to_string()];
        let mut add = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        add("ip", self.ip.clone());
        add("gateway", self.gateway.map(|addr| addr.to_string()));
        add("port", self.port.map(|port| port.to_string()));
        add("cc", self.cc.clone());
        add("cores", self.cores.clone());
        add("busy-poll", self.busy_poll.map(|span| span.to_string()));
        for (name, is_set) in [("passthrough", self.passthrough), ("stats", self.stats)] {
            words.extend(is_set.then(|| format!("--{name}")));
        }
        words.extend(self.options.iter().cloned());
        words
    }
}
