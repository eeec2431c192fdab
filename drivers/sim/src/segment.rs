//! Segmentation offload: a super-segment in, the segments on the wire out, as a NIC cuts them.
//!
//! ```text
//!   │Eth IP TCP│ payload: gso_size │ gso_size │ rest │
//!        │
//!        ├─► Eth IP TCP  seq                 CWR kept, FIN and PSH cleared
//!        ├─► Eth IP TCP  seq + gso_size      CWR, FIN and PSH cleared
//!        └─► Eth IP TCP  seq + 2 gso_size    CWR cleared, FIN and PSH kept
//! ```
//!
//! IPv4's total length, identification (one more each) and checksum, IPv6's payload length and
//! UDP's length are made right. The transport checksum starts from the sum in the field, which is
//! the pseudo-header's with the length of the whole: a wrong one makes wrong segments, as in Linux.

use simoom_ring::{CsumOffload, GsoKind, GsoOffload};

use crate::checksum::{complete, fill_ipv4_header, fold};
use crate::layout::{ETH_LEN, Layout, PROTO_TCP, PROTO_UDP, be16, be32, put};

/// Why a device cannot do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadOffload {
    /// The headers are not those of the kind, or their lengths are not those of the frame.
    Headers,
    /// `hdr_len` is not the length of the headers.
    HdrLen,
    /// `gso_size` is 0.
    GsoSize,
    /// The checksum field is not within the frame, or not where the protocol has it.
    Csum,
}

impl core::fmt::Display for BadOffload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Headers => "headers do not fit the request",
            Self::HdrLen => "hdr_len is not the length of the headers",
            Self::GsoSize => "gso_size is 0",
            Self::Csum => "the checksum is not where the request says",
        })
    }
}

impl std::error::Error for BadOffload {}

/// Checks a segmentation request; where the checksum of the whole lies.
pub(crate) fn check(frame: &[u8], gso: GsoOffload) -> Result<CsumOffload, BadOffload> {
    let layout = Layout::of(frame).ok_or(BadOffload::Headers)?;
    let (proto, family_fits) = match gso.kind {
        GsoKind::TcpV4 => (PROTO_TCP, layout.is_v4),
        GsoKind::TcpV6 => (PROTO_TCP, !layout.is_v4),
        GsoKind::Udp => (PROTO_UDP, true),
    };
    let fits = layout.proto == proto
        && family_fits
        && !layout.is_fragment
        && layout.transport.end == frame.len();
    if !fits {
        return Err(BadOffload::Headers);
    }
    let header_len = layout
        .transport_header_len(frame)
        .ok_or(BadOffload::Headers)?;
    if layout.transport.start + header_len != usize::from(gso.hdr_len) {
        return Err(BadOffload::HdrLen);
    }
    if gso.gso_size == 0 {
        return Err(BadOffload::GsoSize);
    }
    let csum_offset = layout.csum_offset().ok_or(BadOffload::Headers)?;
    Ok(CsumOffload {
        csum_start: u16::try_from(layout.transport.start).map_err(|_| BadOffload::Csum)?,
        csum_offset: u16::try_from(csum_offset).map_err(|_| BadOffload::Csum)?,
    })
}

/// Cuts a super-segment.
///
/// # Errors
/// `BadOffload` when it is not what the request says.
pub fn cut(frame: &[u8], gso: GsoOffload) -> Result<Vec<Vec<u8>>, BadOffload> {
    let csum = check(frame, gso)?;
    let layout = Layout::of(frame).ok_or(BadOffload::Headers)?;
    let (headers, payload) = frame
        .split_at_checked(usize::from(gso.hdr_len))
        .ok_or(BadOffload::HdrLen)?;
    let size = usize::from(gso.gso_size);
    let segments = payload.len().div_ceil(size).max(1);
    Ok((0..segments)
        .map(|segment_idx| {
            let offset = segment_idx * size;
            let end = payload.len().min(offset + size);
            let mut segment = [headers, &payload[offset..end]].concat();
            let position = Position {
                segment_idx,
                offset,
                is_last: segment_idx + 1 == segments,
            };
            fix_up(&mut segment, &layout, position, csum);
            segment
        })
        .collect())
}

/// Which of the segments it is.
struct Position {
    segment_idx: usize,
    /// Of its payload in the whole payload, in bytes.
    offset: usize,
    is_last: bool,
}

fn fix_up(segment: &mut [u8], whole: &Layout, position: Position, csum: CsumOffload) {
    let start = whole.transport.start;
    let transport_len = segment.len() - start;
    if whole.is_v4 {
        put_len(segment, ETH_LEN + 2, segment.len() - ETH_LEN);
        // Identification counts segments, modulo 2^16.
        let ident = be16(segment, ETH_LEN + 4).unwrap_or(0);
        let ident = ident.wrapping_add(position.segment_idx as u16);
        put(segment, ETH_LEN + 4, ident.to_be_bytes());
        fill_ipv4_header(segment, whole);
    } else {
        put_len(segment, ETH_LEN + 4, transport_len);
    }
    if whole.proto == PROTO_TCP {
        let seq = be32(segment, start + 4).unwrap_or(0);
        // Sequence numbers are modulo 2^32.
        let seq = seq.wrapping_add(position.offset as u32);
        put(segment, start + 4, seq.to_be_bytes());
        let flags = &mut segment[start + 13];
        if position.segment_idx > 0 {
            // RFC 3168 6.1.2: CWR is said once.
            *flags &= !TCP_CWR;
        }
        if !position.is_last {
            *flags &= !(TCP_FIN | TCP_PSH);
        }
    } else {
        put_len(segment, start + 4, transport_len);
    }
    // The field has the pseudo-header's sum: the length of the whole goes, its own comes.
    let field = start + usize::from(csum.csum_offset);
    let partial = be16(segment, field).unwrap_or(0);
    let whole_len = fold(whole.transport.len() as u64);
    let partial = fold(u64::from(partial) + u64::from(!whole_len) + transport_len as u64);
    put(segment, field, partial.to_be_bytes());
    complete(segment, csum);
}

/// A length that is at most the whole's, which fitted its 16 bits.
pub(crate) fn put_len(frame: &mut [u8], at: usize, len: usize) {
    put(frame, at, (len as u16).to_be_bytes());
}

pub(crate) const TCP_FIN: u8 = 0x01;
pub(crate) const TCP_PSH: u8 = 0x08;
pub(crate) const TCP_ACK: u8 = 0x10;
pub(crate) const TCP_CWR: u8 = 0x80;

#[cfg(test)]
mod tests;
