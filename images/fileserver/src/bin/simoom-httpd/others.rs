//! The cores beside the first: a thread each, with its own stack, queue pair, frames and
//! application. They read the same site, and share nothing else on a packet's way.
//!
//! ```text
//!   first core    open ─ load ─ index ─┬─ probe ──────── wait ─ serve ─ join ─ close
//!   each other                         └─ join ─ listen ──┘──── serve ─ close
//! ```

use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use simoom_fileserver::front::Front;
use simoom_netmap::ContentRange;
use simoom_netmap::hosts::Open;
use simoom_platform::linux::{Mesh, Net, Signals};
use simoom_platform::net::serve;

use super::ended::{Ended, close};
use super::shared::{SIZES, Shared};

/// What another core has come to: an error is a line.
type Outcome<T> = Result<T, String>;

/// The other cores.
pub(crate) struct Others {
    threads: Vec<JoinHandle<Outcome<Ended>>>,
    ready: Receiver<Outcome<()>>,
}

impl Others {
    /// Starts a thread for each of `more`.
    ///
    /// # Errors
    /// The kernel has no threads left.
    pub(crate) fn start<H: Open + 'static>(
        more: Vec<H::More>,
        content: ContentRange,
        meshes: Vec<Mesh>,
        shared: &Shared,
    ) -> Result<Self, Box<dyn Error>> {
        let (say_ready, ready) = channel();
        let mut threads = Vec::new();
        for (more, mesh) in more.into_iter().zip(meshes) {
            let (shared, say_ready) = (shared.clone(), say_ready.clone());
            let named = thread::Builder::new().name(format!("core {}", mesh.idx()));
            let work = move || {
                let served = run::<H>(more, content, mesh, &shared, &say_ready);
                served.map_err(|error| {
                    let line = error.to_string();
                    // Whoever waits for it hears it first.
                    let _ = say_ready.send(Err(line.clone()));
                    line
                })
            };
            threads.push(named.spawn(work)?);
        }
        Ok(Self { threads, ready })
    }

    /// Waits until all of them listen.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn wait(&self) -> Result<(), Box<dyn Error>> {
        for _ in &self.threads {
            self.ready.recv()??;
        }
        Ok(())
    }

    /// Waits until all of them have ended.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn join(self) -> Result<Ended, Box<dyn Error>> {
        let mut all = Ended::default();
        for thread in self.threads {
            let ended = thread.join().map_err(|_| "a core has panicked")?;
            all.add(ended?);
        }
        Ok(all)
    }
}

/// A core from its beginning to its end.
fn run<H: Open + 'static>(
    more: H::More,
    content: ContentRange,
    mesh: Mesh,
    shared: &Shared,
    ready: &Sender<Outcome<()>>,
) -> Result<Ended, Box<dyn Error>> {
    if let Some(cores) = &shared.cores {
        cores.pin(mesh.idx())?;
    }
    let started = H::join(more)?.start_beside(content)?;
    let net = Net::<Front, H>::beside(started, SIZES, shared.tcp, &shared.clock)?;
    let mut app = shared.app(mesh.idx())?;
    let signals = Signals::beside(mesh.idx())?;
    let (mut process, mut served) = shared.process(net, signals, mesh)?;
    ready.send(Ok(()))?;
    let end = serve(&mut process, &mut served, &mut app);
    process.leave(end);
    drop(process);
    close(served, end)
}
