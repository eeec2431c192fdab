//! Segments without text: SYN-ACKs, FINs, resets, what answers from TIME-WAIT.
//!
//! All of their headers are written at once, from Ethernet's on, where the station is known that
//! they go to. Else they take the way of all packets through `ip::output`, which is the reference.

use simoom_ring::{CsumOffload, TxOffload, TxPacket, TxRing};

use super::output::{alloc_head, transmit};
use super::tuple::Tuple;
use crate::counters::DropReason;
use crate::eth::EtherType;
use crate::ip;
use crate::net::Net;
use crate::time::Instant;
use crate::wire::checksum::{Sum, sum_of_words};
use crate::wire::ethernet;
use crate::wire::ipv4::{self, Codepoint};
use crate::wire::tcp::{CSUM_OFFSET, Repr};

/// How a segment goes, beside what its header says.
pub(crate) struct Envelope<'a> {
    pub(crate) tuple: Tuple,
    pub(crate) tos: u8,
    /// Where the neighbor table had the next hop last.
    pub(crate) hint: &'a mut u8,
}

impl<'a> Envelope<'a> {
    /// With no special service.
    pub(crate) fn plain(tuple: Tuple, hint: &'a mut u8) -> Self {
        let tos = Codepoint::NotEct.bits();
        Self { tuple, tos, hint }
    }
}

/// Sends a segment without text. It is dropped and counted when there is no frame or space: whoever
/// provoked it asks again, or a timer sends it again.
pub(crate) fn send<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    envelope: Envelope<'_>,
    repr: &Repr,
) {
    let Envelope { tuple, tos, hint } = envelope;
    let (local, remote) = tuple.addrs();
    let Some(mac) = net.station_of(local, remote, hint) else {
        return send_by_ip(net, tx, now, Envelope { tuple, tos, hint }, repr);
    };
    let header_len = repr.header_len();
    let len = ip::HEADERS_LEN + header_len;
    let Some(mut head) = net.pool.alloc_window(net.caps.headroom.into(), len) else {
        return net.counters.drop(DropReason::TxNoFrame);
    };
    let Some((front, segment)) = head.bytes_mut().split_first_chunk_mut() else {
        return;
    };
    let to_ethernet = ethernet::Repr {
        dst: mac,
        src: net.mac,
        ethertype: EtherType::Ipv4,
    };
    // A header is shorter than 64 KiB.
    let segment_len = header_len as u16;
    let datagram = ipv4::Repr {
        tos,
        total_len: ipv4::HEADER_LEN as u16 + segment_len,
        ident: net.ident,
        ttl: net.ttl.get(),
        proto: ip::proto::TCP,
        src: local,
        dst: remote,
    };
    *front = headers(to_ethernet.emit(), datagram.emit());
    net.ident = net.ident.wrapping_add(1);
    repr.emit(segment);
    let mut sum = Sum::pseudo_header(local.into(), remote.into(), ip::proto::TCP, segment_len);
    let mut offload = TxOffload::default();
    let csum = if net.caps.checksums.tx {
        offload.csum = Some(CsumOffload {
            csum_start: ip::HEADERS_LEN as u16,
            csum_offset: CSUM_OFFSET,
        });
        sum.folded()
    } else {
        sum.combine(sum_of_words(segment));
        sum.finish()
    };
    if let Some(field) = segment
        .get_mut(CSUM_OFFSET.into()..)
        .and_then(<[u8]>::first_chunk_mut)
    {
        *field = csum.to_be_bytes();
    }
    net.counters.tcp_segments_out += 1;
    match tx.send(TxPacket::new(head, offload)) {
        Ok(()) => {
            net.counters.tx_packets += 1;
            net.counters.tx_bytes += len as u64;
        }
        Err(_lost) => net.counters.drop(DropReason::TxRingFull),
    }
}

#[cold]
fn send_by_ip<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    Envelope { tuple, tos, hint }: Envelope<'_>,
    repr: &Repr,
) {
    let Some(mut head) = alloc_head(net) else {
        return;
    };
    if let Ok(header) = head.extend(repr.header_len()) {
        repr.emit(header);
        let packet = TxPacket::new(head, TxOffload::default());
        let segment = (packet, repr.header_len(), Sum::new());
        transmit(net, tx, now, segment, tuple, tos, hint);
    }
}

/// Both headers, one behind the other.
#[inline(always)]
fn headers(
    link: [u8; ethernet::HEADER_LEN],
    datagram: [u8; ipv4::HEADER_LEN],
) -> [u8; ip::HEADERS_LEN] {
    let mut bytes = [0; ip::HEADERS_LEN];
    let (first, second) = bytes.split_at_mut(ethernet::HEADER_LEN);
    first.copy_from_slice(&link);
    second.copy_from_slice(&datagram);
    bytes
}

#[cfg(test)]
mod tests;
