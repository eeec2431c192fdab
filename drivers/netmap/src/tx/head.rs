//! The head frame of a packet to send: where it begins, and whose it is from then on.

use simoom_ring::{Frame, FrameIdx, NetHdr, TxOffload};

use super::Tx;
use crate::{Buffers, FarSide};

impl<'p, F: FarSide> Tx<'_, 'p, F> {
    /// Puts the header in front that the port wants, and the head where it may begin: at which byte
    /// of its buffer.
    #[inline]
    pub(super) fn place_head(&mut self, head: &mut Frame<'p>, offload: TxOffload) -> usize {
        let hdr_len = self.rules.traits.hdr_len;
        if hdr_len > 0
            && let Ok(header) = head.push(hdr_len.into())
        {
            NetHdr::for_tx(offload).emit(header);
        }
        let offset = head.headroom();
        let misplaced = match self.rules.has_offsets {
            // Nothing is misplaced at 0, and a division is dear.
            true if offset > 0 => offset % self.align(),
            _ => offset,
        };
        match misplaced {
            0 => offset,
            misplaced => self.move_head(head, misplaced),
        }
    }

    /// Moves a head to where the port has a name for its first byte.
    fn move_head(&mut self, head: &mut Frame<'p>, misplaced: usize) -> usize {
        let offset = head.headroom();
        if head.push(misplaced).is_err() {
            return offset;
        }
        // A copy, because the port has no name for a byte within a buffer (but aligned ones): of
        // headers as a rule, of all where the stack had to copy the body as well.
        head.bytes_mut().copy_within(misplaced.., 0);
        head.trim(head.len() - misplaced);
        self.counters.bytes_moved += head.len() as u64;
        offset - misplaced
    }

    /// Lends a frame to the far side, or gives it away where buffers move: the receiver may send it
    /// back before we hear of its slot.
    #[inline]
    pub(super) fn hand_over(&self, frame: Frame<'p>) -> FrameIdx {
        match self.rules.traits.buffers {
            Buffers::Move => frame.forsake(),
            Buffers::Stay | Buffers::Shuffle => frame.lend(),
        }
    }

    /// What the start of a packet is a multiple of.
    #[inline]
    fn align(&self) -> usize {
        usize::try_from(self.memory.buf_align().max(1)).unwrap_or(usize::MAX)
    }
}
