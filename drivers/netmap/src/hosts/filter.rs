//! Which frames are ours on an interface that the machine keeps using itself.
//!
//! | frame | our address is ours alone | the machine has it, too |
//! |---|---|---|
//! | ARP request for it | ours | both |
//! | ARP reply, or any ARP from our address | both | both |
//! | IPv4 to it: TCP to a port of ours | ours | ours |
//! | IPv4 to it: ICMP about such a segment | ours | both |
//! | IPv4 to it: anything else | ours | theirs |
//! | UDP to the DHCP client's port, while we have no address | both | |
//! | anything else: IPv6, tags, other addresses, groups | theirs | theirs |
//!
//! What is for both is copied, once; what is theirs changes hands. With an address that is ours
//! alone, the machine itself cannot reach us: what it sends leaves by the wire.

use std::net::{Ipv4Addr, UdpSocket};
use std::vec::Vec;

use super::Takes;

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The stack's here.
    Ours,
    /// The machine's.
    Theirs,
    /// Each needs it.
    Both,
}

/// Tells frames apart.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    addr: Option<[u8; 4]>,
    tcp_ports: Vec<u16>,
    is_shared: bool,
}

impl Filter {
    /// Frames for this are ours; `is_shared` when the machine's own stack has the address, too.
    pub fn new(takes: &Takes, is_shared: bool) -> Self {
        Self {
            addr: takes.addr.map(|addr| addr.octets()),
            tcp_ports: takes.tcp_ports.clone(),
            is_shared,
        }
    }

    /// As [`new`](Self::new), and asks the machine whether it has the address.
    pub fn for_machine(takes: &Takes) -> Self {
        Self::new(takes, takes.addr.is_some_and(is_machines))
    }

    /// Whose a frame is, from its Ethernet header on.
    #[inline]
    pub fn judge(&self, frame: &[u8]) -> Verdict {
        let Some((header, payload)) = frame.split_first_chunk::<14>() else {
            return Verdict::Theirs;
        };
        let verdict = match [header[12], header[13]] {
            [8, 0] => self.judge_ipv4(payload),
            [8, 6] => self.judge_arp(payload),
            _ => None,
        };
        verdict.unwrap_or(Verdict::Theirs)
    }

    /// RFC 826: operation at 6, sender's address at 14, target's at 24. `None` when it ends early.
    fn judge_arp(&self, packet: &[u8]) -> Option<Verdict> {
        let op = packet.get(6..8)?;
        let (spa, tpa) = (packet.get(14..18)?, packet.get(24..28)?);
        let is_ours = |addr: &[u8]| self.addr.is_some_and(|ours| ours == addr);
        let is_request = op == [0, 1];
        Some(match () {
            () if is_request && is_ours(tpa) && !is_ours(spa) && !self.is_shared => Verdict::Ours,
            () if !is_request || is_ours(tpa) || is_ours(spa) => Verdict::Both,
            () => Verdict::Theirs,
        })
    }

    /// RFC 791: protocol at 9, addresses at 12 and 16. `None` when it ends early.
    #[inline]
    fn judge_ipv4(&self, datagram: &[u8]) -> Option<Verdict> {
        let header_len = 4 * usize::from(datagram.first()? & 0xf);
        let proto = *datagram.get(9)?;
        let dst = datagram.get(16..20)?;
        let Some(addr) = self.addr else {
            let is_to_dhcp = proto == 17 && datagram.get(header_len + 2..)?.starts_with(&[0, 68]);
            return is_to_dhcp.then_some(Verdict::Both);
        };
        if dst != addr {
            return None;
        }
        if !self.is_shared {
            return Some(Verdict::Ours);
        }
        // The first fragment, or the whole of it.
        let is_first = datagram.get(6)? & 0x1f == 0 && *datagram.get(7)? == 0;
        let body = datagram.get(header_len..).filter(|_| is_first)?;
        match proto {
            6 => self.has_port(body.get(2..4)?).then_some(Verdict::Ours),
            1 => self.is_about_ours(body).then_some(Verdict::Both),
            _ => None,
        }
    }

    /// RFC 792: an error has the header that it is about at 8, from us and by TCP.
    fn is_about_ours(&self, message: &[u8]) -> bool {
        let is_error = matches!(message.first(), Some(3 | 11 | 12));
        let Some(quoted) = message.get(8..).filter(|_| is_error) else {
            return false;
        };
        let header_len = 4 * usize::from(quoted.first().unwrap_or(&0) & 0xf);
        let is_tcp = quoted.get(9) == Some(&6);
        let port = quoted.get(header_len..header_len + 2);
        is_tcp && port.is_some_and(|port| self.has_port(port))
    }

    #[inline]
    fn has_port(&self, port: &[u8]) -> bool {
        let is_it = |ours: &u16| ours.to_be_bytes() == port;
        self.tcp_ports.iter().any(is_it)
    }
}

/// Whether the machine's own stack has an address: then it lets a socket be bound to it.
fn is_machines(addr: Ipv4Addr) -> bool {
    UdpSocket::bind((addr, 0)).is_ok()
}

#[cfg(test)]
mod tests;
