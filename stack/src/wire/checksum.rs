//! The Internet checksum (RFC 1071): a running one's complement sum.
//!
//! The sum of 16-bit words does not depend on the order of the bytes in a word as long as it is
//! the same throughout (RFC 1071 2B), and wider words may be summed and folded later (2C). So eight
//! bytes are added at a time in the machine's own order, and the order is put right once, at the
//! end. A run of odd length moves all that follows into the other half of its word: multiplying
//! by 2^8 modulo 2^64 - 1, which is a rotation by one byte, moves it back.
//!
//! ```text
//!   add("abc")  ab c·          odd from here on
//!   add("de")      ·d e·       summed as "de", rotated by a byte
//! ```

use crate::addr::Addr;

/// A running sum over bytes that come in pieces of any length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Words in the machine's byte order, modulo 2^64 - 1.
    words: u64,
    /// Whether an odd number of bytes has been added.
    is_odd: bool,
}

impl Sum {
    /// The sum of nothing.
    #[inline]
    pub const fn new() -> Self {
        Self {
            words: 0,
            is_odd: false,
        }
    }

    /// The sum of `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            words: words(bytes),
            is_odd: bytes.len() & 1 == 1,
        }
    }

    /// The sum of the pseudo-header of TCP and UDP (RFC 9293 3.1, RFC 768, RFC 8200 8.1): both
    /// addresses, the protocol, the length in bytes of transport header and payload.
    ///
    /// One formula serves both families: the `ffff` of a mapped IPv4 address is zero in one's
    /// complement, and the two layouts differ in zeros only.
    #[inline]
    pub fn pseudo_header(src: Addr, dst: Addr, proto: u8, len: u16) -> Self {
        let (src_high, src_low) = src.words();
        let (dst_high, dst_low) = dst.words();
        let mut words = u64::from(len).wrapping_add(u64::from(proto));
        for word in [src_high, src_low, dst_high, dst_low] {
            words = carry_add(words, word);
        }
        // A word's big-endian value becomes the value that its bytes have in the machine's order.
        Self {
            words: words.to_be(),
            is_odd: false,
        }
    }

    /// What is in it beside the addresses, for those that are summed where they lie.
    #[inline]
    pub(crate) fn pseudo_header_rest(proto: u8, len: u16) -> Self {
        Self::of_words(u64::from(u16::from(proto).to_be()) + u64::from(len.to_be()))
    }

    /// Appends `bytes`.
    #[inline]
    pub fn add(&mut self, bytes: &[u8]) {
        self.combine(Self::of(bytes));
    }

    /// Appends bytes whose sum is known.
    #[inline]
    pub fn combine(&mut self, next: Self) {
        let next_words = if self.is_odd {
            next.words.rotate_left(8)
        } else {
            next.words
        };
        self.words = carry_add(self.words, next_words);
        self.is_odd ^= next.is_odd;
    }

    /// The sum of what follows `prefix`, a sum of the first of these bytes: with a table of prefix
    /// sums, the sum of any slice. The two forms of zero (`0` and `ffff`) may be exchanged.
    #[inline]
    pub fn without_prefix(self, prefix: Self) -> Self {
        let rest = carry_add(self.words, !prefix.words);
        let words = if prefix.is_odd {
            rest.rotate_right(8)
        } else {
            rest
        };
        Self {
            words,
            is_odd: self.is_odd ^ prefix.is_odd,
        }
    }

    /// The sum of these bytes and those of `next` behind them.
    #[inline]
    pub fn followed_by(mut self, next: Self) -> Self {
        self.combine(next);
        self
    }

    /// The sum of what lies before `suffix`, a sum of the last of these bytes, which are an even
    /// number.
    #[inline]
    pub fn without_suffix(self, suffix: Self) -> Self {
        // What lies before is as odd as what follows.
        let suffix_words = if suffix.is_odd {
            suffix.words.rotate_left(8)
        } else {
            suffix.words
        };
        Self {
            words: carry_add(self.words, !suffix_words),
            is_odd: suffix.is_odd,
        }
    }

    /// The sum of words in the machine's order, an even number of bytes.
    #[inline]
    pub(crate) fn of_words(words: u64) -> Self {
        Self {
            words,
            is_odd: false,
        }
    }

    /// The sum as one word in the machine's order.
    #[inline]
    pub(crate) fn words(self) -> u64 {
        self.words
    }

    /// The sum of an even number of bytes from its folded form: how a table keeps it.
    #[inline]
    pub fn from_folded(folded: u16) -> Self {
        Self {
            words: u64::from(folded.to_be()),
            is_odd: false,
        }
    }

    /// The 16-bit sum, not complemented: what a device that completes the checksum wants to find
    /// in its place.
    #[inline]
    pub fn folded(self) -> u16 {
        // RFC 1071 2 (B): in whatever order the bytes are, only the result depends on it.
        u16::from_be(fold_words(self.words))
    }

    /// The checksum to put into a header whose checksum field was summed as zero. Summing all of
    /// it again, with the checksum in place, gives `0`: see [`is_valid`](Self::is_valid).
    #[inline]
    pub fn finish(self) -> u16 {
        !self.folded()
    }

    /// Whether a sum that includes the checksum is right (RFC 1071 1.3).
    #[inline]
    pub fn is_valid(self) -> bool {
        self.finish() == 0
    }
}

/// The checksum after a word that it covers has changed from `old` to `new` (RFC 1624 3, eqn. 3).
#[inline]
pub fn update(csum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!csum)
        .wrapping_add(u32::from(!old))
        .wrapping_add(u32::from(new));
    !fold(sum)
}

/// Adds the carries of a sum of 16-bit words to it. The carry of that addition comes in again, too,
/// after which there is none: the sum before it was at most fffe.
#[inline]
pub(crate) fn fold(sum: u32) -> u16 {
    let [a, b, c, d] = sum.to_be_bytes();
    let (sum, carry) = u16::from_be_bytes([a, b]).overflowing_add(u16::from_be_bytes([c, d]));
    sum.wrapping_add(u16::from(carry))
}

/// A sum of words of 16, 32 or 64 bits in the machine's order, folded to 16 bits in that order.
#[inline]
pub(crate) fn fold_words(words: u64) -> u16 {
    // The halves.
    let (sum, carry) = (words as u32).overflowing_add((words >> 32) as u32);
    fold(sum.wrapping_add(u32::from(carry)))
}

/// The sum of a header, whose length is a multiple of four: in a few steps where it has one of the
/// usual lengths.
#[inline]
pub(crate) fn sum_of_words(header: &[u8]) -> Sum {
    if let Ok(header) = <&[u8; 40]>::try_from(header) {
        sum_of_array(header)
    } else if let Ok(header) = <&[u8; 32]>::try_from(header) {
        sum_of_array(header)
    } else {
        Sum::of(header)
    }
}

#[inline(always)]
fn sum_of_array<const N: usize>(bytes: &[u8; N]) -> Sum {
    let (words, _) = bytes.as_chunks::<4>();
    let words = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)));
    Sum::of_words(words.sum())
}

/// Whether the sum over an IPv4 header without options is right (RFC 791 3.1).
#[inline]
pub(crate) fn is_valid_header(header: &[u8; 20]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    // Five words of 32 bits.
    let sum = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)));
    is_valid_sum(sum.sum())
}

/// Whether a sum of words that includes the checksum is right (RFC 1071 1.3), of a header that is
/// not all zero: in 16 bits it is one of the two forms of zero, and no sum becomes 0 again.
#[inline(always)]
pub(crate) fn is_valid_sum(words: u64) -> bool {
    words.is_multiple_of(0xffff)
}

/// One's complement addition: the carry comes in at the other end. After a carry the sum is at
/// most 2^64 - 2, so the second addition has none.
#[inline]
pub(crate) fn carry_add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(u64::from(carry))
}

/// The sum of `bytes` as words in the machine's order, from an even position on: in blocks of 64
/// bytes, then one of each half of that.
#[inline]
fn words(bytes: &[u8]) -> u64 {
    let (blocks, mut rest) = bytes.as_chunks::<64>();
    let mut sum = 0;
    for block in blocks {
        sum = add_block(sum, block);
    }
    if let Some((block, after)) = rest.split_first_chunk::<32>() {
        (sum, rest) = (add_block(sum, block), after);
    }
    if let Some((block, after)) = rest.split_first_chunk::<16>() {
        (sum, rest) = (add_block(sum, block), after);
    }
    if let Some((block, after)) = rest.split_first_chunk::<8>() {
        (sum, rest) = (add_block(sum, block), after);
    }
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => sum,
        Some(last) => {
            // What lies before the rest was added: it is shifted out at the front.
            let shift = u64::BITS - 8 * rest.len() as u32;
            carry_add(sum, (u64::from_le_bytes(*last) >> shift).to_le())
        }
        None => carry_add(sum, tail(rest)),
    }
}

/// Adds words to a sum, each with the carry of the one before it.
#[inline(always)]
fn add_block<const N: usize>(mut sum: u64, block: &[u8; N]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let mut carry = false;
    for word in words {
        // One instruction, for compilers who know this from `carrying_add`.
        let (first, is_over) = sum.overflowing_add(u64::from_ne_bytes(*word));
        let (second, is_over_again) = first.overflowing_add(carry.into());
        (sum, carry) = (second, is_over | is_over_again);
    }
    carry_add(sum, carry.into())
}

/// The sum of fewer than eight bytes by themselves, in steps that halve: no loop over bytes.
#[inline(never)]
fn tail(mut bytes: &[u8]) -> u64 {
    let mut sum = 0;
    if let Some((four, rest)) = bytes.split_first_chunk::<4>() {
        sum = u64::from(u32::from_ne_bytes(*four));
        bytes = rest;
    }
    if let Some((two, rest)) = bytes.split_first_chunk::<2>() {
        sum = carry_add(sum, u64::from(u16::from_ne_bytes(*two)));
        bytes = rest;
    }
    if let Some(last) = bytes.first() {
        sum = carry_add(sum, u64::from(u16::from_ne_bytes([*last, 0])));
    }
    sum
}

#[cfg(test)]
mod tests;
