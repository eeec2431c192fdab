//! Formats on the wire: bytes to values and back, and nothing else.
//!
//! Each file has two directions. Parsing takes a fixed number of bytes off the front of a slice,
//! checks all that can be checked without knowing us, and gives a plain value: what follows has
//! nothing left that could fail. Emitting writes a whole header from such a value.
//!
//! ```text
//!   frame    │ ethernet 14 │ arp 28                                │
//!            │ ethernet 14 │ ipv4 20..60 │ icmpv4 8 │ payload      │
//!            │ ethernet 14 │ ipv4 20..60 │ udp 8 │ payload, dhcpv4 │
//!            │ ethernet 14 │ ipv4 20..60 │ tcp 20..60 │ payload    │
//! ```
//!
//! Rules here: no indexing, no conversion by `as`, no arithmetic that can overflow unseen.

pub mod arp;
pub mod checksum;
pub mod dhcpv4;
pub mod ethernet;
pub mod icmpv4;
pub mod ipv4;
pub mod tcp;
pub mod udp;
