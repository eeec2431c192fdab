//! SEGMENT ARRIVES (RFC 9293 3.10.7), for a connection that exists: one function for each step.
//!
//! Input changes state and queues; what is to be sent because of it is pulled by `output`. What the
//! application must hear is returned as an [`Outcome`].

use simoom_ring::{FramePool, RxPacket};

use crate::config::DELAYED_ACK;
use crate::counters::{Counters, DropReason};
use crate::tcp::bodies::Bodies;
use crate::tcp::cc::{Acked, Congestion, Signal};
use crate::tcp::rcv::Kept;
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{Ctl, Segment, SynOptions};

/// What a segment has brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The connection has become established.
    pub(crate) is_established: bool,
    /// There may be bytes to offer, or the end of them.
    pub(crate) has_received: bool,
    /// The send queue has become shorter.
    pub(crate) has_room: bool,
    /// The connection is over: reset by them.
    pub(crate) is_reset: bool,
    /// With `is_reset`: it had not been established.
    pub(crate) is_refused: bool,
    /// Answer with this RST, and nothing else.
    pub(crate) reset: Option<Reset>,
}

/// An RST to send (RFC 9293 3.10.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
}

/// The RST that answers a segment that belongs to nothing: CLOSED (RFC 9293 3.10.7.1).
pub(crate) fn reset_for(seg: &Segment) -> Option<Reset> {
    if seg.ctl.has(Ctl::RST) {
        return None;
    }
    Some(match seg.ack {
        Some(ack) => Reset {
            seq: ack,
            ack: None,
        },
        None => Reset {
            seq: SeqNum(0),
            ack: Some(seg.seq + seg.len()),
        },
    })
}

/// A step's verdict: go on, or stop here.
type Step = Result<(), Stop>;

/// Why a segment's way ends before the last step.
enum Stop {
    /// Dropped, and counted.
    Drop(DropReason),
    /// Dropped and counted, and answered with an acknowledgment.
    Ack(DropReason),
    /// A challenge ACK (RFC 5961).
    Challenge(DropReason),
    /// The connection is reset by them.
    Reset,
    /// Their segment is answered with RST.
    Refuse(DropReason, Option<Reset>),
}

/// A segment on its way through the steps.
pub(crate) struct Arrival<'a, 'p, C> {
    pub(crate) tcb: &'a mut Tcb<'p, C>,
    pub(crate) bodies: &'a mut Bodies<'p>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) pool: &'p FramePool<'p>,
    pub(crate) now: Instant,
    pub(crate) seg: Segment,
    pub(crate) options: SynOptions,
    pub(crate) outcome: Outcome,
}

impl<'p, C: Congestion> Arrival<'_, 'p, C> {
    /// Takes the segment through the steps. The packet's window is the payload.
    pub(crate) fn segment_arrives(mut self, pkt: RxPacket<'p>) -> Outcome {
        let steps = match self.tcb.state() {
            State::SynSent => self.syn_sent(pkt),
            _ => self.otherwise(pkt),
        };
        if let Err(stop) = steps {
            self.stop(stop);
        }
        self.tcb.invariants();
        self.outcome
    }

    fn stop(&mut self, stop: Stop) {
        match stop {
            Stop::Drop(reason) => self.counters.drop(reason),
            Stop::Ack(reason) => {
                self.counters.drop(reason);
                self.tcb.is_ack_due = true;
            }
            Stop::Challenge(reason) => {
                self.counters.drop(reason);
                self.counters.tcp_challenge_acks += 1;
                self.tcb.is_ack_due = true;
            }
            Stop::Reset => {
                self.outcome.is_refused = !self.tcb.state().is_synchronized();
                self.tcb.transition(Event::Reset);
                self.outcome.is_reset = true;
            }
            Stop::Refuse(reason, reset) => {
                self.counters.drop(reason);
                self.outcome.reset = reset;
            }
        }
    }

    // RFC 9293 3.10.7.3: SYN-SENT.
    fn syn_sent(&mut self, pkt: RxPacket<'p>) -> Step {
        // First and second: an ACK of something else is refused, an RST needs a good ACK.
        let is_acceptable = |ack: SeqNum| ack.after(self.tcb.iss) && !ack.after(self.tcb.snd.max);
        let has_good_ack = self.seg.ack.is_some_and(is_acceptable);
        if self.seg.ack.is_some() && !has_good_ack {
            return Err(Stop::Refuse(DropReason::TcpBadAck, reset_for(&self.seg)));
        }
        if self.seg.ctl.has(Ctl::RST) {
            let refused = if has_good_ack {
                Stop::Reset
            } else {
                Stop::Drop(DropReason::TcpNoAck)
            };
            return Err(refused);
        }
        // Fourth.
        if !self.seg.ctl.has(Ctl::SYN) {
            return Err(Stop::Drop(DropReason::TcpNoAck));
        }
        self.take_syn();
        match self.seg.ack {
            Some(ack) => {
                self.acked(ack);
                self.update_window(ack);
                self.tcb.transition(Event::SynAckArrives);
                self.established();
                self.tcb.is_ack_due = true;
                self.seventh_text(pkt);
                self.eighth_fin();
            }
            // Simultaneous open: our SYN goes out again, with an ACK.
            None => {
                self.tcb.transition(Event::SynArrives);
                self.tcb.is_ack_due = true;
            }
        }
        Ok(())
    }

    /// What their SYN says.
    fn take_syn(&mut self) {
        let tcb = &mut *self.tcb;
        tcb.irs = self.seg.seq;
        tcb.rcv.nxt = self.seg.seq + 1;
        tcb.rcv.adv = tcb.rcv.nxt;
        tcb.rcv.adv += tcb.rcv.window(self.pool);
        tcb.snd.smss = super::smss(self.options.mss, tcb.rcv.rmss);
        tcb.cc = C::new(tcb.snd.smss);
        match self.options.wscale {
            Some(wscale) => tcb.snd.wscale = wscale,
            None => tcb.rcv.wscale = WndScale::ZERO,
        }
        // The text of a SYN begins behind it.
        self.seg.seq += 1;
        self.seg.ctl = self.seg.ctl.without(Ctl::SYN);
    }

    // RFC 9293 3.10.7.4: all other states.
    fn otherwise(&mut self, pkt: RxPacket<'p>) -> Step {
        self.first_sequence_number()?;
        self.second_rst()?;
        // Third, security: no compartments here.
        self.fourth_syn()?;
        self.fifth_ack()?;
        // Sixth, URG: the pointer is not followed; urgent data stays in the stream.
        self.seventh_text(pkt);
        self.eighth_fin();
        Ok(())
    }

    // RFC 9293 3.10.7.4, first: check the sequence number.
    #[inline]
    fn first_sequence_number(&mut self) -> Step {
        let (seq, len, rcv) = (self.seg.seq, self.seg.len(), &self.tcb.rcv);
        let wnd = rcv.wnd();
        let in_window = |at: SeqNum| !at.before(rcv.nxt) && at.before(rcv.nxt + wnd);
        let is_acceptable = match (len, wnd) {
            // At a closed window, valid ACKs and RSTs are still taken; text is not.
            (_, 0) => seq == rcv.nxt,
            (0, _) => in_window(seq),
            _ => in_window(seq) || in_window(seq + (len - 1)),
        };
        if is_acceptable {
            return Ok(());
        }
        if self.seg.ctl.has(Ctl::RST) {
            return Err(Stop::Drop(DropReason::TcpOutOfWindow));
        }
        Err(Stop::Ack(DropReason::TcpOutOfWindow))
    }

    // RFC 9293 3.10.7.4, second: check the RST bit (with RFC 5961 3.2).
    #[inline]
    fn second_rst(&mut self) -> Step {
        if !self.seg.ctl.has(Ctl::RST) {
            return Ok(());
        }
        // RFC 1337 3: an RST does not end TIME-WAIT.
        if self.tcb.state() == State::TimeWait {
            return Err(Stop::Drop(DropReason::TcpOutOfWindow));
        }
        if self.seg.seq == self.tcb.rcv.nxt {
            return Err(Stop::Reset);
        }
        Err(Stop::Challenge(DropReason::TcpChallengedRst))
    }

    // RFC 9293 3.10.7.4, fourth: check the SYN bit (with RFC 5961 4.2).
    #[inline]
    fn fourth_syn(&mut self) -> Step {
        if !self.seg.ctl.has(Ctl::SYN) {
            return Ok(());
        }
        Err(Stop::Challenge(DropReason::TcpChallengedSyn))
    }

    // RFC 9293 3.10.7.4, fifth: check the ACK field (with RFC 5961 5.2).
    #[inline]
    fn fifth_ack(&mut self) -> Step {
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
        let is_fin_acked = self.tcb.snd.is_fin_acked_by(ack);
        if ack.after(snd.una) {
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

    fn fifth_ack_of_syn(&mut self, ack: SeqNum) -> Step {
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
    fn established(&mut self) {
        self.outcome.is_established = true;
        if self.tcb.snd.has_fin {
            self.tcb.transition(Event::Close);
        }
    }

    /// SND.UNA moves to `ack`: what lies before it is forgotten.
    fn acked(&mut self, ack: SeqNum) {
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
        tcb.rtt.forward();
        tcb.retransmits = 0;
        self.recovered(ack, len - syn.min(len), rtt);
        self.tcb.set_rexmt(now, true);
        self.outcome.has_room = true;
    }

    /// What an acknowledgment of new data means to congestion control (RFC 6582 3.2).
    fn recovered(&mut self, ack: SeqNum, len: u32, rtt: Option<Duration>) {
        let tcb = &mut *self.tcb;
        let (flight_size, smss) = (tcb.snd.flight_size(), u32::from(tcb.snd.smss));
        tcb.snd.dupacks = 0;
        if !tcb.snd.is_recovering {
            if len > 0 {
                let cwnd = tcb.cc.cwnd();
                let acked = Acked {
                    len,
                    flight_size,
                    una: ack,
                    nxt: tcb.snd.nxt,
                    rtt,
                    srtt: tcb.rtt.srtt(),
                    is_cwnd_limited: flight_size.saturating_add(len) >= cwnd / 2,
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
    fn is_duplicate(&self, ack: SeqNum) -> bool {
        let snd = &self.tcb.snd;
        ack == snd.una
            && snd.una != snd.max
            && snd.wnd.0 != 0
            && self.seg.is_empty()
            && self.seg.wnd.scaled(snd.wscale) == snd.wnd
    }

    fn duplicate(&mut self) {
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
            let smss = snd.smss;
            self.tcb
                .cc
                .signalled(smss, Signal::Loss, flight_size, self.now);
        }
    }

    /// SND.WND, unless the segment is older than the one that set it last.
    #[inline]
    fn update_window(&mut self, ack: SeqNum) {
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

    // RFC 9293 3.10.7.4, seventh: the segment text.
    #[inline]
    fn seventh_text(&mut self, mut pkt: RxPacket<'p>) {
        if self.seg.payload_len == 0 || !self.tcb.state().can_receive() {
            return;
        }
        let (rcv, mut seq) = (&mut self.tcb.rcv, self.seg.seq);
        let edge = rcv.adv;
        let mut kept_all = true;
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
                    Kept::NoMemory => {
                        self.counters.drop(DropReason::TcpNoMemory);
                        kept_all = false;
                    }
                }
            }
            kept_all &= !is_cut;
            seq = end;
            next = pkt.rest.pop_front();
        }
        if !kept_all {
            self.tcb.is_ack_due = true;
        }
        self.acknowledge_later();
    }

    /// An acknowledgment for every second full segment, or after a while (RFC 9293 3.8.6.3); at
    /// once while there is a gap (RFC 5681 4.2).
    fn acknowledge_later(&mut self) {
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
    fn eighth_fin(&mut self) {
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

/// Duplicate acknowledgments that mean a loss (RFC 5681 3.2).
const DUPACKS: u8 = 3;
