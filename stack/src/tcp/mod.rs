//! TCP (RFC 9293).
//!
//! ```text
//!   Tcp::input ─ demux ─┬─ conns.rs   Arrival::segment_arrives (input/) ─ App ─ output.rs
//!                       ├─ opening.rs  SYN queue (listen.rs): the third step of a handshake
//!                       ├─ opening.rs  listener: the first step
//!                       └─ time_wait.rs
//!   Tcp::input_expected ─ expected.rs: the short cut for what nearly every segment is
//!   Tcp::timers ─ wheel.rs ─ timers.rs ─ App ─ output.rs
//! ```
//!
//! - `tcb.rs`, `snd.rs`, `rcv.rs`: one connection; `state.rs` the table of its states; `flags.rs`,
//!   `deadline.rs`, `tuple.rs`: what keeps it small
//! - `bodies.rs`: what is queued to send, by reference; `load.rs`: what one packet
//!   carries of it; `flight/`: what of it is in flight
//! - `run.rs`: the short cut for many segments in a row
//! - `super_segment.rs`: packets of many segments, for a device that cuts them
//! - `recovery.rs`: losses, found out and recovered from
//! - `gaps.rs`: what has come behind a gap; `budget.rs`: how received data shares the frames
//! - `stray.rs`: what may be for a connection of another stack
//! - `active.rs`, `opening.rs`, `fast_open.rs`, `accept.rs`: how connections begin
//! - `bare.rs`: segments without text; `keyed.rs`: secret functions
//! - `ecn.rs`: congestion marks; `validation.rs`: whether the congestion window is used
//! - `rtt.rs`, `ts.rs`, [`cc`]: timeouts, timestamps and congestion control
//! - [`App`] and [`calls`]: the application's two ways in

mod accept;
mod active;
mod app;
mod bare;
mod bodies;
mod budget;
pub mod calls;
pub mod cc;
mod challenge;
mod conns;
mod cookies;
mod deadline;
mod demux;
mod ecn;
mod expected;
mod fast_open;
mod flags;
mod flight;
mod flood;
mod gaps;
mod idx;
mod input;
mod keep;
mod kept;
mod keyed;
mod listen;
mod load;
mod narrowed;
mod opening;
mod output;
mod path;
mod plain;
mod rcv;
mod recovery;
mod rtt;
mod run;
pub mod seqnum;
mod settings;
mod slots;
pub(crate) mod snd;
mod state;
mod status;
mod stray;
pub(crate) mod super_segment;
mod tcb;
mod time_wait;
mod timers;
mod totals;
mod ts;
pub(crate) mod tuple;
mod unlisten;
mod validation;
mod wheel;

#[cfg(test)]
mod tests;

pub use active::ConnectError;
pub use app::{App, Closed, Conn, ConnId};
pub use bodies::{BodyNode, SendError};
pub(crate) use budget::Budget;
pub use demux::DemuxEntry;
pub use ecn::EcnUse;
pub use flight::{FlightEntry, SentNode};
pub use gaps::GapEntry;
pub use keep::KeepAlive;
pub use listen::{ListenError, ListenerId, SynEntry};
pub use settings::Settings;
pub use slots::ConnSlot;
pub use state::{Event, State};
pub use status::Status;
pub use time_wait::TimeWaitEntry;
pub use wheel::TimerNode;

use managed::ManagedSlice;
use simoom_ring::{FramePool, RxChecksum, RxPacket, TxRing};
use siphasher::sip::SipHasher24;

use crate::addr::{Addr, FourTuple};
use crate::config::{MSS_DEFAULT, MSS_MIN, READY_BURST_MAX, SEND_RETRY, TIMERS_BURST_MAX};
use crate::counters::DropReason;
use crate::ip::{Datagram, proto};
use crate::net::Net;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::ethernet;
use crate::wire::ipv4::Codepoint;
use crate::wire::tcp::{HEADER_LEN, Options, Segment};

use self::bodies::Bodies;
use self::challenge::ChallengeLimit;
use self::cookies::Cookies;
use self::demux::{Demux, Found};
use self::expected::{Acks, Image};
use self::fast_open::FastOpens;
use self::flight::Flights;
use self::gaps::Gaps;
use self::keyed::Key;
use self::listen::{Listeners, SynQueue};
use self::narrowed::Narrowed;
use self::seqnum::WndScale;
use self::slots::Conns;
use self::time_wait::TimeWaits;
use self::tuple::Tuple;
use self::wheel::Wheel;

/// The memory that TCP works in, given at start: the length of each slice is a maximum.
pub struct Storage<'p, A: App> {
    /// Connections; when full, a handshake's last step is dropped and counted.
    pub conns: ManagedSlice<'p, ConnSlot<'p, A>>,
    /// Half-open connections; when full, SYNs are dropped and counted.
    pub syns: ManagedSlice<'p, SynEntry>,
    /// Connections in TIME-WAIT; when full, the oldest goes early, counted.
    pub time_waits: ManagedSlice<'p, TimeWaitEntry>,
    /// Pieces queued to send; when full, sends are refused.
    pub bodies: ManagedSlice<'p, BodyNode<'p>>,
    /// Connections that have received something behind a gap; when full, such data is dropped and
    /// counted, and comes again. At most 65,535 are used.
    pub gaps: ManagedSlice<'p, GapEntry<'p>>,
    /// What is known of the data in flight, for connections that have any; when full, counted, a
    /// connection goes without: it recovers from losses more slowly.
    pub flights: ManagedSlice<'p, FlightEntry>,
    /// Ranges of data in flight, of all connections: some for each flight. When full, ranges are
    /// told apart less finely, counted.
    pub sent: ManagedSlice<'p, SentNode>,
    /// A timer for each connection and each half-open one.
    pub timers: ManagedSlice<'p, TimerNode>,
    /// The hash table: at least [`Storage::demux_len`] of what it has to find.
    pub demux: ManagedSlice<'p, DemuxEntry>,
}

impl<A: App> Storage<'_, A> {
    /// Places that the hash table needs so that all of these find theirs.
    pub const fn demux_len(conns: usize, syns: usize, time_waits: usize) -> usize {
        (2 * (conns + syns + time_waits)).next_power_of_two()
    }
}

/// What an event is worked on with, beside TCP's own tables.
pub(crate) struct Cx<'a, 'p, T, A> {
    pub(crate) net: &'a mut Net<'p>,
    pub(crate) tx: &'a mut T,
    pub(crate) app: &'a mut A,
    pub(crate) now: Instant,
}

/// All connections of one stack.
pub struct Tcp<'p, A: App> {
    conns: Conns<'p, A>,
    listeners: Listeners,
    syns: SynQueue<'p>,
    time_waits: TimeWaits<'p>,
    bodies: Bodies<'p>,
    gaps: Gaps<'p>,
    flights: Flights<'p>,
    narrowed: Narrowed,
    wheel: Wheel<'p>,
    demux: Demux<'p>,
    /// Of initial sequence numbers, and of what timestamps begin at.
    isn_key: Key,
    /// Where the neighbor table had the next hop of who came last.
    neighbor_hint: u8,
    cookies: Cookies,
    fast_opens: FastOpens,
    challenges: ChallengeLimit,
    random: Random,
    settings: Settings,
    /// The headers of what was sent last.
    template: run::Template,
    /// The connection that the last expected segment was for.
    recent: u32,
    /// What that segment looked like, while nothing else has happened to its connection.
    image: Image,
    /// Acknowledgments of it that wait for the end of the burst.
    acks: Acks,
    /// The one that expected segments have moved, and of which what follows is not sent yet.
    unsettled: u32,
    /// What it had in flight has become less.
    has_moved: bool,
    /// What follows from the segment that takes the long way now may wait as well.
    may_wait: bool,
}

impl<'p, A: App> Tcp<'p, A> {
    /// TCP over `storage`, with secrets drawn from `random`.
    ///
    /// # Panics
    /// When there are fewer timers than connections and half-open connections together.
    pub(crate) fn new(
        storage: Storage<'p, A>,
        settings: Settings,
        mut random: Random,
        now: Instant,
    ) -> Self {
        let Storage {
            conns,
            syns,
            time_waits,
            bodies,
            gaps,
            flights,
            sent,
            timers,
            demux,
        } = storage;
        let mut draw = || random.next_u64();
        let key = [draw(), draw(), draw(), draw()];
        let isn = [draw(), draw()];
        let cookies = Cookies::new(SipHasher24::new_with_keys(draw(), draw()));
        let (conns, syns) = (Conns::new(conns), SynQueue::new(syns));
        let wheel = Wheel::new(timers, now);
        let challenges = ChallengeLimit::new(Random::new(draw()));
        let [isn, [k0, k1]] = settings.in_common([isn, [draw(), draw()]]);
        let fast_opens = FastOpens::new(SipHasher24::new_with_keys(k0, k1));
        assert!(
            wheel.len() >= conns.len() + syns.capacity(),
            "Storage::timers has one for each connection, half-open or not"
        );
        Self {
            conns,
            listeners: Listeners::default(),
            syns,
            time_waits: TimeWaits::new(time_waits),
            bodies: Bodies::new(bodies),
            gaps: Gaps::new(gaps),
            flights: Flights::new(flights, sent),
            narrowed: Narrowed::default(),
            wheel,
            demux: Demux::new(demux, key),
            isn_key: Key(isn),
            neighbor_hint: 0,
            cookies,
            challenges,
            fast_opens,
            random,
            settings,
            template: run::Template::NONE,
            recent: idx::NONE,
            image: Image::NONE,
            acks: Acks::NONE,
            unsettled: idx::NONE,
            has_moved: false,
            may_wait: false,
        }
    }

    /// A segment came in. The packet's window begins at the TCP header.
    #[inline]
    pub(crate) fn input<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        ip: &Datagram,
        mut pkt: RxPacket<'p>,
    ) {
        cx.net.counters.tcp_segments_in += 1;
        let (seg, options) = match parse(ip, &pkt) {
            Ok(parsed) => parsed,
            Err(reason) => return cx.net.counters.drop(reason),
        };
        let local = crate::Endpoint::new(ip.dst, seg.dst_port);
        let remote = crate::Endpoint::new(ip.src, seg.src_port);
        match Tuple::new(&FourTuple { local, remote }) {
            Some(tuple) => {
                let front_len = ethernet::HEADER_LEN + usize::from(ip.header_len) + seg.header_len;
                pkt.frame.pull(seg.header_len);
                let hash = self.demux.hash(tuple);
                let found = (tuple, hash, self.find(hash, tuple));
                self.arrives_for(cx, found, seg, &options, pkt, front_len);
            }
            None => cx.net.counters.drop(DropReason::TcpNoConnection),
        }
    }

    /// A segment that is good in itself came in, for what was found by the hash of its four-tuple.
    /// The packet's window begins at its text, behind so many bytes of headers.
    #[inline(never)]
    fn arrives_for<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        (tuple, hash, found): (Tuple, u64, Option<Found>),
        seg: Segment,
        options: &Options,
        pkt: RxPacket<'p>,
        front_len: usize,
    ) {
        if cx.net.others.may_know()
            && let Some(has_trace) = self.is_stray(cx, found, tuple, &seg, options)
        {
            return stray::lay_aside(cx, pkt, front_len, has_trace);
        }
        match found {
            Some(Found::Conn(idx)) => self.arrives(cx, idx, seg, options, pkt),
            Some(Found::Syn(idx)) => self.arrives_half_open(cx, idx, hash, seg, options, pkt),
            Some(Found::TimeWait(idx)) => {
                self.arrives_late(cx, idx, hash, tuple, seg, options);
            }
            None => self.arrives_unknown(cx, hash, tuple, seg, options, pkt),
        }
    }

    #[inline]
    fn find(&self, hash: u64, tuple: Tuple) -> Option<Found> {
        self.demux.find(hash, |found| match found {
            Found::Conn(idx) => self.conns.is(idx, tuple),
            Found::Syn(idx) => self.syns.get(idx).is_some_and(|entry| entry.tuple == tuple),
            Found::TimeWait(idx) => self.time_waits.is(idx, hash),
        })
    }

    /// Lets everything happen whose time has come, and sends what waited for space on the ring.
    /// True when there is more to do at once.
    #[inline]
    pub(crate) fn poll<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>) -> bool {
        let is_due = self.conns.has_ready()
            || self.wheel.may_fire(cx.now)
            || self.time_waits.expired(cx.now).is_some();
        let has_more = is_due && self.act(cx);
        cx.net.counters.tcp_sent_merged = self.flights.merged_cnt();
        cx.net.counters.tcp_sends_refused = self.bodies.refused_cnt();
        has_more
    }

    /// Something waits, or its time may have come.
    #[inline(never)]
    fn act<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>) -> bool {
        for _ in 0..READY_BURST_MAX {
            if !self.conns.has_ready() || !self.can_resume(cx.net, cx.tx.space()) {
                break;
            }
            let Some(idx) = self.conns.pop_ready() else {
                break;
            };
            self.resume(cx, idx);
        }
        for _ in 0..TIMERS_BURST_MAX {
            let Some(id) = self.wheel.fire(cx.now) else {
                break;
            };
            match id.checked_sub(self.conns.len() as u32) {
                None => self.conn_timers(cx, id),
                Some(syn) => self.syn_timer(cx, syn),
            }
        }
        for _ in 0..TIMERS_BURST_MAX {
            let Some(idx) = self.time_waits.expired(cx.now) else {
                break;
            };
            self.forget_time_wait(idx);
        }
        self.can_resume(cx.net, cx.tx.space())
            || self.wheel.is_due(cx.now)
            || self.time_waits.expired(cx.now).is_some()
    }

    /// Whether a connection waits for space on the transmit ring or for a frame, and can go on.
    pub(crate) fn can_resume(&self, net: &Net<'_>, space: usize) -> bool {
        self.conns.has_ready() && space > 0 && net.pool.free_cnt() > 0
    }

    /// When `poll` has something to do next.
    pub(crate) fn next_at(&self, now: Instant) -> Instant {
        let timer = self.wheel.next_at().unwrap_or(Instant::NEVER);
        let time_wait = self.time_waits.next_at(now).unwrap_or(Instant::NEVER);
        // What waits for space or frames looks again by itself, too.
        let retry = match self.conns.has_ready() {
            true => now + SEND_RETRY,
            false => Instant::NEVER,
        };
        timer.min(time_wait).min(retry)
    }

    /// The stack is over: sends home what no application has taken, which is parked in the pool.
    pub(crate) fn forget_unread(&mut self, pool: &'p FramePool<'p>) {
        self.conns.each(|tcb| tcb.rcv.forget_unread(pool));
    }

    fn forget_time_wait(&mut self, idx: u32) {
        if let Some(hash) = self.time_waits.remove(idx) {
            self.demux.remove(hash, Found::TimeWait(idx));
        }
    }

    /// The window scale that we offer, if we do.
    fn our_wscale(&self, net: &Net<'p>) -> Option<WndScale> {
        (self.settings.window_scaling).then(|| net.budget().wscale())
    }

    /// Connections, half-open connections and connections in TIME-WAIT now.
    pub(crate) fn levels(&self, receivers: u32) -> Levels {
        let (bodies_free, bodies_max) = self.bodies.levels();
        let (flights, sent) = self.flights.levels();
        Levels {
            conns: self.conns.cnt(),
            syns: self.syns.len(),
            time_waits: self.time_waits.len(),
            bodies: bodies_max.saturating_sub(bodies_free as usize),
            generated: self.bodies.generated_cnt(),
            gaps: self.gaps.cnt(),
            receivers,
            flights,
            sent,
        }
    }
}

/// How full TCP's tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Connections, in any state from SYN-SENT to LAST-ACK.
    pub conns: usize,
    /// Half-open connections.
    pub syns: usize,
    /// Connections in TIME-WAIT.
    pub time_waits: usize,
    /// Pieces queued to send.
    pub bodies: usize,
    /// Frames of generated bytes among those.
    pub generated: u32,
    /// Connections that have received something behind a gap.
    pub gaps: usize,
    /// Connections that hold received data: behind a gap, or not taken by the application.
    pub receivers: u32,
    /// Connections with something in flight.
    pub flights: usize,
    /// Ranges in flight.
    pub sent: usize,
}

/// Checks a segment: addresses, lengths, checksum.
#[inline]
fn parse(ip: &Datagram, pkt: &RxPacket<'_>) -> Result<(Segment, Options), DropReason> {
    if ip.is_broadcast || !ip.src.is_unicast() {
        return Err(DropReason::TcpNotUnicast);
    }
    let bytes = pkt.frame.bytes();
    let mut seg = Segment::parse(bytes, pkt.frame_len()).ok_or(DropReason::TcpMalformed)?;
    seg.ecn = Codepoint::of(ip.tos);
    if pkt.csum == RxChecksum::Unknown {
        let mut sum = Sum::pseudo_header(ip.src, ip.dst, proto::TCP, ip.payload_len);
        sum.add(bytes);
        pkt.rest.for_each(|bytes| sum.add(bytes));
        if !sum.is_valid() {
            return Err(DropReason::TcpChecksum);
        }
    }
    let options = match bytes.get(HEADER_LEN..seg.header_len) {
        Some(options) if !options.is_empty() => Options::parse(options),
        _ => Options::default(),
    };
    Ok((seg, options))
}

/// The largest segment that we send: what they accept, if we may send that much.
fn smss(theirs: Option<u16>, ours: u16) -> u16 {
    let theirs = theirs.unwrap_or(MSS_DEFAULT);
    theirs.clamp(MSS_MIN, ours.max(MSS_MIN))
}

/// The largest segment that we send to `remote`: less where the path is known to be narrow.
fn smss_to(net: &Net<'_>, remote: Addr, theirs: Option<u16>, now: Instant) -> u16 {
    let path = net.path_mtus.get(remote, now).unwrap_or(u16::MAX);
    smss(theirs, net.rmss().min(path.saturating_sub(40)))
}
