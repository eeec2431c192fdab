//! UDP (RFC 768): ports that are open, datagrams to the application, datagrams from it.

use core::fmt;

use heapless::Vec;
use simoom_ring::{Frame, RxChecksum, RxPacket, TxOffload, TxPacket, TxRing};

use crate::addr::Endpoint;
use crate::config;
use crate::counters::DropReason;
use crate::icmp::{self, Unreachable};
use crate::ip::{self, Datagram, Unsent, proto};
use crate::net::Net;
use crate::time::Instant;
use crate::wire::checksum::Sum;
use crate::wire::dhcpv4::CLIENT_PORT;
use crate::wire::udp::{HEADER_LEN, Header, Repr};

/// The ports that are open.
#[derive(Debug, Default)]
pub struct Udp {
    ports: Vec<u16, { config::UDP_PORTS_MAX }>,
}

impl Udp {
    pub(crate) const fn new() -> Self {
        Self { ports: Vec::new() }
    }

    /// Opens a port: datagrams to it go to the application.
    ///
    /// # Errors
    /// As [`BindError`] says.
    pub fn bind(&mut self, port: u16) -> Result<(), BindError> {
        if port == 0 || port == CLIENT_PORT {
            return Err(BindError::Reserved);
        }
        if self.is_bound(port) {
            return Err(BindError::InUse);
        }
        self.ports.push(port).map_err(|_| BindError::TableFull)
    }

    /// Closes a port; false when it was not open.
    pub fn unbind(&mut self, port: u16) -> bool {
        let found = self.ports.iter().position(|bound| *bound == port);
        found.map(|idx| self.ports.swap_remove(idx)).is_some()
    }

    /// Whether a port is open.
    pub fn is_bound(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}

/// Why a port could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// Port 0, which is none, or that of the DHCP client.
    Reserved,
    /// It is open already.
    InUse,
    /// As many are open as there is room for.
    TableFull,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "the port is reserved",
            Self::InUse => "the port is in use",
            Self::TableFull => "too many ports are open",
        })
    }
}

impl core::error::Error for BindError {}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than the link takes in one piece.
    TooLong,
    /// There is no way to that address, or no address of ours, or a port is 0.
    NoRoute,
    /// The pool or the transmit ring is exhausted: try again later.
    NoSpace,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the datagram is too long",
            Self::NoRoute => "no route to the destination",
            Self::NoSpace => "no space to send from",
        })
    }
}

impl core::error::Error for SendError {}

/// The way out, for an application that answers datagrams.
pub struct UdpOut<'a, 'p, T> {
    pub(crate) net: &'a mut Net<'p>,
    pub(crate) tx: &'a mut T,
    pub(crate) now: Instant,
    /// Type of service.
    tos: u8,
}

impl<'a, 'p, T: TxRing<'p>> UdpOut<'a, 'p, T> {
    pub(crate) fn new(net: &'a mut Net<'p>, tx: &'a mut T, now: Instant) -> Self {
        Self {
            net,
            tx,
            now,
            tos: 0,
        }
    }

    /// The time of this call chain.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Sets the Diffserv codepoint of what is sent from here on in this call (RFC 1122 4.1.4, RFC
    /// 2474): its lower six bits.
    pub fn set_dscp(&mut self, dscp: u8) {
        self.tos = dscp << 2;
    }

    /// Sends a datagram from our address and `local_port`. The bytes are copied: they are small,
    /// and a datagram is not kept for sending again.
    ///
    /// # Errors
    /// As [`SendError`] says; then nothing was sent.
    pub fn send(
        &mut self,
        remote: Endpoint,
        local_port: u16,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        let addr = self.net.addr().ok_or(SendError::NoRoute)?;
        if remote.port == 0 || local_port == 0 {
            return Err(SendError::NoRoute);
        }
        let room = usize::from(self.net.mtu()).saturating_sub(IP_HEADER_LEN + HEADER_LEN);
        if bytes.len() > room {
            return Err(SendError::TooLong);
        }
        let frame = payload(self.net, bytes)?;
        let src = Endpoint::new(addr, local_port);
        output(
            self.net,
            self.tx,
            self.now,
            frame,
            Repr { src, dst: remote },
            self.tos,
        )
    }
}

/// A frame with a payload and room for all headers in front of it.
pub(crate) fn payload<'p>(net: &mut Net<'p>, bytes: &[u8]) -> Result<Frame<'p>, SendError> {
    let Some(mut frame) = net.pool.alloc(net.headroom() + HEADER_LEN) else {
        net.counters.drop(DropReason::TxNoFrame);
        return Err(SendError::NoSpace);
    };
    frame.append(bytes).map_err(|_| SendError::TooLong)?;
    Ok(frame)
}

/// Sends a payload between two endpoints.
pub(crate) fn output<'p>(
    net: &mut Net<'p>,
    tx: &mut impl TxRing<'p>,
    now: Instant,
    mut frame: Frame<'p>,
    repr: Repr,
    tos: u8,
) -> Result<(), SendError> {
    // Generated bytes, just written and still in the cache: summing them costs less than asking
    // a device to.
    let header = repr.emit(frame.bytes()).ok_or(SendError::TooLong)?;
    frame.prepend(&header).map_err(|_| SendError::TooLong)?;
    let packet = TxPacket::new(frame, TxOffload::default());
    let header = ip::Header {
        tos,
        ..ip::Header::new(repr.src.addr, repr.dst.addr, proto::UDP)
    };
    ip::output(net, tx, now, packet, &header).map_err(|unsent| {
        let error = match unsent {
            Unsent::RingFull(_) => SendError::NoSpace,
            Unsent::NoRoute(_) => SendError::NoRoute,
            Unsent::NoRoom(_) => SendError::TooLong,
        };
        unsent.forget(net);
        error
    })
}

/// A datagram came in: to `deliver` (with our endpoint, theirs, and the bytes) if the port is open,
/// or it is that of the DHCP client and `is_client` says that there is one; else the other side is
/// told.
///
/// Broadcasts go to the DHCP client only: an application that answers them helps to flood somebody.
pub(crate) fn input<'p, T: TxRing<'p>>(
    udp: &Udp,
    is_client: bool,
    out: &mut UdpOut<'_, 'p, T>,
    ip: &Datagram,
    mut pkt: RxPacket<'p>,
    deliver: impl FnOnce(&mut UdpOut<'_, 'p, T>, Endpoint, Endpoint, &[u8]),
) {
    let header = match check(ip, &pkt) {
        Ok(header) => header,
        Err(reason) => return out.net.counters.drop(reason),
    };
    let is_dhcp = header.dst_port == CLIENT_PORT && is_client;
    if !is_dhcp && (ip.is_broadcast || !udp.is_bound(header.dst_port)) {
        out.net.counters.drop(DropReason::UdpPortClosed);
        return icmp::unreachable(out.net, out.tx, out.now, ip, pkt, Unreachable::Port);
    }
    pkt.frame.trim(header.len.into());
    pkt.frame.pull(HEADER_LEN);
    let local = Endpoint::new(ip.dst, header.dst_port);
    let remote = Endpoint::new(ip.src, header.src_port);
    deliver(out, local, remote, pkt.frame.bytes());
}

/// The header, if it fits the datagram and the checksum is right.
fn check(ip: &Datagram, pkt: &RxPacket<'_>) -> Result<Header, DropReason> {
    let bytes = pkt.frame.bytes();
    let header = Header::parse(bytes, ip.payload_len).ok_or(DropReason::UdpMalformed)?;
    // Only a device that merges datagrams receives one in several frames.
    let bytes = bytes
        .get(..header.len.into())
        .ok_or(DropReason::UdpTooLarge)?;
    let is_right = match pkt.csum {
        RxChecksum::Verified | RxChecksum::Partial { .. } => true,
        // RFC 768: zero means that the other side has not made one.
        RxChecksum::Unknown if header.csum == 0 => true,
        RxChecksum::Unknown => {
            let mut sum = Sum::pseudo_header(ip.src, ip.dst, proto::UDP, header.len);
            sum.add(bytes);
            sum.is_valid()
        }
    };
    match is_right {
        true => Ok(header),
        false => Err(DropReason::UdpChecksum),
    }
}

/// Bytes of the IP header that goes in front.
const IP_HEADER_LEN: usize = crate::wire::ipv4::HEADER_LEN;

#[cfg(test)]
mod tests;
