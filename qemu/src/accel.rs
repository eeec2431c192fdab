//! Which accelerator QEMU gets: asked for, or found out by trying.
//!
//! `/dev/kvm` being there says little: a host that is itself a guest may emulate ring 0 instruction
//! by instruction, or stop at the first SSE one. So `auto` boots a probe of a few dozen
//! instructions under KVM with a time limit, and believes only its exit code. The answer is kept in
//! the user's cache folder, for this QEMU, this CPU and this kernel; that it does not run there is
//! kept only if it runs under TCG in the same time.

mod probe;

use crate::machine::{Accel, Qemu};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use probe::runs_under;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccelChoice {
    /// KVM where a probe runs under it, else TCG
    Auto,
    /// The host's virtualisation
    Kvm,
    /// QEMU's own translation, which runs anywhere
    Tcg,
}

/// Decides; `Auto` may boot the probe, for at most a few seconds and once a machine.
pub(crate) fn choose(choice: AccelChoice, qemu: &Qemu) -> Accel {
    match choice {
        AccelChoice::Kvm => Accel::Kvm,
        AccelChoice::Tcg => Accel::Tcg,
        AccelChoice::Auto if !is_kvm_open() => Accel::Tcg,
        AccelChoice::Auto => cached_or_probed(qemu),
    }
}

/// KVM is there, and ours to use.
fn is_kvm_open() -> bool {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
}

fn cached_or_probed(qemu: &Qemu) -> Accel {
    let key = key(qemu);
    let file = cache_file();
    if let Some(accel) = file.as_deref().and_then(|file| recall(file, &key)) {
        return accel;
    }
    eprintln!("  Probing KVM");
    let runs = |accel| runs_under(qemu, accel).unwrap_or(false);
    let accel = match runs(Accel::Kvm) {
        true => Accel::Kvm,
        false => Accel::Tcg,
    };
    // Where TCG does not finish in time either, the host was too busy to tell anything by.
    let is_certain = accel == Accel::Kvm || runs(Accel::Tcg);
    if let Some(file) = file.filter(|_| is_certain) {
        // A cache that cannot be written costs the next run a probe, nothing else.
        if let Err(error) = remember(&file, &key, accel) {
            eprintln!("warning: {error:#}");
        }
    }
    accel
}

/// What the answer depends on.
fn key(qemu: &Qemu) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or("unknown");
    let kernel = rustix::system::uname();
    format!(
        "{}|{model}|{}",
        qemu.version_line,
        kernel.release().to_string_lossy()
    )
}

fn cache_file() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(folder.join("simoom").join("accel"))
}

/// The file has two lines: the key and the answer.
fn recall(file: &Path, key: &str) -> Option<Accel> {
    let text = fs::read_to_string(file).ok()?;
    match text.strip_prefix(key)?.trim() {
        "kvm" => Some(Accel::Kvm),
        "tcg" => Some(Accel::Tcg),
        _ => None,
    }
}

fn remember(file: &Path, key: &str, accel: Accel) -> Result<()> {
    let folder = file.parent().context("no cache folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(file, format!("{key}\n{}\n", accel.name()))
        .with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests;
