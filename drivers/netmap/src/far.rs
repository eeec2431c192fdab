//! The other side of a port: who carries out a sync, and what it can do. All that the author of a
//! host implements.
//!
//! ```text
//!                 the core (this crate): slots, frames, head, cur, tail
//!                       │ Host: a port           │ FarSide: one ring
//!         ┌─────────────┴──────┬─────────────────┴─┬──────────────────────┐
//!   /dev/netmap: ioctl   AF_XDP: descriptors   TAP: read, write     pipe: the peer's ring
//! ```
//!
//! A host that is not a kernel with netmap plays that kernel: it lays out a region
//! ([`Plan`](crate::Plan)) and reads and writes the rings from the other side
//! ([`Kring`](crate::Kring)).

use simoom_ring::net_hdr::Agreed;
use simoom_ring::{Checksums, LinkState, MacAddr, Segmentation};

/// The far side is gone for good: the interface has been taken away, the program is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The far side of one ring.
pub trait FarSide {
    /// Takes the slots that were given (`head` in the ring) and gives what it can (`tail` in the
    /// ring). One system call at most, where the machine has one for a burst.
    ///
    /// # Errors
    /// [`Gone`]: the ring does nothing any more.
    fn sync(&mut self) -> Result<(), Gone>;

    /// Sees to it that the machine is woken when the next [`sync`](Self::sync) has something to
    /// give; true when it has already.
    fn arm(&mut self) -> bool;

    /// The ring is not as the two sides had it: writes the indices that the far side believes in,
    /// `head` and `cur` being one.
    ///
    /// # Errors
    /// [`Gone`]: that cannot be had.
    fn reset(&mut self) -> Result<(), Gone>;

    /// For a receive ring whose frames are not all ours: takes a frame that begins where its buffer
    /// does, by the buffer's name, and gives the name of another buffer for its slot. `None`: it is
    /// ours.
    #[inline]
    fn divert(&mut self, _frame: &[u8], _buf_idx: u32) -> Option<u32> {
        None
    }

    /// For a transmit ring that others send by, too: whether they have something now.
    #[inline]
    fn has_guests(&mut self) -> bool {
        false
    }

    /// The next frame of theirs, which begins where its buffer does: the buffer's name, and the
    /// frame's length. The buffer `spare` takes its place, unless there is none (`None`).
    #[inline]
    fn guest(&mut self, _spare: u32) -> Option<(u32, u16)> {
        None
    }

    /// Ends the use of the ring: from then on the far side reads and writes no slot and no buffer
    /// of it, until it frees them all.
    fn stop(&mut self);
}

/// A port that the core drives.
pub trait Host {
    /// The far side of a receive ring.
    type Rx: FarSide;
    /// The far side of a transmit ring.
    type Tx: FarSide;

    /// What the port can do; the same answer for ever.
    fn traits(&self) -> Traits;

    /// The station address.
    fn mac(&self) -> MacAddr;

    /// The state of the link now.
    fn link(&mut self) -> LinkState;

    /// The far sides of ring pair `idx`; `None` when there is none, or they are out already.
    fn far_sides(&mut self, idx: u16) -> Option<(Self::Rx, Self::Tx)>;
}

/// What a host says of its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// IP MTU in bytes.
    pub mtu: u16,
    /// Bytes of virtio-net header in front of each frame, in both directions (`PORT_HDR`): 0, 10
    /// or 12. Offloads need one.
    pub hdr_len: u16,
    /// Checksums that the other side completes, and those that it has verified.
    pub checksums: Checksums,
    /// Segmentation by the other side.
    pub tso: Segmentation,
    /// Packets may come in that were merged or never cut, as chains of slots.
    pub rx_large: bool,
    /// Slots that a packet to send may consist of; 1 when the adapter knows no `NS_MOREFRAG`.
    pub chain_max: u16,
    /// What becomes of a buffer that is sent.
    pub buffers: Buffers,
}

/// What becomes of a buffer in a transmit slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// It stays in its slot, and is ours again with the slot: devices, switches, TAP.
    Stay,
    /// As `Stay` on transmit; a receive ring's buffers come back in whichever of its slots: AF_XDP,
    /// where the kernel fills buffers in the order that suits it.
    Shuffle,
    /// It goes to whoever receives the packet, and another comes back in the slot: netmap's pipes.
    /// Content by reference is out of the question then.
    Move,
}

impl Traits {
    /// Plain frames of Ethernet's usual size, no chains.
    pub const PLAIN: Self = Self {
        mtu: 1500,
        hdr_len: 0,
        checksums: Checksums {
            tx: false,
            rx: false,
        },
        tso: Segmentation {
            tcp_v4: false,
            tcp_v6: false,
            udp: false,
            len_max: 0,
        },
        rx_large: false,
        chain_max: 1,
        buffers: Buffers::Stay,
    };

    /// What a received header may say: any merged packet where large ones are taken, with ECN's
    /// marks, too, since Linux merges and sends those unasked.
    #[inline]
    pub(crate) fn agreed(&self) -> Agreed {
        Agreed {
            csum: self.checksums.rx,
            tcp_v4: self.rx_large,
            tcp_v6: self.rx_large,
            udp: self.rx_large,
            ecn: true,
        }
    }
}
