//! The receive ring: empty frames lent to the device, full ones taken back.
//!
//! ```text
//!   frame as lent:     │ device writes: virtio_net_hdr, Ethernet …                     │
//!   RxPacket.frame:    │ headroom (10 or 12) │ Ethernet … (len)      │ tailroom        │
//! ```
//!
//! One frame is one chain of one descriptor. [`Rx::sync`] fills every free descriptor with a frame
//! from the pool; an empty pool leaves the ring with fewer, until a later sync finds more.
//!
//! A packet that is larger than a frame lies in several (`MRG_RXBUF`, virtio 1.2 5.1.6.3.1), of
//! which the first has the header: these become one [`RxPacket`], and nothing is copied.

use simoom_ring::net_hdr::Agreed;
use simoom_ring::{Frame, FramePool, FrameQueue, NetHdr, RxPacket, RxRing};
use virtio_drivers::{BufferDirection, Hal};

use crate::Features;
use crate::control::{ETHERNET_LEN, RingAddrs};
use crate::counters::RxCounters;
use crate::dma::{DmaPages, device_addr};
use crate::registers::{Doorbell, LineAck};
use crate::rekick::Rekick;
use crate::split::{Piece, SplitQueue, Violation};

/// The receive half of a queue pair.
pub struct Rx<'m, 'p, H: Hal> {
    pub(crate) queue: SplitQueue<'m>,
    pub(crate) pages: DmaPages<H>,
    pub(crate) doorbell: Doorbell,
    pub(crate) line_ack: LineAck,
    pub(crate) pool: &'p FramePool<'p>,
    /// Frames in the ring at most.
    pub(crate) frames_max: u16,
    pub(crate) hdr_len: usize,
    pub(crate) features: Features,
    /// What the features let a header say.
    pub(crate) agreed: Agreed,
    pub(crate) is_armed: bool,
    pub(crate) rekick: Rekick,
    pub(crate) counters: RxCounters,
}

impl<'p, H: Hal> RxRing<'p> for Rx<'_, 'p, H> {
    #[inline]
    fn sync(&mut self) -> usize {
        if self.is_armed {
            self.is_armed = false;
            self.queue.park();
        } else {
            self.queue.keep_parked();
        }
        self.refill();
        match self.queue.learn() {
            Ok(0) => {
                if self.rekick.is_due_at_poll() {
                    self.kick_again();
                }
                0
            }
            Ok(ready_cnt) => {
                self.rekick.moved();
                usize::from(ready_cnt)
            }
            // The queue pair resets the device.
            Err(_) => 0,
        }
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        for _ in 0..self.queue.ready_cnt() {
            let first = self.reap()?;
            if let Some(packet) = self.accept(first) {
                self.counters.frames += 1;
                return Some(packet);
            }
        }
        None
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl<'p, H: Hal> Rx<'_, 'p, H> {
    /// Takes the next frame that the device has written to, as long as it says.
    #[inline]
    fn reap(&mut self) -> Option<Frame<'p>> {
        let mut frame_idx = None;
        let written_len = self.queue.reap(|idx| frame_idx = Some(idx)).ok()??;
        // While this one is attended to.
        if let Some(next) = self.queue.next_frame() {
            self.pool.prefetch(next, 0);
        }
        // The queue has checked the length against what was offered, the whole frame, and the frame
        // is what `refill` lent: this fails for no device.
        self.pool.take_back(frame_idx?, 0, written_len as usize)
    }

    /// Makes a packet of a frame that the device has written to, and of those behind it that are
    /// part of it.
    #[inline]
    fn accept(&mut self, mut frame: Frame<'p>) -> Option<RxPacket<'p>> {
        let Some(header) = NetHdr::parse(frame.bytes()).filter(|_| frame.len() >= self.hdr_len)
        else {
            self.counters.dropped_short += 1;
            return None;
        };
        let mut rest = FrameQueue::new(self.pool);
        if header.num_buffers > 1 && self.features.contains(Features::MRG_RXBUF) {
            self.reap_rest(header.num_buffers, &mut rest)?;
        }
        if frame.len() < self.hdr_len + ETHERNET_LEN {
            self.counters.dropped_short += 1;
            return None;
        }
        frame.pull(self.hdr_len);
        let frame_len = frame.len() + rest.byte_len();
        let Some((csum, gso_size)) = header.for_rx(frame_len, self.agreed) else {
            self.counters.dropped_header += 1;
            return None;
        };
        Some(RxPacket {
            frame,
            rest,
            csum,
            gso_size,
        })
    }

    /// Takes the frames of a large packet behind its first. They are there: the device shows all
    /// of a packet at once (virtio 1.2 5.1.6.4). `None` when it does not, which breaks the queue.
    fn reap_rest(&mut self, num_buffers: u16, rest: &mut FrameQueue<'p>) -> Option<()> {
        let rest_cnt = num_buffers.saturating_sub(1);
        if rest_cnt > self.queue.ready_cnt() && self.queue.learn().ok()? < rest_cnt {
            self.queue.break_off(Violation::NumBuffers);
            return None;
        }
        for _ in 0..rest_cnt {
            let frame = self.reap()?;
            if !frame.is_empty() {
                rest.push_back(frame, 0);
            }
        }
        self.counters.large += 1;
        Some(())
    }

    /// Lends the device a frame for every free place, and kicks it if it wants to know.
    #[inline]
    pub(crate) fn refill(&mut self) {
        let missing_cnt = self.missing_cnt();
        if missing_cnt == 0 {
            return;
        }
        let frame_size = self.pool.frame_size();
        for _ in 0..missing_cnt {
            let Some(frame) = self.pool.alloc(0) else {
                self.counters.pool_empty += 1;
                break;
            };
            let direction = BufferDirection::DeviceToDriver;
            let piece = || Piece {
                addr: device_addr::<H>(frame.as_ptr(), frame_size, direction),
                // A frame's size is a u16.
                len: frame_size as u32,
                is_writable: true,
                frame: Some(frame.idx()),
            };
            if self.queue.add_chain(1, piece).is_err() {
                break;
            }
            frame.lend();
        }
        if self.queue.publish() {
            self.doorbell.kick();
            self.counters.kicks += 1;
        }
        self.rekick.moved();
    }

    /// Frames that the ring could take.
    #[inline]
    pub(crate) fn missing_cnt(&self) -> u16 {
        let lent_cnt = self.queue.size() - self.queue.free_cnt();
        // A broken queue has no free descriptors, and so takes none.
        self.frames_max.saturating_sub(lent_cnt)
    }

    /// Asks for an interrupt; whether there is work already.
    pub(crate) fn arm(&mut self) -> bool {
        // First of all, or what comes next might find the line raised still, and not raise it.
        self.line_ack.acknowledge();
        self.is_armed = true;
        let can_refill = self.missing_cnt() > 0 && self.pool.free_cnt() > 0;
        self.queue.arm() || can_refill
    }

    /// Kicks once more, if this is not the first sleep since anything moved.
    pub(crate) fn before_sleep(&mut self) {
        if self.rekick.is_due_at_sleep() {
            self.kick_again();
        }
    }

    #[cold]
    fn kick_again(&mut self) {
        self.doorbell.kick();
        self.counters.rekicks += 1;
    }

    /// Takes all frames home and makes the ring as new. The device has stopped.
    pub(crate) fn reset(&mut self) {
        let pool = self.pool;
        self.queue.reset(|idx| {
            pool.give_back(idx);
        });
        self.rekick.moved();
    }
}

/// Where the device finds the ring that lies in `pages`.
pub(crate) fn ring_addrs<H: Hal>(queue: &SplitQueue<'_>, pages: &DmaPages<H>) -> RingAddrs {
    let areas = queue.areas();
    RingAddrs {
        size: queue.size(),
        desc: pages.addr(),
        avail: pages.addr() + areas.avail_at as u64,
        used: pages.addr() + areas.used_at as u64,
    }
}
