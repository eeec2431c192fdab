//! An answer that goes out at once and as a whole: what most are.
//!
//! ```text
//!   queue    │ generated head │ content                    │    nothing is in flight,
//!   packets  │ headers, head ─► content │ headers ─► rest │    both windows hold all of it
//! ```
//!
//! One packet, or as many as a device that cuts takes it in. What would be asked before each packet
//! of a run is asked once, of all that is queued.

use simoom_ring::{Frame, TxPacket, TxRing};

use super::mark_sent;
use super::template::{Said, Template};
use crate::config::GENERATED_COPY_MAX;
use crate::ip;
use crate::net::Net;
use crate::tcp::bodies::Answer;
use crate::tcp::cc::Congestion;
use crate::tcp::flags::SndFlags;
use crate::tcp::load::Load;
use crate::tcp::output::Tables;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::super_segment;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::wire::tcp::Ctl;

/// Sends all that is queued on a quiet connection that has nothing in flight, if it is an answer
/// that both windows hold and that few packets take. False if something is left to be sent.
#[inline]
pub(in crate::tcp) fn send_answer<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    tables: &mut Tables<'_, 'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> bool {
    let (len, smss) = (tcb.snd.queue.len(), u32::from(tcb.snd.smss));
    // Nagle: a short segment would have to wait for those before it.
    let can_cut = net.super_len > smss.max(CUT_MIN) && tcb.snd.flags.has(SndFlags::NODELAY);
    let most = if can_cut { net.super_len } else { smss };
    let is_plain = len <= tcb.usable_cwnd().min(tcb.snd.wnd.0).into()
        && (can_cut || len <= most.into())
        && !tcb.may_restart(now)
        && net.caps.fragments_max > 1
        && tables.flights.has_free();
    let answer = tables.bodies.answer(&tcb.snd.queue);
    let Some(mut answer) = answer.filter(|_| is_plain && tx.space() > 0) else {
        return false;
    };
    if tables.template.find(tcb, net).is_none() {
        return false;
    }
    let template = &*tables.template;
    let Some(mut frame) = template.frame_for(&answer, net) else {
        return false;
    };
    // The window is said when a frame has been taken out: that is what the pool has left.
    let said = template.say(tcb, net, now);
    let (first, mut first_len) = (tcb.snd.nxt, 0);
    // Each round takes something out of what both windows hold.
    let is_all = loop {
        let part = answer.take(most, smss);
        let part_len = template.send_part(&said, net, tx, frame, tcb.snd.nxt, &part);
        if first_len == 0 {
            first_len = part_len;
        }
        tcb.snd.nxt += part_len;
        if part.is_last {
            break true;
        }
        let another = match tx.space() {
            0 => None,
            _ => template.frame_for(&answer, net),
        };
        // That there is none is counted where it is asked for again.
        let Some(another) = another else {
            break false;
        };
        frame = another;
    };
    tcb.snd.max = tcb.snd.nxt;
    mark_sent(tcb, tables.flights, net, now, (first, first_len));
    net.watch_cuts(tcb.tuple, &tcb.snd, first, now);
    is_all
}

impl Template {
    /// A frame for headers and what of `answer` goes behind them in it.
    #[inline(always)]
    fn frame_for<'p>(&self, answer: &Answer<'_>, net: &Net<'p>) -> Option<Frame<'p>> {
        let len = self.len + answer.head.len();
        net.pool.alloc_window(net.caps.headroom.into(), len)
    }

    /// Sends a part of an answer, in `frame`: so many bytes.
    #[inline(always)]
    fn send_part<'p>(
        &self,
        said: &Said,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut frame: Frame<'p>,
        seq: SeqNum,
        part: &Answer<'_>,
    ) -> u32 {
        let len = part.head.len() + part.body.len();
        let ctl = if part.is_last {
            Ctl::PSH
        } else {
            Ctl::default()
        };
        let mut load = Load::new(&net.caps);
        part.load(&mut load, &mut net.counters);
        self.write(said, frame.bytes_mut(), net, seq, (len, ctl, load.sum));
        if let Some(room) = frame.bytes_mut().get_mut(self.len..) {
            room.copy_from_slice(part.head);
        }
        let mut packet = TxPacket::with_content(frame, part.body, self.offload);
        if len > usize::from(said.smss) {
            let tcp_len = self.len - ip::HEADERS_LEN;
            super_segment::request(&mut packet, len, (said.smss, tcp_len), net);
        }
        let is_sent = tx.send(packet).is_ok();
        self.count(net, len, is_sent);
        // A datagram is shorter than 64 KiB.
        len as u32
    }
}

/// Payload bytes of a super-segment from which on even the least that it may hold, a half, holds
/// the head of any answer.
const CUT_MIN: u32 = 2 * GENERATED_COPY_MAX as u32;
