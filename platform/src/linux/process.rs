//! The process as what the serve loop stands on: sleep, signals, statistics.

use core::fmt;
use std::boxed::Box;
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use simoom::tcp::{ConnId, ListenerId};
use simoom::{Addr, Duration, Instant};
use simoom_netmap::hosts::{Open, Syscalls, Takes, Wake};
use simoom_netmap::{NetmapPort, NetmapQueue};

use super::net::timespec;
use super::{Clock, Printer, Signals, say};
use crate::net::{Attend, Ground, Moved, Served};

/// How long connections may take to end after the first signal.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long the resets of those that were aborted may take: bursts, without waiting for answers.
const ABORT: Duration = Duration::from_secs(1);

/// What the application has to do with the process.
#[derive(Clone, Copy, Debug)]
pub struct Hooks<A> {
    /// Answers given so far, for the statistics.
    pub answered_cnt: fn(&A) -> u64,
    /// Told once a second how many seconds it is since 1970, at which time of our clock.
    pub set_time: fn(&mut A, i64, Instant),
}

/// A process that serves on one port.
pub struct Process<A> {
    /// Its clock.
    pub clock: Clock,
    /// What asks it to end.
    pub signals: Signals,
    /// What it waits for.
    pub wake: Wake,
    /// What its port has cost.
    pub syscalls: Syscalls,
    /// How long it looks for more before it sleeps.
    pub busy_poll: Duration,
    /// Whether it says a line of figures a second.
    pub has_stats: bool,
    /// Who accepts connections.
    pub listener: ListenerId,
    /// Which packets are ours.
    pub takes: Takes,
    /// Told of an address that we have come to have.
    pub told: Box<dyn FnMut(Addr)>,
    /// Who writes what the application prints; made when it is first wanted.
    pub printer: Printer,
    /// The application's part.
    pub hooks: Hooks<A>,
    /// What goes on.
    pub state: State,
}

/// What a process remembers.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// Sleeps, each a system call.
    sleeps: u64,
    /// When the next second begins.
    second_at: Option<Instant>,
    /// When what is not drained is aborted.
    drain_at: Option<Instant>,
    /// Signals that had come then.
    asked_cnt: u32,
    is_aborted: bool,
    last: Figures,
}

/// What is counted, at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    answered: u64,
    rx_frames: u64,
    tx_packets: u64,
    tx_bytes: u64,
    syscalls: u64,
}

impl<A: Attend> Process<A> {
    /// The last connections end. True when that is done, or has taken long enough.
    fn is_drained<H: Open + 'static>(
        &mut self,
        now: Instant,
        served: &mut Served<A, NetmapPort<'static, H>>,
        app: &mut A,
    ) -> bool {
        let asked_cnt = self.signals.asked_cnt();
        let stack = &mut served.stack;
        let Some(drain_at) = self.state.drain_at else {
            self.signals.seen();
            self.state.drain_at = Some(now + DRAIN);
            self.state.asked_cnt = asked_cnt;
            app.ending();
            stack.unlisten(self.listener);
            let cnt = stack.levels().conns;
            say(format_args!("ending: {cnt} connections to close"));
            let ids: Vec<ConnId> = stack.conn_ids().collect();
            for id in ids {
                // What is queued is sent first.
                stack.with_conn(now, id, |conn, _| conn.close());
            }
            return false;
        };
        if stack.levels().conns == 0 {
            return true;
        }
        if self.state.is_aborted {
            // Resets go out a burst a round.
            return now >= drain_at + ABORT;
        }
        if now >= drain_at || asked_cnt != self.state.asked_cnt {
            let ids: Vec<ConnId> = stack.conn_ids().collect();
            say(format_args!("ending: {} connections aborted", ids.len()));
            for id in ids {
                stack.with_conn(now, id, |conn, _| conn.abort());
            }
            self.state.drain_at = Some(now);
            self.state.is_aborted = true;
        }
        false
    }

    #[cold]
    fn second<H: Open + 'static>(
        &mut self,
        now: Instant,
        served: &mut Served<A, NetmapPort<'static, H>>,
        app: &mut A,
    ) {
        let is_first = self.state.second_at.is_none();
        self.state.second_at = Some(now + Duration::from_secs(1));
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let (seconds, us) =
            since_epoch.map_or((0, 0), |span| (span.as_secs(), span.subsec_micros()));
        // When that second began, unless it was before our clock did.
        let began_at = Instant::from_micros(now.as_micros().saturating_sub(us.into()));
        // Until the year 292 billion.
        (self.hooks.set_time)(app, seconds as i64, began_at);
        if !self.has_stats {
            return;
        }
        let counters = served.stack.counters();
        let new = Figures {
            answered: (self.hooks.answered_cnt)(app),
            rx_frames: counters.rx_frames,
            tx_packets: counters.tx_packets,
            tx_bytes: counters.tx_bytes,
            syscalls: self.syscalls.cnt() + self.state.sleeps,
        };
        let last = core::mem::replace(&mut self.state.last, new);
        if is_first {
            return;
        }
        let answered = new.answered - last.answered;
        let calls = (new.syscalls - last.syscalls) as f64 / answered.max(1) as f64;
        let levels = served.stack.levels();
        say(format_args!(
            "stats: {answered} answers, {} connections, {} frames in, {} out, {} KiB out, \
             {calls:.2} calls an answer, {} bytes copied, {} packets dropped, {} frames free",
            levels.conns,
            new.rx_frames - last.rx_frames,
            new.tx_packets - last.tx_packets,
            (new.tx_bytes - last.tx_bytes) >> 10,
            counters.payload_bytes_copied,
            counters.dropped_total(),
            served.pool.free_cnt(),
        ));
        let figures = served.port.host().figures();
        if !figures.is_empty() {
            say(format_args!("stats: {figures}"));
        }
    }
}

impl<A: Attend, H: Open + 'static> Ground<A, NetmapPort<'static, H>> for Process<A> {
    #[inline]
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn say(&self, line: fmt::Arguments<'_>) {
        say(line);
    }

    fn print(&mut self, text: &[u8]) -> usize {
        self.printer.offer(text)
    }

    fn sleep(&mut self, until: Instant) {
        let until = match self.state.second_at {
            Some(second_at) if self.has_stats => until.min(second_at),
            _ => until,
        };
        let until = until.min(self.state.drain_at.unwrap_or(Instant::NEVER));
        let now = self.clock.now();
        let is_rx_full = self.wake.is_rx_full();
        let until = match is_rx_full {
            true => until.min(now + FULL),
            false => until,
        };
        let limit = (until != Instant::NEVER).then(|| timespec(until.since(now)));
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !is_rx_full);
        flags.set(PollFlags::OUT, self.wake.take_tx_wanted());
        let (port, signals) = (self.wake.fd(), self.signals.fd());
        let mut fds = [
            PollFd::new(&port, flags),
            PollFd::new(&signals, PollFlags::IN),
        ];
        self.state.sleeps += 1;
        // Interrupted is awake, and nothing else can go wrong with two open descriptors.
        let _ = poll(&mut fds, limit.as_ref());
        let wrong = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if fds[0].revents().intersects(wrong) {
            self.wake.set_error();
        }
    }

    fn spin(&self) -> Duration {
        self.busy_poll
    }

    #[inline]
    fn goes_on(
        &mut self,
        now: Instant,
        served: &mut Served<A, NetmapPort<'static, H>>,
        app: &mut A,
    ) -> bool {
        if self
            .state
            .second_at
            .is_none_or(|second_at| now >= second_at)
        {
            self.second(now, served, app);
        }
        self.signals.asked_cnt() == 0 || !self.is_drained(now, served, app)
    }

    fn addressed(&mut self, port: &mut NetmapPort<'static, H>, addr: Option<Addr>) {
        self.takes.addr = addr.and_then(|addr| match addr.to_ip() {
            core::net::IpAddr::V4(addr) => Some(addr),
            core::net::IpAddr::V6(_) => None,
        });
        port.host().set_takes(&self.takes);
        addr.into_iter().for_each(&mut self.told);
    }

    fn rested(&self, served: &Served<A, NetmapPort<'static, H>>) {
        let queue = served.queue.counters();
        let moved = Moved {
            stack: served.stack.counters(),
            sent: queue.tx.packets,
            doorbells: queue.tx.syncs,
            received: queue.rx.packets,
            large: queue.rx.large,
        };
        say(format_args!("{moved}"));
    }

    fn is_gone(&self, queue: &NetmapQueue<'static, 'static, H>) -> bool {
        queue.is_gone()
    }
}

/// How long to leave a receive ring alone that has no room.
const FULL: Duration = Duration::from_micros(1_000);
