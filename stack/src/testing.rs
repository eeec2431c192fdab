//! What the tests of all modules share: a pool, a ring that shows what was sent, a small world.

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

use simoom_ring::{
    Caps, FRAME_SIZE, FrameMemory, FrameMeta, FramePool, MacAddr, RxPacket, TxOffload, TxPacket,
    TxRing,
};

use crate::addr::{Addr, Cidr, Endpoint};
use crate::net::Net;
use crate::time::Instant;
use crate::wire::{arp as arp_wire, ethernet, ipv4, udp};
use crate::{arp, config};

/// A pool of `frames` frames that lives for ever.
pub(crate) fn pool(frames: usize) -> &'static FramePool<'static> {
    let memory = Box::leak(std::vec![FrameMemory::ZERO; frames].into_boxed_slice());
    let metas: Vec<FrameMeta> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(
        memory,
        Box::leak(metas.into_boxed_slice()),
    )))
}

/// Fails when a frame is not home.
pub(crate) fn assert_all_home(pool: &FramePool<'_>) {
    assert!(pool.all_home(), "a frame leaked: {pool:?}");
}

/// A received packet of one frame, with room for longer headers in front as a driver leaves it.
pub(crate) fn rx(pool: &'static FramePool<'static>, bytes: &[u8]) -> RxPacket<'static> {
    let mut frame = pool.alloc(64).expect("the test's pool has a frame");
    frame.append(bytes).expect("the test's bytes fit a frame");
    RxPacket::plain(frame)
}

/// A received packet whose bytes are cut into frames of `chunk` bytes: a large receive.
pub(crate) fn rx_large(
    pool: &'static FramePool<'static>,
    bytes: &[u8],
    chunk: usize,
) -> RxPacket<'static> {
    let chunk = chunk.clamp(1, FRAME_SIZE - 64);
    let mut chunks = bytes.chunks(chunk);
    let mut packet = rx(pool, chunks.next().unwrap_or(&[]));
    for bytes in chunks {
        let more = rx(pool, bytes);
        packet.rest.push_back(more.frame, 0);
    }
    packet
}

/// One packet as it was put on the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// All bytes, from the Ethernet header on, pieces joined.
    pub(crate) bytes: Vec<u8>,
    /// What the device was asked to do.
    pub(crate) offload: TxOffload,
    /// How many pieces it had.
    pub(crate) pieces: usize,
}

/// A transmit ring that copies what it is given and sends the frames home at once.
pub(crate) struct TestRing {
    space: usize,
    size: usize,
    sent: VecDeque<Sent>,
    /// How often it was published.
    pub(crate) syncs: usize,
}

impl TestRing {
    /// A ring for `space` packets between two syncs.
    pub(crate) fn new(space: usize) -> Self {
        Self {
            space,
            size: space,
            sent: VecDeque::new(),
            syncs: 0,
        }
    }

    /// Changes the room that there is now and after each sync.
    pub(crate) fn set_space(&mut self, space: usize) {
        self.space = space;
        self.size = space;
    }

    /// Takes the oldest packet that was sent and not yet looked at.
    pub(crate) fn next(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// Takes the bytes of the only packet that was sent and not yet looked at.
    pub(crate) fn only(&mut self) -> Vec<u8> {
        let sent = self.next().expect("a packet was sent");
        assert!(self.sent.is_empty(), "more was sent: {:02x?}", self.sent);
        sent.bytes
    }

    /// Takes all that was sent and not yet looked at.
    pub(crate) fn take(&mut self) -> Vec<Sent> {
        self.sent.drain(..).collect()
    }

    /// Whether all that was sent has been looked at.
    pub(crate) fn is_silent(&self) -> bool {
        self.sent.is_empty()
    }
}

impl<'p> TxRing<'p> for TestRing {
    fn space(&self) -> usize {
        self.space
    }

    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        let Some(space) = self.space.checked_sub(1) else {
            return Err(packet);
        };
        self.space = space;
        let mut bytes = packet.head().bytes().to_vec();
        for fragment in packet.fragments() {
            bytes.extend_from_slice(fragment.bytes());
        }
        let (offload, pieces) = (packet.offload(), packet.pieces());
        self.sent.push_back(Sent {
            bytes,
            offload,
            pieces,
        });
        Ok(())
    }

    fn sync(&mut self) {
        self.space = self.size;
        self.syncs += 1;
    }
}

/// Our station address in tests.
pub(crate) const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The station address of the other end in tests.
pub(crate) const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// Our address in tests, on a network of prefix length 24.
pub(crate) const OUR_IP: [u8; 4] = [10, 0, 2, 15];
/// The other end's address in tests, which is the gateway, too.
pub(crate) const PEER_IP: [u8; 4] = [10, 0, 2, 2];

/// An address from its four bytes.
pub(crate) fn v4(bytes: [u8; 4]) -> Addr {
    Addr::v4(bytes.into())
}

/// A network layer without an address, over a plain port.
pub(crate) fn bare_net(pool: &'static FramePool<'static>) -> Net<'static> {
    Net::new(pool, Caps::PLAIN, OUR_MAC)
}

/// A network layer at `OUR_IP` that knows `PEER_IP`, its gateway, and has nothing left to announce.
pub(crate) fn net(pool: &'static FramePool<'static>) -> Net<'static> {
    let mut net = bare_net(pool);
    net.configure(our_cidr(), Some(v4(PEER_IP)));
    let mut ring = TestRing::new(16);
    arp::poll(&mut net, &mut ring, Instant::ZERO);
    arp::poll(
        &mut net,
        &mut ring,
        Instant::ZERO + config::ARP_ANNOUNCE_INTERVAL,
    );
    meet(&mut net, PEER_IP, PEER_MAC, Instant::ZERO);
    net
}

/// Lets a neighbor ask for us, so that it is known.
pub(crate) fn meet(net: &mut Net<'static>, addr: [u8; 4], mac: MacAddr, now: Instant) {
    let request = arp_packet(
        arp_wire::Op::Request,
        (mac, addr),
        (MacAddr([0; 6]), OUR_IP),
    );
    let pkt = rx(net.pool, &request);
    arp::input(net, &mut TestRing::new(16), now, pkt);
}

/// An ARP packet without its Ethernet header, from the first to the second.
pub(crate) fn arp_packet(
    op: arp_wire::Op,
    (sha, spa): (MacAddr, [u8; 4]),
    (tha, tpa): (MacAddr, [u8; 4]),
) -> Vec<u8> {
    let repr = arp_wire::Repr {
        op,
        sha,
        spa: spa.into(),
        tha,
        tpa: tpa.into(),
    };
    repr.emit().to_vec()
}

/// An IPv4 datagram.
pub(crate) fn datagram(src: [u8; 4], dst: [u8; 4], proto: u8, payload: &[u8]) -> Vec<u8> {
    datagram_of(0, src, dst, proto, payload)
}

/// The same with a type of service.
pub(crate) fn datagram_of(
    tos: u8,
    src: [u8; 4],
    dst: [u8; 4],
    proto: u8,
    payload: &[u8],
) -> Vec<u8> {
    let total_len = u16::try_from(ipv4::HEADER_LEN + payload.len()).expect("a short payload");
    let (src, dst) = (src.into(), dst.into());
    let repr = ipv4::Repr {
        tos,
        total_len,
        ident: 1,
        ttl: 64,
        proto,
        src,
        dst,
    };
    let mut bytes = repr.emit().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame from `PEER_MAC` to `dst` with an IPv4 datagram in it.
pub(crate) fn frame(dst: MacAddr, datagram: &[u8]) -> Vec<u8> {
    let header = ethernet::Repr {
        dst,
        src: PEER_MAC,
        ethertype: ethernet::EtherType::Ipv4,
    };
    let mut bytes = header.emit().to_vec();
    bytes.extend_from_slice(datagram);
    bytes
}

/// A UDP datagram's header and payload.
pub(crate) fn udp_bytes(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Vec<u8> {
    let mut bytes = udp::Repr { src, dst }
        .emit(payload)
        .expect("a short payload")
        .to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// `OUR_IP/24`.
pub(crate) fn our_cidr() -> Cidr {
    Cidr::new(v4(OUR_IP), 24).expect("24 bits fit IPv4")
}

/// A DHCP server's message to `OUR_MAC`, with the options `(code, bytes)` as they are.
pub(crate) fn dhcp_reply(xid: u32, yiaddr: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = std::vec![2, 1, 6, 0];
    bytes.extend_from_slice(&xid.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&yiaddr);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&OUR_MAC.0);
    bytes.extend_from_slice(&[0; 10 + 64 + 128]);
    bytes.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    for (code, value) in options {
        bytes.extend_from_slice(&[*code, u8::try_from(value.len()).expect("a short option")]);
        bytes.extend_from_slice(value);
    }
    bytes.push(255);
    bytes
}
