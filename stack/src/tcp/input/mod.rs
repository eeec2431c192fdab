//! SEGMENT ARRIVES (RFC 9293 3.10.7), for a connection that exists: one function for each step.
//!
//! Input changes state and queues; what is to be sent because of it is pulled by `output`. What the
//! application must hear is returned as an [`Outcome`].

mod ack;
mod fast_open;
mod text;

use simoom_ring::RxPacket;

use crate::counters::{Counters, DropReason};
use crate::tcp::bodies::Bodies;
use crate::tcp::budget::Budget;
use crate::tcp::cc::Congestion;
use crate::tcp::challenge::ChallengeLimit;
use crate::tcp::flags::TcbFlags;
use crate::tcp::flight::Flights;
use crate::tcp::gaps::Gaps;
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::tcp::ts::Ts;
use crate::time::Instant;
use crate::wire::tcp::{Ctl, Options, Segment, Timestamps};

pub(crate) use self::text::Text;

/// What a segment has brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The connection has become established, or may be used as if it had (RFC 7413).
    pub(crate) is_established: bool,
    /// There may be bytes to offer, or the end of them.
    pub(crate) has_received: bool,
    /// The SYN-ACK of a fast open is acknowledged.
    pub(crate) has_opened: bool,
    /// The send queue has become shorter.
    pub(crate) has_room: bool,
    /// What came is to be acknowledged before anything else is looked at.
    pub(crate) is_ack_urgent: bool,
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
    /// Those of the connection, where there is one (RFC 7323 3.2).
    pub(crate) timestamps: Option<Timestamps>,
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
            timestamps: None,
        },
        None => Reset {
            seq: SeqNum(0),
            ack: Some(seg.seq + seg.len()),
            timestamps: None,
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
    pub(crate) gaps: &'a mut Gaps<'p>,
    pub(crate) flights: &'a mut Flights<'p>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) challenges: &'a mut ChallengeLimit,
    pub(crate) budget: Budget<'p>,
    /// Segments to acknowledge at once after a quiet time.
    pub(crate) quick_acks: u8,
    pub(crate) now: Instant,
    pub(crate) seg: Segment,
    pub(crate) options: &'a Options,
    pub(crate) outcome: Outcome,
}

impl<'p, C: Congestion> Arrival<'_, 'p, C> {
    /// Takes the segment through the steps. The packet's window is the payload.
    pub(crate) fn segment_arrives(mut self, pkt: RxPacket<'p>) -> Outcome {
        self.tcb.keep.heard(self.now);
        let (state, nxt) = (self.tcb.state(), self.tcb.rcv.nxt);
        let steps = match state {
            State::SynSent => self.syn_sent(pkt),
            _ if self.tcb.opening.is_unacked() => self.opening(pkt),
            _ => self.otherwise(pkt),
        };
        if let Err(stop) = steps {
            self.stop(stop);
        }
        let tcb = &mut *self.tcb;
        if nxt != tcb.rcv.nxt && state != State::SynSent {
            tcb.totals.nxt_moved(nxt, tcb.rcv.nxt, tcb.irs);
        }
        self.tcb.invariants();
        self.flights.invariants(self.tcb.flight, &self.tcb.snd);
        self.outcome
    }

    fn stop(&mut self, stop: Stop) {
        match stop {
            Stop::Drop(reason) => self.counters.drop(reason),
            Stop::Ack(reason) => {
                self.counters.drop(reason);
                // What has no text may answer an answer of ours: that must not go on for ever. And
                // anybody can send a SYN (RFC 5961 7).
                let has_text = !self.seg.is_empty() && !self.seg.ctl.has(Ctl::SYN);
                if has_text || self.may_challenge() {
                    self.tcb.flags.set(TcbFlags::ACK_DUE);
                }
            }
            Stop::Challenge(reason) => {
                self.counters.drop(reason);
                if self.may_challenge() {
                    self.counters.tcp_challenge_acks += 1;
                    self.tcb.flags.set(TcbFlags::ACK_DUE);
                }
            }
            Stop::Reset => {
                let tcb = &*self.tcb;
                let was_told = tcb.state().is_synchronized() || tcb.opening.is_unacked();
                self.outcome.is_refused = !was_told;
                self.tcb.transition(Event::Reset);
                self.outcome.is_reset = true;
            }
            Stop::Refuse(reason, reset) => {
                self.counters.drop(reason);
                self.outcome.reset = reset;
            }
        }
    }

    fn may_challenge(&mut self) -> bool {
        let may = self.challenges.allows(self.now);
        if !may {
            self.counters.tcp_challenge_acks_suppressed += 1;
        }
        may
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
                self.acked(ack, false);
                self.update_window(ack);
                self.tcb.transition(Event::SynAckArrives);
                self.established();
                self.tcb.flags.set(TcbFlags::ACK_DUE);
                self.text_and_fin(pkt);
            }
            // Simultaneous open: our SYN goes out again, with an ACK.
            None => {
                self.tcb.transition(Event::SynArrives);
                self.tcb.flags.set(TcbFlags::ACK_DUE);
            }
        }
        Ok(())
    }

    /// What their SYN says.
    fn take_syn(&mut self) {
        let tcb = &mut *self.tcb;
        tcb.irs = self.seg.seq;
        // What our SYN has promised.
        let wnd = tcb.rcv.wnd();
        tcb.rcv.start(self.seg.seq + 1, self.now);
        tcb.rcv.adv += wnd;
        tcb.snd.smss = super::smss(self.options.mss, tcb.snd.smss);
        if !self.options.sack_permitted {
            tcb.flags.clear(TcbFlags::SACK_PERMITTED);
        }
        tcb.ecn = tcb.ecn.answered(&self.seg);
        let ts = match self.options.timestamps {
            Some(seg) if tcb.ts.is_on() => tcb.ts.agreed(seg, tcb.rcv.nxt, self.now),
            _ => Ts::OFF,
        };
        tcb.set_ts(ts, self.now);
        // RFC 7323 2.2: both scale, or neither.
        match self.options.wscale.filter(|_| tcb.rcv.wscale.is_some()) {
            Some(theirs) => tcb.snd.wscale = theirs,
            None => tcb.rcv.wscale = None,
        }
        // The text of a SYN begins behind it.
        self.seg.seq += 1;
        self.seg.ctl = self.seg.ctl.without(Ctl::SYN);
    }

    // RFC 9293 3.10.7.4: all other states.
    fn otherwise(&mut self, pkt: RxPacket<'p>) -> Step {
        self.crossed_syn_ack();
        self.first_sequence_number()?;
        self.second_rst()?;
        // Third, security: no compartments here.
        self.fourth_syn()?;
        self.fifth_ack()?;
        // RFC 7323 4.3 takes the timestamp of any acceptable segment; a forged one, whose
        // acknowledgment is a guess, must not make the true ones look old.
        if let Some(seg) = self.options.timestamps {
            self.tcb.ts.update(seg, self.seg.seq, self.now);
        }
        // Sixth, URG: the pointer is read past; urgent data stays in the stream (RFC 6093 5).
        if self.seg.ctl.has(Ctl::URG) {
            self.counters.tcp_urgent_in += 1;
        }
        self.text_and_fin(pkt);
        Ok(())
    }

    // RFC 9293 3.5, figure 7, step 6: after a simultaneous open, the SYN that acknowledges ours is
    // the one that has been taken already, and lies before the window. Without it here, both sides
    // would refuse each other's for ever: only its acknowledgment counts.
    fn crossed_syn_ack(&mut self) {
        if self.tcb.state() == State::SynReceived
            && self.seg.ctl.has(Ctl::SYN)
            && self.seg.seq == self.tcb.irs
            && self.seg.ack == Some(self.tcb.snd.max)
        {
            self.seg.seq += 1;
            self.seg.ctl = self.seg.ctl.without(Ctl::SYN);
            // The window of a SYN is not scaled, but from here on it would be.
            self.seg.wnd = self
                .seg
                .wnd
                .scaled(WndScale::ZERO)
                .to_wire(self.tcb.snd.wscale);
        }
    }

    // RFC 9293 3.10.7.4, first: check the sequence number.
    #[inline]
    fn first_sequence_number(&mut self) -> Step {
        self.timestamps()?;
        let (seq, len, rcv) = (self.seg.seq, self.seg.len(), &self.tcb.rcv);
        let wnd = rcv.wnd();
        let in_window = |at: SeqNum| !at.before(rcv.nxt) && at.before(rcv.nxt + wnd);
        let is_acceptable = match (len, wnd) {
            // At a closed window, valid ACKs and RSTs are still taken; text is not.
            (_, 0) => seq == rcv.nxt,
            // The right edge is no place for text, but where the ACKs of a far side are that has
            // filled the window.
            (0, _) => in_window(seq) || seq == rcv.nxt + wnd,
            _ => in_window(seq) || in_window(seq + (len - 1)),
        };
        if is_acceptable {
            return Ok(());
        }
        if self.seg.ctl.has(Ctl::RST) {
            return Err(Stop::Drop(DropReason::TcpOutOfWindow));
        }
        // RFC 2883 4: what has been acknowledged already is reported as a duplicate.
        if !self.seg.ctl.has(Ctl::SYN) {
            let end = (seq + len).min(rcv.nxt);
            self.gaps.duplicated(seq, end);
        }
        self.take_old_ack();
        Err(Stop::Ack(DropReason::TcpOutOfWindow))
    }

    /// The ACK field of a segment that is all old still holds. Two sides that have each missed the
    /// other's last ACK would else answer each other with segments that look old, for ever.
    fn take_old_ack(&mut self) {
        let end = self.seg.seq + self.seg.len();
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        let is_news = |ack: SeqNum| ack.after(snd.una) && !ack.after(snd.max);
        let is_old = !end.after(rcv.nxt) && !self.seg.ctl.has(Ctl::SYN);
        if is_old && self.tcb.state().is_synchronized() && self.seg.ack.is_some_and(is_news) {
            // It cannot fail, having been asked.
            let _taken = self.fifth_ack();
        }
    }

    // RFC 7323 5.3, R1: protection against wrapped sequence numbers.
    #[inline]
    fn timestamps(&mut self) -> Step {
        if !self.tcb.ts.is_on() || self.seg.ctl.has(Ctl::RST) {
            return Ok(());
        }
        let Some(seg) = self.options.timestamps else {
            // The SYN of a peer that has forgotten the connection is challenged below.
            if self.seg.ctl.has(Ctl::SYN) {
                return Ok(());
            }
            return Err(Stop::Drop(DropReason::TcpNoTimestamps));
        };
        if self.tcb.ts.is_old(seg, self.now) {
            return Err(Stop::Ack(DropReason::TcpOldTimestamps));
        }
        Ok(())
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
        let (seq, rcv) = (self.seg.seq, &self.tcb.rcv);
        if seq == rcv.nxt {
            return Err(Stop::Reset);
        }
        // What is acceptable may begin before the window, or at its edge; an RST may not.
        let is_inside = seq.after(rcv.nxt) && seq.before(rcv.nxt + rcv.wnd());
        Err(match is_inside {
            true => Stop::Challenge(DropReason::TcpChallengedRst),
            false => Stop::Drop(DropReason::TcpOutOfWindow),
        })
    }

    // RFC 9293 3.10.7.4, fourth: check the SYN bit (with RFC 5961 4.2).
    #[inline]
    fn fourth_syn(&mut self) -> Step {
        if !self.seg.ctl.has(Ctl::SYN) {
            return Ok(());
        }
        Err(Stop::Challenge(DropReason::TcpChallengedSyn))
    }
}
