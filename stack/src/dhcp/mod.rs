//! A DHCPv4 client (RFC 2131): asks for an address, keeps it alive, gives it up in time.
//!
//! ```text
//!   start ─► Selecting ─── Offer ──► Requesting ── Ack ──► Bound
//!    ▲        │  ▲ discover,          │ request,            │ T1
//!    │        └──┘ 1 2 4 .. 64 s      │ 4 times             ▼
//!    │                                │             Renewing ─ Ack ─► Bound
//!    ├──────── Nak, no answer ────────┘                     │ T2, or the link is up again
//!    │                                                      ▼
//!    └── Nak, or the lease is over: the address goes ─ Rebinding ─ Ack ─► Bound
//! ```
//!
//! Renewing asks the server that lent the address, Rebinding any. RFC 2131's INIT is `Selecting`
//! before its first message. INIT-REBOOT is not needed: nothing survives a boot. After a loss of
//! link the lease is confirmed by rebinding at once, so that connections live on if the network is
//! the same. DECLINE is not done.

use core::net::Ipv4Addr;

use heapless::Deque;
use simoom_ring::TxRing;

use crate::addr::{Addr, Cidr, Endpoint};
use crate::config;
use crate::counters::DropReason;
use crate::net::Net;
use crate::random::Random;
use crate::time::{Duration, Instant};
use crate::udp;
use crate::wire::dhcpv4::{CLIENT_PORT, Message, MessageType, Repr, SERVER_PORT};
use crate::wire::udp::Repr as UdpRepr;

mod lease;

pub use lease::Lease;

/// What the client has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It asks who serves here, for the `tries`-th time since it began.
    Discovering {
        /// 1 for the first.
        tries: u32,
    },
    /// There is an address.
    Bound {
        /// Our address and network.
        cidr: Cidr,
        /// The way out of it.
        gateway: Option<Addr>,
        /// How long it lasts; `None` for ever.
        lease: Option<Duration>,
    },
    /// The address may be used for longer.
    Renewed {
        /// How long, from now on; `None` for ever.
        lease: Option<Duration>,
    },
    /// A server refused the request.
    Refused,
    /// The address had to be given up.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Selecting,
    Requesting { addr: Ipv4Addr, server: Ipv4Addr },
    Bound,
    Renewing,
    Rebinding,
}

/// The client.
#[derive(Debug)]
pub struct Dhcp {
    state: State,
    lease: Option<Lease>,
    /// When the next message goes, or the next timer of the lease fires.
    due: Instant,
    /// Messages sent in this state.
    tries: u32,
    /// Requests that came to nothing since there was a lease.
    failures: u32,
    /// Names this exchange, so that answers to others are told apart.
    xid: u32,
    /// When this exchange began, for `secs`.
    began_at: Instant,
    /// When the last request went out: a lease runs from then.
    asked_at: Instant,
    /// Whether a lease is being confirmed after a loss of link: quickly, with backoff.
    is_confirming: bool,
    random: Random,
    events: Deque<Event, { config::DHCP_EVENTS_MAX }>,
}

impl Dhcp {
    /// A client that is off. The seed should differ between machines: transaction ids and jitter
    /// come from it.
    pub const fn new(seed: u64) -> Self {
        Self {
            state: State::Off,
            lease: None,
            due: Instant::NEVER,
            tries: 0,
            failures: 0,
            xid: 0,
            began_at: Instant::ZERO,
            asked_at: Instant::ZERO,
            is_confirming: false,
            random: Random::new(seed),
            events: Deque::new(),
        }
    }

    /// Begins to ask for an address, at the next poll, if the client is off. RFC 2131 4.4.1 wants
    /// a random wait of up to ten seconds first; a machine that boots in milliseconds, alone, does
    /// not do that.
    pub fn start(&mut self, now: Instant) {
        if !self.is_on() {
            self.enter(State::Selecting, now);
        }
    }

    /// Whether the client is at work.
    pub fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// What was lent to us, while it lasts.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The oldest event that was not taken yet.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The link is up again: confirms the lease, or starts anew.
    pub fn link_up(&mut self, now: Instant) {
        match self.state {
            State::Off => {}
            State::Bound | State::Renewing | State::Rebinding => {
                self.enter(State::Rebinding, now);
                self.is_confirming = true;
            }
            State::Selecting | State::Requesting { .. } => {
                self.failures = 0;
                self.enter(State::Selecting, now);
            }
        }
    }

    /// When the client next has something to do.
    pub(crate) fn poll_at(&self) -> Instant {
        self.due
    }

    /// Sends what is due, and gives up what is over.
    #[inline]
    pub(crate) fn poll<'p>(&mut self, net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant) {
        if now >= self.due {
            self.act(net, tx, now);
        }
    }

    #[cold]
    fn act<'p>(&mut self, net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant) {
        let (rebind_at, expires_at) = self.deadlines();
        match self.state {
            State::Requesting { .. } if self.tries >= config::DHCP_REQUESTS_MAX => {
                self.failures = self.failures.saturating_add(1);
                self.enter(State::Selecting, now);
            }
            State::Bound | State::Renewing | State::Rebinding if now >= expires_at => {
                self.lose(net, now);
            }
            State::Bound | State::Renewing if now >= rebind_at => self.enter(State::Rebinding, now),
            State::Bound => self.enter(State::Renewing, now),
            _ => {}
        }
        self.send(net, tx, now);
    }

    /// A message came in on our port.
    pub(crate) fn input<'p>(
        &mut self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        now: Instant,
        bytes: &[u8],
    ) {
        match Message::parse(bytes) {
            Some(message) if message.xid == self.xid && message.chaddr == net.mac => {
                if self.receive(net, now, &message).is_none() {
                    net.counters.drop(DropReason::DhcpIgnored);
                }
                self.poll(net, tx, now);
            }
            _ => net.counters.drop(DropReason::DhcpIgnored),
        }
    }

    /// Advances the state; `None` when the message does not belong there or makes no sense.
    fn receive(&mut self, net: &mut Net<'_>, now: Instant, message: &Message) -> Option<()> {
        // Nothing is an answer before something was asked.
        if self.tries == 0 {
            return None;
        }
        match (self.state, message.kind) {
            // RFC 2131 4.4.1: any policy of choice will do; the first offer is the fastest.
            (State::Selecting, MessageType::Offer) => {
                let lease = Lease::from_ack(message, now)?;
                let (addr, server) = (message.yiaddr, lease.server);
                let (xid, began_at) = (self.xid, self.began_at);
                self.enter(State::Requesting { addr, server }, now);
                // RFC 2131 4.4.1: one exchange, so the same id and the same `secs`.
                (self.xid, self.began_at) = (xid, began_at);
            }
            (State::Requesting { addr, server }, MessageType::Ack) => {
                let lease = Lease::from_ack(message, self.asked_at)?;
                if (message.yiaddr, lease.server) != (addr, server) {
                    return None;
                }
                self.bind(net, lease);
            }
            (State::Renewing | State::Rebinding, MessageType::Ack) => {
                let lease = Lease::from_ack(message, self.asked_at)?;
                let ours = self.lease.as_ref().map(|lease| lease.cidr.addr());
                if ours != Some(lease.cidr.addr()) {
                    return None;
                }
                self.bind(net, lease);
            }
            (State::Requesting { server, .. }, MessageType::Nak) => {
                // Another server may refuse what this one has offered: that is not its business.
                if message.server_id != Some(server) {
                    return None;
                }
                self.push(Event::Refused);
                self.failures = self.failures.saturating_add(1);
                self.enter(State::Selecting, now);
                // A server that offers and refuses again and again is not asked faster than one
                // that is silent.
                self.due = now + self.backoff(self.failures.saturating_sub(1));
            }
            (State::Renewing | State::Rebinding, MessageType::Nak) => {
                self.push(Event::Refused);
                self.lose(net, now);
            }
            _ => return None,
        }
        Some(())
    }

    /// Takes a lease into use.
    fn bind(&mut self, net: &mut Net<'_>, lease: Lease) {
        let (cidr, gateway, duration) = (lease.cidr, lease.gateway, lease.duration);
        let is_renewal = self.lease.is_some();
        net.configure(cidr, gateway);
        let mtu = lease.mtu.map_or(net.caps.mtu, |mtu| mtu.min(net.caps.mtu));
        net.set_mtu(mtu);
        self.state = State::Bound;
        self.due = lease.renew_at;
        self.tries = 0;
        self.failures = 0;
        self.is_confirming = false;
        self.lease = Some(lease);
        self.push(match is_renewal {
            true => Event::Renewed { lease: duration },
            false => Event::Bound {
                cidr,
                gateway,
                lease: duration,
            },
        });
    }

    /// Gives the address up and starts anew.
    fn lose(&mut self, net: &mut Net<'_>, now: Instant) {
        net.deconfigure();
        self.lease = None;
        self.push(Event::Lost);
        self.enter(State::Selecting, now);
    }

    /// Begins an exchange. Its first message is due at once.
    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.tries = 0;
        self.is_confirming = false;
        self.xid = self.random.next_u32();
        self.began_at = now;
        self.due = now;
    }

    /// Sends the message of this state and sets the time of the next. One that could not be sent
    /// counts as lost on the way.
    fn send<'p>(&mut self, net: &mut Net<'p>, tx: &mut impl TxRing<'p>, now: Instant) {
        let ours = net
            .addr()
            .and_then(Addr::as_v4)
            .unwrap_or(Ipv4Addr::UNSPECIFIED);
        let lenders = self.lease.as_ref().map(|lease| lease.server);
        let message = Repr {
            kind: MessageType::Request,
            xid: self.xid,
            secs: u16::try_from(now.since(self.began_at).as_secs()).unwrap_or(u16::MAX),
            broadcast: false,
            ciaddr: ours,
            mac: net.mac,
            requested: None,
            server_id: None,
        };
        // RFC 2131 4.1: as long as we take no datagram to an address that we do not have yet,
        // answers must be broadcast. Table 5: what goes into which request.
        let unbound = Repr {
            broadcast: true,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            ..message
        };
        let (message, dst) = match (self.state, lenders) {
            (State::Off | State::Bound, _) => return,
            (State::Selecting, _) => {
                let kind = MessageType::Discover;
                (Repr { kind, ..unbound }, Ipv4Addr::BROADCAST)
            }
            (State::Requesting { addr, server }, _) => {
                let (requested, server_id) = (Some(addr), Some(server));
                (
                    Repr {
                        requested,
                        server_id,
                        ..unbound
                    },
                    Ipv4Addr::BROADCAST,
                )
            }
            (State::Renewing, Some(server)) => (message, server),
            (State::Renewing | State::Rebinding, _) => (message, Ipv4Addr::BROADCAST),
        };
        if self.state == State::Selecting {
            let tries = self.tries.saturating_add(1);
            self.push(Event::Discovering { tries });
        }
        self.due = self.next_try(now);
        self.tries = self.tries.saturating_add(1);
        self.asked_at = now;
        let src = Endpoint::new(message.ciaddr, CLIENT_PORT);
        let dst = Endpoint::new(dst, SERVER_PORT);
        if let Ok(frame) = udp::payload(net, &message.emit()) {
            // What goes wrong is counted where it does.
            let _ = udp::output(net, tx, now, frame, UdpRepr { src, dst }, 0);
        }
    }

    /// When to send the message of this state again.
    fn next_try(&mut self, now: Instant) -> Instant {
        let (rebind_at, expires_at) = self.deadlines();
        let deadline = match self.state {
            State::Renewing => rebind_at,
            State::Rebinding => expires_at,
            _ => return now + self.backoff(self.tries),
        };
        if self.is_confirming && self.tries < CONFIRMATIONS_MAX {
            return deadline.min(now + self.backoff(self.tries));
        }
        // RFC 2131 4.4.5: half of the time that is left, but not less than a minute.
        let half = Duration::from_micros(deadline.since(now).as_micros() / 2);
        deadline.min(now + half.max(config::DHCP_RENEW_INTERVAL_MIN))
    }

    /// T2 and the end of the lease.
    fn deadlines(&self) -> (Instant, Instant) {
        match &self.lease {
            Some(lease) => (lease.rebind_at, lease.expires_at),
            None => (Instant::NEVER, Instant::NEVER),
        }
    }

    /// The wait after a message that `tries` others preceded: doubled each time, spread by a
    /// quarter to either side but by no more than a second (RFC 2131 4.1).
    fn backoff(&mut self, tries: u32) -> Duration {
        let doubled = config::DHCP_RETRY_FIRST.saturating_mul(1 << tries.min(16));
        let wait = doubled.min(config::DHCP_RETRY_MAX).as_micros();
        let spread = (wait / 4).min(Duration::from_secs(1).as_micros());
        Duration::from_micros(wait - spread + self.random.below(2 * spread + 1))
    }

    /// Queues an event; the oldest makes room.
    fn push(&mut self, event: Event) {
        if self.events.is_full() {
            self.events.pop_front();
        }
        // There is room now.
        let _ = self.events.push_back(event);
    }
}

/// Requests that follow each other quickly after a loss of link.
const CONFIRMATIONS_MAX: u32 = 4;

#[cfg(test)]
mod tests;
