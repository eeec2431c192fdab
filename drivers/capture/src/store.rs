//! The copies: places of equal length in memory given at start, first in, first out.

use crate::filter::{Filter, is_of_tcp_port};

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    Received,
    /// It was put on the transmit ring.
    Sent,
}

/// What is to be captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which packets.
    pub filter: Filter,
    /// Bytes that are kept of each at most.
    pub snap_len: u16,
    /// Segments of this TCP port are left out: those that carry the capture.
    pub without_tcp_port: u16,
}

/// What has happened since a capture began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed, those of the port that is left out not counted.
    pub seen: u64,
    /// Of these, those that the filter takes.
    pub taken: u64,
    /// Of these, those that found no place, and were not captured.
    pub overflowed: u64,
}

/// What is known of one copy. The embedder provides one for each.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    at_us: u64,
    frame_len: u32,
    copied_len: u16,
    direction: Direction,
    why: Option<&'static str>,
}

impl Slot {
    /// For a table that a store is made over.
    pub const EMPTY: Self = Self {
        at_us: 0,
        frame_len: 0,
        copied_len: 0,
        direction: Direction::Received,
        why: None,
    };
}

/// A packet that was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When, in microseconds of the stack's clock: the time of the poll that it passed in.
    pub at_us: u64,
    /// Bytes that the whole packet had, from the Ethernet header on.
    pub frame_len: u32,
    /// The first of them.
    pub bytes: &'a [u8],
    /// Which way it went.
    pub direction: Direction,
    /// Why it was dropped, or its answer was, if so.
    pub why: Option<&'static str>,
}

/// The packets of a capture that nobody has read yet, and whether there is a capture.
#[derive(Debug, Default)]
pub struct Store<'m> {
    bytes: &'m mut [u8],
    slots: &'m mut [Slot],
    wish: Option<Wish>,
    /// Bytes of each place, and how many places both slices have then.
    snap_len: usize,
    places: usize,
    first: usize,
    cnt: usize,
    /// The place of the packet that came in last, while it is there.
    last_received: Option<usize>,
    counts: Counts,
    now_us: u64,
}

impl<'m> Store<'m> {
    /// A store in memory that bounds what it keeps: no more packets than `slots`, no more bytes
    /// than `bytes`. Of no memory it never captures.
    pub fn new(bytes: &'m mut [u8], slots: &'m mut [Slot]) -> Self {
        Self {
            bytes,
            slots,
            ..Self::default()
        }
    }

    /// Begins to capture; false when there is no memory for a single packet. What there was of an
    /// earlier capture is forgotten.
    pub fn begin(&mut self, wish: Wish) -> bool {
        self.snap_len = usize::from(wish.snap_len.max(1));
        self.places = self.slots.len().min(self.bytes.len() / self.snap_len);
        self.wish = (self.places > 0).then_some(wish);
        (self.first, self.cnt, self.last_received) = (0, 0, None);
        self.counts = Counts::default();
        self.is_on()
    }

    /// Captures no more. What was captured can still be read.
    pub fn end(&mut self) {
        self.wish = None;
    }

    /// Whether packets are captured.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.wish.is_some()
    }

    /// What has happened since the capture began.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Packets that nobody has read yet.
    #[must_use]
    pub fn unread_cnt(&self) -> usize {
        self.cnt
    }

    /// The time of what passes from here on.
    pub(crate) fn set_now(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.last_received = None;
    }

    /// A packet of `frame_len` bytes passes, whose first piece is `head` and whose further ones
    /// `rest` shows.
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        frame_len: usize,
        head: &[u8],
        rest: impl FnOnce(&mut dyn FnMut(&[u8])),
    ) {
        let Some(wish) = self.wish else { return };
        if direction == Direction::Received {
            self.last_received = None;
        }
        if is_of_tcp_port(head, wish.without_tcp_port) {
            return;
        }
        self.counts.seen += 1;
        if !wish.filter.takes(head) {
            return;
        }
        self.counts.taken += 1;
        let idx = (self.first + self.cnt)
            .checked_rem(self.places)
            .unwrap_or(0);
        let start = idx * self.snap_len;
        let place = self.bytes.get_mut(start..start + self.snap_len);
        let (Some(place), Some(slot), true) =
            (place, self.slots.get_mut(idx), self.cnt < self.places)
        else {
            self.counts.overflowed += 1;
            return;
        };
        // Copied: the frame goes on at once, and whoever reads the capture may take his time.
        let mut copied_len = copy(place, 0, head);
        rest(&mut |piece| copied_len = copy(place, copied_len, piece));
        *slot = Slot {
            at_us: self.now_us,
            frame_len: u32::try_from(frame_len).unwrap_or(u32::MAX),
            // No more than `snap_len`, which is of 16 bits.
            copied_len: copied_len as u16,
            direction,
            why: None,
        };
        self.cnt += 1;
        if direction == Direction::Received {
            self.last_received = Some(idx);
        }
    }

    /// The packet that was pushed last did not pass after all.
    pub(crate) fn take_back(&mut self, counts: Counts, cnt: usize) {
        self.counts = counts;
        self.cnt = cnt;
    }

    /// The packet that came in last was dropped.
    pub(crate) fn dropped(&mut self, why: &'static str) {
        let last = self.last_received.and_then(|idx| self.slots.get_mut(idx));
        if let Some(slot) = last {
            slot.why = Some(why);
        }
    }

    /// The oldest packet that nobody has read.
    #[must_use]
    pub fn oldest(&self) -> Option<Packet<'_>> {
        let slot = self.slots.get(self.first).filter(|_| self.cnt > 0)?;
        let start = self.first * self.snap_len;
        let bytes = self
            .bytes
            .get(start..start + usize::from(slot.copied_len))?;
        Some(Packet {
            at_us: slot.at_us,
            frame_len: slot.frame_len,
            bytes,
            direction: slot.direction,
            why: slot.why,
        })
    }

    /// It has been read.
    pub fn forget_oldest(&mut self) {
        if self.cnt > 0 {
            self.first = (self.first + 1).checked_rem(self.places).unwrap_or(0);
            self.cnt -= 1;
            self.last_received = None;
        }
    }
}

/// Copies what fits of `piece` behind the first `len` bytes of `place`; how many there are then.
fn copy(place: &mut [u8], len: usize, piece: &[u8]) -> usize {
    let room = place.get_mut(len..).unwrap_or_default();
    let fits = room.len().min(piece.len());
    if let (Some(to), Some(from)) = (room.get_mut(..fits), piece.get(..fits)) {
        to.copy_from_slice(from);
    }
    len + fits
}

#[cfg(test)]
mod tests;
