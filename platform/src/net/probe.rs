//! Is the address free on the link? An ARP probe (RFC 5227 2.1.1), before the first packet has it.
//!
//! RFC 5227 waits for seconds, and a server is to listen within milliseconds. So there is one probe
//! and one short wait, in which a machine that is there has answered. The stack probes on while it
//! serves, and defends the address.

use core::fmt;
use core::net::Ipv4Addr;

use simoom::wire::arp::{Op, Repr};
use simoom_ring::{FramePool, MacAddr, Queue, RxRing, TxOffload, TxPacket, TxRing};

/// Someone else has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The address.
    pub addr: Ipv4Addr,
    /// Who has it.
    pub mac: MacAddr,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "address {} is already used on this link, by {}",
            self.addr, self.mac
        )
    }
}

impl core::error::Error for Conflict {}

/// A question that is under way. Between [`ask`](Self::ask) and the last
/// [`heard`](Self::heard) the caller sleeps until the port has news, for as long as it will wait.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    addr: Ipv4Addr,
    mac: MacAddr,
}

impl Probe {
    /// Asks for `addr`, in the name of nobody; `None` when that cannot be sent.
    pub fn ask<'p>(
        queue: &mut impl Queue<'p>,
        pool: &'p FramePool<'p>,
        headroom: usize,
        mac: MacAddr,
        addr: Ipv4Addr,
    ) -> Option<Self> {
        let question = Repr {
            op: Op::Request,
            sha: mac,
            spa: Ipv4Addr::UNSPECIFIED,
            tha: MacAddr([0; 6]),
            tpa: addr,
        };
        let mut frame = pool.alloc(headroom)?;
        frame.append(&MacAddr::BROADCAST.0).ok()?;
        frame.append(&mac.0).ok()?;
        frame.append(&ETHERTYPE).ok()?;
        frame.append(&question.emit()).ok()?;
        let packet = TxPacket::new(frame, TxOffload::default());
        let (_, tx) = queue.rings();
        tx.send(packet).ok()?;
        tx.sync();
        Some(Self { addr, mac })
    }

    /// Reads what has come in meanwhile, and throws it away. `None`: nobody has answered yet.
    pub fn heard<'p>(&self, queue: &mut impl Queue<'p>) -> Option<Conflict> {
        let (rx, _) = queue.rings();
        let mut found = None;
        for _ in 0..rx.sync() {
            let Some(packet) = rx.recv() else { break };
            found = found.or_else(|| self.conflict(packet.frame.bytes()));
        }
        found
    }

    /// Whether a frame says that someone else has the address, or is about to take it.
    fn conflict(&self, frame: &[u8]) -> Option<Conflict> {
        let payload = frame.get(12..)?.strip_prefix(&ETHERTYPE)?;
        let Repr { sha, spa, tpa, .. } = Repr::parse(payload)?;
        let is_probe = spa.is_unspecified() && tpa == self.addr;
        let is_theirs = sha != self.mac && (spa == self.addr || is_probe);
        is_theirs.then_some(Conflict {
            addr: self.addr,
            mac: sha,
        })
    }
}

/// ARP's.
const ETHERTYPE: [u8; 2] = [0x08, 0x06];

#[cfg(test)]
mod tests;
