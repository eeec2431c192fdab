//! What every machine does with a port and a stack over it, bare or hosted.
//!
//! ```text
//!   Sizes    how the memory is divided          probe   is the address free on the link?
//!   moved    what was sent by which rung
//!   serve    the loop: poll, look a little longer, sleep ─► Ground: what a machine gives it
//! ```

mod attend;
mod moved;
mod probe;
mod serve;
mod sizes;

pub use attend::{Attend, CoreFigures, CoreRows, Looked, Round};
pub use moved::Moved;
pub use probe::{Conflict, Probe};
pub use serve::{End, Ground, Served, serve};
pub use sizes::{Sizes, Tables, TooLittle};

use core::net::Ipv4Addr;

use simoom::Cidr;

/// An address that a host can have on its network: not the network's own, nor its broadcast
/// address (RFC 1122 3.2.1.3), where the prefix leaves room for these (RFC 3021).
pub fn host_cidr(addr: Ipv4Addr, prefix_len: u8) -> Option<Cidr> {
    let cidr = Cidr::new(addr, prefix_len)?;
    let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    let host = addr.to_bits() & host_bits;
    (prefix_len > 30 || (host != 0 && host != host_bits)).then_some(cidr)
}

#[cfg(test)]
mod tests;
