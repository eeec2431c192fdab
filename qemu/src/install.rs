//! Programs that we run but do not ship: found, or installed where that is allowed.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program and the Debian package that has it.
pub(crate) struct Tool {
    /// Name of the executable.
    pub(crate) program: &'static str,
    /// Name of the package.
    pub(crate) package: &'static str,
}

/// The machine that runs the image.
pub(crate) const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
};
/// The client of the tests.
pub(crate) const CURL: Tool = Tool {
    program: "curl",
    package: "curl",
};
/// A client that asks as fast as it gets answers.
pub(crate) const WRK: Tool = Tool {
    program: "wrk",
    package: "wrk",
};
/// Makes network namespaces and TAP devices.
pub(crate) const IP: Tool = Tool {
    program: "ip",
    package: "iproute2",
};
/// Switches offloads of network devices.
pub(crate) const ETHTOOL: Tool = Tool {
    program: "ethtool",
    package: "ethtool",
};
/// A web server on Linux's own stack.
pub(crate) const NGINX: Tool = Tool {
    program: "nginx",
    package: "nginx-light",
};
/// Counts instructions.
pub(crate) const VALGRIND: Tool = Tool {
    program: "valgrind",
    package: "valgrind",
};
/// ICMP echo.
pub(crate) const PING: Tool = Tool {
    program: "ping",
    package: "iputils-ping",
};

/// Where a program is, if it is in the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // An ordinary user's path often lacks the folders of `ip` and `ping`.
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].iter().map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Tool {
    /// Finds the program; installs its package when it is missing and we may.
    ///
    /// # Errors
    /// Missing and not installable: names the one command that installs it.
    pub(crate) fn need(&self) -> Result<PathBuf> {
        if let Some(file) = find(self.program) {
            return Ok(file);
        }
        install_package(self.package)
            .with_context(|| format!("{} is not installed", self.program))?;
        find(self.program)
            .with_context(|| format!("{} has no {} in the path", self.package, self.program))
    }
}

/// One file of a Debian package that is fetched and taken apart, but not installed: for a package
/// that would start something. It is kept beside what else was fetched.
///
/// # Errors
/// No apt-get or dpkg-deb, or no such package or file.
pub(crate) fn unpacked(package: &str, file: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => PathBuf::from(std::env::var_os("HOME").context("no home folder")?).join(".cache"),
    };
    let folder = cache.join("simoom");
    let root = folder.join(package);
    let found = root.join(file);
    if is_executable(&found) {
        return Ok(found);
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // In one step, so that half of it is never taken for the whole.
    let work = tempfile::tempdir_in(&folder).context("cannot make a temporary folder")?;
    eprintln!("  Fetching {package}");
    let download = || {
        let mut command = Command::new("apt-get");
        let command = command
            .args(["-qq", "download", package])
            .current_dir(work.path());
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok::<_, anyhow::Error>(status.status().context("cannot run apt-get")?.success())
    };
    let is_here = download()? || (apt_get(&["update"])? && download()?);
    if !is_here {
        bail!("apt-get download {package} failed");
    }
    let mut archives = std::fs::read_dir(work.path())?
        .flatten()
        .map(|entry| entry.path());
    let archive = archives.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let unpack = Command::new("dpkg-deb")
        .arg("-x")
        .arg(archive.context("no package was fetched")?)
        .arg(work.path().join("root"))
        .status()
        .context("cannot run dpkg-deb")?;
    if !unpack.success() {
        bail!("dpkg-deb -x {package} failed");
    }
    if root.is_dir() {
        std::fs::remove_dir_all(&root)?;
    }
    std::fs::rename(work.path().join("root"), &root)?;
    match is_executable(&found) {
        true => Ok(found),
        false => bail!("{package} has no {file}"),
    }
}

/// Installs a Debian package, as root and without a question.
///
/// # Errors
/// Not root, no apt-get, or apt-get failed.
pub(crate) fn install_package(package: &str) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("install it with this system's package tool (Debian's name for it: {package})");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("run: sudo apt-get install -y --no-install-recommends {package}");
    }
    eprintln!("  Installing {package}");
    // An index may be missing (a fresh container) or old: one refresh, only when it is needed.
    if apt_get(&["install", "-y", "--no-install-recommends", package])? {
        return Ok(());
    }
    if apt_get(&["update"])? && apt_get(&["install", "-y", "--no-install-recommends", package])? {
        return Ok(());
    }
    bail!("apt-get install {package} failed");
}

fn apt_get(args: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .arg("-qq")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    Ok(status.success())
}
