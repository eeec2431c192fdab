//! Network namespaces without names.
//!
//! A namespace lives as long as a thread is in it or a file of it is open, and no longer. So there
//! is nothing to clean up: however this program ends, the kernel takes back the namespace, the TAP
//! devices in it and their addresses, and a run that died leaves nothing for the next one to find.

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A network namespace of our own. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Netns {
    file: Arc<File>,
}

impl Netns {
    /// A namespace with nothing in it but its loopback device, which is down.
    ///
    /// # Errors
    /// The kernel has none for us: it takes root, or a user namespace.
    pub(crate) fn new() -> Result<Self> {
        let file = joined(thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("a network namespace")?;
            // Of this thread, which is the only one in it.
            File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")
        }))?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Has a new thread do `work` in the namespace.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> thread::JoinHandle<Result<T>> {
        let file = Arc::clone(&self.file);
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("entering a network namespace")?;
            work()
        })
    }

    /// A path by which another program can name it while we run.
    pub(crate) fn path(&self) -> PathBuf {
        let (pid, fd) = (std::process::id(), self.file.as_raw_fd());
        PathBuf::from(format!("/proc/{pid}/fd/{fd}"))
    }

    /// Does `work` in the namespace with this thread, which then goes back to its own: what it
    /// starts, threads and programs, begins in there.
    ///
    /// # Errors
    /// Those of `work`, or the way in or back is barred.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let own = File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")?;
        let enter =
            |file: &File| move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network));
        enter(&self.file).context("entering a network namespace")?;
        let done = work();
        enter(&own).context("leaving a network namespace")?;
        done
    }

    /// Does `work` in the namespace. What it opens stays there: sockets, devices.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        joined(self.spawn(work))
    }
}

/// What a thread came to.
///
/// # Errors
/// Its own.
pub(crate) fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(done) => done,
        Err(_) => bail!("a thread panicked"),
    }
}
