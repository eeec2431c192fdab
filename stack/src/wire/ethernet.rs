//! Ethernet II frames (IEEE 802.3, RFC 894), without tags.
//!
//! ```text
//!   │ dst 6 │ src 6 │ ethertype 2 │ payload 46..1500 │
//! ```

use simoom_ring::MacAddr;

/// Bytes in the header.
pub const HEADER_LEN: usize = 14;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtherType {
    /// An IPv4 datagram (`0x0800`).
    Ipv4,
    /// An ARP packet (`0x0806`).
    Arp,
    /// Anything else: VLAN tags, IPv6, the length of an 802.2 frame.
    Unknown(u16),
}

impl From<u16> for EtherType {
    fn from(value: u16) -> Self {
        match value {
            0x0800 => Self::Ipv4,
            0x0806 => Self::Arp,
            other => Self::Unknown(other),
        }
    }
}

impl From<EtherType> for u16 {
    fn from(ethertype: EtherType) -> Self {
        match ethertype {
            EtherType::Ipv4 => 0x0800,
            EtherType::Arp => 0x0806,
            EtherType::Unknown(other) => other,
        }
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Whom the frame is for.
    pub dst: MacAddr,
    /// Who sent it.
    pub src: MacAddr,
    /// What it carries.
    pub ethertype: EtherType,
}

impl Repr {
    /// Reads the header at the front of `bytes`; `None` when there are too few.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (dst, rest) = bytes.split_first_chunk::<6>()?;
        let (src, rest) = rest.split_first_chunk::<6>()?;
        let (ethertype, _) = rest.split_first_chunk::<2>()?;
        Some(Self {
            dst: MacAddr(*dst),
            src: MacAddr(*src),
            ethertype: u16::from_be_bytes(*ethertype).into(),
        })
    }

    /// The header's bytes.
    #[inline]
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let [d0, d1, d2, d3, d4, d5] = self.dst.0;
        let [s0, s1, s2, s3, s4, s5] = self.src.0;
        let [t0, t1] = u16::from(self.ethertype).to_be_bytes();
        [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]
    }
}

#[cfg(test)]
mod tests;
