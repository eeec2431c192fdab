//! How connections to us begin: listeners, the SYN queue, and what late segments of old connections
//! get.

use simoom_ring::{RxPacket, TxRing};

use super::app::App;
use super::bare::{self, Envelope};
use super::conns::send_reset;
use super::deadline::Deadline;
use super::demux::Found;
use super::ecn::{self, Ecn, EcnUse};
use super::flags::TcbFlags;
use super::flood::Brought;
use super::input::reset_for;
use super::listen::{ListenError, ListenerId, SynEntry};
use super::seqnum::{SeqNum, WndScale, WndSize};
use super::settings::Settings;
use super::slots::Conns;
use super::state::Event;
use super::tcb::Tcb;
use super::ts::{self, Ts};
use super::tuple::Tuple;
use super::{Cx, Tcp, smss_to};
use crate::config::{RCV_WND_MAX, SYN_ACK_RETRANSMITS_MAX};
use crate::counters::DropReason;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::tcp::{Ctl, FastOpen, Options, Repr, Segment, Timestamps};

impl<'p, A: App> Tcp<'p, A> {
    /// Passive OPEN: accepts connections to `port` on any of our addresses. `backlog` bounds the
    /// half-open connections, and those that wait to be accepted.
    pub(crate) fn listen(&mut self, port: u16, backlog: u16) -> Result<ListenerId, ListenError> {
        let id = self.listeners.open(port, backlog)?;
        self.listeners.set_fast_open(id, self.settings.fast_open);
        Ok(id)
    }

    /// A segment for no connection: to a listener if it is a SYN, else it is refused.
    #[inline(never)]
    pub(super) fn arrives_unknown<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        hash: u64,
        tuple: Tuple,
        seg: Segment,
        options: &Options,
        pkt: RxPacket<'p>,
    ) {
        // RFC 9293 3.10.7.2: LISTEN. First, RST; second, ACK; third, SYN.
        if !seg.ctl.has(Ctl::RST)
            && let Some(listener) = self.listeners.find(tuple.local_port())
        {
            if seg.ctl.has(Ctl::SYN) && seg.ack.is_none() {
                if options.fast_open.is_some()
                    && let Some(conn) = self.open_fast(cx, hash, tuple, &seg, options, listener)
                {
                    return self.arrives(cx, conn, seg, options, pkt);
                }
                return self.syn_arrives(cx, hash, tuple, &seg, options, listener, None);
            }
            match self.entry_of_cookie(tuple, &seg, options, listener, cx) {
                Brought::Entry(entry) => {
                    if let Some(conn) = self.redeem(cx, &entry, hash) {
                        self.arrives(cx, conn, seg, options, pkt);
                    }
                    return;
                }
                Brought::Ahead => return cx.net.counters.drop(DropReason::TcpAheadOfCookie),
                Brought::Nothing => {}
            }
            // Fourth: what is neither SYN nor ACK nor RST is not answered.
            if seg.ack.is_none() {
                return cx.net.counters.drop(DropReason::TcpNoAck);
            }
        }
        cx.net.counters.drop(DropReason::TcpNoConnection);
        if let Some(reset) = reset_for(&seg) {
            send_reset(cx.net, cx.tx, cx.now, tuple, reset);
        }
    }

    /// LISTEN, third: a SYN becomes an entry of the SYN queue, and is answered.
    #[allow(clippy::too_many_arguments)]
    fn syn_arrives<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        hash: u64,
        tuple: Tuple,
        seg: &Segment,
        options: &Options,
        listener: u8,
        iss: Option<SeqNum>,
    ) {
        // The ISS of a new incarnation lies behind the old one, as a cookie cannot.
        let may_be_cookie = self.settings.syn_cookies && iss.is_none();
        let entry = self.entry_of_syn(cx, tuple, seg, options, listener, iss);
        match self.queue_syn(entry.clone(), hash) {
            Some(idx) => self.send_syn_ack(cx, idx),
            None if may_be_cookie => self.send_cookie(cx, entry),
            None => cx.net.counters.drop(DropReason::TcpSynQueueFull),
        }
    }

    /// What a SYN says, and what we make of it.
    pub(super) fn entry_of_syn<T>(
        &self,
        cx: &Cx<'_, 'p, T, A>,
        tuple: Tuple,
        seg: &Segment,
        options: &Options,
        listener: u8,
        iss: Option<SeqNum>,
    ) -> SynEntry {
        let secret = self.isn_key.of(tuple);
        let iss = iss.unwrap_or_else(|| secret.iss(cx.now));
        let ts = match options.timestamps {
            Some(theirs) if self.settings.timestamps => {
                Ts::on(secret.ts_offset(), theirs.val, seg.seq + 1, cx.now)
            }
            _ => Ts::OFF,
        };
        SynEntry {
            tuple,
            iss,
            irs: seg.seq,
            smss: smss_to(cx.net, tuple.remote_addr(), options.mss, cx.now),
            rmss: cx.net.rmss(),
            wscale: options.wscale.filter(|_| self.settings.window_scaling),
            our_wscale: self.our_wscale(cx.net),
            is_sack_permitted: options.sack_permitted && self.settings.sack,
            ecn: Ecn::agreed(ecn::asks(seg) && self.settings.ecn != EcnUse::Never),
            ts,
            gives_cookie: self.gives_cookie(listener, tuple.remote_addr(), options, cx.now),
            listener,
            ..SynEntry::default()
        }
    }

    /// Puts an entry into the SYN queue of its listener, unless that or the table is full.
    #[inline(always)]
    pub(super) fn queue_syn(&mut self, entry: SynEntry, hash: u64) -> Option<u32> {
        let place = self.listeners.get_mut(entry.listener)?;
        if place.syn_cnt >= place.backlog {
            return None;
        }
        let idx = self.syns.insert(entry)?;
        if !self.demux.insert(hash, Found::Syn(idx)) {
            self.syns.remove(idx);
            return None;
        }
        place.syn_cnt += 1;
        Some(idx)
    }

    fn send_syn_ack<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let timer = self.conns.len() as u32 + idx;
        let Some(entry) = self.syns.get_mut(idx) else {
            return;
        };
        entry.sent_at = cx.now;
        entry.rexmt_at = Deadline::after(cx.now, entry.rto());
        self.wheel.set(timer, entry.rexmt_at);
        entry.wnd = entry.wnd.max(first_window(cx.net));
        let mut repr = entry.syn_ack(cx.now);
        // Not in one that is sent again: what is on the way may not like the option.
        if entry.gives_cookie && entry.retransmits == 0 {
            let cookie = self.fast_opens.cookie(entry.tuple.remote_addr(), cx.now);
            repr.options.fast_open = Some(FastOpen::Cookie(cookie));
            cx.net.counters.tcp_fast_open_cookies += 1;
        }
        let envelope = Envelope::plain(entry.tuple, &mut self.neighbor_hint);
        bare::send(cx.net, cx.tx, cx.now, envelope, &repr);
    }

    /// The timer of a half-open connection has fired.
    pub(super) fn syn_timer<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        let timer = self.conns.len() as u32 + idx;
        let Some(entry) = self.syns.get_mut(idx) else {
            return;
        };
        if entry.is_free() {
            return;
        }
        if !entry.rexmt_at.has_come(cx.now) {
            return self.wheel.set(timer, entry.rexmt_at);
        }
        if entry.retransmits >= SYN_ACK_RETRANSMITS_MAX {
            return self.forget_syn(idx);
        }
        entry.retransmits += 1;
        cx.net.counters.tcp_retransmits += 1;
        self.send_syn_ack(cx, idx);
    }

    pub(super) fn forget_syn(&mut self, idx: u32) {
        if let Some(entry) = self.syns.get(idx) {
            let (hash, listener) = (self.demux.hash(entry.tuple), entry.listener);
            self.demux.remove(hash, Found::Syn(idx));
            self.leave_syn_queue(idx, listener);
        }
    }

    /// Frees the place that an entry has in the SYN queue of its listener.
    #[inline]
    fn leave_syn_queue(&mut self, idx: u32, listener: u8) {
        // Its timer stays where it is: the place is used again before it fires, or it finds nobody.
        self.syns.remove(idx);
        if let Some(place) = self.listeners.get_mut(listener) {
            place.syn_cnt = place.syn_cnt.saturating_sub(1);
        }
    }

    /// A segment for a half-open connection: SYN-RECEIVED of a passive open, RFC 9293 3.10.7.4 in
    /// short.
    #[inline(never)]
    pub(super) fn arrives_half_open<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        hash: u64,
        seg: Segment,
        options: &Options,
        pkt: RxPacket<'p>,
    ) {
        let Some(entry) = self.syns.get(idx) else {
            return;
        };
        let (tuple, next) = (entry.tuple, entry.irs + 1);
        if seg.ctl.has(Ctl::SYN) && seg.ack.is_none() && !seg.ctl.has(Ctl::RST) {
            return self.syn_arrives_half_open(cx, idx, hash, &seg, options);
        }
        // First: within the window that the SYN-ACK promised.
        let offset = seg.seq - next;
        if offset < 0 || offset.unsigned_abs() > entry.wnd.0 {
            cx.net.counters.drop(DropReason::TcpOutOfWindow);
            if !seg.ctl.has(Ctl::RST) {
                self.acknowledge_half_open(cx, idx);
            }
            return;
        }
        // RFC 7323 5.3, R1, and 3.2: timestamps, once they are agreed upon, are in all but RSTs.
        if entry.ts.is_on() && !seg.ctl.has(Ctl::RST) {
            let Some(timestamps) = options.timestamps else {
                return cx.net.counters.drop(DropReason::TcpNoTimestamps);
            };
            if entry.ts.is_old(timestamps, cx.now) {
                cx.net.counters.drop(DropReason::TcpOldTimestamps);
                return self.acknowledge_half_open(cx, idx);
            }
        }
        // Second: a passive open goes back to LISTEN, by the one number that RFC 5961 3.2 takes.
        if seg.ctl.has(Ctl::RST) {
            if offset == 0 {
                self.forget_syn(idx);
                return cx.net.counters.drop(DropReason::TcpNoConnection);
            }
            if offset.unsigned_abs() == entry.wnd.0 {
                return cx.net.counters.drop(DropReason::TcpOutOfWindow);
            }
            cx.net.counters.drop(DropReason::TcpChallengedRst);
            return self.challenge_half_open(cx, idx);
        }
        // Fifth: the acknowledgment of our SYN, and of nothing more.
        let Some(ack) = seg.ack else {
            return cx.net.counters.drop(DropReason::TcpNoAck);
        };
        if ack != entry.iss + 1 {
            cx.net.counters.drop(DropReason::TcpBadAck);
            if let Some(reset) = reset_for(&seg) {
                send_reset(cx.net, cx.tx, cx.now, tuple, reset);
            }
            return;
        }
        if let Some(conn) = self.try_promote(cx, idx, hash) {
            self.arrives(cx, conn, seg, options, pkt);
        }
    }

    /// The same of a SYN.
    fn syn_arrives_half_open<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        hash: u64,
        seg: &Segment,
        options: &Options,
    ) {
        let Some(entry) = self.syns.get_mut(idx) else {
            return;
        };
        if seg.seq == entry.irs {
            // The SYN again: ours was lost, or is late.
            entry.comes_again(seg, options, cx.now);
            cx.net.syn_came_again();
            return self.send_syn_ack(cx, idx);
        }
        let (tuple, listener) = (entry.tuple, entry.listener);
        let offset = seg.seq - (entry.irs + 1);
        if offset < 0 || offset.unsigned_abs() >= entry.wnd.0 {
            // First, with RFC 5961 4.2: who has forgotten his first SYN says so by an RST. A guess
            // of somebody else ends nothing.
            cx.net.counters.drop(DropReason::TcpChallengedSyn);
            return self.challenge_half_open(cx, idx);
        }
        // Fourth: back to LISTEN, where the new SYN takes the place of the old one.
        self.forget_syn(idx);
        self.syn_arrives(cx, hash, tuple, seg, options, listener, None);
    }

    /// A challenge ACK of a half-open connection (RFC 5961 3.2 and 4.2).
    fn challenge_half_open<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if self.may_challenge(cx) {
            self.acknowledge_half_open(cx, idx);
        }
    }

    /// Whether a challenge ACK may go out now (RFC 5961 7); then it is counted as gone.
    fn may_challenge<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>) -> bool {
        let may = self.challenges.allows(cx.now);
        let counters = &mut cx.net.counters;
        match may {
            true => counters.tcp_challenge_acks += 1,
            false => counters.tcp_challenge_acks_suppressed += 1,
        }
        may
    }

    /// The answer to a segment that is not acceptable (RFC 9293 3.10.7.4, first).
    fn acknowledge_half_open<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32) {
        if let Some(entry) = self.syns.get_mut(idx) {
            let repr = entry.ack(cx.now);
            let envelope = Envelope::plain(entry.tuple, &mut self.neighbor_hint);
            bare::send(cx.net, cx.tx, cx.now, envelope, &repr);
        }
    }

    /// As [`promote`](Self::promote), if there is a place; counted when there is none: the entry
    /// stays, and the segment comes again.
    fn try_promote<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, idx: u32, hash: u64) -> Option<u32> {
        let listener = self.syns.get(idx)?.listener;
        if !self.has_place(cx, listener) {
            return None;
        }
        self.promote(cx, idx, hash)
    }

    /// A half-open connection becomes one, in SYN-RECEIVED, for the segment that completes it.
    #[inline]
    pub(super) fn promote<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        hash: u64,
    ) -> Option<u32> {
        let entry = self.syns.get(idx)?;
        let listener = entry.listener;
        let conn = self
            .conns
            .receive_syn(entry, &self.settings, cx.net, cx.now)?;
        self.leave_syn_queue(idx, listener);
        self.demux.replace(hash, Found::Syn(idx), Found::Conn(conn));
        Some(conn)
    }

    /// Whether one more connection of this listener has a place; counted when it has not.
    pub(super) fn has_place<T>(&mut self, cx: &mut Cx<'_, 'p, T, A>, listener: u8) -> bool {
        let lacking = self.lacks_place(listener);
        if let Some(reason) = lacking {
            cx.net.counters.drop(reason);
        }
        lacking.is_none()
    }

    /// What one more connection of this listener lacks, if anything.
    pub(super) fn lacks_place(&mut self, listener: u8) -> Option<DropReason> {
        let is_accept_full = self
            .listeners
            .get_mut(listener)
            .is_some_and(|place| A::ACCEPTS_LATER && place.accept_cnt >= place.backlog);
        if is_accept_full {
            Some(DropReason::TcpAcceptQueueFull)
        } else if !self.conns.has_free() {
            Some(DropReason::TcpTableFull)
        } else {
            None
        }
    }

    /// A segment for a connection in TIME-WAIT (RFC 9293 3.10.7.4; RFC 1337 for RST).
    #[inline(never)]
    pub(super) fn arrives_late<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        hash: u64,
        tuple: Tuple,
        seg: Segment,
        options: &Options,
    ) {
        let Some(old) = self.time_waits.get(idx) else {
            return;
        };
        if seg.ctl.has(Ctl::RST) {
            return cx.net.counters.drop(DropReason::TcpOutOfWindow);
        }
        let is_syn = seg.ctl.has(Ctl::SYN) && seg.ack.is_none();
        let ts_val = options.timestamps.map(|theirs| theirs.val);
        if is_syn
            && old.is_behind(seg.seq, ts_val.filter(|_| self.settings.timestamps))
            && let Some(listener) = self.listeners.find(tuple.local_port())
        {
            // A new incarnation, clearly behind the old one in both directions (RFC 9293 3.6.1).
            self.forget_time_wait(idx);
            let iss = self.isn_key.of(tuple).iss(cx.now);
            let iss = iss.max(old.snd_nxt + ISS_STEP);
            return self.syn_arrives(cx, hash, tuple, &seg, options, listener, Some(iss));
        }
        if seg.ctl.has(Ctl::FIN) {
            self.time_waits.restart(idx, cx.now);
        }
        cx.net.counters.drop(DropReason::TcpOutOfWindow);
        // An ACK of nothing is not answered by another: two sides that are both here, and differ
        // about the numbers, would go on for as long as they wait.
        if seg.is_empty() || (is_syn && !self.may_challenge(cx)) {
            return;
        }
        let timestamps = old.ts_recent.map(|ecr| Timestamps {
            val: ts::val(self.isn_key.of(tuple).ts_offset(), cx.now),
            ecr,
        });
        let repr = Repr {
            src_port: tuple.local_port(),
            dst_port: tuple.remote_port(),
            seq: old.snd_nxt,
            ack: Some(old.rcv_nxt),
            ctl: Ctl::default(),
            wnd: WndSize(0).to_wire(WndScale::ZERO),
            options: Options {
                timestamps,
                ..Options::default()
            },
        };
        let envelope = Envelope::plain(tuple, &mut self.neighbor_hint);
        bare::send(cx.net, cx.tx, cx.now, envelope, &repr);
    }
}

impl<'p, A: App> Conns<'p, A> {
    /// A connection in SYN-RECEIVED, as its entry says.
    #[inline]
    pub(super) fn receive_syn(
        &mut self,
        entry: &SynEntry,
        settings: &Settings,
        net: &mut Net<'p>,
        now: Instant,
    ) -> Option<u32> {
        // Timestamps make segments shorter (RFC 9293 3.7.1).
        let smss = entry.smss.saturating_sub(entry.ts.option_len());
        let conn = self.insert(
            Tcb::new(entry.tuple, (entry.iss, smss), settings.congestion),
            None,
        )?;
        let tcb = self.tcb(conn)?;
        for event in [Event::PassiveOpen, Event::SynArrives] {
            tcb.transition(event);
        }
        tcb.listener = entry.listener;
        tcb.irs = entry.irs;
        tcb.rcv.start(entry.irs + 1, now);
        tcb.rcv.adv += entry.wnd.0;
        tcb.rcv.quick_acks = settings.quick_acks;
        tcb.snd.nxt = entry.iss + 1;
        tcb.snd.max = tcb.snd.nxt;
        if let Some(theirs) = entry.wscale {
            tcb.snd.wscale = theirs;
            tcb.rcv.wscale = entry.our_wscale;
        }
        tcb.flags
            .put(TcbFlags::SACK_PERMITTED, entry.is_sack_permitted);
        tcb.ecn = entry.ecn;
        tcb.ts = entry.ts;
        tcb.retransmits = entry.retransmits;
        if entry.retransmits == 0 && entry.sent_at != Instant::NEVER {
            tcb.rtt.measured(now.since(entry.sent_at));
        }
        net.counters.tcp_accepted += 1;
        Some(conn)
    }
}

/// The window of a SYN-ACK.
pub(super) fn first_window(net: &Net<'_>) -> WndSize {
    WndSize(net.budget().promise_len().min(RCV_WND_MAX))
}

/// How far the ISS of a new incarnation is behind the old one at least.
const ISS_STEP: u32 = 1 << 16;
