//! The client: wrk, on a core of its own, and what it took.

use super::child::{self, Running};
use crate::install;
use crate::linux::netns::Netns;
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Length of the file, bytes.
    pub(crate) size: usize,
    /// Whether connections are kept.
    pub(crate) is_kept: bool,
    /// Connections at a time.
    pub(crate) conns: u32,
    /// For how long, seconds.
    pub(crate) seconds: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// Answers, and answers a second.
    pub(crate) cnt: f64,
    pub(crate) rate: f64,
    /// Processor time of wrk with what the kernel did in its name, seconds.
    pub(crate) client_s: f64,
}

impl Load {
    /// Asks whoever serves at `at`, from within `netns`. A machine with other work may let neither
    /// of them run for a second: then once more, and again.
    ///
    /// # Errors
    /// wrk cannot be had, or had no answers, or others than it asked for.
    pub(crate) fn ask(&self, netns: &Netns, at: SocketAddrV4) -> Result<Answered> {
        for _ in 0..TRIES {
            if let Some(answered) = self.try_ask(netns, at)? {
                return Ok(answered);
            }
        }
        bail!("no answer at all")
    }

    /// `None` if there was no answer.
    fn try_ask(&self, netns: &Netns, at: SocketAddrV4) -> Result<Option<Answered>> {
        let wrk = install::WRK.need()?;
        let mut command = child::on_core(child::CLIENT_CORE, &wrk);
        command.args(["-t1", "-c", &self.conns.to_string()]);
        command.args(["-d", &format!("{}s", self.seconds)]);
        if !self.is_kept {
            command.args(["-H", "Connection: close"]);
        }
        command.arg(format!("http://{at}{}", path(self.size)));
        let before_s = children_s()?;
        let said = netns.within(|| Running::output(command))?;
        let client_s = children_s()? - before_s;
        if said.contains("Non-2xx") {
            bail!("wrk: {}", text::one_line(&said));
        }
        if let Some(line) = said.lines().find(|line| line.contains("Socket errors")) {
            println!("  wrk:{line}");
        }
        let field = |end: &str| {
            let line = said.lines().find(|line| line.contains(end))?;
            let word = line
                .split_whitespace()
                .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
            word.parse::<f64>().ok()
        };
        let cnt = field(" requests in ").context("wrk names no number")?;
        let rate = field("Requests/sec:").context("wrk names no rate")?;
        let answered = Answered {
            cnt,
            rate,
            client_s,
        };
        Ok((cnt > 0.0).then_some(answered))
    }
}

/// Under which name a file of this length is served.
pub(crate) fn path(size: usize) -> String {
    format!("/{size}.bin")
}

/// Waits until `at` answers with all of a file; when that was.
///
/// # Errors
/// It does not within `limit`.
pub(crate) fn wait_answer(
    netns: &Netns,
    at: SocketAddrV4,
    size: usize,
    limit: Duration,
) -> Result<Instant> {
    netns.run(move || {
        let deadline = Instant::now() + limit;
        loop {
            match answer(at, size) {
                Ok(()) => return Ok(Instant::now()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("{at} does not answer"));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    })
}

/// Asks for a file of this length, once.
///
/// # Errors
/// Nobody is there, or says something else.
pub(crate) fn answer(at: SocketAddrV4, size: usize) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&at.into(), CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let path = path(size);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") && body.len() == size => Ok(()),
        _ => bail!("it says {:?}", text.lines().next()),
    }
}

/// Processor time of our children that have ended, seconds: fields 16 and 17 of `stat`.
fn children_s() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no such format")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap_or_default())
        .sum();
    Ok(ticks as f64 / TICKS_PER_S)
}

const TRIES: u32 = 3;
const TICKS_PER_S: f64 = 100.0;
const PAUSE: Duration = Duration::from_millis(5);
const CONNECT_LIMIT: Duration = Duration::from_millis(250);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
