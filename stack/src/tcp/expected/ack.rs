//! The short cut once more, for the connection that the last expected segment was for: what it
//! looked like is compared, and what is known of the connection is not asked again.

use simoom_ring::{RxChecksum, RxPacket, TxRing};

use super::headers::Headers;
use super::image::Next;
use crate::tcp::app::App;
use crate::tcp::cc::Congestion;
use crate::tcp::flags::TcbFlags;
use crate::tcp::slots::{Live, NONE};
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
        let (seq, ack, timestamps) = (next.seq(), next.ack(), next.timestamps());
        let wnd = next.wnd();
        if next.payload_len > 0 || ack == tcb.snd.una || pkt.csum == RxChecksum::Unknown {
            return self.input_alike_at_length(cx, idx, pkt);
        }
        #[cfg(debug_assertions)]
        let is_expected = self.flights.get(tcb.flight).is_none()
            || next.headers().is_some_and(|headers| {
                headers.is_expected(tcb, &self.flights, cx.net.budget(), cx.now)
            });
        let Some(flight) = self.flights.get_mut(tcb.flight) else {
            return Some(pkt);
        };
        #[cfg(debug_assertions)]
        assert!(
            is_expected,
            "what is known of a connection is forgotten when it changes"
        );
        self.unsettled = idx;
        self.has_moved = true;
        let counters = &mut cx.net.counters;
        counters.rx_frames += 1;
        counters.rx_bytes += pkt.frame.len() as u64;
        counters.tcp_segments_in += 1;
        counters.tcp_short_cuts += 1;
        tcb.keep.heard(cx.now);
        tcb.acked_plainly(&mut self.bodies, flight, (ack, Some(timestamps)), cx.now);
        // RFC 9293 3.10.7.4, fifth, ESTABLISHED: unless a later segment has told another one.
        if !tcb.snd.wl1.after(seq) {
            tcb.snd.wl1 = seq;
            tcb.snd.wnd = wnd.scaled(tcb.snd.wscale);
            tcb.snd.wnd_max = tcb.snd.wnd_max.max(tcb.snd.wnd);
        }
        tcb.ts.update(timestamps, seq, cx.now);
        // The frame goes home first: a window that goes out tells what there is, and so does
        // whether bytes may be generated.
        let RxPacket { frame, rest, .. } = pkt;
        drop(frame);
        // It is empty: there is nothing to send home.
        core::mem::forget(rest);
        if tcb.flags.has(TcbFlags::WANTS_TO_SEND) {
            self.tell_writable(cx, idx);
            self.look_again(idx);
            self.after_offer(cx, idx);
        } else if !tcb.rcv.is_wide_open() {
            self.after_offer(cx, idx);
        }
        None
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
            && (headers.payload_len == 0 || headers.fits(tcb, cx.net.budget()))
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
