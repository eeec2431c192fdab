//! Sums over the whole life of a connection.

use super::seqnum::SeqNum;

/// What the sequence numbers of a connection do not tell: how often they have wrapped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    acked_wraps: u16,
    received_wraps: u16,
    /// Segments sent again, 65,535 at most.
    pub(crate) retransmits: u16,
}

impl Totals {
    /// SND.UNA has moved.
    #[inline]
    pub(crate) fn una_moved(&mut self, from: SeqNum, to: SeqNum, iss: SeqNum) {
        self.acked_wraps = self.acked_wraps.wrapping_add(wraps(from, to, iss));
    }

    /// RCV.NXT has moved.
    #[inline]
    pub(crate) fn nxt_moved(&mut self, from: SeqNum, to: SeqNum, irs: SeqNum) {
        self.received_wraps = self.received_wraps.wrapping_add(wraps(from, to, irs));
    }

    pub(super) fn acked(&self, una: SeqNum, iss: SeqNum) -> u64 {
        total(self.acked_wraps, una, iss)
    }

    pub(super) fn received(&self, nxt: SeqNum, irs: SeqNum) -> u64 {
        total(self.received_wraps, nxt, irs)
    }
}

/// Whether a sequence number has come round to `start` on its way; never twice.
#[inline]
fn wraps(from: SeqNum, to: SeqNum, start: SeqNum) -> u16 {
    u16::from(to.0.wrapping_sub(start.0) < from.0.wrapping_sub(start.0))
}

/// Bytes since `start`, the SYN aside.
fn total(wraps: u16, at: SeqNum, start: SeqNum) -> u64 {
    let low = u64::from(at.0.wrapping_sub(start.0));
    (u64::from(wraps) << 32 | low).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_go_on_where_sequence_numbers_wrap() {
        let start = SeqNum(u32::MAX - 5);
        let mut totals = Totals::default();
        let (mut at, mut sum) = (start + 1, 0);
        for len in [10, 1 << 30, 1 << 30, 1 << 30, 1 << 30, 7, 0] {
            totals.una_moved(at, at + len, start);
            totals.nxt_moved(at, at + len, start);
            at += len;
            sum += u64::from(len);
            assert_eq!(totals.acked(at, start), sum);
            assert_eq!(totals.received(at, start), sum);
        }
        assert_eq!((totals.acked_wraps, totals.received_wraps), (1, 1));
    }
}
