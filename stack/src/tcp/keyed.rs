//! A keyed function of few bytes whose number is known: SipHash (Aumasson and Bernstein, 2012),
//! of which nothing is left but its rounds.
//!
//! It is the `siphasher` crate's, which is for bytes that come in pieces of any length, and takes
//! twice as long for twelve. SipHash-2-4 is for what nobody may foresee (RFC 6528 3), SipHash-1-3
//! for what must merely look like chance.

use super::tuple::Tuple;

/// A secret key.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) [u64; 2]);

impl Key {
    /// SipHash-2-4 of a four-tuple.
    #[inline]
    pub(super) fn of_tuple(self, tuple: Tuple) -> u64 {
        let (addrs, ports) = tuple.words();
        self.sip::<2, 4>([addrs, u64::from(ports) | 12 << 56])
    }

    /// SipHash-1-3 of its addresses.
    #[inline]
    pub(super) fn of_addrs(self, tuple: Tuple) -> u64 {
        let (addrs, _) = tuple.words();
        self.sip::<1, 3>([addrs, 8 << 56])
    }

    /// With so many rounds for each word and at the end. The last word has the length in its
    /// upper byte.
    #[inline(always)]
    fn sip<const EACH: usize, const END: usize>(self, words: [u64; 2]) -> u64 {
        let Self([k0, k1]) = self;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for word in words {
            state[3] ^= word;
            for _ in 0..EACH {
                round(&mut state);
            }
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        for _ in 0..END {
            round(&mut state);
        }
        state.into_iter().fold(0, |all, word| all ^ word)
    }
}

#[inline(always)]
fn round(state: &mut [u64; 4]) {
    let [mut v0, mut v1, mut v2, mut v3] = *state;
    v0 = v0.wrapping_add(v1);
    v2 = v2.wrapping_add(v3);
    v1 = v1.rotate_left(13) ^ v0;
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.rotate_left(32).wrapping_add(v3);
    v2 = v2.wrapping_add(v1);
    v3 = v3.rotate_left(21) ^ v0;
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    *state = [v0, v1, v2, v3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip::{SipHasher13, SipHasher24};

    /// The same as by the crate, for tuples that differ in one byte each.
    #[test]
    fn it_is_siphash() {
        for n in 0..12 {
            for byte in [0, 1, 0x80, 0xff] {
                let mut bytes = [0x11_u8; 12];
                bytes[n] = byte;
                let [l0, l1, l2, l3, r0, r1, r2, r3, p0, p1, q0, q1] = bytes;
                let local = [l0, l1, l2, l3];
                let remote = [r0, r1, r2, r3];
                let tuple = Tuple::of_wire(local, [p0, p1], remote, [q0, q1]);
                assert_eq!(tuple.bytes(), bytes);
                let (k0, k1) = (0x0123_4567_89ab_cdef * n as u64, !0 - u64::from(byte));
                let key = Key([k0, k1]);
                let whole = SipHasher24::new_with_keys(k0, k1).hash(&bytes);
                assert_eq!(key.of_tuple(tuple), whole);
                let addrs = SipHasher13::new_with_keys(k0, k1).hash(&bytes[..8]);
                assert_eq!(key.of_addrs(tuple), addrs);
            }
        }
    }
}
