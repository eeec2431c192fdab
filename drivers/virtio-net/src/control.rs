//! The device's life: reset, feature negotiation, queues, link (virtio 1.2 3.1).
//!
//! ```text
//!   stop ──► negotiate ──► start ──► running ──► a ring broken, or DEVICE_NEEDS_RESET ─┐
//!    ▲                                                                                 │
//!    └─────────────────────────────────────────────────────────────────────────────────┘
//! ```

use core::cell::{Cell, RefCell};

use simoom_ring::{FRAME_SIZE, LinkState, MacAddr, NetHdr};
use virtio_drivers::transport::{DeviceStatus, Transport};
use virtio_drivers::{PAGE_SIZE, PhysAddr};

use crate::config::{CONFIG_READS_MAX, QUEUE_PAIRS_MAX};
use crate::registers::{Registers, wait_until};
use crate::{Error, Features};

/// What the port and its queue pairs all need.
pub(crate) struct Shared<T: Transport> {
    pub(crate) control: RefCell<Control<T>>,
    /// There is something to attend to beside packets: for each pair, when it is polled next.
    pub(crate) has_news: Cell<bool>,
    /// The device has asked for a reset.
    pub(crate) needs_reset: Cell<bool>,
    /// Times that the device was stopped: every pair has to begin anew with it.
    pub(crate) epoch: Cell<u32>,
    /// Pairs that have not noticed yet; the device starts when all have.
    pub(crate) behind_cnt: Cell<u16>,
    /// Pairs that have not seen how things are now, a bit for each.
    pub(crate) unseen: Cell<u16>,
    /// The control queue waits for an answer.
    pub(crate) is_asking: Cell<bool>,
    /// Pairs that were handed out, a bit for each.
    pub(crate) taken: Cell<u16>,
    /// Pairs that the device serves: the first is served always.
    pub(crate) served_cnt: Cell<u16>,
    /// The device wants to hear that we have announced ourselves.
    pub(crate) is_announced: Cell<bool>,
    /// Where the device finds all rings.
    pub(crate) rings: AllRings,
}

impl<T: Transport> Shared<T> {
    pub(crate) fn new(control: Control<T>, rings: AllRings) -> Self {
        Self {
            control: RefCell::new(control),
            has_news: Cell::new(false),
            needs_reset: Cell::new(false),
            epoch: Cell::new(0),
            behind_cnt: Cell::new(0),
            unseen: Cell::new(0),
            is_asking: Cell::new(false),
            taken: Cell::new(0),
            served_cnt: Cell::new(1),
            is_announced: Cell::new(false),
            rings,
        }
    }

    /// Pair `idx` is handed out, which the others and the device have to hear of.
    pub(crate) fn take(&self, idx: u16) {
        self.taken.set(self.taken.get() | 1 << idx);
        self.unseen.set(self.unseen.get() | 1 << idx);
        self.has_news.set(true);
    }

    /// Pairs, from the first on, that are there to be served.
    pub(crate) fn wanted_cnt(&self) -> u16 {
        // Of 16 bits there are 16 at most.
        self.taken.get().trailing_ones() as u16
    }
}

/// Where the device finds all rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllRings {
    /// Of each pair, receive and transmit.
    pub(crate) pairs: [Option<[RingAddrs; 2]>; QUEUE_PAIRS_MAX],
    /// The control queue, and its number.
    pub(crate) commands: Option<(u16, RingAddrs)>,
}

/// Where the device finds one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingAddrs {
    pub(crate) size: u16,
    pub(crate) desc: PhysAddr,
    pub(crate) avail: PhysAddr,
    pub(crate) used: PhysAddr,
}

/// The transport, and what was agreed with the device.
pub(crate) struct Control<T: Transport> {
    transport: T,
    registers: Registers,
    disable: Features,
    features: Features,
    is_dead: bool,
}

impl<T: Transport> Control<T> {
    /// Resets the device and agrees on features.
    pub(crate) fn new(
        transport: T,
        registers: Registers,
        disable: Features,
    ) -> Result<Self, Error> {
        let mut control = Self {
            transport,
            registers,
            disable,
            features: Features::NONE,
            is_dead: false,
        };
        control.features = control.negotiate()?;
        Ok(control)
    }

    pub(crate) fn registers(&self) -> &Registers {
        &self.registers
    }

    pub(crate) fn features(&self) -> Features {
        self.features
    }

    /// Whether the device is beyond help.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Gives the device up.
    pub(crate) fn set_dead(&mut self) {
        self.is_dead = true;
    }

    /// Bytes of `virtio_net_hdr` (virtio 1.2 5.1.6.1).
    pub(crate) fn hdr_len(&self) -> usize {
        let has_num_buffers = Features::VERSION_1.bits() | Features::MRG_RXBUF.bits();
        if self.features.bits() & has_num_buffers != 0 {
            NetHdr::LONG_LEN
        } else {
            NetHdr::SHORT_LEN
        }
    }

    /// Resets the device; whether it has stopped, so that it touches no memory of ours any more.
    pub(crate) fn stop(&mut self) -> bool {
        self.transport.set_status(DeviceStatus::empty());
        wait_until(|| self.transport.get_status() == DeviceStatus::empty())
    }

    /// Steps 1 to 6 of virtio 1.2 3.1.1.
    fn negotiate(&mut self) -> Result<Features, Error> {
        if !self.stop() {
            return Err(Error::NotReset);
        }
        let mut status = DeviceStatus::ACKNOWLEDGE;
        self.transport.set_status(status);
        status |= DeviceStatus::DRIVER;
        self.transport.set_status(status);

        let is_legacy = self.transport.requires_legacy_layout();
        // A legacy device wants the header in a descriptor of its own, unless it says otherwise.
        let required = if is_legacy {
            Features::ANY_LAYOUT
        } else {
            Features::VERSION_1
        };
        let offered = Features::from_bits(self.transport.read_device_features());
        let missing = required.difference(offered);
        if missing != Features::NONE {
            self.transport.set_status(status | DeviceStatus::FAILED);
            return Err(Error::BadFeatures { missing });
        }
        let wanted = Features::SUPPORTED.difference(self.disable) | required;
        let mut features = offered.intersection(wanted).consistent();
        if features.contains(Features::MTU) && self.config_mtu()? > mtu_max(features) {
            // Agreeing would promise to receive packets larger than a frame (virtio 1.2 5.1.4.2).
            features = features.difference(Features::MTU);
        }
        self.transport.write_driver_features(features.bits());
        if !is_legacy {
            status |= DeviceStatus::FEATURES_OK;
            self.transport.set_status(status);
            if !self.transport.get_status().contains(status) {
                self.transport.set_status(status | DeviceStatus::FAILED);
                return Err(Error::FeaturesRefused);
            }
        }
        self.transport.set_guest_page_size(PAGE_SIZE as u32);
        Ok(features)
    }

    /// Descriptors that queue `queue` may have: a power of two, up to `limit`.
    pub(crate) fn queue_size(
        &mut self,
        queue: u16,
        limit: usize,
        least: u16,
    ) -> Result<u16, Error> {
        let offered = self.transport.max_queue_size(queue);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(1 << 15);
        let size = offered.min(limit);
        let size = size.checked_ilog2().map_or(0, |log| 1 << log);
        match u16::try_from(size) {
            Ok(size) if size >= least => Ok(size),
            _ => Err(Error::QueueTooSmall { queue, size }),
        }
    }

    /// Steps 7 and 8 of virtio 1.2 3.1.1: all queues, then `DRIVER_OK`. The control queue is the
    /// only one that nobody wants to be called for.
    pub(crate) fn start(&mut self, rings: &AllRings) -> Result<(), Error> {
        self.registers.set_config_vector()?;
        for (queue, ring) in (0..).zip(rings.pairs.into_iter().flatten().flatten()) {
            self.registers.set_queue_vector(queue)?;
            self.queue_set(queue, ring);
        }
        if let Some((queue, ring)) = rings.commands {
            self.queue_set(queue, ring);
        }
        self.transport.finish_init();
        Ok(())
    }

    fn queue_set(&mut self, queue: u16, ring: RingAddrs) {
        self.transport
            .queue_set(queue, ring.size.into(), ring.desc, ring.avail, ring.used);
    }

    /// Whether kicks and interrupts are asked for by index.
    pub(crate) fn has_event_idx(&self) -> bool {
        self.features.contains(Features::EVENT_IDX)
    }

    /// Queue pairs that the device has (virtio 1.2 5.1.4).
    pub(crate) fn pairs_max(&self) -> Result<u16, Error> {
        if !self.features.contains(Features::MQ) {
            return Ok(1);
        }
        let pairs = self.transport.read_config_space::<u16>(CONFIG_PAIRS);
        match pairs.map(u16::from_le) {
            Ok(pairs @ 1..=0x8000) => Ok(pairs),
            _ => Err(Error::BadConfig),
        }
    }

    /// Agrees once more, after a [`stop`](Self::stop), on what was agreed before.
    pub(crate) fn restart(&mut self, rings: &AllRings) -> Result<(), Error> {
        let features = self.negotiate()?;
        if features != self.features {
            return Err(Error::BadFeatures {
                missing: self.features.difference(features),
            });
        }
        self.start(rings)
    }

    /// The station address, if the device has one.
    pub(crate) fn mac(&self) -> Result<Option<MacAddr>, Error> {
        if !self.features.contains(Features::MAC) {
            return Ok(None);
        }
        for _ in 0..CONFIG_READS_MAX {
            let before = self.config_generation();
            let mac = self
                .transport
                .read_config_space::<[u8; 6]>(CONFIG_MAC)
                .map_err(|_| Error::BadConfig)?;
            if before == self.config_generation() {
                return Ok(Some(MacAddr(mac)));
            }
        }
        Err(Error::BadConfig)
    }

    /// IP MTU in bytes.
    pub(crate) fn mtu(&self) -> Result<u16, Error> {
        if !self.features.contains(Features::MTU) {
            return Ok(MTU_DEFAULT);
        }
        match self.config_mtu()? {
            mtu if mtu < MTU_MIN => Err(Error::BadConfig),
            mtu => Ok(mtu),
        }
    }

    /// The state of the link; up, if the device does not say.
    pub(crate) fn link(&self) -> LinkState {
        if self.is_dead {
            return LinkState::Down;
        }
        if !self.features.contains(Features::STATUS) {
            return LinkState::Up;
        }
        match self.status() & STATUS_LINK_UP {
            0 => LinkState::Down,
            _ => LinkState::Up,
        }
    }

    /// Whether the device asks for an announcement (virtio 1.2 5.1.6.5.4).
    pub(crate) fn wants_announcement(&self) -> bool {
        let can = self.features.contains(Features::GUEST_ANNOUNCE) && !self.is_dead;
        can && self.status() & STATUS_ANNOUNCE != 0
    }

    /// Nothing, if the configuration is too short.
    fn status(&self) -> u16 {
        let status = self.transport.read_config_space::<u16>(CONFIG_STATUS);
        status.map_or(0, u16::from_le)
    }

    /// Whether the device has got into a state that it does not get out of by itself
    /// (virtio 1.2 2.1.2).
    pub(crate) fn needs_reset(&self) -> bool {
        self.transport
            .get_status()
            .contains(DeviceStatus::DEVICE_NEEDS_RESET)
    }

    fn config_mtu(&self) -> Result<u16, Error> {
        self.transport
            .read_config_space::<u16>(CONFIG_MTU)
            .map(u16::from_le)
            .map_err(|_| Error::BadConfig)
    }

    /// Legacy devices have no generation (virtio 1.2 2.5.4).
    fn config_generation(&self) -> u32 {
        if self.transport.requires_legacy_layout() {
            return 0;
        }
        self.transport.read_config_generation()
    }
}

/// Largest IP packet that can be received: what fits in one frame behind both headers, or in as
/// many as it takes.
fn mtu_max(features: Features) -> u16 {
    if features.contains(Features::MRG_RXBUF) {
        return u16::MAX;
    }
    (FRAME_SIZE - NetHdr::LONG_LEN - ETHERNET_LEN) as u16
}

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;

/// Ethernet's usual MTU.
const MTU_DEFAULT: u16 = 1500;
/// What every IPv4 link must carry (RFC 791).
const MTU_MIN: u16 = 68;

// virtio 1.2 5.1.4, in bytes from the start of the device's configuration.
const CONFIG_MAC: usize = 0;
const CONFIG_STATUS: usize = 6;
const CONFIG_PAIRS: usize = 8;
const CONFIG_MTU: usize = 10;

/// `VIRTIO_NET_S_LINK_UP`.
const STATUS_LINK_UP: u16 = 1;
/// `VIRTIO_NET_S_ANNOUNCE`.
const STATUS_ANNOUNCE: u16 = 2;
