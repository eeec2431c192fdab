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
