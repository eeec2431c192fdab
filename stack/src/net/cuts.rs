//! When the device cuts super-segments so that they do not arrive: they are cut no more.
//!
//! ```text
//!   flight sent, with super-segments in doubt ──► watched ──► SND.UNA passes its end:
//!        nothing of it was sent again: it came through, as so many segments
//!        some of it was:               it did not, by so many segments
//! ```
//!
//! Trust goes by length, for a device may cut short ones rightly and long ones not: beyond doubt
//! are super-segments no longer than one that has come through, once [`CUT_SEGMENTS_TRUSTED`]
//! segments have. One flight at a time is watched, if it has a longer one. A wire that merely loses
//! lets whole flights through between those that it thins out; a device that forgets all but the
//! first piece, sums the last one wrongly or repeats a sequence number lets none through. And where
//! a queue on the way is too short for a long burst, it is so however that was cut: after each
//! flight that did not come through, one as long goes in super-segments that are beyond doubt, and
//! nothing counts if that does not, either.
//!
//! ```text
//!   in doubt ── lost ──► control, cut shorter ── came through ──► in doubt ── lost ──► ...
//!                           └─ lost: it is the wire, count anew
//! ```
//!
//! So after [`CUT_FLIGHTS_LOST_MAX`] flights in a row that lacked [`CUT_SEGMENTS_LOST_MAX`]
//! segments in all, though those arrived when they were sent one by one, no super-segment is longer
//! any more than what has come through; if nothing has, there are none. What is lost is sent again
//! in super-segments only if these are beyond doubt, so that it does arrive.
//!
//! Whoever is the first to come can have super-segments switched off, by acknowledging nothing
//! until it is sent again. That costs time and nothing else, and is told.

use super::Net;
use crate::config::{
    CUT_FLIGHTS_LOST_MAX, CUT_SEGMENTS_LOST_MAX, CUT_SEGMENTS_TRUSTED, CUT_WATCH_MAX,
};
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::{Phase, Snd};
use crate::tcp::tuple::Tuple;
use crate::time::Instant;

/// What is known of how the device cuts.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// Something is in doubt: watched, just sent, or due for a control.
    is_in_doubt: bool,
    /// Payload bytes of super-segments that are beyond doubt, at most.
    trusted_len: u32,
    /// Payload bytes of the longest in doubt among those just sent; 0 for none.
    doubtful_len: u32,
    control: Option<Control>,
    watched: Option<Watched>,
    /// Segments of the flights that came through, and payload bytes of the longest super-segment.
    whole_cnt: u32,
    whole_len: u32,
    /// Flights that did not, since the last that did, and segments that they lacked.
    lost_flights: u8,
    lost_cnt: u32,
}

/// What is cut is beyond doubt until a long flight has shown what the wire does to it.
#[derive(Clone, Copy, Debug)]
struct Control {
    /// Bytes of the flight at least.
    len: u32,
    /// Payload bytes of a super-segment afterwards.
    super_len: u32,
}

/// A flight whose arrival is waited for.
#[derive(Debug)]
struct Watched {
    tuple: Tuple,
    start: SeqNum,
    end: SeqNum,
    smss: u16,
    /// Payload bytes of the longest super-segment in it that is in doubt; 0 in a control.
    doubtful_len: u32,
    /// Segments of it that were sent again.
    again_cnt: u32,
    since: Instant,
}

impl Cuts {
    /// Whether there is something to be judged or watched.
    #[inline]
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// Payload bytes of a super-segment that is beyond doubt, at most: what is lost may go again in
    /// such a one, too. 0 while all are in doubt.
    #[inline]
    pub(crate) fn trusted_len(&self) -> u32 {
        self.trusted_len
    }

    /// A super-segment of `payload_len` bytes goes out.
    #[inline]
    pub(crate) fn sent(&mut self, payload_len: u32) {
        if payload_len > self.trusted_len {
            self.is_in_doubt = true;
            self.doubtful_len = self.doubtful_len.max(payload_len);
        }
    }
}

impl Net<'_> {
    /// Judges the watched flight, if it is of this connection and over now that all before `ack`
    /// has arrived, before more is sent.
    #[inline]
    pub(crate) fn judge_cuts(&mut self, tuple: Tuple, snd: &Snd, ack: SeqNum) {
        if self.cuts.is_in_doubt {
            self.judge_watched(tuple, snd.smss, ack);
        }
    }

    /// Watches what was sent from `start` on, if a super-segment in it is in doubt, or it is a
    /// control.
    #[inline]
    pub(crate) fn watch_cuts(&mut self, tuple: Tuple, snd: &Snd, start: SeqNum, now: Instant) {
        if self.cuts.is_in_doubt {
            self.watch(tuple, snd, start, now);
        }
    }

    /// Watches, if nothing else is watched. Not within a recovery: what overflows a queue once does
    /// so for a round trip.
    #[cold]
    fn watch(&mut self, tuple: Tuple, snd: &Snd, start: SeqNum, now: Instant) {
        let cuts = &mut self.cuts;
        let doubtful_len = core::mem::take(&mut cuts.doubtful_len);
        let is_free = match &cuts.watched {
            Some(watched) => now.since(watched.since) >= CUT_WATCH_MAX,
            None => true,
        };
        let is_wanted = match cuts.control {
            Some(control) => snd.max.bytes_since(start) >= control.len,
            None => doubtful_len > 0,
        };
        if is_free && is_wanted && snd.phase == Phase::Open {
            cuts.watched = Some(Watched {
                tuple,
                start,
                end: snd.max,
                smss: snd.smss,
                doubtful_len,
                again_cnt: 0,
                since: now,
            });
        }
        cuts.is_in_doubt = cuts.watched.is_some() || cuts.control.is_some();
    }

    /// A segment has been sent again, of sequence space that begins at `seq`.
    #[cold]
    pub(crate) fn sent_cut_again(&mut self, tuple: Tuple, seq: SeqNum) {
        if let Some(watched) = &mut self.cuts.watched
            && watched.tuple == tuple
            && !seq.before(watched.start)
            && seq.before(watched.end)
        {
            watched.again_cnt = watched.again_cnt.saturating_add(1);
        }
    }

    #[cold]
    fn judge_watched(&mut self, tuple: Tuple, smss: u16, ack: SeqNum) {
        let is_over = |watched: &mut Watched| watched.tuple == tuple && !ack.before(watched.end);
        let Some(watched) = self.cuts.watched.take_if(is_over) else {
            return;
        };
        if watched.smss != smss {
            // A narrow path has shown itself: that is why.
            return;
        }
        let cuts = &mut self.cuts;
        match (cuts.control.take(), watched.again_cnt) {
            (Some(control), again_cnt) => {
                self.super_len = control.super_len;
                if again_cnt > 0 {
                    (cuts.lost_flights, cuts.lost_cnt) = (0, 0);
                }
            }
            (None, 0) => cuts.came_through(&watched),
            (None, again_cnt) => self.lost_cut_flight(watched.doubtful_len, again_cnt),
        }
    }

    /// A flight lacked so many segments.
    fn lost_cut_flight(&mut self, doubtful_len: u32, again_cnt: u32) {
        let cuts = &mut self.cuts;
        cuts.lost_flights = cuts.lost_flights.saturating_add(1);
        cuts.lost_cnt = cuts.lost_cnt.saturating_add(again_cnt);
        if cuts.lost_flights >= CUT_FLIGHTS_LOST_MAX && cuts.lost_cnt >= CUT_SEGMENTS_LOST_MAX {
            // Shorter ones may be in doubt still: these are watched on.
            (cuts.lost_flights, cuts.lost_cnt) = (0, 0);
            self.super_len = cuts.whole_len;
            self.counters.segmentation_fallbacks += 1;
        } else if cuts.trusted_len > 0 {
            cuts.control = Some(Control {
                len: doubtful_len,
                super_len: self.super_len,
            });
            self.super_len = cuts.trusted_len;
        }
    }
}

impl Cuts {
    /// A flight has arrived as it was cut.
    fn came_through(&mut self, watched: &Watched) {
        let len = watched.end.bytes_since(watched.start);
        let segments = len.div_ceil(u32::from(watched.smss).max(1));
        self.whole_cnt = self.whole_cnt.saturating_add(segments);
        self.whole_len = self.whole_len.max(watched.doubtful_len);
        (self.lost_flights, self.lost_cnt) = (0, 0);
        if self.whole_cnt >= CUT_SEGMENTS_TRUSTED {
            self.trusted_len = self.whole_len;
        }
    }
}
