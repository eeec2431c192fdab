//! A keyed function of few bytes whose number is known: SipHash (Aumasson and Bernstein, 2012),
//! of which nothing is left but its rounds.
//!
//! It is the `siphasher` crate's, which is for bytes that come in pieces of any length, and takes
//! twice as long for twelve. Both halves of what it gives are used, neither of which tells anything
//! of the other.

use super::seqnum::SeqNum;
use super::tuple::Tuple;
use crate::time::Instant;

/// A secret key.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) [u64; 2]);

impl Key {
    /// The secret of a four-tuple: its SipHash-2-4.
    #[inline]
    pub(super) fn of(self, tuple: Tuple) -> Secret {
        let Self([k0, k1]) = self;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (addrs, ports) = tuple.words();
        // The last word has the length in its upper byte.
        for word in [addrs, u64::from(ports) | 12 << 56] {
            state[3] ^= word;
            for _ in 0..2 {
                round(&mut state);
            }
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut state);
        }
        Secret(state.into_iter().fold(0, |all, word| all ^ word))
    }
}

/// What nobody may foresee of a connection. It is the same for each incarnation.
#[derive(Clone, Copy)]
pub(super) struct Secret(u64);

impl Secret {
    /// The initial sequence number of RFC 6528: a clock of 4 µs, and a secret function of who.
    #[inline]
    pub(super) fn iss(self, now: Instant) -> SeqNum {
        SeqNum((now.as_micros() / 4).wrapping_add(self.0) as u32)
    }

    /// What our timestamps begin at (RFC 7323 7.1): those of a new incarnation are never behind
    /// those of the old one (RFC 6191 2).
    #[inline]
    pub(super) fn ts_offset(self) -> u32 {
        (self.0 >> 32) as u32
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
    use siphasher::sip::SipHasher24;

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
                let tuple = Tuple::of_wire(local, remote, [q0, q1, p0, p1]);
                assert_eq!(tuple.bytes(), bytes);
                let (k0, k1) = (0x0123_4567_89ab_cdef * n as u64, !0 - u64::from(byte));
                let key = Key([k0, k1]);
                let whole = SipHasher24::new_with_keys(k0, k1).hash(&bytes);
                assert_eq!(key.of(tuple).0, whole);
            }
        }
    }
}
