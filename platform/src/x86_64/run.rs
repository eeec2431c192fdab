//! The loop of an image: [`net::serve`](crate::net::serve) on a bare machine, which sleeps until an
//! interrupt.

use core::fmt;

use simoom::tcp::App;
use simoom::{Addr, Duration, Instant};
use simoom_virtio_net::Counters as QueueCounters;

use super::net::{Net, NetPort, NetQueue};
use super::{ExitCode, Machine, console};
use crate::net::{Attend, End, Ground, Moved, Served, serve};

/// Serves with `app` until the network device is given up. `told` is called when there is an
/// address, and when there is another one.
pub fn run<A: Attend>(
    machine: &Machine,
    net: Net<A>,
    app: &mut A,
    told: impl FnMut(Addr),
) -> ExitCode {
    let Net {
        stack,
        queue,
        port,
        pool,
        has_interrupt,
        capture,
        ..
    } = net;
    let mut bare = Bare {
        machine,
        has_interrupt,
        told,
    };
    let mut served = Served {
        stack,
        queue,
        port,
        pool,
        capture,
    };
    match serve(&mut bare, &mut served, app) {
        End::Asked => ExitCode::SUCCESS,
        End::Gone => {
            console!("simoom: error: network card: it was given up, it does not reset");
            ExitCode::FAILURE
        }
    }
}

/// A bare machine.
struct Bare<'m, F> {
    machine: &'m Machine,
    has_interrupt: bool,
    told: F,
}

impl<A: App + 'static, F: FnMut(Addr)> Ground<A, NetPort> for Bare<'_, F> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.machine.clock.now_us())
    }

    fn say(&self, line: fmt::Arguments<'_>) {
        console!("simoom: {line}");
    }

    fn print(&mut self, text: &[u8]) -> usize {
        console::offer(text)
    }

    fn sleep(&mut self, until: Instant) {
        let until = match self.has_interrupt {
            true => until,
            false => until.min(Ground::<A, NetPort>::now(self) + TICK),
        };
        self.machine.idle(Some(until.as_micros()));
    }

    fn addressed(&mut self, _port: &mut NetPort, addr: Option<Addr>) {
        addr.into_iter().for_each(&mut self.told);
    }

    fn rested(&self, served: &Served<A, NetPort>) {
        let QueueCounters { rx, tx, .. } = served.queue.counters();
        let moved = Moved {
            stack: served.stack.counters(),
            sent: tx.packets,
            doorbells: tx.kicks,
            received: rx.frames,
            large: rx.large,
        };
        console!("simoom: {moved}");
        let counters = served.queue.counters();
        let failed = counters.commands_refused + counters.commands_unanswered;
        if failed + counters.commands_done > 0 {
            let done = counters.commands_done;
            console!("simoom: network card: {done} commands done, {failed} not");
        }
    }

    fn is_gone(&self, queue: &NetQueue) -> bool {
        queue.is_dead()
    }
}

/// How often to poll a device whose interrupt cannot be had.
const TICK: Duration = Duration::from_millis(1);
