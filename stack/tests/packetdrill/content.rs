//! What streams carry: the byte at each sequence number of a script is known, in both directions,
//! so that every payload can be checked.

use std::sync::OnceLock;

/// The bytes from a sequence number of the script on, without an end within [`LEN`].
fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let mixed = (0..LEN as u32 / 4).map(|word| word.wrapping_mul(0x9e37_79b1).rotate_left(9));
        mixed.flat_map(u32::to_le_bytes).collect()
    })
}

/// `len` bytes from `seq` on.
pub(crate) fn bytes(seq: u32, len: usize) -> Vec<u8> {
    let at = seq as usize % LEN;
    let wrapped = || content()[at..].iter().chain(content()).take(len).copied();
    body(seq, len).map_or_else(|| wrapped().collect(), <[u8]>::to_vec)
}

/// The same, by reference; `None` where that would cross the end.
pub(crate) fn body(seq: u32, len: usize) -> Option<&'static [u8]> {
    let at = seq as usize % LEN;
    content().get(at..at + len)
}

/// Whether these are the bytes from `seq` on.
pub(crate) fn is_at(seq: u32, found: &[u8]) -> bool {
    body(seq, found.len()).map_or_else(|| bytes(seq, found.len()) == found, |body| body == found)
}

/// Bytes after which the content repeats.
const LEN: usize = 1 << 22;
