//! What is measured, how long is waited, and what a timeout changes.

use super::peer::{Peer, Sizes};
use crate::time::Duration;

/// RFC 6298 3 (Karn): what was sent twice is not measured; what is sent once is, each round trip.
#[test]
fn what_was_sent_twice_is_not_measured() {
    let mut peer = Peer::established(60_000);
    let srtt = |peer: &mut Peer| peer.act(|conn| conn.status()).srtt;
    let handshake = srtt(&mut peer);
    assert!(handshake < Duration::from_millis(1));
    peer.send(0, 500);
    peer.pass(200);
    assert_eq!(peer.sent().len(), 2);
    peer.pass(70);
    peer.arrive(". 1:1(0) ack 501 win 60000");
    assert_eq!(srtt(&mut peer), handshake);
    for round in 1..4 {
        let before = srtt(&mut peer);
        peer.send(round * 500, 500);
        peer.pass(80);
        peer.arrive(&std::format!(
            ". 1:1(0) ack {} win 60000",
            round * 500 + 501
        ));
        assert!(srtt(&mut peer) > before, "round {round}");
    }
}

/// RFC 6298 3 (Karn): what answers something that was sent again measures nothing of what was sent
/// once beside it: all acknowledgments were lost, and the outage is no round trip.
#[test]
fn an_outage_is_not_measured() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 3_000);
    assert_eq!(peer.sent().len(), 3);
    let before = peer.act(|conn| conn.status());
    for millis in [200, 400, 800, 1_600] {
        peer.pass(millis);
        peer.expect(". 1:1001(1000) ack 1 win 65535");
    }
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 3001 win 60000");
    let after = peer.act(|conn| conn.status());
    assert_eq!((after.srtt, after.rttvar), (before.srtt, before.rttvar));
    assert_eq!(after.rto.as_millis(), 3_200);
    // The first that is answered in time ends the backing off.
    peer.send(3_000, 1_000);
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 4001 win 60000");
    assert_eq!(peer.act(|conn| conn.status()).rto.as_millis(), 200);
}

/// RFC 6298 5.3: an acknowledgment of new data gives the rest a whole timeout more.
#[test]
fn an_acknowledgment_restarts_the_timer() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 2_000);
    peer.sent();
    peer.pass(150);
    peer.arrive(". 1:1(0) ack 1001 win 60000");
    let rto = peer.act(|conn| conn.status()).rto;
    assert!(rto >= Duration::from_millis(200));
    peer.pass(rto.as_millis() - 1);
    peer.silent();
    peer.pass(2);
    peer.expect("P. 1001:2001(1000) ack 1 win 65535");
}

/// RFC 9293 3.8.3, SHLD-11: not before 100 seconds.
#[test]
fn a_silent_far_side_has_at_least_100_seconds() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 500);
    peer.pass(100_000);
    peer.told(&[]);
    peer.pass(200_000);
    peer.told(&["closed: timed out"]);
}

/// RFC 5681 3.1: ssthresh begins as high as can be, falls to half of the flight, and stays there
/// for as long as the same segment times out; cwnd is one segment each time.
#[test]
fn ssthresh_falls_once_for_one_segment() {
    let mut peer = Peer::established(60_000);
    let windows = |peer: &mut Peer| {
        let status = peer.act(|conn| conn.status());
        (status.cwnd, status.ssthresh)
    };
    assert_eq!(windows(&mut peer).1, u32::MAX);
    peer.send(0, 10_000);
    peer.pass(200);
    let halved = windows(&mut peer);
    assert_eq!(halved.0, 1_000);
    assert!((5_000..=7_000).contains(&halved.1), "{halved:?}");
    peer.pass(400);
    peer.pass(800);
    assert_eq!(peer.counters().tcp_timeouts, 3);
    assert_eq!(windows(&mut peer), halved);
}

/// RFC 6582 3.2, steps 2 and 4: duplicates that a timeout has caused are no loss.
#[test]
fn duplicates_after_a_timeout_are_no_loss() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 10_000);
    assert_eq!(peer.sent().len(), 10);
    peer.pass(200);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    let before = peer.act(|conn| conn.status());
    for _ in 0..5 {
        peer.arrive(". 1:1(0) ack 1 win 60000");
    }
    peer.silent();
    assert_eq!(peer.act(|conn| conn.status()).ssthresh, before.ssthresh);
}

/// RFC 5681 4.3: one reduction for all losses of one window, another for those of the next.
#[test]
fn each_window_with_losses_is_reduced_once() {
    let mut peer = Peer::established(60_000);
    let ssthresh = |peer: &mut Peer| peer.act(|conn| conn.status()).ssthresh;
    peer.send(0, 100_000);
    for _ in 0..2 {
        peer.arrive(". 1:1(0) ack 1 win 60000");
    }
    // RFC 3042 2: what limited transmit has sent did not change cwnd.
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.cwnd, status.flight_size), (10_000, 12_000));
    peer.arrive(". 1:1(0) ack 1 win 60000");
    assert_eq!(ssthresh(&mut peer), 7_000);
    // Another hole of the same window.
    peer.arrive(". 1:1(0) ack 5001 win 60000");
    assert_eq!(ssthresh(&mut peer), 7_000);
    let status = peer.act(|conn| conn.status());
    let una = 5_001 + status.flight_size;
    peer.arrive(&std::format!(". 1:1(0) ack {una} win 60000"));
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.cwnd, status.flight_size), (7_000, 7_000));
    for _ in 0..3 {
        peer.arrive(&std::format!(". 1:1(0) ack {una} win 60000"));
    }
    assert_eq!(ssthresh(&mut peer), 4_900);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// RFC 6298 5.7: where a SYN had to wait, data waits three seconds. RFC 6928 2: one lost SYN-ACK
/// leaves the initial window as it is.
#[test]
fn after_a_lost_syn_ack_data_waits_three_seconds() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    peer.pass(1_000);
    assert_eq!(peer.sent().len(), 2);
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.told(&["accepted"]);
    peer.send(0, 20_000);
    assert_eq!(peer.sent().len(), 10);
    peer.pass(2_999);
    peer.silent();
    peer.pass(1);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
}

/// RFC 5681 3.1, as RFC 6928 2 relaxes it: after more than one, the initial window is one segment.
#[test]
fn after_two_lost_syns_the_initial_window_is_one_segment() {
    for is_ours in [false, true] {
        let mut peer = Peer::new(Sizes::SMALL);
        if is_ours {
            peer.connect(8_080);
        } else {
            peer.arrive("S 0:0(0) win 60000 <mss 1000>");
            peer.take_iss();
        }
        peer.pass(3_000);
        assert_eq!(peer.sent().len(), 3);
        if is_ours {
            peer.arrive("S. 0:0(0) ack 1 win 60000 <mss 1000>");
        } else {
            peer.arrive(". 1:1(0) ack 1 win 60000");
        }
        peer.sent();
        peer.send(0, 20_000);
        peer.expect(". 1:1001(1000) ack 1 win 65535");
        peer.silent();
        assert_eq!(peer.act(|conn| conn.status()).ssthresh, u32::MAX);
    }
}

#[test]
fn after_a_lost_syn_data_waits_three_seconds() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.pass(1_000);
    assert_eq!(peer.sent().len(), 2);
    peer.arrive("S. 0:0(0) ack 1 win 60000 <mss 1000>");
    peer.told(&["connected"]);
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.send(0, 1_000);
    peer.expect("P. 1:1001(1000) ack 1 win 65535");
    peer.pass(2_999);
    peer.silent();
    peer.pass(1);
    peer.expect("P. 1:1001(1000) ack 1 win 65535");
}

/// RFC 9293 MUST-20, RFC 1122 3.3.1.4: the third retransmission doubts the next hop, which is asked
/// beside it; as it answers, that is all.
#[test]
fn after_three_retransmissions_the_next_hop_is_asked() {
    let mut peer = Peer::established(60_000);
    peer.pass(5_000);
    peer.send(0, 500);
    let mut asked = std::vec::Vec::new();
    while asked.len() < 6 {
        let (timeouts, requests) = (peer.counters().tcp_timeouts, peer.arp_requests);
        while peer.counters().tcp_timeouts == timeouts {
            peer.pass(10);
        }
        asked.push(peer.arp_requests - requests);
    }
    assert_eq!(asked, [0, 0, 1, 0, 0, 0]);
    assert_eq!(peer.sent().len(), 7);
}
