//! A host of ours at an end of the wire: a stack over a simulated device, its memory on the heap.

use super::exchange::Work;
use super::peer::{Client, Peer, Side};
use super::{ADDR_BITS, PORT, addr, mac};
use anyhow::{Context, Result, bail};
use simoom::iface::Setup;
use simoom::tcp::cc::Algorithm;
use simoom::tcp::{
    ConnSlot, DemuxEntry, FlightEntry, GapEntry, ListenerId, SentNode, Settings, Storage, SynEntry,
    TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Endpoint, Instant, Polled, Stack};
use simoom_ring::{FrameMemory, FrameMeta, FramePool, Port};
use simoom_sim::{End, PortConfig, SimPort, SimQueue, Wire};

/// The memory that a pool is made over.
pub(crate) struct Frames {
    memory: Vec<FrameMemory>,
    metas: Vec<FrameMeta>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            memory: vec![FrameMemory::ZERO; FRAMES],
            metas: (0..FRAMES).map(|_| FrameMeta::new()).collect(),
        }
    }

    pub(crate) fn pool(&mut self) -> FramePool<'_> {
        FramePool::new(&mut self.memory, &mut self.metas)
    }
}

/// A stack at an end of the wire.
pub(crate) struct OurHost<'p> {
    pub(crate) end: End,
    pub(crate) stack: Stack<'p, Peer>,
    pub(crate) peer: Peer,
    pub(crate) listener: ListenerId,
    queue: SimQueue<'p>,
    // The device goes with its port.
    _port: SimPort,
}

impl<'p> OurHost<'p> {
    /// Attaches host `n` to the wire: it serves.
    ///
    /// # Errors
    /// Only by a mistake of ours.
    pub(crate) fn new(wire: &Wire, n: u8, pool: &'p FramePool<'p>, seed: u64) -> Result<Self> {
        Self::with(wire, n, pool, (seed, Algorithm::default()))
    }

    /// As `new`, with this congestion control.
    ///
    /// # Errors
    /// Only by a mistake of ours.
    pub(crate) fn with(
        wire: &Wire,
        n: u8,
        pool: &'p FramePool<'p>,
        (seed, congestion): (u64, Algorithm),
    ) -> Result<Self> {
        // A plain device with a gather list, as a TAP with `writev` would be: no offloads, since
        // the Linux ends have none.
        let mut port = wire.port(PortConfig {
            fragments_max: 4,
            tx_slots: RING_SLOTS,
            rx_slots: RING_SLOTS,
            ..PortConfig::plain(mac(n))
        });
        let queue = port.queue(0, pool).context("a queue of the device")?;
        let mut stack = Stack::new(Setup {
            pool,
            caps: port.caps(),
            mac: port.mac(),
            storage: storage(),
            tcp: Settings {
                congestion,
                ..Settings::default()
            },
            seed: seed.into(),
            now: Instant::from_micros(wire.now_us()),
        });
        let cidr = Cidr::new(addr(n), ADDR_BITS).context("a network")?;
        stack.configure(cidr, None);
        let listener = match stack.listen(PORT, CONNS as u16) {
            Ok(listener) => listener,
            Err(error) => bail!("listening: {error}"),
        };
        Ok(Self {
            end: port.end(),
            stack,
            peer: Peer::default(),
            listener,
            queue,
            _port: port,
        })
    }

    /// Opens the connection that does the work; `peer.asked` tells the end of it.
    ///
    /// # Errors
    /// Only by a mistake of ours.
    pub(crate) fn ask(&mut self, now: Instant, n: u8, work: Work) -> Result<()> {
        let side = Side::Client(Client::new(work));
        match self.stack.connect(now, Endpoint::new(addr(n), PORT), side) {
            Ok(_) => Ok(()),
            Err(error) => bail!("connecting: {error}"),
        }
    }

    /// Lets the stack do what there is to do.
    ///
    /// # Errors
    /// It never comes to an end.
    pub(crate) fn poll(&mut self, now: Instant) -> Result<()> {
        // Each busy round works off a burst of finite rings.
        for _ in 0..POLLS_MAX {
            if self.stack.poll(now, &mut self.queue, &mut self.peer) == Polled::Idle {
                return Ok(());
            }
        }
        bail!("our stack stays busy")
    }

    /// Whether all connections are gone, half-open ones too.
    pub(crate) fn is_quiet(&self) -> bool {
        let levels = self.stack.levels();
        levels.conns + levels.syns == 0
    }
}

fn storage<'p>() -> Storage<'p, Peer> {
    fn slice<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }
    let demux_len = Storage::<Peer>::demux_len(CONNS, CONNS, TIME_WAITS);
    Storage {
        conns: slice::<ConnSlot<'_, Peer>>(CONNS).into(),
        syns: slice::<SynEntry>(CONNS).into(),
        time_waits: slice::<TimeWaitEntry>(TIME_WAITS).into(),
        bodies: slice(BODIES).into(),
        gaps: slice::<GapEntry<'_>>(CONNS).into(),
        flights: slice::<FlightEntry>(CONNS).into(),
        sent: slice::<SentNode>(SENT).into(),
        timers: slice::<TimerNode>(2 * CONNS).into(),
        demux: slice::<DemuxEntry>(demux_len).into(),
    }
}

/// Frames of a host: a receive window and a transmit ring of several bandwidth-delay products.
const FRAMES: usize = 4_096;
/// Slots of each ring: a burst of the wire is no burst of the device.
const RING_SLOTS: usize = 1_024;
/// Connections; clients come one after another, so most of them are on their way out.
const CONNS: usize = 64;
const TIME_WAITS: usize = 256;
const BODIES: usize = 256;
/// Ranges in flight.
const SENT: usize = 1_024;
/// Polls in a row.
const POLLS_MAX: usize = 10_000;
