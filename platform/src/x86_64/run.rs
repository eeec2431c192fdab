//! The loop of an image: poll while there is work, look a little longer, then sleep.
//!
//! ```text
//!      ┌────────────────────────── interrupt, or a timer is due ─────────────────────┐
//!      ▼                                                                             │
//!   poll ─ busy? again ─ idle ─ news ─ moved a moment ago? again ─ arm ─ sleep ──────┘
//! ```
//!
//! The loop prints what a person may want to know of the network: addresses, the link, and when
//! the last connection has gone whether all frames have come home.

use simoom::dhcp::Event;
use simoom::iface::{Polled, Stack};
use simoom::tcp::App;
use simoom::{Addr, Duration, Instant};
use simoom_ring::{Armed, LinkState, Port, Queue};

use super::net::Net;
use super::{ExitCode, Machine, console};

/// Serves with `app` until the network device is given up. `told` is called when there is an
/// address, and when there is another one.
pub fn run<A: App + 'static>(
    machine: &Machine,
    net: Net<A>,
    app: &mut A,
    mut told: impl FnMut(Addr),
) -> ExitCode {
    let mut watch = Watch::new(machine);
    let Net {
        mut stack,
        mut queue,
        mut port,
        pool,
        has_interrupt,
        ..
    } = net;
    loop {
        let now = now(machine);
        if stack.poll(now, &mut queue, app) == Polled::Busy {
            continue;
        }
        watch.addresses(machine, &mut stack, &mut told);
        if watch.is_spinning(now, &stack) {
            core::hint::spin_loop();
            continue;
        }
        if now >= watch.link_at {
            watch.link(now, port.link(), &mut stack);
            if queue.is_dead() {
                console!("simoom: error: network card: it was given up, it does not reset");
                return ExitCode::FAILURE;
            }
        }
        let frames = Frames {
            home: pool.free_cnt(),
            all: pool.owned_cnt() - u32::try_from(queue.rx_lent_cnt()).unwrap_or(0),
        };
        let mut until = watch.connections(now, &stack, frames);
        until = until.min(watch.link_at).min(stack.poll_at(now));
        if !has_interrupt {
            until = until.min(now + TICK);
        }
        if queue.arm() == Armed::Sleep {
            machine.idle(Some(until.as_micros()));
        }
        watch.woke_at = self::now(machine);
    }
}

/// What the loop remembers from one round to the next.
struct Watch {
    woke_at: Instant,
    rx_frames: u64,
    link: LinkState,
    link_at: Instant,
    addr: Option<Addr>,
    /// There have been connections since all was home.
    has_served: bool,
    /// Connections that had been accepted when that was last looked at.
    accepted: u64,
    /// Since when there are none, and all frames are home.
    home_since: Option<Instant>,
}

/// Frames that are home, and those that could be: all but those in the receive ring.
#[derive(Clone, Copy)]
struct Frames {
    home: u32,
    all: u32,
}

impl Watch {
    fn new(machine: &Machine) -> Self {
        let now = now(machine);
        Self {
            woke_at: now,
            rx_frames: 0,
            link: LinkState::Up,
            link_at: now,
            addr: None,
            has_served: false,
            accepted: 0,
            home_since: None,
        }
    }

    /// Whether something came in a moment ago, so that more is likely to come.
    fn is_spinning<A: App>(&mut self, now: Instant, stack: &Stack<'static, A>) -> bool {
        let rx_frames = stack.counters().rx_frames;
        if rx_frames != self.rx_frames {
            self.rx_frames = rx_frames;
            self.woke_at = now;
            return true;
        }
        now.since(self.woke_at) < SPIN
    }

    /// Tells of addresses that came and went.
    fn addresses<A: App>(
        &mut self,
        machine: &Machine,
        stack: &mut Stack<'static, A>,
        told: &mut impl FnMut(Addr),
    ) {
        while let Some(event) = stack.dhcp_event() {
            tell(machine, &event);
        }
        let addr = stack.cidr().map(|cidr| cidr.addr());
        if addr != self.addr {
            self.addr = addr;
            addr.into_iter().for_each(told);
        }
    }

    fn link<A: App>(&mut self, now: Instant, link: LinkState, stack: &mut Stack<'static, A>) {
        self.link_at = now + LINK_INTERVAL;
        stack.set_link(link, now);
        if link != self.link {
            self.link = link;
            match link {
                LinkState::Up => console!("simoom: link: up"),
                LinkState::Down => console!("simoom: link: down"),
            }
        }
    }

    /// Tells, once a change and not between two requests, that nobody is connected any more and
    /// that nothing was lost. When to look again.
    fn connections<A: App>(
        &mut self,
        now: Instant,
        stack: &Stack<'static, A>,
        frames: Frames,
    ) -> Instant {
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
        if frames.home != frames.all {
            // The last frames are on the ring still.
            self.home_since = None;
            return now + HOME_INTERVAL;
        }
        let since = *self.home_since.get_or_insert(now);
        if now < since + HOME_QUIET {
            return since + HOME_QUIET;
        }
        self.has_served = false;
        self.home_since = None;
        console!(
            "simoom: all home: connections 0, frames {} of {}",
            frames.home,
            frames.all
        );
        if levels.time_waits > 0 {
            console!("simoom: connections in TIME-WAIT: {}", levels.time_waits);
        }
        Instant::NEVER
    }
}

/// Prints an event of the DHCP client.
fn tell(machine: &Machine, event: &Event) {
    match event {
        Event::Discovering { tries: 1 } => console!("simoom: dhcp: asking for an address"),
        Event::Discovering { tries } => {
            console!("simoom: dhcp: no answer yet, asking again ({tries} times so far)");
        }
        Event::Bound {
            cidr,
            gateway,
            lease,
        } => {
            let at_us = machine.clock.now_us();
            console!(
                "simoom: dhcp: bound to {cidr}, gateway {}, {}, {}.{} ms after entry",
                Or(gateway.as_ref(), "none"),
                LeaseFor(*lease),
                at_us / 1000,
                at_us / 100 % 10
            );
        }
        Event::Renewed { lease } => console!("simoom: dhcp: renewed, {}", LeaseFor(*lease)),
        Event::Refused => console!("simoom: dhcp: refused, asking again"),
        Event::Lost => console!("simoom: dhcp: the lease is over, the address is given up"),
        _ => {}
    }
}

/// A value, or a word in its place.
struct Or<'a, T>(Option<&'a T>, &'static str);

impl<T: core::fmt::Display> core::fmt::Display for Or<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

struct LeaseFor(Option<Duration>);

impl core::fmt::Display for LeaseFor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(lease) => write!(f, "lease {} s", lease.as_secs()),
            None => f.write_str("lease without end"),
        }
    }
}

fn now(machine: &Machine) -> Instant {
    Instant::from_micros(machine.clock.now_us())
}

/// How long to look for more after something came in. Short: where the device is another thread
/// of two cores, a core that spins is taken from it.
const SPIN: Duration = Duration::from_micros(20);

/// How often the device is asked for its link: two register reads.
const LINK_INTERVAL: Duration = Duration::from_secs(1);

/// How often to poll a device whose interrupt cannot be had.
const TICK: Duration = Duration::from_millis(1);

/// How long nobody must be connected before that is told.
const HOME_QUIET: Duration = Duration::from_millis(50);

/// How often to look whether the last frames have come home.
const HOME_INTERVAL: Duration = Duration::from_millis(10);
