//! Segments that may be for a connection of another stack with our address.

use std::vec::Vec;

use simoom_ring::{RxPacket, RxRing};

use super::peer::{Peer, Sizes, TestRx, fill_checksum};
use crate::DropReason;
use crate::iface::{Asked, Siblings};
use crate::tcp::Settings;
use crate::testing::{OUR_IP, OUR_MAC, PEER_IP, assert_all_home, datagram, frame, rx, rx_large};
use crate::time::Duration;

/// What the others say of what they are asked.
#[derive(Clone, Copy)]
enum Say {
    Taken,
    Full,
    NotOurs,
}

/// The ring of a stack with siblings, which write down what they are asked.
struct Among<'a> {
    rx: &'a mut TestRx,
    say: Say,
    asked: Vec<(Vec<u8>, bool)>,
}

impl RxRing<'static> for Among<'_> {
    fn sync(&mut self) -> usize {
        self.rx.sync()
    }

    fn recv(&mut self) -> Option<RxPacket<'static>> {
        self.rx.recv()
    }

    fn dropped(&mut self, why: &'static str) {
        self.rx.dropped(why);
    }
}

impl Siblings<'static> for Among<'_> {
    fn has_any(&self) -> bool {
        true
    }

    fn stray(&mut self, packet: RxPacket<'static>, has_trace: bool) -> Asked<'static> {
        let mut bytes = packet.frame.bytes().to_vec();
        packet.rest.for_each(|piece| bytes.extend(piece));
        self.asked.push((bytes, has_trace));
        match self.say {
            Say::Taken => Asked::Elsewhere,
            Say::Full => Asked::NoRoom,
            Say::NotOurs => Asked::Nowhere(packet),
        }
    }
}

/// A segment's frame.
fn framed(peer: &Peer, text: &str) -> Vec<u8> {
    let mut bytes = peer.segment(text);
    fill_checksum(&mut bytes, PEER_IP, OUR_IP);
    frame(OUR_MAC, &datagram(PEER_IP, OUR_IP, 6, &bytes))
}

/// A packet arrives at a stack with siblings: what they were asked.
fn arrive(peer: &mut Peer, packet: RxPacket<'static>, say: Say) -> Vec<(Vec<u8>, bool)> {
    peer.queue.rx.arrive(packet);
    let mut among = Among {
        rx: &mut peer.queue.rx,
        say,
        asked: Vec::new(),
    };
    let (now, tx) = (peer.now, &mut peer.queue.tx);
    let _ = peer.stack.poll_among(now, &mut among, tx, &mut peer.app);
    let asked = among.asked;
    peer.poll();
    asked
}

/// As [`arrive`], of a segment in text: whether the others were asked, and with a trace.
fn ask(peer: &mut Peer, text: &str, say: Say) -> Option<bool> {
    let bytes = framed(peer, text);
    let packet = rx(peer.pool, &bytes);
    let asked = arrive(peer, packet, say);
    assert!(asked.len() <= 1, "asked twice");
    let (shown, has_trace) = asked.into_iter().next()?;
    assert_eq!(shown, bytes, "as it came");
    Some(has_trace)
}

#[test]
fn what_belongs_to_no_connection_is_left_to_others() {
    for text in [
        ". 1:1(0) ack 1 win 1000",
        "P. 1:101(100) ack 1 win 1000",
        "F. 1:1(0) ack 1 win 1000",
        "R 1:1(0) win 0",
        "R. 1:1(0) ack 1 win 0",
        "S. 0:0(0) ack 1 win 1000",
        "F 1:1(0) win 1000",
    ] {
        let mut peer = Peer::new(Sizes::SMALL);
        let before = peer.counters().clone();
        assert_eq!(ask(&mut peer, text, Say::Taken), Some(false), "{text}");
        peer.silent();
        // It is counted where it is kept.
        let after = peer.counters();
        assert_eq!(after.tcp_passed_on, 1);
        assert_eq!(after.rx_frames, before.rx_frames);
        assert_eq!(after.rx_bytes, before.rx_bytes);
        assert_eq!(after.tcp_segments_in, before.tcp_segments_in);
        assert_eq!(after.dropped_total(), before.dropped_total());
        assert_all_home(peer.pool);
    }
}

#[test]
fn what_nobody_knows_is_answered_as_by_a_stack_alone() {
    for (text, answer) in [
        (". 1:1(0) ack 7 win 1000", Some("R 7:7(0) win 0")),
        ("R 1:1(0) win 0", None),
        ("P 1:3(2) win 1000", None),
    ] {
        let mut peer = Peer::new(Sizes::SMALL);
        let before = peer.counters().clone();
        assert_eq!(ask(&mut peer, text, Say::NotOurs), Some(false), "{text}");
        if let Some(answer) = answer {
            peer.expect(answer);
        }
        peer.silent();
        let after = peer.counters();
        assert_eq!(after.rx_frames, before.rx_frames + 1);
        assert_eq!(after.tcp_segments_in, before.tcp_segments_in + 1);
        assert_eq!(after.dropped_total(), before.dropped_total() + 1);
        assert_eq!((after.tcp_passed_on, peer.queue.rx.1.len()), (0, 1));
    }
}

#[test]
fn without_room_on_the_way_it_is_dropped() {
    let mut peer = Peer::new(Sizes::SMALL);
    let frames = peer.counters().rx_frames;
    let asked = ask(&mut peer, ". 1:1(0) ack 1 win 1000", Say::Full);
    assert_eq!(asked, Some(false));
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpHandOverFull), 1);
    assert_eq!(peer.counters().rx_frames, frames + 1);
    assert_eq!(peer.queue.rx.1, ["tcp_hand_over_full"]);
}

#[test]
fn a_syn_and_what_is_for_a_connection_are_nobody_elses() {
    let mut peer = Peer::established(60_000);
    for text in [
        "P. 1:101(100) ack 1 win 60000",
        // Outside of the window, and from the past.
        ". 900000:900000(0) ack 1 win 60000",
        ". 101:101(0) ack 900 win 60000",
        "S 0:0(0) win 1000",
    ] {
        assert_eq!(ask(&mut peer, text, Say::Taken), None, "{text}");
    }
    peer.our_port = 81;
    assert_eq!(ask(&mut peer, "S 0:0(0) win 1000", Say::Taken), None);
    peer.our_port = 80;
    peer.port = 7;
    assert_eq!(ask(&mut peer, "S 0:0(0) win 1000", Say::Taken), None);
    assert_eq!(peer.counters().tcp_passed_on, 0);
}

#[test]
fn a_half_open_connection_keeps_what_its_syn_ack_asked_for() {
    let rows = [
        (". 1:1(0) ack 1 win 1000", None),
        ("P. 1:101(100) ack 1 win 1000", None),
        ("R 1:1(0) win 0", None),
        // The SYN-ACK of another stack was taken.
        (". 1:1(0) ack 70000 win 1000", Some(true)),
        ("P. 1:101(100) ack 70000 win 1000", Some(true)),
        ("R 4:4(0) win 0", Some(true)),
        ("P. 0:1(1) ack 1 win 1000", Some(true)),
    ];
    for (text, asked) in rows {
        let mut peer = Peer::new(Sizes::SMALL);
        peer.arrive("S 0:0(0) win 1000 <mss 1000>");
        peer.take_iss();
        peer.sent();
        assert_eq!(ask(&mut peer, text, Say::Taken), asked, "{text}");
        if asked.is_some() {
            peer.silent();
            // It is still there for the one that it has asked.
            assert_eq!(ask(&mut peer, ". 1:1(0) ack 1 win 1000", Say::Taken), None);
            peer.told(&["accepted"]);
        }
    }
}

#[test]
fn a_trace_is_answered_by_the_stack_that_has_it() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000 <mss 1000>");
    peer.take_iss();
    peer.sent();
    let late = "P. 0:1(1) ack 1 win 1000";
    assert_eq!(ask(&mut peer, late, Say::NotOurs), Some(true));
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 1);
}

#[test]
fn time_wait_keeps_what_its_connection_can_have_sent() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.expect("F. 1:1(0) ack 1 win 65535");
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.expect(". 2:2(0) ack 2 win 65535");
    assert_eq!(peer.stack.levels().time_waits, 1);
    let again = "F. 1:1(0) ack 2 win 60000";
    assert_eq!(ask(&mut peer, again, Say::Taken), None);
    peer.expect(". 2:2(0) ack 2 win 0");
    // The same endpoints once more, with another stack.
    for text in [
        "P. 300000:300100(100) ack 2 win 60000",
        "P. 1:101(100) ack 300000 win 60000",
        "R 300000:300000(0) win 0",
    ] {
        assert_eq!(ask(&mut peer, text, Say::Taken), Some(true), "{text}");
        peer.silent();
    }
}

#[test]
fn a_cookie_is_good_where_it_was_given() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    for port in [1, 2] {
        peer.port = port;
        peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    }
    peer.sent();
    peer.port = 3;
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.sent();
    let other = ". 1:1(0) ack 2 win 100";
    assert_eq!(ask(&mut peer, other, Say::Taken), Some(false));
    assert_eq!(ask(&mut peer, ". 1:1(0) ack 1 win 100", Say::Taken), None);
    peer.told(&["accepted"]);
}

#[test]
fn a_large_packet_goes_whole() {
    let mut peer = Peer::new(Sizes::SMALL);
    let bytes = framed(&peer, "P. 1:4001(4000) ack 1 win 1000");
    let mut packet = rx_large(peer.pool, &bytes, 1_000);
    packet.gso_size = 1_460;
    let asked = arrive(&mut peer, packet, Say::Taken);
    assert_eq!(asked, [(bytes, false)]);
    peer.silent();
    peer.now = peer.now + Duration::from_millis(1);
    assert_all_home(peer.pool);
}
