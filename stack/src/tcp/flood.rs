//! What happens to SYNs that find the SYN queue full: the two ends of a cookie's way.

use simoom_ring::TxRing;

use super::app::App;
use super::bare::{self, Envelope};
use super::cookies::{Carried, Checked};
use super::demux::Found;
use super::ecn::Ecn;
use super::listen::SynEntry;
use super::opening::first_window;
use super::ts::Ts;
use super::tuple::Tuple;
use super::{Cx, Tcp, smss_to};
use crate::counters::DropReason;
use crate::time::Instant;
use crate::wire::tcp::{Options, Segment};

/// What a segment for a listener brings back.
pub(super) enum Brought {
    /// The entry that the SYN queue had no place for.
    Entry(SynEntry),
    /// A cookie, ahead of the segment that tells where the stream begins.
    Ahead,
    /// No cookie.
    Nothing,
}

impl<'p, A: App> Tcp<'p, A> {
    /// Answers a SYN, and forgets it.
    #[inline(never)]
    pub(super) fn send_cookie<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        mut entry: SynEntry,
    ) {
        entry.iss = self.cookies.iss(entry.tuple, entry.irs, entry.smss, cx.now);
        let carried = Carried {
            wscale: entry.wscale,
            is_sack_permitted: entry.is_sack_permitted,
            ecn: entry.ecn,
        };
        if !entry.ts.is_on() {
            // Nothing would bring them back.
            entry.wscale = None;
            entry.is_sack_permitted = false;
            entry.ecn = Ecn::OFF;
        }
        entry.wnd = first_window(cx.net);
        let mut repr = entry.syn_ack(cx.now);
        if let Some(timestamps) = &mut repr.options.timestamps {
            timestamps.val = carried.into_ts(timestamps.val);
        }
        cx.net.counters.tcp_cookies_sent += 1;
        let envelope = Envelope::plain(entry.tuple, &mut self.neighbor_hint);
        bare::send(cx.net, cx.tx, cx.now, envelope, &repr);
    }

    /// What the acknowledgment of a cookie brings back, if the segment is one.
    pub(super) fn entry_of_cookie<T>(
        &self,
        tuple: Tuple,
        seg: &Segment,
        options: &Options,
        listener: u8,
        cx: &Cx<'_, 'p, T, A>,
    ) -> Brought {
        let Some(ack) = seg.ack else {
            return Brought::Nothing;
        };
        let (irs, iss) = (seg.seq - 1, ack - 1);
        let mss = match self.cookies.check(tuple, irs, iss, cx.now) {
            Checked::Good(mss) => mss,
            Checked::Ahead => return Brought::Ahead,
            Checked::Bad => return Brought::Nothing,
        };
        let timestamps = options.timestamps.filter(|_| self.settings.timestamps);
        let carried = timestamps.map(|theirs| Carried::from_ts(theirs.ecr));
        let ts = match timestamps {
            Some(theirs) => {
                let secret = self.isn_key.of(tuple);
                Ts::on(secret.ts_offset(), theirs.val, seg.seq, cx.now)
            }
            None => Ts::OFF,
        };
        Brought::Entry(SynEntry {
            tuple,
            iss,
            irs,
            smss: smss_to(cx.net, tuple.remote_addr(), Some(mss), cx.now),
            rmss: cx.net.rmss(),
            wnd: first_window(cx.net),
            wscale: carried.and_then(|carried| carried.wscale),
            our_wscale: self.our_wscale(cx.net),
            is_sack_permitted: carried.is_some_and(|carried| carried.is_sack_permitted),
            ecn: carried.map_or(Ecn::OFF, |carried| carried.ecn),
            ts,
            listener,
            ..SynEntry::default()
        })
    }

    /// Whether a late copy of the segment that a connection began with could begin it again: a
    /// cookie is as good the second time. So while cookies are good, who closed last waits, too.
    pub(super) fn may_be_replayed(&self, idx: u32, now: Instant) -> bool {
        let port = self.conns.tuple(idx).map(|tuple| tuple.local_port());
        self.cookies.are_good(now) && port.is_some_and(|port| self.listeners.find(port).is_some())
    }

    /// A connection for a cookie that came back. `None`, counted, when there is no place: the
    /// segment comes again.
    pub(super) fn redeem<T>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        entry: &SynEntry,
        hash: u64,
    ) -> Option<u32> {
        if !self.has_place(cx, entry.listener) {
            return None;
        }
        let conn = self
            .conns
            .receive_syn(entry, &self.settings, cx.net, cx.now)?;
        if !self.demux.insert(hash, Found::Conn(conn)) {
            self.conns.remove(conn);
            cx.net.counters.drop(DropReason::TcpTableFull);
            return None;
        }
        cx.net.counters.tcp_cookies_accepted += 1;
        Some(conn)
    }
}
