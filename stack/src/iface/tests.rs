//! Where a packet goes: to which layer, and there to whom.

use std::vec;

use super::*;
use crate::addr::Endpoint;
use crate::counters::DropReason;
use crate::tcp::calls::Calls;
use crate::tcp::cc::Reno;
use crate::testing::{
    OUR_IP, OUR_MAC, PEER_IP, TestRing, assert_all_home, datagram, frame, our_cidr, pool, rx,
    udp_bytes, v4,
};

const NOW: Instant = Instant::from_micros(5_000_000);

fn stack(pool: &'static FramePool<'static>) -> Stack<'static, Calls<Reno>> {
    let storage = Storage {
        conns: vec![].into(),
        syns: vec![].into(),
        time_waits: vec![].into(),
        bodies: vec![].into(),
        gaps: vec![].into(),
        flights: vec![].into(),
        sent: vec![].into(),
        timers: vec![].into(),
        demux: vec![].into(),
    };
    let mut stack = Stack::new(Setup {
        pool,
        caps: Caps::PLAIN,
        mac: OUR_MAC,
        storage,
        tcp: Settings::default(),
        seed: 1,
        now: NOW,
    });
    stack.configure(our_cidr(), None);
    stack
}

#[test]
fn the_clients_port_is_dhcps_while_it_asks() {
    let pool = pool(8);
    let mut stack = stack(pool);
    let (theirs, ours) = (
        Endpoint::new(v4(PEER_IP), 67),
        Endpoint::new(v4(OUR_IP), CLIENT_PORT),
    );
    let bytes = udp_bytes(theirs, ours, b"no message");
    let bytes = frame(OUR_MAC, &datagram(PEER_IP, OUR_IP, proto::UDP, &bytes));
    let mut ring = TestRing::new(8);
    let mut app = Calls::new();
    let mut arrive = |stack: &mut Stack<'static, Calls<Reno>>| {
        let Stack { net, above } = stack;
        let (tx, app, now) = (&mut ring, &mut app, NOW);
        above.input_any(&mut Cx { net, tx, app, now }, rx(pool, &bytes));
        ring.take();
        let dropped = |reason| stack.counters().dropped(reason);
        (
            dropped(DropReason::UdpPortClosed),
            dropped(DropReason::DhcpIgnored),
        )
    };
    assert_eq!(arrive(&mut stack), (1, 0));
    stack.start_dhcp(NOW);
    assert_eq!(arrive(&mut stack), (1, 1));
    drop(stack);
    assert_all_home(pool);
}
