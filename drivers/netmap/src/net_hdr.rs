//! The virtio-net header (virtio 1.2 5.1.6) that travels in front of each frame on ports with
//! `PORT_HDR`: all that a VALE switch, a TAP device or a guest tells of offloads.
//!
//! ```text
//!   0     1        2       4        6          8           10
//!   flags gso_type hdr_len gso_size csum_start csum_offset num_buffers (12-byte headers: 0)
//! ```

use simoom_ring::{GsoKind, RxChecksum, TxOffload};

/// The longest header there is.
const HDR_LEN_MAX: usize = 12;

/// The header, in host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetHdr {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    pub(crate) hdr_len: u16,
    pub(crate) gso_size: u16,
    pub(crate) csum_start: u16,
    pub(crate) csum_offset: u16,
}

impl NetHdr {
    /// The checksum is partial: complete it from `csum_start` on.
    pub(crate) const NEEDS_CSUM: u8 = 1;
    /// The checksum has been verified.
    pub(crate) const DATA_VALID: u8 = 2;

    pub(crate) const GSO_NONE: u8 = 0;
    pub(crate) const GSO_TCPV4: u8 = 1;
    const GSO_TCPV6: u8 = 4;
    const GSO_UDP_L4: u8 = 5;
    /// Set beside a kind: the segments carry ECN marks that cutting must respect.
    const GSO_ECN: u8 = 0x80;

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

    /// Writes the header to all of `out`, 10 or 12 bytes.
    #[inline]
    pub(crate) fn emit(&self, out: &mut [u8]) {
        let mut bytes = [0; HDR_LEN_MAX];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        bytes[2..4].copy_from_slice(&self.hdr_len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = from;
        }
    }

    /// Reads a header; `None` when there are fewer bytes.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let ([flags, gso_type], rest) = bytes.split_first_chunk()?;
        let (hdr_len, rest) = rest.split_first_chunk()?;
        let (gso_size, rest) = rest.split_first_chunk()?;
        let (csum_start, rest) = rest.split_first_chunk()?;
        let (csum_offset, _) = rest.split_first_chunk()?;
        Some(Self {
            flags: *flags,
            gso_type: *gso_type,
            hdr_len: u16::from_le_bytes(*hdr_len),
            gso_size: u16::from_le_bytes(*gso_size),
            csum_start: u16::from_le_bytes(*csum_start),
            csum_offset: u16::from_le_bytes(*csum_offset),
        })
    }

    /// What a received header says of a packet of `frame_len` bytes: the state of its checksum, and
    /// the segments' size. `None` when it points outside of the packet, or speaks of what the port
    /// is not meant to give (`has_csum`, `has_large`).
    #[inline]
    pub(crate) fn for_rx(
        &self,
        frame_len: usize,
        has_csum: bool,
        has_large: bool,
    ) -> Option<(RxChecksum, u16)> {
        let gso_size = match self.gso_type & !Self::GSO_ECN {
            Self::GSO_NONE => 0,
            Self::GSO_TCPV4 | Self::GSO_TCPV6 | Self::GSO_UDP_L4 if has_large => {
                Some(self.gso_size).filter(|size| *size > 0)?
            }
            _ => return None,
        };
        if !has_csum {
            return Some((RxChecksum::Unknown, gso_size));
        }
        if self.flags & Self::NEEDS_CSUM != 0 {
            let field_end = usize::from(self.csum_start) + usize::from(self.csum_offset) + 2;
            let partial = RxChecksum::Partial {
                csum_start: self.csum_start,
                csum_offset: self.csum_offset,
            };
            return (field_end <= frame_len).then_some((partial, gso_size));
        }
        let csum = match self.flags & Self::DATA_VALID {
            0 => RxChecksum::Unknown,
            _ => RxChecksum::Verified,
        };
        Some((csum, gso_size))
    }
}

#[cfg(test)]
mod tests;
