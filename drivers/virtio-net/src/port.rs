//! The port: what the device is, and its queue pairs, until they are taken.

use simoom_ring::net_hdr::Agreed;
use simoom_ring::{
    BodyMemory, Caps, Checksums, FRAGMENTS_MAX, FramePool, LinkState, MacAddr, Port, Segmentation,
};
use virtio_drivers::Hal;
use virtio_drivers::transport::{SomeTransport, Transport};

use crate::commands::{COMMANDS_SIZE, Commands};
use crate::config::{QUEUE_PAIRS_MAX, RX_SIZE_MAX, SIZE_DEFAULT, TX_SIZE_MAX};
use crate::control::{AllRings, Control, ETHERNET_LEN, RingAddrs, Shared};
use crate::dma::DmaPages;
use crate::registers::{Doorbell, Interrupt, Registers};
use crate::rekick::Rekick;
use crate::rx::ring_addrs;
use crate::split::{Shadow, SplitQueue};
use crate::{Counters, Error, Features, Rx, RxCounters, Tx, TxCounters, VirtioQueue};

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
    /// Queue pairs at most, of those that the device and [`Memory`] have.
    pub queue_pairs_max: u16,
    /// The station address of a device that has none.
    pub mac: Option<MacAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            disable: Features::NONE,
            rx_size_max: SIZE_DEFAULT,
            tx_size_max: SIZE_DEFAULT,
            queue_pairs_max: QUEUE_PAIRS_MAX as u16,
            mac: None,
        }
    }
}

/// Memory of one device that the device itself never sees, for `PAIRS` queue pairs. The embedder
/// provides it, in a static or in the frame of a `main` that does not return: it is about 40 KiB a
/// pair and is used in place.
pub struct Memory<T: Transport = SomeTransport<'static>, const PAIRS: usize = 1> {
    shared: Option<Shared<T>>,
    commands: [Shadow; COMMANDS_SIZE],
    pairs: [PairMemory; PAIRS],
}

/// Memory of one queue pair.
#[derive(Clone, Copy)]
pub struct PairMemory {
    rx: [Shadow; RX_SIZE_MAX],
    tx: [Shadow; TX_SIZE_MAX],
}

impl PairMemory {
    const EMPTY: Self = Self {
        rx: [Shadow::EMPTY; RX_SIZE_MAX],
        tx: [Shadow::EMPTY; TX_SIZE_MAX],
    };
}

impl<T: Transport> Memory<T> {
    /// Memory for [`VirtioNet::new`], for one queue pair.
    pub const fn new() -> Self {
        Self::for_pairs()
    }
}

impl<T: Transport, const PAIRS: usize> Memory<T, PAIRS> {
    /// Memory for [`VirtioNet::new`], for as many queue pairs as the type says.
    pub const fn for_pairs() -> Self {
        Self {
            shared: None,
            commands: [Shadow::EMPTY; COMMANDS_SIZE],
            pairs: [PairMemory::EMPTY; PAIRS],
        }
    }
}

impl<T: Transport, const PAIRS: usize> Default for Memory<T, PAIRS> {
    fn default() -> Self {
        Self::for_pairs()
    }
}

/// A virtio network device.
pub struct VirtioNet<'m, H: Hal, T: Transport = SomeTransport<'static>> {
    shared: &'m Shared<T>,
    /// Of the pairs that were not handed out yet.
    rings: [Option<[Ring<'m, H>; 2]>; QUEUE_PAIRS_MAX],
    commands: Option<Commands<'m, H>>,
    has_started: bool,
    /// The device has asked for an announcement.
    is_announcement_due: bool,
    caps: Caps,
    device_pairs: u16,
    mac: MacAddr,
    features: Features,
    interrupt: Interrupt,
}

/// One ring, before it has a pool.
struct Ring<'m, H: Hal> {
    queue: SplitQueue<'m>,
    pages: DmaPages<H>,
    doorbell: Doorbell,
}

impl<'m, H: Hal, T: Transport> VirtioNet<'m, H, T> {
    /// Resets the device, agrees on features and allocates the rings: all the memory that it will
    /// ever ask `H` for. The device starts when the first queue pair is taken.
    ///
    /// # Errors
    /// What the device lacks or does wrong, or `NoMemory`.
    pub fn new<const PAIRS: usize>(
        found: Found<T>,
        memory: &'m mut Memory<T, PAIRS>,
        options: Options,
    ) -> Result<Self, Error> {
        let mut control = Control::new(found.transport, found.registers, options.disable)?;
        let features = control.features();
        let mac = control.mac()?.or(options.mac);
        let mac = mac.filter(MacAddr::is_station).ok_or(Error::NoMac)?;
        let mut caps = caps(features, control.mtu()?, control.hdr_len());

        let Memory {
            shared,
            commands,
            pairs,
        } = memory;
        let pairs_max = control.pairs_max()?;
        let wanted = usize::from(pairs_max.min(options.queue_pairs_max).max(1));
        let mut rings = [const { None }; QUEUE_PAIRS_MAX];
        let mut all = AllRings {
            pairs: [None; QUEUE_PAIRS_MAX],
            commands: None,
        };
        let places = rings.iter_mut().zip(&mut all.pairs);
        for (queue, (pair, (rings, addrs))) in (0..)
            .step_by(2)
            .zip(pairs.iter_mut().zip(places))
            .take(wanted)
        {
            let both = Ring::pair(&mut control, queue, pair, &options)?;
            *addrs = Some([both[0].addrs(), both[1].addrs()]);
            *rings = Some(both);
            caps.queues = queue / 2 + 1;
        }
        let commands = match features.contains(Features::CTRL_VQ) {
            true => {
                // virtio 1.2 5.1.2: behind all pairs, those that we do not use, too.
                let queue = 2 * pairs_max;
                let commands = Commands::new(&mut control, queue, commands)?;
                all.commands = Some((queue, commands.addrs()));
                Some(commands)
            }
            false => None,
        };
        let shared = shared.insert(Shared::new(control, all));
        Ok(Self {
            shared,
            rings,
            commands,
            has_started: false,
            is_announcement_due: false,
            caps,
            device_pairs: pairs_max,
            mac,
            features,
            interrupt: found.interrupt,
        })
    }

    /// What was agreed with the device.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Queue pairs that the device has; those that we use are in [`Caps::queues`].
    pub fn device_pairs(&self) -> u16 {
        self.device_pairs
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
            self.shared.has_news.set(true);
            return LinkState::Down;
        }
        self.is_announcement_due |= control.wants_announcement();
        control.link()
    }

    fn announcement_due(&mut self) -> bool {
        let is_due = core::mem::take(&mut self.is_announcement_due);
        if is_due {
            self.shared.is_announced.set(true);
            self.shared.has_news.set(true);
        }
        is_due
    }

    /// `None`, too, when the device does not start, and when the pool's frames are too small for
    /// the MTU. At most half of the pool's frames go to the receive ring. A pair behind the first
    /// is served when all before it are taken, too, and the first has been polled.
    fn queue(&mut self, idx: u16, pool: &'p FramePool<'p>) -> Option<Self::Queue> {
        let shared = self.shared;
        let mut control = shared.control.borrow_mut();
        let hdr_len = control.hdr_len();
        let frame_len = usize::from(self.caps.mtu) + ETHERNET_LEN;
        // Of a packet in several frames the first holds all headers.
        let first_len = match self.features.contains(Features::MRG_RXBUF) {
            true => frame_len.min(HEADERS_LEN_MAX),
            false => frame_len,
        };
        let has_frames = pool.frame_size() >= hdr_len + first_len && pool.free_cnt() > 0;
        if !has_frames || control.is_dead() {
            return None;
        }
        let [rx, tx] = self.rings.get_mut(usize::from(idx))?.take()?;
        let half = u16::try_from(pool.owned_cnt() / 2).unwrap_or(u16::MAX);
        let frames_max = rx.queue.size().min(half.max(1));
        let rx = Rx {
            // Until the device runs, if it is being reset.
            frames_max: 0,
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
            is_served: idx == 0,
            rekick: Rekick::default(),
            counters: TxCounters::default(),
        };
        let started = match self.has_started {
            true => Ok(()),
            false => control.start(&shared.rings),
        };
        drop(control);
        self.has_started = true;
        shared.take(idx);
        let mut queue = VirtioQueue {
            rx,
            tx,
            shared,
            counters: Counters::default(),
            idx,
            epoch: shared.epoch.get(),
            frames_max,
            commands: if idx == 0 { self.commands.take() } else { None },
            asked_cnt: (self.device_pairs > 1).then_some(0),
        };
        started.ok()?;
        if shared.behind_cnt.get() == 0 {
            queue.rx.frames_max = frames_max;
            queue.rx.refill();
        }
        Some(queue)
    }
}

impl<H: Hal, T: Transport> Drop for VirtioNet<'_, H, T> {
    /// What was not handed out is not freed while the device runs, which knows where it is.
    fn drop(&mut self) {
        if !self.has_started || self.shared.control.borrow().is_dead() {
            return;
        }
        for ring in self.rings.iter_mut().flatten().flatten() {
            ring.pages.abandon();
        }
        if let Some(commands) = &mut self.commands {
            commands.abandon();
        }
    }
}

impl<'m, H: Hal> Ring<'m, H> {
    /// The rings of a pair, of which the first is queue number `queue`.
    fn pair<T: Transport>(
        control: &mut Control<T>,
        queue: u16,
        PairMemory { rx, tx }: &'m mut PairMemory,
        options: &Options,
    ) -> Result<[Self; 2], Error> {
        let rx_limit = RX_SIZE_MAX.min(options.rx_size_max.into());
        let rx_size = control.queue_size(queue, rx_limit, 1)?;
        let tx_limit = TX_SIZE_MAX.min(options.tx_size_max.into());
        let tx_size = control.queue_size(queue + 1, tx_limit, PIECES_MAX as u16)?;
        Ok([
            Self::new(control, queue, &mut rx[..usize::from(rx_size)])?,
            Self::new(control, queue + 1, &mut tx[..usize::from(tx_size)])?,
        ])
    }

    /// Where the device finds it.
    fn addrs(&self) -> RingAddrs {
        ring_addrs(&self.queue, &self.pages)
    }

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
