//! Rings in memory, as smoltcp wants a device: slots with a buffer each.

use std::collections::VecDeque;

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Both.
pub(super) struct Rings {
    arrived: VecDeque<(usize, usize)>,
    rx_slots: Vec<Buffer>,
    rx_next: usize,
    sent_lens: Vec<usize>,
    tx_slots: Vec<Buffer>,
}

type Buffer = [u8; 2_048];

pub(super) struct Received<'a>(&'a [u8]);

pub(super) struct Sender<'a> {
    sent_lens: &'a mut Vec<usize>,
    slot: &'a mut Buffer,
}

impl Rings {
    /// Empty rings.
    pub(super) fn new() -> Self {
        Self {
            arrived: VecDeque::with_capacity(RX_SLOTS),
            rx_slots: vec![[0; 2_048]; RX_SLOTS],
            rx_next: 0,
            sent_lens: Vec::with_capacity(TX_SLOTS),
            tx_slots: vec![[0; 2_048]; TX_SLOTS],
        }
    }

    /// A frame comes in.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        let idx = self.rx_next;
        self.rx_next = (idx + 1) % RX_SLOTS;
        assert!(self.arrived.len() < RX_SLOTS, "a free slot");
        self.rx_slots[idx][..bytes.len()].copy_from_slice(bytes);
        self.arrived.push_back((idx, bytes.len()));
    }

    /// What was sent goes out.
    pub(super) fn drain(&mut self, mut read: impl FnMut(&[&[u8]])) {
        for (slot, len) in self.tx_slots.iter().zip(self.sent_lens.drain(..)) {
            read(&[&slot[..len]]);
        }
    }
}

impl phy::RxToken for Received<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl phy::TxToken for Sender<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        self.sent_lens.push(len);
        write(&mut self.slot[..len])
    }
}

impl Device for Rings {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sender<'a>;

    #[inline]
    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sender<'_>)> {
        let slot = self.tx_slots.get_mut(self.sent_lens.len())?;
        let (idx, len) = self.arrived.pop_front()?;
        let sender = Sender {
            sent_lens: &mut self.sent_lens,
            slot,
        };
        Some((Received(&self.rx_slots[idx][..len]), sender))
    }

    #[inline]
    fn transmit(&mut self, _: Instant) -> Option<Sender<'_>> {
        let slot = self.tx_slots.get_mut(self.sent_lens.len())?;
        Some(Sender {
            sent_lens: &mut self.sent_lens,
            slot,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}

/// Places in the receive ring.
pub(super) const RX_SLOTS: usize = 256;
const TX_SLOTS: usize = 1_024;
