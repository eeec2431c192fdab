//! Sixteen bytes of a request, looked at all at once.
//!
//! Each question gives a mask with a bit for each byte, the first the lowest.

use wide::{CmpEq, CmpGt, CmpLt, i8x16};

/// Bytes that are looked at.
pub(crate) const LANES: usize = 16;

/// The bits below the lowest one of `mask`; all when it has none.
#[inline(always)]
pub(super) fn below_first(mask: u32) -> u32 {
    (mask & mask.wrapping_neg()).wrapping_sub(1)
}

/// Where the first bit of `mask` is.
#[inline(always)]
pub(crate) fn first(mask: u32) -> usize {
    mask.trailing_zeros() as usize
}

/// Sixteen bytes. As signed numbers, those above ASCII are below it.
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    lanes: i8x16,
    /// Of these, those in front of what is looked at.
    skipped: u32,
}

impl Lanes {
    /// Sixteen bytes from `at` on. What is behind the end is in no mask. `None` at the end, and
    /// for less than sixteen bytes in all.
    #[inline(always)]
    pub(super) fn load(bytes: &[u8], at: usize) -> Option<Self> {
        let rest = bytes.get(at..)?;
        let (chunk, skipped) = match rest.first_chunk::<LANES>() {
            Some(chunk) => (chunk, 0),
            None if rest.is_empty() => return None,
            None => (bytes.last_chunk::<LANES>()?, LANES.checked_sub(rest.len())?),
        };
        Some(Self {
            skipped: skipped as u32,
            ..Self::new(chunk)
        })
    }

    #[inline(always)]
    pub(crate) fn new(chunk: &[u8; LANES]) -> Self {
        Self {
            lanes: i8x16::new(chunk.map(u8::cast_signed)),
            skipped: 0,
        }
    }

    #[inline(always)]
    fn mask(self, lanes: i8x16) -> u32 {
        (lanes.move_mask().cast_unsigned() & ALL) >> self.skipped
    }

    /// The bytes that are `byte`.
    #[inline(always)]
    pub(crate) fn are(self, byte: u8) -> u32 {
        self.mask(self.lanes.cmp_eq(all(byte)))
    }

    /// The bytes that are no printable ASCII characters.
    #[inline(always)]
    pub(crate) fn not_printable(self) -> u32 {
        self.mask(self.lanes.cmp_lt(all(b' ')) | self.lanes.cmp_eq(all(DEL)))
    }

    /// The bytes that are neither letter nor hyphen.
    #[inline(always)]
    pub(super) fn not_of_name(self) -> u32 {
        let small = self.lanes | all(0x20);
        let letters = small.cmp_gt(all(b'a' - 1)) & small.cmp_lt(all(b'z' + 1));
        self.mask(!(letters | self.lanes.cmp_eq(all(b'-'))))
    }

    /// The bytes that end a path, or make it more than a plain one: `?`, and all below a hyphen
    /// (space, `#`, `%`) and above `~`.
    #[inline(always)]
    pub(super) fn end_path(self) -> u32 {
        let odd = self.lanes.cmp_lt(all(b'-')) | self.lanes.cmp_eq(all(DEL));
        self.mask(odd | self.lanes.cmp_eq(all(b'?')))
    }
}

#[inline(always)]
fn all(byte: u8) -> i8x16 {
    i8x16::splat(byte.cast_signed())
}

/// A bit for each byte.
const ALL: u32 = 0xffff;

const DEL: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8; LANES], is: impl Fn(u8) -> bool) -> u32 {
        let bits = bytes.iter().rev();
        bits.fold(0, |mask, byte| mask << 1 | u32::from(is(*byte)))
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..LANES {
                for around in [b'a', 0xff, 0] {
                    let mut bytes = [around; LANES];
                    bytes[at] = byte;
                    let lanes = Lanes::load(&bytes, 0).unwrap();
                    let row = |mask, is: &dyn Fn(u8) -> bool| {
                        assert_eq!(mask, plain(&bytes, is), "{bytes:?}");
                    };
                    row(lanes.are(byte), &|b| b == byte);
                    row(lanes.not_printable(), &|b| !matches!(b, b' '..=b'~'));
                    row(lanes.not_of_name(), &|b| {
                        !b.is_ascii_alphabetic() && b != b'-'
                    });
                    row(lanes.end_path(), &|b| {
                        !matches!(b, b'-'..=b'~') || b == b'?'
                    });
                }
            }
        }
    }

    #[test]
    fn behind_the_end_is_nothing() {
        let bytes: std::vec::Vec<u8> = (1..=40).collect();
        for len in 0..=bytes.len() {
            for at in 0..=len + 1 {
                let lanes = Lanes::load(&bytes[..len], at);
                if at >= len || len < LANES {
                    assert!(lanes.is_none());
                    continue;
                }
                let lanes = lanes.unwrap();
                for (place, byte) in bytes[..len].iter().skip(at).take(LANES).enumerate() {
                    assert_eq!(lanes.are(*byte), 1 << place);
                }
                let there = (len - at).min(LANES);
                assert_eq!(lanes.not_of_name(), (1u32 << there) - 1);
            }
        }
    }
}
