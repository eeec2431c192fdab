//! The virtio-net header (virtio 1.2 5.1.6), which says in front of a frame what is left to be
//! done to it, or what is known of it: virtio devices have it, TAP devices, VALE switches and
//! netmap pipes (`PORT_HDR`).
//!
//! ```text
//!   0     1        2       4        6          8           10
//!   flags gso_type hdr_len gso_size csum_start csum_offset num_buffers
//!                                                          └ in long headers only
//! ```
//!
//! It is read and written here alone. What may stand in it is what a driver has agreed on with its
//! far side ([`Agreed`]).

use crate::{RxChecksum, TxOffload};

/// The header, in host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetHdr {
    /// [`NEEDS_CSUM`](Self::NEEDS_CSUM), [`DATA_VALID`](Self::DATA_VALID).
    pub flags: u8,
    /// By which protocol the packet is to be cut, or was merged.
    pub gso_type: u8,
    /// Bytes of headers to repeat before each segment, Ethernet included.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// First byte to sum, from the start of the Ethernet header.
    pub csum_start: u16,
    /// Where the sum lies, from `csum_start`.
    pub csum_offset: u16,
    /// Buffers that a received packet lies in; without meaning in a short header.
    pub num_buffers: u16,
}

/// What the far side may say in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Checksums are partial or verified; without it the flags mean nothing.
    pub csum: bool,
    /// Merged TCP over IPv4.
    pub tcp_v4: bool,
    /// Merged TCP over IPv6.
    pub tcp_v6: bool,
    /// Merged UDP.
    pub udp: bool,
    /// Merged segments may carry ECN's CWR ([`NetHdr::GSO_ECN`]).
    pub ecn: bool,
}

impl NetHdr {
    /// Bytes of a long header: virtio from 1.0 on, and wherever buffers are merged.
    pub const LONG_LEN: usize = 12;
    /// Bytes of a short header, which has no `num_buffers`.
    pub const SHORT_LEN: usize = 10;

    /// The checksum is partial: complete it from `csum_start` on.
    pub const NEEDS_CSUM: u8 = 1;
    /// The checksum has been verified.
    pub const DATA_VALID: u8 = 2;

    /// The packet is not to be cut, or has not been merged.
    pub const GSO_NONE: u8 = 0;
    /// TCP over IPv4.
    pub const GSO_TCPV4: u8 = 1;
    /// TCP over IPv6.
    pub const GSO_TCPV6: u8 = 4;
    /// UDP over either.
    pub const GSO_UDP_L4: u8 = 5;
    /// Set beside a kind: the segments carry ECN marks that cutting must respect.
    pub const GSO_ECN: u8 = 0x80;

    /// What a transmit request says in virtio's words.
    #[inline]
    pub fn for_tx(offload: TxOffload) -> Self {
        let mut header = Self::default();
        if let Some(csum) = offload.csum {
            header.flags = Self::NEEDS_CSUM;
            header.csum_start = csum.csum_start;
            header.csum_offset = csum.csum_offset;
        }
        if let Some(gso) = offload.gso {
            header.gso_type = GSO_TYPES[gso.kind as usize];
            header.gso_size = gso.gso_size;
            header.hdr_len = gso.hdr_len;
        }
        header
    }

    /// Writes the header to all of `out`, which is as long as the far side has it.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let mut bytes = [0; Self::LONG_LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        bytes[2..4].copy_from_slice(&self.hdr_len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.num_buffers.to_le_bytes());
        // In one go where it is long, as it nearly always is.
        match out.first_chunk_mut() {
            Some(out) => *out = bytes,
            None => out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from),
        }
    }

    /// Reads a header; `None` when there are fewer bytes than a short one has.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let ([flags, gso_type], rest) = bytes.split_first_chunk()?;
        let (hdr_len, rest) = rest.split_first_chunk()?;
        let (gso_size, rest) = rest.split_first_chunk()?;
        let (csum_start, rest) = rest.split_first_chunk()?;
        let (csum_offset, rest) = rest.split_first_chunk()?;
        let num_buffers = rest.first_chunk().copied().unwrap_or_default();
        Some(Self {
            flags: *flags,
            gso_type: *gso_type,
            hdr_len: u16::from_le_bytes(*hdr_len),
            gso_size: u16::from_le_bytes(*gso_size),
            csum_start: u16::from_le_bytes(*csum_start),
            csum_offset: u16::from_le_bytes(*csum_offset),
            num_buffers: u16::from_le_bytes(num_buffers),
        })
    }

    /// What a received header says of a frame of `frame_len` bytes: what is known of its checksum,
    /// and the payload of its segments if it is more than one, else 0. `None` when it points
    /// outside of the frame, or speaks of what was not agreed on.
    #[inline]
    pub fn for_rx(&self, frame_len: usize, agreed: Agreed) -> Option<(RxChecksum, u16)> {
        let kind = match agreed.ecn {
            true => self.gso_type & !Self::GSO_ECN,
            false => self.gso_type,
        };
        let gso_size = match kind {
            Self::GSO_NONE => 0,
            Self::GSO_TCPV4 if agreed.tcp_v4 => self.segment_len()?,
            Self::GSO_TCPV6 if agreed.tcp_v6 => self.segment_len()?,
            Self::GSO_UDP_L4 if agreed.udp => self.segment_len()?,
            _ => return None,
        };
        if !agreed.csum {
            // The flags mean nothing then (virtio 1.2 5.1.6.4.2), whatever is in them.
            return Some((RxChecksum::Unknown, gso_size));
        }
        if self.flags & Self::NEEDS_CSUM != 0 {
            let field_end = usize::from(self.csum_start) + usize::from(self.csum_offset) + 2;
            let csum = RxChecksum::Partial {
                csum_start: self.csum_start,
                csum_offset: self.csum_offset,
            };
            return (field_end <= frame_len).then_some((csum, gso_size));
        }
        let csum = match self.flags & Self::DATA_VALID {
            0 => RxChecksum::Unknown,
            _ => RxChecksum::Verified,
        };
        Some((csum, gso_size))
    }

    /// Payload of one segment of many, which is not nothing.
    fn segment_len(&self) -> Option<u16> {
        (self.gso_size > 0).then_some(self.gso_size)
    }
}

/// In the order of [`GsoKind`](crate::GsoKind).
const GSO_TYPES: [u8; 3] = [NetHdr::GSO_TCPV4, NetHdr::GSO_TCPV6, NetHdr::GSO_UDP_L4];

#[cfg(test)]
mod tests;
