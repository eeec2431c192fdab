//! A seeded wire in virtual time, for tests.
//!
//! ```text
//!   stack ─ SimQueue ─┐ flatten, checksum, cut                fill own frames ┌─ SimQueue ─ stack
//!           (SimPort) │                                                       │ (SimPort)
//!                     └► Path: queue, loss, corruption, delay, copies ► slots ┘
//!                        Path ◄────── one for each direction ────────
//!   test ── tap ────────────────── frames by hand ──────────────────────────── tap ── test
//! ```
//!
//! A [`Wire`] connects [`SimPort`]s, which a stack uses like any device, and taps, at which a test
//! speaks frames by hand. What goes wrong is chosen by [`Faults`] for each direction, and by the
//! seed; the same seed is the same run, byte for byte. Nothing moves but in [`Wire::advance_to`]:
//!
//! ```
//! use simoom_sim::{Chance, Faults, Wire};
//!
//! let wire = Wire::new(42);
//! let (here, there) = (wire.tap(), wire.tap());
//! wire.set_faults(here, Faults::none().duplicate(Chance::ALWAYS));
//! wire.inject(here, b"six.. + six.. + 2 frame");
//! while let Some(at_us) = wire.next_at() {
//!     wire.advance_to(at_us);
//! }
//! assert_eq!(wire.captured(there).len(), 2);
//! assert_eq!(wire.counters(here).duplicated, 1);
//! ```
//!
//! The devices are strict: what a real one would garble (too many pieces, a segment above the MTU,
//! content out of its reach) panics with the rule that was broken. What arrives never panics.
//!
//! In the order in which a frame meets them: [`port`], [`tx`], [`segment`], [`miscut`] and
//! [`checksum`], `medium`, `path`, `corrupt`, `merge`, [`rx`]; [`record`] looks on. Where no
//! wire is wanted, [`rings`] are enough.

#![forbid(unsafe_code)]

pub mod checksum;
pub mod config;
mod corrupt;
pub mod counters;
pub mod faults;
mod layout;
mod medium;
mod merge;
pub mod miscut;
mod path;
pub mod port;
pub mod record;
pub mod rings;
pub mod rng;
pub mod rx;
pub mod segment;
pub mod tx;
pub mod wire;
mod wire_frame;

pub use config::{PortConfig, RxCsum};
pub use counters::Counters;
pub use faults::{Bandwidth, CorruptScope, Delay, Faults};
pub use miscut::Cutting;
pub use port::{SimPort, SimQueue};
pub use record::{Event, Record};
pub use rings::MemoryRings;
pub use rng::{Chance, Rng};
pub use rx::SimRx;
pub use segment::BadOffload;
pub use tx::SimTx;
pub use wire::{Captured, End, Wire};

#[cfg(test)]
mod tests;
