//! What TCP knows of the data in flight: when each range was sent, what of it has arrived, what is
//! taken for lost, and how a recovery goes on.
//!
//! ```text
//!   Tcb.flight ─► Flights.entries ─► Flight ─► Ranges ─► Nodes (one pool for all)
//!   idle: NONE    one for each connection        what was sent, when, what is known of it
//!                 that has something in flight
//! ```
//!
//! A connection takes an entry with the first byte that it sends, and gives it back when all is
//! acknowledged: an idle one costs an index. When no entry is free (`tcp_flights_full`) the
//! connection works without: NewReno (RFC 6582) from what is in the TCB, go-back-N after a
//! timeout, and round-trip times from timestamps only.
//!
//! - `ranges.rs`, `nodes.rs`: the list; `plain.rs`: the short cut through it
//! - `sack.rs`: what a SACK option says (RFC 2018, RFC 2883)
//! - `rack.rs`: what is lost (RFC 8985 6); `probe.rs`: how to find out at the end (RFC 8985 7)
//! - `prr.rs`: how much may go out during a recovery (RFC 6937); `meter.rs`: how much gets through
//! - `undo.rs`: when it was for nothing (RFC 5682, RFC 3708, RFC 3522)
//!
//! What follows from all that is decided in `recovery.rs`.

mod meter;
mod nodes;
mod plain;
mod probe;
mod prr;
mod rack;
mod ranges;
mod sack;
mod table;
mod told;
mod undo;

#[cfg(test)]
mod tests;

use crate::tcp::cc::Delays;
use crate::tcp::deadline::Deadline;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::Phase;
use crate::time::{Duration, Instant};
use crate::wire::tcp::SackBlock;

use self::ranges::Unsplit;
use self::sack::Blocks;

pub(crate) use self::meter::Meter;
pub use self::nodes::SentNode;
pub(crate) use self::nodes::{Flags, Nodes};
pub(crate) use self::probe::{Answer, Heard, Probe, Unsettled};
pub(crate) use self::prr::{Progress, Prr};
pub(crate) use self::rack::{Rack, Reordering};
pub(crate) use self::ranges::{Range, Ranges};
pub use self::table::FlightEntry;
pub(crate) use self::table::Flights;
pub(crate) use self::told::Told;
pub(crate) use self::undo::{ForNothing, Frto, Undo};

/// What is in flight on one connection.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) ranges: Ranges,
    pub(crate) rack: Rack,
    /// The recovery under way, or the last one.
    pub(crate) prr: Prr,
    pub(crate) probe: Probe,
    pub(crate) meter: Meter,
    pub(crate) frto: Frto,
    /// What cwnd was reduced for, while it may turn out to have been for nothing.
    pub(crate) undo: Option<Undo>,
    /// When RACK looks again for what has become lost.
    pub(crate) reorder_at: Instant,
    /// When the recovery under way began.
    pub(crate) recovery_at: Instant,
    /// Bytes that duplicate acknowledgments stand for, of a far side without SACK.
    pub(crate) dup_len: u32,
    /// When something was sent last, as ranges keep it, and where it ended.
    sent_last: (u32, SeqNum),
    /// The estimator takes one measurement a round trip: the next when this is acknowledged.
    round_end: SeqNum,
    /// The last segment was sent again in this recovery (RFC 6675 4, rule 4 of NextSeg).
    is_rescued: bool,
}

/// What a look at all ranges has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Something is lost that was not before.
    pub(crate) is_lost: bool,
    /// It had been sent again already.
    pub(crate) is_lost_again: bool,
}

impl Flight {
    fn new(una: SeqNum) -> Self {
        Self {
            ranges: Ranges::new(una),
            rack: Rack::new(una),
            prr: Prr::default(),
            probe: Probe::NONE,
            meter: Meter::new(),
            frto: Frto::Off,
            undo: None,
            reorder_at: Instant::NEVER,
            recovery_at: Instant::ZERO,
            dup_len: 0,
            sent_last: (0, una),
            round_end: una,
            is_rescued: false,
        }
    }

    /// Bytes in the network by our best estimate: neither arrived nor lost (RFC 6675 4, `pipe`).
    #[inline]
    pub(crate) fn pipe(&self) -> u32 {
        let (sacked, lost) = (self.ranges.sacked_len(), self.ranges.lost_len());
        self.ranges
            .len()
            .saturating_sub(sacked.saturating_add(lost).saturating_add(self.dup_len))
    }

    /// Whether nothing is missing or sent again, nothing is asked, nothing is waited for.
    #[inline]
    pub(crate) fn is_untroubled(&self) -> bool {
        self.ranges.is_plain() && !self.probe.is_asked() && self.reorder_at == Instant::NEVER
    }

    /// Whether all that is in flight is in the network, and no timeout is being found out about.
    #[inline]
    pub(crate) fn is_all_in_pipe(&self) -> bool {
        let out = self.ranges.sacked_len() | self.ranges.lost_len() | self.dup_len;
        out == 0 && self.frto == Frto::Off
    }

    /// Bytes that may be sent now, as far as the network goes.
    #[inline]
    pub(crate) fn quota(&self, phase: Phase, cwnd: u32) -> u32 {
        match phase {
            Phase::Recovery => self.prr.quota(),
            Phase::Open | Phase::Loss => cwnd.saturating_sub(self.pipe()),
        }
    }

    /// `[seq, end)` was sent just now, for the first time or again.
    #[inline]
    pub(crate) fn sent(
        &mut self,
        nodes: &mut Nodes<'_>,
        (seq, end): (SeqNum, SeqNum),
        now: Instant,
        srtt: Duration,
    ) {
        let (_, max) = self.ranges.ends();
        // What is told as one range takes the later time. Behind something that was sent again, it
        // would seem to have been sent after that, and prove its loss by arriving.
        let is_in_a_row = self.sent_last.1 == max;
        let now_us = self.stamp(wrapped(now), end);
        let is_probe = self.probe.is_due;
        if is_probe {
            self.probe.is_due = false;
            self.probe.end = Some(end.max(max));
            self.probe.is_again = seq.before(max);
            self.probe.is_unmeasured = true;
        } else {
            self.probe.is_stale = true;
        }
        if seq.before(max) {
            self.sent_again(nodes, (seq, end.min(max)), now_us, is_probe);
        }
        if end.after(max) {
            if self.ranges.len() == 0 {
                self.round_end = end;
            }
            self.ranges.push(nodes, end, now_us, || {
                if is_in_a_row { slack_us(srtt) } else { 0 }
            });
        }
        self.prr.sent(end.bytes_since(seq));
    }

    /// The time of what is sent now. Many segments have one `now`; what goes back in the stream
    /// gets a time of its own, a microsecond later, so that times tell the order (RFC 8985 6.1).
    #[inline]
    fn stamp(&mut self, now_us: u32, end: SeqNum) -> u32 {
        let (last_us, last_end) = self.sent_last;
        let mut at_us = now_us;
        if !rack::is_after(now_us, last_us) && self.ranges.len() > 0 {
            let is_back = end.before(last_end);
            at_us = last_us.wrapping_add(u32::from(is_back));
        }
        self.sent_last = (at_us, end);
        at_us
    }

    #[cold]
    fn sent_again(
        &mut self,
        nodes: &mut Nodes<'_>,
        part: (SeqNum, SeqNum),
        now_us: u32,
        is_probe: bool,
    ) {
        let (_, max) = self.ranges.ends();
        // A probe belongs to no recovery: its own answer tells whether it was needed.
        if let Some(undo) = self.undo.as_mut().filter(|_| !is_probe) {
            undo.sent_again(part);
        }
        self.is_rescued |= part.1 == max;
        self.ranges.sent_again(nodes, part, now_us);
    }

    /// SND.UNA moves to `ack`.
    #[inline]
    pub(crate) fn acked(&mut self, nodes: &mut Nodes<'_>, ack: SeqNum, told: &mut Told<'_>) {
        self.probe.is_stale = true;
        self.probe.is_due = false;
        let (una, _) = self.ranges.ends();
        let rack = &mut self.rack;
        self.ranges.acked(nodes, ack, |range| {
            if !range.flags.has(Flags::SACKED) {
                told.take(range);
                let is_of_first = rack.delivered(range, told);
                if is_of_first {
                    told.may_answer_second(range);
                }
                // What is echoed is the segment that has moved RCV.NXT (RFC 7323 4.3): of the
                // others, and of SACKed ones, it says nothing.
                if is_of_first && range.start == una {
                    told.eifel = Some((range.start, range.end));
                }
            }
        });
    }

    /// A SACK option has come with a segment that acknowledges `ack` (RFC 2018 5, RFC 2883).
    #[cold]
    pub(crate) fn sacked(
        &mut self,
        nodes: &mut Nodes<'_>,
        blocks: &[SackBlock],
        (ack, oldest): (SeqNum, SeqNum),
        told: &mut Told<'_>,
    ) {
        let blocks = Blocks::read(blocks, ack, self.ranges.ends(), oldest);
        told.dsack = blocks.dsack;
        let rack = &mut self.rack;
        let mut cursor = self.ranges.start();
        // The blocks are in order: one walk for all.
        for block in blocks.sacked.into_iter().flatten() {
            self.ranges
                .change(nodes, &mut cursor, block, Unsplit::Leave, |range| {
                    if !range.flags.has(Flags::SACKED) {
                        told.take(range);
                        told.sacked_len = told.sacked_len.saturating_add(range.len());
                        rack.delivered(range, told);
                        range.flags = range.flags.without(Flags::LOST).with(Flags::SACKED);
                    }
                });
        }
        if told.sacked_len > 0 {
            self.probe.is_stale = true;
            self.probe.is_due = false;
        }
    }

    /// What it means that the first transmission of a part has arrived, and that a part has arrived
    /// twice: both of one acknowledgment.
    pub(crate) fn was_for_nothing(&mut self, parts: [Option<(SeqNum, SeqNum)>; 2]) -> ForNothing {
        let Some(undo) = &mut self.undo else {
            return ForNothing::NotOurs;
        };
        let each = parts.into_iter().flatten();
        let each = each.map(|part| undo.was_for_nothing(part));
        // Once all is shown, nothing is left that a second part could be of.
        each.max().unwrap_or(ForNothing::NotOurs)
    }

    /// Whether a round trip has passed since the estimator took its last measurement.
    #[inline]
    pub(crate) fn is_round_over(&mut self, ack: SeqNum) -> bool {
        let is_over = !ack.before(self.round_end);
        if is_over {
            (_, self.round_end) = self.ranges.ends();
            self.rack.next_round();
        }
        is_over
    }

    /// How long the path takes.
    pub(crate) fn delays(&self) -> Delays {
        self.rack.delays()
    }

    /// Looks for what is lost by now (RFC 8985 6.2, step 5), and sets the time of the next look.
    pub(crate) fn detect(&mut self, nodes: &mut Nodes<'_>, reo_wnd_us: u32, now: Instant) -> Found {
        let (mut found, mut longest_us) = (Found::default(), 0);
        let (rack, now_us) = (&self.rack, wrapped(now));
        self.ranges.change_all(nodes, |range| {
            if range.flags.has(Flags::SACKED.with(Flags::LOST)) {
                return;
            }
            match rack.wait_us(range, reo_wnd_us, now_us) {
                Some(0) => {
                    found.is_lost = true;
                    found.is_lost_again |= range.flags.has(Flags::AGAIN);
                    range.flags = range.flags.with(Flags::LOST);
                }
                Some(left_us) => longest_us = left_us.max(longest_us),
                None => {}
            }
        });
        self.reorder_at = match longest_us {
            0 => Instant::NEVER,
            us => now + Duration::from_micros(us.into()),
        };
        found
    }

    /// The retransmission timer has fired: the first segment is lost, and what was sent as long
    /// ago (RFC 8985 6.3); of a far side without SACK, everything. Of a flight of which nothing has
    /// arrived, what it takes to arrive is known by other flights alone (`srtt_us`).
    pub(crate) fn timed_out(
        &mut self,
        nodes: &mut Nodes<'_>,
        (reo_wnd_us, srtt_us): (u32, u32),
        now: Instant,
    ) {
        self.forget_timers();
        self.dup_len = 0;
        let (una, _) = self.ranges.ends();
        // RFC 2018 8: the far side has what is acknowledged, and cannot have what is not; if it
        // has told so, it has changed its mind, and nothing that it told counts.
        let has_reneged = self
            .ranges
            .iter(nodes)
            .next()
            .is_some_and(|first| first.flags.has(Flags::SACKED));
        let least_us = self.rack.rtt_or(srtt_us).saturating_add(reo_wnd_us);
        let now_us = wrapped(now);
        self.ranges.change_all(nodes, |range| {
            if has_reneged && range.flags.has(Flags::SACKED) {
                range.flags = range.flags.without(Flags::SACKED).with(Flags::AGAIN);
            }
            let is_old = elapsed_us(now_us, range.sent_at_us) >= least_us;
            if !range.flags.has(Flags::SACKED) && (range.start == una || is_old) {
                range.flags = range.flags.with(Flags::LOST);
            }
        });
    }

    /// What has not arrived is lost.
    pub(crate) fn all_lost(&mut self, nodes: &mut Nodes<'_>) {
        self.dup_len = 0;
        self.ranges.change_all(nodes, |range| {
            if !range.flags.has(Flags::SACKED) {
                range.flags = range.flags.with(Flags::LOST);
            }
        });
    }

    /// Nothing is lost after all.
    pub(crate) fn none_lost(&mut self, nodes: &mut Nodes<'_>) {
        self.ranges.change_all(nodes, |range| {
            range.flags = range.flags.without(Flags::LOST);
        });
    }

    /// cwnd was reduced, and sending goes by the recovery's quota (RFC 6937 3).
    pub(crate) fn begin_recovery(&mut self, flight_size: u32, now: Instant) {
        let (una, _) = self.ranges.ends();
        self.prr = Prr::new(flight_size);
        self.undo = Some(Undo::new(una));
        self.recovery_at = now;
        self.is_rescued = false;
        self.probe.reset();
    }

    fn forget_timers(&mut self) {
        self.reorder_at = Instant::NEVER;
        self.probe.reset();
        self.meter.stop();
    }

    /// What is to be sent again first: ranges in a row, as far as a segment of `smss` goes.
    #[inline]
    pub(crate) fn next_lost(&self, nodes: &Nodes<'_>, smss: u32) -> Option<Range> {
        if self.ranges.lost_len() == 0 {
            return None;
        }
        let is_lost = |range: &Range| range.flags.has(Flags::LOST);
        let mut ranges = self.ranges.iter(nodes).skip_while(|range| !is_lost(range));
        let mut run = ranges.next()?;
        while run.len() < smss
            && let Some(range) = ranges.next().filter(is_lost)
        {
            run.end = range.end;
        }
        Some(run)
    }

    /// When there is nothing else to send in a recovery: the last segment once more, since nothing
    /// behind it will tell of its loss (RFC 6675 4, rule 4 of NextSeg). Where it begins, if it is
    /// `len` bytes long at most.
    #[cold]
    pub(crate) fn rescue(&self, nodes: &Nodes<'_>, len: u32) -> Option<SeqNum> {
        let (_, max) = self.ranges.ends();
        let is_open = self.ranges.last_flags(nodes) == Some(Flags::NONE);
        let can = is_open && !self.is_rescued && self.ranges.sacked_len() > 0;
        can.then(|| (max - len).max(self.rack.fack))
    }

    /// Where a probe begins that sends the last segment again, of `len` bytes at most.
    pub(crate) fn tail(&self, len: u32) -> SeqNum {
        let (una, max) = self.ranges.ends();
        (max - len).max(una)
    }

    /// Sets the time of the probe (RFC 8985 7.2), which is stale, once all that may be sent has
    /// been. `until` is when the retransmission timer fires: never later than that.
    #[inline(always)]
    pub(crate) fn set_probe(&mut self, timing: ProbeTiming) {
        let ProbeTiming {
            can,
            srtt,
            smss,
            now,
            until,
        } = timing;
        self.probe.is_stale = false;
        let can = can
            && !self.probe.is_asked()
            && srtt != Duration::ZERO
            && self.ranges.sacked_len() == 0
            && self.reorder_at == Instant::NEVER;
        self.probe.at = if can {
            let is_alone = self.ranges.len() <= smss;
            Deadline::after(now, Probe::timeout(srtt, is_alone)).min(until)
        } else {
            Deadline::NEVER
        };
    }

    /// The earliest of the times at which something is to be done.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Deadline {
        if self.reorder_at == Instant::NEVER {
            return self.probe.at;
        }
        self.probe.at.min(Deadline::at(self.reorder_at))
    }
}

/// What decides on the time of a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbeTiming {
    /// Nothing is being recovered, and both windows are open.
    pub(crate) can: bool,
    pub(crate) srtt: Duration,
    pub(crate) smss: u32,
    pub(crate) now: Instant,
    pub(crate) until: Deadline,
}

/// Microseconds as ranges keep them: half of the 71 minutes after which
/// they wrap is longer than anything measured lasts.
#[inline]
pub(crate) fn wrapped(now: Instant) -> u32 {
    now.as_micros() as u32
}

/// Microseconds from then to now: none, if the times of one moment were drawn apart.
#[inline]
pub(crate) fn elapsed_us(now_us: u32, then_us: u32) -> u32 {
    u32::try_from(now_us.wrapping_sub(then_us) as i32).unwrap_or(0)
}

/// How far apart two sends may be that are told as one range when there are many.
#[inline]
fn slack_us(srtt: Duration) -> u32 {
    // A timeout is bounded, so this fits.
    (srtt.as_micros() / SLACK_PART) as u32
}

/// What is sent within this part of a round trip may be told as one range.
const SLACK_PART: u64 = 64;
