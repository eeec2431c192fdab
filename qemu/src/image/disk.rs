//! `image --disk`: one file that boots from a disk, a USB stick or a CD, under BIOS and UEFI.
//!
//! ```text
//!   hybrid ISO ─┬─ El Torito, MBR ──► GRUB for BIOS ─┬─► multiboot2 /boot/simoom-CRC WORDS
//!               └─ EFI partition ───► GRUB for UEFI ─┘   module2    /boot/site.tar
//! ```
//!
//! GRUB puts kernel and archive into memory and starts the kernel; nothing of it runs after that.
//! Each of the two is one file with the modules and the commands in it, made by `grub-mkimage`; it
//! knows its own medium by the name of the kernel, which has a sum of all that is on it. mtools
//! make the EFI partition, xorriso the whole. No clock and no chance is in any of it, so that equal
//! sites make equal files (what the tools obey is `SOURCE_DATE_EPOCH`).

use crate::install::{self, Tool};
use crate::text;
use anyhow::{Context, Result, bail};
use flate2::CrcReader;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

const MKIMAGE: Tool = Tool {
    program: "grub-mkimage",
    package: "grub-common",
};
const XORRISO: Tool = Tool {
    program: "xorriso",
    package: "xorriso",
};
const MTOOLS: [Tool; 3] = [mtool("mformat"), mtool("mmd"), mtool("mcopy")];

const fn mtool(program: &'static str) -> Tool {
    Tool {
        program,
        package: "mtools",
    }
}

/// GRUB for a firmware.
struct Loader {
    /// Where it lies, and the package that has it.
    folder: &'static str,
    package: &'static str,
    /// What `grub-mkimage` is to make.
    format: &'static str,
    /// What it takes beside [`MODULES`].
    module: &'static str,
}

const LOADERS: [Loader; 2] = [
    Loader {
        folder: "/usr/lib/grub/i386-pc",
        package: "grub-pc-bin",
        format: "i386-pc-eltorito",
        module: "biosdisk",
    },
    Loader {
        folder: "/usr/lib/grub/x86_64-efi",
        package: "grub-efi-amd64-bin",
        format: "x86_64-efi",
        module: "fat",
    },
];
/// The first sector of a disk: it starts what a CD would.
const MBR: &str = "/usr/lib/grub/i386-pc/boot_hybrid.img";

/// All that GRUB needs to find and start a kernel.
const MODULES: [&str; 7] = [
    "multiboot2",
    "boot",
    "iso9660",
    "part_msdos",
    "part_gpt",
    "search",
    "search_fs_file",
];

/// Under UEFI, GRUB puts what is short enough to the front of memory, page 0 and all. Zeros behind
/// an archive are nothing.
const ARCHIVE_LEN_MIN: u64 = 1 << 20;

/// The time of everything, seconds since 1970: the first that a FAT file system can say.
const EPOCH: &str = "315532800";
/// The EFI partition: a file system for 1,440 KiB, and its serial number.
const EFI_LEN: u64 = 1_440 << 10;
const EFI_FORMAT: [&str; 4] = ["-f", "1440", "-N", "53494d4f"];

/// Writes `kernel` and `site` to the disk `out`, with `words` as the kernel's command line.
///
/// # Errors
/// Programs that are missing and cannot be installed, words that GRUB cannot say, a full disk.
pub(super) fn write(kernel: &Path, site: &Path, words: &str, out: &Path) -> Result<()> {
    let words = quoted(words)?;
    for tool in MTOOLS.iter().chain([&MKIMAGE, &XORRISO]) {
        tool.need()?;
    }
    for Loader {
        folder, package, ..
    } in LOADERS
    {
        if !Path::new(folder).is_dir() {
            install::install_package(package)
                .with_context(|| format!("{folder} is not installed"))?;
        }
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let root = folder.path().join("root");
    let boot = root.join("boot");
    fs::create_dir_all(&boot)?;
    let mut sum = flate2::Crc::new();
    sum.update(words.as_bytes());
    copy(kernel, &boot.join("kernel"), &mut sum)?;
    copy(site, &boot.join("site.tar"), &mut sum)?;
    let archive = File::options().write(true).open(boot.join("site.tar"))?;
    archive.set_len(archive.metadata()?.len().max(ARCHIVE_LEN_MIN))?;
    let name = format!("simoom-{:08x}", sum.sum());
    fs::rename(boot.join("kernel"), boot.join(&name))?;

    let commands = folder.path().join("commands");
    fs::write(&commands, config(&name, &words))?;
    let [bios, efi] = [boot.join("bios.img"), folder.path().join("efi")];
    for (loader, file) in LOADERS.iter().zip([&bios, &efi]) {
        let mut mkimage = Command::new("grub-mkimage");
        mkimage.args(["-O", loader.format, "-p", "/boot", "-c"]);
        mkimage.arg(&commands).arg("-o").arg(file);
        run(mkimage.arg(loader.module).args(MODULES))?;
    }
    efi_partition(&boot.join("efi.img"), &efi)?;
    hybrid(&root, out)
}

/// Makes one file of the folder `root`, with both loaders in it.
fn hybrid(root: &Path, out: &Path) -> Result<()> {
    // What was there may be longer.
    File::create(out).with_context(|| format!("cannot write {}", out.display()))?;
    let mut xorriso = Command::new("xorriso");
    xorriso.args(["-as", "mkisofs", "-volid", "SIMOOM", "-r"]);
    xorriso.args(["--set_all_file_dates", &format!("={EPOCH}")]);
    xorriso.args(["-b", "boot/bios.img", "-no-emul-boot"]);
    xorriso.args(["-boot-load-size", "4", "-boot-info-table"]);
    xorriso.args(["--grub2-boot-info", "--grub2-mbr"]);
    xorriso.args([MBR, "--efi-boot", "boot/efi.img"]);
    xorriso.args(["-efi-boot-part", "--efi-boot-image"]);
    run(xorriso
        .args(["--protective-msdos-label", "-o"])
        .arg(out)
        .arg(root))
}

/// Copies a file, and sums what it has.
fn copy(from: &Path, to: &Path, sum: &mut flate2::Crc) -> Result<()> {
    let file = File::open(from).with_context(|| from.display().to_string())?;
    let mut reader = CrcReader::new(file);
    io::copy(&mut reader, &mut File::create(to)?).with_context(|| to.display().to_string())?;
    sum.combine(reader.crc());
    Ok(())
}

/// Makes the file system of a UEFI machine: `loader` under the name that firmware looks for.
fn efi_partition(image: &Path, loader: &Path) -> Result<()> {
    File::create(image)?.set_len(EFI_LEN)?;
    let tool = |name: &str| {
        let mut command = Command::new(name);
        command.arg("-i").arg(image);
        command
    };
    run(tool("mformat").args(EFI_FORMAT).arg("::"))?;
    run(tool("mmd").args(["::/EFI", "::/EFI/BOOT"]))?;
    run(tool("mcopy").arg(loader).arg("::/EFI/BOOT/BOOTX64.EFI"))
}

/// Runs one of the tools, at a time of no day.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command
        .env("SOURCE_DATE_EPOCH", EPOCH)
        // FAT has local times.
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{name}: {}", text::one_line(&said));
    }
    Ok(())
}

/// The words, each in quotes, in which GRUB changes nothing.
fn quoted(words: &str) -> Result<String> {
    if words.contains(['\'', '\n']) {
        bail!("{words}: GRUB takes no quotes and line ends");
    }
    let words: Vec<String> = words
        .split_whitespace()
        .map(|word| format!(" '{word}'"))
        .collect();
    Ok(words.concat())
}

/// What GRUB is to do.
fn config(kernel: &str, words: &str) -> String {
    format!(
        "search --no-floppy --set=root --file /boot/{kernel}\n\
         multiboot2 /boot/{kernel}{words}\n\
         module2 /boot/site.tar\n\
         boot\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_reach_the_kernel_as_they_are() {
        let words = quoted("ip=dhcp  panic=reboot x=$y;z").unwrap();
        let text = config("k", &words);
        let line = "\nmultiboot2 /boot/k 'ip=dhcp' 'panic=reboot' 'x=$y;z'\n";
        assert!(text.contains(line), "{text}");
        assert!(config("k", &quoted("").unwrap()).contains("/boot/k\n"));
        assert!(quoted("a='b'").is_err() && quoted("a\nb").is_err());
    }
}
