//! The two servers, each on the server's core.

use super::link::{Link, OUR_ADDR, SERVER_IF, TAP_IF};
use crate::bench::child::{self, Running};
use crate::install;
use crate::site::Packed;
use crate::stop;
use anyhow::{Context, Result};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// What lies below `simoom-httpd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Tap,
    XdpNative,
    XdpSkb,
}

impl Backend {
    pub(crate) const ALL: [Self; 3] = [Self::Tap, Self::XdpNative, Self::XdpSkb];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::XdpNative => "xdp native",
            Self::XdpSkb => "xdp skb",
        }
    }
}

/// Starts `simoom-httpd`.
///
/// # Errors
/// It cannot be run.
pub(crate) fn ours(
    program: &Path,
    backend: Backend,
    link: &Link,
    site: &Packed,
    more: &[&str],
    stdout: Stdio,
) -> Result<Running> {
    let mut command = child::on_core(child::SERVER_CORE, program);
    command.arg(site.path());
    match backend {
        Backend::Tap => {
            command.args(["--net", &format!("tap:{TAP_IF}")]);
            command.args(["--gateway", "10.79.0.1"]);
        }
        Backend::XdpNative | Backend::XdpSkb => {
            command.args(["--net", &format!("xdp:{SERVER_IF}")]);
        }
    }
    let addr = Ipv4Addr::from(OUR_ADDR);
    command.args(["--ip", &format!("{addr}/24"), "--cores", "0"]);
    command.args(more).stdout(stdout);
    link.server.within(|| Running::start(command))
}

/// An nginx as who knows it sets it up, with its files in memory.
pub(crate) struct Nginx {
    program: PathBuf,
    folder: tempfile::TempDir,
    _guard: stop::Guard,
}

impl Nginx {
    /// With files of these lengths.
    ///
    /// # Errors
    /// It cannot be had, or memory is full.
    pub(crate) fn new(sizes: &[usize]) -> Result<Self> {
        let program = install::NGINX.need()?;
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.context("cannot make a temporary folder")?;
        let path = folder.path().to_owned();
        let guard = stop::guard(move || drop(fs::remove_dir_all(path)));
        let root = folder.path();
        for size in sizes {
            fs::write(root.join(format!("{size}.bin")), super::body(*size))?;
        }
        fs::write(
            root.join("nginx.conf"),
            config(&root.display().to_string(), ""),
        )?;
        Ok(Self {
            program,
            folder,
            _guard: guard,
        })
    }

    /// Starts it.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn start(&self, link: &Link) -> Result<Running> {
        let mut command = child::on_core(child::SERVER_CORE, &self.program);
        let root = self.folder.path();
        command.arg("-p").arg(root).arg("-c");
        command.arg(root.join("nginx.conf"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        link.server.within(|| Running::start(command))
    }
}

/// One worker, which is on the core that it was started on; `more` is about its one server.
pub(crate) fn config(root: &str, more: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {root}/{kind};"))
        .collect();
    format!(
        "daemon off; user root; pid {root}/pid; error_log {root}/error.log crit;\n\
         worker_processes 1; worker_rlimit_nofile 65536;\n\
         events {{ worker_connections 16384; use epoll; multi_accept on; }}\n\
         http {{ access_log off; server_tokens off; {temporary}\n\
         sendfile on; tcp_nopush on; tcp_nodelay on;\n\
         keepalive_timeout 600s; keepalive_requests 1000000000; reset_timedout_connection on;\n\
         open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s;\n\
         open_file_cache_min_uses 1; default_type application/octet-stream;\n\
         server {{ listen 80 backlog=4096 reuseport; root {root}; {more}}} }}\n"
    )
}

/// Processor time of a process and its children, with what the kernel did in their names, seconds.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    children.chain([pid]).map(own_cpu_s).sum()
}

fn own_cpu_s(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let ns: u64 = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(ns).as_secs_f64()
}

/// Processor time of the kernel threads that take over what is too much for interrupts, seconds.
pub(crate) fn softirq_s() -> f64 {
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0.0;
    };
    let is_ksoftirqd = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.starts_with("ksoftirqd/"))
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ksoftirqd)
        .map(own_cpu_s)
        .sum()
}
