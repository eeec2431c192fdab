//! What is asked for over a connection, the same for Linux's ends and ours.
//!
//! ```text
//!   client: op, offset, length ──────────────►
//!   Get:    ◄────────────── `length` bytes of the content from `offset` on
//!   Put:    `length` bytes ──────────────────►
//!           ◄────────────── how many of them were right
//! ```
//!
//! Both ends have the content, so every byte is compared where it arrives.

use anyhow::{Result, bail};
use simoom_sim::Rng;
use std::sync::OnceLock;

/// Bytes of [`content`].
pub(crate) const CONTENT_LEN: usize = 16 << 20;

/// Everything that is ever sent: bytes that tell their place.
pub(crate) fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let mut rng = Rng::new(7);
        let words = (0..CONTENT_LEN / 8).map(|_| rng.next_u64().to_le_bytes());
        words.flatten().collect()
    })
}

/// Which way the content goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// To the client.
    Get,
    /// From the client.
    Put,
}

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) op: Op,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Request {
    /// Bytes of a request, and of the answer to `Put`.
    pub(crate) const LEN: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let op: u32 = match self.op {
            Op::Get => OP_GET,
            Op::Put => OP_PUT,
        };
        let mut bytes = [0; Self::LEN];
        let words = [op, self.offset, self.len];
        for (field, word) in bytes.chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// # Errors
    /// Not a request, or not within the content.
    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Result<Self> {
        let mut words = [0; 3];
        for (word, field) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*field);
        }
        let [op, offset, len] = words;
        let op = match op {
            OP_GET => Op::Get,
            OP_PUT => Op::Put,
            _ => bail!("{bytes:02x?} is no request"),
        };
        if offset as usize > CONTENT_LEN || len as usize > CONTENT_LEN - offset as usize {
            bail!("{len} bytes from {offset} are more than there are");
        }
        Ok(Self { op, offset, len })
    }

    /// The bytes that it is about.
    pub(crate) fn body(self) -> &'static [u8] {
        let from = content().get(self.offset as usize..);
        let body = from.and_then(|from| from.get(..self.len as usize));
        body.unwrap_or_default()
    }

    /// The answer to `Put` when so many bytes were right.
    pub(crate) fn receipt(right: usize) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[4..].copy_from_slice(&(right as u64).to_be_bytes());
        bytes
    }
}

/// Several exchanges, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) op: Op,
    /// Bytes of each.
    pub(crate) len: u32,
    pub(crate) times: u32,
    /// All on one connection; else each on its own.
    pub(crate) is_kept: bool,
}

impl Work {
    /// Exchange `n`: the content from end to end, and again.
    pub(crate) fn request(self, n: u32) -> Request {
        let places = (CONTENT_LEN as u32 / self.len.max(1)).max(1);
        Request {
            op: self.op,
            offset: n % places * self.len,
            len: self.len,
        }
    }

    /// Bytes in all.
    pub(crate) fn total_len(self) -> u64 {
        u64::from(self.len) * u64::from(self.times)
    }

    /// As part of a file's name.
    pub(crate) fn tag(self) -> String {
        let op = match self.op {
            Op::Get => "get",
            Op::Put => "put",
        };
        let kept = if self.is_kept { "-kept" } else { "" };
        format!("{op}-{}x{}{kept}", self.times, self.len)
    }
}

const OP_GET: u32 = u32::from_be_bytes(*b"GET ");
const OP_PUT: u32 = u32::from_be_bytes(*b"PUT ");

#[cfg(test)]
mod tests;
