use simoom_ring::FramePool;
use std::string::ToString;
use std::vec::Vec as StdVec;

use super::*;
use crate::random::Random;
use crate::testing::{
    self, OUR_IP, PEER_IP, TestRing, assert_all_home, datagram, rx, rx_large, udp_bytes, v4,
};
use crate::wire::ipv4;

const NOW: Instant = Instant::from_micros(5_000_000);
const ECHO: u16 = 7;

struct World {
    pool: &'static FramePool<'static>,
    net: Net<'static>,
    ring: TestRing,
    udp: Udp,
    /// There is a DHCP client.
    has_client: bool,
    delivered: StdVec<(Endpoint, Endpoint, StdVec<u8>)>,
}

impl World {
    fn new() -> Self {
        let pool = testing::pool(8);
        let mut udp = Udp::new();
        udp.bind(ECHO).unwrap();
        Self {
            pool,
            net: testing::net(pool),
            ring: TestRing::new(usize::MAX),
            udp,
            has_client: false,
            delivered: StdVec::new(),
        }
    }

    /// Lets a datagram come in; the application answers with the same bytes, in upper case.
    fn arrives(&mut self, mut pkt: RxPacket<'static>) {
        let ip = ip::input(&mut self.net, &mut pkt, false).expect("the datagram is good");
        let mut out = UdpOut::new(&mut self.net, &mut self.ring, NOW);
        let delivered = &mut self.delivered;
        let deliver =
            |out: &mut UdpOut<'_, '_, TestRing>, local: Endpoint, remote, bytes: &[u8]| {
                delivered.push((local, remote, bytes.to_vec()));
                let _ = out.send(remote, local.port, &bytes.to_ascii_uppercase());
            };
        input(&self.udp, self.has_client, &mut out, &ip, pkt, deliver);
    }

    fn arrive_bytes(&mut self, dst: [u8; 4], bytes: &[u8]) {
        self.arrives(rx(self.pool, &datagram(PEER_IP, dst, proto::UDP, bytes)));
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.net.counters.dropped(reason)
    }
}

fn ours(port: u16) -> Endpoint {
    Endpoint::new(v4(OUR_IP), port)
}

fn theirs() -> Endpoint {
    Endpoint::new(v4(PEER_IP), 4000)
}

#[test]
fn a_datagram_is_delivered_and_answered() {
    let mut world = World::new();
    let mut bytes = udp_bytes(theirs(), ours(ECHO), b"hello");
    bytes.extend_from_slice(b"not UDP's");
    world.arrive_bytes(OUR_IP, &bytes);
    assert_eq!(world.delivered, [(ours(ECHO), theirs(), b"hello".to_vec())]);
    let sent = world.ring.only();
    let ip = ipv4::Header::parse(&sent[14..], sent.len() - 14).unwrap();
    assert_eq!((ip.proto, ip.total_len), (proto::UDP, 33));
    let header = Header::parse(&sent[34..], 13).unwrap();
    assert_eq!((header.src_port, header.dst_port), (ECHO, 4000));
    assert_eq!(&sent[42..], b"HELLO");
    let mut sum = Sum::pseudo_header(v4(OUR_IP), v4(PEER_IP), proto::UDP, 13);
    sum.add(&sent[34..]);
    assert!(sum.is_valid());
    assert_eq!(world.net.counters.dropped_total(), 0);
    assert_all_home(world.pool);
}

#[test]
fn the_checksum_is_summed_only_when_nobody_else_has() {
    let mut world = World::new();
    let good = udp_bytes(theirs(), ours(ECHO), b"hello");
    let mut bad = good.clone();
    bad[6] ^= 0x40;
    let mut none = good.clone();
    none[6..8].fill(0);
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 6,
    };
    for (bytes, csum, is_taken) in [
        (&good, RxChecksum::Unknown, true),
        (&bad, RxChecksum::Unknown, false),
        (&none, RxChecksum::Unknown, true),
        (&bad, RxChecksum::Verified, true),
        (&bad, partial, true),
    ] {
        let mut pkt = rx(world.pool, &datagram(PEER_IP, OUR_IP, proto::UDP, bytes));
        pkt.csum = csum;
        world.arrives(pkt);
        assert_eq!(
            !core::mem::take(&mut world.delivered).is_empty(),
            is_taken,
            "{csum:?}"
        );
    }
    assert_eq!(world.dropped(DropReason::UdpChecksum), 1);
    assert_all_home(world.pool);
}

#[test]
fn malformed_and_too_large_datagrams_are_counted() {
    let mut world = World::new();
    let good = udp_bytes(theirs(), ours(ECHO), b"hello");
    for len in 0..good.len() {
        world.arrive_bytes(OUR_IP, &good[..len]);
    }
    assert_eq!(world.dropped(DropReason::UdpMalformed), good.len() as u64);
    let bytes = datagram(PEER_IP, OUR_IP, proto::UDP, &good);
    world.arrives(rx_large(world.pool, &bytes, 30));
    assert_eq!(world.dropped(DropReason::UdpTooLarge), 1);
    assert!(world.delivered.is_empty() && world.ring.is_silent());
    assert_all_home(world.pool);
}

#[test]
fn a_closed_port_is_told_to_the_source_and_a_broadcast_is_not() {
    let mut world = World::new();
    let bytes = udp_bytes(theirs(), ours(9), b"hello");
    world.arrive_bytes(OUR_IP, &bytes);
    assert_eq!(world.dropped(DropReason::UdpPortClosed), 1);
    let sent = world.ring.only();
    assert_eq!(sent[34..36], [3, 3]);
    assert_eq!(sent[62..], bytes, "all of the datagram is quoted");
    for port in [9, ECHO, CLIENT_PORT] {
        let dst = Endpoint::new(v4([255; 4]), port);
        world.arrive_bytes([255; 4], &udp_bytes(theirs(), dst, b"hello"));
    }
    assert_eq!(world.dropped(DropReason::UdpPortClosed), 4);
    assert!(world.delivered.is_empty() && world.ring.is_silent());
    assert_all_home(world.pool);
}

#[test]
fn the_clients_port_is_open_while_there_is_a_client() {
    let mut world = World::new();
    let dst = Endpoint::new(v4([255; 4]), CLIENT_PORT);
    world.has_client = true;
    world.arrive_bytes([255; 4], &udp_bytes(theirs(), dst, b"hello"));
    assert_eq!(world.delivered, [(dst, theirs(), b"hello".to_vec())]);
    assert_eq!(world.dropped(DropReason::UdpPortClosed), 0);
    world.ring.take();
    assert_all_home(world.pool);
}

#[test]
fn ports_are_bound_once_and_the_table_is_bounded() {
    let mut udp = Udp::new();
    assert_eq!(udp.bind(0), Err(BindError::Reserved));
    assert_eq!(udp.bind(CLIENT_PORT), Err(BindError::Reserved));
    for port in 1..=config::UDP_PORTS_MAX as u16 {
        udp.bind(port).unwrap();
        assert_eq!(udp.bind(port), Err(BindError::InUse));
    }
    assert_eq!(udp.bind(1000), Err(BindError::TableFull));
    assert!(udp.unbind(3) && !udp.unbind(3) && !udp.is_bound(3));
    udp.bind(1000).unwrap();
    assert_eq!(BindError::TableFull.to_string(), "too many ports are open");
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let mut world = World::new();
    let send = |world: &mut World, remote: Endpoint, port, len| {
        let mut out = UdpOut::new(&mut world.net, &mut world.ring, NOW);
        assert_eq!(out.now(), NOW);
        out.send(remote, port, &std::vec![1; len])
    };
    assert_eq!(send(&mut world, theirs(), ECHO, 1472), Ok(()));
    assert_eq!(world.ring.only().len(), 1514);
    assert_eq!(
        send(&mut world, theirs(), ECHO, 1473),
        Err(SendError::TooLong)
    );
    assert_eq!(
        send(&mut world, Endpoint::new(v4(PEER_IP), 0), 7, 1),
        Err(SendError::NoRoute)
    );
    assert_eq!(send(&mut world, theirs(), 0, 1), Err(SendError::NoRoute));
    assert_eq!(send(&mut world, ours(9), 7, 1), Err(SendError::NoRoute));
    world.ring.set_space(0);
    assert_eq!(send(&mut world, theirs(), 7, 1), Err(SendError::NoSpace));
    assert_eq!(world.dropped(DropReason::TxRingFull), 1);
    let all: StdVec<_> = core::iter::from_fn(|| world.pool.alloc(0)).collect();
    world.ring.set_space(1);
    assert_eq!(send(&mut world, theirs(), 7, 1), Err(SendError::NoSpace));
    assert_eq!(world.dropped(DropReason::TxNoFrame), 1);
    drop(all);
    world.net.deconfigure();
    assert_eq!(send(&mut world, theirs(), 7, 1), Err(SendError::NoRoute));
    assert!(world.ring.is_silent());
    assert_all_home(world.pool);
}

/// RFC 1122 4.1.4.
#[test]
fn a_datagram_has_the_service_that_was_set() {
    let mut world = World::new();
    let mut out = UdpOut::new(&mut world.net, &mut world.ring, NOW);
    for (dscp, tos) in [(46, 46 << 2), (0xff, 0xfc), (0, 0)] {
        out.set_dscp(dscp);
        out.send(theirs(), ECHO, b"hello").unwrap();
        let sent = out.tx.only();
        assert_eq!(sent[15], tos);
    }
}

#[test]
fn random_and_truncated_datagrams_never_panic() {
    let mut world = World::new();
    let mut random = Random::new(19);
    world.has_client = true;
    for _ in 0..20_000 {
        let port = [ECHO, CLIENT_PORT, 9][random.below(3) as usize];
        let payload: StdVec<u8> = (0..random.below(400))
            .map(|_| random.next_u32() as u8)
            .collect();
        let mut bytes = udp_bytes(theirs(), ours(port), &payload);
        if random.below(2) == 0 {
            let at = random.below(bytes.len().min(8) as u64) as usize;
            bytes[at] = random.next_u32() as u8;
        }
        bytes.truncate(random.below(420) as usize);
        let mut pkt = rx(world.pool, &datagram(PEER_IP, OUR_IP, proto::UDP, &bytes));
        if random.below(2) == 0 {
            pkt.csum = RxChecksum::Verified;
        }
        world.arrives(pkt);
        world.ring.take();
    }
    assert!(!world.delivered.is_empty());
    assert_all_home(world.pool);
}
