//! When the device cuts super-segments so that they do not arrive: they are cut no more.
//!
//! ```text
//!   flight sent, with super-segments ──► watched ──► SND.UNA passes its end:
//!        nothing of it was sent again: it came through, as so many segments
//!        some of it was:               it did not, by so many segments
//! ```
//!
//! One flight at a time is watched, of the first connections. A wire that merely loses lets whole
//! flights through between those that it thins out; a device that forgets all but the first piece,
//! sums the last one wrongly or repeats a sequence number lets none through. So the device is given
//! up after [`CUT_FLIGHTS_LOST_MAX`] flights in a row that lacked [`CUT_SEGMENTS_LOST_MAX`]
//! segments in all, though those arrived when they were sent one by one; and it is trusted for good
//! when [`CUT_SEGMENTS_TRUSTED`] segments have come through in whole flights. Until then what is
//! lost is sent again a segment at a time, so that it does arrive.
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
    watched: Option<Watched>,
    /// Nothing is watched any more.
    is_trusted: bool,
    /// Segments of the flights that came through.
    whole_cnt: u32,
    /// Flights that did not, since the last that did, and segments that they lacked.
    lost_flights: u8,
    lost_cnt: u32,
}

/// A flight whose arrival is waited for.
#[derive(Debug)]
struct Watched {
    tuple: Tuple,
    start: SeqNum,
    end: SeqNum,
    smss: u16,
    /// Segments of it that were sent again.
    again_cnt: u32,
    since: Instant,
}

/// What had been sent before a look at what is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    max: SeqNum,
    super_segments: u64,
}

impl Cuts {
    /// Whether super-segments are beyond doubt: then what is lost may go again in one, too.
    #[inline]
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_trusted
    }
}

impl Net<'_> {
    /// Judges the watched flight, if it is of this connection, before something is sent; `None`
    /// when nothing is watched for.
    #[inline]
    pub(crate) fn before_cuts(&mut self, tuple: Tuple, snd: &Snd) -> Option<Before> {
        if self.super_len == 0 || self.cuts.is_trusted {
            return None;
        }
        self.judge_cuts(tuple, snd);
        Some(Before {
            max: snd.max,
            super_segments: self.counters.tcp_super_segments,
        })
    }

    /// Watches what was sent since, if there are super-segments in it and nothing else is watched.
    /// Not within a recovery: what overflows a queue once does so for a round trip.
    #[cold]
    pub(crate) fn after_cuts(&mut self, tuple: Tuple, snd: &Snd, before: Before, now: Instant) {
        let is_free = match &self.cuts.watched {
            Some(watched) => now.since(watched.since) >= CUT_WATCH_MAX,
            None => true,
        };
        let can = is_free && snd.phase == Phase::Open;
        if can && self.counters.tcp_super_segments > before.super_segments {
            self.cuts.watched = Some(Watched {
                tuple,
                start: before.max,
                end: snd.max,
                smss: snd.smss,
                again_cnt: 0,
                since: now,
            });
        }
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
    fn judge_cuts(&mut self, tuple: Tuple, snd: &Snd) {
        let is_over =
            |watched: &mut Watched| watched.tuple == tuple && !snd.una.before(watched.end);
        let Some(watched) = self.cuts.watched.take_if(is_over) else {
            return;
        };
        if watched.smss != snd.smss {
            // A narrow path has shown itself: that is why.
            return;
        }
        let cuts = &mut self.cuts;
        if watched.again_cnt == 0 {
            let len = watched.end.bytes_since(watched.start);
            let segments = len.div_ceil(u32::from(watched.smss).max(1));
            cuts.whole_cnt = cuts.whole_cnt.saturating_add(segments);
            (cuts.lost_flights, cuts.lost_cnt) = (0, 0);
            cuts.is_trusted = cuts.whole_cnt >= CUT_SEGMENTS_TRUSTED;
            return;
        }
        cuts.lost_flights = cuts.lost_flights.saturating_add(1);
        cuts.lost_cnt = cuts.lost_cnt.saturating_add(watched.again_cnt);
        if cuts.lost_flights >= CUT_FLIGHTS_LOST_MAX && cuts.lost_cnt >= CUT_SEGMENTS_LOST_MAX {
            self.super_len = 0;
            self.counters.segmentation_fallbacks += 1;
        }
    }
}
