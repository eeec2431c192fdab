//! What the stack and the drivers agree on, and all that the author of a driver reads.
//!
//! ```text
//!          rx ring   head..tail                       tx ring   head..tail
//!  device ────────────┐ sync: once a burst              sync: one kick a burst ┌──────── device
//!                     ▼                                                        │
//!              RxRing::recv ──► RxPacket ─► stack ─► TxPacket ──► TxRing::send ┘
//!                     │                                    │
//!                     └── Frame: one owner, moved ─────────┘
//! ```
//!
//! In the order in which a packet meets them:
//! - [`Port`] is a device: what it can do ([`Caps`]), its address, its link, its queues.
//! - [`Queue`] is one pair of rings, owned by one core: [`RxRing`] and [`TxRing`].
//! - [`Cursor`] is netmap's index discipline (head, cur, tail) for the drivers whose rings have it.
//! - [`RxPacket`] and [`TxPacket`] are what crosses the rings.
//! - [`NetHdr`] is how a virtio device, a TAP device or a VALE switch is told of offloads.
//! - [`Frame`], [`SharedFrame`] and [`FrameQueue`] are the memory that they are made of, and
//!   [`FramePool`] is where it comes from and goes home to.
//!
//! The crate has no dependencies. Its `unsafe` is in [`pool`] and [`frame`] alone: everything that
//! the far side can influence (indices, lengths) goes through checks that cannot be left out.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod caps;
pub mod cursor;
pub mod frame;
pub mod frame_queue;
pub mod net_hdr;
pub mod packet;
pub mod pool;
pub mod port;

pub use caps::{BodyMemory, Caps, Checksums, Segmentation};
pub use cursor::{BadTail, Cursor, SlotIdx};
pub use frame::{Frame, NoRoom, SharedFrame};
pub use frame_queue::{FrameQueue, Parked};
pub use net_hdr::NetHdr;
pub use packet::{
    CsumOffload, FRAGMENTS_MAX, Fragment, GsoKind, GsoOffload, RxChecksum, RxPacket, TxOffload,
    TxPacket,
};
pub use pool::{FRAME_SIZE, FrameIdx, FrameMemory, FrameMeta, FramePool};
pub use port::{Armed, Figures, LinkState, MacAddr, Port, Queue, RxRing, TxRing};
