//! Programs that a suite runs: on one core, and ended with us however we end.

use crate::install;
use crate::stop;
use crate::text;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The core of whoever serves, and of whoever asks.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const CLIENT_CORE: usize = 1;

/// Two cores, or there is nothing to pin to.
///
/// # Errors
/// There is one.
pub(crate) fn look_at_cores() -> Result<()> {
    let cnt = std::thread::available_parallelism().map_or(1, usize::from);
    if cnt < 2 {
        bail!("it takes two cores: one for whoever serves, one for whoever asks");
    }
    Ok(())
}

/// A command that runs `program` on one core, and that the kernel ends when it ends us. As root it
/// runs before the machine's other work: what sleeps and wakes for each request, as whoever serves
/// cheaply does, would be kept waiting by that more than a rival that never sleeps.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut words = Vec::new();
    if goes_first() {
        words.extend(["setsid", "sh", "-c", GO_FIRST, "sh"].map(str::to_owned));
    }
    words.extend(["taskset".to_owned(), "-c".to_owned(), core.to_string()]);
    if let Some(setpriv) = install::find("setpriv") {
        words.push(setpriv.to_string_lossy().into_owned());
        words.extend(["--pdeathsig", "KILL", "--"].map(str::to_owned));
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(program).stdin(Stdio::null());
    command
}

/// Whether those on a core of their own run before the machine's other work.
fn goes_first() -> bool {
    rustix::process::geteuid().is_root() && install::find("setsid").is_some()
}

/// A priority counts within a session, where the kernel groups by sessions, and so does that of the
/// session among the others; where it does not, there is no such file.
const GO_FIRST: &str = "{ echo -19 > /proc/self/autogroup; } 2>/dev/null; exec nice -n -19 \"$@\"";

/// A child that does not outlive us.
pub(crate) struct Running {
    child: Arc<Mutex<Child>>,
    _guard: stop::Guard,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_owned();
        let spawned = command.spawn();
        let child = spawned.with_context(|| format!("cannot run {}", name.display()))?;
        let child = Arc::new(Mutex::new(child));
        let ours = Arc::clone(&child);
        let guard = stop::guard(move || end(&ours));
        Ok(Self {
            child,
            _guard: guard,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.lock().id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.lock().try_wait(), Ok(Some(_)))
    }

    /// Asks it to end, and waits; ends it when it does not.
    pub(crate) fn terminate(&self, limit: Duration) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok()) {
            let deadline = Instant::now() + limit;
            while Instant::now() < deadline {
                if self.has_ended() {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
    }

    /// Its output, once it has ended well.
    ///
    /// # Errors
    /// It failed: with the last line that it said.
    pub(crate) fn output(command: Command) -> Result<String> {
        let mut command = command;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = Self::start(command)?;
        let (stdout, stderr) = {
            let mut child = running.lock();
            (child.stdout.take(), child.stderr.take())
        };
        let errors = std::thread::spawn(move || said(stderr));
        let out = said(stdout);
        let errors = errors.join().unwrap_or_default();
        let status = running.lock().wait()?;
        if !status.success() {
            let said = if errors.trim().is_empty() {
                &out
            } else {
                &errors
            };
            let last = said.trim_end().lines().last().unwrap_or_default();
            bail!("{} ({status})", text::one_line(last));
        }
        Ok(out)
    }
}

fn said(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What it has said before it broke is said.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Kills and reaps; one that is gone already is no error.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// What the machine is, how busy it is with other things, and whether these go first.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cnt = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = rustix::system::uname();
    let kernel = kernel.release().to_string_lossy();
    let first = if goes_first() {
        "; what is measured goes before other work"
    } else {
        ""
    };
    format!(
        "{model}, {cnt} cores, Linux {kernel}, load average {}{first}",
        load()
    )
}

/// The mean number of runnable threads in the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

const POLL: Duration = Duration::from_millis(5);
