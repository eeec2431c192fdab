//! The fifth step of SEGMENT ARRIVES, for an acknowledgment of new data on a connection where
//! nothing is the matter: nearly every one that comes.
//! [`Arrival::acked`](super::input::Arrival) is the reference, of which this is what is left.

use super::bodies::Bodies;
use super::cc::Congestion;
use super::flight::{Flight, Nodes, wrapped};
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
        let una = self.snd.una;
        let len = ack.bytes_since(una);
        bodies.acked(&mut self.snd.queue, len.into());
        let rtt_us = flight.acked_plainly(nodes, ack, wrapped(now), &mut self.reordering);
        let is_round_over = flight.is_round_over(ack);
        let mut rtt = Some(Duration::from_micros(rtt_us.into()));
        if u64::from(rtt_us) > RTO_MAX.as_micros() {
            // The clock of the ranges has wrapped.
            rtt = theirs.and_then(|theirs| self.ts.rtt(theirs, now));
        }
        if let Some(rtt) = rtt
            && (is_round_over || self.rtt.is_backed_off())
        {
            self.rtt.measured(rtt);
        }
        self.totals.una_moved(una, ack, self.iss);
        self.snd.una = ack;
        self.snd.nxt = self.snd.nxt.max(ack);
        self.snd.dupacks = 0;
        self.retransmits = 0;
        if self.cc.wants_rounds() {
            flight.meter.delivered(len);
        }
        let acked = self.acked_of(Some(&mut flight.meter), len, rtt, now);
        self.cc.acked(self.snd.smss, &acked);
    }
}
