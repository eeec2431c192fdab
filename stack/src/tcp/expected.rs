//! The short cut for what nearly every segment is (header prediction: Jacobson, "4BSD TCP Header
//! Prediction", 1990).
//!
//! ```text
//!   frame ─► headers: of the usual shape, for us? ─► connection: the last one, or by hash
//!         ─► next in the stream, ACK and at most PSH, windows open, nothing missing?
//!            yes: checksum, acknowledge, hand over         no: the long way, past Ethernet and IP
//!                 next of the burst for it, too: once more; else: send what follows
//! ```
//!
//! A segment that takes the short cut moves what the steps of RFC 9293 3.10.7.4 would move, and
//! what goes out is the same bytes; the long way is the reference, and a simulation compares both.
//! Everything else takes the long way: other states, any other control bit, urgent data, marks,
//! SACK blocks, gaps, closed windows, recoveries, options that are not just timestamps, frames that
//! are short, datagrams with options or in pieces. A window that is another one than before is
//! usual: that of a receiver that tunes itself grows with nearly every segment.
//!
//! What follows from expected segments of one connection that come one behind the other in a burst
//! goes out behind the last of them: nothing of it would have left before the burst is over. A
//! window that opens by many acknowledgments is filled by one run, or one super-segment.

mod ack;
mod acked;
mod acks;
mod asked;
mod closing;
mod data;
mod headers;
mod image;
mod opened;

use simoom_ring::{Frame, RxPacket, TxRing};

use super::app::App;
use super::budget::Budget;
use super::cc::Congestion;
use super::demux::Found;
use super::flags::{SndFlags, TcbFlags};
use super::flight::Flights;
use super::idx::NONE;
use super::slots::Live;
use super::snd::Phase;
use super::state::State;
use super::tcb::Tcb;
use super::tuple::Tuple;
use super::{Cx, Tcp};
use crate::config::FRAMES_RESERVED;
use crate::time::Instant;
use crate::wire::tcp::Ctl;

pub(super) use self::acks::Acks;
use self::asked::Offer;
use self::headers::Headers;
pub(super) use self::image::Image;

/// Whether nothing is the matter with a connection.
#[inline]
fn is_quiet<C: Congestion>(tcb: &Tcb<'_, C>) -> bool {
    let Tcb { snd, rcv, .. } = tcb;
    tcb.state() == State::Established
        && !tcb.opening.is_unacked()
        && !tcb.flags.has(UNUSUAL)
        && !snd.flags.has(SND_UNUSUAL)
        && snd.phase == Phase::Open
        && !tcb.ecn.is_on()
        && !rcv.gap.is_some()
}

impl Headers {
    /// Whether it is what comes next on a connection where nothing is the matter.
    #[inline]
    fn is_expected<'p, C: Congestion>(
        &self,
        tcb: &Tcb<'p, C>,
        flights: &Flights<'p>,
        budget: Budget<'p>,
        now: Instant,
    ) -> bool {
        if !is_quiet(tcb) {
            return false;
        }
        let Tcb { snd, rcv, .. } = tcb;
        let is_next = self.seq == rcv.nxt
            && snd.wnd.0 != 0
            && self.wnd.0 != 0
            && !self.ack.before(snd.una)
            && !self.ack.after(snd.max);
        if !is_next {
            return false;
        }
        let is_recent = match self.timestamps {
            Some(theirs) => tcb.ts.is_on() && !tcb.ts.is_old(theirs, now),
            None => !tcb.ts.is_on(),
        };
        let is_good_ack = if self.ack == snd.una {
            self.payload_len > 0
        } else {
            tcb.is_sack_permitted()
                && flights
                    .get(tcb.flight)
                    .is_some_and(|(flight, _)| flight.is_untroubled())
        };
        // What the application has not taken yet is offered again when there is room to answer.
        let is_all_read = tcb.rcv.is_all_read();
        let fits = self.payload_len == 0 || fits(tcb, self.payload_len, budget);
        is_recent && is_good_ack && is_all_read && fits
    }
}

/// Whether there is room for so many bytes that come next.
#[inline]
fn fits<'p, C>(tcb: &Tcb<'p, C>, len: usize, budget: Budget<'p>) -> bool {
    len <= tcb.rcv.wnd() as usize && budget.pool.free_cnt() >= FRAMES_RESERVED && !budget.is_short()
}

impl<'p, A: App> Tcp<'p, A> {
    /// A frame came in. Gives it back, with nothing changed, unless it is a segment that can be
    /// taken from here on.
    #[inline]
    pub(crate) fn input_expected<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        pkt: RxPacket<'p>,
    ) -> Option<RxPacket<'p>> {
        let pkt = self.input_alike(cx, pkt)?;
        self.take_acks(cx.net, cx.now);
        self.image.forget();
        let Some(headers) = Headers::read(cx.net, &pkt) else {
            self.settle_last(cx);
            return Some(pkt);
        };
        let (hash, mut found) = self.find_again(headers.tuple);
        if headers.is_plain()
            && let Some(Found::Conn(idx)) = found
            && self.expects(cx, idx, &headers, &pkt)
        {
            if !self.settings.short_cuts {
                self.may_wait = true;
                return Some(pkt);
            }
            self.remember(cx, (idx, &headers), &pkt);
            self.arrives_expected(cx, idx, &headers, pkt.frame);
            return None;
        }
        self.settle_last(cx);
        if let Some(Found::Conn(idx)) = found
            && self.conns.tcb(idx).is_none()
        {
            // That was the end of it.
            found = None;
        }
        // What is wrong with it is counted on the long way.
        let (_, from) = headers.tuple.addrs();
        if !cx.net.is_host(from) || !headers.is_summed_right(&pkt) {
            return Some(pkt);
        }
        let pkt = self.turn(cx, (hash, found), &headers, pkt)?;
        if !self.settings.short_cuts {
            return Some(pkt);
        }
        self.arrives_whole(cx, (hash, found), &headers, pkt);
        None
    }

    /// A segment came in that is whole and good. Gives it back, with nothing changed, unless it is
    /// the plainest of those that a connection begins or ends with.
    #[inline(never)]
    fn turn<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        (hash, found): (u64, Option<Found>),
        headers: &Headers,
        pkt: RxPacket<'p>,
    ) -> Option<RxPacket<'p>> {
        match found {
            Some(Found::Syn(idx)) if self.expects_completion(idx, headers, cx.now) => {
                if !self.settings.short_cuts {
                    self.may_wait = true;
                    return Some(pkt);
                }
                cx.net.counters.short_cut_taken(pkt.frame.len());
                let conn = self.promote(cx, idx, hash)?;
                // What follows in the burst looks like it. Who accepts later cannot take it yet.
                if !A::ACCEPTS_LATER {
                    self.remember(cx, (conn, headers), &pkt);
                }
                // The frame goes home first: a window that goes out tells what there is.
                pkt.go_home();
                self.completes(cx, conn, headers);
            }
            Some(Found::Conn(idx)) if self.settings.short_cuts => {
                let Some(Live {
                    tcb,
                    state: Some(_),
                }) = self.conns.live(idx)
                else {
                    return Some(pkt);
                };
                let Some(close) = headers.closes(tcb, &self.flights, cx.now) else {
                    return Some(pkt);
                };
                cx.net.counters.short_cut_taken(pkt.frame.len());
                pkt.go_home();
                self.arrives_closing(cx, idx, close, headers);
            }
            // The frame stays while the SYN-ACK is made, as on the long way.
            None if self.settings.short_cuts && headers.ctl == Ctl::SYN => {
                let offer = Offer::read(headers, pkt.frame.bytes());
                if !offer.is_some_and(|offer| self.is_answered(cx, hash, headers, offer)) {
                    return Some(pkt);
                }
                cx.net.counters.short_cut_taken(pkt.frame.len());
                pkt.go_home();
            }
            _ => return Some(pkt),
        }
        None
    }

    /// Takes the image of an expected segment, if its connection expects any acknowledgment, too.
    #[inline]
    fn remember<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        (idx, headers): (u32, &Headers),
        pkt: &RxPacket<'p>,
    ) {
        if let Some(tcb) = self.conns.tcb(idx)
            && tcb.is_sack_permitted()
            && (self.flights.get(tcb.flight)).is_none_or(|(flight, _)| flight.is_untroubled())
        {
            self.image.take((idx, headers), cx.net, pkt);
        }
    }

    /// Whether a segment is what comes next on its connection.
    #[inline]
    fn expects<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
        pkt: &RxPacket<'p>,
    ) -> bool {
        if idx != self.unsettled {
            // What is to be sent takes frames: it counts whether there is room.
            self.settle_last(cx);
        }
        let Some(Live {
            tcb,
            state: Some(_),
        }) = self.conns.live(idx)
        else {
            return false;
        };
        let is_expected = headers.is_expected(tcb, &self.flights, cx.net.budget(), cx.now);
        // Prediction changes nothing, so it may look at what is not verified.
        is_expected && headers.is_summed_right(pkt)
    }

    /// What a four-tuple leads to, and its hash: the last connection again, for which the hash is
    /// not made, or by that.
    #[inline]
    fn find_again(&mut self, tuple: Tuple) -> (u64, Option<Found>) {
        if self.conns.is(self.recent, tuple) {
            return (0, Some(Found::Conn(self.recent)));
        }
        let hash = self.demux.hash(tuple);
        let found = self.find(hash, tuple);
        if let Some(Found::Conn(idx)) = found {
            self.recent = idx;
        }
        (hash, found)
    }

    /// A segment that is whole and good is not what is expected: the long way, from where Ethernet
    /// and IP have nothing left to ask.
    fn arrives_whole<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        (hash, found): (u64, Option<Found>),
        headers: &Headers,
        mut pkt: RxPacket<'p>,
    ) {
        let counters = &mut cx.net.counters;
        counters.rx_frames += 1;
        counters.rx_bytes += pkt.frame.len() as u64;
        counters.tcp_segments_in += 1;
        let (seg, options) = headers.parts(pkt.frame.bytes());
        // What Ethernet has padded.
        pkt.frame.trim(headers.len + headers.payload_len);
        pkt.frame.pull(headers.len);
        let found = (headers.tuple, hash, found);
        self.arrives_for(cx, found, seg, &options, pkt, headers.len);
    }

    /// The fifth to seventh steps of SEGMENT ARRIVES, as far as there is anything left of them.
    #[inline]
    fn arrives_expected<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
        frame: Frame<'p>,
    ) {
        cx.net.counters.short_cut_taken(frame.len());
        let Some(Live { tcb, .. }) = self.conns.live(idx) else {
            return;
        };
        self.unsettled = idx;
        tcb.keep.heard(cx.now);
        let has_room = headers.ack != tcb.snd.una;
        if has_room && let Some(flight) = self.flights.get_mut(tcb.flight) {
            let ack = (headers.ack, headers.timestamps);
            tcb.acked_plainly(&mut self.bodies, flight, ack, cx.now);
            self.has_moved = true;
        }
        tcb.snd.window_told(headers.seq, headers.wnd);
        if let Some(theirs) = headers.timestamps {
            tcb.ts.update(theirs, headers.seq, cx.now);
        }
        let may_send = has_room && tcb.flags.has(TcbFlags::WANTS_TO_SEND);
        if headers.payload_len > 0 {
            self.data_arrives(cx, idx, headers, frame, may_send);
            return self.look_again(idx);
        }
        // The frame goes home first: a window that goes out tells what there is, and so does
        // whether bytes may be generated.
        drop(frame);
        if may_send && self.tell_writable(cx, idx) {
            self.look_again(idx);
        }
        self.after_offer(cx, idx);
    }

    /// The application has been called: what it asked for may be more than what is expected.
    #[inline]
    fn look_again(&mut self, idx: u32) {
        let is_quiet = |tcb: &mut Tcb<'p, _>| is_quiet(tcb) && tcb.rcv.is_all_read();
        if !self.conns.tcb(idx).is_some_and(is_quiet) {
            self.image.forget_of(idx);
        }
    }

    /// Says that the window is wider, if what was taken has made it so.
    #[inline]
    fn after_offer<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if let Some(tcb) = self.conns.tcb(idx)
            && !tcb.flags.has(TcbFlags::ABORT_DUE)
            && tcb.state().can_receive()
            && tcb.rcv.window_opened(cx.net.budget())
        {
            tcb.flags.set(TcbFlags::ACK_DUE);
        }
    }

    /// The burst is over, or something else comes: sends what follows from the last expected
    /// segments.
    #[inline(always)]
    pub(crate) fn settle_last<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>) {
        // Acknowledgments that wait are of the connection that is not settled.
        if self.unsettled != NONE {
            self.settle_unsettled(cx);
        }
    }

    #[inline(never)]
    fn settle_unsettled<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>) {
        self.take_acks(cx.net, cx.now);
        let idx = core::mem::replace(&mut self.unsettled, NONE);
        if idx != NONE {
            let is_settled = self.settings.short_cuts
                && (!self.has_moved && self.settle_quietly(cx, idx) || self.settle_acked(cx, idx));
            if !is_settled {
                self.settle(cx, idx);
            }
            self.has_moved = false;
        }
    }
}

/// What would have to be looked at.
const UNUSUAL: TcbFlags = TcbFlags::ABORT_DUE
    .with(TcbFlags::PROBE_OPEN)
    .with(TcbFlags::PROBE_UNMEASURED)
    .with(TcbFlags::KEEP_ALIVE_DUE);
const SND_UNUSUAL: SndFlags = SndFlags::HAS_FIN
    .with(SndFlags::REXMT_DUE)
    .with(SndFlags::PROBE_DUE);
