//! The process as what the serve loop stands on: sleep, signals, statistics; or one core of it,
//! with its place among the others.

use core::fmt;
use std::boxed::Box;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use simoom::iface::Polled;
use simoom::tcp::{ConnId, ListenerId};
use simoom::{Addr, Duration, Instant};
use simoom_capture::Watched;
use simoom_netmap::hosts::{Open, Syscalls, Takes, Wake};
use simoom_netmap::{Host, NetmapPort, NetmapQueue};
use simoom_ring::Port;

use super::mesh::{Address, Tee};
use super::net::timespec;
use super::{Board, Clock, Figures, Mesh, Printer, Signals, say};
use crate::net::{Attend, End, Ground, Moved, Served};

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

/// A core of a process, which serves on one queue pair of a port.
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
    /// Its place among the cores.
    pub mesh: Mesh,
    /// What they write down for each other.
    pub board: Arc<Board>,
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
    /// This core is done, and may wait for others.
    is_drained: bool,
    /// Somebody is connected, as far as the board knows.
    is_busy: bool,
    /// What the others were told.
    address: Address,
    /// Packets in and out that were written down.
    noted: (u64, u64),
    last: Figures,
}

impl State {
    /// Whether packets have moved since that was last asked.
    fn is_unnoted<A: Attend, P: Port<'static>>(&mut self, served: &Served<A, P>) -> bool {
        let counters = served.stack.counters();
        let moved = (counters.rx_frames, counters.tx_packets);
        core::mem::replace(&mut self.noted, moved) != moved
    }
}

impl<A: Attend> Process<A> {
    /// The loop of this core has ended. When it was not asked to, no other is to go on.
    pub fn leave(&self, end: End) {
        if end == End::Gone {
            self.board.set_over();
            self.mesh.wake_all();
        }
    }

    /// The last connections of all cores end. True when that is done, or has taken long enough.
    fn is_over<H: Open + 'static>(
        &mut self,
        now: Instant,
        served: &mut Served<A, NetmapPort<'static, H>>,
        app: &mut A,
    ) -> bool {
        if !self.state.is_drained && self.is_drained(now, served, app) {
            self.state.is_drained = true;
            if self.board.note_drained() {
                self.mesh.wake_all();
            }
        }
        self.board.is_drained()
    }

    /// Those of this core.
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
        self.note(served, app);
        if !self.has_stats {
            return;
        }
        let new = self.board.sum();
        let last = core::mem::replace(&mut self.state.last, new);
        if is_first {
            return;
        }
        // The first core says the sums, and each what its queue alone counts.
        if self.mesh.idx() == 0 {
            self.say_sums(last, new);
        }
        let figures = served.port.host().figures();
        if !figures.is_empty() {
            Ground::<A, NetmapPort<'static, H>>::say(self, format_args!("stats: {figures}"));
        }
    }

    /// Writes down what this core has done so far, for the others to read.
    fn note<H: Open + 'static>(&self, served: &Served<A, NetmapPort<'static, H>>, app: &A) {
        let counters = served.stack.counters();
        self.board.note(
            self.mesh.idx(),
            Figures {
                answered: (self.hooks.answered_cnt)(app),
                rx_frames: counters.rx_frames,
                tx_packets: counters.tx_packets,
                tx_bytes: counters.tx_bytes,
                syscalls: self.syscalls.cnt() + self.state.sleeps,
                conns: served.stack.levels().conns as u64,
                copied: counters.payload_bytes_copied,
                dropped: counters.dropped_total(),
                free: served.pool.free_cnt().into(),
                shared: self.mesh.shared_cnt,
                lost: self.mesh.lost_cnt(),
                passed_on: counters.tcp_passed_on,
            },
        );
    }

    /// What all cores have done in a second. What the others say may be a second old.
    fn say_sums(&self, last: Figures, new: Figures) {
        let answered = new.answered - last.answered;
        let calls = (new.syscalls - last.syscalls) as f64 / answered.max(1) as f64;
        say(format_args!(
            "stats: {answered} answers, {} connections, {} frames in, {} out, {} KiB out, \
             {calls:.2} calls an answer, {} bytes copied, {} packets dropped, {} frames free",
            new.conns,
            new.rx_frames - last.rx_frames,
            new.tx_packets - last.tx_packets,
            (new.tx_bytes - last.tx_bytes) >> 10,
            new.copied,
            new.dropped,
            new.free,
        ));
        if !self.mesh.is_alone() {
            let Figures {
                shared,
                lost,
                passed_on,
                ..
            } = new;
            say(format_args!(
                "stats: {} cores: answers so far {}; {shared} control frames shared, \
                 {passed_on} segments passed on, {lost} lost",
                self.board.cores_cnt(),
                self.board.answered(),
            ));
        }
    }

    /// The first core tells the others its address, the others take it over.
    fn address<H: Host + 'static>(&mut self, served: &mut Served<A, NetmapPort<'static, H>>) {
        let stack = &mut served.stack;
        if self.mesh.idx() != 0 {
            if let Some(address) = self.mesh.take_address() {
                match address {
                    Some((cidr, gateway)) => stack.share(cidr, gateway),
                    None => stack.deconfigure(),
                }
                self.board.note_addressed();
            }
            return;
        }
        let address = stack.cidr().map(|cidr| (cidr, stack.gateway()));
        if address == self.state.address {
            return;
        }
        self.state.address = address;
        let heard_cnt = self.board.addressed_cnt() + self.board.cores_cnt() - 1;
        self.mesh.tell_address(address);
        // Before anyone is told that we listen, all do.
        let deadline = self.clock.now() + ADDRESSED;
        while self.board.addressed_cnt() < heard_cnt && self.clock.now() < deadline {
            std::thread::yield_now();
        }
    }
}

impl<A: Attend, H: Open + 'static> Ground<A, NetmapPort<'static, H>> for Process<A> {
    #[inline]
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn say(&self, line: fmt::Arguments<'_>) {
        match self.mesh.idx() {
            0 => say(line),
            core => say(format_args!("core {core}: {line}")),
        }
    }

    fn say_rested(&self, home: u64, all: u64) {
        // The last core to rest says it for all.
        if let Some((home, all)) = self.board.rests(self.mesh.idx(), home, all) {
            say(format_args!(
                "all home: connections 0, frames {home} of {all}"
            ));
        }
    }

    #[inline]
    fn poll(
        &mut self,
        now: Instant,
        served: &mut Served<A, NetmapPort<'static, H>>,
        app: &mut A,
    ) -> Polled {
        let Served {
            stack,
            queue,
            pool,
            capture,
            ..
        } = served;
        // What other cores tell is no frame of this queue's.
        let mut watched = Watched::new(queue, capture, now.as_micros());
        let mut tee = Tee::new(&mut watched.rx, &mut self.mesh, pool);
        let polled = stack.poll_among(now, &mut tee, &mut watched.tx, app);
        self.mesh.wake_told();
        // Before it may sleep, so that what it has done last is not kept from the others.
        if polled == Polled::Idle && !self.mesh.is_alone() && self.state.is_unnoted(served) {
            self.note(served, app);
        }
        polled
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
        self.mesh.lie_down();
        if self.mesh.has_news() || self.board.is_over() {
            return self.mesh.get_up(false);
        }
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
        // Where there are no others, the signals once more.
        let others = self.mesh.fd().unwrap_or(signals);
        let mut fds = [
            PollFd::new(&port, flags),
            PollFd::new(&signals, PollFlags::IN),
            PollFd::new(&others, PollFlags::IN),
        ];
        self.state.sleeps += 1;
        // Interrupted is awake, and nothing else can go wrong with two open descriptors.
        let _ = poll(&mut fds, limit.as_ref());
        let wrong = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if fds[0].revents().intersects(wrong) {
            self.wake.set_error();
        }
        // Without others these are the signals, which are not the mesh's to read.
        self.mesh.get_up(fds[2].revents().contains(PollFlags::IN));
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
        if !self.mesh.is_alone() {
            self.address(served);
            let is_busy = served.stack.levels().conns > 0;
            if is_busy && !self.state.is_busy {
                self.board.set_busy(self.mesh.idx());
            }
            self.state.is_busy = is_busy;
            if self.board.is_over() {
                return false;
            }
        }
        self.signals.asked_cnt() == 0 || !self.is_over(now, served, app)
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
        Ground::<A, NetmapPort<'static, H>>::say(self, format_args!("{moved}"));
    }

    fn is_gone(&self, queue: &NetmapQueue<'static, 'static, H>) -> bool {
        queue.is_gone()
    }
}

/// How long to leave a receive ring alone that has no room.
const FULL: Duration = Duration::from_micros(1_000);

/// How long the others may take to have an address.
const ADDRESSED: Duration = Duration::from_micros(100_000);
