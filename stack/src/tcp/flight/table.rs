//! The table of flights: an entry for each connection that has something in flight.

use managed::ManagedSlice;

use super::{Flight, Nodes, SentNode, Unsettled};
use crate::tcp::deadline::Deadline;
use crate::tcp::idx::NONE;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::Snd;
use crate::time::{Duration, Instant};

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
    /// free, or no node for what was sent and a second one for when that is lost in part.
    pub(crate) fn begin(&mut self, una: SeqNum, end: SeqNum, now: Instant) -> Option<u32> {
        let idx = self.free_first;
        let entry = self.entries.get_mut(idx as usize)?;
        if !self.nodes.has_free_for(0) {
            return None;
        }
        self.free_first = entry.next_free;
        self.used_cnt += 1;
        // In place: it is large.
        entry.flight = Flight::new(una);
        let flight = &mut entry.flight;
        flight.sent(&mut self.nodes, (una, end), now, Duration::ZERO);
        Some(idx)
    }

    /// The last flight ended at `end` with something unknown of its last probe.
    #[cold]
    pub(crate) fn reopen_probe(&mut self, idx: u32, end: SeqNum, left: Unsettled) {
        if let Some((flight, _)) = self.get_mut(idx) {
            flight.probe.reopen(end, left);
        }
    }

    /// What is not known yet of the last probe.
    #[inline]
    pub(crate) fn probe_left(&self, idx: u32) -> Unsettled {
        self.get(idx)
            .map_or(Unsettled::default(), |(flight, _)| flight.probe.unsettled())
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

    /// Whether there is an entry for a connection more, and a node for what it sends.
    #[inline]
    pub(crate) fn has_free(&self) -> bool {
        self.free_first != NONE && self.nodes.has_free_for(0)
    }

    /// Whether there are nodes for a connection more.
    #[inline]
    pub(crate) fn has_node(&self) -> bool {
        self.nodes.has_free_for(0)
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

    /// When something is to be done for a connection's flight.
    #[inline]
    pub(crate) fn next_deadline(&self, idx: u32) -> Deadline {
        self.get(idx)
            .map_or(Deadline::NEVER, |(flight, _)| flight.next_deadline())
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
        if let Some((flight, _)) = self.get(idx) {
            flight.invariants(snd);
        }
    }
}

impl Flight {
    /// The same, of a flight.
    #[inline(always)]
    pub(crate) fn invariants(&self, snd: &Snd) {
        assert!(
            self.ranges.ends() == (snd.una, snd.max),
            "the ranges are what is in flight"
        );
        self.ranges.invariants();
    }
}
