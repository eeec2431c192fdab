//! A frame on the wire: owned bytes, and what a device of the other side may be told about them.

use std::rc::Rc;

use simoom_ring::{CsumOffload, GsoOffload};

use crate::checksum;
use crate::layout::ETH_LEN;

/// The bytes are shared by the copies of a frame (in flight, duplicated, recorded).
#[derive(Clone, Debug)]
pub(crate) struct WireFrame {
    pub(crate) bytes: Rc<Vec<u8>>,
    /// The checksum is still partial: only towards an end that takes it so.
    pub(crate) csum: Option<CsumOffload>,
    /// Not cut: only towards an end that takes it so.
    pub(crate) gso: Option<GsoOffload>,
    /// Counts the frames of the wire; the copies of one have the same.
    pub(crate) number: u64,
}

impl WireFrame {
    /// Computes the checksum that was left to do.
    pub(crate) fn complete(&mut self) {
        if let Some(csum) = self.csum.take() {
            let bytes: &mut Vec<u8> = Rc::make_mut(&mut self.bytes);
            checksum::complete(bytes, csum);
        }
    }

    /// Bytes of the longest IP datagram that this is, or will be when it is cut.
    pub(crate) fn datagram_len(&self) -> usize {
        let frame_len = match self.gso {
            Some(gso) => self
                .bytes
                .len()
                .min(usize::from(gso.hdr_len) + usize::from(gso.gso_size)),
            None => self.bytes.len(),
        };
        frame_len.saturating_sub(ETH_LEN)
    }
}
