//! The TCP header (RFC 9293 3.1) and its options.
//!
//! A segment that comes in is parsed once, into a [`Segment`] of plain values; one that goes out
//! is written as a whole from a [`Repr`].

mod options;

pub use options::{Cookie, FastOpen, Options, SackBlock, SackBlocks, Timestamps};

use core::fmt;

use super::ipv4::Codepoint;
use crate::tcp::seqnum::{SeqNum, WireWnd};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// Bytes of the longest header.
pub const HEADER_LEN_MAX: usize = 60;

/// Where the checksum lies in the header.
pub const CSUM_OFFSET: u16 = 16;

/// The control bits that we know (SEG.CTL).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Ctl(u8);

impl Ctl {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// Congestion is echoed (RFC 3168 6.1).
    pub const ECE: Self = Self(0x40);
    /// The congestion window was reduced (RFC 3168 6.1).
    pub const CWR: Self = Self(0x80);

    /// The bits of a header.
    #[inline]
    pub(crate) const fn from_wire(bits: u8) -> Self {
        Self(bits)
    }

    /// As a header has them.
    #[inline]
    pub(crate) const fn to_wire(self) -> u8 {
        self.0
    }

    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Ctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::SYN, "SYN"),
            (Self::FIN, "FIN"),
            (Self::RST, "RST"),
            (Self::PSH, "PSH"),
            (Self::ACK, "ACK"),
            (Self::URG, "URG"),
            (Self::ECE, "ECE"),
            (Self::CWR, "CWR"),
        ];
        let mut rest = false;
        for (_, name) in names.iter().filter(|(bit, _)| self.has(*bit)) {
            f.write_str(if rest { "+" } else { "" })?;
            f.write_str(name)?;
            rest = true;
        }
        Ok(())
    }
}

/// A segment that came in, without its payload: the fields of the header as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The sender's port.
    pub src_port: u16,
    /// Our port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK, where the ACK bit is set.
    pub ack: Option<SeqNum>,
    /// SEG.CTL.
    pub ctl: Ctl,
    /// SEG.WND, before scaling.
    pub wnd: WireWnd,
    /// Bytes of the header with its options.
    pub header_len: usize,
    /// Bytes of payload.
    pub payload_len: u32,
    /// What the IP header says of congestion: not in the bytes that are parsed here, so
    /// [`Codepoint::NotEct`] until IP fills it in.
    pub ecn: Codepoint,
}

impl Segment {
    /// Parses the header at the start of `bytes`, which hold at least all of the header out of
    /// `segment_len` bytes in all. `None` when the header contradicts itself or its length.
    #[inline]
    pub fn parse(bytes: &[u8], segment_len: usize) -> Option<Self> {
        let (fixed, _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [
            s0,
            s1,
            d0,
            d1,
            q0,
            q1,
            q2,
            q3,
            a0,
            a1,
            a2,
            a3,
            offset,
            ctl,
            w0,
            w1,
            ..,
        ] = *fixed;
        let header_len = usize::from(offset >> 4).wrapping_mul(4);
        if header_len < HEADER_LEN || header_len > bytes.len() {
            return None;
        }
        let payload_len = u32::try_from(segment_len.checked_sub(header_len)?).ok()?;
        let ctl = Ctl(ctl);
        let ack = SeqNum(u32::from_be_bytes([a0, a1, a2, a3]));
        Some(Self {
            src_port: u16::from_be_bytes([s0, s1]),
            dst_port: u16::from_be_bytes([d0, d1]),
            seq: SeqNum(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: ctl.has(Ctl::ACK).then_some(ack),
            ctl,
            wnd: WireWnd(u16::from_be_bytes([w0, w1])),
            header_len,
            payload_len,
            ecn: Codepoint::NotEct,
        })
    }

    /// SEG.LEN: payload, SYN and FIN.
    #[inline]
    pub fn len(&self) -> u32 {
        let syn = u32::from(self.ctl.has(Ctl::SYN));
        let fin = u32::from(self.ctl.has(Ctl::FIN));
        self.payload_len.wrapping_add(syn).wrapping_add(fin)
    }

    /// Whether it takes up no sequence space.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A header to write.
#[derive(Clone, Copy, Debug)]
pub struct Repr {
    /// Our port.
    pub src_port: u16,
    /// Theirs.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; sets the ACK bit.
    pub ack: Option<SeqNum>,
    /// SEG.CTL beside ACK.
    pub ctl: Ctl,
    /// SEG.WND.
    pub wnd: WireWnd,
    /// Its options, at most 40 bytes of them.
    pub options: Options,
}

impl Repr {
    /// Bytes of the header, options and padding included.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Writes the header with a zero checksum to the start of `bytes`, which has at least
    /// [`header_len`](Self::header_len) of them.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let header_len = self.header_len();
        let ctl = if self.ack.is_some() {
            self.ctl.with(Ctl::ACK)
        } else {
            self.ctl
        };
        let ack = self.ack.unwrap_or(SeqNum(0));
        let Some((fixed, options)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else {
            return;
        };
        let [s0, s1] = self.src_port.to_be_bytes();
        let [d0, d1] = self.dst_port.to_be_bytes();
        let [q0, q1, q2, q3] = self.seq.0.to_be_bytes();
        let [a0, a1, a2, a3] = ack.0.to_be_bytes();
        let [w0, w1] = self.wnd.0.to_be_bytes();
        // At most 60 / 4 in the upper half of a byte.
        let offset = u8::try_from(header_len / 4).unwrap_or(5) << 4;
        *fixed = [
            s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, ctl.0, w0, w1, 0, 0, 0, 0,
        ];
        self.options.emit(options);
    }
}

#[cfg(test)]
mod tests;
