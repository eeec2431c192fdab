//! The transmit ring. It is strict: a packet that a real device would garble ends the test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use simoom_ring::{BodyMemory, Fragment, FrameIdx, FramePool, TxOffload, TxPacket, TxRing};

use crate::layout::ETH_LEN;
use crate::medium::{Medium, offers};
use crate::port::Region;
use crate::segment;
use crate::{End, PortConfig};

/// The transmit half of a [`SimQueue`](crate::SimQueue).
pub struct SimTx<'p> {
    medium: Rc<RefCell<Medium>>,
    end: End,
    config: PortConfig,
    region: Rc<RefCell<Region>>,
    /// Bytes of the packets that are on the ring and not published.
    pending: Vec<(Vec<u8>, TxOffload)>,
    /// All packets on the ring, oldest first; the last `pending.len()` are not published.
    on_ring: VecDeque<OnRing<'p>>,
    used_slots: usize,
}

/// What a packet has lent to the device, until it is done.
struct OnRing<'p> {
    lent: Vec<(&'p FramePool<'p>, FrameIdx)>,
    slots: usize,
}

impl<'p> SimTx<'p> {
    pub(crate) fn new(
        medium: Rc<RefCell<Medium>>,
        end: End,
        config: PortConfig,
        region: Rc<RefCell<Region>>,
    ) -> Self {
        Self {
            medium,
            end,
            config,
            region,
            pending: Vec::new(),
            on_ring: VecDeque::new(),
            used_slots: 0,
        }
    }

    /// Ends the test for a packet that breaks the contract of the capabilities.
    fn check(&self, packet: &TxPacket<'p>) {
        let config = &self.config;
        let offload = packet.offload();
        let len = packet.frame_len();
        assert!(
            packet.pieces() <= config.fragments_max,
            "{} pieces of at most {}",
            packet.pieces(),
            config.fragments_max
        );
        assert!(
            packet.head().headroom() >= usize::from(config.headroom),
            "headroom of {}, the driver needs {}",
            packet.head().headroom(),
            config.headroom
        );
        assert!(len >= ETH_LEN, "{len} bytes have no Ethernet header");
        match offload.gso {
            None => assert!(
                len - ETH_LEN <= usize::from(config.mtu),
                "datagram of {} bytes, the MTU is {}",
                len - ETH_LEN,
                config.mtu
            ),
            Some(gso) => {
                assert!(offers(config, gso.kind), "{:?} is not offered", gso.kind);
                assert!(
                    len - ETH_LEN <= config.tso.len_max as usize,
                    "super-segment of {} bytes, at most {}",
                    len - ETH_LEN,
                    config.tso.len_max
                );
                let segment_len = usize::from(gso.hdr_len) + usize::from(gso.gso_size);
                assert!(
                    segment_len <= usize::from(config.mtu) + ETH_LEN,
                    "segments of {segment_len} bytes do not fit the MTU"
                );
            }
        }
        assert!(
            offload.csum.is_none() || config.tx_csum,
            "checksum offload is not offered"
        );
        if config.body_memory == BodyMemory::Region {
            let region = self.region.borrow();
            let is_reachable = |fragment: &Fragment<'_>| match fragment {
                Fragment::Content(content) => region.has(content),
                Fragment::Frame(_) => true,
            };
            assert!(
                packet.fragments().iter().all(is_reachable),
                "content that was not placed"
            );
        }
    }
}

impl<'p> TxRing<'p> for SimTx<'p> {
    fn space(&self) -> usize {
        (self.config.tx_slots - self.used_slots) / self.config.fragments_max
    }

    /// # Panics
    /// When the packet breaks what the capabilities say: a mistake of the stack, which a device
    /// would not report.
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        self.check(&packet);
        let slots = packet.pieces();
        if slots > self.config.tx_slots - self.used_slots {
            return Err(packet);
        }
        let mut bytes = packet.head().bytes().to_vec();
        for fragment in packet.fragments() {
            bytes.extend_from_slice(fragment.bytes());
        }
        let offload = packet.offload();
        if let Some(gso) = offload.gso
            && let Err(bad) = segment::check(&bytes, gso)
        {
            panic!("bad segmentation request {gso:?}: {bad}");
        }
        let (mut head, fragments, fragments_cnt, _) = packet.into_parts();
        if let Ok(header) = head.push(self.config.headroom.into()) {
            // The driver's own header: nobody may count on what was there.
            header.fill(DRIVER_HEADER);
        }
        let mut lent = vec![(head.pool(), head.lend())];
        for fragment in fragments.into_iter().take(fragments_cnt) {
            if let Fragment::Frame(frame) = fragment {
                lent.push((frame.pool(), frame.lend()));
            }
        }
        self.used_slots += slots;
        self.on_ring.push_back(OnRing { lent, slots });
        self.pending.push((bytes, offload));
        Ok(())
    }

    /// # Panics
    /// As [`send`](Self::send): a checksum request that is not within its packet.
    fn sync(&mut self) {
        let mut medium = self.medium.borrow_mut();
        let done = core::mem::take(&mut medium.end_mut(self.end).tx_done);
        for on_ring in self.on_ring.drain(..done) {
            self.used_slots -= on_ring.slots;
            go_home(on_ring);
        }
        for (bytes, offload) in self.pending.drain(..) {
            if let Err(bad) = medium.transmit(self.end, bytes, offload) {
                panic!("bad request {offload:?}: {bad}");
            }
        }
    }
}

impl Drop for SimTx<'_> {
    fn drop(&mut self) {
        self.on_ring.drain(..).for_each(go_home);
    }
}

/// The device is done with a packet.
fn go_home(on_ring: OnRing<'_>) {
    for (pool, idx) in on_ring.lent {
        pool.give_back(idx);
    }
}

const DRIVER_HEADER: u8 = 0xa5;
