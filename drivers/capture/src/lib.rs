//! What passes a ring, copied for whoever wants to see it, as pcapng.
//!
//! ```text
//!             ┌ Watched ─────────────────────────┐
//!   stack ◄───┤ recv   ── filter? ─► Store ─┐    ├─── the ring pair itself
//!         ───►┤ send   ── filter? ─► (bounded) ──┤
//!         ───►┤ dropped: why, to the last one│   │
//!             └──────────────────────────────┼───┘
//!                                            └─► pcapng::Blocks ─► whoever reads
//! ```
//!
//! The stack knows nothing of it: a [`Watched`] stands between it and a ring pair, for one poll.
//! While nobody looks it costs a branch a packet. While somebody does, packets are copied: this is
//! the one place where that is right, because a frame is on its way to be sent, answered or reused
//! before anybody has read it, and whoever reads slowly must hold up nobody.
//!
//! - [`Filter`]: which packets, in a few words of pcap's syntax
//! - [`Store`]: the copies, in memory given at start; when full, packets are counted instead
//! - [`pcapng`]: the file format

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod filter;
pub mod pcapng;
mod store;
mod watched;

pub use filter::{BadFilter, Filter};
pub use store::{Counts, Direction, Packet, Slot, Store, Wish};
pub use watched::Watched;
