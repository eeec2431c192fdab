//! Corruption: bits anywhere, and length fields, where parsers go wrong.

use crate::checksum::{Verdict, covered, fill_ipv4_header, verify};
use crate::layout::{ETH_LEN, Layout, PROTO_TCP, PROTO_UDP, be16, put};
use crate::{CorruptScope, Rng};

/// Flips 1 to `bits_max` bits; whether the frame has changed.
pub(crate) fn corrupt_bits(
    bytes: &mut [u8],
    dice: &mut Rng,
    bits_max: u32,
    scope: CorruptScope,
) -> bool {
    let range = match scope {
        CorruptScope::Anywhere => 0..bytes.len(),
        CorruptScope::Checksummed => match checksummed(bytes) {
            Some(range) => range,
            None => return false,
        },
    };
    let Some(last) = range.len().checked_sub(1) else {
        return false;
    };
    let original = bytes.to_vec();
    for _ in 0..dice.between(1, bits_max.into()) {
        let at = range.start + dice.between(0, last as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
    }
    keep_if_noticed(bytes, &original, scope)
}

/// Overwrites one length field; whether the frame has changed.
pub(crate) fn corrupt_len(bytes: &mut [u8], dice: &mut Rng, scope: CorruptScope) -> bool {
    let Some(layout) = Layout::of(bytes) else {
        return false;
    };
    if scope == CorruptScope::Checksummed && verify(bytes) != Verdict::Right {
        return false;
    }
    let original = bytes.to_vec();
    let start = layout.transport.start;
    let in_transport = matches!(layout.proto, PROTO_TCP | PROTO_UDP) && dice.below(2) == 0;
    match (in_transport, layout.proto) {
        (true, PROTO_TCP) => replace_nibble(bytes, start + 12, 4, dice),
        (true, _) => replace_len(bytes, start + 4, dice),
        (false, _) if !layout.is_v4 => replace_len(bytes, ETH_LEN + 4, dice),
        (false, _) if dice.below(2) == 0 => replace_nibble(bytes, ETH_LEN, 0, dice),
        (false, _) => replace_len(bytes, ETH_LEN + 2, dice),
    }
    if dice.below(2) == 0 {
        // Over the header as it says now, so that it is believed.
        let header_len = usize::from(bytes[ETH_LEN] & 0xf) * 4;
        if layout.is_v4 && header_len >= 20 && ETH_LEN + header_len <= bytes.len() {
            let claimed = Layout {
                transport: ETH_LEN + header_len..bytes.len(),
                ..layout
            };
            fill_ipv4_header(bytes, &claimed);
        }
    }
    keep_if_noticed(bytes, &original, scope)
}

/// Takes a corruption back that the scope does not allow; whether one is left.
fn keep_if_noticed(bytes: &mut [u8], original: &[u8], scope: CorruptScope) -> bool {
    let is_noticed = Layout::of(bytes).is_none() || verify(bytes) == Verdict::Wrong;
    if scope == CorruptScope::Checksummed && !is_noticed {
        bytes.copy_from_slice(original);
    }
    bytes != original
}

/// What the checksums cover; `None` when a flipped bit might go unnoticed.
fn checksummed(bytes: &[u8]) -> Option<core::ops::Range<usize>> {
    let layout = Layout::of(bytes)?;
    if verify(bytes) != Verdict::Right {
        return None;
    }
    let transport = covered(bytes, &layout)?;
    let start = if layout.is_v4 {
        ETH_LEN
    } else if layout.proto == crate::layout::PROTO_ICMP {
        transport.start
    } else {
        // The addresses, in the pseudo-header; the rest of an IPv6 header has no checksum.
        ETH_LEN + 8
    };
    Some(start..transport.end)
}

/// A length near the old one, or any.
fn replace_len(bytes: &mut [u8], at: usize, dice: &mut Rng) {
    let Some(old) = be16(bytes, at) else {
        return;
    };
    let new = if dice.below(2) == 0 {
        let distance = dice.between(1, 16) as u16;
        if dice.below(2) == 0 {
            old.wrapping_add(distance)
        } else {
            old.wrapping_sub(distance)
        }
    } else {
        dice.below(1 << 16) as u16
    };
    put(bytes, at, new.to_be_bytes());
}

/// Another value in four bits of a byte.
fn replace_nibble(bytes: &mut [u8], at: usize, shift: u32, dice: &mut Rng) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= (dice.between(1, 15) as u8) << shift;
    }
}

#[cfg(test)]
mod tests;
