//! A generator of random bytes: ChaCha20 (RFC 8439 2.3) with fast key erasure.
//!
//! ```text
//!   key ─ block 0 ─┬─ 32 bytes: the next key
//!                  └─ 32 bytes of output
//!         block 1.. ─ 64 bytes of output each
//! ```
//!
//! The key is replaced before output leaves, so what was given out cannot be computed back from a
//! later state.

#[cfg(test)]
mod tests;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// The generator's state: one key, used once.
pub struct Generator {
    key: [u8; KEY_LEN],
}

impl Generator {
    /// A generator whose output is as good as the `seed`.
    pub fn new(seed: [u8; KEY_LEN]) -> Self {
        Self { key: seed }
    }

    /// Mixes `fresh` bytes into the state. They cannot make it worse, whoever chose them.
    pub fn mix(&mut self, fresh: &[u8]) {
        for chunk in fresh.chunks(KEY_LEN) {
            let mut next = [0; KEY_LEN];
            self.fill(&mut next);
            for (byte, new) in next.iter_mut().zip(chunk) {
                *byte ^= new;
            }
            self.key = next;
        }
    }

    /// Fills `bytes` with random bytes. At most 2^32 blocks a call, which no slice here reaches.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let key = self.key;
        let (next, rest) = split(block(&key, 0, &[0; 12]));
        self.key = next;
        let (first, others) = bytes.split_at_mut(bytes.len().min(rest.len()));
        first.copy_from_slice(&rest[..first.len()]);
        for (counter, chunk) in (1u32..).zip(others.chunks_mut(64)) {
            let output = block(&key, counter, &[0; 12]);
            chunk.copy_from_slice(&output[..chunk.len()]);
        }
    }
}

fn split(block: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut low, mut high) = ([0; 32], [0; 32]);
    low.copy_from_slice(&block[..32]);
    high.copy_from_slice(&block[32..]);
    (low, high)
}

/// The ChaCha20 block function, RFC 8439 2.3.1.
pub fn block(key: &[u8; KEY_LEN], counter: u32, nonce: &[u8; 12]) -> [u8; 64] {
    let mut initial = [0u32; 16];
    initial[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    for (word, bytes) in initial[4..12].iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    initial[12] = counter;
    for (word, bytes) in initial[13..].iter_mut().zip(nonce.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut state = initial;
    for _ in 0..10 {
        quarter_round(&mut state, 0, 4, 8, 12);
        quarter_round(&mut state, 1, 5, 9, 13);
        quarter_round(&mut state, 2, 6, 10, 14);
        quarter_round(&mut state, 3, 7, 11, 15);
        quarter_round(&mut state, 0, 5, 10, 15);
        quarter_round(&mut state, 1, 6, 11, 12);
        quarter_round(&mut state, 2, 7, 8, 13);
        quarter_round(&mut state, 3, 4, 9, 14);
    }
    let mut output = [0; 64];
    for (bytes, (word, start)) in output
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(state.iter().zip(&initial))
    {
        *bytes = word.wrapping_add(*start).to_le_bytes();
    }
    output
}

/// RFC 8439 2.1.
fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (left, right) in [(16, 12), (8, 7)] {
        state[a] = state[a].wrapping_add(state[b]);
        state[d] = (state[d] ^ state[a]).rotate_left(left);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_left(right);
    }
}
