//! What a file's bytes are told from others by: the strong validator of RFC 9110 8.8.1.
//!
//! Time and size, of which others make their tags, stay as they are when a file is replaced within
//! a second by one as long, or its time is set back, as `rsync -t`, `cp -p` and reproducible builds
//! do. So every byte is read, once, when the archive is indexed; links share what they lead to, and
//! an archive cannot ask for more than its own length.
//!
//! XXH64 is not proof against somebody who wants two files with one tag: he would be the one who
//! writes the site. It is chosen for where it runs: 64-bit multiplications and rotations alone, 32
//! bytes at a step, go at memory's speed and lose little when QEMU translates them (100 MB: 50 ms
//! on the machine, 70 ms under TCG; XXH3, made for vector registers, takes 20 and 550).

use core::fmt;

use twox_hash::XxHash64;

use crate::message::sixteen_digits;

/// XXH64 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// Of nothing that is sent.
    pub(super) const NONE: Self = Self(0);

    /// Reads `body`, all of it.
    pub(super) fn of(body: &[u8]) -> Self {
        Self(XxHash64::oneshot(0, body))
    }

    /// Sixteen digits, whatever it is: the length of a head must not depend on it.
    pub(super) fn digits(self) -> [u8; 16] {
        sixteen_digits(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The algorithm's published values: a site keeps its tags when the image is built anew.
    #[test]
    fn it_is_xxh64() {
        assert_eq!(Digest::of(b""), Digest(0xef46_db37_51d8_e999));
        assert_eq!(Digest::of(b"a"), Digest(0xd24e_c4f1_a98c_6e5b));
        assert_eq!(Digest::of(b"abc"), Digest(0x44bc_2cf5_ad77_0999));
    }

    #[test]
    fn it_depends_on_every_byte() {
        let mut body = [b'x'; 100];
        let whole = Digest::of(&body);
        for at in 0..body.len() {
            body[at] ^= 1;
            assert_ne!(Digest::of(&body), whole);
            body[at] ^= 1;
            assert_ne!(Digest::of(&body[..at]), whole);
        }
    }
}
