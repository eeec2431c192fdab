//! What happens to SYNs that find the SYN queue full: the two ends of a cookie's way.

use simoom_ring::TxRing;

use super::app::App;
use super::cookies::Carried;
use super::demux::Found;
use super::ecn::Ecn;
use super::listen::SynEntry;
use super::opening::first_window;
use super::output::send_bare;
use super::ts::Ts;
use super::{Cx, Tcp, smss_to};
use crate::addr::FourTuple;
use crate::counters::DropReason;
use crate::wire::tcp::{Options, Segment};

impl<'p, A: App> Tcp<'p, A> {
    /// Answers a SYN, and forgets it.
    #[inline(never)]
    pub(super) fn send_cookie<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        mut entry: SynEntry,
    ) {
        entry.iss = self
            .cookies
            .iss(&entry.tuple, entry.irs, entry.smss, cx.now);
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
        send_bare(cx.net, cx.tx, cx.now, &entry.tuple, &repr);
    }

    /// The entry that the acknowledgment of a cookie brings back.
    pub(super) fn entry_of_cookie<T>(
        &self,
        tuple: &FourTuple,
        seg: &Segment,
        options: &Options,
        listener: u8,
        cx: &Cx<'_, 'p, T, A>,
    ) -> Option<SynEntry> {
        let (irs, iss) = (seg.seq - 1, seg.ack? - 1);
        let mss = self.cookies.check(tuple, irs, iss, cx.now)?;
        let timestamps = options.timestamps.filter(|_| self.settings.timestamps);
        let carried = timestamps.map(|theirs| Carried::from_ts(theirs.ecr));
        let ts = match timestamps {
            Some(theirs) => Ts::on(self.ts_offset(tuple), theirs.val, seg.seq, cx.now),
            None => Ts::OFF,
        };
        Some(SynEntry {
            tuple: *tuple,
            iss,
            irs,
            smss: smss_to(cx.net, tuple.remote.addr, Some(mss), cx.now),
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
        let conn = self.receive_syn(cx, entry)?;
        if !self.demux.insert(hash, Found::Conn(conn)) {
            self.conns.remove(conn);
            cx.net.counters.drop(DropReason::TcpTableFull);
            return None;
        }
        cx.net.counters.tcp_cookies_accepted += 1;
        Some(conn)
    }
}
