//! Connections in TIME-WAIT: compact entries, not connections.
//!
//! An entry keeps what answering an old segment needs, and is found by the keyed 64-bit hash of its
//! four-tuple instead of the tuple itself. All entries wait equally long, so the oldest is always
//! the first to go: a list in order of time is all the timer there is. When the table is full, the
//! oldest goes early, counted (RFC 1337's hazards need a segment of the old connection to arrive
//! within that time, in window; refusing new connections would be worse).
//!
//! RFC 9293 has the side wait that closed first. While SYN cookies are out, those wait, too, that a
//! client closed first: a late copy of its first segment would else bring the connection back, and
//! the request in it.

use managed::ManagedSlice;

use crate::config::TIME_WAIT;
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// The memory of one entry: at most 32 bytes.
#[derive(Clone, Debug, Default)]
pub struct TimeWaitEntry {
    hash: u64,
    snd_nxt: u32,
    rcv_nxt: u32,
    /// TS.Recent.
    ts_recent: u32,
    /// Milliseconds, modulo 2^31, and in the lowest bit whether there are timestamps.
    until: u32,
    previous: u32,
    next: u32,
}

const _: () = assert!(size_of::<TimeWaitEntry>() <= 32);

impl TimeWaitEntry {
    /// Milliseconds until it may go.
    fn left(&self, now: Instant) -> u32 {
        let left = (self.until & !1).wrapping_sub(millis_twice(now)) as i32;
        left.max(0).unsigned_abs() / 2
    }
}

pub(crate) struct TimeWaits<'p> {
    entries: ManagedSlice<'p, TimeWaitEntry>,
    free_first: u32,
    oldest: u32,
    newest: u32,
    len: usize,
}

/// What a segment for an old connection is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    /// TS.Recent, if both sides used timestamps.
    pub(crate) ts_recent: Option<u32>,
}

impl Old {
    /// Whether a SYN can only be that of a new incarnation: newer than all of the old one by its
    /// timestamp (RFC 6191 2), or else by its sequence number (RFC 9293 3.6.1, MAY-2).
    pub(crate) fn is_behind(&self, seq: SeqNum, ts_val: Option<u32>) -> bool {
        match (self.ts_recent, ts_val) {
            (Some(recent), Some(val)) if val != recent => (val.wrapping_sub(recent) as i32) > 0,
            (None, Some(_)) => true,
            // RCV.NXT is behind the last number that was used: that of their FIN.
            _ => !seq.before(self.rcv_nxt),
        }
    }
}

impl<'p> TimeWaits<'p> {
    pub(crate) fn new(mut entries: ManagedSlice<'p, TimeWaitEntry>) -> Self {
        let len = entries.len().min(super::demux::INDEX_MAX) as u32;
        for (idx, entry) in (0..len).zip(entries.iter_mut()) {
            entry.next = if idx + 1 < len { idx + 1 } else { NONE };
        }
        let free_first = if len == 0 { NONE } else { 0 };
        Self {
            entries,
            free_first,
            oldest: NONE,
            newest: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether an entry is the one of this hash.
    #[inline]
    pub(crate) fn is(&self, idx: u32, hash: u64) -> bool {
        self.entries
            .get(idx as usize)
            .is_some_and(|entry| entry.hash == hash)
    }

    /// Adds an entry; `None` when the table is full (or has no place at all).
    pub(crate) fn insert(&mut self, hash: u64, old: Old, now: Instant) -> Option<u32> {
        let idx = self.free_first;
        let entry = self.entries.get_mut(idx as usize)?;
        self.free_first = entry.next;
        *entry = TimeWaitEntry {
            hash,
            snd_nxt: old.snd_nxt.0,
            rcv_nxt: old.rcv_nxt.0,
            ts_recent: old.ts_recent.unwrap_or(0),
            until: u32::from(old.ts_recent.is_some()),
            previous: NONE,
            next: NONE,
        };
        self.len += 1;
        self.link_newest(idx, now);
        Some(idx)
    }

    /// What the entry remembers.
    pub(crate) fn get(&self, idx: u32) -> Option<Old> {
        let entry = self.entries.get(idx as usize)?;
        Some(Old {
            snd_nxt: SeqNum(entry.snd_nxt),
            rcv_nxt: SeqNum(entry.rcv_nxt),
            ts_recent: (entry.until & 1 != 0).then_some(entry.ts_recent),
        })
    }

    /// Starts the wait again (RFC 9293 3.10.7.4, eighth, TIME-WAIT).
    pub(crate) fn restart(&mut self, idx: u32, now: Instant) {
        self.unlink(idx);
        self.link_newest(idx, now);
    }

    /// Removes an entry; its hash.
    pub(crate) fn remove(&mut self, idx: u32) -> Option<u64> {
        let hash = self.entries.get(idx as usize)?.hash;
        self.unlink(idx);
        self.entries[idx as usize].next = self.free_first;
        self.entries[idx as usize].hash = 0;
        self.free_first = idx;
        self.len -= 1;
        Some(hash)
    }

    /// The entry that has waited longest.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The oldest entry, if its time is over.
    #[inline]
    pub(crate) fn expired(&self, now: Instant) -> Option<u32> {
        let entry = self.entries.get(self.oldest as usize)?;
        (entry.left(now) == 0).then_some(self.oldest)
    }

    /// When the oldest entry's time is over.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let entry = self.entries.get(self.oldest as usize)?;
        Some(now + Duration::from_millis(entry.left(now).into()))
    }

    fn link_newest(&mut self, idx: u32, now: Instant) {
        let entry = &mut self.entries[idx as usize];
        entry.until = millis_twice(now + TIME_WAIT).wrapping_add(2) | entry.until & 1;
        entry.previous = self.newest;
        entry.next = NONE;
        if self.newest == NONE {
            self.oldest = idx;
        } else {
            self.entries[self.newest as usize].next = idx;
        }
        self.newest = idx;
    }

    fn unlink(&mut self, idx: u32) {
        let TimeWaitEntry { previous, next, .. } = self.entries[idx as usize];
        if previous == NONE {
            self.oldest = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next == NONE {
            self.newest = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
    }
}

/// Milliseconds modulo 2^31, twice: enough, since all deadlines are within a minute or so.
fn millis_twice(at: Instant) -> u32 {
    ((at.as_micros() / 1_000) as u32).wrapping_mul(2)
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const OLD: Old = Old {
        snd_nxt: SeqNum(1),
        rcv_nxt: SeqNum(2),
        ts_recent: None,
    };

    #[test]
    fn a_new_incarnation_is_known_by_timestamp_or_sequence_number() {
        let (before, after) = (OLD.rcv_nxt - 1, OLD.rcv_nxt);
        // Old timestamp, new timestamp, then the verdicts on an older and a newer sequence number.
        for (recent, val, verdicts) in [
            (None, None, [false, true]),
            (None, Some(7), [true, true]),
            (Some(7), None, [false, true]),
            (Some(7), Some(7), [false, true]),
            (Some(7), Some(8), [true, true]),
            (Some(7), Some(6), [false, false]),
            (Some(7), Some(0x9000_0000), [false, false]),
        ] {
            let old = Old {
                ts_recent: recent,
                ..OLD
            };
            let got = [before, after].map(|seq| old.is_behind(seq, val));
            assert_eq!(got, verdicts, "{recent:?} {val:?}");
        }
    }

    #[test]
    fn timestamps_are_remembered_through_a_restart() {
        let mut waits = TimeWaits::new(vec![TimeWaitEntry::default(); 1].into());
        for ts_recent in [Some(u32::MAX), None] {
            let old = Old { ts_recent, ..OLD };
            let idx = waits.insert(1, old, Instant::ZERO).unwrap();
            waits.restart(idx, Instant::ZERO + Duration::from_millis(1));
            assert_eq!(waits.get(idx), Some(old));
            waits.remove(idx);
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    #[test]
    fn entries_go_in_order_of_time_and_places_are_used_again() {
        // Across the wrap of 32 bits of milliseconds, too.
        for start in [0, 4_294_950] {
            let mut waits = TimeWaits::new(vec![TimeWaitEntry::default(); 3].into());
            let first = waits.insert(11, OLD, at(start)).unwrap();
            let second = waits.insert(22, OLD, at(start + 10)).unwrap();
            let third = waits.insert(33, OLD, at(start + 20)).unwrap();
            assert_eq!(waits.insert(44, OLD, at(start + 20)), None, "full");
            waits.restart(first, at(start + 30));
            assert_eq!(waits.expired(at(start + 69)), None);
            assert!(waits.next_at(at(start + 69)).unwrap() >= at(start + 70));
            assert_eq!(waits.expired(at(start + 71)), Some(second));
            assert_eq!(waits.remove(second), Some(22));
            assert!(!waits.is(second, 22) && waits.is(third, 33));
            assert_eq!(waits.oldest(), Some(third));
            waits.remove(third);
            assert_eq!(waits.expired(at(start + 91)), Some(first));
            assert_eq!(waits.get(first), Some(OLD));
            waits.remove(first);
            assert_eq!((waits.len(), waits.next_at(at(start))), (0, None));
        }
    }
}
