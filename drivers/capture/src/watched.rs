//! A ring pair that somebody watches, for one poll.

use core::cell::RefCell;

use simoom_ring::{Queue, RxPacket, RxRing, TxPacket, TxRing};

use crate::store::{Direction, Store};

/// What stands between a stack and a ring pair during a poll. While there is no capture it is a
/// branch a packet; it never changes what passes.
pub struct Watched<R, T> {
    /// The receive ring.
    pub rx: R,
    /// The transmit ring.
    pub tx: T,
}

/// One of the rings, and where copies go while there is a capture.
pub struct WatchedRing<'a, 'm, R> {
    ring: &'a mut R,
    store: Option<&'a RefCell<Store<'m>>>,
}

impl<'a, 'm, R, T> Watched<WatchedRing<'a, 'm, R>, WatchedRing<'a, 'm, T>> {
    /// Both rings of `queue`, watched for `store` if that captures. What passes now, passes at
    /// `now_us`.
    #[inline]
    pub fn new<'p, Q>(queue: &'a mut Q, store: &'a RefCell<Store<'m>>, now_us: u64) -> Self
    where
        Q: Queue<'p, Rx = R, Tx = T>,
    {
        let (rx, tx) = queue.rings();
        let is_on = store.borrow().is_on();
        if is_on {
            store.borrow_mut().set_now(now_us);
        }
        let store = is_on.then_some(store);
        Self {
            rx: WatchedRing { ring: rx, store },
            tx: WatchedRing { ring: tx, store },
        }
    }
}

impl<'p, R: RxRing<'p>> RxRing<'p> for WatchedRing<'_, '_, R> {
    #[inline]
    fn sync(&mut self) -> usize {
        self.ring.sync()
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        let pkt = self.ring.recv()?;
        if let Some(store) = self.store {
            received(store, &pkt);
        }
        Some(pkt)
    }

    #[inline]
    fn dropped(&mut self, why: &'static str) {
        if let Some(store) = self.store {
            store.borrow_mut().dropped(why);
        }
        self.ring.dropped(why);
    }
}

impl<'p, T: TxRing<'p>> TxRing<'p> for WatchedRing<'_, '_, T> {
    #[inline]
    fn space(&self) -> usize {
        self.ring.space()
    }

    // The error is the packet itself on purpose: a full ring must not lose it, nor box it.
    #[allow(clippy::result_large_err)]
    #[inline]
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        match self.store {
            None => self.ring.send(packet),
            Some(store) => sent(self.ring, store, packet),
        }
    }

    #[inline]
    fn sync(&mut self) {
        self.ring.sync();
    }
}

#[cold]
fn received(store: &RefCell<Store<'_>>, pkt: &RxPacket<'_>) {
    let rest = |show: &mut dyn FnMut(&[u8])| pkt.rest.for_each(show);
    let head = pkt.frame.bytes();
    let mut store = store.borrow_mut();
    store.push(Direction::Received, pkt.frame_len(), head, rest);
}

/// A packet that the ring has no room for was not sent: it is not captured, either.
#[cold]
#[allow(clippy::result_large_err)]
fn sent<'p, T: TxRing<'p>>(
    ring: &mut T,
    store: &RefCell<Store<'_>>,
    packet: TxPacket<'p>,
) -> Result<(), TxPacket<'p>> {
    let mut store = store.borrow_mut();
    let before = (store.counts(), store.unread_cnt());
    let rest = |show: &mut dyn FnMut(&[u8])| {
        let fragments = packet.fragments().iter();
        fragments.for_each(|fragment| show(fragment.bytes()));
    };
    let frame_len = packet.frame_len();
    store.push(Direction::Sent, frame_len, packet.head().bytes(), rest);
    let done = ring.send(packet);
    if done.is_err() {
        store.take_back(before.0, before.1);
    }
    done
}
