//! The seventh and eighth steps of SEGMENT ARRIVES: text and FIN (RFC 9293 3.10.7.4).

use simoom_ring::RxPacket;

use super::Arrival;
use crate::config::{BURST_ACK_MAX, DELAYED_ACK, RTT_UNKNOWN};
use crate::counters::DropReason;
use crate::tcp::budget::Budget;
use crate::tcp::cc::Congestion;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::TcbFlags;
use crate::tcp::kept::Kept;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{Ctl, Timestamps};

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
        self.tcb.measure(Text {
            len: self.seg.payload_len,
            gso_size: pkt.gso_size,
            is_pushed: self.seg.ctl.has(Ctl::PSH),
            timestamps: self.options.timestamps,
            quick_acks: self.quick_acks,
            budget: self.budget,
            now: self.now,
        });
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
        self.outcome.is_ack_urgent = self.tcb.acknowledge_later(self.now);
        dropped
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

/// The text of a segment, as far as it says something of who sends it.
pub(crate) struct Text<'p> {
    /// Bytes.
    pub(crate) len: u32,
    /// Bytes of each of the segments that it was made of, if it was made of several.
    pub(crate) gso_size: u16,
    pub(crate) is_pushed: bool,
    pub(crate) timestamps: Option<Timestamps>,
    /// Segments to acknowledge at once after a quiet time.
    pub(crate) quick_acks: u8,
    pub(crate) budget: Budget<'p>,
    pub(crate) now: Instant,
}

impl<'p, C: Congestion> Tcb<'p, C> {
    /// What a segment says of its sender: how long its segments are, whether it begins anew, and
    /// how much it sends in a round-trip time.
    #[inline]
    pub(crate) fn measure(&mut self, text: Text<'p>) {
        // A large receive says what it was made of.
        let len = match text.gso_size {
            0 => u16::try_from(text.len).unwrap_or(u16::MAX),
            gso_size => gso_size,
        };
        let len = len.min(text.budget.rmss);
        self.rcv.learn_full_len(len, text.is_pushed);
        if self.rcv.is_within_turn(text.now, self.rtt.srtt()) {
            return;
        }
        self.measure_turn(&text);
    }

    #[inline(never)]
    fn measure_turn(&mut self, text: &Text<'p>) {
        let rtt = match (self.rtt.srtt(), text.timestamps) {
            // Nothing of ours has been timed: an echo of our last acknowledgment will do.
            (Duration::ZERO, Some(theirs)) => self.ts.rtt(theirs, text.now).unwrap_or(RTT_UNKNOWN),
            (Duration::ZERO, None) => RTT_UNKNOWN,
            (srtt, _) => srtt,
        };
        let rto = || self.rtt.rto();
        let is_quiet = self.rcv.measure(text.now, rtt, rto, text.budget);
        if is_quiet {
            self.rcv.quick_acks = text.quick_acks;
        }
    }

    /// An acknowledgment for every second full segment, or after a while (RFC 9293 3.8.6.3); for
    /// each of the first ones, while the far side is in slow start (RFC 5681 3.1 grows its window
    /// with each). True when it must not even wait for the next segment of the burst.
    #[inline]
    pub(crate) fn acknowledge_later(&mut self, now: Instant) -> bool {
        let unacked_len = self.rcv.nxt.bytes_since(self.ts.last_ack_sent());
        let full_len = u32::from(self.rcv.full_len);
        if self.rcv.quick_acks > 0 {
            self.rcv.quick_acks -= 1;
            self.flags.set(TcbFlags::ACK_DUE);
            return true;
        }
        if unacked_len >= 2 * full_len {
            self.flags.set(TcbFlags::ACK_DUE);
            return unacked_len >= BURST_ACK_MAX * full_len;
        }
        if self.delack_at == Deadline::NEVER {
            // What runs already ends no later.
            self.delack_at = Deadline::after(now, DELAYED_ACK);
        }
        false
    }
}
