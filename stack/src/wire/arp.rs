//! ARP for Ethernet and IPv4 (RFC 826).
//!
//! ```text
//!   │ htype 2 │ ptype 2 │ hlen │ plen │ op 2 │ sha 6 │ spa 4 │ tha 6 │ tpa 4 │
//! ```

use core::net::Ipv4Addr;

use simoom_ring::MacAddr;

/// Bytes in a packet.
pub const PACKET_LEN: usize = 28;

/// What a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Asks who has `tpa`.
    Request,
    /// Tells who has `spa`.
    Reply,
}

/// A packet, in RFC 826's words: s is the one who sends it, t its target; ha is a hardware address,
/// pa a protocol address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Request or reply.
    pub op: Op,
    /// Hardware address of the one who sends.
    pub sha: MacAddr,
    /// Protocol address of the one who sends.
    pub spa: Ipv4Addr,
    /// Hardware address of the target; without meaning in a request.
    pub tha: MacAddr,
    /// Protocol address of the target.
    pub tpa: Ipv4Addr,
}

impl Repr {
    /// Reads a packet; `None` when it is too short, not of Ethernet and IPv4, or of another
    /// operation. Bytes behind it are Ethernet's padding.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<8>()?;
        let op = match fixed {
            [0, 1, 8, 0, 6, 4, 0, 1] => Op::Request,
            [0, 1, 8, 0, 6, 4, 0, 2] => Op::Reply,
            _ => return None,
        };
        let (sha, rest) = rest.split_first_chunk::<6>()?;
        let (spa, rest) = rest.split_first_chunk::<4>()?;
        let (tha, rest) = rest.split_first_chunk::<6>()?;
        let (tpa, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            op,
            sha: MacAddr(*sha),
            spa: (*spa).into(),
            tha: MacAddr(*tha),
            tpa: (*tpa).into(),
        })
    }

    /// The packet's bytes.
    pub fn emit(&self) -> [u8; PACKET_LEN] {
        let op = match self.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        let [s0, s1, s2, s3, s4, s5] = self.sha.0;
        let [p0, p1, p2, p3] = self.spa.octets();
        let [t0, t1, t2, t3, t4, t5] = self.tha.0;
        let [q0, q1, q2, q3] = self.tpa.octets();
        [
            0, 1, 8, 0, 6, 4, 0, op, s0, s1, s2, s3, s4, s5, p0, p1, p2, p3, t0, t1, t2, t3, t4,
            t5, q0, q1, q2, q3,
        ]
    }
}

#[cfg(test)]
mod tests;
