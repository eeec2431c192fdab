//! Rings in memory, with a driver's part of the work: spares for what was received, and frames that
//! go home when they have been sent, at the next sync.

use std::collections::VecDeque;

use simoom_ring::{Armed, Figures, Frame, FramePool, Queue, RxPacket, RxRing, TxPacket, TxRing};

/// Both.
pub(super) struct Rings {
    rx: Rx,
    tx: Tx,
}

pub(super) struct Rx {
    pool: &'static FramePool<'static>,
    arrived: VecDeque<RxPacket<'static>>,
    spares: Vec<Frame<'static>>,
}

pub(super) struct Tx {
    sent: Vec<TxPacket<'static>>,
    /// The device is done with them.
    done: Vec<TxPacket<'static>>,
}

impl Rings {
    /// Empty rings.
    pub(super) fn new(pool: &'static FramePool<'static>) -> Self {
        let mut rx = Rx {
            pool,
            arrived: VecDeque::with_capacity(RX_SLOTS),
            spares: Vec::with_capacity(RX_SLOTS),
        };
        rx.sync();
        let tx = Tx {
            sent: Vec::with_capacity(TX_SLOTS),
            done: Vec::with_capacity(TX_SLOTS),
        };
        Self { rx, tx }
    }

    /// A frame comes in.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        let mut frame = self.rx.spares.pop().expect("a free slot");
        frame.append(bytes).expect("it fits");
        self.rx.arrived.push_back(RxPacket::plain(frame));
    }

    /// What was sent goes out, in pieces.
    pub(super) fn drain(&mut self, mut read: impl FnMut(&[&[u8]])) {
        let Tx { sent, done } = &mut self.tx;
        for packet in &*sent {
            let mut pieces: [&[u8]; 4] = [packet.head().bytes(), &[], &[], &[]];
            for (piece, fragment) in pieces[1..].iter_mut().zip(packet.fragments()) {
                *piece = fragment.bytes();
            }
            read(&pieces);
        }
        done.append(sent);
    }
}

impl Queue<'static> for Rings {
    type Rx = Rx;
    type Tx = Tx;

    fn rings(&mut self) -> (&mut Rx, &mut Tx) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        Armed::Ready
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

impl RxRing<'static> for Rx {
    fn sync(&mut self) -> usize {
        while self.spares.len() < RX_SLOTS {
            let Some(spare) = self.pool.alloc(0) else {
                break;
            };
            self.spares.push(spare);
        }
        self.arrived.len()
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'static>> {
        self.arrived.pop_front()
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl TxRing<'static> for Tx {
    #[inline]
    fn space(&self) -> usize {
        TX_SLOTS - self.sent.len()
    }

    #[inline]
    fn send(&mut self, packet: TxPacket<'static>) -> Result<(), TxPacket<'static>> {
        if self.sent.len() == TX_SLOTS {
            return Err(packet);
        }
        self.sent.push(packet);
        Ok(())
    }

    fn sync(&mut self) {
        self.done.clear();
    }
}

const RX_SLOTS: usize = 256;
const TX_SLOTS: usize = 1_024;
