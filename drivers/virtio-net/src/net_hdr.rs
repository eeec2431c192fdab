//! `virtio_net_hdr` (virtio 1.2 5.1.6): what travels in front of each Ethernet frame.
//!
//! ```text
//!   0     1        2       4        6          8           10
//!   flags gso_type hdr_len gso_size csum_start csum_offset num_buffers
//!                                                          └ modern devices only
//! ```

use simoom_ring::{GsoKind, RxChecksum, TxOffload};

use crate::Features;

/// Header bytes of a modern device.
pub(crate) const MODERN_LEN: usize = 12;
/// Header bytes of a legacy device without merged receive buffers.
pub(crate) const LEGACY_LEN: usize = 10;

/// The header, in host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetHdr {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    pub(crate) hdr_len: u16,
    pub(crate) gso_size: u16,
    pub(crate) csum_start: u16,
    pub(crate) csum_offset: u16,
    /// Buffers that a received packet lies in; without meaning in a short header.
    pub(crate) num_buffers: u16,
}

impl NetHdr {
    /// The checksum is partial: complete it from `csum_start` on.
    pub(crate) const NEEDS_CSUM: u8 = 1;
    /// The checksum has been verified.
    pub(crate) const DATA_VALID: u8 = 2;

    /// The packet is not to be cut, or has not been merged.
    pub(crate) const GSO_NONE: u8 = 0;
    const GSO_TCPV4: u8 = 1;
    const GSO_TCPV6: u8 = 4;
    const GSO_UDP_L4: u8 = 5;

    /// What a transmit request says in virtio's words.
    #[inline]
    pub(crate) fn for_tx(offload: TxOffload) -> Self {
        let mut header = Self::default();
        if let Some(csum) = offload.csum {
            header.flags = Self::NEEDS_CSUM;
            header.csum_start = csum.csum_start;
            header.csum_offset = csum.csum_offset;
        }
        if let Some(gso) = offload.gso {
            header.gso_type = match gso.kind {
                GsoKind::TcpV4 => Self::GSO_TCPV4,
                GsoKind::TcpV6 => Self::GSO_TCPV6,
                GsoKind::Udp => Self::GSO_UDP_L4,
            };
            header.gso_size = gso.gso_size;
            header.hdr_len = gso.hdr_len;
        }
        header
    }

    /// Writes the header to all of `out`, which is as long as the device has it.
    #[inline]
    pub(crate) fn emit(&self, out: &mut [u8]) {
        let mut bytes = [0; MODERN_LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        bytes[2..4].copy_from_slice(&self.hdr_len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
        // num_buffers stays 0 on transmit.
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = from;
        }
    }

    /// Reads a header; `None` when there are fewer bytes than a legacy one has.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
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
    /// outside of the frame, or speaks of what was not negotiated.
    #[inline]
    pub(crate) fn for_rx(&self, frame_len: usize, features: Features) -> Option<(RxChecksum, u16)> {
        let gso_size = match self.gso_type {
            Self::GSO_NONE => 0,
            Self::GSO_TCPV4 if features.contains(Features::GUEST_TSO4) => self.segment_len()?,
            Self::GSO_TCPV6 if features.contains(Features::GUEST_TSO6) => self.segment_len()?,
            _ => return None,
        };
        if !features.contains(Features::GUEST_CSUM) {
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
        if self.flags & Self::DATA_VALID != 0 {
            return Some((RxChecksum::Verified, gso_size));
        }
        Some((RxChecksum::Unknown, gso_size))
    }

    /// Payload of one segment of many, which is not nothing.
    fn segment_len(&self) -> Option<u16> {
        (self.gso_size > 0).then_some(self.gso_size)
    }
}

#[cfg(test)]
mod tests;
