//! A SYN as nearly all clients send it: an entry of the SYN queue, and a SYN-ACK that is written in
//! one go.
//!
//! ```text
//!   MSS │ SACK-permitted, timestamps │ window scale        offered in this order, and answered
//! ```
//!
//! Who offers less, or in another order, takes the long way, and so does whoever finds a queue full
//! or has a next hop that is not known.

use simoom_ring::{CsumOffload, Frame, MacAddr, TxOffload, TxPacket, TxRing};

use super::headers::Headers;
use crate::config::RTO_INITIAL;
use crate::counters::DropReason;
use crate::net::Net;
use crate::tcp::app::App;
use crate::tcp::deadline::Deadline;
use crate::tcp::ecn::Ecn;
use crate::tcp::listen::SynEntry;
use crate::tcp::opening::first_window;
use crate::tcp::run::part;
use crate::tcp::seqnum::{WndScale, WndSize};
use crate::tcp::ts::Ts;
use crate::tcp::{Cx, Tcp, smss_to};
use crate::wire::checksum::{fold_words, sum_of_words};
use crate::wire::tcp::{CSUM_OFFSET, Ctl, HEADER_LEN};
use crate::wire::{ethernet, ipv4};
use crate::{ip, time};

/// What a client offers.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    mss: u16,
    ts_val: u32,
    wscale: WndScale,
}

impl Offer {
    /// Reads it from the frame of a SYN of the usual kind.
    #[inline]
    pub(super) fn read(headers: &Headers, bytes: &[u8]) -> Option<Self> {
        if headers.ctl != Ctl::SYN || headers.payload_len != 0 || headers.len != LEN {
            return None;
        }
        let options = bytes.get(OPTIONS..)?.first_chunk::<20>()?;
        let (words, _) = options.as_chunks::<4>();
        let [[2, 4, m0, m1], [4, 2, 8, 10], val, _, [1, 3, 3, shift]] = words else {
            return None;
        };
        Some(Self {
            mss: u16::from_be_bytes([*m0, *m1]),
            ts_val: u32::from_be_bytes(*val),
            wscale: WndScale::from_wire(*shift),
        })
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// LISTEN, RFC 9293 3.10.7.2, third: a SYN that offers what nearly all do. False, with nothing
    /// changed, when it must take the long way.
    pub(super) fn is_answered<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        hash: u64,
        headers: &Headers,
        offer: Offer,
    ) -> bool {
        let (tuple, now) = (headers.tuple, cx.now);
        let has_all =
            self.settings.timestamps && self.settings.sack && self.settings.window_scaling;
        let (local, remote) = tuple.addrs();
        let Some(listener) = self.listeners.find(tuple.local_port()) else {
            return false;
        };
        let has_room = (self.listeners.get_mut(listener))
            .is_some_and(|place| place.syn_cnt < place.backlog)
            && self.syns.has_free();
        if !has_all || !has_room || cx.tx.space() == 0 || cx.net.pool.free_cnt() == 0 {
            return false;
        }
        let Some(mac) = cx.net.station_of(local, remote, &mut self.neighbor_hint) else {
            return false;
        };
        let secret = self.isn_key.of(tuple);
        let rexmt_at = Deadline::after(now, RTO_INITIAL);
        let entry = SynEntry {
            tuple,
            iss: secret.iss(now),
            irs: headers.seq,
            smss: smss_to(cx.net, remote.into(), Some(offer.mss), now),
            rmss: cx.net.rmss(),
            wnd: first_window(cx.net),
            wscale: Some(offer.wscale),
            our_wscale: self.our_wscale(cx.net),
            is_sack_permitted: true,
            ecn: Ecn::OFF,
            ts: Ts::on(secret.ts_offset(), offer.ts_val, headers.seq + 1, now),
            listener,
            sent_at: now,
            rexmt_at,
            ..SynEntry::default()
        };
        let Some(idx) = self.queue_syn(entry, hash) else {
            return false;
        };
        self.wheel.set(self.conns.len() as u32 + idx, rexmt_at);
        if let Some(entry) = self.syns.get_mut(idx) {
            send_syn_ack(entry, cx.net, cx.tx, now, mac);
        }
        true
    }
}

/// Sends the SYN-ACK of an entry whose client has offered everything, to a station that is known.
fn send_syn_ack<'p>(
    entry: &mut SynEntry,
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: time::Instant,
    mac: MacAddr,
) {
    let Some(mut head) = net.pool.alloc_window(net.caps.headroom.into(), LEN) else {
        return net.counters.drop(DropReason::TxNoFrame);
    };
    let offload = write_syn_ack(entry, net, now, mac, &mut head);
    net.counters.tcp_segments_out += 1;
    match tx.send(TxPacket::new(head, offload)) {
        Ok(()) => {
            net.counters.tx_packets += 1;
            net.counters.tx_bytes += LEN as u64;
        }
        Err(_lost) => net.counters.drop(DropReason::TxRingFull),
    }
}

/// Writes all of its headers; what the device is to do.
#[inline(always)]
fn write_syn_ack(
    entry: &mut SynEntry,
    net: &mut Net<'_>,
    now: time::Instant,
    mac: MacAddr,
    head: &mut Frame<'_>,
) -> TxOffload {
    let Some(bytes) = head.bytes_mut().first_chunk_mut::<LEN>() else {
        return TxOffload::default();
    };
    let (local, remote) = entry.tuple.addrs();
    let (from, to) = (local.octets(), remote.octets());
    *bytes = FIXED;
    *part(bytes, 0) = mac.0;
    *part(bytes, 6) = net.mac.0;
    *part(bytes, IP + 4) = net.ident.to_be_bytes();
    net.ident = net.ident.wrapping_add(1);
    *part(bytes, IP + 8) = [net.ttl.get()];
    *part(bytes, IP + 12) = from;
    *part(bytes, IP + 16) = to;
    *part(bytes, TCP) = entry.tuple.local_port().to_be_bytes();
    *part(bytes, TCP + 2) = entry.tuple.remote_port().to_be_bytes();
    *part(bytes, TCP + 4) = entry.iss.0.to_be_bytes();
    *part(bytes, TCP + 8) = (entry.irs + 1).0.to_be_bytes();
    *part(bytes, TCP + 14) = WndSize(entry.wnd.0).to_wire(WndScale::ZERO).0.to_be_bytes();
    *part(bytes, OPTIONS + 2) = entry.rmss.to_be_bytes();
    if let Some(stamps) = entry.ts.stamp(entry.irs + 1, now) {
        *part(bytes, OPTIONS + 8) = stamps.val.to_be_bytes();
        *part(bytes, OPTIONS + 12) = stamps.ecr.to_be_bytes();
    }
    let shift = entry.our_wscale.map_or(0, WndScale::get);
    *part(bytes, OPTIONS + 19) = [shift];
    // Sums of words in the machine's order, whichever that is (RFC 1071 2 (B)).
    let sum_of = |part: Option<&[u8]>| sum_of_words(part.unwrap_or_default()).words();
    let ip_sum = fold_words(sum_of(bytes.get(IP..TCP)));
    *part(bytes, IP + 10) = (!ip_sum).to_ne_bytes();
    let addrs = u64::from(u32::from_ne_bytes(from)) + u64::from(u32::from_ne_bytes(to));
    let pseudo = addrs + u64::from((u16::from(ip::proto::TCP) + TCP_LEN).to_be());
    if net.caps.checksums.tx {
        *part(bytes, TCP_CSUM) = fold_words(pseudo).to_ne_bytes();
        let csum = Some(CsumOffload {
            csum_start: ip::HEADERS_LEN as u16,
            csum_offset: CSUM_OFFSET,
        });
        TxOffload { csum, gso: None }
    } else {
        let sum = pseudo + sum_of(bytes.get(TCP..));
        *part(bytes, TCP_CSUM) = (!fold_words(sum)).to_ne_bytes();
        TxOffload::default()
    }
}

/// Where the headers and their fields lie.
const IP: usize = ethernet::HEADER_LEN;
const TCP: usize = ip::HEADERS_LEN;
const OPTIONS: usize = TCP + HEADER_LEN;
const TCP_CSUM: usize = TCP + CSUM_OFFSET as usize;

/// Bytes of all of them, and of those of TCP and above Ethernet.
const LEN: usize = OPTIONS + 20;
const TCP_LEN: u16 = HEADER_LEN as u16 + 20;
const IP_LEN: u16 = ipv4::HEADER_LEN as u16 + TCP_LEN;

/// What is the same in each.
const FIXED: [u8; LEN] = {
    let mut bytes = [0; LEN];
    bytes[IP - 2] = 0x08;
    bytes[IP] = 0x45;
    bytes[IP + 3] = IP_LEN as u8;
    bytes[IP + 6] = 0x40;
    bytes[IP + 9] = ip::proto::TCP;
    bytes[TCP + 12] = (TCP_LEN as u8) << 2;
    bytes[TCP + 13] = 0x12;
    bytes[OPTIONS] = 2;
    bytes[OPTIONS + 1] = 4;
    bytes[OPTIONS + 4] = 4;
    bytes[OPTIONS + 5] = 2;
    bytes[OPTIONS + 6] = 8;
    bytes[OPTIONS + 7] = 10;
    bytes[OPTIONS + 16] = 1;
    bytes[OPTIONS + 17] = 3;
    bytes[OPTIONS + 18] = 3;
    bytes
};
