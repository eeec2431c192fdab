//! `image --disk`: one file that boots from a disk, a USB stick or a CD, under BIOS and UEFI.
//!
//! ```text
//!   hybrid ISO ─┬─ El Torito, MBR ──► GRUB for BIOS ─┬─► multiboot2 /boot/simoom WORDS
//!               └─ EFI partition ───► GRUB for UEFI ─┘   module2    /boot/site.tar
//! ```
//!
//! GRUB puts kernel and archive into memory and starts the kernel; nothing of it runs after that.
//! `grub-mkrescue` makes the file, from Debian's packages.

use crate::install::{self, Tool};
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const MKRESCUE: Tool = Tool {
    program: "grub-mkrescue",
    package: "grub-common",
};
/// What `grub-mkrescue` calls.
const HELPERS: [Tool; 2] = [
    Tool {
        program: "xorriso",
        package: "xorriso",
    },
    Tool {
        program: "mformat",
        package: "mtools",
    },
];
/// GRUB for a firmware: without its folder the file would not boot there, and nobody would say so.
const LOADERS: [(&str, &str); 2] = [
    ("/usr/lib/grub/i386-pc", "grub-pc-bin"),
    ("/usr/lib/grub/x86_64-efi", "grub-efi-amd64-bin"),
];

/// Under UEFI, GRUB puts what is short enough to the front of memory, page 0 and all. Zeros behind
/// an archive are nothing.
const ARCHIVE_LEN_MIN: u64 = 1 << 20;

/// All that GRUB needs to find and start a kernel: of the rest it is 25 MB.
const MODULES: &str = "multiboot2 normal iso9660 part_msdos part_gpt fat search search_fs_uuid";

/// Writes `kernel` and `site` to the disk `out`, with `words` as the kernel's command line.
///
/// # Errors
/// Programs that are missing and cannot be installed, words that GRUB cannot say, a full disk.
pub(super) fn write(kernel: &Path, site: &Path, words: &str, out: &Path) -> Result<()> {
    let config = config(words)?;
    let program = MKRESCUE.need()?;
    for helper in &HELPERS {
        helper.need()?;
    }
    for (folder, package) in LOADERS {
        if !Path::new(folder).is_dir() {
            install::install_package(package)
                .with_context(|| format!("{folder} is not installed"))?;
        }
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let boot = folder.path().join("boot");
    fs::create_dir_all(boot.join("grub"))?;
    fs::write(boot.join("grub/grub.cfg"), config)?;
    fs::copy(kernel, boot.join("simoom")).with_context(|| kernel.display().to_string())?;
    let archive = boot.join("site.tar");
    fs::copy(site, &archive).with_context(|| site.display().to_string())?;
    let archive = fs::File::options().write(true).open(archive)?;
    archive.set_len(archive.metadata()?.len().max(ARCHIVE_LEN_MIN))?;
    let made = Command::new(program)
        .arg("-o")
        .arg(out)
        .arg(format!("--install-modules={MODULES}"))
        .args(["--locales=", "--themes=", "--fonts="])
        .arg(folder.path())
        .args(["--", "-volid", "SIMOOM"])
        .stdin(Stdio::null())
        .output()
        .context("cannot run grub-mkrescue")?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        bail!("grub-mkrescue: {}", text::one_line(&said));
    }
    Ok(())
}

/// What GRUB is to do. Each word stands in quotes, in which GRUB changes nothing.
fn config(words: &str) -> Result<String> {
    if words.contains(['\'', '\n']) {
        bail!("{words}: GRUB takes no quotes and line ends");
    }
    let words: Vec<String> = words
        .split_whitespace()
        .map(|word| format!(" '{word}'"))
        .collect();
    let words = words.concat();
    Ok(format!(
        "set timeout=0\n\
         menuentry simoom {{\n  \
           multiboot2 /boot/simoom{words}\n  \
           module2 /boot/site.tar\n\
         }}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_reach_the_kernel_as_they_are() {
        let text = config("ip=dhcp  panic=reboot x=$y;z").unwrap();
        let line = " multiboot2 /boot/simoom 'ip=dhcp' 'panic=reboot' 'x=$y;z'\n";
        assert!(text.contains(line), "{text}");
        assert!(config("").unwrap().contains("/boot/simoom\n"));
        assert!(config("a='b'").is_err() && config("a\nb").is_err());
    }
}
