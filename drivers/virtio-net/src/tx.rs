//! The transmit ring: one chain a packet, every piece by reference.
//!
//! ```text
//!   descriptor 1: virtio_net_hdr + head frame ─► descriptor 2: fragment ─► …
//!                 └ pushed into its headroom      content or shared frame
//! ```
//!
//! Content is `&'static` and immutable: nothing tracks it. The head and the frames among the
//! fragments are lent, and go home when the chain is finished, in any order.

use core::ptr::NonNull;

use simoom_ring::{Fragment, FramePool, GsoKind, NetHdr, TxOffload, TxPacket, TxRing};
use virtio_drivers::{BufferDirection, Hal};

use crate::Features;
use crate::counters::TxCounters;
use crate::dma::{DmaPages, device_addr};
use crate::port::PIECES_MAX;
use crate::registers::Doorbell;
use crate::rekick::Rekick;
use crate::split::{Piece, SplitQueue};

/// The transmit half of a queue pair.
pub struct Tx<'m, 'p, H: Hal> {
    pub(crate) queue: SplitQueue<'m>,
    pub(crate) pages: DmaPages<H>,
    pub(crate) doorbell: Doorbell,
    pub(crate) pool: &'p FramePool<'p>,
    pub(crate) hdr_len: usize,
    pub(crate) features: Features,
    pub(crate) is_armed: bool,
    /// The device serves the pair; before, nothing may be sent (virtio 1.2 5.1.6.5.5).
    pub(crate) is_served: bool,
    pub(crate) rekick: Rekick,
    pub(crate) counters: TxCounters,
}

impl<'p, H: Hal> TxRing<'p> for Tx<'_, 'p, H> {
    #[inline]
    fn space(&self) -> usize {
        match self.is_served {
            true => usize::from(self.queue.free_cnt()) / PIECES_MAX,
            false => 0,
        }
    }

    #[inline]
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        if packet.pieces() > usize::from(self.queue.free_cnt()) || !self.is_served {
            return Err(packet);
        }
        if !self.can_do(&packet) {
            self.counters.dropped_request += 1;
            return Ok(());
        }
        self.send_pieces(packet);
        Ok(())
    }

    #[inline]
    fn sync(&mut self) {
        if self.is_armed {
            self.is_armed = false;
            self.queue.park();
        } else {
            self.queue.keep_parked();
        }
        if self.queue.publish() {
            self.doorbell.kick();
            self.counters.kicks += 1;
        }
        match self.queue.learn() {
            Ok(0) if self.queue.outstanding_cnt() == 0 => {}
            Ok(0) => {
                if self.rekick.is_due_at_poll() {
                    self.kick_again();
                }
            }
            Ok(ready_cnt) => self.reap(ready_cnt),
            // The queue pair resets the device.
            Err(_) => {}
        }
    }
}

impl<'p, H: Hal> Tx<'_, 'p, H> {
    /// Whether the packet asks for nothing but what [`Caps`](simoom_ring::Caps) promise.
    #[inline]
    fn can_do(&self, packet: &TxPacket<'p>) -> bool {
        let TxOffload { csum, gso } = packet.offload();
        let has_csum = csum.is_none() || self.features.contains(Features::CSUM);
        // Segmentation needs the checksum (virtio 1.2 5.1.6.2.1).
        let has_gso = gso.is_none_or(|gso| csum.is_some() && self.can_cut(gso.kind));
        has_csum && has_gso && packet.head().headroom() >= self.hdr_len
    }

    #[inline]
    fn can_cut(&self, kind: GsoKind) -> bool {
        self.features.contains(match kind {
            GsoKind::TcpV4 => Features::HOST_TSO4,
            GsoKind::TcpV6 => Features::HOST_TSO6,
            GsoKind::Udp => Features::HOST_USO,
        })
    }

    /// Puts a packet on the ring for which there is room.
    ///
    /// # Panics
    /// When a frame is of another pool than the ring's: a mix-up of ours.
    #[inline]
    fn send_pieces(&mut self, packet: TxPacket<'p>) {
        self.rekick.moved();
        let (mut head, fragments, fragments_cnt, offload) = packet.into_parts();
        assert!(
            core::ptr::eq(head.pool(), self.pool),
            "a ring carries frames of one pool"
        );
        if let Ok(header) = head.push(self.hdr_len) {
            NetHdr::for_tx(offload).emit(header);
        }
        let in_use = fragments.get(..fragments_cnt).unwrap_or(&fragments);
        // Devices take an empty piece for an error.
        let pieces_cnt = 1 + in_use
            .iter()
            .filter(|fragment| !fragment.is_empty())
            .count();
        let mut fragments = fragments
            .into_iter()
            .filter(|fragment| !fragment.is_empty());
        let mut head = Some(head);
        let added = self.queue.add_chain(pieces_cnt, || match head.take() {
            Some(head) => Piece {
                addr: device_addr::<H>(head.as_ptr(), head.len(), DIRECTION),
                // A frame's length is a u16.
                len: head.len() as u32,
                is_writable: false,
                frame: Some(head.lend()),
            },
            None => fragments.next().map_or(Piece::NONE, |fragment| {
                lend_fragment::<H>(self.pool, fragment)
            }),
        });
        assert!(added.is_ok(), "send has seen that there is room");
        self.counters.packets += 1;
        self.counters.super_segments += u64::from(offload.gso.is_some());
    }

    /// Takes the frames of `ready_cnt` finished packets home.
    #[inline]
    fn reap(&mut self, ready_cnt: u16) {
        self.rekick.moved();
        let pool = self.pool;
        for _ in 0..ready_cnt {
            let reaped = self.queue.reap(|idx| {
                pool.give_back(idx);
            });
            match reaped {
                Ok(Some(_)) => self.counters.finished += 1,
                // The queue pair resets the device.
                Ok(None) | Err(_) => break,
            }
        }
    }

    /// Asks for an interrupt if `is_wanted` and something is on the ring; whether there is work
    /// already.
    pub(crate) fn arm(&mut self, is_wanted: bool) -> bool {
        if self.queue.outstanding_cnt() == 0 {
            return false;
        }
        let half = self.queue.size() / 2;
        if !is_wanted && self.queue.free_cnt() >= half {
            return false;
        }
        self.is_armed = true;
        self.queue.arm()
    }

    /// Kicks once more, if packets are outstanding and this is not the first sleep since anything
    /// moved.
    pub(crate) fn before_sleep(&mut self) {
        if self.queue.outstanding_cnt() > 0 && self.rekick.is_due_at_sleep() {
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

/// One fragment as a piece.
#[inline]
fn lend_fragment<H: Hal>(pool: &FramePool<'_>, fragment: Fragment<'_>) -> Piece {
    let (base, byte_len, frame) = match fragment {
        Fragment::Content(bytes) => (NonNull::from(bytes).cast(), bytes.len(), None),
        Fragment::Frame(frame) => {
            assert!(
                core::ptr::eq(frame.pool(), pool),
                "a ring carries frames of one pool"
            );
            (frame.as_ptr(), frame.len(), Some(frame.lend()))
        }
    };
    Piece {
        addr: device_addr::<H>(base, byte_len, DIRECTION),
        // What a packet carries is far below 4 GiB; a longer slice would be cut.
        len: u32::try_from(byte_len).unwrap_or(u32::MAX),
        is_writable: false,
        frame,
    }
}

const DIRECTION: BufferDirection = BufferDirection::DriverToDevice;
