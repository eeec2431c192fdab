//! The smallest queue there can be, where nothing but the stack is to be measured or watched: what
//! arrives is put in by hand, and what was sent stays until it is looked at.

use std::collections::VecDeque;

use simoom_ring::{Armed, Figures, Queue, RxPacket, RxRing, TxPacket, TxRing};

/// Both rings.
pub struct MemoryRings<'p> {
    rx: MemoryRx<'p>,
    tx: MemoryTx<'p>,
}

/// What has arrived.
pub struct MemoryRx<'p>(VecDeque<RxPacket<'p>>);

/// What was sent.
pub struct MemoryTx<'p> {
    sent: Vec<TxPacket<'p>>,
}

impl<'p> MemoryRings<'p> {
    /// Empty rings, the second with room for `tx_slots` packets.
    pub fn new(tx_slots: usize) -> Self {
        Self {
            rx: MemoryRx(VecDeque::with_capacity(tx_slots)),
            tx: MemoryTx {
                sent: Vec::with_capacity(tx_slots),
            },
        }
    }

    /// A packet comes in.
    pub fn arrive(&mut self, packet: RxPacket<'p>) {
        self.rx.0.push_back(packet);
    }

    /// What was sent and not taken out yet.
    #[inline]
    pub fn sent(&mut self) -> &mut Vec<TxPacket<'p>> {
        &mut self.tx.sent
    }

    /// Throws away what is on either ring.
    pub fn clear(&mut self) {
        self.rx.0.clear();
        self.tx.sent.clear();
    }
}

impl<'p> Queue<'p> for MemoryRings<'p> {
    type Rx = MemoryRx<'p>;
    type Tx = MemoryTx<'p>;

    #[inline]
    fn rings(&mut self) -> (&mut MemoryRx<'p>, &mut MemoryTx<'p>) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        Armed::Ready
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

impl<'p> RxRing<'p> for MemoryRx<'p> {
    #[inline]
    fn sync(&mut self) -> usize {
        self.0.len()
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        self.0.pop_front()
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl<'p> TxRing<'p> for MemoryTx<'p> {
    #[inline]
    fn space(&self) -> usize {
        self.sent.capacity() - self.sent.len()
    }

    #[inline]
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        // It never grows, so that the packet is written where it stays.
        if self.sent.len() == self.sent.capacity() {
            return Err(packet);
        }
        self.sent.push(packet);
        Ok(())
    }

    #[inline]
    fn sync(&mut self) {}
}
