//! The seventh and eighth steps of SEGMENT ARRIVES: text and FIN (RFC 9293 3.10.7.4).

use simoom_ring::RxPacket;

use super::Arrival;
use crate::config::DELAYED_ACK;
use crate::counters::DropReason;
use crate::tcp::cc::Congestion;
use crate::tcp::rcv::Kept;
use crate::tcp::state::{Event, State};
use crate::wire::tcp::Ctl;

impl<'p, C: Congestion> Arrival<'_, 'p, C> {
    // RFC 9293 3.10.7.4, seventh: the segment text.
    #[inline]
    pub(super) fn seventh_text(&mut self, mut pkt: RxPacket<'p>) {
        if self.seg.payload_len == 0 || !self.tcb.state().can_receive() {
            return;
        }
        self.tcb.ecn_text(&self.seg, self.counters);
        let (rcv, mut seq) = (&mut self.tcb.rcv, self.seg.seq);
        let edge = rcv.adv;
        let (mut kept_all, mut has_memory) = (true, true);
        let mut next = Some(pkt.frame);
        while let Some(mut frame) = next {
            let end = seq + frame.len() as u32;
            // What is old or beyond the window is cut off.
            frame.trim(edge.bytes_since(seq) as usize);
            let is_cut = end.after(edge);
            if !frame.is_empty() && end.after(rcv.nxt) {
                match rcv.keep(frame, seq) {
                    Kept::InOrder => self.outcome.has_received = true,
                    Kept::OutOfOrder => self.tcb.is_ack_due = true,
                    Kept::NoMemory => has_memory = false,
                }
            }
            kept_all &= !is_cut;
            seq = end;
            next = pkt.rest.pop_front();
        }
        if !has_memory {
            // Once, in however many frames it came.
            self.counters.drop(DropReason::TcpNoMemory);
        }
        if !kept_all || !has_memory {
            self.tcb.is_ack_due = true;
        }
        self.acknowledge_later();
    }

    /// An acknowledgment for every second full segment, or after a while (RFC 9293 3.8.6.3); at
    /// once while there is a gap (RFC 5681 4.2).
    pub(super) fn acknowledge_later(&mut self) {
        let tcb = &mut *self.tcb;
        let full = self.seg.payload_len / u32::from(tcb.rcv.rmss.max(1));
        let segments = u8::try_from(full.max(1)).unwrap_or(u8::MAX);
        tcb.unacked_segments = tcb.unacked_segments.saturating_add(segments);
        if tcb.unacked_segments >= 2 || !tcb.rcv.out_of_order.is_empty() {
            tcb.is_ack_due = true;
        } else {
            tcb.delack_at = tcb.delack_at.min(self.now + DELAYED_ACK);
        }
    }

    // RFC 9293 3.10.7.4, eighth: check the FIN bit.
    #[inline]
    pub(super) fn eighth_fin(&mut self) {
        if !self.seg.ctl.has(Ctl::FIN) {
            return;
        }
        let tcb = &mut *self.tcb;
        // A FIN behind a gap comes again when the gap has been filled.
        if self.seg.seq + self.seg.payload_len != tcb.rcv.nxt {
            tcb.is_ack_due = true;
            return;
        }
        let is_first = matches!(
            tcb.state(),
            State::SynReceived | State::Established | State::FinWait1 | State::FinWait2
        );
        if is_first {
            tcb.rcv.nxt += 1;
            tcb.transition(Event::FinArrives);
            self.outcome.has_received = true;
        }
        tcb.is_ack_due = true;
    }
}
