//! Ports of a fake `/dev/netmap`: each trap of the real one, and what is made of it.

mod queues;

use std::string::{String, ToString};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::vec::Vec;

use rustix::io::Errno;
use simoom_ring::{
    BodyMemory, Fragment, LinkState, MacAddr, Port, Queue, RxRing, TxOffload, TxPacket, TxRing,
};

use super::fake::{Dims, Fake, FakeFd};
use super::{Adapter, NetmapHost, Way};
use crate::hosts::{OpenError, Opened, Spec, Started, Takes, Wanted};
use crate::{Buffers, Host, Violation};

type FakeHost = NetmapHost<FakeFd>;

const SLOTS: u32 = Dims::SMALL.slots;

fn wanted() -> Wanted {
    Wanted {
        frames: 100,
        content_len: 40_000,
        takes: Takes::default(),
        queues: 1,
        has_passthrough: false,
        far_addr: None,
        without: Default::default(),
    }
}

fn open(fake: &Fake, spec: &str) -> Result<Opened<FakeHost>, OpenError> {
    NetmapHost::open_on(fake, &Spec::parse(spec).expect("a spec"), &wanted())
}

fn started(fake: &Fake, spec: &str) -> Started<FakeHost> {
    let opened = open(fake, spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    opened.start(&wanted()).expect("rings in order")
}

fn refused(fake: &Fake, spec: &str) -> String {
    match open(fake, spec) {
        Ok(_) => panic!("{spec} was opened"),
        Err(error) => error.to_string(),
    }
}

fn frame(n: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| n.wrapping_add(at as u8)).collect()
}

const NATIVE: Adapter = Adapter::Native {
    can_gather: true,
    is_veth: false,
};

fn send(port: &mut Started<FakeHost>, bytes: &[u8]) {
    let mut head = port.pool.alloc(0).expect("a frame");
    head.append(bytes).expect("room");
    let packet = TxPacket::new(head, TxOffload::default());
    port.queue.rings().1.send(packet).expect("space");
}

#[test]
fn frames_go_both_ways() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0");
    assert_eq!(port.port.mac(), MacAddr([2, 0, 0, 0, 0, 7]));
    let mut received = Vec::new();
    // Far more than slots, so that each slot is used again.
    for n in 0..100 {
        send(&mut port, &frame(n, 60 + usize::from(n)));
        port.queue.rings().1.sync();
        fake.port("eth0", |eth0| eth0.incoming.push_back(frame(n, 90)));
        assert_eq!(port.queue.rings().0.sync(), 1);
        let packet = port.queue.rings().0.recv().expect("one");
        received.push(packet.frame.bytes().to_vec());
    }
    let expected: Vec<_> = (0..100).map(|n| frame(n, 90)).collect();
    assert!(received == expected);
    let expected: Vec<_> = (0..100).map(|n| frame(n, 60 + usize::from(n))).collect();
    fake.port("eth0", |eth0| assert!(eth0.sent == expected));
    // A system call for each sync, and no other.
    assert_eq!(port.syscalls.cnt(), 200);
    let counters = port.queue.counters();
    assert_eq!((counters.tx.bytes_moved, counters.tx.packets), (0, 100));
}

#[test]
fn the_kernel_is_asked_by_bare_names() {
    for (spec, name) in [
        ("netmap:eth0", "eth0"),
        ("netmap:eth0^", "eth0"),
        ("netmap:eth0*", "eth0"),
        ("netmap:a{1", "a{1"),
        ("netmap:a}1", "a}1"),
        ("vale0:a", "vale0:a"),
    ] {
        let fake = Fake::new(Adapter::Emulated);
        drop(started(&fake, spec));
        let requests = fake.with(|machine| machine.requests.clone());
        assert_eq!(
            requests,
            [std::format!("1 {name}"), std::format!("7 {name}")]
        );
    }
}

#[test]
fn the_rings_of_the_hosts_stack_are_a_port() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0^");
    // On the other side of the wire from the interface: not its address.
    assert_ne!(port.port.mac(), MacAddr([2, 0, 0, 0, 0, 7]));
    send(&mut port, &frame(1, 60));
    port.queue.rings().1.sync();
    fake.port("eth0", |eth0| {
        assert_eq!(eth0.to_host, [frame(1, 60)]);
        eth0.from_host.push_back(frame(2, 70));
    });
    assert_eq!(port.queue.rings().0.sync(), 1);
    let packet = port.queue.rings().0.recv().expect("one");
    assert_eq!(packet.frame.bytes(), frame(2, 70));
}

#[test]
fn content_goes_by_reference_where_the_adapter_gathers() {
    let fake = Fake::new(NATIVE);
    let mut port = started(&fake, "netmap:eth0");
    let caps = port.port.caps();
    assert_eq!(
        (caps.fragments_max, caps.body_memory),
        (4, BodyMemory::Region)
    );
    let content: &'static [u8] = frame(7, 5_000).leak();
    let placed = port.port.place(content).expect("room");
    let mut head = port.pool.alloc(3).expect("a frame");
    head.append(&frame(1, 54)).expect("room");
    let mut packet = TxPacket::new(head, TxOffload::default());
    let body = Fragment::Content(&placed[1_500..2_960]);
    packet.append(body).expect("the first");
    port.queue.rings().1.send(packet).expect("space");
    port.queue.rings().1.sync();
    let expected = [frame(1, 54), content[1_500..2_960].to_vec()].concat();
    fake.port("eth0", |eth0| assert!(eth0.sent == [expected]));
    fake.port("eth0", |eth0| eth0.incoming.push_back(frame(2, 1_514)));
    assert_eq!(port.queue.rings().0.sync(), 1);
    assert_eq!(port.queue.rings().0.recv().expect("one").frame.len(), 1_514);
    let syncs = fake.with(|machine| machine.syncs.clone());
    assert_eq!(syncs, [("eth0".into(), Way::Tx), ("eth0".into(), Way::Rx)]);
    assert!(
        port.bound[1].contains("content goes by reference"),
        "{:?}",
        port.bound
    );
}

#[test]
fn what_cannot_gather_says_so() {
    let plain = Adapter::Native {
        can_gather: false,
        is_veth: false,
    };
    for (adapter, spec) in [
        (Adapter::Emulated, "netmap:eth0"),
        (plain, "netmap:eth0"),
        (NATIVE, "netmap:eth0*"),
        (Adapter::Emulated, "vale0:a"),
    ] {
        let fake = Fake::new(adapter);
        let mut port = started(&fake, spec);
        assert_eq!(port.port.caps().fragments_max, 1);
        assert!(
            port.bound
                .last()
                .expect("lines")
                .contains("the adapter has no gather"),
            "{:?}",
            port.bound
        );
        assert_eq!(port.port.host().traits().buffers, Buffers::Stay);
    }
    for (adapter, spec) in [
        (Adapter::Emulated, "netmap:a{1"),
        (
            Adapter::Native {
                can_gather: false,
                is_veth: true,
            },
            "netmap:eth0",
        ),
    ] {
        let fake = Fake::new(adapter);
        let mut opened = open(&fake, spec).expect("a port");
        assert_eq!(opened.host.traits().buffers, Buffers::Move);
        assert!(
            opened
                .bound
                .last()
                .unwrap()
                .contains("buffers go to the receiver")
        );
        assert_eq!(opened.host.link(), LinkState::Up);
    }
}

#[test]
fn headers_are_taken_where_the_port_has_them() {
    for (given, hdr_len) in [(0, 0), (10, 10), (12, 12), (99, 0)] {
        let fake = Fake::new(Adapter::Emulated);
        fake.with(|machine| machine.hdr_len = given);
        let opened = open(&fake, "vale0:a").expect("a port");
        let traits = opened.host.traits();
        assert_eq!(traits.hdr_len, hdr_len);
        assert_eq!(
            (traits.checksums.tx, traits.rx_large),
            (hdr_len > 0, hdr_len > 0)
        );
    }
}

#[test]
fn an_interface_that_goes_away_ends_the_port() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0");
    assert!(!port.queue.is_gone());
    fake.port("eth0", |eth0| eth0.is_gone = true);
    port.wake.set_error();
    assert_eq!(port.queue.rings().0.sync(), 0);
    assert!(port.queue.is_gone() && port.port.host().is_gone());
    assert_eq!(port.port.link(), LinkState::Down);
    // For ever, without asking the kernel again.
    let before = port.syscalls.cnt();
    port.queue.rings().0.sync();
    port.queue.rings().1.sync();
    assert_eq!(port.syscalls.cnt(), before);
}

#[test]
fn a_ring_that_lies_is_put_right_and_goes_on() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0");
    for n in 0..5 {
        send(&mut port, &frame(n, 60));
    }
    fake.port("eth0", |eth0| eth0.lie = Some(10));
    port.queue.rings().1.sync();
    assert_eq!(port.queue.rings().1.space(), 0);
    for n in 5..40 {
        port.queue.rings().1.sync();
        send(&mut port, &frame(n, 60));
        port.queue.rings().1.sync();
    }
    let counters = port.queue.counters().tx;
    assert_eq!(
        (counters.resets, counters.last_violation),
        (1, Some(Violation::Tail))
    );
    fake.port("eth0", |eth0| {
        let expected: Vec<_> = (0..40).map(|n| frame(n, 60)).collect();
        assert!(eth0.sent == expected, "{} sent", eth0.sent.len());
        assert_eq!(eth0.resets, 1);
    });
    assert!(!port.queue.is_gone());
}

#[test]
fn poll_says_of_a_reset_once_and_that_is_not_the_end() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0");
    port.wake.set_error();
    port.queue.rings().0.sync();
    assert!(!port.queue.is_gone());
}

#[test]
fn who_waits_for_slots_moves_cur() {
    let fake = Fake::new(Adapter::Emulated);
    let mut port = started(&fake, "netmap:eth0");
    fake.port("eth0", |eth0| eth0.is_stalled = true);
    for n in 0..SLOTS as u8 - 1 {
        send(&mut port, &frame(n, 60));
    }
    port.queue.rings().1.sync();
    let armed = port.queue.arm();
    assert_eq!(armed, simoom_ring::Armed::Sleep);
    assert!(port.wake.take_tx_wanted());
    let ring_at = 16 * 1_024;
    let region = port.port.interface().region();
    let [head, cur, tail] = [20, 24, 28].map(|at| region.load_u32(ring_at + at).expect("inside"));
    assert_eq!((cur, tail), (tail, head));
    fake.port("eth0", |eth0| eth0.is_stalled = false);
    port.queue.rings().1.sync();
    // One slot is always the kernel's, and so the last frame.
    assert_eq!(port.queue.rings().1.space(), SLOTS as usize - 1);
}

#[test]
fn each_buffer_is_freed_once() {
    for adapter in [Adapter::Emulated, NATIVE] {
        let fake = Fake::new(adapter);
        let mut port = started(&fake, "netmap:eth0");
        for n in 0..40 {
            send(&mut port, &frame(n, 60));
            port.queue.rings().1.sync();
            fake.port("eth0", |eth0| eth0.incoming.push_back(frame(n, 90)));
            port.queue.rings().0.sync();
            drop(port.queue.rings().0.recv());
        }
        let Started {
            port, queue, pool, ..
        } = port;
        drop(queue);
        assert!(pool.all_home());
        port.close(pool).expect("its own pool");
        // The first binding's list, with room for content where that goes by reference.
        let extra = if adapter == NATIVE { 120 } else { 100 };
        assert_eq!(fake.freed("eth0", 1_024), 2 * SLOTS as usize + extra);
    }
}

#[test]
fn offloads_are_off_while_the_port_is_there() {
    for (spec, off_cnt) in [
        ("netmap:eth0", 3),
        ("netmap:eth0^", 11),
        ("netmap:eth0*", 11),
    ] {
        let fake = Fake::new(Adapter::Emulated);
        let off = fake.with(|machine| Arc::clone(&machine.off));
        let opened = open(&fake, spec).expect("a port");
        assert_eq!(off.load(Ordering::Relaxed), off_cnt);
        drop(opened);
        assert_eq!(off.load(Ordering::Relaxed), 0);
        fake.with(|machine| machine.refusal = Some(Errno::BUSY));
        refused(&fake, spec);
        assert_eq!(off.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn fewer_extra_buffers_are_enough() {
    let fake = Fake::new(Adapter::Emulated);
    fake.with(|machine| machine.extra_max = 3);
    let mut port = started(&fake, "netmap:eth0");
    assert!(port.bound[1].contains("3 extra buffers"));
    for n in 0..50 {
        send(&mut port, &frame(n, 60));
        port.queue.rings().1.sync();
    }
    fake.port("eth0", |eth0| assert_eq!(eth0.sent.len(), 50));
}

#[test]
fn each_refusal_is_a_line() {
    let emulated = || Fake::new(Adapter::Emulated);
    let fake = emulated();
    fake.with(|machine| machine.opens = None);
    let line = "this kernel has no /dev/netmap: its module is not loaded; use xdp:IFNAME or \
                tap:IFNAME instead";
    assert_eq!(refused(&fake, "netmap:eth0"), line);
    fake.with(|machine| machine.opens = Some(Err(Errno::ACCESS)));
    let line = "/dev/netmap: this user may not: it takes root, or the right to open it";
    assert_eq!(refused(&fake, "netmap:eth0"), line);

    let line = "eth9: there is no such interface";
    assert_eq!(refused(&emulated(), "netmap:eth9"), line);
    let fake = emulated();
    fake.with(|machine| machine.refusal = Some(Errno::BUSY));
    assert_eq!(refused(&fake, "netmap:eth0"), "eth0: it is in use");
    fake.with(|machine| machine.refusal = Some(Errno::NOMEM));
    assert!(refused(&fake, "netmap:eth0").starts_with("eth0: to bind it to netmap: "));
    let fake = emulated();
    fake.with(|machine| machine.mtu = 9_000);
    let line = "eth0: its MTU of 9000 bytes is too large: 2034 at most; \
                set it with: ip link set eth0 mtu 2034";
    assert_eq!(refused(&fake, "netmap:eth0"), line);
    let fake = emulated();
    fake.with(|machine| machine.rings = 4);
    let line = "eth0: it is not a port of one ring pair; give it as many cores (--cores), or set \
                it with: ethtool -L IFNAME combined 1";
    assert_eq!(refused(&fake, "netmap:eth0"), line);
}

/// An IPv4 datagram in a frame, by TCP to a port of an address.
fn segment(dst: [u8; 4], port: u16, len: usize) -> Vec<u8> {
    let mut frame = frame(9, len);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[20..22].fill(0);
    frame[23] = 6;
    frame[30..34].copy_from_slice(&dst);
    frame[36..38].copy_from_slice(&port.to_be_bytes());
    frame
}

fn passing() -> (Fake, Started<FakeHost>) {
    let fake = Fake::new(Adapter::Emulated);
    let wanted = Wanted {
        takes: Takes {
            // Of a network for documentation: no machine's.
            addr: Some([192, 0, 2, 2].into()),
            tcp_ports: [80].into(),
        },
        queues: 1,
        has_passthrough: true,
        ..wanted()
    };
    let spec = Spec::parse("netmap:eth0").expect("a spec");
    let opened = NetmapHost::open_on(&fake, &spec, &wanted).expect("a port");
    (fake, opened.start(&wanted).expect("rings in order"))
}

#[test]
fn what_is_not_ours_goes_to_the_host_and_back() {
    let (fake, mut port) = passing();
    let mut expected = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..100_u8 {
        let len = 60 + usize::from(n);
        let (ours, theirs) = (
            segment([192, 0, 2, 2], 80, len),
            segment([192, 0, 2, 9], 80, len),
        );
        fake.port("eth0", |eth0| {
            eth0.incoming
                .extend([theirs.clone(), ours.clone(), theirs.clone()]);
            eth0.from_host.push_back(frame(n, len));
        });
        port.queue.rings().0.sync();
        let packet = port.queue.rings().0.recv().expect("one is ours");
        assert_eq!(packet.frame.bytes(), ours);
        assert!(port.queue.rings().0.recv().is_none());
        send(&mut port, &frame(n, 100));
        port.queue.rings().1.sync();
        let _ = port.queue.arm();
        expected.0.extend([theirs.clone(), theirs]);
        expected.1.extend([frame(n, 100), frame(n, len)]);
        expected.2.push(ours);
    }
    fake.port("eth0", |eth0| {
        assert!(eth0.to_host == expected.0, "{} up", eth0.to_host.len());
        assert!(eth0.sent == expected.1, "{} down", eth0.sent.len());
    });
    let said = port.port.host().said_of_passing();
    assert_eq!(said, "passed up 200 down 100 copied 0 dropped 0");
    let counters = port.queue.counters();
    assert_eq!((counters.rx.packets, counters.rx.diverted), (100, 200));
    assert_eq!((counters.tx.packets, counters.tx.guests), (200, 100));
    assert_eq!((counters.rx.resets, counters.tx.resets), (0, 0));
    // Swapped, not copied: no buffer is lost or doubled.
    let Started {
        port, queue, pool, ..
    } = port;
    drop(queue);
    assert!(pool.all_home());
    port.close(pool).expect("its own pool");
    assert_eq!(fake.freed("eth0", 1_024), 4 * SLOTS as usize + 100);
}

#[test]
fn arp_replies_reach_both() {
    let (fake, mut port) = passing();
    let mut reply = frame(3, 60);
    reply[12..14].copy_from_slice(&[8, 6]);
    reply[20..22].copy_from_slice(&[0, 2]);
    fake.port("eth0", |eth0| eth0.incoming.push_back(reply.clone()));
    port.queue.rings().0.sync();
    let packet = port.queue.rings().0.recv().expect("ours as well");
    assert_eq!(packet.frame.bytes(), reply);
    let _ = port.queue.arm();
    fake.port("eth0", |eth0| assert_eq!(eth0.to_host, [reply]));
}

#[test]
fn a_host_that_takes_nothing_loses_what_is_its_own() {
    let (fake, mut port) = passing();
    fake.port("eth0", |eth0| eth0.is_stalled = true);
    for _ in 0..4 * SLOTS {
        let theirs = segment([192, 0, 2, 9], 80, 70);
        fake.port("eth0", |eth0| eth0.incoming.push_back(theirs));
        port.queue.rings().0.sync();
        assert!(port.queue.rings().0.recv().is_none());
    }
    let ours = segment([192, 0, 2, 2], 80, 70);
    fake.port("eth0", |eth0| eth0.incoming.push_back(ours.clone()));
    port.queue.rings().0.sync();
    assert_eq!(
        port.queue.rings().0.recv().expect("ours").frame.bytes(),
        ours
    );
    let said = port.port.host().said_of_passing();
    assert_eq!(said, "passed up 15 down 0 copied 0 dropped 49");
}

#[test]
fn what_is_ours_can_change() {
    let (fake, mut port) = passing();
    let frame = segment([192, 0, 2, 7], 80, 70);
    for is_ours in [false, true] {
        if is_ours {
            port.port.host().take(&Takes {
                addr: Some([192, 0, 2, 7].into()),
                tcp_ports: [80].into(),
            });
        }
        fake.port("eth0", |eth0| eth0.incoming.push_back(frame.clone()));
        port.queue.rings().0.sync();
        assert_eq!(port.queue.rings().0.recv().is_some(), is_ours);
    }
}
