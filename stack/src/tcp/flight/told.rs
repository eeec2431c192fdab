//! What one acknowledgment tells of what is in flight.

use super::{Flags, Range, Reordering, elapsed_us, wrapped};
use crate::config::RTO_MAX;
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// What an acknowledgment has told.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// Now, as ranges keep it.
    pub(crate) now_us: u32,
    /// When the segment was sent at the latest whose timestamp is echoed.
    pub(crate) echoed_by_us: Option<u32>,
    /// Where the recovery under way ends.
    pub(crate) recover: SeqNum,
    pub(crate) reordering: &'a mut Reordering,
    /// Bytes that have arrived and had not been SACKed before.
    pub(crate) len: u32,
    /// Bytes among those that are SACKed.
    pub(crate) sacked_len: u32,
    /// How long ago the latest of what was sent once was sent.
    pub(crate) rtt_us: Option<u32>,
    /// How long ago something was sent again of which the first transmission has arrived, as the
    /// echo tells: what was sent latest counts.
    again_us: Option<u32>,
    /// Something that was sent once, before the recovery began, has arrived.
    pub(crate) is_original: bool,
    /// Something that was sent again has arrived.
    pub(crate) is_again: bool,
    /// The echo is older than this, which was sent again: the first transmission has arrived (RFC
    /// 3522).
    pub(crate) eifel: Option<(SeqNum, SeqNum)>,
    /// What has arrived twice (RFC 2883).
    pub(crate) dsack: Option<(SeqNum, SeqNum)>,
}

impl<'a> Told<'a> {
    pub(crate) fn new(
        now: Instant,
        echoed_by: Option<Instant>,
        recover: SeqNum,
        reordering: &'a mut Reordering,
    ) -> Self {
        Self {
            now_us: wrapped(now),
            echoed_by_us: echoed_by.map(wrapped),
            recover,
            reordering,
            len: 0,
            sacked_len: 0,
            rtt_us: None,
            again_us: None,
            is_original: false,
            is_again: false,
            eifel: None,
            dsack: None,
        }
    }

    /// The round-trip time that it measures, unless something was sent again (Karn): then what was
    /// sent once beside it has waited for the answer to that, as it seems, all of an outage.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        let rtt = Duration::from_micros(self.rtt_us?.into());
        // Longer than any timeout: the clock of the ranges has wrapped.
        (rtt <= RTO_MAX && !self.is_again).then_some(rtt)
    }

    /// A range that was sent again has arrived, and the echo is older than that.
    pub(super) fn may_answer_second(&mut self, range: &Range) {
        let again_us = elapsed_us(self.now_us, range.sent_at_us);
        self.again_us = Some(self.again_us.map_or(again_us, |least| least.min(again_us)));
    }

    /// Whether what was sent again may be what is answered here, though the echo is that of the
    /// first transmission. What has arrived already is acknowledged once more with the timestamp
    /// that came last in order (RFC 7323 4.3): if the first acknowledgment was lost, the echo is as
    /// old as our timeout, and says nothing of the path. What comes sooner than a round trip
    /// (`least`) answers the first.
    pub(crate) fn is_answer_ambiguous(&self, least: Duration) -> bool {
        self.again_us
            .is_some_and(|again_us| u64::from(again_us) >= least.as_micros())
    }

    /// A range has arrived.
    #[inline]
    pub(super) fn take(&mut self, range: &Range) {
        self.len = self.len.saturating_add(range.len());
        if range.flags.has(Flags::AGAIN) {
            self.is_again = true;
            return;
        }
        self.is_original |= !range.end.after(self.recover);
        let rtt_us = elapsed_us(self.now_us, range.sent_at_us);
        self.rtt_us = Some(self.rtt_us.map_or(rtt_us, |least| least.min(rtt_us)));
    }
}
