//! The loop: poll while there is work, look a little longer, then sleep.
//!
//! ```text
//!      ┌────────────────────────────── news, or a timer is due ───────────────────────────────┐
//!      ▼                                                                                      │
//!   poll ─ attend ─ busy? again ─ idle ─ news ─ moved a moment ago? again ─ arm ─ sleep ──────┘
//! ```
//!
//! The loop says what a person may want to know of the network: addresses, the link, and when the
//! last connection has gone whether all frames have come home.

use core::cell::RefCell;
use core::fmt;

use simoom::dhcp::Event;
use simoom::iface::{Polled, Stack};
use simoom::tcp::App;
use simoom::{Addr, Duration, Instant};
use simoom_capture::{Store, Watched};
use simoom_ring::{Armed, FramePool, LinkState, Port, Queue};

use super::{Attend, Round};

/// What the loop stands on: a bare machine, or a process.
pub trait Ground<A: App + 'static, P: Port<'static>> {
    /// The time.
    fn now(&self) -> Instant;

    /// Says a line to whoever watches.
    fn say(&self, line: fmt::Arguments<'_>);

    /// Writes text for whoever watches, as much as goes without waiting: how many bytes. Where
    /// nobody does, all of it is taken.
    fn print(&mut self, text: &[u8]) -> usize {
        text.len()
    }

    /// Sleeps until the port has news or `until` has come; the rings are armed. It may end early.
    fn sleep(&mut self, until: Instant);

    /// How long to look for more after something came in. Short as a rule: where the other side is
    /// another thread of two cores, a core that spins is taken from it.
    fn spin(&self) -> Duration {
        Duration::from_micros(20)
    }

    /// Called in each round, before anything else: false ends the loop.
    fn goes_on(&mut self, _now: Instant, _served: &mut Served<A, P>, _app: &mut A) -> bool {
        true
    }

    /// There is an address, another one, or none any more.
    fn addressed(&mut self, _port: &mut P, _addr: Option<Addr>) {}

    /// One round of the stack.
    #[inline]
    fn poll(&mut self, now: Instant, served: &mut Served<A, P>, app: &mut A) -> Polled {
        let Served { stack, queue, .. } = served;
        let mut watched = Watched::new(queue, &served.capture, now.as_micros());
        stack.poll_rings(now, &mut watched.rx, &mut watched.tx, app)
    }

    /// The last connection has gone, and all frames are home.
    fn rested(&self, _served: &Served<A, P>) {}

    /// Says so: `home` frames of `all`.
    fn say_rested(&self, home: u64, all: u64) {
        self.say(format_args!(
            "all home: connections 0, frames {home} of {all}"
        ));
    }

    /// Whether the port is of no use any more.
    fn is_gone(&self, queue: &P::Queue) -> bool;
}

/// A port that a stack serves on.
pub struct Served<A: App + 'static, P: Port<'static>> {
    /// The stack.
    pub stack: Stack<'static, A>,
    /// The rings.
    pub queue: P::Queue,
    /// The port.
    pub port: P,
    /// The frames.
    pub pool: &'static FramePool<'static>,
    /// What is captured of what passes: of no memory, nothing.
    pub capture: RefCell<Store<'static>>,
}

impl<A: App + 'static, P: Port<'static>> Served<A, P> {
    /// Nothing is captured yet.
    pub fn new(
        stack: Stack<'static, A>,
        queue: P::Queue,
        port: P,
        pool: &'static FramePool<'static>,
    ) -> Self {
        Self {
            stack,
            queue,
            port,
            pool,
            capture: RefCell::default(),
        }
    }
}

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The port is of no use any more.
    Gone,
}

/// Serves with `app` until it is asked to end, or the port is given up.
pub fn serve<A, P, G>(ground: &mut G, served: &mut Served<A, P>, app: &mut A) -> End
where
    A: Attend,
    P: Port<'static>,
    G: Ground<A, P>,
{
    let mut watch = Watch::new(ground.now());
    loop {
        let now = ground.now();
        if !ground.goes_on(now, served, app) {
            return End::Asked;
        }
        let polled = ground.poll(now, served, app);
        let has_more = app.attend(Round {
            now,
            is_idle: polled == Polled::Idle,
            stack: &mut served.stack,
            queue: &mut served.queue,
            pool: served.pool,
            capture: &served.capture,
            print: &mut |text| ground.print(text),
        });
        if polled == Polled::Busy || has_more {
            continue;
        }
        watch.addresses(ground, served);
        if watch.is_spinning(now, ground.spin(), &served.stack) {
            core::hint::spin_loop();
            continue;
        }
        if now >= watch.link_at {
            let link = served.port.link();
            watch.link(now, link, ground, &mut served.stack);
            if served.port.announcement_due() {
                served.stack.announce();
            }
        }
        if ground.is_gone(&served.queue) {
            return End::Gone;
        }
        let until = watch.connections(now, ground, served);
        let until = until.min(watch.link_at).min(served.stack.poll_at(now));
        let until = until.min(app.attend_at());
        if served.queue.arm() == Armed::Sleep {
            ground.sleep(until);
        }
        watch.woke_at = ground.now();
    }
}

/// What the loop remembers from one round to the next.
struct Watch {
    woke_at: Instant,
    rx_frames: u64,
    link: LinkState,
    link_at: Instant,
    addr: Option<Addr>,
    /// Fallbacks that were told: of checksums, of segmentation.
    fallbacks: [u64; 2],
    /// There have been connections since all was home.
    has_served: bool,
    /// Connections that had been accepted when that was last looked at.
    accepted: u64,
    /// Since when there are none, and all frames are home.
    home_since: Option<Instant>,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            woke_at: now,
            rx_frames: 0,
            link: LinkState::Up,
            link_at: now,
            addr: None,
            fallbacks: [0; 2],
            has_served: false,
            accepted: 0,
            home_since: None,
        }
    }

    /// Whether something came in a moment ago, so that more is likely to come.
    fn is_spinning<A: App>(
        &mut self,
        now: Instant,
        spin: Duration,
        stack: &Stack<'static, A>,
    ) -> bool {
        let rx_frames = stack.counters().rx_frames;
        if rx_frames != self.rx_frames {
            self.rx_frames = rx_frames;
            self.woke_at = now;
            return true;
        }
        now.since(self.woke_at) < spin
    }

    /// Tells of addresses that came and went.
    fn addresses<A, P, G>(&mut self, ground: &mut G, served: &mut Served<A, P>)
    where
        A: App + 'static,
        P: Port<'static>,
        G: Ground<A, P>,
    {
        while let Some(event) = served.stack.dhcp_event() {
            tell(ground, &event);
        }
        self.fallbacks(ground, &served.stack);
        let addr = served.stack.cidr().map(|cidr| cidr.addr());
        if let (Some(addr), Some(mac)) = (addr, served.stack.conflict()) {
            ground.say(format_args!(
                "warning: address {addr} is also used by {mac}; it is kept, and announced again"
            ));
        }
        if addr != self.addr {
            self.addr = addr;
            ground.addressed(&mut served.port, addr);
        }
    }

    /// Tells what of the network card is not used any more, and why.
    fn fallbacks<A, P, G>(&mut self, ground: &G, stack: &Stack<'static, A>)
    where
        A: App + 'static,
        P: Port<'static>,
        G: Ground<A, P>,
    {
        let counters = stack.counters();
        let [checksums, segments] = [counters.checksum_fallbacks, counters.segmentation_fallbacks];
        let told = core::mem::replace(&mut self.fallbacks, [checksums, segments]);
        if told[0] != checksums {
            ground.say(format_args!(
                "warning: network card: SYN-ACKs with its checksums are not taken; from now on \
                 checksums and segments are ours"
            ));
        }
        if told[1] != segments {
            match stack.super_segment_len_max() {
                0 => ground.say(format_args!(
                    "warning: network card: segments cut by it do not arrive; segmentation \
                     offload off"
                )),
                most => ground.say(format_args!(
                    "warning: network card: segments that it cuts from more than {most} bytes do \
                     not arrive; from now on it gets no more at once"
                )),
            }
        }
    }

    fn link<A, P, G>(
        &mut self,
        now: Instant,
        link: LinkState,
        ground: &G,
        stack: &mut Stack<'static, A>,
    ) where
        A: App + 'static,
        P: Port<'static>,
        G: Ground<A, P>,
    {
        self.link_at = now + LINK_INTERVAL;
        stack.set_link(link, now);
        if link != self.link {
            self.link = link;
            let state = match link {
                LinkState::Up => "up",
                LinkState::Down => "down",
            };
            ground.say(format_args!("link: {state}"));
        }
    }

    /// Tells, once a change and not between two requests, that nobody is connected any more and
    /// that nothing was lost. When to look again.
    fn connections<A, P, G>(&mut self, now: Instant, ground: &G, served: &Served<A, P>) -> Instant
    where
        A: App + 'static,
        P: Port<'static>,
        G: Ground<A, P>,
    {
        let Served { stack, pool, .. } = served;
        let levels = stack.levels();
        // A connection may come and go between two looks.
        let accepted = stack.counters().tcp_accepted;
        self.has_served |= accepted != self.accepted || levels.conns + levels.syns > 0;
        self.accepted = accepted;
        if levels.conns + levels.syns > 0 {
            self.home_since = None;
            return Instant::NEVER;
        }
        if !self.has_served {
            return Instant::NEVER;
        }
        // All but those in the rings.
        let (home, all) = (pool.free_cnt(), pool.owned_cnt() - pool.lent_cnt());
        if home != all {
            // Someone holds one still.
            self.home_since = None;
            return now + HOME_INTERVAL;
        }
        let since = *self.home_since.get_or_insert(now);
        if now < since + HOME_QUIET {
            return since + HOME_QUIET;
        }
        self.has_served = false;
        self.home_since = None;
        ground.rested(served);
        ground.say_rested(home.into(), all.into());
        if levels.time_waits > 0 {
            let cnt = levels.time_waits;
            ground.say(format_args!("connections in TIME-WAIT: {cnt}"));
        }
        Instant::NEVER
    }
}

/// Says an event of the DHCP client.
fn tell<A, P, G>(ground: &G, event: &Event)
where
    A: App + 'static,
    P: Port<'static>,
    G: Ground<A, P>,
{
    match event {
        Event::Discovering { tries: 1 } => ground.say(format_args!("dhcp: asking for an address")),
        Event::Discovering { tries } => ground.say(format_args!(
            "dhcp: no answer yet, asking again ({tries} times so far)"
        )),
        Event::Bound {
            cidr,
            gateway,
            lease,
        } => {
            let at_us = ground.now().as_micros();
            ground.say(format_args!(
                "dhcp: bound to {cidr}, gateway {}, {}, {}.{} ms after entry",
                Or(gateway.as_ref(), "none"),
                LeaseFor(*lease),
                at_us / 1000,
                at_us / 100 % 10
            ));
        }
        Event::Renewed { lease } => {
            ground.say(format_args!("dhcp: renewed, {}", LeaseFor(*lease)));
        }
        Event::Refused => ground.say(format_args!("dhcp: refused, asking again")),
        Event::Lost => ground.say(format_args!(
            "dhcp: the lease is over, the address is given up"
        )),
        _ => {}
    }
}

/// A value, or a word in its place.
struct Or<'a, T>(Option<&'a T>, &'static str);

impl<T: fmt::Display> fmt::Display for Or<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

struct LeaseFor(Option<Duration>);

impl fmt::Display for LeaseFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(lease) => write!(f, "lease {} s", lease.as_secs()),
            None => f.write_str("lease without end"),
        }
    }
}

/// How often the port is asked for its link: two register reads, or a system call.
const LINK_INTERVAL: Duration = Duration::from_secs(1);

/// How long nobody must be connected before that is told.
const HOME_QUIET: Duration = Duration::from_millis(50);

/// How often to look whether the last frames have come home.
const HOME_INTERVAL: Duration = Duration::from_millis(10);
