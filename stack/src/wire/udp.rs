//! UDP headers (RFC 768).
//!
//! ```text
//!   │ src_port 2 │ dst_port 2 │ len 2 │ csum 2 │ payload │
//! ```

use super::checksum::Sum;
use super::ipv4::proto;
use crate::addr::Endpoint;

/// Bytes in the header.
pub const HEADER_LEN: usize = 8;

/// A header that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whence: 0 when no answer is wanted.
    pub src_port: u16,
    /// Whither.
    pub dst_port: u16,
    /// Bytes of header and payload, 8 at least.
    pub len: u16,
    /// The checksum as it stands there.
    pub csum: u16,
}

impl Header {
    /// Reads the header at the front of `bytes`; `None` when there are too few, when its length is
    /// shorter than itself or longer than the `payload_len` bytes that the IP datagram carries, or
    /// when the port is 0, which nobody has.
    #[inline]
    pub fn parse(bytes: &[u8], payload_len: u16) -> Option<Self> {
        let ([s0, s1, d0, d1, l0, l1, c0, c1], _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let header = Self {
            src_port: u16::from_be_bytes([*s0, *s1]),
            dst_port: u16::from_be_bytes([*d0, *d1]),
            len: u16::from_be_bytes([*l0, *l1]),
            csum: u16::from_be_bytes([*c0, *c1]),
        };
        let is_sound = usize::from(header.len) >= HEADER_LEN
            && header.len <= payload_len
            && header.dst_port != 0;
        is_sound.then_some(header)
    }
}

/// A header to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Our endpoint.
    pub src: Endpoint,
    /// Theirs.
    pub dst: Endpoint,
}

impl Repr {
    /// The header's bytes, with the checksum in place; `None` when the payload is too long for UDP.
    #[inline]
    pub fn emit(&self, payload: &[u8]) -> Option<[u8; HEADER_LEN]> {
        let len = u16::try_from(payload.len().checked_add(HEADER_LEN)?).ok()?;
        let mut sum = Sum::pseudo_header(self.src.addr, self.dst.addr, proto::UDP, len);
        let bytes = |csum: u16| {
            let [s0, s1] = self.src.port.to_be_bytes();
            let [d0, d1] = self.dst.port.to_be_bytes();
            let [l0, l1] = len.to_be_bytes();
            let [c0, c1] = csum.to_be_bytes();
            [s0, s1, d0, d1, l0, l1, c0, c1]
        };
        sum.add(&bytes(0));
        sum.add(payload);
        // Zero means that there is none; the other zero of one's complement stands for it.
        Some(bytes(match sum.finish() {
            0 => 0xffff,
            csum => csum,
        }))
    }
}

#[cfg(test)]
mod tests;
