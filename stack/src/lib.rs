//! A TCP/IP core without allocation, copies or locks, over the rings of `simoom-ring`.
//!
//! The modules stand in the order in which a packet meets them, and each protocol has two verbs.
//! The whole way, for a segment that asks and is answered:
//!
//! 1. [`iface::Stack::poll`] syncs the receive ring and takes each packet of the burst
//! 2. [`eth`]`::input` checks whom the frame is for and what it carries
//! 3. [`ip`]`::input` checks the datagram; [`arp`], [`icmp`] and [`udp`] branch off
//! 4. [`tcp`]`::Tcp::input` checks the segment and finds its connection (`tcp/demux.rs`)
//! 5. `tcp/input/` is RFC 9293 3.10.7, step by step
//! 6. [`tcp::App`]: the application reads the bytes in the frame and queues its answer by reference
//! 7. `tcp/output.rs` pulls the next segments out of the connection
//! 8. [`ip`]`::output` and [`eth`]`::output` put their headers in front, and the packet is on the
//!    transmit ring before a frame of another connection is looked at (`tcp/expected.rs`)
//!
//! Nothing here reads a clock, a random source or a global: `now` and seeds are arguments. All
//! memory is given at start ([`tcp::Storage`]); every table has its maximum in [`config`] or in
//! the slice that it was given, and a counted behaviour when full ([`counters`]).
//!
//! What comes in is fuzzed: in `stack`, `cargo +nightly fuzz run frames` (programs on a live stack)
//! or `options` (the parsers); `tests/fuzz` says what must hold, and `cargo test` replays the
//! minimised corpus.
//!
//! # A whole program
//!
//! What an embedder brings: a driver, memory, a seed, the time, and a loop. It is
//! `examples/own_driver.rs`.
//!
//! ```
#![doc = include_str!("../examples/own_driver.rs")]
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod addr;
pub mod config;
pub mod content;
pub mod counters;
pub mod net;
pub mod random;
pub mod time;
pub mod wire;

pub mod arp;
pub mod dhcp;
pub mod eth;
pub mod icmp;
pub mod iface;
pub mod ip;
pub mod tcp;
pub mod udp;

#[cfg(test)]
mod testing;

pub use addr::{Addr, Cidr, Endpoint, FourTuple};
pub use content::{Body, SUMS_BLOCK, Sums};
pub use counters::{Counters, DropReason};
pub use iface::{Polled, Stack};
pub use time::{Duration, Instant};
