//! A device and its rings, as the stack sees them.

use crate::{Caps, FramePool, RxPacket, TxPacket};

/// An Ethernet address (IEEE 802 MAC-48).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All stations on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A group address: broadcast or multicast.
    #[inline]
    pub fn is_group(&self) -> bool {
        self.0[0] & 1 != 0
    }

    /// An address that a station may have: neither a group nor all zeros.
    #[inline]
    pub fn is_station(&self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }
}

impl core::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl core::fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// Whether the medium carries frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Frames can flow.
    Up,
    /// No carrier.
    Down,
}

/// What [`Queue::arm`] found after it had armed the interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Armed {
    /// Nothing is waiting: the machine may sleep, an interrupt will wake it.
    Sleep,
    /// Work came in meanwhile: poll again, do not sleep.
    Ready,
}

/// A network device.
///
/// `'p` is the life of the frame pool whose frames its rings carry.
pub trait Port<'p> {
    /// One queue pair of this device.
    type Queue: Queue<'p>;

    /// What the device can do; the same answer for ever.
    fn caps(&self) -> Caps;

    /// The station address.
    fn mac(&self) -> MacAddr;

    /// The state of the link now.
    fn link(&mut self) -> LinkState;

    /// Whether the neighbors must hear where we are, because the machine below has moved, say;
    /// true once for each time. It is found out by [`link`](Self::link).
    fn announcement_due(&mut self) -> bool {
        false
    }

    /// Hands out queue pair `idx`, filled with receive frames from `pool`; `None` when there is no
    /// such queue, when it has been handed out before, or when the pool has no frame to start with.
    fn queue(&mut self, idx: u16, pool: &'p FramePool<'p>) -> Option<Self::Queue>;

    /// Moves content to where the device reaches it, once, when it is loaded; `None` when the
    /// device's region is full. With [`BodyMemory::Anywhere`](crate::BodyMemory) it stays put.
    fn place(&mut self, content: &'static [u8]) -> Option<&'static [u8]> {
        Some(content)
    }
}

/// A pair of rings that belongs to one core.
pub trait Queue<'p> {
    /// Its receive ring.
    type Rx: RxRing<'p>;
    /// Its transmit ring.
    type Tx: TxRing<'p>;

    /// Both rings at once, for a call chain that answers what it receives.
    fn rings(&mut self) -> (&mut Self::Rx, &mut Self::Tx);

    /// Arms the interrupt for both rings, then looks once more (the order matters: work that came
    /// in between is seen by the look, work after it by the interrupt). Until the next
    /// [`RxRing::sync`], which disarms, an interrupt may come; between the two, none does.
    fn arm(&mut self) -> Armed;

    /// What has happened on the rings and how full they are, as far as anybody counts it: a queue
    /// around another says what that one counts.
    fn figures(&self) -> Figures;
}

/// What a queue pair can tell of itself, for statistics: since the start, or now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Packets that were taken out of the receive ring.
    pub rx_packets: u64,
    /// Packets that the driver dropped: too short, or with a header that makes no sense.
    pub rx_dropped: u64,
    /// Times that there was no frame for a place of the receive ring.
    pub rx_pool_empty: u64,
    /// Doorbells or system calls of the receive ring.
    pub rx_doorbells: u64,
    /// Frames that lie in the receive ring now.
    pub rx_frames: u32,
    /// Packets put on the transmit ring.
    pub tx_packets: u64,
    /// Packets that the driver dropped: mistakes of the caller.
    pub tx_dropped: u64,
    /// Doorbells or system calls of the transmit ring.
    pub tx_doorbells: u64,
    /// Packets that the device has not finished sending.
    pub tx_outstanding: u32,
    /// Packets that there is space for now.
    pub tx_space: u32,
    /// Bytes that the driver had to copy.
    pub bytes_copied: u64,
    /// Times that a ring was reset because the far side had broken it.
    pub resets: u64,
}

/// The receive half of a queue.
pub trait RxRing<'p> {
    /// Gives consumed slots back with fresh frames in them and learns what has arrived; how many
    /// packets are ready. At most one doorbell or system call.
    fn sync(&mut self) -> usize;

    /// Takes the next ready packet out of its slot; a spare frame takes its place at the next
    /// [`sync`](Self::sync).
    fn recv(&mut self) -> Option<RxPacket<'p>>;

    /// Told that the packet which [`recv`](Self::recv) gave last was dropped, or its answer was,
    /// and why: for a ring that shows somebody what passes. A ring around another tells that one;
    /// others need not know.
    fn dropped(&mut self, why: &'static str);
}

/// The transmit half of a queue.
pub trait TxRing<'p> {
    /// Packets that can be sent for certain before the next [`sync`](Self::sync), each of up to
    /// `fragments_max` pieces.
    fn space(&self) -> usize;

    /// Puts a packet on the ring. The device sees it at the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// A full ring gives the packet back.
    // The error is the packet itself on purpose: a full ring must not lose it, nor box it.
    #[allow(clippy::result_large_err)]
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>>;

    /// Publishes the burst with one kick at most, and takes finished frames home.
    fn sync(&mut self);
}
