//! The fifth step of SEGMENT ARRIVES: what an acknowledgment moves (RFC 9293 3.10.7.4).

use super::{Arrival, Step, Stop, reset_for};
use crate::counters::DropReason;
use crate::tcp::cc::{Congestion, Signal};
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::flight::{Flight, Told};
use crate::tcp::recovery::{News, Recovery};
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::tcp::snd::Phase;
use crate::tcp::state::{Event, State};
use crate::wire::tcp::{Ctl, SackBlock};

impl<C: Congestion> Arrival<'_, '_, C> {
    // RFC 9293 3.10.7.4, fifth: check the ACK field (with RFC 5961 5.2).
    #[inline]
    pub(super) fn fifth_ack(&mut self) -> Step {
        let Some(ack) = self.seg.ack else {
            return Err(Stop::Drop(DropReason::TcpNoAck));
        };
        let is_opening = self.tcb.opening.is_unacked();
        if is_opening {
            self.fifth_ack_of_fast_open(ack)?;
        } else if self.tcb.state() == State::SynReceived {
            return self.fifth_ack_of_syn(ack);
        }
        let snd = &self.tcb.snd;
        if ack.after(snd.max) || ack.before(snd.una - snd.wnd_max.0) {
            return Err(Stop::Challenge(DropReason::TcpBadAck));
        }
        self.tcb.ecn_ack(&self.seg, self.now, self.counters);
        let is_fin_acked = self.tcb.snd.is_fin_acked_by(ack);
        // What answers our SYN-ACK repeats nothing.
        self.acked(ack, !is_opening);
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
        self.acked(ack, false);
        self.update_window(ack);
        self.tcb.transition(Event::AckOfSyn);
        self.established();
        Ok(())
    }

    /// The connection is established; a close that waited for it happens now.
    pub(super) fn established(&mut self) {
        self.outcome.is_established = true;
        if self.tcb.snd.has_fin() {
            self.tcb.transition(Event::Close);
        }
    }

    /// What an acceptable acknowledgment says of what is in flight; `can_repeat` is whether it can
    /// be a duplicate.
    pub(super) fn acked(&mut self, ack: SeqNum, can_repeat: bool) {
        let tcb = &*self.tcb;
        let has_moved = ack.after(tcb.snd.una);
        let has_blocks = tcb.is_sack_permitted() && !self.options.sack.is_empty();
        let is_duplicate = can_repeat && !has_moved && self.is_duplicate(ack);
        let tcb = &mut *self.tcb;
        if !has_moved && !has_blocks && !is_duplicate {
            // RFC 8985 7.4.2: both copies of what the last probe sent have arrived, of a far side
            // that does not report duplicates.
            if ack == tcb.snd.una && self.seg.is_empty() {
                tcb.flags.clear(TcbFlags::PROBE_OPEN);
            }
            return;
        }
        let mut news = News {
            has_moved,
            has_blocks,
            is_duplicate,
            is_mark_echoed: tcb.ecn.is_on() && self.seg.ctl.has(Ctl::ECE),
            ..News::default()
        };
        // What is echoed tells of what was sent again, if anything was.
        let is_plain = |(flight, _): (&Flight, _)| flight.ranges.is_plain();
        let is_plain = self.flights.get(tcb.flight).is_some_and(is_plain);
        let theirs = self.options.timestamps.filter(|_| !is_plain);
        let echoed_by = theirs.and_then(|theirs| tcb.ts.echoed_by(theirs, self.now));
        let mut reordering = tcb.reordering;
        let mut told = Told::new(self.now, echoed_by, tcb.snd.recover, &mut reordering);
        if has_moved {
            self.move_una(ack, &mut told, &mut news);
        }
        if has_blocks {
            self.selectively_acked(ack, &mut told);
        }
        news.take(&told);
        self.tcb.reordering = reordering;
        Recovery {
            tcb: self.tcb,
            flights: self.flights,
            counters: self.counters,
            now: self.now,
        }
        .acknowledged(&news);
        if has_moved {
            self.tcb.set_rexmt(self.now, true);
            self.outcome.has_room = true;
        }
    }

    #[cold]
    fn selectively_acked(&mut self, ack: SeqNum, told: &mut Told<'_>) {
        let tcb = &mut *self.tcb;
        let oldest = tcb.snd.una - tcb.snd.wnd_max.0;
        let blocks = self.options.sack.as_slice();
        match self.flights.get_mut(tcb.flight) {
            Some((flight, nodes)) => flight.sacked(nodes, blocks, (ack, oldest), told),
            // Both copies of what the last probe sent have arrived (RFC 8985 7.4.2).
            None => {
                let is_end = |block: &SackBlock| block.right == tcb.snd.una;
                if blocks.first().is_some_and(is_end) {
                    tcb.flags.clear(TcbFlags::PROBE_OPEN);
                }
            }
        }
    }

    /// SND.UNA moves to `ack`: what lies before it is forgotten.
    fn move_una(&mut self, ack: SeqNum, told: &mut Told<'_>, news: &mut News) {
        let now = self.now;
        let tcb = &mut *self.tcb;
        let syn = u32::from(tcb.is_syn_unacked());
        let len = ack.bytes_since(tcb.snd.una);
        let data_len = u64::from(len - syn.min(len));
        // The FIN is behind the whole queue: asked before that becomes shorter.
        let is_fin_acked = tcb.snd.has_fin() && data_len > tcb.snd.queue.len();
        self.bodies.acked(&mut tcb.snd.queue, data_len);
        let (mut is_round_over, mut is_timed) = (true, tcb.ts.is_on());
        if let Some((flight, nodes)) = self.flights.get_mut(tcb.flight) {
            flight.acked(nodes, ack, told);
            is_round_over = flight.is_round_over(ack);
            is_timed = true;
        }
        let mut rtt = told.rtt();
        news.is_ambiguous = told.is_answer_ambiguous(tcb.rtt.least_plausible());
        if syn > 0 {
            // An echo would measure their timer of the SYN-ACK, too.
            if tcb.retransmits > 0 {
                tcb.rtt.syn_timed_out();
            }
            tcb.rtt.forward();
            if tcb.retransmits > 1 {
                tcb.cc.signalled(tcb.snd.smss, Signal::SynTimeouts, 0, now);
            }
        } else if rtt.is_none() && !news.is_ambiguous {
            // Something was sent again: an echo tells what is answered (RFC 6298 3).
            let echoed = |seg| tcb.ts.rtt(seg, now);
            rtt = self.options.timestamps.and_then(echoed);
        }
        match rtt {
            Some(rtt) if is_round_over || tcb.rtt.is_backed_off() => tcb.rtt.measured(rtt),
            // Nothing will ever be measured: that something arrives must do.
            None if !is_timed => tcb.rtt.forward(),
            _ => {}
        }
        if is_fin_acked {
            // The FIN is not in the queue: it is done with, too.
            tcb.snd.flags.clear(SndFlags::HAS_FIN);
        }
        tcb.totals.una_moved(tcb.snd.una, ack, tcb.iss);
        tcb.snd.una = ack;
        tcb.snd.nxt = tcb.snd.nxt.max(ack);
        // What was to be sent again has arrived.
        tcb.snd.flags.clear(SndFlags::REXMT_DUE);
        tcb.retransmits = 0;
        news.len = len - syn.min(len);
        news.rtt = rtt;
    }

    /// A duplicate acknowledgment as RFC 5681 2 defines it; the answer to a probe is none. After a
    /// timeout, a change of the window is none the less an answer to what was sent then: F-RTO must
    /// not wait for another.
    #[inline]
    pub(super) fn is_duplicate(&self, ack: SeqNum) -> bool {
        let snd = &self.tcb.snd;
        ack == snd.una
            && snd.una != snd.max
            && snd.wnd.0 != 0
            && self.seg.is_empty()
            && (self.seg.wnd.scaled(snd.wscale) == snd.wnd || snd.phase == Phase::Loss)
    }

    /// SND.WND, unless the segment is older than the one that set it last.
    #[inline]
    pub(super) fn update_window(&mut self, ack: SeqNum) {
        let seq = self.seg.seq;
        // The window of a SYN is not scaled.
        let is_syn = self.tcb.state() == State::SynSent;
        let snd = &mut self.tcb.snd;
        // SND.WL2 was an acknowledgment that we have taken, so that SND.UNA has reached it: what is
        // not before SND.UNA is not before SND.WL2.
        let is_newer = !snd.wl1.after(seq);
        if ack.before(snd.una) || !(is_newer || snd.wnd_max.0 == 0) {
            return;
        }
        let scale = if is_syn { WndScale::ZERO } else { snd.wscale };
        let wnd = self.seg.wnd.scaled(scale);
        let was_closed = snd.wnd.0 == 0;
        snd.wnd = wnd;
        snd.wnd_max = snd.wnd_max.max(wnd);
        snd.wl1 = seq;
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
