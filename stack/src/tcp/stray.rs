//! Segments that may be for a connection of another stack with the same address.
//!
//! | found here | a segment that is for it | any other |
//! |---|---|---|
//! | connection | all | |
//! | half-open | what its SYN-ACK asked for, and the reset of it | stray, with a trace |
//! | TIME-WAIT | within the last window of it | stray, with a trace |
//! | nothing | an acknowledgment of a cookie of ours | stray |
//!
//! A SYN is never stray: any stack can open the connection. So one that comes twice, by two queues,
//! leaves a half-open connection too many, with an ISS that the other side has not taken. What the
//! other side acknowledges tells which of the two is its connection. When it completes the
//! handshake with one stack, the others hear of it, and forget what they have of the endpoints.

use simoom_ring::{RxChecksum, RxPacket};

use super::demux::Found;
use super::flood::Brought;
use super::tuple::Tuple;
use super::{App, Closed, Cx, Tcp};
use crate::addr::FourTuple;
use crate::config::RCV_WND_MAX;
use crate::iface::Stray;
use crate::wire::tcp::{Ctl, Options, Segment};

impl<'p, A: App> Tcp<'p, A> {
    /// Whether a segment for what was `found` of its endpoints belongs to no connection here; with
    /// `true` if there is a trace of one.
    #[inline(never)]
    pub(super) fn is_stray<T>(
        &self,
        cx: &Cx<'_, 'p, T, A>,
        found: Option<Found>,
        tuple: Tuple,
        seg: &Segment,
        options: &Options,
    ) -> Option<bool> {
        let is_reset = seg.ctl.has(Ctl::RST);
        if seg.ctl.has(Ctl::SYN) && seg.ack.is_none() && !is_reset {
            return None;
        }
        match found {
            Some(Found::Conn(_)) => None,
            Some(Found::Syn(idx)) => {
                let entry = self.syns.get(idx)?;
                let offset = seg.seq - (entry.irs + 1);
                let is_acked = seg.ack == Some(entry.iss + 1);
                let is_in_window = offset >= 0 && offset.unsigned_abs() <= RCV_WND_MAX;
                let is_its = is_acked && is_in_window || is_reset && offset == 0;
                (!is_its).then_some(true)
            }
            Some(Found::TimeWait(idx)) => {
                let old = self.time_waits.get(idx)?;
                let is_behind = |offset: i32| offset <= 0 && offset.unsigned_abs() <= RCV_WND_MAX;
                let is_its = is_behind(seg.seq - old.rcv_nxt)
                    && seg.ack.is_none_or(|ack| is_behind(ack - old.snd_nxt));
                (!is_its).then_some(true)
            }
            None => {
                let listener = self.listeners.find(tuple.local_port());
                let is_cookie = !is_reset
                    && listener.is_some_and(|listener| {
                        let brought = self.entry_of_cookie(tuple, seg, options, listener, cx);
                        !matches!(brought, Brought::Nothing)
                    });
                (!is_cookie).then_some(false)
            }
        }
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// Has the others told of connection `idx`, if its handshake is complete: that of a fast open
    /// is when its SYN-ACK is acknowledged, for its SYN may be an old duplicate.
    #[inline]
    pub(super) fn note_opened<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if cx.net.others.are
            && let Some(tcb) = self.conns.tcb(idx)
            && !tcb.opening.is_unacked()
        {
            cx.net.others.opened = Some(tcb.tuple.full());
        }
    }

    /// The far side has opened a connection of these endpoints with another stack, and completed
    /// the handshake. RFC 9293 3.10.7.4, fourth, has a SYN for a connection challenged, and what
    /// the far side answers end the old one: it has acknowledged another ISS, which says as much.
    /// It is not told: a reset would be for the connection that it has now.
    pub(crate) fn opened_elsewhere<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, tuple: &FourTuple) {
        let Some(tuple) = Tuple::new(tuple) else {
            return;
        };
        let found = self.find(self.demux.hash(tuple), tuple);
        match found {
            None => return,
            Some(Found::Conn(idx)) => self.end(cx, idx, Closed::Reset),
            Some(Found::Syn(idx)) => self.forget_syn(idx),
            Some(Found::TimeWait(idx)) => self.forget_time_wait(idx),
        }
        cx.net.counters.tcp_opened_elsewhere += 1;
    }
}

/// Lays a segment aside for the others, as it came: its window begins behind so many bytes of
/// headers, and its sum is right.
#[cold]
pub(super) fn lay_aside<'p, T, A>(
    cx: &mut Cx<'_, 'p, T, A>,
    mut packet: RxPacket<'p>,
    front_len: usize,
    has_trace: bool,
) {
    // They were read and pulled, and nothing was written into them.
    let is_whole = packet.frame.push(front_len).is_ok();
    debug_assert!(is_whole, "what was pulled is still in front");
    if packet.csum == RxChecksum::Unknown {
        packet.csum = RxChecksum::Verified;
    }
    cx.net.others.stray = Some(Stray { packet, has_trace });
}
