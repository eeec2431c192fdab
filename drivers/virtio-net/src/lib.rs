//! A virtio-net driver (virtio 1.2 5.1) with its own split rings.
//!
//! ```text
//!   pci::find, mmio::find ──► Found ──► VirtioNet (Port) ──► VirtioQueue (Queue): Rx, Tx
//!                                          │ control             │ split: the two virtqueues
//!                                          │ features, link      │ doorbell: one store a kick
//!                                          └ one for each core   └ commands: the control queue
//! ```
//!
//! In the order in which a packet meets them: [`rx`](Rx), [`split`], [`tx`](Tx). The transports
//! (PCI and MMIO registers) and the [`Hal`](virtio_drivers::Hal) trait are those of virtio-drivers;
//! the rings are ours, because a burst must cost one publish and one kick, packets are gathered
//! from several pieces, no kick may be lost, and what the device writes is not to be believed.
//!
//! # In an image
//!
//! ```ignore
//! let found = match machine.pci {
//!     Some(config) => pci::find::<MachineHal, _>(config, 0, msi)?,
//!     None => mmio::find::<MachineHal>(slots, 0)?,
//! };
//! if let Interrupt::Line(gsi) = found.interrupt() { /* route it */ }
//! let mut memory = Memory::new();
//! let mut port = VirtioNet::<MachineHal>::new(found, &mut memory, Options::default())?;
//! let mut queue = port.queue(0, &pool).ok_or(..)?;
//! loop {
//!     let (rx, tx) = queue.rings();
//!     // rx.sync, rx.recv …, tx.send …, tx.sync
//!     if is_idle && queue.arm() == Armed::Sleep { machine.idle(until) }
//! }
//! ```
//!
//! # Trust
//!
//! The device may write anything to the shared areas at any time: each used entry is checked
//! against our own tables, and the first lie stops the queue, which is then reset together with the
//! device, and counted ([`Counters`]). The device can write to whatever frames it was lent for as
//! long as it has them; nothing short of an IOMMU keeps it from more.

//!
//! The tests have a device that lies in every way that there is. It is fuzzed, too, and
//! `cargo test` replays the corpus: in `drivers/virtio-net`, `cargo +nightly fuzz run ring`.

#![no_std]

#[cfg(any(test, fuzzing))]
extern crate std;

mod commands;
pub mod config;
mod control;
mod counters;
mod dma;
mod error;
mod features;
pub mod mmio;
pub mod pci;
mod port;
mod queue;
mod registers;
mod rekick;
mod rx;
pub mod split;
mod tx;

pub use counters::{Counters, RxCounters, TxCounters};
pub use error::Error;
pub use features::Features;
pub use port::{Found, Memory, Options, PairMemory, VirtioNet};
pub use queue::VirtioQueue;
pub use registers::Interrupt;
pub use rx::Rx;
pub use split::{Shadow, SplitQueue, Violation};
pub use tx::Tx;

#[cfg(fuzzing)]
#[allow(dead_code)]
pub mod fuzzing;
#[cfg(test)]
mod tests;
