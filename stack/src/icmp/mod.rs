//! ICMP: echoes answered in place, errors understood for the transports, errors sent in measure.

use simoom_ring::{Frame, RxPacket, TxOffload, TxPacket, TxRing};

use crate::addr::{Addr, Endpoint};
use crate::counters::DropReason;
use crate::ip::{self, Datagram, Header, proto};
use crate::net::Net;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::icmpv4::{self, Message};
use crate::wire::ipv4;

pub(crate) mod limit;

pub use crate::wire::icmpv4::{Cause, Unreachable};

/// What an ICMP error says about a datagram that we sent. It is hearsay: anyone may have sent it,
/// so a transport checks `seq` before it believes any of it (RFC 5927).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Why the datagram did not arrive.
    pub cause: Cause,
    /// The transport that the datagram belonged to.
    pub proto: u8,
    /// Its source: an endpoint of ours.
    pub local: Endpoint,
    /// Its destination.
    pub remote: Endpoint,
    /// The four bytes behind its ports: TCP's sequence number.
    pub seq: u32,
    /// The length of the datagram in bytes, its IP header included.
    pub len: u16,
}

/// A message came in: answers an echo in the frame that brought it, and gives an error to whom it
/// concerns.
pub(crate) fn input<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ip: &Datagram,
    pkt: RxPacket<'p>,
) -> Option<Notice> {
    match receive(net, ip, &pkt) {
        Ok(Received::Echo) => {
            reply(net, tx, now, ip, pkt);
            None
        }
        Ok(Received::Notice(notice)) => Some(notice),
        Err(reason) => {
            net.counters.drop(reason);
            None
        }
    }
}

enum Received {
    Echo,
    Notice(Notice),
}

fn receive(net: &Net<'_>, ip: &Datagram, pkt: &RxPacket<'_>) -> Result<Received, DropReason> {
    // RFC 1122 3.2.2.6: an answer to a broadcast would help to flood somebody.
    if ip.is_broadcast {
        return Err(DropReason::IcmpBroadcast);
    }
    // A datagram in several frames could only be answered by gathering them: not worth it.
    if !pkt.rest.is_empty() {
        return Err(DropReason::IcmpTooLarge);
    }
    let bytes = pkt.frame.bytes();
    let message = Message::parse(bytes).ok_or(DropReason::IcmpMalformed)?;
    // No device checks this one, whatever the packet says of a transport's checksum.
    if !Sum::of(bytes).is_valid() {
        return Err(DropReason::IcmpChecksum);
    }
    match message {
        // The reply is as long as the request, and goes out whole or not at all.
        Message::EchoRequest if bytes.len() > message_max(net) => Err(DropReason::IcmpTooLarge),
        Message::EchoRequest => Ok(Received::Echo),
        Message::Error {
            cause,
            quoted,
            bytes,
        } => {
            let local = Addr::v4(quoted.src);
            if !net.is_ours(local) {
                return Err(DropReason::IcmpMalformed);
            }
            let [s0, s1, d0, d1, q0, q1, q2, q3] = *bytes;
            Ok(Received::Notice(Notice {
                cause,
                proto: quoted.proto,
                local: Endpoint::new(local, u16::from_be_bytes([s0, s1])),
                remote: Endpoint::new(quoted.dst, u16::from_be_bytes([d0, d1])),
                seq: u32::from_be_bytes([q0, q1, q2, q3]),
                len: quoted.total_len,
            }))
        }
        Message::Unknown => Err(DropReason::IcmpUnknownType),
    }
}

/// Sends an echo request back as its reply: the same frame, four bytes changed, new headers where
/// the old ones were.
fn reply<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ip: &Datagram,
    pkt: RxPacket<'p>,
) {
    let mut frame = pkt.frame;
    icmpv4::reply_in_place(frame.bytes_mut());
    // RFC 1122 3.2.2.6: the service that was asked for; congestion marks do not travel back.
    send(net, tx, now, ip, frame, ip.tos & !ECN);
}

/// Tells the source of a datagram that there is nobody for it here. `pkt` is the datagram as
/// [`ip::input`] left it. Not for broadcasts (RFC 1122 3.2.2), and not too often.
pub(crate) fn unreachable<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ip: &Datagram,
    mut pkt: RxPacket<'p>,
    why: Unreachable,
) {
    if ip.is_broadcast {
        return;
    }
    if !net.icmp_errors.allows(now) {
        net.counters.icmp_errors_suppressed += 1;
        return;
    }
    // The IP header lies in front of the payload as it came: it is quoted, too.
    if pkt.frame.push(ip.header_len.into()).is_err() {
        return;
    }
    let quoted_max = message_max(net).saturating_sub(icmpv4::HEADER_LEN);
    pkt.frame.trim(quoted_max.min(QUOTED_LEN_MAX));
    let quoted = pkt.frame.bytes();
    let headroom = net.headroom() + icmpv4::HEADER_LEN;
    let Some(mut frame) = net.pool.alloc(headroom) else {
        net.counters.drop(DropReason::TxNoFrame);
        return;
    };
    // A copy: the error needs more room in front than the frame that came in has.
    let is_whole = frame.append(quoted).is_ok() && frame.prepend(&why.emit(quoted)).is_ok();
    if !is_whole {
        net.counters.drop(DropReason::TxNoRoom);
        return;
    }
    net.counters.icmp_errors_out += 1;
    send(net, tx, now, ip, frame, 0);
}

/// A datagram of a protocol that nobody here speaks: counts it, and tells its source.
pub(crate) fn unknown_protocol<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ip: &Datagram,
    pkt: RxPacket<'p>,
) {
    net.counters.drop(DropReason::IpUnknownProtocol);
    unreachable(net, tx, now, ip, pkt, Unreachable::Protocol);
}

/// Bytes of the longest message that the link takes.
fn message_max(net: &Net<'_>) -> usize {
    usize::from(net.mtu()).saturating_sub(ipv4::HEADER_LEN)
}

/// Sends a message back to where a datagram came from.
fn send<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    ip: &Datagram,
    message: Frame<'p>,
    tos: u8,
) {
    let header = Header {
        tos,
        ..Header::new(ip.dst, ip.src, proto::ICMP)
    };
    let packet = TxPacket::new(message, TxOffload::default());
    if let Err(unsent) = ip::output(net, tx, now, packet, &header) {
        unsent.forget(net);
    }
}

/// Congestion bits of the type of service (RFC 3168).
const ECN: u8 = 0b11;

/// Bytes of a datagram that an error quotes at most: all of it within 576 bytes (RFC 1812 4.3.2.3).
const QUOTED_LEN_MAX: usize = 576 - ipv4::HEADER_LEN - icmpv4::HEADER_LEN;

#[cfg(test)]
mod tests;
