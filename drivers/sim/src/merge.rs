//! Merged receive: consecutive segments of a connection become one packet, as a NIC (LRO) or a
//! host kernel (GRO) does it, before the stack sees them.
//!
//! Only what can be told apart again is merged: equal headers but for lengths, sequence, IPv4
//! identification and checksums; right checksums; equal payload lengths but for the last, which may
//! be shorter; PSH ends the run.

use std::rc::Rc;

use crate::checksum::{Verdict, fill, verify};
use crate::layout::{ETH_LEN, Layout, PROTO_TCP, be32};
use crate::segment::{TCP_ACK, TCP_PSH, put_len};

/// Segments that became one packet.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Payload bytes of each segment but the last.
    pub(crate) gso_size: u16,
    /// Headers, payload and what the next segment must begin with.
    hdr_len: usize,
    seq_next: u32,
    is_closed: bool,
    has_merged: bool,
}

/// What merging looks at in one segment.
struct Segment {
    layout: Layout,
    hdr_len: usize,
    payload_len: usize,
    seq: u32,
    flags: u8,
}

impl Segment {
    /// `None` for what is never merged.
    fn of(frame: &[u8]) -> Option<Self> {
        let layout = Layout::of(frame)?;
        if layout.proto != PROTO_TCP || layout.is_fragment || verify(frame) != Verdict::Right {
            return None;
        }
        let start = layout.transport.start;
        let hdr_len = start + layout.transport_header_len(frame)?;
        let payload_len = layout.transport.end - hdr_len;
        let flags = *frame.get(start + 13)?;
        let is_plain = payload_len > 0 && flags & !TCP_PSH == TCP_ACK;
        is_plain.then_some(Self {
            hdr_len,
            payload_len,
            seq: be32(frame, start + 4)?,
            flags,
            layout,
        })
    }
}

impl Run {
    /// A run that `frame` may start; `None` when it cannot be merged with anything.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let segment = Segment::of(frame)?;
        Some(Self {
            gso_size: u16::try_from(segment.payload_len).ok()?,
            hdr_len: segment.hdr_len,
            // Sequence numbers are modulo 2^32.
            seq_next: segment.seq.wrapping_add(segment.payload_len as u32),
            is_closed: segment.flags & TCP_PSH != 0,
            has_merged: false,
        })
    }

    /// Appends `next` to the packet `whole`, if it continues it; `whole` is then `frame_len_max`
    /// bytes long at most. Lengths and checksums of the whole are wrong until `finish`.
    pub(crate) fn append(
        &mut self,
        whole: &mut Rc<Vec<u8>>,
        next: &[u8],
        frame_len_max: usize,
    ) -> bool {
        let Some(segment) = Segment::of(next) else {
            return false;
        };
        let Some(layout) = Layout::of(whole) else {
            return false;
        };
        let whole_len = if self.has_merged {
            whole.len()
        } else {
            // Padding is not payload.
            layout.transport.end
        };
        let len_after = whole_len + segment.payload_len;
        let continues = !self.is_closed
            && segment.seq == self.seq_next
            && segment.payload_len <= usize::from(self.gso_size)
            && len_after <= frame_len_max.min(ETH_LEN + 65_535)
            && segment.hdr_len == self.hdr_len
            && has_equal_headers(whole, next, &layout, self.hdr_len);
        if !continues {
            return false;
        }
        let bytes = Rc::make_mut(whole);
        bytes.truncate(whole_len);
        let payload = segment.hdr_len..segment.hdr_len + segment.payload_len;
        bytes.extend_from_slice(&next[payload]);
        bytes[segment.layout.transport.start + 13] |= segment.flags & TCP_PSH;
        self.seq_next = segment.seq.wrapping_add(segment.payload_len as u32);
        self.is_closed =
            segment.flags & TCP_PSH != 0 || segment.payload_len < usize::from(self.gso_size);
        self.has_merged = true;
        true
    }

    /// Makes lengths and checksums of the whole right; whether there was anything merged.
    pub(crate) fn finish(&self, whole: &mut Rc<Vec<u8>>) -> bool {
        if !self.has_merged {
            return false;
        }
        let bytes = Rc::make_mut(whole);
        let Some(layout) = Layout::of(bytes) else {
            return false;
        };
        let len = bytes.len();
        if layout.is_v4 {
            put_len(bytes, ETH_LEN + 2, len - ETH_LEN);
        } else {
            put_len(bytes, ETH_LEN + 4, len - layout.transport.start);
        }
        fill(bytes)
    }
}

/// Whether two headers differ in nothing but what a cut makes different.
fn has_equal_headers(whole: &[u8], next: &[u8], layout: &Layout, hdr_len: usize) -> bool {
    let (Some(whole), Some(next)) = (whole.get(..hdr_len), next.get(..hdr_len)) else {
        return false;
    };
    let start = layout.transport.start;
    let may_differ = |at: usize| {
        let in_ip = if layout.is_v4 {
            // Total length, identification, checksum.
            matches!(at.wrapping_sub(ETH_LEN), 2..=5 | 10..=11)
        } else {
            matches!(at.wrapping_sub(ETH_LEN), 4..=5)
        };
        // Sequence number, flags (compared before), checksum.
        in_ip || matches!(at.wrapping_sub(start), 4..=7 | 13 | 16..=17)
    };
    whole
        .iter()
        .zip(next)
        .enumerate()
        .all(|(at, (one, other))| one == other || may_differ(at))
}

#[cfg(test)]
mod tests;
