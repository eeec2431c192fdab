//! Builds an image with the cargo that built us, and cuts out what boots.
//!
//! Two files come out: the ELF as linked, whose symbols and `.defmt` section the host program
//! reads, and the stripped copy beside it, which is what a machine boots and what `image` gives
//! away.

mod strip;

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package, and the binary in it, that serves files.
pub(crate) const FILESERVER: &str = "simoom-fileserver";

/// Features that an image is built with, where it has them: that it boots, and that it logs to the
/// second UART.
const FEATURES: [&str; 2] = ["boot", "defmt"];

/// A built image.
#[derive(Clone)]
pub(crate) struct Kernel {
    /// As linked, with symbols, line numbers and `.defmt`.
    pub(crate) elf: PathBuf,
    /// Stripped: only what is loaded.
    pub(crate) boot: PathBuf,
    /// Length of the stripped file, bytes.
    pub(crate) boot_len: u64,
}

/// Where the workspace lies, as it was when this program was built.
pub(crate) fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The cargo that runs us, else the one in the path.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // What cargo set for us is about our own package, not about the one to be built.
    for (key, _) in std::env::vars_os() {
        if key
            .to_str()
            .is_some_and(|key| key.starts_with("CARGO_PKG_"))
        {
            cargo.env_remove(key);
        }
    }
    cargo
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    cargo
}

/// Builds binary `bin` of `package` with profile `image`; cargo shows its own progress.
///
/// # Errors
/// Cargo is missing or fails, or the ELF is not one that we can cut.
pub(crate) fn build(package: &str, bin: &str) -> Result<Kernel> {
    let mut cargo = cargo();
    cargo
        .args([
            "build",
            "--profile",
            "image",
            "--package",
            package,
            "--bin",
            bin,
        ])
        .arg("--message-format=json-render-diagnostics")
        .env(
            "DEFMT_LOG",
            std::env::var_os("DEFMT_LOG").unwrap_or_else(|| OsString::from("info")),
        )
        .stdout(Stdio::piped());
    for feature in FEATURES {
        if has_feature(package, feature)? {
            cargo.args(["--features", feature]);
        }
    }
    cut(built(cargo, bin)?)
}

/// Builds binary `bin` of `package` as a program of this machine, with `features`, optimised as the
/// image is.
///
/// # Errors
/// Cargo is missing or fails.
pub(crate) fn build_program(package: &str, bin: &str, features: &str) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .args(["build", "--profile", "image"])
        .args(["--package", package, "--bin", bin])
        .args(["--features", features])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    built(cargo, bin)
}

/// Builds benchmark `bench` of `package`.
///
/// # Errors
/// Cargo is missing or fails.
pub(crate) fn build_bench(package: &str, bench: &str) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .args(["bench", "--no-run", "--package", package, "--bench", bench])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    built(cargo, bench)
}

/// Runs a build that was begun with JSON messages on its output, and finds its binary.
fn built(mut cargo: Command, bin: &str) -> Result<PathBuf> {
    let mut child = cargo.spawn().context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut elf = None;
    for line in BufReader::new(stdout).lines() {
        elf = executable(&line.context("cannot read from cargo")?, bin).or(elf);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("cargo could not build {bin} ({status})");
    }
    elf.with_context(|| format!("cargo built {bin} but did not say where"))
}

/// Whether a package of the workspace has a feature of this name.
fn has_feature(package: &str, feature: &str) -> Result<bool> {
    let out = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&out.stdout).context("cargo does not describe the workspace")?;
    let packages = metadata["packages"].as_array();
    let found = packages
        .into_iter()
        .flatten()
        .find(|entry| entry["name"] == package);
    let found = found.with_context(|| format!("the workspace has no package {package}"))?;
    Ok(found["features"].get(feature).is_some())
}

/// The path in cargo's message about a finished binary, if `line` is that.
fn executable(line: &str, bin: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == bin;
    is_ours.then(|| message["executable"].as_str().map(PathBuf::from))?
}

/// Writes the stripped copy beside the ELF, in one step, so that a second run never sees half.
fn cut(elf: PathBuf) -> Result<Kernel> {
    let whole = fs::read(&elf).with_context(|| elf.display().to_string())?;
    let stripped = strip::strip(&whole).with_context(|| elf.display().to_string())?;
    let boot = elf.with_extension("boot");
    let folder = elf.parent().context("the image lies nowhere")?;
    let readable = fs::Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .permissions(readable)
        .tempfile_in(folder)
        .context("cannot write the image")?;
    std::io::Write::write_all(&mut file, &stripped).context("cannot write the image")?;
    file.persist(&boot).context("cannot write the image")?;
    Ok(Kernel {
        elf,
        boot,
        boot_len: stripped.len() as u64,
    })
}

#[cfg(test)]
mod tests;
