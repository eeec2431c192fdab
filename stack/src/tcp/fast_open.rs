//! TCP Fast Open, server side (RFC 7413): a client that has been here before sends its request with
//! its SYN, and may have the answer one round trip earlier.
//!
//! ```text
//!   client                                    server
//!     │ SYN <FO>                                │
//!     ├────────────────────────────────────────►│ listen.rs, as ever
//!     │           SYN-ACK <FO cookie>           │
//!     │◄────────────────────────────────────────┤ cookie: keyed hash of the client's address
//!                        later
//!     │ SYN <FO cookie> + request               │
//!     ├────────────────────────────────────────►│ a connection at once; `accepted`, `received`
//!     │          SYN-ACK of SYN and request     │
//!     │◄────────────────────────────────────────┤ sent by `settle`, before
//!     │                  answer                 │
//!     │◄────────────────────────────────────────┤ what `output` pulls, as far as windows go
//!     │ ACK                                     │
//!     ├────────────────────────────────────────►│ `Opening::DONE`: as any other connection
//! ```
//!
//! The sequence space of such a connection begins behind its SYN: SND.UNA is ISS + 1 from the
//! start, so that offsets into the send queue are what they always are. That the SYN-ACK is not
//! acknowledged yet is a fact of its own ([`Opening`]), beside the state: the connection may be in
//! CLOSE-WAIT or FIN-WAIT-1 by then. Its timer is the retransmission timer; it is sent again
//! without data.

pub(crate) mod opening;
pub(crate) mod pending;

use core::hash::Hasher;

use simoom_ring::TxRing;
use siphasher::sip::SipHasher24;

use self::opening::Opening;
use super::app::{App, Closed};
use super::bare::{self, Envelope};
use super::cc::Congestion;
use super::deadline::Deadline;
use super::demux::Found;
use super::flags::TcbFlags;
use super::gaps::Gaps;
use super::listen::{ListenerId, SynEntry};
use super::opening::first_window;
use super::output;
use super::tcb::Tcb;
use super::tuple::Tuple;
use super::{Cx, Tcp};
use crate::addr::Addr;
use crate::config::{FAST_OPEN_PERIOD, FAST_OPENS_MAX};
use crate::net::Net;
use crate::time::Instant;
use crate::wire::tcp::{Cookie, Ctl, FastOpen, Options, Repr, Segment};

/// The secret of the cookies. Nothing is kept of a client.
pub(crate) struct FastOpens {
    key: SipHasher24,
}

impl FastOpens {
    pub(crate) fn new(key: SipHasher24) -> Self {
        Self { key }
    }

    /// The cookie of a client now.
    pub(crate) fn cookie(&self, client: Addr, now: Instant) -> Cookie {
        self.seal(client, period(now))
    }

    /// How old a cookie is that a client brings; `None` if it is not one of ours, or too old.
    pub(crate) fn age(&self, client: Addr, cookie: Cookie, now: Instant) -> Option<Age> {
        let now = period(now);
        // RFC 7413 4.1.3: for a while, cookies of the old key are as good as those of the new.
        if cookie == self.seal(client, now) {
            Some(Age::Current)
        } else if cookie == self.seal(client, now.wrapping_sub(1)) {
            Some(Age::Previous)
        } else {
            None
        }
    }

    fn seal(&self, client: Addr, period: u64) -> Cookie {
        let mut hasher = self.key;
        let (high, low) = client.words();
        hasher.write_u64(high);
        hasher.write_u64(low);
        hasher.write_u64(period);
        hasher.finish().to_be_bytes()
    }
}

/// When a good cookie was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// In this period.
    Current,
    /// In the one before: a fresh one is due.
    Previous,
}

fn period(now: Instant) -> u64 {
    now.as_micros() / FAST_OPEN_PERIOD.as_micros()
}

impl<'p, A: App> Tcp<'p, A> {
    /// Lets connections to one listener be opened fast, or not.
    pub(crate) fn set_fast_open(&mut self, id: ListenerId, has_fast_open: bool) {
        self.listeners.set_fast_open(id, has_fast_open);
    }

    /// A connection in SYN-RECEIVED for a SYN that brings a good cookie (RFC 7413 4.2.2): the
    /// segment is for it. `None`, counted where the reason is ours or a wrong cookie, when it must
    /// be opened in the ordinary way.
    #[inline(never)]
    pub(super) fn open_fast<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        hash: u64,
        tuple: Tuple,
        seg: &Segment,
        options: &Options,
        listener: u8,
    ) -> Option<u32> {
        let Some(FastOpen::Cookie(cookie)) = options.fast_open else {
            return None;
        };
        if !self.listeners.has_fast_open(listener) {
            return None;
        }
        if self
            .fast_opens
            .age(tuple.remote_addr(), cookie, cx.now)
            .is_none()
        {
            cx.net.counters.tcp_fast_open_bad_cookies += 1;
            return None;
        }
        let has_place = self.lacks_place(listener).is_none();
        let place = self.listeners.get_mut(listener)?;
        let max = place.backlog.min(FAST_OPENS_MAX);
        if !place.fast_opens.has_room(max, cx.now) || !has_place {
            // RFC 7413 5.1: the ordinary handshake; what the SYN carries comes again.
            cx.net.counters.tcp_fast_opens_full += 1;
            return None;
        }
        let mut entry = self.entry_of_syn(cx, tuple, seg, options, listener, None);
        entry.wnd = first_window(cx.net);
        let conn = self
            .conns
            .receive_syn(&entry, &self.settings, cx.net, cx.now)?;
        if !self.demux.insert(hash, Found::Conn(conn)) {
            self.conns.remove(conn);
            return None;
        }
        if let Some(tcb) = self.conns.tcb(conn) {
            begin(tcb, &entry, seg);
        }
        if let Some(place) = self.listeners.get_mut(listener) {
            place.fast_opens.began();
        }
        cx.net.counters.tcp_fast_opens += 1;
        Some(conn)
    }

    /// Whether the answer to a SYN brings a cookie: to who asks for one, or has none that is fresh.
    pub(super) fn gives_cookie(
        &self,
        listener: u8,
        client: Addr,
        options: &Options,
        now: Instant,
    ) -> bool {
        self.listeners.has_fast_open(listener)
            && match options.fast_open {
                None => false,
                Some(FastOpen::Request) => true,
                Some(FastOpen::Cookie(cookie)) => {
                    self.fast_opens.age(client, cookie, now) != Some(Age::Current)
                }
            }
    }

    /// The SYN-ACK of a fast open has been acknowledged.
    pub(super) fn opened_fast(&mut self, idx: u32, now: Instant) {
        if let Some(tcb) = self.conns.tcb(idx) {
            let (listener, port) = (tcb.listener, tcb.tuple.local_port());
            self.forget_pending(listener, port, false, now);
        }
    }

    /// A connection is over whose SYN-ACK was never acknowledged.
    #[cold]
    pub(super) fn failed_to_open_fast(&mut self, idx: u32, why: Closed, now: Instant) {
        if let Some(tcb) = self.conns.tcb(idx) {
            let (listener, port) = (tcb.listener, tcb.tuple.local_port());
            self.forget_pending(listener, port, why == Closed::Reset, now);
        }
    }

    fn forget_pending(&mut self, listener: u8, port: u16, was_reset: bool, now: Instant) {
        let place = self.listeners.get_mut(listener);
        // Another listener may have the place by now.
        if let Some(place) = place.filter(|place| place.port == port) {
            place.fast_opens.ended(was_reset, now);
        }
    }
}

/// Makes a connection in SYN-RECEIVED one that is opened fast.
fn begin<C>(tcb: &mut Tcb<'_, C>, entry: &SynEntry, seg: &Segment) {
    tcb.opening = Opening::begun(entry.gives_cookie);
    // RFC 7413 4.2.2: the answer may go out before the SYN-ACK is acknowledged, as far as the
    // window goes that the SYN offers (unscaled) and the initial congestion window.
    tcb.snd.una = tcb.snd.nxt;
    tcb.snd.wnd = seg.wnd.scaled(super::seqnum::WndScale::ZERO);
    tcb.snd.wnd_max = tcb.snd.wnd;
    tcb.snd.wl1 = seg.seq;
}

/// Sends the SYN-ACK of a fast open: it acknowledges what was taken of the SYN's text, too. False
/// when the ring or the pool is full.
#[cold]
pub(super) fn send_syn_ack<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    fast_opens: &FastOpens,
    gaps: &mut Gaps<'p>,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
) -> bool {
    if tx.space() == 0 || net.pool.free_cnt() == 0 {
        return false;
    }
    let opening = tcb.opening;
    if opening.has(Opening::SENT) {
        net.counters.tcp_retransmits += 1;
        tcb.totals.retransmits = tcb.totals.retransmits.saturating_add(1);
    } else {
        tcb.snd.sent_ms = now.wrapping_millis();
    }
    let wnd = tcb.rcv.advertise(net.budget(), true);
    let offer = output::options(tcb, gaps, Some(net.rmss()), now);
    // Once: what is on the way may not like the option (RFC 7413 4.1.3.1).
    let gives_cookie = opening.has(Opening::GIVES_COOKIE) && !opening.has(Opening::SENT);
    let cookie = gives_cookie.then(|| fast_opens.cookie(tcb.tuple.remote_addr(), now));
    net.counters.tcp_fast_open_cookies += u64::from(gives_cookie);
    let repr = Repr {
        src_port: tcb.tuple.local_port(),
        dst_port: tcb.tuple.remote_port(),
        seq: tcb.iss,
        ack: Some(tcb.rcv.nxt),
        ctl: Ctl::SYN.with(tcb.ecn.ctl_of_syn(true)),
        wnd,
        options: Options {
            fast_open: cookie.map(FastOpen::Cookie),
            ..offer
        },
    };
    tcb.opening.sent();
    tcb.flags.clear(TcbFlags::ACK_DUE);
    tcb.delack_at = Deadline::NEVER;
    let envelope = Envelope::plain(tcb.tuple, &mut tcb.neighbor_hint);
    bare::send(net, tx, now, envelope, &repr);
    true
}

#[cfg(test)]
mod tests;
