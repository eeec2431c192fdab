//! The stack under test in virtual time: its rings, its clock, and a link whose other end answers
//! ARP and nothing else.

use std::collections::VecDeque;
use std::net::IpAddr;

use simoom::iface::Setup;
use simoom::tcp::calls::Calls;
use simoom::tcp::cc::{Algorithm, Chosen};
use simoom::tcp::{
    BodyNode, ConnSlot, DemuxEntry, EcnUse, FlightEntry, GapEntry, SentNode, Settings, Storage,
    SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Duration, Instant, Polled, Stack};
use simoom_ring::{
    Armed, Caps, Figures, FramePool, MacAddr, Queue, RxPacket, RxRing, TxPacket, TxRing,
};

use super::config::Config;
use super::lex::Error;
use super::wire;

/// The application of the stack under test.
pub(crate) type App = Calls<Chosen>;

/// A packet that the stack has sent.
pub(crate) struct Sent {
    pub(crate) at: Instant,
    /// From the Ethernet header on.
    pub(crate) bytes: Vec<u8>,
}

/// The stack, its rings and its clock.
pub(crate) struct Machine<'p> {
    pub(crate) stack: Stack<'p, App>,
    pub(crate) app: App,
    queue: Rings<'p>,
    pool: &'p FramePool<'p>,
    now: Instant,
    local: IpAddr,
    /// Listeners may be opened fast.
    pub(crate) has_fast_open: bool,
    /// What was sent and not yet looked at.
    pub(crate) sent: VecDeque<Sent>,
}

/// The one place where the stack is made, as a script's options and sysctls say.
fn build<'p>(
    config: &Config,
    pool: &'p FramePool<'p>,
    now: Instant,
) -> Result<Stack<'p, App>, Error> {
    fn slice<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }
    let &Config {
        conns,
        syns,
        time_waits,
        gaps,
        ..
    } = config;
    let storage = Storage {
        conns: slice::<ConnSlot<'_, App>>(conns).into(),
        syns: slice::<SynEntry>(syns).into(),
        time_waits: slice::<TimeWaitEntry>(time_waits).into(),
        bodies: slice::<BodyNode<'_>>(256).into(),
        gaps: slice::<GapEntry<'_>>(gaps).into(),
        flights: slice::<FlightEntry>(conns).into(),
        sent: slice::<SentNode>(32 * conns).into(),
        timers: slice::<TimerNode>(conns + syns).into(),
        demux: slice::<DemuxEntry>(Storage::<App>::demux_len(conns, syns, time_waits)).into(),
    };
    let caps = Caps {
        fragments_max: 4,
        mtu: config.mtu,
        ..Caps::PLAIN
    };
    Ok(Stack::new(Setup {
        pool,
        caps,
        mac: OUR_MAC,
        storage,
        tcp: settings(config)?,
        seed: 1,
        now,
    }))
}

/// Linux's settings as ours.
fn settings(config: &Config) -> Result<Settings, Error> {
    let mut settings = Settings {
        quick_acks: config.quick_acks,
        ..Settings::default()
    };
    for (line, name, value) in &config.sysctls {
        let flag = || match value.as_str() {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(Error::new(*line, format!("{name}: 0 or 1, not {value}"))),
        };
        match name.strip_prefix("net.ipv4.").unwrap_or(name) {
            "tcp_sack" => settings.sack = flag()?,
            "tcp_timestamps" => settings.timestamps = flag()?,
            "tcp_ecn" => {
                settings.ecn = match value.as_str() {
                    "0" => EcnUse::Never,
                    "1" => EcnUse::Ask,
                    "2" => EcnUse::Accept,
                    _ => {
                        let text = format!("{name}: 0, 1 or 2, not {value}");
                        return Err(Error::new(*line, text));
                    }
                }
            }
            "tcp_window_scaling" => settings.window_scaling = flag()?,
            "tcp_fastopen" => {
                settings.fast_open = match value.as_str() {
                    // Clients only: nothing that a script can ask for.
                    "0" | "1" => false,
                    "2" | "3" => true,
                    _ => {
                        let text = format!("{name}: 0 to 3, not {value}");
                        return Err(Error::new(*line, text));
                    }
                }
            }
            "tcp_syncookies" => settings.syn_cookies = flag()?,
            "tcp_congestion_control" => {
                settings.congestion = Algorithm::from_name(value)
                    .ok_or_else(|| Error::new(*line, format!("{name}: not here: {value}")))?;
            }
            _ => return Err(Error::new(*line, format!("no such setting here: {name}"))),
        }
    }
    Ok(settings)
}

impl<'p> Machine<'p> {
    /// A stack with its address, that knows its gateway and has nothing left to announce.
    pub(crate) fn new(config: &Config, pool: &'p FramePool<'p>) -> Result<Self, Error> {
        let now = Instant::from_micros(1_000_000);
        let mut stack = build(config, pool, now)?;
        let (IpAddr::V4(local), IpAddr::V4(gateway)) = (config.local, GATEWAY) else {
            return Err(Error::new(1, "IPv6 is not there yet"));
        };
        let cidr = Cidr::new(local, 16).expect("16 bits");
        stack.configure(cidr, Some(simoom::Addr::v4(gateway)));
        let mut machine = Self {
            stack,
            app: App::new(),
            queue: Rings::default(),
            pool,
            now,
            local: config.local,
            has_fast_open: settings(config)?.fast_open,
            sent: VecDeque::new(),
        };
        let nobody = (MacAddr([0; 6]), local.octets());
        machine.arrive(&wire::arp(1, (PEER_MAC, gateway.octets()), nobody));
        while machine.now < START {
            machine.step(START);
        }
        machine.sent.clear();
        Ok(machine)
    }

    /// Microseconds of the script.
    pub(crate) fn now_us(&self) -> i64 {
        micros(self.now)
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A frame comes in, now.
    pub(crate) fn arrive(&mut self, frame: &[u8]) {
        // What is longer than a frame comes as a port does large receives: in several.
        let mut pieces = frame.chunks(RX_PIECE_LEN).map(|piece| {
            let mut taken = self.pool.alloc(64).expect("the pool has a frame for it");
            taken.append(piece).expect("a piece fits");
            taken
        });
        let mut packet = RxPacket::plain(pieces.next().expect("there are bytes"));
        for more in pieces {
            packet.rest.push_back(more, 0);
        }
        self.queue.rx.0.push_back(packet);
        self.poll();
    }

    /// Polls until there is nothing more to do at once.
    ///
    /// # Panics
    /// When there always is.
    pub(crate) fn poll(&mut self) {
        for _ in 0..1_000 {
            let polled = self.stack.poll(self.now, &mut self.queue, &mut self.app);
            self.look();
            if polled == Polled::Idle && self.queue.rx.0.is_empty() {
                return;
            }
        }
        panic!("the stack stays busy");
    }

    /// Keeps what was sent, and answers what is asked of the link.
    fn look(&mut self) {
        for bytes in self.queue.tx.0.drain(..) {
            let Some(asked) = wire::arp_asks(&bytes) else {
                let at = self.now;
                self.sent.push_back(Sent { at, bytes });
                continue;
            };
            let IpAddr::V4(local) = self.local else {
                continue;
            };
            if asked == local.octets() {
                continue;
            }
            let reply = wire::arp(2, (PEER_MAC, asked), (OUR_MAC, local.octets()));
            let mut frame = self.pool.alloc(64).expect("the pool has a frame for it");
            frame.append(&reply).expect("ARP is short");
            self.queue.rx.0.push_back(RxPacket::plain(frame));
        }
    }

    /// Goes on to the next timer, or to `until` if that comes first.
    pub(crate) fn step(&mut self, until: Instant) {
        let next = self.stack.poll_at(self.now);
        let soonest = self.now + Duration::from_micros(1);
        self.now = next.max(soonest).min(until);
        self.poll();
    }
}

/// A time of the script as the stack's.
pub(crate) fn instant(micros: i64) -> Instant {
    START + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A time of the stack's as the script's, in microseconds.
pub(crate) fn micros(at: Instant) -> i64 {
    at.as_micros() as i64 - START.as_micros() as i64
}

#[derive(Default)]
struct Rings<'p> {
    rx: Rx<'p>,
    tx: Tx,
}

#[derive(Default)]
struct Rx<'p>(VecDeque<RxPacket<'p>>);

/// Copies what it is given, and sends the frames home at once.
#[derive(Default)]
struct Tx(Vec<Vec<u8>>);

impl<'p> Queue<'p> for Rings<'p> {
    type Rx = Rx<'p>;
    type Tx = Tx;

    fn rings(&mut self) -> (&mut Rx<'p>, &mut Tx) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

impl<'p> RxRing<'p> for Rx<'p> {
    fn sync(&mut self) -> usize {
        self.0.len()
    }

    fn recv(&mut self) -> Option<RxPacket<'p>> {
        self.0.pop_front()
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl<'p> TxRing<'p> for Tx {
    fn space(&self) -> usize {
        TX_SPACE.saturating_sub(self.0.len())
    }

    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        if self.space() == 0 {
            return Err(packet);
        }
        let mut bytes = packet.head().bytes().to_vec();
        for fragment in packet.fragments() {
            bytes.extend_from_slice(fragment.bytes());
        }
        self.0.push(bytes);
        Ok(())
    }

    fn sync(&mut self) {}
}

pub(crate) const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub(crate) const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// packetdrill's default gateway: the next hop to the remote address.
const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 2));

/// The stack's time when the script's is zero: all that a new address brings is over.
const START: Instant = Instant::from_micros(10_000_000);

/// Bytes of one frame of a large receive.
const RX_PIECE_LEN: usize = 1_900;

/// Packets between two looks at the ring.
const TX_SPACE: usize = 1_024;
