//! `image`: the two files that any machine with a Linux-style boot takes, or the one that boots by
//! itself, and the line that does it.

mod disk;

use crate::kernel::{self, FILESERVER, Kernel};
use crate::machine::{Disk, Machine, Medium, Qemu};
use crate::serve::MachineArgs;
use crate::site::{self, Packed};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The port of the printed line.
const PORT: u16 = 8080;

/// What `image` takes.
#[derive(Args)]
pub(crate) struct ImageArgs {
    /// A folder or a tar archive; without it, the demo site
    site: Option<PathBuf>,
    /// Folder to write `simoom` and `site.tar` to; made when missing
    #[arg(short, long, value_name = "DIR", required_unless_present = "disk")]
    output: Option<PathBuf>,
    /// File to write that boots from a disk, a USB stick or a CD, under BIOS and UEFI
    #[arg(long, value_name = "FILE.iso")]
    disk: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArgs,
}

/// Writes kernel and archive.
///
/// # Errors
/// Whatever is wrong with SITE, the build, or the folder.
pub(crate) fn run(args: ImageArgs) -> Result<ExitCode> {
    args.machine.check_words()?;
    let site = site::open(args.site.as_deref())?.compressed_if(args.machine.compress)?;
    let kernel = kernel::build(FILESERVER, FILESERVER)?;
    if let Some(folder) = &args.output {
        write_files(&args, folder, &kernel, &site)?;
    }
    if let Some(path) = &args.disk {
        write_disk(&args, path, &kernel, &site)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Kernel and archive, each a file.
fn write_files(args: &ImageArgs, folder: &Path, kernel: &Kernel, site: &Packed) -> Result<()> {
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
    let net = args.machine.user_net(PORT);
    let mut launch = args.machine.launch(Qemu::find()?, kernel, site, net)?;
    launch.kernel = boot;
    launch.initrd = Some(tar);
    println!();
    println!("{}", launch.shell_line());
    Ok(())
}

/// Both in one file, with what starts them.
fn write_disk(args: &ImageArgs, path: &Path, kernel: &Kernel, site: &Packed) -> Result<()> {
    if args.machine.machine == Machine::Microvm {
        bail!("microvm boots from no disk: say --machine q35 or pc");
    }
    disk::write(&kernel.boot, &site.path(), &args.machine.append, path)?;
    let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
    println!(
        "  {}  {}, {} files",
        path.display(),
        text::bytes(fs::metadata(&path)?.len()),
        text::count(site.files_cnt)
    );
    let net = args.machine.user_net(PORT);
    let mut launch = args.machine.launch(Qemu::find()?, kernel, site, net)?;
    launch.disk = Some(Disk {
        path,
        medium: Medium::Drive,
        firmware: None,
    });
    launch.memory_mib += Disk::LOADER_MIB;
    println!();
    println!("{}", launch.shell_line());
    Ok(())
}
