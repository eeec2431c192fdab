//! Records that can be of no use any more: their process is dead, and so is the network namespace
//! whose device they speak of.
//!
//! Nobody comes back for them: the next start in a namespace reads the records of that one alone.
//! A namespace has no list that could be asked, so it counts as gone when nothing that can be seen
//! leads to it: no thread is in it, no descriptor is open on it, nothing is mounted from it. That
//! is only asked where everything can be seen, by root outside of containers, and only when there
//! is such a record.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::vec::Vec;

use super::{Found, found_in};

/// Removes them. What cannot be read or removed stays.
pub(super) fn sweep(folder: &Path, proc: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let dead: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let namespace = namespace_of(entry.file_name().to_str()?)?;
            let path = entry.path();
            is_left(&path).then_some((path, namespace))
        })
        .collect();
    if dead.is_empty() || !sees_all(proc) {
        return;
    }
    let Ok(living) = living(proc) else {
        return;
    };
    for (path, namespace) in dead {
        // Once more: the number may have been given again, to a namespace with a start of its own.
        if !living.contains(&namespace) && is_left(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The namespace that a record's name tells: `tap:NAME@NAMESPACE@STATION`.
fn namespace_of(name: &str) -> Option<u64> {
    let mut parts = name.rsplit('@');
    let (_station, namespace, _name) = (parts.next()?, parts.next()?, parts.next()?);
    namespace.parse().ok()
}

/// Whether it is of a process that is no more.
fn is_left(path: &Path) -> bool {
    matches!(found_in(path), Ok(Found::Left(_)))
}

/// Whether we are in the first namespaces of processes and of users, whose numbers are fixed: then
/// `/proc` shows every process, and root may look at each.
fn sees_all(proc: &Path) -> bool {
    let is = |kind: &str, number: u64| {
        number_of(proc.join("self/ns").join(kind), kind).is_ok_and(|found| found == Some(number))
    };
    is("pid", FIRST_PID_NAMESPACE) && is("user", FIRST_USER_NAMESPACE)
}

/// The network namespaces that anything leads to.
///
/// # Errors
/// Something that is there cannot be looked at.
fn living(proc: &Path) -> io::Result<HashSet<u64>> {
    let mut living = HashSet::new();
    let mut seen_mounts = HashSet::new();
    for process in fs::read_dir(proc)? {
        let process = process?;
        let is_process = process.file_name().to_str().is_some_and(is_number);
        if !is_process {
            continue;
        }
        let path = process.path();
        for thread in children(&path.join("task"))? {
            living.extend(number_of(thread.join("ns/net"), "net")?);
        }
        for descriptor in children(&path.join("fd"))? {
            living.extend(number_of(descriptor, "net")?);
        }
        let mounts = number_of(path.join("ns/mnt"), "mnt")?;
        if mounts.is_some_and(|mounts| seen_mounts.insert(mounts)) {
            let text = gone_is_none(fs::read_to_string(path.join("mountinfo")))?;
            let text = text.unwrap_or_default();
            // Field 4 is the root of the mount within its file system (proc(5)).
            let roots = text.lines().filter_map(|line| line.split(' ').nth(3));
            living.extend(roots.filter_map(|root| number_in(root, "net")));
        }
    }
    Ok(living)
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is in a folder; nothing if it has gone meanwhile.
fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = gone_is_none(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let paths = entries.filter_map(|entry| match gone_is_none(entry) {
        Ok(entry) => entry.map(|entry| Ok(entry.path())),
        Err(error) => Some(Err(error)),
    });
    paths.collect()
}

/// The number in a link such as `net:[4026531840]`; `None` if it is another link, or has gone.
fn number_of(link: impl AsRef<Path>, kind: &str) -> io::Result<Option<u64>> {
    let target = gone_is_none(fs::read_link(link))?;
    Ok(target.and_then(|target| number_in(target.to_str()?, kind)))
}

fn number_in(text: &str, kind: &str) -> Option<u64> {
    let number = text.strip_prefix(kind)?.strip_prefix(":[")?;
    number.strip_suffix(']')?.parse().ok()
}

/// A process that ends while we look holds nothing.
fn gone_is_none<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// linux/nsfs.h: `PID_NS_INIT_INO`, `USER_NS_INIT_INO`.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

#[cfg(test)]
pub(super) const FIRST: [(&str, u64); 2] =
    [("pid", FIRST_PID_NAMESPACE), ("user", FIRST_USER_NAMESPACE)];
