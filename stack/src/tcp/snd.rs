//! The send side of a connection, and the decision what to send next.
//!
//! ```text
//!        SND.UNA          SND.NXT        SND.MAX          end of queue (then FIN)
//!   ────────┬────────────────┬──────────────┬────────────────┬───
//!           │ in flight      │ to send again│ not sent yet   │
//!   ────────┴────────────────┴──────────────┴────────────────┴───
//!           └─────── SND.WND, cwnd ────────────────┘
//! ```
//!
//! SND.MAX is one past the last byte ever sent. SND.NXT is the same, but for a connection without
//! an entry for what is in flight ([`Flights`](super::flight::Flights)), which goes back to SND.UNA
//! on a retransmission timeout; and behind a SYN or a window probe that is to be sent again.

use crate::tcp::bodies::SendQueue;
use crate::tcp::flags::SndFlags;
use crate::tcp::flight::Range;
use crate::tcp::seqnum::{SeqNum, WireWnd, WndScale, WndSize};
use crate::wire::tcp::Ctl;

/// Whether something is being recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is.
    Open,
    /// Between the detection of a loss by acknowledgments and `recover` (RFC 6675 5, RFC 6582 3.2).
    Recovery,
    /// Between a retransmission timeout and `recover` (RFC 5681 3.1).
    Loss,
}

/// Send sequence space and what is queued for it.
#[derive(Debug)]
pub(crate) struct Snd {
    /// SND.UNA.
    pub(crate) una: SeqNum,
    /// SND.NXT.
    pub(crate) nxt: SeqNum,
    /// One past the last byte ever sent.
    pub(crate) max: SeqNum,
    /// SND.WND.
    pub(crate) wnd: WndSize,
    /// The largest SND.WND that the far side has ever offered.
    pub(crate) wnd_max: WndSize,
    /// SND.WL1. There is no SND.WL2: what is older than it is older than SND.UNA, too.
    pub(crate) wl1: SeqNum,
    /// Where recovery ends (RFC 6582).
    pub(crate) recover: SeqNum,
    /// Up to here, the congestion window was what ended a burst; SND.UNA if it was not.
    pub(crate) limited: SeqNum,
    /// When something was last sent, in milliseconds that wrap.
    pub(crate) sent_ms: u32,
    /// Snd.Wind.Shift.
    pub(crate) wscale: WndScale,
    /// Duplicate acknowledgments in a row.
    pub(crate) dupacks: u8,
    /// The largest segment that we send.
    pub(crate) smss: u16,
    /// What is to be sent, from SND.UNA on.
    pub(crate) queue: SendQueue,
    pub(crate) flags: SndFlags,
    /// Whether something is being recovered.
    pub(crate) phase: Phase,
}

/// A segment to send, out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextData {
    pub(crate) seq: SeqNum,
    /// Bytes of the queue.
    pub(crate) len: u32,
    /// A FIN behind them.
    pub(crate) fin: bool,
    /// The queue ends here, or it is a probe.
    pub(crate) psh: bool,
}

impl NextData {
    /// The control bits at its end. RFC 9293 3.9.1.2: PSH is about data, and a FIN alone has none.
    #[inline]
    pub(crate) fn ctl(&self) -> Ctl {
        match (self.psh && self.len > 0, self.fin) {
            (true, true) => Ctl::FIN.with(Ctl::PSH),
            (false, true) => Ctl::FIN,
            (true, false) => Ctl::PSH,
            (false, false) => Ctl::default(),
        }
    }
}

impl Snd {
    pub(crate) fn new(iss: SeqNum, smss: u16) -> Self {
        Self {
            una: iss,
            nxt: iss,
            max: iss,
            wnd: WndSize(0),
            wnd_max: WndSize(0),
            wl1: SeqNum(0),
            recover: iss,
            limited: iss,
            sent_ms: 0,
            wscale: WndScale::ZERO,
            dupacks: 0,
            smss,
            queue: SendQueue::new(),
            flags: SndFlags::default(),
            phase: Phase::Open,
        }
    }

    /// A segment at `seq` tells of their window (RFC 9293 3.10.7.4, fifth, ESTABLISHED), unless a
    /// later one has told another. It is open.
    #[inline]
    pub(crate) fn window_told(&mut self, seq: SeqNum, wnd: WireWnd) {
        if !self.wl1.after(seq) || self.wnd_max.0 == 0 {
            self.wl1 = seq;
            self.wnd = wnd.scaled(self.wscale);
            self.wnd_max = self.wnd_max.max(self.wnd);
        }
    }

    /// Whether a FIN follows the queue.
    #[inline]
    pub(crate) fn has_fin(&self) -> bool {
        self.flags.has(SndFlags::HAS_FIN)
    }

    /// Bytes of sequence space sent and not acknowledged.
    #[inline]
    pub(crate) fn flight_size(&self) -> u32 {
        self.max.bytes_since(self.una)
    }

    /// The sequence number of an acknowledgment that carries nothing: behind all that was sent,
    /// whatever is to be sent again (at SND.NXT it would look old to who has it), but no further
    /// than the window reaches, where it would not be taken: a probe may lie beyond.
    #[inline]
    pub(crate) fn ack_seq(&self) -> SeqNum {
        let edge = self.una + self.wnd.0;
        if self.max.after(edge) { edge } else { self.max }
    }

    /// Whether our FIN has been sent, and `ack` covers it.
    pub(crate) fn is_fin_acked_by(&self, ack: SeqNum) -> bool {
        // The FIN is behind all data, so what is acknowledged reaches one further than the queue.
        self.has_fin() && u64::from(ack.bytes_since(self.una)) > self.queue.len()
    }

    /// Whether there is something in the queue, or a FIN, that SND.NXT has not passed.
    pub(crate) fn has_unsent(&self) -> bool {
        let end = self.queue.len() + u64::from(self.has_fin());
        u64::from(self.nxt.bytes_since(self.una)) < end
    }

    /// What may be sent now (RFC 9293 3.8.6.2.1, RFC 5681 3, RFC 896), or `None`: `lost` first, if
    /// that is to be sent again, as far as the window and the `quota` of the network go.
    #[inline]
    pub(crate) fn next(&self, quota: u32, lost: Option<Range>) -> Option<NextData> {
        if self.flags.has(SndFlags::REXMT_DUE) {
            let first = lost.filter(|lost| lost.start == self.una);
            let len = first.map_or(self.flight_size(), |lost| lost.len());
            return self.again(self.una, len);
        }
        if self.flags.has(SndFlags::PROBE_DUE) && self.nxt != self.una {
            return self.again(self.una, 1);
        }
        if let Some(lost) = lost {
            return self.next_lost(quota, lost);
        }
        self.next_new(quota)
    }

    /// The beginning of what is lost.
    fn next_lost(&self, quota: u32, lost: Range) -> Option<NextData> {
        let next = self.again(lost.start, lost.len())?;
        let len = next.len + u32::from(next.fin);
        let edge = self.una + self.wnd.0;
        let in_window = edge.bytes_since(next.seq);
        if len <= in_window || next.len == 0 {
            (len <= quota).then_some(next)
        } else if in_window > 0 {
            // A window that has shrunk: as much as is still in it.
            let part = self.again(lost.start, in_window)?;
            (part.len <= quota).then_some(part)
        } else {
            None
        }
    }

    /// What has not been sent yet.
    #[inline]
    pub(crate) fn next_new(&self, quota: u32) -> Option<NextData> {
        let sent = self.nxt.bytes_since(self.una);
        // Past the FIN there is nothing.
        let unsent = self.queue.len().checked_sub(sent.into())?;
        if unsent == 0 && !self.has_fin() {
            return None;
        }
        self.next_of(unsent, self.wnd.0.saturating_sub(sent).min(quota))
    }

    /// The same, of so many bytes that have not been sent, as far as `usable` bytes go.
    #[inline]
    pub(crate) fn next_of(&self, unsent: u64, usable: u32) -> Option<NextData> {
        let usable = u64::from(usable);
        let least = u64::from(self.flags.has(SndFlags::PROBE_DUE));
        let len = unsent.min(usable.max(least)).min(self.smss.into());
        let is_last = len == unsent;
        let fin = is_last && self.has_fin();
        if len == 0 && !fin {
            return None;
        }
        let is_full = len == u64::from(self.smss);
        let is_again = self.nxt.before(self.max);
        if !is_full && !is_again && !self.flags.has(SndFlags::PROBE_DUE) && !fin {
            // Silly window: neither a full segment, nor all there is, nor half the window.
            if !is_last && len < u64::from(self.wnd_max.0 / 2) {
                return None;
            }
            // Nagle: a short segment waits while something is in flight.
            if !self.flags.has(SndFlags::NODELAY) && self.nxt != self.una {
                return None;
            }
        }
        // At most smss.
        Some(NextData {
            seq: self.nxt,
            len: len as u32,
            fin,
            psh: is_last || least > 0,
        })
    }

    /// What a tail loss probe has to send that is new, whatever the network takes (RFC 8985 7.3):
    /// what Nagle's algorithm holds back as well, for nothing that it could wait for comes.
    #[cold]
    pub(crate) fn next_of_probe(&self) -> Option<NextData> {
        self.next(self.smss.into(), None).or_else(|| {
            let sent = self.nxt.bytes_since(self.una);
            let unsent = self.queue.len().checked_sub(sent.into())?;
            let len = u32::try_from(unsent).ok()?;
            let most = self.wnd.0.saturating_sub(sent).min(self.smss.into());
            (len > 0 && len <= most).then_some(NextData {
                seq: self.nxt,
                len,
                fin: false,
                psh: true,
            })
        })
    }

    /// A segment of what has been sent before: from `seq` on, `len` bytes of sequence space at
    /// most.
    pub(crate) fn again(&self, seq: SeqNum, len: u32) -> Option<NextData> {
        self.again_at_most(seq, len, self.smss.into())
    }

    /// As [`again`](Self::again), with `most` bytes of data in place of a segment's.
    pub(crate) fn again_at_most(&self, seq: SeqNum, len: u32, most: u32) -> Option<NextData> {
        let offset = u64::from(seq.bytes_since(self.una));
        let queued = self.queue.len().saturating_sub(offset);
        let taken = queued.min(len.into()).min(most.into());
        let is_last = taken == queued;
        let fin = is_last && self.has_fin() && u64::from(len) > queued;
        if taken == 0 && !fin {
            return None;
        }
        // At most `most`.
        Some(NextData {
            seq,
            len: taken as u32,
            fin,
            psh: is_last || self.flags.has(SndFlags::PROBE_DUE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::bodies::{Bodies, BodyNode};
    use crate::tcp::flight::Flags;
    use simoom_ring::Fragment;
    use std::vec::Vec;

    static CONTENT: [u8; 10_000] = [b'x'; 10_000];
    const ISS: SeqNum = SeqNum(u32::MAX - 500);

    /// A connection with `len` bytes queued, an open window and segments of 1,000 bytes.
    fn snd(len: usize) -> Snd {
        let nodes: Vec<BodyNode<'_>> = (0..4).map(|_| BodyNode::default()).collect();
        let mut bodies = Bodies::new(nodes.into());
        let mut snd = Snd::new(ISS, 1_000);
        bodies
            .push(&mut snd.queue, Fragment::Content(&CONTENT[..len]))
            .unwrap();
        snd.wnd = WndSize(5_000);
        snd.wnd_max = snd.wnd;
        snd
    }

    fn sent(snd: &mut Snd, len: u32) {
        snd.nxt += len;
        snd.max = snd.max.max(snd.nxt);
    }

    #[test]
    fn segments_follow_until_a_window_is_full() {
        for (wnd, cwnd) in [(3_000, 9_999), (9_999, 3_000)] {
            let mut snd = snd(10_000);
            snd.wnd = WndSize(wnd);
            for n in 0..3 {
                let next = snd.next(cwnd - snd.flight_size(), None).unwrap();
                assert_eq!(
                    (next.seq, next.len, next.psh),
                    (ISS + 1_000 * n, 1_000, false)
                );
                sent(&mut snd, 1_000);
            }
            assert_eq!(snd.next(cwnd - snd.flight_size(), None), None);
        }
    }

    #[test]
    fn the_last_segment_pushes_and_carries_the_fin() {
        let mut snd = snd(1_500);
        snd.flags.set(SndFlags::HAS_FIN);
        sent(&mut snd, 1_000);
        let next = snd.next(5_000 - snd.flight_size(), None).unwrap();
        assert_eq!((next.len, next.fin, next.psh), (500, true, true));
        sent(&mut snd, 501);
        assert_eq!(snd.next(5_000 - snd.flight_size(), None), None);
        assert!(!snd.has_unsent());
        assert!(snd.is_fin_acked_by(ISS + 1_501) && !snd.is_fin_acked_by(ISS + 1_500));
    }

    #[test]
    fn a_fin_needs_no_window() {
        let mut snd = snd(1_000);
        snd.flags.set(SndFlags::HAS_FIN);
        snd.wnd = WndSize(1_000);
        sent(&mut snd, 1_000);
        let next = snd.next(1_000, None).unwrap();
        assert_eq!((next.len, next.fin), (0, true));
    }

    #[test]
    fn nagle_holds_a_short_segment_back_unless_it_is_off() {
        let mut snd = snd(1_500);
        sent(&mut snd, 1_000);
        assert_eq!(snd.next(5_000 - snd.flight_size(), None), None);
        snd.flags.set(SndFlags::NODELAY);
        assert_eq!(snd.next(5_000 - snd.flight_size(), None).unwrap().len, 500);
    }

    #[test]
    fn a_silly_window_is_not_filled() {
        let mut snd = snd(10_000);
        snd.wnd = WndSize(400);
        assert_eq!(snd.next(9_999, None), None);
        snd.flags.set(SndFlags::PROBE_DUE);
        assert_eq!(snd.next(9_999, None).unwrap().len, 400);
        snd.wnd = WndSize(0);
        assert_eq!(snd.next(9_999, None).unwrap().len, 1);
        // With more in flight, the first byte of it again.
        sent(&mut snd, 5_000);
        let next = snd.next(9_999, None).unwrap();
        assert_eq!((next.seq, next.len), (ISS, 1));
    }

    #[test]
    fn what_is_lost_goes_first_as_far_as_window_and_quota_go() {
        let mut snd = snd(10_000);
        sent(&mut snd, 5_000);
        let lost = |from: u32, len: u32| {
            Some(Range {
                start: ISS + from,
                end: ISS + from + len,
                sent_at_us: 0,
                flags: Flags::LOST,
            })
        };
        let next = snd.next(9_999, lost(1_000, 2_500)).unwrap();
        assert_eq!((next.seq, next.len), (ISS + 1_000, 1_000));
        let next = snd.next(9_999, lost(3_000, 300)).unwrap();
        assert_eq!((next.seq, next.len), (ISS + 3_000, 300));
        assert_eq!(snd.next(999, lost(1_000, 2_500)), None);
        snd.wnd = WndSize(1_200);
        assert_eq!(snd.next(9_999, lost(1_000, 2_500)).unwrap().len, 200);
        assert_eq!(snd.next(9_999, lost(1_200, 2_500)), None);
    }

    #[test]
    fn what_is_sent_again_starts_at_una() {
        let mut snd = snd(1_200);
        snd.flags.set(SndFlags::HAS_FIN);
        sent(&mut snd, 1_000);
        sent(&mut snd, 201);
        snd.flags.set(SndFlags::REXMT_DUE);
        let next = snd.next(0, None).unwrap();
        assert_eq!((next.seq, next.len, next.fin), (ISS, 1_000, false));
        snd.nxt = snd.una;
        snd.flags.clear(SndFlags::REXMT_DUE);
        assert_eq!(snd.next(1_000, None).unwrap().len, 1_000);
    }
}
