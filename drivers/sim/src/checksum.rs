//! The Internet checksum (RFC 1071), as a device computes it; the judge of what a stack sends.

use core::ops::Range;

use simoom_ring::CsumOffload;

use crate::layout::{ETH_LEN, Layout, PROTO_ICMP, PROTO_TCP, PROTO_UDP, be16, put};

/// What the checksums of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The IPv4 header's and the transport's are right.
    Right,
    /// One is wrong, or the datagram is too short to have it.
    Wrong,
    /// There is none to check: not IP, a fragment, another protocol, or UDP without.
    Absent,
}

/// Whether the checksums of an Ethernet frame are right.
pub fn verify(frame: &[u8]) -> Verdict {
    let Some(layout) = Layout::of(frame) else {
        return Verdict::Absent;
    };
    if let Some(header) = layout.ipv4_header()
        && fold(sum(&frame[header])) != 0xffff
    {
        return Verdict::Wrong;
    }
    let Some(csum_offset) = layout.csum_offset().filter(|_| !layout.is_fragment) else {
        return Verdict::Absent;
    };
    let Some(covered) = covered(frame, &layout) else {
        return Verdict::Wrong;
    };
    let csum = be16(frame, covered.start + csum_offset);
    if layout.proto == PROTO_UDP && csum == Some(0) {
        // RFC 768: none was generated; RFC 8200 8.1: not so over IPv6.
        return if layout.is_v4 {
            Verdict::Absent
        } else {
            Verdict::Wrong
        };
    }
    let total = pseudo_sum(frame, &layout, covered.len()) + sum(&frame[covered]);
    if fold(total) == 0xffff {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// Completes a partial checksum as a device does: sums from `csum_start` to the end, the
/// pseudo-header's sum in the field included, and stores the complement. False when the field is
/// not within the frame: then nothing changes.
pub fn complete(frame: &mut [u8], csum: CsumOffload) -> bool {
    let start = usize::from(csum.csum_start);
    let field = start + usize::from(csum.csum_offset);
    if field + 2 > frame.len() {
        return false;
    }
    let csum = nonzero(!fold(sum(&frame[start..])));
    put(frame, field, csum.to_be_bytes());
    true
}

/// Writes the IPv4 header checksum and the transport checksum of a frame made by hand. False when
/// there is nothing to write.
pub fn fill(frame: &mut [u8]) -> bool {
    let Some(csum) = fill_partial(frame) else {
        return false;
    };
    // Padding is not covered.
    let end = Layout::of(frame).map_or(frame.len(), |layout| layout.transport.end);
    complete(&mut frame[..end], csum)
}

/// Writes the IPv4 header checksum, and the pseudo-header's sum for the device to complete; the
/// request that goes with it. `None` when there is nothing to write.
pub fn fill_partial(frame: &mut [u8]) -> Option<CsumOffload> {
    let layout = Layout::of(frame)?;
    fill_ipv4_header(frame, &layout);
    let csum_offset = layout.csum_offset().filter(|_| !layout.is_fragment)?;
    let start = layout.transport.start;
    if layout.transport.len() < csum_offset + 2 {
        return None;
    }
    let partial = fold(pseudo_sum(frame, &layout, layout.transport.len()));
    put(frame, start + csum_offset, partial.to_be_bytes());
    Some(CsumOffload {
        csum_start: u16::try_from(start).ok()?,
        csum_offset: u16::try_from(csum_offset).ok()?,
    })
}

/// Writes the checksum of the IPv4 header, if it is one.
pub(crate) fn fill_ipv4_header(frame: &mut [u8], layout: &Layout) {
    if let Some(header) = layout.ipv4_header() {
        put(frame, ETH_LEN + 10, [0, 0]);
        let csum = !fold(sum(&frame[header]));
        put(frame, ETH_LEN + 10, csum.to_be_bytes());
    }
}

/// The bytes under the transport checksum; `None` when they are too short for the header.
pub(crate) fn covered(frame: &[u8], layout: &Layout) -> Option<Range<usize>> {
    let transport = layout.transport.clone();
    match layout.proto {
        PROTO_UDP => {
            let udp_len = usize::from(be16(&frame[transport.clone()], 4)?);
            (8..=transport.len())
                .contains(&udp_len)
                .then_some(transport.start..transport.start + udp_len)
        }
        PROTO_TCP => layout.transport_header_len(frame).map(|_| transport),
        _ => (transport.len() >= 4).then_some(transport),
    }
}

/// The sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1); ICMPv4 has none.
fn pseudo_sum(frame: &[u8], layout: &Layout, len: usize) -> u64 {
    if layout.proto == PROTO_ICMP {
        return 0;
    }
    let addresses = if layout.is_v4 {
        ETH_LEN + 12..ETH_LEN + 20
    } else {
        ETH_LEN + 8..ETH_LEN + 40
    };
    sum(&frame[addresses]) + u64::from(layout.proto) + len as u64
}

/// The sum of big-endian 16-bit words, a last odd byte padded with zero.
pub fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |last| u64::from(*last) << 8);
    words
        .iter()
        .map(|word| u64::from(u16::from_be_bytes(*word)))
        .sum::<u64>()
        + last
}

/// Adds the carries in until 16 bits are left.
pub fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Zero means "no checksum" to UDP (RFC 768); the other zero of ones' complement is as right.
fn nonzero(csum: u16) -> u16 {
    if csum == 0 { 0xffff } else { csum }
}

#[cfg(test)]
mod tests;
