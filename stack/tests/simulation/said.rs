//! What clients by script say, as frames.

use std::net::Ipv4Addr;

use simoom::eth::EtherType;
use simoom::tcp::seqnum::WndScale;
use simoom::wire::tcp::{Ctl, Options, Repr, Timestamps};
use simoom::wire::{arp, ethernet, ipv4};
use simoom_ring::{FramePool, MacAddr, RxChecksum, RxPacket};
use simoom_sim::MemoryRings;

/// Who speaks, and to whom.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    /// Station addresses.
    pub(crate) from_mac: MacAddr,
    pub(crate) to_mac: MacAddr,
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
}

impl Ends {
    /// A segment as a frame. Its checksum is zero.
    pub(crate) fn segment(&self, repr: &Repr, payload: &[u8]) -> Vec<u8> {
        let header_len = ipv4::HEADER_LEN + repr.header_len();
        let datagram = ipv4::Repr {
            tos: 0,
            total_len: (header_len + payload.len()) as u16,
            ident: 1,
            ttl: 64,
            proto: simoom::ip::proto::TCP,
            src: self.from,
            dst: self.to,
        };
        let mut frame = self.ethernet(EtherType::Ipv4);
        frame.extend_from_slice(&datagram.emit());
        let at = frame.len();
        frame.resize(at + repr.header_len(), 0);
        repr.emit(&mut frame[at..]);
        frame.extend_from_slice(payload);
        frame
    }

    /// An ARP request for `to`, of which whoever is asked learns `from`.
    pub(crate) fn who_has(&self) -> Vec<u8> {
        let request = arp::Repr {
            op: arp::Op::Request,
            sha: self.from_mac,
            spa: self.from,
            tha: MacAddr([0; 6]),
            tpa: self.to,
        };
        let mut frame = self.ethernet(EtherType::Arp);
        frame.extend_from_slice(&request.emit());
        frame
    }

    fn ethernet(&self, ethertype: EtherType) -> Vec<u8> {
        let header = ethernet::Repr {
            dst: self.to_mac,
            src: self.from_mac,
            ethertype,
        };
        header.emit().to_vec()
    }
}

/// The options of a segment of a client that uses all that is usual; its window is shifted by
/// [`WND_SHIFT`].
pub(crate) fn options(ctl: Ctl, timestamps: Timestamps) -> Options {
    let mut options = Options {
        timestamps: Some(timestamps),
        ..Options::default()
    };
    if ctl.has(Ctl::SYN) {
        options.mss = Some(1_460);
        options.wscale = Some(WndScale::from_wire(WND_SHIFT));
        options.sack_permitted = true;
    }
    options
}

/// By how much the windows of such clients are shifted.
pub(crate) const WND_SHIFT: u8 = 7;

/// What a client's segment takes of its sequence space.
pub(crate) fn seq_len(ctl: Ctl, payload: &[u8]) -> u32 {
    payload.len() as u32 + u32::from(ctl.has(Ctl::SYN) || ctl.has(Ctl::FIN))
}

/// Puts a frame into the receive ring, in a frame of `pool`; a card has summed it.
pub(crate) fn arrive(
    rings: &mut MemoryRings<'static>,
    pool: &'static FramePool<'static>,
    bytes: &[u8],
) {
    let mut frame = pool.alloc(0).expect("a frame for the script");
    frame.append(bytes).expect("it fits");
    let mut packet = RxPacket::plain(frame);
    packet.csum = RxChecksum::Verified;
    rings.arrive(packet);
}
