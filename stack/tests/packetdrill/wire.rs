//! What lies below TCP on the wire: Ethernet, IP, ICMP, and their checksums, written apart from the
//! stack's own so that neither can hide a mistake of the other.

use std::net::IpAddr;

use simoom_ring::MacAddr;

/// The two ends of a packet, in its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
}

/// An IP packet, taken apart.
#[derive(Debug)]
pub(crate) struct Datagram<'b> {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) tos: u8,
    pub(crate) proto: u8,
    pub(crate) payload: &'b [u8],
}

/// The sum of RFC 1071 over several pieces, of which all but the last are even.
fn sum(pieces: &[&[u8]]) -> u16 {
    let mut total: u32 = 0;
    for piece in pieces {
        for pair in piece.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            total += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The checksum that makes `bytes` right, whose own field is zero.
fn checksum(bytes: &[u8]) -> u16 {
    !sum(&[bytes])
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

/// The checksum of a transport's bytes whose own field is zero; zero when it is right already.
pub(crate) fn transport_checksum(ends: &Ends, proto: u8, bytes: &[u8]) -> u16 {
    let len = (bytes.len() as u32).to_be_bytes();
    let (src, dst) = (octets(ends.src), octets(ends.dst));
    !sum(&[&src, &dst, &len, &[0, proto], bytes])
}

/// An Ethernet frame around an IP packet around `payload`.
pub(crate) fn frame(
    macs: (MacAddr, MacAddr),
    ends: &Ends,
    (tos, ttl): (u8, u8),
    proto: u8,
    payload: &[u8],
) -> Vec<u8> {
    let (src_mac, dst_mac) = macs;
    let ip_header = header(ends, (tos, ttl), proto, payload.len());
    let ethertype = if ends.src.is_ipv4() { IPV4 } else { IPV6 };
    [&dst_mac.0[..], &src_mac.0, &ethertype, &ip_header, payload].concat()
}

/// An IP header in front of `len` bytes.
fn header(ends: &Ends, (tos, ttl): (u8, u8), proto: u8, len: usize) -> Vec<u8> {
    let (src, dst) = (octets(ends.src), octets(ends.dst));
    if ends.src.is_ipv4() {
        let [high, low] = ((20 + len) as u16).to_be_bytes();
        let fields = [0x45, tos, high, low, 0, 0, 0x40, 0, ttl, proto, 0, 0];
        let mut header = [&fields[..], &src, &dst].concat();
        let csum = checksum(&header);
        header[10..12].copy_from_slice(&csum.to_be_bytes());
        header
    } else {
        let [high, low] = (len as u16).to_be_bytes();
        let fields = [0x60 | tos >> 4, tos << 4, 0, 0, high, low, proto, ttl];
        [&fields[..], &src, &dst].concat()
    }
}

/// Takes what an Ethernet frame carries apart; the error says what is wrong with it.
pub(crate) fn datagram(bytes: &[u8]) -> Result<Datagram<'_>, String> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) if bytes.len() >= 20 => {
            let total_len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            if bytes[0] != 0x45 || total_len != bytes.len() {
                return Err("an IP header that contradicts the frame".to_string());
            }
            if sum(&[&bytes[..20]]) != 0xffff {
                return Err("a wrong IP header checksum".to_string());
            }
            let addr = |at: usize| {
                let octets: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
                IpAddr::from(octets)
            };
            Ok(Datagram {
                src: addr(12),
                dst: addr(16),
                tos: bytes[1],
                proto: bytes[9],
                payload: &bytes[20..],
            })
        }
        version => Err(format!("IP version {version:?}")),
    }
}

/// An ICMP error (RFC 792) that quotes a datagram of the local end: its header and eight bytes.
pub(crate) fn icmp_error(
    (kind, code, mtu): (u8, u8, u16),
    ours: &Ends,
    seq: u32,
    quoted_len: usize,
) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0, 0, 0];
    bytes.extend(mtu.to_be_bytes());
    bytes.extend(header(ours, (0, 64), TCP, quoted_len));
    bytes.extend(ours.src_port.to_be_bytes());
    bytes.extend(ours.dst_port.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    let csum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&csum.to_be_bytes());
    bytes
}

/// An ARP packet of the peer's, in its frame: a question (1) or an answer (2).
pub(crate) fn arp(op: u8, peer: (MacAddr, [u8; 4]), ours: (MacAddr, [u8; 4])) -> Vec<u8> {
    let mut bytes = [&ours.0.0[..], &peer.0.0, &ARP].concat();
    bytes.extend([0, 1, 8, 0, 6, 4, 0, op]);
    bytes.extend(peer.0.0);
    bytes.extend(peer.1);
    bytes.extend(ours.0.0);
    bytes.extend(ours.1);
    bytes
}

/// Who is asked for, if a frame is an ARP request.
pub(crate) fn arp_asks(frame: &[u8]) -> Option<[u8; 4]> {
    let is_request = frame.get(12..14)? == ARP && frame.get(20..22)? == [0, 1];
    let target = frame.get(38..42)?.try_into().ok()?;
    is_request.then_some(target)
}

pub(crate) const TCP: u8 = 6;
pub(crate) const ICMP: u8 = 1;
pub(crate) const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
pub(crate) const ARP: [u8; 2] = [0x08, 0x06];
