//! The short cut for what nearly every segment is (header prediction: Jacobson, "4BSD TCP Header
//! Prediction", 1990).
//!
//! ```text
//!   frame ─► headers: of the usual shape, for us? ─► connection: the last one, or by hash
//!         ─► next in the stream, ACK and at most PSH, window as it was, nothing missing?
//!            yes: acknowledge, hand over, send          no: the long way, with nothing changed
//! ```
//!
//! A segment that takes the short cut moves what the steps of RFC 9293 3.10.7.4 would move, and
//! what goes out is the same bytes; the long way is the reference, and a simulation compares both.
//! Everything else takes the long way: other states, any other control bit, urgent data, marks,
//! SACK blocks, gaps, windows that change or are closed, recoveries, options that are not just
//! timestamps, frames that are short, datagrams with options or in pieces.

use simoom_ring::{RxChecksum, RxPacket, TxRing};

use super::app::App;
use super::budget::Budget;
use super::cc::Congestion;
use super::conns::conn;
use super::demux::Found;
use super::flags::{SndFlags, TcbFlags};
use super::flight::Flights;
use super::input::{Arrival, Outcome};
use super::seqnum::{SeqNum, WireWnd};
use super::slots::Live;
use super::snd::Phase;
use super::state::State;
use super::tcb::Tcb;
use super::tuple::Tuple;
use super::{Cx, Tcp};
use crate::addr::Addr;
use crate::config::FRAMES_RESERVED;
use crate::ip;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::{self, Codepoint};
use crate::wire::tcp::{self, Ctl, Options, Segment, Timestamps};

/// The headers of a frame that are of the usual shape.
struct Headers {
    tuple: Tuple,
    seq: SeqNum,
    ack: SeqNum,
    ctl: Ctl,
    wnd: WireWnd,
    timestamps: Option<Timestamps>,
    /// Bytes of all headers.
    len: usize,
    payload_len: usize,
}

impl Headers {
    /// Reads them; `None` if anything is unusual.
    #[inline]
    fn read(net: &Net<'_>, pkt: &RxPacket<'_>) -> Option<Self> {
        let bytes = pkt.frame.bytes();
        let front = bytes.first_chunk::<FRONT_LEN>()?;
        let (to, rest) = front.split_first_chunk::<6>()?;
        let ([_, _, _, _, _, _, 0x08, 0x00], rest) = rest.split_first_chunk::<8>()? else {
            return None;
        };
        let (ip, rest) = rest.split_first_chunk::<{ ipv4::HEADER_LEN }>()?;
        let segment = rest.first_chunk::<{ tcp::HEADER_LEN }>()?;
        let (words, _) = ip.as_chunks::<4>();
        let [
            [0x45, _, l0, l1],
            [_, _, f0, f1],
            [_, PROTO, _, _],
            src,
            dst,
        ] = words
        else {
            return None;
        };
        let (words, _) = segment.as_chunks::<4>();
        let [[p0, p1, o0, o1], seq, ack, [offset, ctl, w0, w1], _] = words else {
            return None;
        };
        let ctl = Ctl::from_wire(*ctl);
        let is_whole = f0 & 0x3f == 0 && *f1 == 0 && pkt.rest.is_empty() && pkt.gso_size == 0;
        let is_plain = ctl.without(Ctl::PSH) == Ctl::ACK;
        if *to != net.mac.0 || !is_whole || !is_plain || !net.is_ours(Addr::v4((*dst).into())) {
            return None;
        }
        let (timestamps, len) = usual_options(bytes, offset >> 4)?;
        let end = ETHERNET_LEN.wrapping_add(u16::from_be_bytes([*l0, *l1]).into());
        let payload_len = end.checked_sub(len)?;
        if end > bytes.len() || !Sum::of(ip).is_valid() {
            return None;
        }
        if pkt.csum == RxChecksum::Unknown && !is_summed_right(bytes.get(..end)?, *src, *dst) {
            return None;
        }
        Some(Self {
            tuple: Tuple::of_wire(*dst, [*o0, *o1], *src, [*p0, *p1]),
            seq: SeqNum(u32::from_be_bytes(*seq)),
            ack: SeqNum(u32::from_be_bytes(*ack)),
            ctl,
            wnd: WireWnd(u16::from_be_bytes([*w0, *w1])),
            timestamps,
            len,
            payload_len,
        })
    }

    /// As the steps of SEGMENT ARRIVES have it.
    #[inline]
    fn segment(&self) -> Segment {
        Segment {
            src_port: self.tuple.remote_port(),
            dst_port: self.tuple.local_port(),
            seq: self.seq,
            ack: Some(self.ack),
            ctl: self.ctl,
            wnd: self.wnd,
            header_len: self.len - ip::HEADERS_LEN,
            // No more than a frame holds.
            payload_len: self.payload_len as u32,
            ecn: Codepoint::NotEct,
        }
    }

    /// Whether it is what comes next on a connection where nothing is the matter.
    #[inline]
    fn is_expected<'p, C: Congestion>(
        &self,
        tcb: &Tcb<'p, C>,
        flights: &Flights<'p>,
        budget: Budget<'p>,
        now: Instant,
    ) -> bool {
        let Tcb { snd, rcv, .. } = tcb;
        let is_quiet = tcb.state() == State::Established
            && !tcb.opening.is_unacked()
            && !tcb.flags.has(UNUSUAL)
            && !snd.flags.has(SND_UNUSUAL)
            && snd.phase == Phase::Open
            && !tcb.ecn.is_on()
            && !rcv.gap.is_some();
        let is_next = self.seq == rcv.nxt
            && snd.wnd.0 != 0
            && self.wnd.scaled(snd.wscale) == snd.wnd
            && !self.ack.before(snd.una)
            && !self.ack.after(snd.max);
        if !is_quiet || !is_next {
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
        let fits = self.payload_len == 0 || self.fits(tcb, budget);
        is_recent && is_good_ack && is_all_read && fits
    }

    /// Whether there is room for its payload.
    #[inline]
    fn fits<'p, C>(&self, tcb: &Tcb<'p, C>, budget: Budget<'p>) -> bool {
        let end = self.seq + self.payload_len as u32;
        !end.after(tcb.rcv.adv) && budget.pool.free_cnt() >= FRAMES_RESERVED && !budget.is_short()
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// A frame came in. Gives it back, with nothing changed, unless it is a segment that can take
    /// the short cut.
    #[inline]
    pub(crate) fn input_expected<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        pkt: RxPacket<'p>,
    ) -> Result<(), RxPacket<'p>> {
        if !self.settings.short_cuts {
            return Err(pkt);
        }
        let Some(headers) = Headers::read(cx.net, &pkt) else {
            return Err(pkt);
        };
        let Some(idx) = self.conn_of(headers.tuple) else {
            return Err(pkt);
        };
        let budget = cx.net.budget();
        match self.conns.live(idx) {
            Some(Live {
                tcb,
                state: Some(_),
            }) if headers.is_expected(tcb, &self.flights, budget, cx.now) => {}
            _ => return Err(pkt),
        }
        self.arrives_expected(cx, idx, &headers, pkt);
        Ok(())
    }

    /// The connection of a four-tuple: the last one again, or by its hash.
    #[inline]
    fn conn_of(&mut self, tuple: Tuple) -> Option<u32> {
        if self.conns.is(self.recent, tuple) {
            return Some(self.recent);
        }
        let full = tuple.full();
        match self.find(self.demux.hash(&full), &full) {
            Some(Found::Conn(idx)) => {
                self.recent = idx;
                Some(idx)
            }
            _ => None,
        }
    }

    fn arrives_expected<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        headers: &Headers,
        mut pkt: RxPacket<'p>,
    ) {
        let counters = &mut cx.net.counters;
        counters.rx_frames += 1;
        counters.rx_bytes += pkt.frame.len() as u64;
        counters.tcp_segments_in += 1;
        counters.tcp_short_cuts += 1;
        let budget = cx.net.budget();
        let Some(live) = self.conns.live(idx) else {
            return;
        };
        let options = Options {
            timestamps: headers.timestamps,
            ..Options::default()
        };
        let outcome = Arrival {
            tcb: &mut live.tcb,
            bodies: &mut self.bodies,
            gaps: &mut self.gaps,
            flights: &mut self.flights,
            counters: &mut cx.net.counters,
            challenges: &mut self.challenges,
            budget,
            quick_acks: self.settings.quick_acks,
            now: cx.now,
            seg: headers.segment(),
            options: &options,
            outcome: Outcome::default(),
        }
        .expected(headers.ack);
        let may_send = outcome.has_room && live.tcb.flags.has(TcbFlags::WANTS_TO_SEND);
        if headers.payload_len == 0 {
            // The frame goes home first: a window that goes out tells what there is, and so does
            // whether bytes may be generated.
            drop(pkt);
            if may_send {
                self.tell_writable(cx, idx);
            }
            self.after_offer(cx, idx);
            return self.settle(cx, idx);
        }
        if may_send {
            self.tell_writable(cx, idx);
        }
        pkt.frame.trim(headers.len + headers.payload_len);
        pkt.frame.pull(headers.len);
        self.hand_over(cx, idx, pkt);
        self.settle(cx, idx);
    }

    /// Shows what came in to the application, in the frame that it came in.
    #[inline]
    fn hand_over<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32, pkt: RxPacket<'p>) {
        let id = self.conns.id(idx);
        let Some(Live {
            tcb,
            state: Some(state),
        }) = self.conns.live(idx)
        else {
            return;
        };
        let mut frame = pkt.frame;
        let mut conn = conn(tcb, &mut self.bodies, &self.flights, cx.net, cx.now, id);
        let taken = cx.app.received(&mut conn, state, frame.bytes());
        frame.pull(taken);
        if frame.is_empty() {
            drop(frame);
        } else {
            tcb.rcv.put_back(frame);
            if taken > 0 {
                // It is offered again, for as long as some of it is taken.
                return self.offer(cx, idx);
            }
        }
        self.after_offer(cx, idx);
    }

    /// Says that the window is wider, if what was taken has made it so.
    #[inline]
    fn after_offer<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let budget = cx.net.budget();
        if let Some(tcb) = self.conns.tcb(idx)
            && !tcb.flags.has(TcbFlags::ABORT_DUE)
            && tcb.state().can_receive()
            && tcb.rcv.window_opened(budget)
        {
            tcb.flags.set(TcbFlags::ACK_DUE);
        }
    }
}

/// The options of a TCP header of `words` words, no others than timestamps, and the length of all
/// headers.
#[inline]
fn usual_options(bytes: &[u8], words: u8) -> Option<(Option<Timestamps>, usize)> {
    match words {
        5 => Some((None, FRONT_LEN)),
        8 => {
            let option = bytes.get(FRONT_LEN..)?.first_chunk::<12>()?;
            Some((Some(Timestamps::of_usual(option)?), FRONT_LEN + 12))
        }
        _ => None,
    }
}

/// Whether the segment in a frame has the right checksum.
fn is_summed_right(bytes: &[u8], src: [u8; 4], dst: [u8; 4]) -> bool {
    let segment = bytes.get(ip::HEADERS_LEN..).unwrap_or_default();
    let (src, dst) = (Addr::v4(src.into()), Addr::v4(dst.into()));
    // What a datagram holds fits.
    let mut sum = Sum::pseudo_header(src, dst, ip::proto::TCP, segment.len() as u16);
    sum.add(segment);
    sum.is_valid()
}

/// What would have to be looked at.
const UNUSUAL: TcbFlags = TcbFlags::ABORT_DUE
    .with(TcbFlags::PROBE_OPEN)
    .with(TcbFlags::KEEP_ALIVE_DUE);
const SND_UNUSUAL: SndFlags = SndFlags::HAS_FIN
    .with(SndFlags::REXMT_DUE)
    .with(SndFlags::PROBE_DUE);

const PROTO: u8 = ip::proto::TCP;
const ETHERNET_LEN: usize = crate::wire::ethernet::HEADER_LEN;

/// Bytes of the headers without options.
const FRONT_LEN: usize = ip::HEADERS_LEN + tcp::HEADER_LEN;
