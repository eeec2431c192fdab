//! `image`: the two files that any machine with a Linux-style boot takes, and the line that does
//! it.

use crate::kernel::{self, FILESERVER};
use crate::machine::{Net, Qemu};
use crate::serve::MachineArgs;
use crate::site;
use crate::text;
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Port in the printed line.
const PORT: u16 = 8080;

/// What `image` takes.
#[derive(Args)]
pub(crate) struct ImageArgs {
    /// A folder or a tar archive; without it, the demo site
    site: Option<PathBuf>,
    /// Folder to write `simoom` and `site.tar` to; made when missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    machine: MachineArgs,
}

/// Writes kernel and archive.
///
/// # Errors
/// Whatever is wrong with SITE, the build, or the folder.
pub(crate) fn run(args: ImageArgs) -> Result<ExitCode> {
    let site = site::open(args.site.as_deref())?.compressed_if(args.machine.compress)?;
    let kernel = kernel::build(FILESERVER, FILESERVER)?;
    let folder = &args.output;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    let boot = folder.join("simoom");
    let tar = folder.join("site.tar");
    let bytes = fs::read(&kernel.boot).with_context(|| kernel.boot.display().to_string())?;
    fs::write(&boot, bytes).with_context(|| format!("cannot write {}", boot.display()))?;
    site.write_to(&tar)?;
    println!("  {}  {}", boot.display(), text::bytes(kernel.boot_len));
    println!(
        "  {}  {}, {} files",
        tar.display(),
        text::bytes(site.tar_len),
        text::count(site.files_cnt)
    );
    let net = Net::User {
        port: PORT,
        guest: None,
    };
    let mut launch = args.machine.launch(Qemu::find()?, &kernel, &site, net)?;
    launch.kernel = boot;
    launch.initrd = Some(tar);
    println!();
    println!("{}", launch.shell_line());
    Ok(ExitCode::SUCCESS)
}
