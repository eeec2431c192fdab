//! The headers of a frame with a segment for us, read in one go.

use simoom_ring::{RxChecksum, RxPacket};

use crate::ip;
use crate::net::Net;
use crate::tcp::seqnum::{SeqNum, WireWnd};
use crate::tcp::tuple::Tuple;
use crate::wire::checksum::{Sum, is_valid_header};
use crate::wire::ipv4::{self, Codepoint};
use crate::wire::tcp::{self, Ctl, Options, Segment, Timestamps};

/// What they say.
pub(super) struct Headers {
    pub(super) tuple: Tuple,
    pub(super) seq: SeqNum,
    pub(super) ack: SeqNum,
    pub(super) ctl: Ctl,
    pub(super) wnd: WireWnd,
    /// Type of service, as IP has it.
    tos: u8,
    pub(super) timestamps: Option<Timestamps>,
    /// There are other options than timestamps, or these are written in another way.
    has_options: bool,
    /// Bytes of all headers.
    pub(super) len: usize,
    pub(super) payload_len: usize,
}

impl Headers {
    /// Reads them; `None` for anything but a whole segment for us, in one frame, behind an IP
    /// header without options. The segment's checksum is not looked at.
    #[inline(always)]
    pub(super) fn read(net: &Net<'_>, pkt: &RxPacket<'_>) -> Option<Self> {
        let bytes = pkt.frame.bytes();
        let front = bytes.first_chunk::<FRONT_LEN>()?;
        let (to, rest) = front.split_first_chunk::<6>()?;
        let ([_, _, _, _, _, _, 0x08, 0x00], rest) = rest.split_first_chunk::<8>()? else {
            return None;
        };
        let (ip, rest) = rest.split_first_chunk::<{ ipv4::HEADER_LEN }>()?;
        let segment = rest.first_chunk::<{ tcp::HEADER_LEN }>()?;
        let (words, _) = ip.as_chunks::<4>();
        let [
            [0x45, tos, l0, l1],
            [_, _, f0, f1],
            [_, PROTO, _, _],
            src,
            dst,
        ] = words
        else {
            return None;
        };
        let (words, _) = segment.as_chunks::<4>();
        let [ports, seq, ack, [offset, ctl, w0, w1], _] = words else {
            return None;
        };
        let ctl = Ctl::from_wire(*ctl);
        let is_whole = u16::from_be_bytes([*f0, *f1]) & ANY_PIECE == 0
            && pkt.rest.is_empty()
            && pkt.gso_size == 0;
        if *to != net.mac.0 || !is_whole || !net.is_ours_v4(*dst) {
            return None;
        }
        let (timestamps, len) = match usual_options(bytes, offset >> 4) {
            Some((timestamps, len)) => (timestamps, Some(len)),
            None => (None, None),
        };
        let has_options = len.is_none();
        let len = match len {
            Some(len) => len,
            None => len_with_options(*offset)?,
        };
        let end = ETHERNET_LEN.wrapping_add(u16::from_be_bytes([*l0, *l1]).into());
        let payload_len = end.checked_sub(len)?;
        if end > bytes.len() || !is_valid_header(ip) {
            return None;
        }
        Some(Self {
            tuple: Tuple::of_wire(*dst, *src, *ports),
            seq: SeqNum(u32::from_be_bytes(*seq)),
            ack: SeqNum(u32::from_be_bytes(*ack)),
            ctl,
            wnd: WireWnd(u16::from_be_bytes([*w0, *w1])),
            tos: *tos,
            timestamps,
            has_options,
            len,
            payload_len,
        })
    }

    /// Whether they say no more than nearly all do: ACK and at most PSH, no options but timestamps.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.ctl.without(Ctl::PSH) == Ctl::ACK && !self.has_options
    }

    /// The same, of a segment that may have a FIN.
    #[inline]
    pub(super) fn is_plain_but_for_fin(&self) -> bool {
        self.ctl.without(Ctl::PSH.with(Ctl::FIN)) == Ctl::ACK && !self.has_options
    }

    /// What they say, as the long way has it. `bytes` are the frame's.
    pub(super) fn parts(&self, bytes: &[u8]) -> (Segment, Options) {
        let options = if self.has_options {
            Options::parse(bytes.get(FRONT_LEN..self.len).unwrap_or_default())
        } else {
            Options {
                timestamps: self.timestamps,
                ..Options::default()
            }
        };
        let seg = Segment {
            src_port: self.tuple.remote_port(),
            dst_port: self.tuple.local_port(),
            seq: self.seq,
            ack: self.ctl.has(Ctl::ACK).then_some(self.ack),
            ctl: self.ctl,
            wnd: self.wnd,
            header_len: self.len - ip::HEADERS_LEN,
            // A datagram is shorter than 64 KiB.
            payload_len: self.payload_len as u32,
            ecn: Codepoint::of(self.tos),
        };
        (seg, options)
    }

    /// Those of a frame that is known to have the usual shape, with timestamps. Its lengths are not
    /// looked at.
    #[inline]
    pub(super) fn of_usual(front: &[u8; LEN_MAX]) -> Option<Self> {
        let (ip, rest) = front
            .get(ETHERNET_LEN..)?
            .split_first_chunk::<{ ipv4::HEADER_LEN }>()?;
        let (segment, option) = rest.split_first_chunk::<{ tcp::HEADER_LEN }>()?;
        let [_, tos, l0, l1, .., s0, s1, s2, s3, d0, d1, d2, d3] = *ip;
        let (words, _) = segment.as_chunks::<4>();
        let [ports, seq, ack, [_, ctl, w0, w1], _] = words else {
            return None;
        };
        let len = ETHERNET_LEN.wrapping_add(u16::from_be_bytes([l0, l1]).into());
        Some(Self {
            tuple: Tuple::of_wire([d0, d1, d2, d3], [s0, s1, s2, s3], *ports),
            seq: SeqNum(u32::from_be_bytes(*seq)),
            ack: SeqNum(u32::from_be_bytes(*ack)),
            ctl: Ctl::from_wire(*ctl),
            wnd: WireWnd(u16::from_be_bytes([*w0, *w1])),
            tos,
            timestamps: Some(Timestamps::of_usual(option.first_chunk()?)?),
            has_options: false,
            len: LEN_MAX,
            payload_len: len.checked_sub(LEN_MAX)?,
        })
    }

    /// Whether the checksum of the segment in `pkt`, whose headers these are, is right, or known to
    /// be.
    #[inline]
    pub(super) fn is_summed_right(&self, pkt: &RxPacket<'_>) -> bool {
        pkt.csum != RxChecksum::Unknown || is_summed(pkt.frame.bytes(), self.len + self.payload_len)
    }
}

/// Whether the checksum is right of the segment in the first `end` of these bytes of a frame,
/// behind an IP header without options: the addresses of the pseudo-header (RFC 9293 3.1) lie in
/// front of it, and are summed together with it.
#[inline(never)]
pub(super) fn is_summed(bytes: &[u8], end: usize) -> bool {
    let addrs_and_segment = bytes.get(ADDRS_AT..end).unwrap_or_default();
    // What a datagram holds fits.
    let len = end.saturating_sub(ip::HEADERS_LEN) as u16;
    let mut sum = Sum::pseudo_header_rest(PROTO, len);
    sum.add(addrs_and_segment);
    sum.is_valid()
}

/// The options of a TCP header of `words` words, no others than timestamps, and the length of all
/// headers.
#[inline(always)]
fn usual_options(bytes: &[u8], words: u8) -> Option<(Option<Timestamps>, usize)> {
    match words {
        5 => Some((None, FRONT_LEN)),
        8 => {
            let option = bytes.get(FRONT_LEN..)?.first_chunk::<12>()?;
            Some((Some(Timestamps::of_usual(option)?), LEN_MAX))
        }
        _ => None,
    }
}

/// The length of all headers with any other options; `None` when the TCP header is shorter than it
/// can be.
fn len_with_options(offset: u8) -> Option<usize> {
    let len = usize::from(offset >> 4) * 4;
    (len >= tcp::HEADER_LEN).then_some(ip::HEADERS_LEN + len)
}

const PROTO: u8 = ip::proto::TCP;
pub(super) const ETHERNET_LEN: usize = crate::wire::ethernet::HEADER_LEN;

/// Where both addresses lie.
const ADDRS_AT: usize = ip::HEADERS_LEN - 8;

/// Bytes of the headers without options.
const FRONT_LEN: usize = ip::HEADERS_LEN + tcp::HEADER_LEN;

/// The same with timestamps.
pub(super) const LEN_MAX: usize = FRONT_LEN + 12;

/// More fragments follow, or some lie before: all but DF, and the bit that has no meaning.
const ANY_PIECE: u16 = 0x3fff;
