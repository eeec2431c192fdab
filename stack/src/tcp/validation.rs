//! Whether the congestion window is one that the path has borne: what was held back by it
//! (RFC 7661, RFC 9438 5.8), and idle time (RFC 5681 4.1).

use crate::config::RTO_MIN;
use crate::tcp::cc::{Congestion, Signal, initial_window};
use crate::tcp::flags::SndFlags;
use crate::tcp::flight::Flights;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;

impl<C: Congestion> Tcb<'_, C> {
    /// Something is about to be sent. After a retransmission timeout without sending, nothing is
    /// known of the path any more (RFC 5681 4.1).
    #[inline]
    pub(crate) fn restart_after_idle(&mut self, now: Instant) {
        if !self.may_restart(now) {
            return;
        }
        let (snd, idle_ms) = (&self.snd, self.idle_ms(now));
        if snd.una != snd.max || !snd.has_unsent() {
            return;
        }
        if idle_ms > self.rtt.rto().as_millis() {
            self.ecn.release();
            let signal = match self.snd.flags.has(SndFlags::LOST_EARLY) {
                true => Signal::IdleAfterLoss,
                false => Signal::Idle,
            };
            self.snd.flags.clear(SndFlags::LOST_EARLY);
            self.cc.signalled(self.snd.smss, signal, 0, now);
        }
    }

    /// Whether something was sent, and nothing for as long as the shortest timeout lasts: else
    /// there is nothing to restart.
    #[inline]
    pub(crate) fn may_restart(&self, now: Instant) -> bool {
        self.idle_ms(now) > RTO_MIN.as_millis() && self.snd.max != self.iss + 1
    }

    /// How long nothing was sent. A time that wraps every 49 days: after just that long, nothing is
    /// noticed.
    #[inline]
    fn idle_ms(&self, now: Instant) -> u64 {
        now.wrapping_millis().wrapping_sub(self.snd.sent_ms).into()
    }

    /// Something is lost. Remembers it of a window that was the first, or the first after idle
    /// time: one that has not doubled yet in slow start, with more than 4 KiB sent (RFC 6928 2).
    pub(crate) fn note_early_loss(&mut self) {
        let (cwnd, flight_size) = (self.cc.cwnd(), self.snd.flight_size());
        let is_first = cwnd < self.cc.ssthresh() && cwnd <= 2 * initial_window(self.snd.smss);
        if is_first && flight_size > EARLY_LOSS_LEN {
            self.snd.flags.set(SndFlags::LOST_EARLY);
        }
    }

    /// All that may be sent has been. Remembers whether it was the congestion window that ended it,
    /// and not the far side's, or the end of what there is.
    #[inline]
    pub(crate) fn note_cwnd_limit(&mut self, flights: &Flights<'_>) {
        let lost = flights
            .get(self.flight)
            .map_or(0, |(flight, _)| flight.ranges.lost_len());
        self.note_limit(self.usable_cwnd(), self.quota(flights), lost);
    }

    /// The same, of a connection of which is known how much may be in flight (`cwnd`), how much
    /// more may go out (`room`), and how much has to be sent again (`lost`).
    #[inline]
    pub(crate) fn note_limit(&mut self, cwnd: u32, room: u32, lost: u32) {
        let sent = self.snd.nxt.bytes_since(self.snd.una);
        let unsent = self.snd.queue.len().saturating_sub(sent.into()) + u64::from(lost);
        if cwnd < self.snd.wnd.0 && u64::from(room) < unsent.min(self.snd.smss.into()) {
            self.snd.limited = self.snd.nxt;
        }
    }

    /// Whether what `ack` newly acknowledges was sent up to the limit of the congestion window.
    #[inline]
    pub(crate) fn was_cwnd_limited(&mut self, ack: SeqNum, len: u32) -> bool {
        let is_limited = (ack - len).before(self.snd.limited);
        if !is_limited {
            // Sequence numbers come round again: what is far behind would be ahead one day.
            self.snd.limited = ack;
        }
        is_limited
    }
}

/// Of so many bytes in flight a loss says something of the initial window (RFC 6928 2).
const EARLY_LOSS_LEN: u32 = 4_096;
