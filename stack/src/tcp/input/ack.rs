//! The fifth step of SEGMENT ARRIVES: what an acknowledgment moves (RFC 9293 3.10.7.4).

use super::{Arrival, Step, Stop, reset_for};
use crate::counters::DropReason;
use crate::tcp::cc::{Acked, Congestion};
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::tcp::state::{Event, State};
use crate::time::{Duration, Instant};
use crate::wire::tcp::Ctl;

impl<C: Congestion> Arrival<'_, '_, C> {
    // RFC 9293 3.10.7.4, fifth: check the ACK field (with RFC 5961 5.2).
    #[inline]
    pub(super) fn fifth_ack(&mut self) -> Step {
        let Some(ack) = self.seg.ack else {
            return Err(Stop::Drop(DropReason::TcpNoAck));
        };
        if self.tcb.state() == State::SynReceived {
            return self.fifth_ack_of_syn(ack);
        }
        let snd = &self.tcb.snd;
        if ack.after(snd.max) || ack.before(snd.una - snd.wnd_max.0) {
            return Err(Stop::Challenge(DropReason::TcpBadAck));
        }
        self.tcb.ecn_ack(&self.seg, self.now, self.counters);
        let is_fin_acked = self.tcb.snd.is_fin_acked_by(ack);
        if ack.after(self.tcb.snd.una) {
            self.acked(ack);
        } else if self.is_duplicate(ack) {
            self.duplicate();
        }
        self.update_window(ack);
        if is_fin_acked {
            match self.tcb.state() {
                State::FinWait1 | State::Closing | State::LastAck => {
                    self.tcb.transition(Event::AckOfFin);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn fifth_ack_of_syn(&mut self, ack: SeqNum) -> Step {
        let snd = &self.tcb.snd;
        if !ack.after(snd.una) || ack.after(snd.max) {
            return Err(Stop::Refuse(DropReason::TcpBadAck, reset_for(&self.seg)));
        }
        self.acked(ack);
        self.update_window(ack);
        self.tcb.transition(Event::AckOfSyn);
        self.established();
        Ok(())
    }

    /// The connection is established; a close that waited for it happens now.
    pub(super) fn established(&mut self) {
        self.outcome.is_established = true;
        if self.tcb.snd.has_fin {
            self.tcb.transition(Event::Close);
        }
    }

    /// SND.UNA moves to `ack`: what lies before it is forgotten.
    pub(super) fn acked(&mut self, ack: SeqNum) {
        let now = self.now;
        let tcb = &mut *self.tcb;
        let syn = u32::from(tcb.is_syn_unacked());
        let len = ack.bytes_since(tcb.snd.una);
        let data_len = u64::from(len - syn.min(len));
        // The FIN is behind the whole queue: asked before that becomes shorter.
        let is_fin_acked = tcb.snd.has_fin && data_len > tcb.snd.queue.len();
        self.bodies.acked(&mut tcb.snd.queue, data_len);
        let mut rtt = None;
        if tcb.timed_at != Instant::NEVER && !ack.before(tcb.timed_seq) {
            rtt = Some(now.since(tcb.timed_at));
            tcb.timed_at = Instant::NEVER;
        }
        if syn > 0 {
            // An echo would measure their timer of the SYN-ACK, too.
            if tcb.retransmits > 0 {
                tcb.rtt.syn_timed_out();
            }
            tcb.rtt.forward();
        } else if rtt.is_none() && tcb.timed_at == Instant::NEVER {
            // Nothing is being timed after a retransmission: an echo is not ambiguous (RFC 7323 4).
            let echoed = |seg| tcb.ts.rtt(seg, now);
            rtt = self.options.timestamps.and_then(echoed);
        }
        if let Some(rtt) = rtt {
            tcb.rtt.measured(rtt);
        }
        if is_fin_acked {
            // The FIN is not in the queue: it is done with, too.
            tcb.snd.has_fin = false;
        }
        tcb.snd.una = ack;
        tcb.snd.nxt = tcb.snd.nxt.max(ack);
        // What was to be sent again has arrived.
        tcb.snd.is_rexmt_due = false;
        tcb.retransmits = 0;
        self.recovered(ack, len - syn.min(len), rtt);
        self.tcb.set_rexmt(now, true);
        self.outcome.has_room = true;
    }

    /// What an acknowledgment of new data means to congestion control (RFC 6582 3.2).
    pub(super) fn recovered(&mut self, ack: SeqNum, len: u32, rtt: Option<Duration>) {
        let tcb = &mut *self.tcb;
        let (flight_size, smss) = (tcb.snd.flight_size(), u32::from(tcb.snd.smss));
        tcb.snd.dupacks = 0;
        if !tcb.snd.is_recovering {
            // RFC 3168 6.1.2: who echoes a mark does not make room for more.
            let is_mark_echoed = tcb.ecn.is_on() && self.seg.ctl.has(Ctl::ECE);
            if len > 0 && !is_mark_echoed {
                let is_cwnd_limited = tcb.was_cwnd_limited(ack, len);
                let acked = Acked {
                    len,
                    flight_size,
                    una: ack,
                    nxt: tcb.snd.nxt,
                    rtt,
                    srtt: tcb.rtt.srtt(),
                    is_cwnd_limited,
                    now: self.now,
                };
                tcb.cc.acked(tcb.snd.smss, &acked);
            }
            return;
        }
        if ack.before(tcb.snd.recover) {
            // A partial acknowledgment: the next hole begins right here. Deflate by what was
            // acknowledged, add one segment back (step 5).
            tcb.snd.inflation = tcb.snd.inflation.saturating_sub(len);
            if len >= smss {
                tcb.snd.inflation = tcb.snd.inflation.saturating_add(smss);
            }
            tcb.snd.is_rexmt_due = true;
        } else {
            tcb.snd.inflation = 0;
            tcb.snd.is_recovering = false;
        }
    }

    /// A duplicate acknowledgment as RFC 5681 2 defines it; the answer to a probe is none.
    #[inline]
    pub(super) fn is_duplicate(&self, ack: SeqNum) -> bool {
        let snd = &self.tcb.snd;
        ack == snd.una
            && snd.una != snd.max
            && snd.wnd.0 != 0
            && self.seg.is_empty()
            && self.seg.wnd.scaled(snd.wscale) == snd.wnd
    }

    pub(super) fn duplicate(&mut self) {
        let snd = &mut self.tcb.snd;
        snd.dupacks = snd.dupacks.saturating_add(1);
        let (flight_size, smss) = (snd.flight_size(), u32::from(snd.smss));
        if snd.is_recovering {
            // One more segment has left the network.
            snd.inflation = snd.inflation.saturating_add(smss);
        } else if snd.dupacks == DUPACKS && !snd.una.before(snd.recover) {
            // RFC 6582 3.2, step 2: not for what an earlier timeout sent again.
            snd.recover = snd.max;
            snd.is_recovering = true;
            snd.is_rexmt_due = true;
            snd.inflation = 3 * smss;
            self.tcb.lost(flight_size, self.now);
        }
    }

    /// SND.WND, unless the segment is older than the one that set it last.
    #[inline]
    pub(super) fn update_window(&mut self, ack: SeqNum) {
        let seq = self.seg.seq;
        // The window of a SYN is not scaled.
        let is_syn = self.tcb.state() == State::SynSent;
        let snd = &mut self.tcb.snd;
        let is_newer = snd.wl1.before(seq) || (snd.wl1 == seq && !ack.before(snd.wl2));
        if ack.before(snd.una) || !(is_newer || snd.wnd_max.0 == 0) {
            return;
        }
        let scale = if is_syn { WndScale::ZERO } else { snd.wscale };
        let wnd = self.seg.wnd.scaled(scale);
        let was_closed = snd.wnd.0 == 0;
        snd.wnd = wnd;
        snd.wnd_max = snd.wnd_max.max(wnd);
        snd.wl1 = seq;
        snd.wl2 = ack;
        if was_closed {
            // A closed window that is answered is no dead peer (RFC 9293 3.8.6.1).
            self.tcb.retransmits = 0;
            if wnd.0 > 0 {
                // A probe may be in flight: what it carried goes with the rest.
                if snd.nxt.bytes_since(snd.una) <= 1 {
                    snd.nxt = snd.una;
                }
                self.tcb.rtt.forward();
                self.tcb.set_rexmt(self.now, true);
            }
        }
    }
}

/// Duplicate acknowledgments that mean a loss (RFC 5681 3.2).
const DUPACKS: u8 = 3;
