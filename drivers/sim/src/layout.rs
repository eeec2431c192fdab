//! Where the headers of a frame lie. Not the stack's parser, on purpose: the wire is its judge.

use core::ops::Range;

/// Bytes of an Ethernet header.
pub(crate) const ETH_LEN: usize = 14;
/// Protocol numbers (IANA).
pub(crate) const PROTO_ICMP: u8 = 1;
pub(crate) const PROTO_TCP: u8 = 6;
pub(crate) const PROTO_UDP: u8 = 17;
pub(crate) const PROTO_ICMPV6: u8 = 58;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// The headers of an IP datagram in an Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) is_v4: bool,
    /// Protocol, or IPv6 next header.
    pub(crate) proto: u8,
    /// The transport header and its payload; Ethernet's padding is behind it.
    pub(crate) transport: Range<usize>,
    pub(crate) is_fragment: bool,
}

impl Layout {
    /// `None` for what is not IP, or whose lengths do not fit.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let datagram = frame.get(ETH_LEN..)?;
        let ethertype = frame.get(12..14)?;
        let version = datagram.first()? >> 4;
        if ethertype == ETHERTYPE_IPV4 && version == 4 {
            let header_len = usize::from(datagram[0] & 0xf) * 4;
            let total_len = usize::from(be16(datagram, 2)?);
            if header_len < 20 || total_len < header_len || total_len > datagram.len() {
                return None;
            }
            return Some(Self {
                is_v4: true,
                proto: *datagram.get(9)?,
                transport: ETH_LEN + header_len..ETH_LEN + total_len,
                is_fragment: be16(datagram, 6)? & 0x3fff != 0,
            });
        }
        if ethertype == ETHERTYPE_IPV6 && version == 6 {
            let payload_len = usize::from(be16(datagram, 4)?);
            if payload_len + 40 > datagram.len() {
                return None;
            }
            return Some(Self {
                is_v4: false,
                proto: *datagram.get(6)?,
                transport: ETH_LEN + 40..ETH_LEN + 40 + payload_len,
                is_fragment: false,
            });
        }
        None
    }

    /// Where the transport checksum lies, from the transport header on.
    pub(crate) fn csum_offset(&self) -> Option<usize> {
        match self.proto {
            PROTO_TCP => Some(16),
            PROTO_UDP => Some(6),
            PROTO_ICMP | PROTO_ICMPV6 => Some(2),
            _ => None,
        }
    }

    /// The IPv4 header.
    pub(crate) fn ipv4_header(&self) -> Option<Range<usize>> {
        self.is_v4.then_some(ETH_LEN..self.transport.start)
    }

    /// Bytes of the TCP or UDP header, options included; `None` when they do not fit.
    pub(crate) fn transport_header_len(&self, frame: &[u8]) -> Option<usize> {
        let header_len = match self.proto {
            PROTO_TCP => usize::from(frame.get(self.transport.start + 12)? >> 4) * 4,
            PROTO_UDP => 8,
            _ => return None,
        };
        let header_len_min = if self.proto == PROTO_TCP { 20 } else { 8 };
        (header_len >= header_len_min && header_len <= self.transport.len()).then_some(header_len)
    }
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Stores bytes if they fit.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}
