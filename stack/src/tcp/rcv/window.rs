//! The receive window: how wide it is, when it grows, what is said of it.
//!
//! A window begins at 64 KiB. Where both sides scale, it doubles when what the application takes
//! in a round-trip time comes to half of it: then the sender is about to be held back by the
//! window, and the application keeps up. (Dynamic right-sizing, as the literature calls it, in
//! steps of two.) It stops at [`RCV_WND_SCALED_MAX`], and while frames are few
//! ([`budget`](crate::tcp::budget)).
//!
//! The right edge never moves to the left (RFC 9293 3.8.6, SHLD-14): each promise is kept, and is
//! rounded up where a scaled window cannot say it.

use super::Rcv;
use crate::config::{MSS_MIN, RCV_WND_MAX, RCV_WND_SCALED_MAX, RTO_MIN};
use crate::tcp::budget::Budget;
use crate::tcp::seqnum::{SeqNum, WireWnd, WndScale, WndSize};
use crate::time::{Duration, Instant};

impl<'p> Rcv<'p> {
    /// RCV.WND: what the far side may send.
    #[inline]
    pub(crate) fn wnd(&self) -> u32 {
        self.adv.bytes_since(self.nxt)
    }

    /// Rcv.Wind.Shift.
    #[inline]
    pub(crate) fn scale(&self) -> WndScale {
        self.wscale.unwrap_or(WndScale::ZERO)
    }

    /// Bytes that may be queued and promised together, as far as the connection goes.
    #[inline]
    pub(super) fn limit(&self) -> u32 {
        match self.scale() {
            WndScale::ZERO => RCV_WND_MAX,
            _ => (RCV_WND_MAX + 1) << self.growth,
        }
    }

    /// The window that could be advertised now: no more than the frames that exist can hold, never
    /// less than was promised, and not by little more where little is open (RFC 9293 3.8.6.2.2).
    #[inline]
    pub(crate) fn window(&self, budget: Budget<'p>) -> u32 {
        let promised = self.wnd();
        let open = self.limit().saturating_sub(self.queued_len(budget));
        if open <= promised {
            // Whatever the frames: all that it may be is promised.
            return promised;
        }
        let window = open.min(budget.promise_len()).max(promised);
        let is_little = window.saturating_sub(promised) < budget.rmss.into();
        // With much open, its sender fills segments whatever the edge.
        if is_little && window < RCV_WND_MAX / 2 {
            return promised;
        }
        window
    }

    /// Whether a new window is worth a segment of its own (RFC 9293 3.8.6.2.2): it has moved by
    /// two segments or by half of what there can be.
    #[inline]
    pub(crate) fn window_opened(&self, budget: Budget<'p>) -> bool {
        self.may_open(budget.rmss)
            && self.window(budget).saturating_sub(self.wnd()) >= worth_saying(budget.rmss)
    }

    /// Whether that may be, whatever the frames: more than its limit a window never is.
    #[inline]
    pub(crate) fn may_open(&self, rmss: u16) -> bool {
        self.limit().saturating_sub(self.wnd()) >= worth_saying(rmss)
    }

    /// The window for a header, from now on promised. That of a SYN is never scaled (RFC 7323 2.2).
    #[inline]
    pub(crate) fn advertise(&mut self, budget: Budget<'p>, is_syn: bool) -> WireWnd {
        if self.is_all_read() && !is_syn {
            // Nearly always: what was promised is all that it may be, or all that it may be can be
            // promised.
            let (limit, promised) = (self.limit(), self.wnd());
            let window = match promised < limit && limit <= budget.promise_len() {
                true => limit,
                false => promised,
            };
            let wire = WndSize(window).to_wire(self.scale());
            if window >= limit && wire.scaled(self.scale()) == WndSize(window) {
                self.adv = self.nxt + window;
                return wire;
            }
        }
        self.advertise_anew(budget, is_syn)
    }

    #[inline(never)]
    fn advertise_anew(&mut self, budget: Budget<'p>, is_syn: bool) -> WireWnd {
        let scale = if is_syn { WndScale::ZERO } else { self.scale() };
        let (window, promised) = (self.window(budget), self.wnd());
        let mut wire = WndSize(window).to_wire(scale);
        // RFC 7323 2.4: rounding down would take a little of the promise back, rounding up
        // promises a little more. A far side that makes use of that with every segment gets no
        // further than this.
        let limit = self.limit();
        let is_modest = self.queued_len(budget).saturating_add(promised) <= limit + limit / 16;
        if wire.scaled(scale).0 < promised && is_modest {
            wire = WireWnd(wire.0.saturating_add(1));
        }
        self.adv = self.adv.max(self.nxt + wire.scaled(scale).0);
        wire
    }

    /// Whether there is nothing to be seen by [`measure`](Self::measure) yet: it is less than a
    /// round-trip time ago, where that is known, that something was.
    #[inline]
    pub(crate) fn is_within_turn(&self, now: Instant, srtt: Duration) -> bool {
        let elapsed_us = (now.as_micros() as u32).wrapping_sub(self.turn_at);
        u64::from(elapsed_us) < srtt.as_micros()
    }

    /// Data comes in now, `rtt` after what it answers: looks at what was taken in the last
    /// round-trip time, and whether the window should be wider. True after a quiet time, as `rto`
    /// understands it: then all begins anew.
    #[inline]
    pub(crate) fn measure(
        &mut self,
        now: Instant,
        rtt: Duration,
        rto: impl FnOnce() -> Duration,
        budget: Budget<'p>,
    ) -> bool {
        let now = now.as_micros() as u32;
        let elapsed_us = now.wrapping_sub(self.turn_at);
        if u64::from(elapsed_us) < rtt.as_micros() {
            return false;
        }
        let taken_to = self.nxt - self.queued_len(budget);
        let taken = taken_to.bytes_since(self.turn_seq);
        self.turn_seq = taken_to;
        self.turn_at = now;
        // No timeout is shorter than the least, and in one round-trip time no more was taken than
        // in all of this.
        if elapsed_us <= QUIET_MIN_US && taken < self.limit() / 2 {
            return false;
        }
        self.turn_over((taken, elapsed_us), rtt, rto(), budget)
    }

    #[inline(never)]
    fn turn_over(
        &mut self,
        (taken, elapsed_us): (u32, u32),
        rtt: Duration,
        rto: Duration,
        budget: Budget<'p>,
    ) -> bool {
        let (taken, elapsed) = (u64::from(taken), u64::from(elapsed_us));
        if elapsed > (rtt + rto).as_micros() {
            return true;
        }
        // In one round-trip time, as far as it was longer.
        let a_turn = taken * rtt.as_micros() / elapsed.max(1);
        let limit = self.limit();
        if 2 * a_turn >= limit.into() && limit < self.limit_max(budget) && !budget.is_pressed() {
            self.growth += 1;
        }
        false
    }

    fn limit_max(&self, budget: Budget<'p>) -> u32 {
        match self.scale() {
            WndScale::ZERO => 0,
            scale => {
                let sayable = WireWnd(u16::MAX).scaled(scale).0;
                budget.window_max().min(sayable).min(RCV_WND_SCALED_MAX)
            }
        }
    }

    /// Begins to receive behind their SYN, at `nxt`.
    pub(crate) fn start(&mut self, nxt: SeqNum, now: Instant) {
        self.nxt = nxt;
        self.adv = nxt;
        self.turn_seq = nxt;
        self.turn_at = now.as_micros() as u32;
    }

    /// Learns how long their full segments are, as opposed to the last of a row (RFC 9293 3.8.6.3
    /// counts full ones, and theirs may be shorter than what we accept).
    #[inline]
    pub(crate) fn learn_full_len(&mut self, len: u16, is_pushed: bool) {
        if len > self.full_len || (!is_pushed && len < self.full_len) {
            self.full_len = len.max(MSS_MIN);
        }
    }

    #[inline]
    fn queued_len(&self, budget: Budget<'p>) -> u32 {
        u32::try_from(self.unread_len(budget.pool)).unwrap_or(u32::MAX)
    }
}

/// Bytes by which a window must have moved to be worth a segment of its own.
#[inline]
fn worth_saying(rmss: u16) -> u32 {
    (2 * u32::from(rmss)).min(RCV_WND_MAX / 2)
}

/// A pause of this many microseconds is not longer than a retransmission timeout.
const QUIET_MIN_US: u32 = RTO_MIN.as_micros() as u32;
