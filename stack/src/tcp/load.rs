//! What a packet carries behind its headers, and what that sums to.

use simoom_ring::Caps;

use crate::content::Sums;
use crate::counters::Counters;
use crate::wire::checksum::Sum;

/// What has been attached to a packet.
pub(crate) struct Load {
    /// Its sum, where the port does not sum.
    pub(super) sum: Sum,
    /// Whether the port does not.
    pub(super) is_ours: bool,
    /// Pieces that the port takes, the head included.
    pub(super) fragments_max: usize,
}

impl Load {
    /// Nothing yet.
    #[inline]
    pub(crate) fn new(caps: &Caps) -> Self {
        Self {
            sum: Sum::new(),
            is_ours: !caps.checksums.tx,
            fragments_max: caps.fragments_max,
        }
    }

    /// Counts a piece in.
    #[inline]
    pub(super) fn add(
        &mut self,
        bytes: &[u8],
        is_content: bool,
        sums: Option<&Sums>,
        counters: &mut Counters,
    ) {
        if self.is_ours {
            let sum = self.sum_of(bytes, is_content, sums, counters);
            self.sum.combine(sum);
        }
    }

    /// Counts pieces in whose sum is known, so many bytes of them content.
    #[inline]
    pub(super) fn add_known(&mut self, sum: Sum, content_len: usize, counters: &mut Counters) {
        if self.is_ours {
            counters.payload_bytes_presummed += content_len as u64;
            self.sum.combine(sum);
        }
    }

    /// The sum of a piece, if it is ours to know.
    #[inline]
    pub(super) fn sum_of(
        &self,
        bytes: &[u8],
        is_content: bool,
        sums: Option<&Sums>,
        counters: &mut Counters,
    ) -> Sum {
        if !self.is_ours {
            return Sum::new();
        }
        let len = bytes.len() as u64;
        if let Some(known) = sums.and_then(|sums| sums.sum(bytes)) {
            counters.payload_bytes_presummed += len;
            return known;
        }
        if is_content {
            counters.payload_bytes_summed += len;
        }
        Sum::of(bytes)
    }
}
