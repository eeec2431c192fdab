//! The short cut once more, for the connection that the last expected segment was for: what it
//! looked like is compared, and what is known of the connection is not asked again.

use simoom_ring::{RxChecksum, RxPacket, TxRing};

use super::fits;
use super::headers::Headers;
use super::image::Next;
use crate::net::Net;
use crate::tcp::app::App;
use crate::tcp::cc::Congestion;
use crate::tcp::flags::TcbFlags;
use crate::tcp::idx::NONE;
use crate::tcp::slots::Live;
use crate::tcp::tcb::Tcb;
use crate::tcp::{Cx, Tcp};
use crate::time::Instant;

impl Next<'_> {
    /// Whether it is what comes next on a connection that is known to be quiet, and of which the
    /// last segment looked the same.
    #[inline(always)]
    fn follows<C: Congestion>(&self, tcb: &Tcb<'_, C>, now: Instant) -> bool {
        let to_ack = self.ack().0.wrapping_sub(tcb.snd.una.0);
        let to_max = tcb.snd.max.0.wrapping_sub(tcb.snd.una.0);
        self.seq() == tcb.rcv.nxt
            && to_ack <= to_max
            && self.wnd().0 != 0
            && tcb.snd.wnd.0 != 0
            && tcb.rcv.is_all_read()
            && !tcb.ts.is_old(self.timestamps(), now)
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// A frame came in. Gives it back, with nothing changed, unless it is a segment that looks like
    /// the last expected one and follows it.
    #[inline(always)]
    pub(super) fn input_alike<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        pkt: RxPacket<'p>,
    ) -> Option<RxPacket<'p>> {
        let Some(next) = self.image.read(cx.net, &pkt) else {
            return Some(pkt);
        };
        let is_short = next.text.is_empty() && pkt.csum != RxChecksum::Unknown;
        if !self.acks.is_empty() {
            if is_short && self.acks.add(next.ack(), next.said(), pkt.frame.len()) {
                pkt.go_home();
                return None;
            }
            self.take_all_acks(cx.net, cx.now);
        }
        let idx = self.image.idx();
        if self.unsettled != idx && self.unsettled != NONE {
            // What is to be sent takes frames: it counts whether there is room.
            self.settle_last(cx);
        }
        let Some(Live { tcb, .. }) = self.conns.live(idx) else {
            return Some(pkt);
        };
        if !next.follows(tcb, cx.now) {
            return Some(pkt);
        }
        if !next.text.is_empty() {
            let len = next.text.len();
            let shown = self.data_alike(cx, idx, &next, &pkt);
            return self.data_shown(cx, idx, (pkt, len), shown);
        }
        let ack = next.ack();
        if !is_short || ack == tcb.snd.una {
            return self.input_alike_at_length(cx, idx, pkt);
        }
        if self.flights.get(tcb.flight).is_none() {
            return Some(pkt);
        }
        debug_assert!(
            (next.headers()).is_some_and(|headers| {
                headers.is_expected(tcb, &self.flights, cx.net.budget(), cx.now)
            }),
            "what is known of a connection is forgotten when it changes"
        );
        self.unsettled = idx;
        self.has_moved = true;
        tcb.keep.heard(cx.now);
        tcb.snd.window_told(next.seq(), next.wnd());
        tcb.ts.update(next.timestamps(), next.seq(), cx.now);
        self.acks
            .begin((ack, tcb.snd.max), next.said(), pkt.frame.len());
        let may_say = tcb.rcv.may_open(cx.net.rmss());
        let is_watched = may_say || tcb.flags.has(TcbFlags::WANTS_TO_SEND);
        // The frame goes home first: a window that goes out tells what there is, and so does
        // whether bytes may be generated.
        pkt.go_home();
        if is_watched {
            self.take_acks(cx.net, cx.now);
            if self.tell_writable(cx, idx) {
                self.look_again(idx);
            }
            if may_say {
                self.after_offer(cx, idx);
            }
        }
        None
    }

    /// Takes the acknowledgments that wait, if any do.
    #[inline(always)]
    pub(super) fn take_acks(&mut self, net: &mut Net<'p>, now: Instant) {
        if !self.acks.is_empty() {
            self.take_all_acks(net, now);
        }
    }

    #[inline(never)]
    fn take_all_acks(&mut self, net: &mut Net<'p>, now: Instant) {
        let (acks, frames_len) = self.acks.take();
        let counters = &mut net.counters;
        counters.rx_frames += acks.len() as u64;
        counters.rx_bytes += frames_len;
        counters.tcp_segments_in += acks.len() as u64;
        counters.tcp_short_cuts += acks.len() as u64;
        if let Some(Live { tcb, .. }) = self.conns.live(self.unsettled)
            && let Some(flight) = self.flights.get_mut(tcb.flight)
        {
            match *acks {
                [ack] => tcb.acked_plainly(&mut self.bodies, flight, (ack, None), now),
                _ => tcb.acked_in_a_row(&mut self.bodies, flight, acks, now),
            }
        }
    }

    /// What brings data, or has to be summed, and follows as far as acknowledgment and time go.
    #[inline(never)]
    fn input_alike_at_length<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        pkt: RxPacket<'p>,
    ) -> Option<RxPacket<'p>> {
        let front = pkt.frame.bytes().first_chunk();
        if let Some(headers) = front.and_then(Headers::of_usual)
            && let Some(Live { tcb, .. }) = self.conns.live(idx)
            && (headers.payload_len == 0 || fits(tcb, headers.payload_len, cx.net.budget()))
            && match headers.ack == tcb.snd.una {
                true => headers.payload_len > 0,
                false => self.flights.get(tcb.flight).is_some(),
            }
            && headers.is_summed_right(&pkt)
        {
            debug_assert!(headers.is_expected(tcb, &self.flights, cx.net.budget(), cx.now));
            self.arrives_expected(cx, idx, &headers, pkt.frame);
            return None;
        }
        Some(pkt)
    }
}
