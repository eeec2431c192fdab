//! The two servers: ours, and nginx on Linux's stack.

use super::cable::{Cable, LINUX_ADDR, OUR_ADDR, OUR_IF};
use super::{run, within};
use crate::install;
use crate::site::Packed;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long it may take to listen, to say its figures, to end: the machine has other work.
const LIMIT: Duration = Duration::from_secs(60);

/// A `simoom-httpd` that listens. Killed when it is dropped.
pub(super) struct Httpd {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// Sums of what it says each second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) answers: u64,
    pub(super) calls: f64,
}

impl Httpd {
    /// Starts it, and waits for the line that says where it listens.
    ///
    /// # Errors
    /// It does not come up: with what it said.
    pub(super) fn start(
        program: &Path,
        cable: &Cable,
        site: &Packed,
        more: &[&str],
    ) -> Result<Self> {
        let mut command = cable.ours(program);
        command.arg(site.path());
        command.args(["--net", &format!("xdp:{OUR_IF}")]);
        command.args(["--ip", &format!("{OUR_ADDR}/24")]).args(more);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run simoom-httpd")?;
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let stdout = child.stdout.take().context("a pipe")?;
        let stderr = child.stderr.take().context("a pipe")?;
        let readers: [Box<dyn BufRead + Send>; 2] = [
            Box::new(BufReader::new(stdout)),
            Box::new(BufReader::new(stderr)),
        ];
        for reader in readers {
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                for line in reader.lines().map_while(Result::ok) {
                    lines
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            });
        }
        let httpd = Self { child, lines };
        httpd.wait_line("listening on ")?;
        Ok(httpd)
    }

    /// What it has said.
    pub(super) fn transcript(&self) -> Vec<String> {
        let lines = self.lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_line(&self, part: &str) -> Result<String> {
        let find = || {
            self.transcript()
                .into_iter()
                .find(|line| line.contains(part))
        };
        within(LIMIT, || {
            find().is_some()
                || self
                    .transcript()
                    .iter()
                    .any(|line| line.starts_with("error: "))
        });
        find().with_context(|| format!("no line with {part:?}: {:?}", self.transcript()))
    }

    /// The sums by the end of the second that has begun.
    pub(super) fn wait_stats(&mut self) -> Result<Stats> {
        let lines = || {
            let all = self.transcript().into_iter();
            all.filter(|line| line.contains(" answers, "))
                .collect::<Vec<_>>()
        };
        // The line of this second may have been under way: the next but one is certain.
        let seen = lines().len();
        if !within(LIMIT, || lines().len() > seen + 1) {
            bail!("it says no figures: {:?}", self.transcript());
        }
        let mut sums = Stats::default();
        for line in lines() {
            let answers: u64 = number_before(&line, " answers")?;
            let calls: f64 = number_before(&line, " calls an answer")?;
            sums.answers += answers;
            sums.calls += calls * answers.max(1) as f64;
        }
        Ok(sums)
    }

    /// Sends a signal and waits for the end.
    pub(super) fn signal(mut self, signal: Signal) -> Result<()> {
        self.send(signal)?;
        self.child.wait()?;
        Ok(())
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("a process")?, signal)?)
    }

    /// SIGTERM: it ends well, with all frames home and nothing copied.
    pub(super) fn end(mut self) -> Result<()> {
        self.send(Signal::TERM)?;
        let mut status = None;
        within(LIMIT, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        let status = status.context("it does not end")?;
        let last = self.wait_line("ended: ")?;
        let frames: u64 = number_before(&last, " of ")?;
        let all: u64 = number_before(&last, " home")?;
        let copied: u64 = number_before(&last, " payload bytes copied")?;
        if !status.success() || frames != all || all == 0 || copied != 0 {
            bail!("{status}: {last}");
        }
        if let Some(line) = self
            .transcript()
            .iter()
            .find(|line| line.contains("broken rules"))
        {
            bail!("{line}");
        }
        Ok(())
    }
}

/// The number that stands before `word`.
fn number_before<T: std::str::FromStr>(line: &str, word: &str) -> Result<T> {
    let before = line.split_once(word).map(|(before, _)| before);
    let number = before.and_then(|before| before.rsplit(' ').next()?.parse().ok());
    number.with_context(|| format!("no number before {word:?}: {line}"))
}

impl Drop for Httpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An nginx on Linux's own address of the same interface. Ended when it is dropped.
pub(super) struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
}

/// What it serves.
const PAGE: &str = "this is nginx, on Linux's own stack\n";

impl Nginx {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be had, or does not answer.
    pub(super) fn start(cable: &Cable) -> Result<Self> {
        let nginx = install::NGINX.need()?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let path = folder.path().display();
        fs::write(folder.path().join("page"), PAGE)?;
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary
            .iter()
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
            .collect();
        let config = format!(
            "daemon off; user root; pid {path}/pid; error_log stderr; events {{}}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen {LINUX_ADDR}:80; root {path}; }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = cable.ours(&nginx);
        command.args(["-p", &path.to_string(), "-c"]).arg(&file);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot run nginx")?;
        let nginx = Self { child, folder };
        match within(LIMIT, || nginx.answers(cable).is_ok()) {
            true => Ok(nginx),
            false => bail!("nginx does not answer"),
        }
    }

    /// Asks it for its page from the peer.
    ///
    /// # Errors
    /// There is no answer, or another.
    pub(super) fn answers(&self, cable: &Cable) -> Result<()> {
        let curl = install::CURL.need()?;
        let mut curl = cable.peer(&curl);
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "30"]);
        let page = run(curl.arg(format!("http://{LINUX_ADDR}/page")))?;
        match page == PAGE {
            true => Ok(()),
            false => bail!("it says {page:?}"),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its workers.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || !within(LIMIT, || matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        debug_assert!(self.folder.path().exists());
    }
}
