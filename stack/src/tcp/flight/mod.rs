//! What TCP knows of the data in flight: when each range was sent, what of it has arrived, what is
//! taken for lost, and how a recovery goes on.
//!
//! ```text
//!   Tcb.flight ─► Flights.entries ─► Flight ─► Ranges ─► Nodes (one pool for all)
//!   idle: NONE    one for each connection        what was sent, when, what is known of it
//!                 that has something in flight
//! ```
//!
//! A connection takes an entry with the first byte that it sends, and gives it back when all is
//! acknowledged: an idle one costs an index. When no entry is free (`tcp_flights_full`) the
//! connection works without: NewReno (RFC 6582) from what is in the TCB, go-back-N after a
//! timeout, and round-trip times from timestamps only.
//!
//! - `ranges.rs`, `nodes.rs`: the list
//! - `prr.rs`: how much may go out during a recovery (RFC 6937)

mod nodes;
mod prr;
mod ranges;

#[cfg(test)]
mod tests;

use managed::ManagedSlice;

use crate::config::RTO_MAX;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::slots::NONE;
use crate::tcp::snd::{Phase, Snd};
use crate::time::{Duration, Instant};

pub use self::nodes::SentNode;
pub(crate) use self::nodes::{Flags, Nodes};
pub(crate) use self::prr::{Progress, Prr};
pub(crate) use self::ranges::{Range, Ranges};

/// The memory of what is known of one connection's data in flight.
#[derive(Debug)]
pub struct FlightEntry {
    flight: Flight,
    next_free: u32,
}

impl Default for FlightEntry {
    fn default() -> Self {
        Self {
            flight: Flight::new(SeqNum(0)),
            next_free: NONE,
        }
    }
}

/// What is in flight on one connection.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) ranges: Ranges,
    /// The recovery under way, or the last one.
    pub(crate) prr: Prr,
    /// Bytes that duplicate acknowledgments stand for, of a far side without SACK.
    pub(crate) dup_len: u32,
    /// The estimator takes one measurement a round trip: the next when this is acknowledged.
    round_end: SeqNum,
}

/// What an acknowledgment has delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// Bytes that had not been SACKed before.
    pub(crate) len: u32,
    /// How long ago the latest of them that was sent once was sent.
    pub(crate) rtt_us: Option<u32>,
}

impl Flight {
    fn new(una: SeqNum) -> Self {
        Self {
            ranges: Ranges::new(una),
            prr: Prr::default(),
            dup_len: 0,
            round_end: una,
        }
    }

    /// Bytes in the network by our best estimate: neither arrived nor lost (RFC 6675 4, `pipe`).
    #[inline]
    pub(crate) fn pipe(&self) -> u32 {
        let (sacked, lost) = (self.ranges.sacked_len(), self.ranges.lost_len());
        self.ranges
            .len()
            .saturating_sub(sacked.saturating_add(lost).saturating_add(self.dup_len))
    }

    /// Bytes that may be sent now, as far as the network goes.
    #[inline]
    pub(crate) fn quota(&self, phase: Phase, cwnd: u32) -> u32 {
        match phase {
            Phase::Recovery => self.prr.quota(),
            Phase::Open | Phase::Loss => cwnd.saturating_sub(self.pipe()),
        }
    }

    /// `[seq, end)` was sent just now, for the first time or again.
    #[inline]
    pub(crate) fn sent(
        &mut self,
        nodes: &mut Nodes<'_>,
        (seq, end): (SeqNum, SeqNum),
        now: Instant,
        srtt: Duration,
    ) {
        let (_, max) = self.ranges.ends();
        let now_us = wrapped(now);
        if seq.before(max) {
            self.ranges.sent_again(nodes, (seq, end.min(max)), now_us);
        }
        if end.after(max) {
            if self.ranges.len() == 0 {
                self.round_end = end;
            }
            // A timeout is bounded, so this fits.
            let slack_us = (srtt.as_micros() / SLACK_PART) as u32;
            self.ranges.push(nodes, end, now_us, slack_us);
        }
        self.prr.sent(end.bytes_since(seq));
    }

    /// SND.UNA moves to `ack`.
    #[inline]
    pub(crate) fn acked(
        &mut self,
        nodes: &mut Nodes<'_>,
        ack: SeqNum,
        now: Instant,
        delivered: &mut Delivered,
    ) {
        let now_us = wrapped(now);
        self.ranges
            .acked(nodes, ack, |range| delivered.take(range, now_us));
    }

    /// Whether a round trip has passed since the estimator took its last measurement.
    #[inline]
    pub(crate) fn is_round_over(&mut self, ack: SeqNum) -> bool {
        let is_over = !ack.before(self.round_end);
        if is_over {
            (_, self.round_end) = self.ranges.ends();
        }
        is_over
    }

    /// What has not arrived is lost.
    pub(crate) fn all_lost(&mut self, nodes: &mut Nodes<'_>) {
        self.dup_len = 0;
        self.ranges.change_all(nodes, |range| {
            if !range.flags.has(Flags::SACKED) {
                range.flags = range.flags.with(Flags::LOST);
            }
        });
    }

    /// The first range that is to be sent again.
    #[inline]
    pub(crate) fn next_lost(&self, nodes: &Nodes<'_>) -> Option<Range> {
        if self.ranges.lost_len() == 0 {
            return None;
        }
        self.ranges
            .iter(nodes)
            .find(|range| range.flags.has(Flags::LOST))
    }
}

impl Delivered {
    /// The round-trip time that it measures, unless all was sent again (Karn).
    pub(crate) fn rtt(&self) -> Option<Duration> {
        let rtt = Duration::from_micros(self.rtt_us?.into());
        // Longer than any timeout: the clock of the ranges has wrapped.
        (rtt <= RTO_MAX).then_some(rtt)
    }

    /// A range has arrived.
    #[inline]
    fn take(&mut self, range: &Range, now_us: u32) {
        if range.flags.has(Flags::SACKED) {
            return;
        }
        self.len = self.len.saturating_add(range.len());
        if !range.flags.has(Flags::AGAIN) {
            let rtt_us = now_us.wrapping_sub(range.sent_at_us);
            self.rtt_us = Some(self.rtt_us.map_or(rtt_us, |least| least.min(rtt_us)));
        }
    }
}

/// All flights.
pub(crate) struct Flights<'p> {
    entries: ManagedSlice<'p, FlightEntry>,
    free_first: u32,
    used_cnt: usize,
    nodes: Nodes<'p>,
}

impl<'p> Flights<'p> {
    pub(crate) fn new(
        mut entries: ManagedSlice<'p, FlightEntry>,
        nodes: ManagedSlice<'p, SentNode>,
    ) -> Self {
        let len = u32::try_from(entries.len()).unwrap_or(NONE).min(NONE - 1);
        for (idx, entry) in (0..len).zip(entries.iter_mut()) {
            entry.next_free = if idx + 1 < len { idx + 1 } else { NONE };
        }
        Self {
            entries,
            free_first: if len == 0 { NONE } else { 0 },
            used_cnt: 0,
            nodes: Nodes::new(nodes),
        }
    }

    /// A connection sends `[una, end)` with nothing in flight before. `None` when no entry is
    /// free, or no node for what was sent.
    pub(crate) fn begin(&mut self, una: SeqNum, end: SeqNum, now: Instant) -> Option<u32> {
        let idx = self.free_first;
        let entry = self.entries.get_mut(idx as usize)?;
        if !self.nodes.has_free() {
            return None;
        }
        let mut flight = Flight::new(una);
        flight.sent(&mut self.nodes, (una, end), now, Duration::ZERO);
        self.free_first = entry.next_free;
        self.used_cnt += 1;
        entry.flight = flight;
        Some(idx)
    }

    /// Nothing is in flight any more, or nobody cares: the entry and its nodes go home.
    #[inline]
    pub(crate) fn end(&mut self, idx: &mut u32) {
        if let Some(entry) = self.entries.get_mut(*idx as usize) {
            entry.flight.ranges.clear(&mut self.nodes);
            entry.next_free = self.free_first;
            self.free_first = *idx;
            self.used_cnt -= 1;
            *idx = NONE;
        }
    }

    /// A connection's flight, unless it has none.
    #[inline]
    pub(crate) fn get(&self, idx: u32) -> Option<(&Flight, &Nodes<'p>)> {
        let entry = self.entries.get(idx as usize)?;
        Some((&entry.flight, &self.nodes))
    }

    /// As [`get`](Self::get), to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, idx: u32) -> Option<(&mut Flight, &mut Nodes<'p>)> {
        let entry = self.entries.get_mut(idx as usize)?;
        Some((&mut entry.flight, &mut self.nodes))
    }

    /// Entries and nodes in use.
    pub(crate) fn levels(&self) -> (usize, usize) {
        (self.used_cnt, self.nodes.used_cnt())
    }

    /// How often ranges had to stay together for want of a node.
    #[inline]
    pub(crate) fn merged_cnt(&self) -> u64 {
        self.nodes.merged_cnt
    }

    /// What must hold between a connection and its flight after every event.
    ///
    /// # Panics
    /// When it does not: a bug of ours.
    #[inline]
    pub(crate) fn invariants(&self, idx: u32, snd: &Snd) {
        let Some((flight, _)) = self.get(idx) else {
            return;
        };
        assert_eq!(
            flight.ranges.ends(),
            (snd.una, snd.max),
            "the ranges are what is in flight"
        );
        flight.ranges.invariants();
    }
}

/// Microseconds as ranges keep them: they wrap after 71 minutes, which no measurement lasts.
#[inline]
pub(crate) fn wrapped(now: Instant) -> u32 {
    now.as_micros() as u32
}

/// What is sent within this part of a round trip may be told as one range.
const SLACK_PART: u64 = 64;
