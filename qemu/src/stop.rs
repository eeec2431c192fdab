//! Every way out of this program leaves nothing behind.
//!
//! What must not outlive us (a QEMU, a network namespace) is registered here with the closure that
//! ends it. The closure runs once: when its [`Guard`] is dropped, or from the signal thread, or
//! from the panic hook (our profiles abort, so no destructor would run), or from the deadline of a
//! test run. What is only memory or an unnamed file needs no entry: the kernel takes it back.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

type Ending = Box<dyn FnOnce() + Send>;

static ENDINGS: Mutex<Vec<(u64, Ending)>> = Mutex::new(Vec::new());

/// Set when this program is on its way out by [`exit`].
static IS_EXITING: AtomicBool = AtomicBool::new(false);

/// Exit code after a signal: 128 + SIGINT, as a shell would have it.
const EXIT_INTERRUPTED: i32 = 130;

/// Ends what it was made for when dropped.
#[must_use]
pub(crate) struct Guard {
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ending = {
            let mut endings = endings();
            let found = endings.iter().position(|(id, _)| *id == self.id);
            found.map(|idx| endings.remove(idx).1)
        };
        if let Some(ending) = ending {
            ending();
        }
    }
}

fn endings() -> MutexGuard<'static, Vec<(u64, Ending)>> {
    ENDINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `ending` run exactly once, whichever way this program goes.
pub(crate) fn guard(ending: impl FnOnce() + Send + 'static) -> Guard {
    let mut endings = endings();
    let id = endings.last().map_or(0, |(id, _)| id + 1);
    endings.push((id, Box::new(ending)));
    Guard { id }
}

/// Runs what is registered, last first.
fn end_all() {
    loop {
        let next = endings().pop();
        match next {
            Some((_, ending)) => ending(),
            None => break,
        }
    }
}

/// Ends everything and goes with `code`.
pub(crate) fn exit(code: i32) -> ! {
    IS_EXITING.store(true, Ordering::SeqCst);
    end_all();
    process::exit(code)
}

/// Leaves the end to [`exit`] when that has begun: what it ends looks like a failure elsewhere.
pub(crate) fn yield_to_exit() {
    while IS_EXITING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Puts the signal thread and the panic hook in place. Called once, by `main`.
pub(crate) fn install() {
    if let Err(error) = ctrlc::set_handler(|| {
        eprintln!();
        exit(EXIT_INTERRUPTED)
    }) {
        eprintln!("warning: Ctrl-C will not clean up: {error}");
    }
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        end_all();
    }));
}

#[cfg(test)]
mod tests;
