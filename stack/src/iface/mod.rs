//! The interface: one port's queue pair, one address, and the loop that a packet's way begins in.
//!
//! ```text
//!   poll ── rx.sync ── recv ─► eth ─► ip ─► tcp | udp | icmp     a burst
//!     │                └─────► arp
//!     ├── timers: dhcp, arp, tcp; connections that waited for the ring
//!     └── tx.sync                                                one kick
//! ```

mod calls;
pub(crate) mod others;
mod siblings;
mod survey;

use core::num::NonZeroU8;

use simoom_ring::{Caps, FramePool, LinkState, MacAddr, Queue, RxPacket, RxRing, TxRing};

use crate::addr::{Addr, Cidr, Endpoint};
use crate::config::BURST_MAX;
use crate::counters::Counters;
use crate::dhcp::{self, Dhcp};
use crate::eth::EtherType;
use crate::ip::proto;
use crate::net::Net;
use crate::random::Random;
use crate::tcp::{
    App, Conn, ConnId, ConnectError, Cx, Levels, ListenError, ListenerId, Settings, Storage, Tcp,
};
use crate::time::Instant;
use crate::udp::{BindError, Udp, UdpOut};
use crate::wire::dhcpv4::CLIENT_PORT;
use crate::{arp, eth, icmp, ip, udp};
pub(crate) use others::Stray;
use siblings::Alone;
pub use siblings::{Asked, Siblings};
pub use survey::Surveyed;

/// What a poll leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Polled {
    /// Nothing is left to do before [`Stack::poll_at`] or the next interrupt.
    Idle,
    /// The budget of one poll is used up: poll again.
    Busy,
}

/// What a stack is made of and over.
pub struct Setup<'p, A: App> {
    /// Frames, the same pool that the queue was filled from. What is free now is what received
    /// data will share.
    pub pool: &'p FramePool<'p>,
    /// What the port can do.
    pub caps: Caps,
    /// The port's address.
    pub mac: MacAddr,
    /// TCP's memory.
    pub storage: Storage<'p, A>,
    /// What TCP offers and does.
    pub tcp: Settings,
    /// 128 bits of good entropy (RFC 6528 3): ports, sequence numbers and hashes must not be
    /// guessed.
    pub seed: u128,
    /// Now.
    pub now: Instant,
}

impl<A: App> Drop for Stack<'_, A> {
    fn drop(&mut self) {
        self.above.tcp.forget_unread(self.net.pool);
    }
}

/// A TCP/IP stack over one queue pair.
pub struct Stack<'p, A: App> {
    net: Net<'p>,
    above: Above<'p, A>,
}

/// What lies above the network layer.
struct Above<'p, A: App> {
    udp: Udp,
    dhcp: Dhcp,
    tcp: Tcp<'p, A>,
}

impl<'p, A: App> Stack<'p, A> {
    /// A stack without an address.
    ///
    /// # Panics
    /// When `storage` has fewer timers than connections and half-open connections together.
    pub fn new(setup: Setup<'p, A>) -> Self {
        let Setup {
            pool,
            caps,
            mac,
            storage,
            tcp,
            seed,
            now,
        } = setup;
        let mut random = Random::of(seed);
        let dhcp = Dhcp::new(random.next_u64());
        let net = Net::new(pool, caps, mac);
        Self {
            net,
            above: Above {
                udp: Udp::new(),
                dhcp,
                tcp: Tcp::new(storage, tcp, random, now),
            },
        }
    }

    /// Takes a burst from the receive ring, lets every packet have its answer on the transmit
    /// ring, looks at the timers, and publishes the burst. All of it is bounded.
    #[inline]
    pub fn poll<Q: Queue<'p>>(&mut self, now: Instant, queue: &mut Q, app: &mut A) -> Polled {
        let (rx, tx) = queue.rings();
        self.poll_rings(now, rx, tx, app)
    }

    /// [`poll`](Self::poll) for whoever stands between the stack and the rings of a queue.
    #[inline]
    pub fn poll_rings<R: RxRing<'p>, T: TxRing<'p>>(
        &mut self,
        now: Instant,
        rx: &mut R,
        tx: &mut T,
        app: &mut A,
    ) -> Polled {
        self.poll_among(now, &mut Alone(rx), tx, app)
    }

    /// [`poll`](Self::poll) of a stack that has its address together with others.
    pub fn poll_among<R: Siblings<'p>, T: TxRing<'p>>(
        &mut self,
        now: Instant,
        rx: &mut R,
        tx: &mut T,
        app: &mut A,
    ) -> Polled {
        let Self { net, above } = self;
        let cx = &mut Cx { net, tx, app, now };
        cx.net.others.are = rx.has_any();
        if rx.has_any() {
            above.hear_of_opened(cx, rx);
        }
        let mut left = rx.sync();
        // What a timer or a call has dropped is no fault of the first packet.
        cx.net.counters.take_last_drop();
        for _ in 0..left.min(BURST_MAX) {
            let Some(pkt) = rx.recv() else {
                // A large packet takes several places of the ring.
                left = 0;
                break;
            };
            left -= 1;
            above.input(cx, pkt);
            if rx.has_any() && cx.net.others.has_news() {
                above.tell_others(cx, rx);
            }
            if let Some(reason) = cx.net.counters.take_last_drop() {
                rx.dropped(reason.name());
            }
        }
        above.tcp.settle_last(cx);
        above.dhcp.poll(cx.net, cx.tx, now);
        arp::poll(cx.net, cx.tx, now);
        let has_more = above.tcp.poll(cx);
        cx.tx.sync();
        let is_unblocked = above.tcp.can_resume(cx.net, cx.tx.space());
        if left > 0 || has_more || is_unblocked {
            Polled::Busy
        } else {
            Polled::Idle
        }
    }

    /// When [`poll`](Self::poll) must be called again if nothing comes in; `Instant::NEVER` if
    /// only a packet can change anything.
    pub fn poll_at(&self, now: Instant) -> Instant {
        let below = self.above.dhcp.poll_at().min(self.net.neighbors.poll_at());
        below.min(self.above.tcp.next_at(now))
    }

    /// Gives the interface an address.
    pub fn configure(&mut self, cidr: Cidr, gateway: Option<Addr>) {
        self.net.configure(cidr, gateway);
    }

    /// As [`configure`](Self::configure), with an address that another stack of the same station,
    /// on another queue, announces and defends.
    pub fn share(&mut self, cidr: Cidr, gateway: Option<Addr>) {
        self.net.share(cidr, gateway);
    }

    /// Who else speaks for our address (RFC 5227 2.4), once in ten seconds at most. It was
    /// announced anew then, and is kept.
    pub fn conflict(&mut self) -> Option<MacAddr> {
        self.net.neighbors.take_conflict()
    }

    /// Gives the address up, and all that was learned with it.
    pub fn deconfigure(&mut self) {
        self.net.deconfigure();
    }

    /// Looks for an address by DHCP; what comes of it is told by
    /// [`dhcp_event`](Self::dhcp_event).
    pub fn start_dhcp(&mut self, now: Instant) {
        self.above.dhcp.start(now);
    }

    /// The next thing that the DHCP client has to tell.
    pub fn dhcp_event(&mut self) -> Option<dhcp::Event> {
        self.above.dhcp.event()
    }

    /// Sets the time to live of what is sent from now on (RFC 9293 3.9.2, RFC 1122 3.2.1.7).
    pub fn set_ttl(&mut self, ttl: NonZeroU8) {
        self.net.ttl = ttl;
    }

    /// Tells the stack what the port says of its link.
    pub fn set_link(&mut self, link: LinkState, now: Instant) {
        if link != self.net.link && link == LinkState::Up {
            self.above.dhcp.link_up(now);
        }
        self.net.link = link;
    }

    /// Has the neighbors hear where we are, as after a new address (RFC 5227 2.3).
    pub fn announce(&mut self) {
        self.net.neighbors.announce();
    }

    /// Our address and network, once there is one.
    pub fn cidr(&self) -> Option<Cidr> {
        self.net.cidr
    }

    /// The next hop for what is not on our network.
    pub fn gateway(&self) -> Option<Addr> {
        self.net.gateway
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.net.counters
    }

    /// Payload bytes that the device is given at most to cut into segments; 0 for one segment.
    pub fn super_segment_len_max(&self) -> u32 {
        self.net.super_len
    }

    /// How full the tables are.
    pub fn levels(&self) -> Levels {
        self.above.tcp.levels(self.net.receivers)
    }

    /// Accepts TCP connections to `port` (LISTEN). `backlog` bounds the half-open connections, and
    /// those that wait to be accepted.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&mut self, port: u16, backlog: u16) -> Result<ListenerId, ListenError> {
        self.above.tcp.listen(port, backlog)
    }

    /// Lets clients open connections to one listener fast, or not (RFC 7413), whatever
    /// [`Settings::fast_open`](crate::tcp::Settings::fast_open) has it begin with. What is said
    /// there of requests that can come twice holds here.
    pub fn set_fast_open(&mut self, id: ListenerId, has_fast_open: bool) {
        self.above.tcp.set_fast_open(id, has_fast_open);
    }

    /// Accepts no more connections. Those that were accepted go on; those that wait in the accept
    /// queue are aborted, and those that are half-open forgotten.
    pub fn unlisten(&mut self, id: ListenerId) {
        self.above.tcp.unlisten(id);
    }

    /// Opens a TCP connection; [`App::connected`] or [`App::closed`] says what came of it.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote: Endpoint,
        state: A::Conn,
    ) -> Result<ConnId, ConnectError> {
        self.above.tcp.connect(&self.net, now, remote, state)
    }

    /// Acts on a connection outside of a call of the application's; what is queued goes out at
    /// the next [`poll`](Self::poll). `None` when the connection is gone.
    pub fn with_conn<R>(
        &mut self,
        now: Instant,
        id: ConnId,
        act: impl FnOnce(&mut Conn<'_, 'p, A::Congestion>, Option<&mut A::Conn>) -> R,
    ) -> Option<R> {
        self.above.tcp.with_conn(&self.net, now, id, act)
    }

    /// The names of all connections, in no order: to end them one by one when the server ends.
    /// Looks at the whole table.
    pub fn conn_ids(&self) -> impl Iterator<Item = ConnId> {
        self.above.tcp.conn_ids()
    }

    /// Gives datagrams for `port` to [`App::datagram`].
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(&mut self, port: u16) -> Result<(), BindError> {
        self.above.udp.bind(port)
    }

    /// Takes a UDP port back; false if it was not bound.
    pub fn unbind(&mut self, port: u16) -> bool {
        self.above.udp.unbind(port)
    }
}

impl<'p, A: App> Above<'p, A> {
    /// A packet's way in.
    #[inline]
    fn input<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, pkt: RxPacket<'p>) {
        if let Some(pkt) = self.tcp.input_expected(cx, pkt) {
            self.input_any(cx, pkt);
        }
    }

    /// The way of every packet that is not the next segment of a connection.
    #[inline(never)]
    fn input_any<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, mut pkt: RxPacket<'p>) {
        let now = cx.now;
        let Some(frame) = eth::input(cx.net, &mut pkt) else {
            return;
        };
        if frame.ethertype == EtherType::Arp {
            return arp::input(cx.net, cx.tx, now, pkt);
        }
        let Some(ip) = ip::input(cx.net, &mut pkt, frame.is_broadcast) else {
            return;
        };
        match ip.proto {
            proto::TCP => self.tcp.input(cx, &ip, pkt),
            proto::UDP => {
                let mut out = UdpOut::new(cx.net, cx.tx, now);
                let (has_dhcp, dhcp) = (self.dhcp.is_on(), &mut self.dhcp);
                let deliver =
                    |out: &mut UdpOut<'_, 'p, T>, local: Endpoint, remote, bytes: &[u8]| {
                        if has_dhcp && local.port == CLIENT_PORT {
                            dhcp.input(out.net, out.tx, out.now, bytes);
                        } else {
                            cx.app.datagram(out, local, remote, bytes);
                        }
                    };
                udp::input(&self.udp, has_dhcp, &mut out, &ip, pkt, deliver);
            }
            proto::ICMP => {
                let notice = icmp::input(cx.net, cx.tx, now, &ip, pkt);
                let Some(notice) = notice else { return };
                if notice.proto == proto::TCP {
                    self.tcp.notice(cx, &notice);
                } else if notice.proto == proto::UDP && self.udp.is_bound(notice.local.port) {
                    cx.app
                        .undelivered(notice.local, notice.remote, notice.cause);
                }
            }
            _ => icmp::unknown_protocol(cx.net, cx.tx, now, &ip, pkt),
        }
    }
}

#[cfg(test)]
mod tests;
