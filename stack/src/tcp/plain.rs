//! The fifth step of SEGMENT ARRIVES, for an acknowledgment of new data on a connection where
//! nothing is the matter: nearly every one that comes.
//! [`Arrival::acked`](super::input::Arrival) is the reference, of which this is what is left.

use super::bodies::Bodies;
use super::cc::{Acked, Congestion};
use super::flight::{Flight, Meter, Nodes, wrapped};
use super::seqnum::SeqNum;
use super::tcb::Tcb;
use crate::config::RTO_MAX;
use crate::time::{Duration, Instant};
use crate::wire::tcp::Timestamps;

impl<C: Congestion> Tcb<'_, C> {
    /// SND.UNA moves to `ack`, which lies behind it and not behind SND.MAX. The connection is
    /// established and has not closed, nothing is being recovered, and its flight is
    /// [untroubled](Flight::is_untroubled). The retransmission timer is the caller's to restart.
    #[inline(always)]
    pub(super) fn acked_plainly(
        &mut self,
        bodies: &mut Bodies<'_>,
        (flight, nodes): (&mut Flight, &mut Nodes<'_>),
        (ack, theirs): (SeqNum, Option<Timestamps>),
        now: Instant,
    ) {
        let len = ack.0.wrapping_sub(self.snd.una.0);
        bodies.acked(&mut self.snd.queue, len.into());
        let rtt_us = flight.acked_plainly(nodes, ack, wrapped(now), &mut self.reordering);
        let mut rtt = Some(Duration::from_micros(rtt_us.into()));
        if u64::from(rtt_us) > RTO_MAX.as_micros() {
            // The clock of the ranges has wrapped.
            rtt = theirs.and_then(|theirs| self.ts.rtt(theirs, now));
        }
        let una = self.snd.una;
        self.una_moves(flight, ack, rtt, now);
        self.una_moved(una, ack);
    }

    /// The same, of acknowledgments one behind the other.
    #[inline(never)]
    pub(super) fn acked_in_a_row(
        &mut self,
        bodies: &mut Bodies<'_>,
        (flight, nodes): (&mut Flight, &mut Nodes<'_>),
        acks: &[SeqNum],
        now: Instant,
    ) {
        let Some(&last) = acks.last() else {
            return;
        };
        let len = last.0.wrapping_sub(self.snd.una.0);
        bodies.acked(&mut self.snd.queue, len.into());
        let una = self.snd.una;
        // What the flight has been told of, and what that has measured.
        let (mut told, mut rtt_us, mut rtt) = (una, 0, None);
        for &ack in acks {
            if ack.after(told) {
                // All that are in one range are one step.
                told = ack.max(last.min(flight.first_end(nodes)));
                rtt_us = flight.acked_plainly(nodes, told, wrapped(now), &mut self.reordering);
                // What was sent once and has waited for longer would have been sent again.
                rtt = Some(Duration::from_micros(rtt_us.into())).filter(|rtt| *rtt <= RTO_MAX);
            }
            // One that ends a round trip begins the next.
            flight.rack.measured_again(rtt_us);
            self.una_moves(flight, ack, rtt, now);
        }
        self.una_moved(una, last);
    }

    /// What each acknowledgment counts for by itself: the estimator and congestion control.
    #[inline(always)]
    fn una_moves(&mut self, flight: &mut Flight, ack: SeqNum, rtt: Option<Duration>, now: Instant) {
        let una = self.snd.una;
        let len = ack.0.wrapping_sub(una.0);
        let is_round_over = flight.is_round_over(ack);
        if let Some(rtt) = rtt
            && (is_round_over || self.rtt.is_backed_off())
        {
            self.rtt.measured(rtt);
        }
        self.snd.una = ack;
        let is_cwnd_limited = self.was_cwnd_limited(ack, len);
        if !self.cc.noted(ack, self.snd.nxt, rtt, is_cwnd_limited) {
            self.grow(&mut flight.meter, len, rtt, (is_cwnd_limited, now));
        }
    }

    #[inline(always)]
    fn una_moved(&mut self, from: SeqNum, ack: SeqNum) {
        self.totals.una_moved(from, ack, self.iss);
        self.snd.nxt = self.snd.nxt.max(ack);
        self.snd.dupacks = 0;
        self.retransmits = 0;
    }

    /// Tells congestion control.
    #[inline(never)]
    fn grow(
        &mut self,
        meter: &mut Meter,
        len: u32,
        rtt: Option<Duration>,
        (is_cwnd_limited, now): (bool, Instant),
    ) {
        if self.cc.wants_rounds() {
            meter.delivered(len);
        }
        let acked = self.acked_under(is_cwnd_limited, Some(meter), len, rtt, now);
        self.cc.acked(self.snd.smss, &acked);
    }

    /// What congestion control is told of `len` bytes that were acknowledged just now.
    #[inline]
    pub(crate) fn acked_of(
        &mut self,
        meter: Option<&mut Meter>,
        len: u32,
        rtt: Option<Duration>,
        now: Instant,
    ) -> Acked {
        let is_cwnd_limited = self.was_cwnd_limited(self.snd.una, len);
        self.acked_under(is_cwnd_limited, meter, len, rtt, now)
    }

    /// The same, where it is known whether the congestion window was what held it back.
    #[inline]
    pub(crate) fn acked_under(
        &mut self,
        is_cwnd_limited: bool,
        meter: Option<&mut Meter>,
        len: u32,
        rtt: Option<Duration>,
        now: Instant,
    ) -> Acked {
        let srtt = self.rtt.srtt();
        let meter = meter.filter(|_| self.cc.wants_rounds());
        let round = meter.and_then(|meter| meter.acked(wrapped(now), (rtt, srtt), is_cwnd_limited));
        Acked {
            len,
            flight_size: self.snd.flight_size(),
            una: self.snd.una,
            nxt: self.snd.nxt,
            rtt,
            srtt,
            is_cwnd_limited,
            round,
            now,
        }
    }
}
