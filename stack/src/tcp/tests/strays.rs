//! Segments that may be for a connection of another stack with our address.

use std::vec::Vec;

use simoom_ring::{Caps, RxPacket, RxRing};

use super::fast_open::{FAST, known};
use super::peer::{Peer, Sizes, TestRx, fill_checksum};
use crate::DropReason;
use crate::addr::{Endpoint, FourTuple};
use crate::iface::{Asked, Siblings};
use crate::tcp::Settings;
use crate::testing::{
    OUR_IP, OUR_MAC, PEER_IP, assert_all_home, datagram, frame, rx, rx_large, v4,
};
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
    /// What they hear, and say, of new connections.
    opened: Vec<FourTuple>,
    opened_elsewhere: Vec<FourTuple>,
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

    fn opened(&mut self, tuple: FourTuple) {
        self.opened.push(tuple);
    }

    fn opened_elsewhere(&mut self) -> Option<FourTuple> {
        self.opened_elsewhere.pop()
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
    poll_among(peer, say, &[]).0
}

/// Polls a stack with siblings, which have opened connections: what they were asked, and what they
/// hear to be opened here.
fn poll_among(
    peer: &mut Peer,
    say: Say,
    elsewhere: &[FourTuple],
) -> (Vec<(Vec<u8>, bool)>, Vec<FourTuple>) {
    let mut among = Among {
        rx: &mut peer.queue.rx,
        say,
        asked: Vec::new(),
        opened: Vec::new(),
        opened_elsewhere: elsewhere.to_vec(),
    };
    let (now, tx) = (peer.now, &mut peer.queue.tx);
    let _ = peer.stack.poll_among(now, &mut among, tx, &mut peer.app);
    let (asked, opened) = (among.asked, among.opened);
    peer.poll();
    (asked, opened)
}

/// A segment in text arrives; what the others hear to be opened.
fn opened_by(peer: &mut Peer, text: &str) -> Vec<FourTuple> {
    let packet = rx(peer.pool, &framed(peer, text));
    peer.queue.rx.arrive(packet);
    poll_among(peer, Say::NotOurs, &[]).1
}

/// The endpoints of the peer's connection.
fn endpoints(peer: &Peer) -> FourTuple {
    FourTuple {
        local: Endpoint::new(v4(OUR_IP), peer.our_port),
        remote: Endpoint::new(v4(PEER_IP), peer.port),
    }
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
fn others_hear_of_a_handshake_when_it_is_complete() {
    for third in [
        // By the short cut, and with what it does not take.
        ". 1:1(0) ack 1 win 1000",
        "P. 1:101(100) ack 1 win 1000",
    ] {
        let mut peer = Peer::new(Sizes::SMALL);
        let syn = "S 0:0(0) win 1000 <mss 1000>";
        assert_eq!(opened_by(&mut peer, syn), [], "{third}");
        peer.take_iss();
        peer.sent();
        let expected = [endpoints(&peer)];
        assert_eq!(opened_by(&mut peer, third), expected, "{third}");
        assert_eq!(opened_by(&mut peer, ". 101:101(0) ack 1 win 1000"), []);
    }
}

#[test]
fn others_hear_of_a_fast_open_when_its_syn_ack_is_acknowledged() {
    let (mut peer, options) = known(Sizes::SMALL);
    let syn = std::format!("S 0:100(100) win 60000 {options}");
    assert_eq!(opened_by(&mut peer, &syn), []);
    peer.told(&["accepted", "received 100 took 100"]);
    peer.take_iss();
    peer.sent();
    let expected = [endpoints(&peer)];
    let third = ". 101:101(0) ack 1 win 60000";
    assert_eq!(opened_by(&mut peer, third), expected);
}

/// Stacks of one station: all that a client may meet with another one than the last time.
#[test]
fn a_station_has_its_secrets_in_common() {
    let caps = Caps {
        fragments_max: 4,
        ..Caps::PLAIN
    };
    let first = |station_seed, seed| {
        let settings = Settings {
            station_seed,
            timestamps: true,
            ..FAST
        };
        let mut peer = Peer::seeded(caps, Sizes::SMALL, settings, seed);
        peer.arrive("S 0:0(0) win 5000 <mss 1000,nop,nop,TS val 1 ecr 0,FO,nop,nop>");
        let sent = peer.sent();
        // From the sequence number on: where the acknowledgment, a checksum and options are.
        let header = sent
            .first()
            .expect("a SYN-ACK")
            .bytes
            .get(34..)
            .map(Vec::from);
        header.expect("a TCP header")
    };
    let one = first(Some(7), 1);
    assert_eq!(one, first(Some(7), 2));
    for other in [first(Some(8), 1), first(None, 1), first(None, 2)] {
        // ISS, TSval, cookie.
        for range in [4..8, 28..32, 38..46] {
            assert_ne!(one[range.clone()], other[range]);
        }
    }
}

/// But not the SYN cookies: only who has given one knows whether it has come back already.
#[test]
fn a_syn_cookie_is_good_with_who_has_given_it() {
    let settings = Settings {
        station_seed: Some(7),
        ..Settings::default()
    };
    let iss = |seed| {
        let mut peer = Peer::seeded(Caps::PLAIN, Sizes::SMALL, settings, seed);
        for port in 1..=3 {
            peer.port = port;
            peer.arrive("S 0:0(0) win 65535 <mss 1000>");
        }
        assert_eq!(peer.counters().tcp_cookies_sent, 1);
        peer.sent().last().expect("a SYN-ACK").bytes[38..42].to_vec()
    };
    assert_eq!(iss(1), iss(1));
    assert_ne!(iss(1), iss(2));
}

#[test]
fn what_was_opened_elsewhere_is_forgotten_without_a_word() {
    // Established, with something in flight; half-open; in TIME-WAIT.
    let mut established = Peer::established(60_000);
    established.send(0, 1_000);
    established.sent();
    let mut half_open = Peer::new(Sizes::SMALL);
    half_open.arrive("S 0:0(0) win 1000 <mss 1000>");
    half_open.sent();
    let mut waiting = Peer::established(60_000);
    waiting.act(|conn| conn.close());
    waiting.arrive("F. 1:1(0) ack 2 win 60000");
    waiting.sent();
    for (mut peer, is_told) in [(established, true), (half_open, false), (waiting, false)] {
        let levels = peer.stack.levels();
        assert_eq!(levels.conns + levels.syns + levels.time_waits, 1);
        // Those of others stay.
        let mut other = endpoints(&peer);
        other.remote.port += 1;
        poll_among(&mut peer, Say::Taken, &[other]);
        assert_eq!(peer.counters().tcp_opened_elsewhere, 0);
        peer.app.lines.clear();
        let tuple = endpoints(&peer);
        poll_among(&mut peer, Say::Taken, &[tuple, other]);
        peer.silent();
        peer.told(if is_told {
            &["closed: reset by the far side"]
        } else {
            &[]
        });
        assert_eq!(peer.counters().tcp_opened_elsewhere, 1);
        let levels = peer.stack.levels();
        assert_eq!(levels.conns + levels.syns + levels.time_waits, 0);
        peer.pass(200_000);
        peer.silent();
        assert_all_home(peer.pool);
    }
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
