//! What acknowledgments and timeouts mean to congestion control, and how losses are found out and
//! recovered from.
//!
//! ```text
//!              RACK: something is lost (RFC 8985), or the third duplicate (RFC 6582)
//!      ┌──────┐ ─────────────────────────────────────────► ┌──────────┐
//!      │ Open │ ◄───────────────────────────────────────── │ Recovery │ sends by PRR (RFC 6937)
//!      └──────┘  SND.UNA reaches `recover`, or it was       └──────────┘
//!        ▲  │    for nothing (RFC 2883)                         │
//!        │  │ timeout                ┌──────┐      timeout      │
//!        │  └──────────────────────► │ Loss │ ◄─────────────────┘
//!        └────────────────────────── └──────┘ slow start through what is lost (RFC 5681 3.1)
//!          `recover`, or it was for nothing (RFC 5682)
//! ```
//!
//! With SACK, everything comes from the ranges in flight; without, duplicates are counted, and each
//! partial acknowledgment shows one hole. Without an entry in the table of flights it is as
//! without SACK, and cwnd alone says how much goes out.

use crate::config::DUPACKS;
use crate::counters::Counters;
use crate::tcp::cc::{Congestion, Delays, Signal};
use crate::tcp::flags::SndFlags;
use crate::tcp::flight::{Answer, Flights, ForNothing, Found, Frto, Heard, Progress, Told};
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::Phase;
use crate::tcp::tcb::Tcb;
use crate::time::{Duration, Instant};

/// A connection whose losses are looked after.
pub(crate) struct Recovery<'a, 'p, C> {
    pub(crate) tcb: &'a mut Tcb<'p, C>,
    pub(crate) flights: &'a mut Flights<'p>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) now: Instant,
}

/// What an acceptable acknowledgment has brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// SND.UNA has moved.
    pub(crate) has_moved: bool,
    /// By so many bytes of data.
    pub(crate) len: u32,
    /// Bytes that have arrived and had not been SACKed before.
    pub(crate) delivered: u32,
    /// Bytes that were SACKed.
    pub(crate) sacked: u32,
    /// Something that was sent once has arrived, of what was in flight when the recovery began.
    pub(crate) is_original: bool,
    /// Something that was sent again has arrived.
    pub(crate) is_again: bool,
    /// The echo proves that this, which was sent again, was not lost.
    pub(crate) eifel: Option<(SeqNum, SeqNum)>,
    /// Unless its acknowledgment was, and this is another.
    pub(crate) is_ambiguous: bool,
    /// What has arrived twice.
    pub(crate) dsack: Option<(SeqNum, SeqNum)>,
    /// The round-trip time that it measures.
    pub(crate) rtt: Option<Duration>,
    /// A duplicate as RFC 5681 2 defines it.
    pub(crate) is_duplicate: bool,
    /// With SACK blocks.
    pub(crate) has_blocks: bool,
    /// It echoes a congestion mark.
    pub(crate) is_mark_echoed: bool,
}

impl News {
    /// Takes over what the ranges have told.
    #[inline]
    pub(crate) fn take(&mut self, told: &Told<'_>) {
        self.delivered = told.len;
        self.sacked = told.sacked_len;
        self.is_original = told.is_original;
        self.is_again = told.is_again;
        self.eifel = told.eifel;
        self.dsack = told.dsack;
    }
}

impl<C: Congestion> Recovery<'_, '_, C> {
    /// An acknowledgment has moved what it moves.
    #[inline]
    pub(crate) fn acknowledged(&mut self, news: &News) {
        if self.tcb.cc.wants_rounds()
            && let Some((flight, _)) = self.flights.get_mut(self.tcb.flight)
        {
            flight.meter.delivered(news.delivered);
        }
        if self.is_selective() {
            // In order, with nothing missing: nearly always.
            let is_plain = news.has_moved && !news.has_blocks && !news.is_again;
            if is_plain && self.is_untroubled() {
                self.tcb.snd.dupacks = 0;
                return self.grow(news);
            }
            self.acknowledged_selectively(news);
        } else if news.has_moved {
            self.acknowledged_up_to(news);
        } else if news.is_duplicate {
            self.duplicate();
        }
    }

    /// Whether the far side tells what it has.
    #[inline]
    fn is_selective(&self) -> bool {
        self.tcb.is_sack_permitted() && self.flights.get(self.tcb.flight).is_some()
    }

    /// Whether nothing is missing, nothing is asked, nothing is waited for.
    #[inline]
    fn is_untroubled(&self) -> bool {
        let is_quiet = |flights: &Flights<'_>| {
            flights.get(self.tcb.flight).is_some_and(|(flight, _)| {
                flight.ranges.sacked_len() == 0
                    && !flight.probe.is_asked()
                    && flight.reorder_at == Instant::NEVER
            })
        };
        self.tcb.snd.phase == Phase::Open && is_quiet(self.flights)
    }

    /// With SACK (RFC 6675 5, with RFC 8985 in place of its IsLost).
    #[cold]
    fn acknowledged_selectively(&mut self, news: &News) {
        let tcb = &mut *self.tcb;
        if news.has_moved {
            tcb.snd.dupacks = 0;
        } else if news.sacked > 0 {
            tcb.snd.dupacks = tcb.snd.dupacks.saturating_add(1);
        }
        let (una, max) = (tcb.snd.una, tcb.snd.max);
        let (mut answer, mut shown) = (Answer::None, ForNothing::NotOurs);
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            shown = flight.was_for_nothing([news.eifel, news.dsack]);
            let was_hasty = shown != ForNothing::NotOurs;
            flight.rack.adapt(&mut tcb.reordering, una, max, was_hasty);
            if news.rtt.is_some() {
                flight.probe.measured();
            }
            answer = flight.probe.heard(Heard {
                ack: una,
                dsack_end: news.dsack.map(|(_, right)| right),
                is_plain_duplicate: news.is_duplicate && !news.has_blocks,
                is_eifel: news.eifel.is_some(),
            });
        }
        if shown == ForNothing::All {
            self.undo();
        }
        let is_past = !una.before(self.tcb.snd.recover);
        match self.tcb.snd.phase {
            // What this acknowledges was sent into the window that was too small.
            Phase::Open if shown == ForNothing::All => {}
            Phase::Open => {
                self.grow(news);
                if answer == Answer::Repaired {
                    // RFC 8985 7.4.2: as after a fast recovery. How much was in flight when it was
                    // lost is not known any more; cwnd as such is.
                    let cwnd = self.tcb.cc.cwnd();
                    let delays = self.delays();
                    self.tcb.lost(cwnd, delays, self.now);
                }
            }
            Phase::Recovery if is_past => self.recovered(),
            Phase::Recovery => {}
            Phase::Loss => {
                if self.find_out(news) {
                    return;
                }
                self.grow(news);
                if is_past {
                    self.recovered();
                }
            }
        }
        let found = self.detect();
        if self.tcb.snd.phase == Phase::Recovery {
            self.lost_again(found);
            let delivered = news.delivered;
            self.proportionally(delivered, news.has_moved && !found.is_lost);
        } else if self.tcb.snd.phase == Phase::Open && found.is_lost {
            self.enter_recovery(news.delivered);
        }
    }

    /// Something that was sent again is lost, too: the window is reduced once more (RFC 5681 4.3),
    /// though not twice a round trip.
    fn lost_again(&mut self, found: Found) {
        let srtt = self.tcb.rtt.srtt();
        let began = self
            .flights
            .get(self.tcb.flight)
            .map_or(self.now, |(flight, _)| flight.recovery_at);
        if found.is_lost_again && self.now.since(began) > srtt {
            self.enter_recovery(0);
        }
    }

    /// Looks for what is lost by now.
    fn detect(&mut self) -> Found {
        let wnd_us = self.reo_wnd_us();
        let Some((flight, nodes)) = self.flights.get_mut(self.tcb.flight) else {
            return Found::default();
        };
        flight.detect(nodes, wnd_us, self.now)
    }

    /// RACK.reo_wnd: nothing is waited for in a recovery, or once as much has arrived behind a gap
    /// as means a loss (RFC 6675 5), unless packets are known to be reordered.
    fn reo_wnd_us(&self) -> u32 {
        let tcb = &*self.tcb;
        let Some((flight, _)) = self.flights.get(tcb.flight) else {
            return 0;
        };
        let enough = u32::from(DUPACKS - 1).saturating_mul(tcb.snd.smss.into());
        let is_hasty = tcb.snd.phase != Phase::Open
            || tcb.snd.dupacks >= DUPACKS
            || flight.ranges.sacked_len() > enough;
        // A round-trip time is bounded by the longest timeout, so this fits.
        let srtt_us = tcb.rtt.srtt().as_micros() as u32;
        flight.rack.reo_wnd_us(tcb.reordering, is_hasty, srtt_us)
    }

    /// The reordering timer has fired (RFC 8985 6.3).
    pub(crate) fn reordering_timeout(&mut self) {
        let found = self.detect();
        match self.tcb.snd.phase {
            Phase::Open if found.is_lost => self.enter_recovery(0),
            Phase::Recovery => {
                self.lost_again(found);
                self.proportionally(0, false);
            }
            _ => {}
        }
    }

    /// What an acknowledgment of new data means to congestion control, outside of a recovery.
    fn grow(&mut self, news: &News) {
        if news.len == 0 {
            return;
        }
        let flight = self.flights.get_mut(self.tcb.flight);
        let meter = flight.map(|(flight, _)| &mut flight.meter);
        let acked = self.tcb.acked_of(meter, news.len, news.rtt, self.now);
        // RFC 3168 6.1.2: who echoes a mark does not make room for more.
        if !news.is_mark_echoed {
            self.tcb.cc.acked(self.tcb.snd.smss, &acked);
        }
    }

    /// SND.UNA has moved, of a far side without SACK (RFC 6582 3.2).
    fn acknowledged_up_to(&mut self, news: &News) {
        self.tcb.snd.dupacks = 0;
        let is_past = !self.tcb.snd.una.before(self.tcb.snd.recover);
        match self.tcb.snd.phase {
            Phase::Open => self.grow(news),
            Phase::Recovery if is_past => self.recovered(),
            Phase::Recovery => return self.partially_acked(news),
            Phase::Loss => {
                if self.find_out(news) {
                    return;
                }
                self.grow(news);
                if is_past {
                    self.recovered();
                }
            }
        }
        if let Some((flight, _)) = self.flights.get_mut(self.tcb.flight) {
            flight.dup_len = 0;
        }
    }

    // RFC 6582 3.2, step 5: a partial acknowledgment. The next hole begins right here.
    fn partially_acked(&mut self, news: &News) {
        let tcb = &mut *self.tcb;
        tcb.snd.flags.set(SndFlags::REXMT_DUE);
        let smss = u32::from(tcb.snd.smss);
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            // Of what arrives now, duplicate acknowledgments have told all but the first segment.
            let told = flight.dup_len;
            flight.dup_len = told.saturating_sub(news.len.saturating_sub(smss));
            let least = smss.min(news.delivered);
            let delivered = news.delivered.saturating_sub(told).max(least);
            self.proportionally(delivered, false);
        }
    }

    /// A duplicate acknowledgment, of a far side without SACK.
    fn duplicate(&mut self) {
        let tcb = &mut *self.tcb;
        let smss = u32::from(tcb.snd.smss);
        tcb.snd.dupacks = tcb.snd.dupacks.saturating_add(1);
        let (dupacks, phase) = (tcb.snd.dupacks, tcb.snd.phase);
        if phase == Phase::Loss {
            // RFC 6582 3.2, step 6: no fast retransmit for what is sent again now.
            return self.duplicate_in_loss();
        }
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight)
            && (dupacks <= DUPACKS || phase == Phase::Recovery)
        {
            // One more segment has left the network: one more may go out (RFC 3042 2).
            flight.dup_len = flight.dup_len.saturating_add(smss);
        }
        if phase == Phase::Recovery {
            self.proportionally(smss, false);
        } else if dupacks == DUPACKS {
            tcb.snd.flags.set(SndFlags::REXMT_DUE);
            self.enter_recovery(smss);
        }
    }

    // RFC 5682 2.1, step 3a: the loss was real. What the duplicate stands for is one of the new
    // segments that have asked.
    fn duplicate_in_loss(&mut self) {
        let (snd, smss) = (&self.tcb.snd, u32::from(self.tcb.snd.smss));
        if let Some((flight, _)) = self.flights.get_mut(self.tcb.flight) {
            flight.frto = Frto::Off;
            let new = snd.max.bytes_since(snd.recover);
            flight.dup_len = flight.dup_len.saturating_add(smss).min(new);
        }
    }

    /// A loss has been seen: cwnd is reduced once for all that is in flight now (RFC 5681 3.2).
    fn enter_recovery(&mut self, delivered: u32) {
        let delays = self.delays();
        let tcb = &mut *self.tcb;
        self.counters.tcp_recoveries += 1;
        let flight_size = tcb.snd.flight_size();
        tcb.snd.phase = Phase::Recovery;
        tcb.snd.recover = tcb.snd.max;
        tcb.lost(flight_size, delays, self.now);
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            flight.begin_recovery(flight_size, self.now);
        }
        self.proportionally(delivered, false);
    }

    /// How long the path takes.
    fn delays(&self) -> Delays {
        let flight = self.flights.get(self.tcb.flight);
        flight.map_or(Delays::UNKNOWN, |(flight, _)| flight.delays())
    }

    /// All that was in flight when the loss was seen has arrived: cwnd is where it should be.
    fn recovered(&mut self) {
        let tcb = &mut *self.tcb;
        tcb.snd.phase = Phase::Open;
        tcb.snd.dupacks = 0;
        tcb.reordering.recovered();
        self.set_frto(Frto::Off);
    }

    /// Says how much may go out for what has been delivered during the recovery (RFC 6937).
    fn proportionally(&mut self, delivered: u32, is_safe: bool) {
        let tcb = &mut *self.tcb;
        if let Some((flight, _)) = self.flights.get_mut(tcb.flight) {
            let progress = Progress {
                delivered,
                pipe: flight.pipe(),
                ssthresh: tcb.cc.cwnd(),
                smss: tcb.snd.smss.into(),
                is_safe,
            };
            flight.prr.acked(progress);
        }
    }

    /// RETRANSMISSION TIMEOUT of data (RFC 9293 3.10.8, RFC 5681 3.1, RFC 6298 5.4 to 5.6).
    pub(crate) fn timed_out(&mut self) {
        let reo_wnd_us = self.reo_wnd_us();
        let tcb = &mut *self.tcb;
        // A round-trip time is bounded by the longest timeout, so this fits.
        let srtt_us = tcb.rtt.srtt().as_micros() as u32;
        let was_in_loss = tcb.snd.phase == Phase::Loss;
        // RFC 5681 3.1: the window is halved once for one loss, however often it times out.
        if tcb.retransmits == 1 {
            let flight_size = match was_in_loss {
                // What is in flight is no more than this: the rest waits to be sent again.
                true => tcb.snd.flight_size().min(tcb.cc.cwnd()),
                false => tcb.snd.flight_size(),
            };
            tcb.note_early_loss();
            tcb.cc
                .signalled(tcb.snd.smss, Signal::Timeout, flight_size, self.now);
            tcb.reduced();
        }
        if let Some((flight, nodes)) = self.flights.get_mut(tcb.flight) {
            if !was_in_loss {
                flight.begin_recovery(tcb.snd.flight_size(), self.now);
            }
            if tcb.is_sack_permitted() {
                flight.timed_out(nodes, (reo_wnd_us, srtt_us), self.now);
            } else {
                flight.all_lost(nodes);
            }
            // RFC 5682 2.1, step 1: not for the second timeout of one series.
            flight.frto = if was_in_loss {
                Frto::Off
            } else {
                Frto::Waiting
            };
            tcb.snd.nxt = tcb.snd.max;
            tcb.snd.flags.set(SndFlags::REXMT_DUE);
        }
        // RFC 6582 3.2, step 6: no fast retransmit for what is sent again now.
        tcb.snd.recover = tcb.snd.max;
        tcb.snd.phase = Phase::Loss;
        tcb.snd.dupacks = 0;
    }

    fn set_frto(&mut self, frto: Frto) {
        if let Some((flight, _)) = self.flights.get_mut(self.tcb.flight) {
            flight.frto = frto;
        }
    }

    /// Finds out whether a timeout was for nothing (RFC 5682 2.1 and 3.1, steps 2 and 3; RFC 3522
    /// where there are timestamps). True if it was.
    fn find_out(&mut self, news: &News) -> bool {
        let is_selective = self.is_selective();
        let tcb = &mut *self.tcb;
        let Some((flight, _)) = self.flights.get_mut(tcb.flight) else {
            return false;
        };
        // Without SACK, what was sent again may have brought what lay behind it along.
        let is_original = news.is_original && (is_selective || !news.is_again);
        let is_inside = news.has_moved && tcb.snd.una.before(tcb.snd.recover);
        let is_for_nothing = match flight.frto {
            Frto::Off => return false,
            Frto::Waiting if news.eifel.is_some() && !news.is_ambiguous => true,
            Frto::Waiting if !is_inside => false,
            Frto::Waiting => {
                // New data goes first, if there is any that the window takes.
                let edge = tcb.snd.una + tcb.snd.wnd.0;
                if tcb.snd.has_unsent() && edge.after(tcb.snd.max) {
                    let until = tcb.snd.max + 2 * u32::from(tcb.snd.smss);
                    flight.frto = Frto::Asking { until };
                    return false;
                }
                false
            }
            Frto::Asking { .. } => is_original,
        };
        flight.frto = Frto::Off;
        if is_for_nothing {
            self.undo();
        }
        is_for_nothing
    }

    /// Nothing was lost: cwnd is what it was before, and what was taken for lost is in flight.
    fn undo(&mut self) {
        let tcb = &mut *self.tcb;
        self.counters.tcp_spurious += 1;
        tcb.snd.phase = Phase::Open;
        tcb.snd.dupacks = 0;
        tcb.snd.flags.clear(SndFlags::REXMT_DUE);
        tcb.cc.signalled(
            tcb.snd.smss,
            Signal::Spurious,
            tcb.snd.flight_size(),
            self.now,
        );
        if let Some((flight, nodes)) = self.flights.get_mut(tcb.flight) {
            flight.undo = None;
            flight.frto = Frto::Off;
            flight.dup_len = 0;
            flight.none_lost(nodes);
        }
    }
}
