//! IPv4: what is taken, and the header of what goes out (RFC 791, RFC 1122 3.2.1).

use simoom_ring::{FrameQueue, RxPacket, TxPacket};

use super::{Datagram, Header};
use crate::addr::Addr;
use crate::counters::DropReason;
use crate::net::Net;
use crate::wire::ipv4::{self, Refused};

/// Checks and pulls the header at the front of a packet.
#[inline]
pub(super) fn input<'p>(
    net: &Net<'p>,
    pkt: &mut RxPacket<'p>,
    is_link_broadcast: bool,
) -> Result<Datagram, DropReason> {
    let header =
        ipv4::Header::parse(pkt.frame.bytes(), pkt.frame_len()).map_err(
            |refused| match refused {
                Refused::Malformed => DropReason::IpMalformed,
                Refused::Checksum => DropReason::IpChecksum,
            },
        )?;
    if header.is_fragment() {
        return Err(DropReason::IpFragment);
    }
    let (src, dst) = (Addr::v4(header.src), Addr::v4(header.dst));
    let is_broadcast = !net.is_ours(dst);
    // RFC 1122 3.3.6: a frame for all stations must hold a datagram for all hosts.
    if is_broadcast && !net.is_broadcast(dst) || is_link_broadcast && !is_broadcast {
        return Err(DropReason::IpNotForUs);
    }
    // RFC 1122 3.2.1.3: a source is one host, on the wire, and another than us.
    if !src.is_unicast() || header.src.is_loopback() || net.is_broadcast(src) || net.is_ours(src) {
        return Err(DropReason::IpBadSource);
    }
    trim(pkt, header.total_len.into());
    pkt.frame.pull(header.header_len.into());
    Ok(Datagram {
        src,
        dst,
        proto: header.proto,
        ttl: header.ttl,
        tos: header.tos,
        is_broadcast,
        header_len: header.header_len,
        // The header was checked to be no longer than the whole.
        payload_len: header.total_len.saturating_sub(header.header_len),
    })
}

/// Shortens a packet to `len` bytes, over all its frames.
#[inline]
fn trim(pkt: &mut RxPacket<'_>, len: usize) {
    if pkt.frame_len() > len {
        trim_rest(pkt, len.saturating_sub(pkt.frame.len()));
        pkt.frame.trim(len);
    }
}

/// Shortens what follows the first frame to `left` bytes.
#[cold]
fn trim_rest(pkt: &mut RxPacket<'_>, mut left: usize) {
    let mut kept = FrameQueue::new(pkt.frame.pool());
    // Bounded by the frames of one packet; those not kept go home.
    while let (Some((tag, _)), Some(mut frame)) = (pkt.rest.front(), pkt.rest.pop_front()) {
        frame.trim(left);
        left = left.saturating_sub(frame.len());
        if !frame.is_empty() {
            kept.push_back(frame, tag);
        }
    }
    pkt.rest = kept;
}

/// Puts the header in front of a packet. `None` when an address is of the other family, when the
/// datagram is too long, or when there is no room: then nothing has changed.
#[inline]
pub(super) fn prepend(net: &mut Net<'_>, packet: &mut TxPacket<'_>, header: &Header) -> Option<()> {
    let total_len = packet.frame_len().checked_add(ipv4::HEADER_LEN)?;
    let repr = ipv4::Repr {
        tos: header.tos,
        total_len: u16::try_from(total_len).ok()?,
        ident: net.ident,
        ttl: net.ttl.get(),
        proto: header.proto,
        src: header.src.as_v4()?,
        dst: header.dst.as_v4()?,
    };
    packet.head_mut().prepend(&repr.emit()).ok()?;
    net.ident = net.ident.wrapping_add(1);
    Some(())
}
