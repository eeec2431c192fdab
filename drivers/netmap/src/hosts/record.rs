//! What `kill -9` would leave changed on the machine, written down for the next start.
//!
//! ```text
//!   /run/simoom/tap:web0     pid 4711 at 88213      who: its number, and when it began
//!                            up 0                   what was there before: the host's own lines
//! ```
//!
//! A record is written before the change is made, and removed when it has been taken back. A start
//! that finds the record of a process which is no more takes its changes back first. Records that
//! no start can find any more are removed by the next that writes one ([`sweep`]).

mod sweep;

use std::format;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};

/// A record on disk. Dropped, it stays: [`remove`](Self::remove) it when all is taken back.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
}

/// What the next start finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A process that lives uses the port.
    InUse {
        /// Its number.
        pid: u32,
    },
    /// A process that is no more has left this: the lines that it wrote.
    Left(String),
}

/// Where records are: gone with the next boot, as what they speak of is.
const FOLDER: &str = "/run/simoom";

/// Looks for the record of a port. `name` is the spec's text, of which a `/` becomes `!`.
///
/// # Errors
/// The record is there and cannot be read.
pub fn find(name: &str) -> io::Result<Found> {
    find_in(Path::new(FOLDER), name)
}

/// Writes the record of a port, before its changes are made.
///
/// # Errors
/// It cannot be written: then nothing should be changed that the kernel does not take back itself.
pub fn write(name: &str, lines: &str) -> io::Result<Record> {
    sweep::sweep(Path::new(FOLDER), Path::new("/proc"));
    write_in(Path::new(FOLDER), name, lines)
}

impl Record {
    /// All is taken back.
    pub fn remove(self) {
        // Gone already is as good.
        let _ = fs::remove_file(self.path);
    }
}

fn find_in(folder: &Path, name: &str) -> io::Result<Found> {
    found_in(&path_of(folder, name))
}

fn found_in(path: &Path) -> io::Result<Found> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let owner = first.strip_prefix("pid ").and_then(|owner| {
        let (pid, began) = owner.split_once(" at ")?;
        Some((pid.parse().ok()?, began))
    });
    Ok(match owner {
        Some((pid, began)) if began_at(pid).is_some_and(|now| now == began) => Found::InUse { pid },
        _ => Found::Left(rest.to_string()),
    })
}

fn write_in(folder: &Path, name: &str, lines: &str) -> io::Result<Record> {
    fs::create_dir_all(folder)?;
    let pid = std::process::id();
    let began = began_at(pid).unwrap_or_default();
    let path = path_of(folder, name);
    // In one step: a start that looks meanwhile sees all of it or nothing.
    let new = path.with_extension(format!("new-{pid}"));
    fs::write(&new, format!("pid {pid} at {began}\n{lines}"))?;
    fs::rename(&new, &path)?;
    Ok(Record { path })
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.replace('/', "!"))
}

/// When a process began, in the kernel's ticks since boot: its number may be another's by now.
fn began_at(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have anything in it but the last `)`; then fields 3 on.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie has let go of everything.
    let is_alive = fields.next()? != "Z";
    fields.nth(18).filter(|_| is_alive).map(ToString::to_string)
}

#[cfg(test)]
mod tests;
