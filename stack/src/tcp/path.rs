//! What the path says of our segments: ICMP errors, believed as far as RFC 5927 allows, and the
//! silence of a path that drops what is too large without a word (RFC 4821, RFC 8899).

use simoom_ring::TxRing;

use super::app::{App, Closed};
use super::cc::Congestion;
use super::demux::Found;
use super::state::State;
use super::tcb::Tcb;
use super::tuple::Tuple;
use super::{Cx, Tcp};
use crate::addr::FourTuple;
use crate::config::{BLACK_HOLE_MSS, MSS_MIN, PATH_MTU_MIN, RETRANSMITS_DOUBTED};
use crate::counters::DropReason;
use crate::icmp::{Cause, Notice};
use crate::ip::plateau_below;
use crate::net::Net;
use crate::tcp::seqnum::SeqNum;
use crate::time::Instant;

impl<'p, A: App> Tcp<'p, A> {
    /// An ICMP error quotes a segment of ours.
    #[cold]
    pub(crate) fn notice<T: TxRing<'p>>(&mut self, cx: &mut Cx<'_, 'p, T, A>, notice: &Notice) {
        let tuple = Tuple::new(&FourTuple {
            local: notice.local,
            remote: notice.remote,
        });
        let found = tuple.and_then(|tuple| self.find(self.demux.hash(tuple), tuple));
        let Some(Found::Conn(idx)) = found else {
            return cx.net.counters.drop(DropReason::IcmpStale);
        };
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        // RFC 5927 4.1: only what is in flight can have been dropped.
        let seq = SeqNum(notice.seq);
        if seq.before(tcb.snd.una) || !seq.before(tcb.snd.max) {
            return cx.net.counters.drop(DropReason::IcmpStale);
        }
        match notice.cause {
            Cause::FragmentationNeeded { mtu } => self.too_large(cx, idx, notice.len, mtu),
            // RFC 9293 3.9.2.2, SHLD-26; a connection that stands is worth more than hearsay
            // (RFC 5927 5.2).
            Cause::ProtocolUnreachable | Cause::PortUnreachable
                if tcb.state() == State::SynSent =>
            {
                self.end(cx, idx, Closed::Refused);
            }
            // Soft errors (MUST-56): retransmission goes on.
            cause => {
                cx.net.counters.icmp_errors_ignored += 1;
                self.tell_soft_error(cx, idx, cause);
            }
        }
    }

    /// A router cannot pass a datagram of `len` bytes; `mtu` is what it takes, or 0.
    fn too_large<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
        len: u16,
        mtu: u16,
    ) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let mtu = match mtu {
            0 => plateau_below(len),
            mtu => mtu,
        };
        // RFC 5927 7.2: a size that has got through is only doubted when it does so no longer.
        let has_got_through = tcb.snd.una.bytes_since(tcb.iss) > u32::from(tcb.snd.smss);
        if mtu < PATH_MTU_MIN || mtu >= len || has_got_through && tcb.retransmits == 0 {
            cx.net.counters.icmp_errors_ignored += 1;
            return;
        }
        let remote = tcb.tuple.remote_addr();
        let mss = mtu.saturating_sub(HEADERS_LEN + tcb.ts.option_len());
        let smss = tcb.snd.smss;
        if shrink(tcb, mss) {
            self.narrowed.remember(tcb, smss, cx.now);
            cx.net.counters.path_mtu_updates += 1;
            // No sign of congestion (RFC 1191 6.5): sent again at once, in smaller segments.
            tcb.send_again(&mut self.flights);
        }
        cx.net.path_mtus.learn(remote, mtu, cx.now);
        self.settle(cx, idx);
    }
}

/// A timer has fired, before which a segment had been sent again so many times: from R1 on the next
/// hop is doubted (RFC 9293 3.8.3, MUST-20).
pub(super) fn doubt_next_hop<C: Congestion>(
    tcb: &Tcb<'_, C>,
    retransmits: u8,
    net: &mut Net<'_>,
    now: Instant,
) {
    if retransmits < RETRANSMITS_DOUBTED && tcb.retransmits >= RETRANSMITS_DOUBTED {
        let FourTuple { local, remote } = tcb.tuple.full();
        net.doubt_next_hop(local.addr, remote.addr, now);
    }
}

/// After each of these timeouts in a row of a full segment the path may be a black hole: smaller
/// segments are tried.
pub(super) fn suspect_black_hole<C: Congestion>(tcb: &mut Tcb<'_, C>) -> bool {
    let is_full = tcb.snd.flight_size() >= u32::from(tcb.snd.smss);
    let step = BLACK_HOLE_MSS
        .iter()
        .find(|(timeouts, _)| *timeouts == tcb.retransmits);
    match step {
        Some((_, mss)) if is_full && tcb.state().is_synchronized() => shrink(tcb, *mss),
        _ => false,
    }
}

/// Makes segments smaller; false when they are that small already.
fn shrink<C: Congestion>(tcb: &mut Tcb<'_, C>, mss: u16) -> bool {
    let mss = mss.max(MSS_MIN);
    let is_smaller = mss < tcb.snd.smss;
    if is_smaller {
        tcb.snd.smss = mss;
    }
    is_smaller
}

/// Bytes of the headers of IPv4 and TCP without options.
const HEADERS_LEN: u16 = 40;
