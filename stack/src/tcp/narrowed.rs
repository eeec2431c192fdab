//! Connections whose segments have become smaller, and when they may be as large as before.
//!
//! A path that was found to be narrow, by a router's word or by silence, may be wide again later;
//! and what looked like a black hole may have been an outage of seconds. So a connection goes back
//! to its larger segments after [`PATH_MTU_AGE`], which is what RFC 1191 6.3 and RFC 4821 7.3
//! suggest. The next segments are the probe: on a path that is narrow still, a router says so
//! again, or timeouts do, once in that time.

use heapless::Vec;

use super::cc::Congestion;
use super::flags::SndFlags;
use super::snd::Phase;
use super::tcb::Tcb;
use super::tuple::Tuple;
use crate::config::{NARROWED_MAX, PATH_MTU_AGE};
use crate::time::Instant;

/// The connections that were narrowed last. One that has no place stays narrow.
#[derive(Debug, Default)]
pub(crate) struct Narrowed {
    entries: Vec<Entry, NARROWED_MAX>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tuple: Tuple,
    /// SMSS before.
    smss: u16,
    until: Instant,
}

impl Narrowed {
    /// Segments of a connection had `smss` bytes until now. Of several times the largest counts,
    /// and the last time.
    pub(crate) fn remember<C: Congestion>(
        &mut self,
        tcb: &mut Tcb<'_, C>,
        smss: u16,
        now: Instant,
    ) {
        if tcb.snd.smss >= smss {
            return;
        }
        let before = self.place(tcb.tuple).map(|at| self.entries.remove(at));
        if self.entries.is_full() {
            // Oldest first.
            self.entries.remove(0);
        }
        let known = before.filter(|_| tcb.snd.flags.has(SndFlags::NARROWED));
        let _has_room = self.entries.push(Entry {
            tuple: tcb.tuple,
            smss: known.map_or(smss, |entry| entry.smss.max(smss)),
            until: now + PATH_MTU_AGE,
        });
        tcb.snd.flags.set(SndFlags::NARROWED);
    }

    /// Lets the segments of a connection be as large as before, if it is time, and nothing else is
    /// the matter.
    #[cold]
    pub(crate) fn widen<C: Congestion>(&mut self, tcb: &mut Tcb<'_, C>, now: Instant) {
        if tcb.snd.phase != Phase::Open || tcb.retransmits > 0 {
            return;
        }
        let Some(at) = self.place(tcb.tuple) else {
            return tcb.snd.flags.clear(SndFlags::NARROWED);
        };
        if self.entries.get(at).is_some_and(|entry| entry.until <= now) {
            // RFC 4821 4: the congestion window stays what it is in bytes.
            tcb.snd.smss = tcb.snd.smss.max(self.entries.remove(at).smss);
            tcb.snd.flags.clear(SndFlags::NARROWED);
        }
    }

    fn place(&self, tuple: Tuple) -> Option<usize> {
        self.entries.iter().position(|entry| entry.tuple == tuple)
    }
}
