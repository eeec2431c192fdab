//! What acknowledgments mean to congestion control, and how losses are found out and recovered from
//! (RFC 5681 3.2, RFC 6582, RFC 6937).

use super::Arrival;
use crate::tcp::cc::{Acked, Congestion};
use crate::tcp::flight::{Delivered, Progress, Prr};
use crate::tcp::snd::Phase;
use crate::time::Duration;
use crate::wire::tcp::Ctl;

impl<C: Congestion> Arrival<'_, '_, C> {
    /// SND.UNA has moved by `len` bytes of data.
    pub(super) fn recovered(&mut self, len: u32, delivered: &Delivered, rtt: Option<Duration>) {
        let tcb = &mut *self.tcb;
        tcb.snd.dupacks = 0;
        if tcb.snd.phase == Phase::Recovery {
            if tcb.snd.una.before(tcb.snd.recover) {
                return self.partially_acked(len, delivered);
            }
            // All that was in flight when the loss was seen has arrived: cwnd is where it should
            // be.
            tcb.snd.phase = Phase::Open;
        } else if len > 0 {
            let is_cwnd_limited = tcb.was_cwnd_limited(tcb.snd.una, len);
            let acked = Acked {
                len,
                flight_size: tcb.snd.flight_size(),
                una: tcb.snd.una,
                nxt: tcb.snd.nxt,
                rtt,
                srtt: tcb.rtt.srtt(),
                is_cwnd_limited,
                now: self.now,
            };
            // RFC 3168 6.1.2: who echoes a mark does not make room for more.
            if !(tcb.ecn.is_on() && self.seg.ctl.has(Ctl::ECE)) {
                tcb.cc.acked(tcb.snd.smss, &acked);
            }
            if !tcb.snd.una.before(tcb.snd.recover) {
                tcb.snd.phase = Phase::Open;
            }
        }
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            flight.dup_len = 0;
        }
    }

    // RFC 6582 3.2, step 5: a partial acknowledgment. The next hole begins right here.
    fn partially_acked(&mut self, len: u32, delivered: &Delivered) {
        let tcb = &mut *self.tcb;
        tcb.snd.is_rexmt_due = true;
        let smss = u32::from(tcb.snd.smss);
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            // Of what arrives now, duplicate acknowledgments have told all but the first segment.
            let told = flight.dup_len;
            flight.dup_len = told.saturating_sub(len.saturating_sub(smss));
            let least = smss.min(delivered.len);
            let delivered = delivered.len.saturating_sub(told).max(least);
            self.proportionally(delivered, false);
        }
    }

    /// A duplicate acknowledgment, of a far side without SACK.
    pub(super) fn duplicate(&mut self) {
        let tcb = &mut *self.tcb;
        let smss = u32::from(tcb.snd.smss);
        tcb.snd.dupacks = tcb.snd.dupacks.saturating_add(1);
        let (dupacks, phase) = (tcb.snd.dupacks, tcb.snd.phase);
        if phase == Phase::Loss {
            // RFC 6582 3.2, step 6: no fast retransmit for what is sent again now.
            return;
        }
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight)
            && (dupacks <= DUPACKS || phase == Phase::Recovery)
        {
            // One more segment has left the network: one more may go out (RFC 3042 2).
            flight.dup_len = flight.dup_len.saturating_add(smss);
        }
        if phase == Phase::Recovery {
            self.proportionally(smss, false);
        } else if dupacks == DUPACKS {
            tcb.snd.is_rexmt_due = true;
            self.enter_recovery(smss);
        }
    }

    /// A loss has been seen: cwnd is reduced once for all that is in flight now (RFC 5681 3.2).
    fn enter_recovery(&mut self, delivered: u32) {
        let tcb = &mut *self.tcb;
        let flight_size = tcb.snd.flight_size();
        tcb.snd.phase = Phase::Recovery;
        tcb.snd.recover = tcb.snd.max;
        tcb.lost(flight_size, self.now);
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            flight.prr = Prr::new(flight_size);
        }
        self.proportionally(delivered, false);
    }

    /// Says how much may go out for what has been delivered during the recovery (RFC 6937).
    fn proportionally(&mut self, delivered: u32, is_safe: bool) {
        let tcb = &mut *self.tcb;
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            let progress = Progress {
                delivered,
                pipe: flight.pipe(),
                ssthresh: tcb.cc.cwnd(),
                smss: tcb.snd.smss.into(),
                is_safe,
            };
            flight.prr.acked(progress);
        }
    }
}

/// Duplicate acknowledgments that mean a loss (RFC 5681 3.2).
const DUPACKS: u8 = 3;
