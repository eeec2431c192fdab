//! A running QEMU: its console, its log, its end.
//!
//! ```text
//!   QEMU stdout (first UART) ──► thread: lines ─┐
//!   QEMU stderr              ──► thread: lines ─┼──► one queue ──► next, wait_for
//!   pipe (second UART)       ──► thread: defmt ─┘
//! ```
//!
//! The child never outlives us: its guard ends it on every way out, and where `setpriv` is
//! installed the kernel ends it even when we are killed.

use crate::console::{self, Line};
use crate::deflog::LogTable;
use crate::install;
use crate::kernel::Kernel;
use crate::machine::Launch;
use crate::stop;
use crate::symbols::Symbols;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest line that is kept, bytes: a guest that never ends its line must not fill our memory.
const LINE_LEN_MAX: u64 = 4096;

/// Something that the guest said, or QEMU about it.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A line of the console, and when it came.
    Console(Instant, String),
    /// A line of the decoded log.
    Log(String),
    /// A line of QEMU's own.
    Qemu(String),
    /// The guest is gone.
    End,
}

/// What the last guest that went had said, for whoever asks why.
static LAST_WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Everything that the last guest said.
pub(crate) fn last_words() -> Vec<String> {
    LAST_WORDS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Forgets the last guest, before the next one is asked.
pub(crate) fn forget_last_words() {
    LAST_WORDS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}

/// A running guest. Dropping it ends QEMU.
pub(crate) struct Guest {
    /// When QEMU was started.
    pub(crate) started: Instant,
    /// Everything it said so far, backtraces symbolised, for whoever asks why.
    pub(crate) transcript: Vec<String>,
    child: Arc<Mutex<Child>>,
    events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
    /// Our own end of the log for writing, by which QEMU opens it; the log ends without it.
    log: Option<PipeWriter>,
    symbols: Symbols,
    /// Its console has come to its end.
    is_over: bool,
    _guard: stop::Guard,
}

impl Guest {
    /// Starts QEMU as `launch` says; `kernel` is what the log and the backtraces are read with.
    ///
    /// # Errors
    /// QEMU cannot be run. What it does not like about its arguments it says as [`Event::Qemu`].
    pub(crate) fn start(launch: &Launch, kernel: &Kernel) -> Result<Guest> {
        let table = LogTable::open(&kernel.elf)?;
        let (log_source, log) = std::io::pipe().context("cannot make a pipe for the log")?;
        let log_path = format!("/proc/{}/fd/{}", std::process::id(), log.as_raw_fd());
        let command = command(launch, &PathBuf::from(log_path));
        let (mut guest, sender) = Guest::spawn(command, kernel.elf.clone())?;
        guest.threads.push(spawn_log(log_source, table, sender));
        guest.log = Some(log);
        Ok(guest)
    }

    /// Starts a program of this machine that talks as a guest does; its code is in `elf`.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn start_program(mut command: Command, elf: PathBuf) -> Result<Guest> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Guest::spawn(command, elf)?.0)
    }

    fn spawn(mut command: Command, elf: PathBuf) -> Result<(Guest, Sender<Event>)> {
        let started = Instant::now();
        let name = command.get_program().to_owned();
        let spawned = command.spawn();
        let mut child = spawned.with_context(|| format!("cannot run {}", name.display()))?;
        let (sender, events) = channel();
        let stdout = child.stdout.take().context("it has no output")?;
        let stderr = child.stderr.take().context("it has no error output")?;
        let threads = vec![
            spawn_console(stdout, sender.clone()),
            spawn_errors(stderr, sender.clone()),
        ];
        let child = Arc::new(Mutex::new(child));
        let ours = Arc::clone(&child);
        let guard = stop::guard(move || end(&ours));
        let guest = Guest {
            started,
            transcript: Vec::new(),
            child,
            events,
            threads,
            log: None,
            symbols: Symbols::new(elf),
            is_over: false,
            _guard: guard,
        };
        Ok((guest, sender))
    }

    /// QEMU's id, for its figures in `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }

    /// The next thing said, or `None` at the deadline. Backtrace lines have their names already.
    /// Behind the end there is nothing but the end, whoever still holds the log open.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Option<Event> {
        let received = match deadline {
            _ if self.is_over => self
                .events
                .try_recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => self
                .events
                .recv_timeout(at.saturating_duration_since(Instant::now())),
            None => self
                .events
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(event) => Some(self.note(event)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::End),
        }
    }

    /// Gives a backtrace line its names, and keeps what was said.
    fn note(&mut self, event: Event) -> Event {
        match event {
            Event::Console(at, line) => {
                let line = self.symbols.annotate(&line);
                self.transcript.push(line.clone());
                return Event::Console(at, line);
            }
            Event::Log(ref line) => self.transcript.push(format!("log: {line}")),
            Event::Qemu(ref line) => self.transcript.push(format!("qemu: {line}")),
            Event::End => self.is_over = true,
        }
        event
    }

    /// Waits for a console line that `wanted` takes; says when it came.
    ///
    /// # Errors
    /// The guest reports an error or panics, QEMU ends, or `limit` passes; `what` is named.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&Line, &str) -> Option<T>,
    ) -> Result<(T, Instant)> {
        let deadline = Instant::now() + limit;
        loop {
            match self.next(Some(deadline)) {
                None => bail!("no {what} within {} s", limit.as_secs()),
                Some(Event::End) => return Err(self.why_ended()),
                Some(Event::Log(_) | Event::Qemu(_)) => {}
                Some(Event::Console(at, text)) => {
                    let line = console::parse(&text);
                    if let Some(found) = wanted(&line, &text) {
                        return Ok((found, at));
                    }
                    if let Line::Error(text) = line {
                        bail!("the image says: {text}");
                    }
                }
            }
        }
    }

    /// Throws away what was said until now.
    pub(crate) fn drain(&mut self) {
        while self
            .next(Some(Instant::now()))
            .is_some_and(|event| !matches!(event, Event::End))
        {}
    }

    /// Waits for QEMU's end and returns its exit code, `None` for a signal.
    ///
    /// # Errors
    /// It still runs after `limit`.
    pub(crate) fn wait_end(&mut self, limit: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + limit;
        loop {
            match self.next(Some(deadline)) {
                None => bail!("QEMU still runs after {} s", limit.as_secs()),
                Some(Event::End) => return Ok(self.reap()),
                Some(_) => {}
            }
        }
    }

    /// The reason of an end that nobody asked for, from the last words of guest and QEMU.
    pub(crate) fn why_ended(&mut self) -> anyhow::Error {
        let code = self.reap();
        let said = |start: &str| {
            let mut lines = self.transcript.iter().rev();
            lines.find_map(|line| line.strip_prefix(start).map(str::to_owned))
        };
        if let Some(text) = self.error_line() {
            return anyhow::anyhow!("the image says: {text}");
        }
        if let Some(text) = self.panic_line() {
            return anyhow::anyhow!("the image broke: {text}");
        }
        if let Some(text) = said("qemu: ") {
            return anyhow::anyhow!("QEMU says: {text}");
        }
        match code {
            Some(code) => anyhow::anyhow!("QEMU ended with code {code}"),
            None => anyhow::anyhow!("QEMU was ended by a signal"),
        }
    }

    /// The error that the image gave, if it did.
    fn error_line(&self) -> Option<String> {
        let mut lines = self.transcript.iter().rev();
        lines.find_map(|line| match console::parse(line) {
            Line::Error(text) => Some(text),
            _ => None,
        })
    }

    /// What a panic or an exception said, if there was one: its first line, and for a panic the
    /// message on the next.
    pub(crate) fn panic_line(&self) -> Option<String> {
        let is_panic = |line: &String| matches!(console::parse(line), Line::Panic(_));
        let at = self.transcript.iter().position(is_panic)?;
        let mut text = self.transcript[at].clone();
        if let Some(message) = self.transcript.get(at + 1).filter(|_| text.ends_with(':')) {
            text = format!("{text} {message}");
        }
        Some(text)
    }

    /// Waits for the child and the threads, and collects what they still had to say.
    fn reap(&mut self) -> Option<i32> {
        let status = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
        // QEMU's end is closed; with ours the log has come to its end too.
        self.log = None;
        for thread in self.threads.drain(..) {
            // A reader has no result; one that panicked has aborted us already.
            let _ = thread.join();
        }
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
        status.ok().and_then(|status| status.code())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        end(&self.child);
        self.reap();
        let words = std::mem::take(&mut self.transcript);
        *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

/// Kills and reaps; a child that is gone already is no error.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Either fails only when the child has been waited for.
    let _ = child.kill();
    let _ = child.wait();
}

/// QEMU, inside what is wrapped around it.
fn command(launch: &Launch, log: &Path) -> Command {
    let mut words: Vec<String> = Vec::new();
    let mut add = |wrap: &[&str]| words.extend(wrap.iter().map(|word| (*word).to_owned()));
    if let Some(setpriv) = install::find("setpriv") {
        add(&[&setpriv.to_string_lossy(), "--pdeathsig", "KILL", "--"]);
    }
    if let Some(netns) = &launch.netns {
        add(&["ip", "netns", "exec", netns]);
    }
    add(&[&launch.qemu.program.to_string_lossy()]);
    words.extend(launch.args(Some(log)));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn spawn_console(stdout: impl Read + Send + 'static, sender: Sender<Event>) -> JoinHandle<()> {
    thread::spawn(move || {
        for_lines(stdout, |line| {
            // Nobody listens any more: the guest is being dropped.
            let _ = sender.send(Event::Console(Instant::now(), line));
        });
        let _ = sender.send(Event::End);
    })
}

fn spawn_errors(stderr: impl Read + Send + 'static, sender: Sender<Event>) -> JoinHandle<()> {
    thread::spawn(move || {
        for_lines(stderr, |line| {
            let _ = sender.send(Event::Qemu(line));
        });
    })
}

fn spawn_log(source: PipeReader, table: Option<LogTable>, sender: Sender<Event>) -> JoinHandle<()> {
    thread::spawn(move || match table {
        Some(table) => table.decode(source, |line| {
            let _ = sender.send(Event::Log(line));
        }),
        // No strings to decode with: keep the UART from blocking, no more.
        None => drop(std::io::copy(&mut &source, &mut std::io::sink())),
    })
}

/// Calls `each` for every line, without its end and without control characters.
fn for_lines(source: impl Read, mut each: impl FnMut(String)) {
    let mut reader = BufReader::new(source);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match (&mut reader)
            .take(LINE_LEN_MAX)
            .read_until(b'\n', &mut bytes)
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&bytes);
                let text = text.trim_end_matches(['\r', '\n']);
                each(
                    text.chars()
                        .map(|c| if c.is_control() { '.' } else { c })
                        .collect(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
