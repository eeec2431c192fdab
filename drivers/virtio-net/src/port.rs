//! The port and its queue pair: what the ring traits ask for.

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;

use simoom_ring::net_hdr::Agreed;
use simoom_ring::{
    Armed, BodyMemory, Caps, Checksums, FRAGMENTS_MAX, Figures, FramePool, LinkState, MacAddr,
    Port, Queue, Segmentation, TxRing,
};
use virtio_drivers::Hal;
use virtio_drivers::transport::{SomeTransport, Transport};

use crate::config::{RX_SIZE_MAX, SIZE_DEFAULT, TX_SIZE_MAX};
use crate::control::{Control, ETHERNET_LEN, Shared};
use crate::dma::DmaPages;
use crate::registers::{Doorbell, Interrupt, Registers};
use crate::rekick::Rekick;
use crate::split::{Shadow, SplitQueue};
use crate::{Counters, Error, Features, Rx, RxCounters, Tx, TxCounters};

/// A network device that discovery has found.
pub struct Found<T: Transport = SomeTransport<'static>> {
    pub(crate) transport: T,
    pub(crate) registers: Registers,
    pub(crate) interrupt: Interrupt,
}

impl<T: Transport> Found<T> {
    /// How the device will call us: for a line, the embedder routes it before the first sleep.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt
    }
}

/// What the embedder may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Features that are not to be used, though the device offers them.
    pub disable: Features,
    /// Descriptors, and so frames, of the receive ring at most.
    pub rx_size_max: u16,
    /// Descriptors of the transmit ring at most; a packet takes up to four.
    pub tx_size_max: u16,
    /// The station address of a device that has none.
    pub mac: Option<MacAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            disable: Features::NONE,
            rx_size_max: SIZE_DEFAULT,
            tx_size_max: SIZE_DEFAULT,
            mac: None,
        }
    }
}

/// Memory of one device that the device itself never sees. The embedder provides it, in a static or
/// in the frame of a `main` that does not return: it is about 40 KiB and is used in place.
pub struct Memory<T: Transport = SomeTransport<'static>> {
    shared: Option<Shared<T>>,
    rx: [Shadow; RX_SIZE_MAX],
    tx: [Shadow; TX_SIZE_MAX],
}

impl<T: Transport> Memory<T> {
    /// Memory for [`VirtioNet::new`].
    pub const fn new() -> Self {
        Self {
            shared: None,
            rx: [Shadow::EMPTY; RX_SIZE_MAX],
            tx: [Shadow::EMPTY; TX_SIZE_MAX],
        }
    }
}

impl<T: Transport> Default for Memory<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A virtio network device.
pub struct VirtioNet<'m, H: Hal, T: Transport = SomeTransport<'static>> {
    shared: &'m Shared<T>,
    rings: Option<[Ring<'m, H>; 2]>,
    caps: Caps,
    mac: MacAddr,
    features: Features,
    interrupt: Interrupt,
    hal: PhantomData<H>,
}

/// One ring, before it has a pool.
struct Ring<'m, H: Hal> {
    queue: SplitQueue<'m>,
    pages: DmaPages<H>,
    doorbell: Doorbell,
}

impl<'m, H: Hal, T: Transport> VirtioNet<'m, H, T> {
    /// Resets the device, agrees on features and allocates the rings: all the memory that it will
    /// ever ask `H` for. The device starts when its queue is taken.
    ///
    /// # Errors
    /// What the device lacks or does wrong, or `NoMemory`.
    pub fn new(
        found: Found<T>,
        memory: &'m mut Memory<T>,
        options: Options,
    ) -> Result<Self, Error> {
        let mut control = Control::new(found.transport, found.registers, options.disable)?;
        let features = control.features();
        let mac = control.mac()?.or(options.mac);
        let mac = mac.filter(MacAddr::is_station).ok_or(Error::NoMac)?;
        let caps = caps(features, control.mtu()?, control.hdr_len());

        let Memory { shared, rx, tx } = memory;
        let rx_limit = RX_SIZE_MAX.min(options.rx_size_max.into());
        let rx_size = control.queue_size(RECEIVEQ, rx_limit, 1)?;
        let tx_limit = TX_SIZE_MAX.min(options.tx_size_max.into());
        let tx_size = control.queue_size(TRANSMITQ, tx_limit, PIECES_MAX as u16)?;
        let rings = [
            Ring::new(&control, RECEIVEQ, &mut rx[..usize::from(rx_size)])?,
            Ring::new(&control, TRANSMITQ, &mut tx[..usize::from(tx_size)])?,
        ];
        let shared = shared.insert(Shared {
            control: RefCell::new(control),
            needs_reset: Cell::new(false),
        });
        Ok(Self {
            shared,
            rings: Some(rings),
            caps,
            mac,
            features,
            interrupt: found.interrupt,
            hal: PhantomData,
        })
    }

    /// What was agreed with the device.
    pub fn features(&self) -> Features {
        self.features
    }

    /// How the device calls us.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt
    }
}

impl<'p, 'm: 'p, H: Hal, T: Transport> Port<'p> for VirtioNet<'m, H, T> {
    type Queue = VirtioQueue<'m, 'p, H, T>;

    fn caps(&self) -> Caps {
        self.caps
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Costs two register reads, each an exit to the hypervisor: not for every poll. A device that
    /// asks for a reset is noticed here, too.
    fn link(&mut self) -> LinkState {
        let control = self.shared.control.borrow();
        if !control.is_dead() && control.needs_reset() {
            self.shared.needs_reset.set(true);
            return LinkState::Down;
        }
        control.link()
    }

    /// There is one queue pair. `None`, too, when the device does not start, and when the pool's
    /// frames are too small for the MTU. At most half of the pool's frames go to the receive ring.
    fn queue(&mut self, idx: u16, pool: &'p FramePool<'p>) -> Option<Self::Queue> {
        let mut control = self.shared.control.borrow_mut();
        let hdr_len = control.hdr_len();
        let frame_len = usize::from(self.caps.mtu) + ETHERNET_LEN;
        // Of a packet in several frames the first holds all headers.
        let first_len = match self.features.contains(Features::MRG_RXBUF) {
            true => frame_len.min(HEADERS_LEN_MAX),
            false => frame_len,
        };
        let has_frames = pool.frame_size() >= hdr_len + first_len && pool.free_cnt() > 0;
        if idx != 0 || !has_frames {
            return None;
        }
        let [rx, tx] = self.rings.take()?;
        let half = u16::try_from(pool.owned_cnt() / 2).unwrap_or(u16::MAX);
        let rx = Rx {
            frames_max: rx.queue.size().min(half.max(1)),
            queue: rx.queue,
            pages: rx.pages,
            doorbell: rx.doorbell,
            line_ack: control.registers().line_ack(),
            pool,
            hdr_len,
            features: self.features,
            agreed: agreed(self.features),
            is_armed: false,
            rekick: Rekick::default(),
            counters: RxCounters::default(),
        };
        let tx = Tx {
            queue: tx.queue,
            pages: tx.pages,
            doorbell: tx.doorbell,
            pool,
            hdr_len,
            features: self.features,
            is_armed: false,
            rekick: Rekick::default(),
            counters: TxCounters::default(),
        };
        let started = control.start([rx.addrs(), tx.addrs()]);
        drop(control);
        let mut queue = VirtioQueue {
            rx,
            tx,
            shared: self.shared,
            counters: Counters::default(),
        };
        started.ok()?;
        queue.rx.refill();
        Some(queue)
    }
}

/// The queue pair: `receiveq` 0 and `transmitq` 1.
///
/// A ring that the device has broken does nothing until the next [`rings`](Queue::rings) or
/// [`arm`](Queue::arm), which resets the device: all frames that it had go home, what was being
/// sent is lost, and both rings begin anew. Dropping the queue stops the device.
pub struct VirtioQueue<'m, 'p, H: Hal, T: Transport = SomeTransport<'static>> {
    rx: Rx<'m, 'p, H>,
    tx: Tx<'m, 'p, H>,
    shared: &'m Shared<T>,
    counters: Counters,
}

impl<'m, 'p, H: Hal, T: Transport> Queue<'p> for VirtioQueue<'m, 'p, H, T> {
    type Rx = Rx<'m, 'p, H>;
    type Tx = Tx<'m, 'p, H>;

    #[inline]
    fn rings(&mut self) -> (&mut Self::Rx, &mut Self::Tx) {
        self.reset_if_broken();
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        if self.reset_if_broken() {
            return Armed::Ready;
        }
        // Frames that are being sent may be what the receive ring or the stack is waiting for:
        // a device that has none to fill has nothing to wake us with.
        let pool = self.rx.pool;
        let is_short = self.rx.missing_cnt() > 0 || pool.free_cnt() < pool.owned_cnt() / 4;
        // The receive ring first: it acknowledges the line for both.
        let is_rx_ready = self.rx.arm();
        if self.tx.arm(is_short) || is_rx_ready {
            return Armed::Ready;
        }
        self.tx.before_sleep();
        self.rx.before_sleep();
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        let Counters { rx, tx, resets, .. } = self.counters();
        // Rings have at most 2^15 places.
        let cnt = |cnt: usize| u32::try_from(cnt).unwrap_or(u32::MAX);
        Figures {
            rx_packets: rx.frames,
            rx_dropped: rx.dropped_short + rx.dropped_header,
            rx_pool_empty: rx.pool_empty,
            rx_doorbells: rx.kicks + rx.rekicks,
            rx_frames: cnt(self.rx_lent_cnt()),
            tx_packets: tx.packets,
            tx_dropped: tx.dropped_request,
            tx_doorbells: tx.kicks + tx.rekicks,
            tx_outstanding: cnt(self.tx_outstanding_cnt()),
            tx_space: cnt(self.tx.space()),
            bytes_copied: 0,
            resets,
        }
    }
}

impl<H: Hal, T: Transport> VirtioQueue<'_, '_, H, T> {
    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        Counters {
            rx: self.rx.counters,
            tx: self.tx.counters,
            ..self.counters
        }
    }

    /// Frames that lie in the receive ring now.
    pub fn rx_lent_cnt(&self) -> usize {
        usize::from(self.rx.queue.size() - self.rx.queue.free_cnt())
    }

    /// Packets that the device has not finished sending, as far as the last sync knows.
    pub fn tx_outstanding_cnt(&self) -> usize {
        usize::from(self.tx.queue.outstanding_cnt())
    }

    /// Whether the device was given up: it does not reset, or has changed its features.
    pub fn is_dead(&self) -> bool {
        self.shared.control.borrow().is_dead()
    }

    #[inline]
    fn reset_if_broken(&mut self) -> bool {
        let violation = self.rx.queue.violation().or(self.tx.queue.violation());
        if violation.is_none() && !self.shared.needs_reset.get() {
            return false;
        }
        self.reset()
    }

    /// Stops the device, takes all frames home and starts it anew; false when it is given up.
    #[cold]
    fn reset(&mut self) -> bool {
        let mut control = self.shared.control.borrow_mut();
        if control.is_dead() {
            return false;
        }
        self.counters.resets += 1;
        let violation = self.rx.queue.violation().or(self.tx.queue.violation());
        self.counters.last_violation = violation.or(self.counters.last_violation);
        self.shared.needs_reset.set(false);
        if !control.stop() {
            // It may still write to its frames: they stay lent for ever.
            control.set_dead();
            return false;
        }
        self.rx.reset();
        self.tx.reset();
        if control.restart([self.rx.addrs(), self.tx.addrs()]).is_err() {
            control.set_dead();
            return false;
        }
        drop(control);
        self.rx.refill();
        true
    }
}

impl<H: Hal, T: Transport> Drop for VirtioQueue<'_, '_, H, T> {
    fn drop(&mut self) {
        let mut control = self.shared.control.borrow_mut();
        control.set_dead();
        if control.stop() {
            self.rx.reset();
            self.tx.reset();
        } else {
            self.rx.pages.abandon();
            self.tx.pages.abandon();
        }
    }
}

impl<'m, H: Hal> Ring<'m, H> {
    fn new<T: Transport>(
        control: &Control<T>,
        queue: u16,
        shadow: &'m mut [Shadow],
    ) -> Result<Self, Error> {
        let doorbell = control.registers().doorbell(queue)?;
        // queue_size() has limited it to 32,768.
        let byte_len = SplitQueue::byte_len(shadow.len() as u16);
        let pages = DmaPages::alloc(byte_len).ok_or(Error::NoMemory)?;
        let has_event_idx = control.features().contains(Features::EVENT_IDX);
        // SAFETY: the pages are page-aligned, long enough, nobody else's, and live beside the queue
        // in this struct, and later in `Rx` or `Tx`.
        let queue = unsafe { SplitQueue::new(pages.base(), shadow, has_event_idx) };
        Ok(Self {
            queue: queue.ok_or(Error::NoMemory)?,
            pages,
            doorbell,
        })
    }
}

/// What the agreed features let a received header say. Who merged segments may not say ECN: its
/// feature is not asked for.
fn agreed(features: Features) -> Agreed {
    Agreed {
        csum: features.contains(Features::GUEST_CSUM),
        tcp_v4: features.contains(Features::GUEST_TSO4),
        tcp_v6: features.contains(Features::GUEST_TSO6),
        udp: false,
        ecn: false,
    }
}

/// What the agreed features amount to.
fn caps(features: Features, mtu: u16, hdr_len: usize) -> Caps {
    let tso = Segmentation {
        tcp_v4: features.contains(Features::HOST_TSO4),
        tcp_v6: features.contains(Features::HOST_TSO6),
        udp: features.contains(Features::HOST_USO),
        len_max: 0,
    };
    let has_tso = tso.tcp_v4 || tso.tcp_v6 || tso.udp;
    Caps {
        mtu,
        fragments_max: PIECES_MAX,
        // 10 or 12.
        headroom: hdr_len as u16,
        checksums: Checksums {
            tx: features.contains(Features::CSUM),
            rx: features.contains(Features::GUEST_CSUM),
        },
        tso: Segmentation {
            len_max: if has_tso { IP_LEN_MAX } else { 0 },
            ..tso
        },
        rx_large: features.intersection(Features::GUEST_TSO) != Features::NONE,
        body_memory: BodyMemory::Anywhere,
        queues: 1,
    }
}

/// Pieces of one packet: the head and its fragments, one descriptor each.
pub(crate) const PIECES_MAX: usize = 1 + FRAGMENTS_MAX;

/// Ethernet, IP and TCP headers at their longest, in bytes.
const HEADERS_LEN_MAX: usize = ETHERNET_LEN + 60 + 60;

/// The longest IP packet there is: what a total length field can say.
const IP_LEN_MAX: u32 = 65_535;

const RECEIVEQ: u16 = 0;
const TRANSMITQ: u16 = 1;
