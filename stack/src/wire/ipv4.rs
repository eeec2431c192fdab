//! IPv4 headers (RFC 791).
//!
//! ```text
//!   │ver ihl│ tos │ total_len 2 │ ident 2 │-DM frag_off 2│ ttl │ proto │ csum 2 │ src 4 │ dst 4 │
//!   │ options, up to 40 bytes: skipped on the way in, never sent                             │
//! ```

use core::net::Ipv4Addr;

use super::checksum::Sum;

/// Bytes in a header without options: what we send.
pub const HEADER_LEN: usize = 20;

/// The protocols that are spoken here.
pub mod proto {
    /// ICMP (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
}

/// What the lower two bits of the type of service say (RFC 3168 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codepoint {
    /// The transport does not take part.
    #[default]
    NotEct = 0,
    /// It does, ECT(1).
    Ect1 = 1,
    /// It does, ECT(0): what we send.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Codepoint {
    /// The codepoint in a type of service or traffic class.
    #[inline]
    pub const fn of(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It contradicts itself or the frame.
    Malformed,
    /// The header checksum is wrong.
    Checksum,
}

/// A header that was received, in RFC 791's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header, options included: 20 to 60.
    pub header_len: u16,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Bytes of the whole datagram, at least `header_len`.
    pub total_len: u16,
    /// Identification.
    pub ident: u16,
    /// Don't fragment.
    pub df: bool,
    /// More fragments.
    pub mf: bool,
    /// Fragment offset in units of 8 bytes.
    pub frag_off: u16,
    /// Time to live.
    pub ttl: u8,
    /// What the datagram carries.
    pub proto: u8,
    /// Who sent it.
    pub src: Ipv4Addr,
    /// Whom it is for.
    pub dst: Ipv4Addr,
}

impl Header {
    /// Reads the header at the front of a datagram.
    ///
    /// `bytes` must hold the whole header; `datagram_len` is how many bytes arrived in all, which
    /// may be more than `bytes` (the packet goes on in another frame) or than the datagram
    /// (Ethernet's padding).
    ///
    /// # Errors
    /// As [`Refused`] says.
    #[inline]
    pub fn parse(bytes: &[u8], datagram_len: usize) -> Result<Self, Refused> {
        let header = Self::parse_quoted(bytes).ok_or(Refused::Malformed)?;
        let total_len = header.total_len;
        if usize::from(total_len) > datagram_len || total_len < header.header_len {
            return Err(Refused::Malformed);
        }
        let covered = bytes
            .get(..header.header_len.into())
            .ok_or(Refused::Malformed)?;
        if !Sum::of(covered).is_valid() {
            return Err(Refused::Checksum);
        }
        Ok(header)
    }

    /// Reads a header that is quoted in an ICMP message: the length and the checksum are what
    /// routers on the way have left of them, so they are not checked.
    #[inline]
    pub(crate) fn parse_quoted(bytes: &[u8]) -> Option<Self> {
        let (fixed, _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [
            ver_ihl,
            tos,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            ttl,
            proto,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ] = *fixed;
        let ihl = ver_ihl & 0x0f;
        if ver_ihl >> 4 != 4 || ihl < 5 {
            return None;
        }
        let flags_off = u16::from_be_bytes([f0, f1]);
        Some(Self {
            header_len: u16::from(ihl).wrapping_mul(4),
            tos,
            total_len: u16::from_be_bytes([l0, l1]),
            ident: u16::from_be_bytes([i0, i1]),
            df: flags_off & DF != 0,
            mf: flags_off & MF != 0,
            frag_off: flags_off & FRAG_OFF,
            ttl,
            proto,
            src: [s0, s1, s2, s3].into(),
            dst: [d0, d1, d2, d3].into(),
        })
    }

    /// Whether the datagram is a piece of a larger one.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.mf || self.frag_off != 0
    }
}

/// A header to send: no options, never fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Bytes of the whole datagram, this header included.
    pub total_len: u16,
    /// Identification: without meaning in a datagram that must not be fragmented (RFC 6864), but
    /// a device that cuts super-segments counts on from it.
    pub ident: u16,
    /// Time to live.
    pub ttl: u8,
    /// What the datagram carries.
    pub proto: u8,
    /// Who sends it.
    pub src: Ipv4Addr,
    /// Whom it is for.
    pub dst: Ipv4Addr,
}

impl Repr {
    /// The header's bytes, with DF set and the checksum in place.
    #[inline]
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let bytes = self.bytes(0);
        self.bytes(Sum::of(&bytes).finish())
    }

    #[inline]
    fn bytes(&self, csum: u16) -> [u8; HEADER_LEN] {
        let [l0, l1] = self.total_len.to_be_bytes();
        let [i0, i1] = self.ident.to_be_bytes();
        let [f0, f1] = DF.to_be_bytes();
        let [c0, c1] = csum.to_be_bytes();
        let [s0, s1, s2, s3] = self.src.octets();
        let [d0, d1, d2, d3] = self.dst.octets();
        [
            0x45, self.tos, l0, l1, i0, i1, f0, f1, self.ttl, self.proto, c0, c1, s0, s1, s2, s3,
            d0, d1, d2, d3,
        ]
    }
}

/// Don't fragment, in the word of flags and fragment offset.
const DF: u16 = 0x4000;

/// More fragments.
const MF: u16 = 0x2000;

/// The fragment offset.
const FRAG_OFF: u16 = 0x1fff;

#[cfg(test)]
mod tests;
