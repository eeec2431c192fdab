//! The steps of SEGMENT ARRIVES for a connection that was opened fast, as long as its SYN-ACK is
//! not acknowledged (RFC 7413 4.2.2).

use simoom_ring::RxPacket;

use super::{Arrival, Step, Stop, reset_for};
use crate::counters::DropReason;
use crate::tcp::cc::{Congestion, Signal};
use crate::tcp::ecn::{self, Ecn};
use crate::tcp::fast_open::opening::Opening;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::Phase;
use crate::tcp::state::{Event, State};
use crate::time::Duration;
use crate::wire::tcp::Ctl;

impl<'p, C: Congestion> Arrival<'_, 'p, C> {
    /// A segment before our SYN-ACK is known to have arrived.
    #[cold]
    pub(super) fn opening(&mut self, pkt: RxPacket<'p>) -> Step {
        let is_syn = self.seg.ctl.has(Ctl::SYN) && self.seg.ack.is_none();
        if !is_syn || self.seg.ctl.has(Ctl::RST) || self.seg.seq != self.tcb.irs {
            return self.otherwise(pkt);
        }
        let tcb = &mut *self.tcb;
        tcb.opening.set_due();
        if tcb.opening.take_new() {
            // Its text begins behind it, and is taken as any other.
            self.seg.seq += 1;
            self.seg.ctl = self.seg.ctl.without(Ctl::SYN);
            self.outcome.is_established = true;
            self.text_and_fin(pkt);
            return Ok(());
        }
        // The SYN again: ours was lost, or is late. What it carries has been taken.
        if let Some(theirs) = self.options.timestamps {
            tcb.ts.update(theirs, self.seg.seq, self.now);
        }
        // RFC 3168 6.1.1: who has given up asking once is not answered with it.
        tcb.ecn = Ecn::agreed(tcb.ecn.is_on() && ecn::asks(&self.seg));
        Ok(())
    }

    // RFC 9293 3.10.7.4, fifth: SYN-RECEIVED, whatever the state is called by now.
    #[cold]
    pub(super) fn fifth_ack_of_fast_open(&mut self, ack: SeqNum) -> Step {
        let tcb = &mut *self.tcb;
        if ack.before(tcb.snd.una) || ack.after(tcb.snd.max) {
            return Err(Stop::Refuse(DropReason::TcpBadAck, reset_for(&self.seg)));
        }
        let has_timed_out = tcb.retransmits > 0;
        let is_idle = tcb.snd.una == tcb.snd.max;
        if has_timed_out {
            tcb.rtt.syn_timed_out();
        } else if is_idle && tcb.opening.was_sent_once() {
            let waited_ms = self.now.wrapping_millis().wrapping_sub(tcb.snd.sent_ms);
            tcb.rtt.measured(Duration::from_millis(waited_ms.into()));
        }
        tcb.rtt.forward();
        tcb.retransmits = 0;
        tcb.opening = Opening::DONE;
        if tcb.state() == State::SynReceived {
            tcb.transition(Event::AckOfSyn);
        }
        if has_timed_out && !is_idle && ack == tcb.snd.una {
            // Without our SYN, what came behind it meant nothing to them: it is all sent again
            // (RFC 5681 3.1).
            let flight_size = tcb.snd.flight_size();
            tcb.cc
                .signalled(tcb.snd.smss, Signal::Timeout, flight_size, self.now);
            tcb.reduced();
            tcb.snd.recover = tcb.snd.max;
            tcb.snd.phase = Phase::Loss;
            tcb.send_again(self.flights);
        }
        tcb.set_rexmt(self.now, true);
        self.outcome.has_opened = true;
        self.outcome.has_room = true;
        Ok(())
    }
}
