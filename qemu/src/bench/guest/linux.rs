//! The rival: Debian's cloud kernel, and nginx in an initramfs.
//!
//! ```text
//!   linux-image-cloud-amd64 ─ vmlinuz ──────────────► -kernel
//!                           └ virtio_net.ko, ... ─┐
//!   busybox-static ─ busybox, /init ──────────────┼─► cpio ─► -initrd
//!   nginx-light ─ nginx and its libraries ────────┤
//!   the files ────────────────────────────────────┘
//! ```
//!
//! Packages that are not for this machine are fetched and unpacked, not installed, into the user's
//! cache folder; nginx is the one that the other suites have installed.

use super::cpio::Archive;
use super::{GATEWAY, GUEST};
use crate::bench::{http, wrk};
use crate::install;
use crate::stop;
use crate::text;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What boots.
pub(crate) struct Linux {
    pub(crate) kernel: PathBuf,
    /// Without a name: it is gone when nobody has it open.
    initrd: File,
    /// Bytes of both without the files that are served.
    pub(crate) image_len: u64,
}

impl Linux {
    /// A path by which QEMU can open the initramfs while we run.
    pub(crate) fn initrd_path(&self) -> PathBuf {
        let (pid, fd) = (std::process::id(), self.initrd.as_raw_fd());
        PathBuf::from(format!("/proc/{pid}/fd/{fd}"))
    }
}

/// Modules in the order in which they need each other, with their parameters. No interrupt says
/// that packets have been sent: they are freed when the next go.
const MODULES: [(&str, &str); 8] = [
    ("drivers/virtio/virtio_ring.ko", ""),
    ("drivers/virtio/virtio.ko", ""),
    ("drivers/virtio/virtio_pci_modern_dev.ko", ""),
    ("drivers/virtio/virtio_pci_legacy_dev.ko", ""),
    ("drivers/virtio/virtio_pci.ko", ""),
    ("net/core/failover.ko", ""),
    ("drivers/net/net_failover.ko", ""),
    ("drivers/net/virtio_net.ko", " napi_tx=0"),
];
/// Files up to this length are read and written by nginx: `sendfile` takes more system calls, and
/// pays only where there is much to copy.
const WRITTEN_LEN_MAX: usize = 16 << 10;
const BUSYBOX: &str = "busybox-static";
const KERNEL: &str = "linux-image-cloud-amd64";

/// Builds it with files of these lengths to serve.
///
/// # Errors
/// Debian's packages cannot be had, or have other things in them.
pub(crate) fn build(sizes: &[usize]) -> Result<Linux> {
    let root = unpacked()?;
    let nginx = install::NGINX.need()?;
    let (kernel, modules) = kernel(&root)?;
    let mut archive = Archive::default();
    let folders = [
        "dev", "proc", "sys", "etc", "bin", "modules", "srv", "srv/logs",
    ];
    folders.iter().for_each(|name| archive.folder(name));
    archive.device("dev/console", (5, 1));
    archive.device("dev/null", (1, 3));
    archive.file("bin/busybox", &read(&root.join("bin/busybox"))?);
    archive.file("etc/passwd", b"root:x:0:0::/:/bin/busybox\n");
    archive.file("etc/group", b"root:x:0:\n");
    let mut insmods = String::new();
    for (module, parameters) in MODULES {
        let name = module.rsplit('/').next().unwrap_or(module);
        archive.file(&format!("modules/{name}"), &read(&modules.join(module))?);
        insmods.push_str(&format!(
            "/bin/busybox insmod /modules/{name}{parameters}\n"
        ));
    }
    add_program(&mut archive, &nginx)?;
    archive.file("srv/nginx.conf", nginx_config(sizes).as_bytes());
    archive.file("init", init(&nginx, &insmods).as_bytes());
    let served_len: usize = sizes.iter().sum();
    for size in sizes {
        archive.file(&format!("srv/{size}.bin"), &http::body(*size));
    }
    let bytes = archive.finish();
    let mut initrd = tempfile::tempfile().context("cannot make a temporary file")?;
    initrd.write_all(&bytes)?;
    let kernel_len = fs::metadata(&kernel)?.len();
    Ok(Linux {
        kernel,
        image_len: kernel_len + (bytes.len() - served_len) as u64,
        initrd,
    })
}

/// As for the other suites, and small files written.
pub(super) fn nginx_config(sizes: &[usize]) -> String {
    let small = sizes.iter().filter(|size| **size <= WRITTEN_LEN_MAX);
    let written: String = small
        .map(|size| format!("location = {} {{ sendfile off; }}\n", wrk::path(*size)))
        .collect();
    http::nginx_config("/srv", &written)
}

fn init(nginx: &Path, insmods: &str) -> String {
    let nginx = nginx.display();
    format!(
        "#!/bin/busybox sh\n\
         /bin/busybox mount -t proc proc /proc\n\
         /bin/busybox mount -t sysfs sysfs /sys\n\
         /bin/busybox mount -t devtmpfs dev /dev\n\
         {insmods}\
         /bin/busybox ip addr add {GUEST}/24 dev eth0\n\
         /bin/busybox ip link set lo up\n\
         /bin/busybox ip link set eth0 up\n\
         /bin/busybox ip route add default via {GATEWAY}\n\
         exec {nginx} -p /srv -c /srv/nginx.conf\n"
    )
}

/// A program, and the libraries that it is linked with.
fn add_program(archive: &mut Archive, program: &Path) -> Result<()> {
    let out = Command::new("ldd").arg(program).output().context("ldd")?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let libraries = said
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from);
    let mut folders = BTreeSet::new();
    for file in libraries.chain([program.to_owned()]) {
        let inside = file.strip_prefix("/")?.to_owned();
        let mut above: Vec<&Path> = inside.ancestors().skip(1).collect();
        above.reverse();
        for folder in above
            .into_iter()
            .filter(|path| !path.as_os_str().is_empty())
        {
            if folders.insert(folder.to_owned()) {
                archive.folder(&folder.to_string_lossy());
            }
        }
        archive.file(&inside.to_string_lossy(), &read(&file)?);
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| file.display().to_string())
}

/// The kernel, and the folder of its modules.
fn kernel(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let first = |folder: PathBuf, start: &str| -> Result<PathBuf> {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(start)
        });
        paths.sort();
        let none = || format!("{}: nothing begins with {start:?}", folder.display());
        paths.pop().with_context(none)
    };
    let kernel = first(root.join("boot"), "vmlinuz-")?;
    let modules = first(root.join("lib/modules"), "")?.join("kernel");
    Ok((kernel, modules))
}

/// The folder with what is in the packages; fetched once.
fn unpacked() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => PathBuf::from(std::env::var_os("HOME").context("no home folder")?).join(".cache"),
    };
    let root = cache.join("simoom/linux-guest");
    if root.is_dir() {
        return Ok(root);
    }
    let folder = cache.join("simoom");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // In one step, so that half of it is never taken for the whole.
    let work = tempfile::tempdir_in(&folder).context("cannot make a temporary folder")?;
    let path = work.path().to_owned();
    let _guard = stop::guard(move || drop(fs::remove_dir_all(path)));
    if let Err(error) = fetch(work.path()) {
        run(Command::new("apt-get").args(["-qq", "update"])).context(text::one_line(&format!(
            "{KERNEL} and {BUSYBOX} cannot be fetched: {error:#}"
        )))?;
        fetch(work.path())?;
    }
    fs::rename(work.path().join("root"), &root)?;
    Ok(root)
}

fn fetch(folder: &Path) -> Result<()> {
    eprintln!("  Fetching {KERNEL} and {BUSYBOX}");
    // The name that always is there depends on the kernel of the day.
    let depends = run(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let mut words = depends.split_whitespace();
    let is_kernel = |word: &&str| word.starts_with("linux-image-") && *word != KERNEL;
    let kernel = words.find(is_kernel).context("no such kernel in Debian")?;
    let mut download = Command::new("apt-get");
    run(download
        .args(["-qq", "download", kernel, BUSYBOX])
        .current_dir(folder))?;
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg-deb");
            run(unpack.arg("-x").arg(&path).arg(folder.join("root")))?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        bail!("{}", text::one_line(&said));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
