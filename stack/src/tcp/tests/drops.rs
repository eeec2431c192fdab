//! Each reason to drop a segment, and its counter.

use super::peer::{Peer, Sizes, fill_checksum};
use crate::DropReason;
use crate::testing::{OUR_IP, PEER_IP};
use crate::wire::tcp::HEADER_LEN;

#[test]
fn a_wrong_checksum() {
    let mut peer = Peer::established(60_000);
    let mut bytes = peer.segment("P. 1:101(100) ack 1 win 60000");
    fill_checksum(&mut bytes, PEER_IP, OUR_IP);
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        peer.arrive_bytes(&bytes);
    }
    let counters = peer.counters();
    let counted =
        counters.dropped(DropReason::TcpChecksum) + counters.dropped(DropReason::TcpMalformed);
    assert_eq!(counted, bytes.len() as u64 * 8);
    peer.told(&[]);
    peer.silent();
}

#[test]
fn a_header_that_contradicts_itself() {
    let mut peer = Peer::established(60_000);
    let bytes = peer.segment(". 1:1(0) ack 1 win 60000");
    for len in 0..HEADER_LEN {
        peer.arrive_bytes(&bytes[..len]);
    }
    assert_eq!(peer.dropped(DropReason::TcpMalformed), HEADER_LEN as u64);
    peer.silent();
}

#[test]
fn a_segment_to_everyone_or_from_nobody() {
    let mut peer = Peer::new(Sizes::SMALL);
    let mut bytes = peer.segment("S 0:0(0) win 1000");
    let broadcast = [10, 0, 2, 255];
    fill_checksum(&mut bytes, PEER_IP, broadcast);
    let datagram = crate::testing::datagram(PEER_IP, broadcast, 6, &bytes);
    peer.arrive_frame(&crate::testing::frame(
        simoom_ring::MacAddr::BROADCAST,
        &datagram,
    ));
    assert_eq!(peer.dropped(DropReason::TcpNotUnicast), 1);
    peer.silent();
}

#[test]
fn a_syn_on_a_connection_is_challenged() {
    let mut peer = Peer::established(60_000);
    peer.arrive("S 1:1(0) win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpChallengedSyn), 1);
    assert_eq!(peer.counters().tcp_challenge_acks, 1);
    peer.told(&[]);
}

/// Two sides that each take the other's acknowledgment for old would answer each other for ever,
/// and anybody can send a SYN; text that was received already is answered each time.
#[test]
fn an_exchange_of_acknowledgments_ends() {
    let mut peer = Peer::established(60_000);
    let mut answers = |text: &str| {
        for _ in 0..2_000 {
            peer.arrive(text);
        }
        peer.pass(1_000);
        peer.sent().len()
    };
    assert!((500..1_500).contains(&answers(". 0:0(0) ack 1 win 60000")));
    assert!((500..1_500).contains(&answers("S 70000:70000(0) win 60000")));
    assert_eq!(answers(". 0:1(1) ack 1 win 60000"), 2_000);
    assert!(peer.counters().tcp_challenge_acks_suppressed >= 500);
}

#[test]
fn a_segment_without_an_acknowledgment() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P 1:11(10) win 60000");
    assert_eq!(peer.dropped(DropReason::TcpNoAck), 1);
    peer.told(&[]);
    peer.silent();
}

#[test]
fn an_acknowledgment_of_the_future_or_of_long_ago_is_challenged() {
    let mut peer = Peer::established(1_000);
    peer.arrive("P. 1:11(10) ack 2 win 1000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.our_iss = peer.our_iss - 1_002;
    peer.arrive("P. 1:11(10) ack 1 win 1000");
    peer.our_iss += 1_002;
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpBadAck), 2);
    peer.told(&[]);
}

#[test]
fn no_frame_to_send_with() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 100);
    peer.sent();
    let held: std::vec::Vec<_> = core::iter::from_fn(|| peer.pool.alloc(0)).collect();
    peer.pass(200);
    assert!(peer.dropped(DropReason::TxNoFrame) >= 1);
    peer.silent();
    drop(held);
    peer.pass(10);
    peer.expect("P. 1:101(100) ack 1 win 65535");
}

/// Random segments at connections in every state: nothing panics, and every frame is home.
#[test]
fn random_segments_never_panic() {
    let mut random = 99_u64;
    let mut next = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let letters = ["S", "F", "R", "P", ".", "U"];
    for _ in 0..300 {
        let mut peer = Peer::established(60_000);
        peer.app.takes_max = next(2_000) as usize;
        for _ in 0..60 {
            let mut ctl: std::string::String =
                letters.iter().filter(|_| next(3) == 0).copied().collect();
            if ctl.is_empty() {
                ctl.push('.');
            }
            let len = next(4) * next(400);
            let near = |next: &mut dyn FnMut(u64) -> u64| {
                if next(10) == 0 {
                    next(70_000)
                } else {
                    next(3_000)
                }
            };
            let (seq, ack) = (near(&mut next), near(&mut next));
            let wnd = next(4) * next(20_000);
            peer.arrive(&std::format!(
                "{ctl} {seq}:{seq}({len}) ack {ack} win {wnd}"
            ));
            match next(12) {
                0 => {
                    let id = peer.id();
                    let _gone = peer.stack.with_conn(peer.now, id, |conn, _| conn.close());
                }
                1 => {
                    let id = peer.id();
                    let body = &super::peer::stream()[..5_000];
                    let _sent = peer
                        .stack
                        .with_conn(peer.now, id, |conn, _| conn.send_body(body));
                }
                2 => peer.pass(next(2_000)),
                _ => {}
            }
            peer.sent();
        }
        let id = peer.id();
        let _gone = peer.stack.with_conn(peer.now, id, |conn, _| conn.abort());
        peer.pass(200_000);
        peer.sent();
        peer.gone();
    }
}
