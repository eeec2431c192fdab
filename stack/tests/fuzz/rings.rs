//! The two rings under the stack: one is filled by the program, the other shows what was sent to
//! the far side, and may keep the frames in flight for as long as the program likes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use simoom_ring::{Armed, Caps, Figures, Queue, RxPacket, RxRing, TxPacket, TxRing};

use super::far::Far;

/// The stack's queue pair.
pub(crate) struct Rings {
    pub(crate) rx: Rx,
    pub(crate) tx: Tx,
}

impl Rings {
    pub(crate) fn new(caps: Caps, far: Rc<RefCell<Far>>) -> Self {
        Self {
            rx: Rx(VecDeque::new()),
            tx: Tx {
                slots: TX_SLOTS,
                is_held: false,
                on_ring: VecDeque::new(),
                caps,
                far,
            },
        }
    }
}

impl Queue<'static> for Rings {
    type Rx = Rx;
    type Tx = Tx;

    fn rings(&mut self) -> (&mut Rx, &mut Tx) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

/// Packets that wait for the stack's next look.
pub(crate) struct Rx(pub(crate) VecDeque<RxPacket<'static>>);

impl RxRing<'static> for Rx {
    fn sync(&mut self) -> usize {
        self.0.len()
    }

    fn recv(&mut self) -> Option<RxPacket<'static>> {
        self.0.pop_front()
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

/// Packets that the device has not finished with.
pub(crate) struct Tx {
    /// Packets that fit.
    pub(crate) slots: usize,
    /// The device takes its time: nothing is finished until this is over.
    pub(crate) is_held: bool,
    pub(crate) on_ring: VecDeque<TxPacket<'static>>,
    caps: Caps,
    far: Rc<RefCell<Far>>,
}

impl Tx {
    /// What a device may rely on, whatever came in.
    fn check(&self, packet: &TxPacket<'static>) {
        let caps = &self.caps;
        assert!(packet.pieces() <= caps.fragments_max, "{packet:?}");
        let headroom = usize::from(caps.headroom);
        assert!(packet.head().headroom() >= headroom, "{packet:?}");
        let offload = packet.offload();
        assert!(
            offload.csum.is_none() || caps.checksums.tx,
            "an offload that the port does not have"
        );
        let ip_len = packet.frame_len() - ETHERNET_LEN;
        let len_max = match offload.gso {
            Some(gso) => {
                assert!(caps.tso.tcp_v4 && offload.csum.is_some() && gso.gso_size > 0);
                caps.tso.len_max as usize
            }
            None => usize::from(caps.mtu),
        };
        assert!(ip_len <= len_max, "{ip_len} bytes of at most {len_max}");
    }
}

impl TxRing<'static> for Tx {
    fn space(&self) -> usize {
        self.slots.saturating_sub(self.on_ring.len())
    }

    fn send(&mut self, packet: TxPacket<'static>) -> Result<(), TxPacket<'static>> {
        if self.space() == 0 {
            return Err(packet);
        }
        self.check(&packet);
        let mut bytes = packet.head().bytes().to_vec();
        for fragment in packet.fragments() {
            bytes.extend_from_slice(fragment.bytes());
        }
        self.far.borrow_mut().sees(bytes, packet.offload());
        self.on_ring.push_back(packet);
        Ok(())
    }

    fn sync(&mut self) {
        if !self.is_held {
            self.on_ring.clear();
        }
    }
}

/// Packets that fit on the transmit ring unless the program says otherwise.
pub(crate) const TX_SLOTS: usize = 64;

const ETHERNET_LEN: usize = 14;
