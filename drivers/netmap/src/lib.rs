//! netmap's memory layout and rules as a driver, whoever carries out the syncs.
//!
//! ```text
//!   Host: region laid out ──► Interface ──► pool, content ──► NetmapPort (Port) ──► NetmapQueue
//!                                │ checked finds                                     │ Rx, Tx
//!   FarSide: one ring ◄──────────┴──────────── sync: head out, tail in ◄─────────────┘
//! ```
//!
//! In the order in which a packet meets them: [`Rx`], [`Tx`]; below them [`RingMemory`], in a
//! [`Region`] whose layout is [`abi`]. [`far`] is what a host implements. A host that is no kernel
//! with netmap lays its region out with [`Plan`] and reads the rings from the other side with
//! [`Kring`], which checks what the kernel checks. One host needs nothing beneath it: [`pipe`], two
//! ports back to back in one process. Those that need Linux are in `hosts` (feature `hosts`).
//!
//! # Memory
//!
//! Frames are the region's buffers, by their own names (`buf_idx`): [`Interface::pool`] makes a
//! pool over them that owns none at first; it adopts the buffers that lie in the slots of its rings
//! and the extra ones. Content is copied into extra buffers once, at load ([`ContentMemory`]), and
//! sent from there by reference, which takes a port with `NS_MOREFRAG` and offsets into buffers
//! (netmap's option `OFFSETS`). A port without them says so in its `Caps`.
//!
//! # Trust
//!
//! The far side may write anything to the rings at any time. Indices, names and lengths are read
//! once and checked against our own tables; the first lie stops the ring, which then agrees on its
//! indices with the far side anew ([`FarSide::reset`]), counted. It
//! cannot give a frame two owners in a pool, nor make a frame of content. What it writes into
//! buffers that are not its own, no check can prevent: that is the nature of shared memory.
//!
//! The tests have a far side that lies in every way that there is. It is fuzzed, too, and
//! `cargo test` replays the corpus: in `drivers/netmap`, `cargo +nightly fuzz run ring`.

#![no_std]

#[cfg(any(test, fuzzing, all(feature = "hosts", target_os = "linux")))]
extern crate std;

pub mod abi;
pub mod config;
mod content;
mod counters;
mod error;
pub mod far;
#[cfg(all(feature = "hosts", target_os = "linux"))]
pub mod hosts;
mod interface;
mod kring;
mod layout;
pub mod pipe;
mod port;
mod region;
mod ring_memory;
mod rx;
mod tx;

pub use content::{ContentMemory, ContentRange};
pub use counters::{Counters, RxCounters, TxCounters};
pub use error::{LayoutError, Violation};
pub use far::{Buffers, FarSide, Gone, Host, Traits};
pub use interface::{Interface, RingKind};
pub use kring::{Fault, Kring};
pub use layout::Plan;
pub use port::{Memory, NetmapPort, NetmapQueue};
pub use region::Region;
pub use ring_memory::{Indices, RingMemory};
pub use rx::{Rx, RxShadow};
pub use tx::{Tx, TxShadow};

#[cfg(fuzzing)]
#[allow(dead_code)]
pub mod fuzzing;
#[cfg(test)]
mod tests;
