//! The host program: builds an image, boots it under QEMU, shows what it says, tests it.
//!
//! ```text
//!   SITE ──► site ──► tar ──────────────┐ -initrd
//!   images/fileserver ──► kernel ──► ELF ┤ -kernel
//!   machine, accel, install ──► the line ┴──► guest: QEMU ──► console ──► you
//!                                                        └──► deflog (defmt, decoded)
//! ```
//!
//! One module a concern, in the order of use. Every failure is one line on stderr, `error: what:
//! why`, and a non-zero exit; every way out, a signal and a panic included, ends QEMU first
//! ([`stop`]).

mod accel;
mod bench;
mod console;
mod deflog;
mod e2e;
mod guest;
mod host;
mod image;
mod install;
mod kernel;
mod linux;
mod machine;
mod serve;
mod site;
mod stop;
mod symbols;
mod test;
mod text;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Simoom: a folder, served by a machine that is nothing but a file server.
#[derive(Parser)]
#[command(name = "simoom", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Command {
    /// Build the image, boot it under QEMU and serve a folder, a tar, or the demo site
    Serve(serve::ServeArgs),
    /// Write the kernel and the site's archive, for any machine that boots them
    Image(image::ImageArgs),
    /// Serve a folder, a tar, or the demo site from a process of this machine, without its TCP
    Host(host::HostArgs),
    /// Run every check there is
    Test(test::TestArgs),
    /// Measure against others
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    stop::install();
    let done = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Image(args) => image::run(args),
        Command::Host(args) => host::run(args),
        Command::Test(args) => test::run(args),
        Command::Bench(args) => bench::run(args),
    };
    stop::yield_to_exit();
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", text::one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
