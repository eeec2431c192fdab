//! The seventh and eighth steps of SEGMENT ARRIVES: text and FIN (RFC 9293 3.10.7.4).

use simoom_ring::RxPacket;

use super::Arrival;
use crate::config::{DELAYED_ACK, RTT_UNKNOWN};
use crate::counters::DropReason;
use crate::tcp::cc::Congestion;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::TcbFlags;
use crate::tcp::rcv::Kept;
use crate::tcp::state::{Event, State};
use crate::time::Duration;
use crate::wire::tcp::Ctl;

impl<'p, C: Congestion> Arrival<'_, 'p, C> {
    /// Both steps. What cannot be kept of a segment is counted once, in however many frames the
    /// text came, and with the FIN behind it.
    #[inline]
    pub(super) fn text_and_fin(&mut self, pkt: RxPacket<'p>) {
        let text = self.seventh_text(pkt);
        let fin = self.eighth_fin();
        if let Some(reason) = text.or(fin) {
            self.counters.drop(reason);
        }
    }

    // RFC 9293 3.10.7.4, seventh: the segment text.
    #[inline]
    fn seventh_text(&mut self, mut pkt: RxPacket<'p>) -> Option<DropReason> {
        // In SYN-RECEIVED, the text of a SYN that opens fast (RFC 7413 4.2.2).
        let state = self.tcb.state();
        let is_wanted = state.can_receive() || state == State::SynReceived;
        if self.seg.payload_len == 0 || !is_wanted {
            return None;
        }
        if state == State::FinWait2 {
            // Nothing of ours is in flight: what runs is the end of FIN-WAIT-2, and who sends is
            // not gone.
            self.tcb.rexmt_at = Deadline::NEVER;
        }
        self.tcb.ecn_text(&self.seg, self.counters);
        self.measure(pkt.gso_size);
        let (rcv, mut seq) = (&mut self.tcb.rcv, self.seg.seq);
        let edge = rcv.adv;
        // RFC 5681 4.2: what comes behind a gap or fills one is acknowledged at once, as is what
        // has come before (RFC 2883 4).
        let mut is_plain = !rcv.gap.is_some() && !seq.before(rcv.nxt);
        let mut dropped = None;
        let mut next = Some(pkt.frame);
        while let Some(mut frame) = next {
            let end = seq + frame.len() as u32;
            // What is old or beyond the window is cut off.
            frame.trim(edge.bytes_since(seq) as usize);
            is_plain &= !end.after(edge);
            if !frame.is_empty() && end.after(rcv.nxt) {
                match rcv.keep(frame, seq, self.gaps, self.budget) {
                    Kept::InOrder => self.outcome.has_received = true,
                    Kept::OutOfOrder => is_plain = false,
                    Kept::Dropped(reason) => dropped = Some(reason),
                }
            }
            seq = end;
            next = pkt.rest.pop_front();
        }
        if !is_plain || dropped.is_some() {
            self.tcb.flags.set(TcbFlags::ACK_DUE);
        }
        self.acknowledge_later();
        dropped
    }

    /// What the segment says of its sender: how long its segments are, whether it begins anew, and
    /// how much it sends in a round-trip time.
    pub(super) fn measure(&mut self, gso_size: u16) {
        let Self { tcb, seg, now, .. } = self;
        // A large receive says what it was made of.
        let len = match gso_size {
            0 => u16::try_from(seg.payload_len).unwrap_or(u16::MAX),
            gso_size => gso_size,
        };
        let len = len.min(self.budget.rmss);
        tcb.rcv.learn_full_len(len, seg.ctl.has(Ctl::PSH));
        let rtt = match (tcb.rtt.srtt(), self.options.timestamps) {
            // Nothing of ours has been timed: an echo of our last acknowledgment will do.
            (Duration::ZERO, Some(theirs)) => tcb.ts.rtt(theirs, *now).unwrap_or(RTT_UNKNOWN),
            (Duration::ZERO, None) => RTT_UNKNOWN,
            (srtt, _) => srtt,
        };
        let is_quiet = tcb.rcv.measure(*now, rtt, tcb.rtt.rto(), self.budget);
        if is_quiet {
            tcb.rcv.quick_acks = self.quick_acks;
        }
    }

    /// An acknowledgment for every second full segment, or after a while (RFC 9293 3.8.6.3); for
    /// each of the first ones, while the far side is in slow start (RFC 5681 3.1 grows its window
    /// with each).
    pub(super) fn acknowledge_later(&mut self) {
        let tcb = &mut *self.tcb;
        let unacked_len = tcb.rcv.nxt.bytes_since(tcb.ts.last_ack_sent());
        if tcb.rcv.quick_acks > 0 {
            tcb.rcv.quick_acks -= 1;
            tcb.flags.set(TcbFlags::ACK_DUE);
        } else if unacked_len >= 2 * u32::from(tcb.rcv.full_len) {
            tcb.flags.set(TcbFlags::ACK_DUE);
        } else {
            tcb.delack_at = tcb.delack_at.min(Deadline::at(self.now + DELAYED_ACK));
        }
    }

    // RFC 9293 3.10.7.4, eighth: check the FIN bit.
    #[inline]
    fn eighth_fin(&mut self) -> Option<DropReason> {
        let has_fin = self.seg.ctl.has(Ctl::FIN);
        if !has_fin && !self.tcb.rcv.gap.is_some() {
            return None;
        }
        let tcb = &mut *self.tcb;
        let is_awaited = matches!(
            tcb.state(),
            State::SynReceived | State::Established | State::FinWait1 | State::FinWait2
        );
        let fin = self.seg.seq + self.seg.payload_len;
        if has_fin {
            tcb.flags.set(TcbFlags::ACK_DUE);
        }
        let is_next = (has_fin && fin == tcb.rcv.nxt) || self.gaps.is_fin(tcb.rcv.gap, tcb.rcv.nxt);
        if !is_awaited {
            return None;
        }
        if is_next {
            // There is nothing behind it.
            self.gaps.release(&mut tcb.rcv.gap);
            tcb.rcv.nxt += 1;
            tcb.transition(Event::FinArrives);
            self.outcome.has_received = true;
        } else if has_fin && fin.after(tcb.rcv.nxt) && !fin.after(tcb.rcv.adv) {
            // Behind a gap it is remembered, as text is.
            let is_kept = self.gaps.keep_fin(&mut tcb.rcv.gap, fin);
            return (!is_kept).then_some(DropReason::TcpGapsFull);
        }
        None
    }
}
