//! The congestion window as the wire shows it: whether it is used, idle time.

use std::vec;
use std::vec::Vec;

use super::peer::{Peer, Sizes, stream};

fn cwnd(peer: &mut Peer) -> u32 {
    peer.act(|conn| conn.status()).cwnd
}

#[test]
fn ten_segments_go_at_once() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 40_000);
    assert_eq!(peer.sent().len(), 10);
    // Each acknowledged segment makes room for two.
    peer.arrive(". 1:1(0) ack 2001 win 60000");
    assert_eq!(peer.sent().len(), 4);
    assert_eq!(cwnd(&mut peer), 12_000);
}

#[test]
fn a_window_that_is_not_filled_does_not_grow() {
    let mut peer = Peer::established(60_000);
    for n in 0..20 {
        // Nine segments of ten, and the queue is empty.
        peer.send(9_000 * n, 9_000);
        assert_eq!(peer.sent().len(), 9);
        let ack = 9_000 * n + 9_001;
        peer.arrive(&std::format!(". 1:1(0) ack {ack} win 60000"));
    }
    assert_eq!(cwnd(&mut peer), 10_000);
}

#[test]
fn a_window_that_the_far_side_limits_does_not_grow() {
    let mut peer = Peer::established(8_000);
    peer.send(0, 100_000);
    let mut una = 1;
    for _ in 0..10 {
        assert_eq!(peer.sent().len(), 8);
        una += 8_000;
        peer.arrive(&std::format!(". 1:1(0) ack {una} win 8000"));
    }
    assert_eq!(cwnd(&mut peer), 10_000);
}

#[test]
fn what_was_sent_up_to_the_limit_counts_to_its_end() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 16_000);
    assert_eq!(peer.sent().len(), 10);
    // Two let four go, and two remain: they end the queue, not the window.
    peer.arrive(". 1:1(0) ack 2001 win 60000");
    peer.arrive(". 1:1(0) ack 4001 win 60000");
    assert_eq!((peer.sent().len(), cwnd(&mut peer)), (6, 14_000));
    // What was sent when the window was full counts, up to the 14th segment.
    for (ack, expected) in [
        (8_001, 18_000),
        (13_001, 23_000),
        (14_001, 24_000),
        (16_001, 24_000),
    ] {
        peer.arrive(&std::format!(". 1:1(0) ack {ack} win 60000"));
        assert_eq!(cwnd(&mut peer), expected, "{ack}");
    }
}

/// A connection whose window has grown to 30 segments, and whose queue is empty.
fn grown() -> (Peer, usize) {
    let mut peer = Peer::established(60_000);
    peer.send(0, 50_000);
    let mut una = 1;
    while cwnd(&mut peer) < 30_000 {
        una += 2_000;
        peer.arrive(&std::format!(". 1:1(0) ack {una} win 60000"));
    }
    peer.arrive(". 1:1(0) ack 50001 win 60000");
    assert_eq!(peer.act(|conn| conn.status()).flight_size, 0);
    peer.sent();
    (peer, 50_000)
}

#[test]
fn after_idle_time_the_window_is_the_initial_one() {
    let (mut peer, sent) = grown();
    let rto_ms = peer.act(|conn| conn.status()).rto.as_millis();
    peer.pass(rto_ms + 1);
    peer.send(sent, 60_000);
    assert_eq!(peer.sent().len(), 10);
    assert_eq!(cwnd(&mut peer), 10_000);
}

/// Queues 30 segments after idle time; how many go at once, and cwnd before. All is acknowledged.
fn restart(peer: &mut Peer, sent: usize) -> (usize, u32) {
    let status = peer.act(|conn| conn.status());
    peer.pass(status.rto.as_millis() + 1);
    peer.send(sent, 30_000);
    let at_once = peer.sent().len();
    let mut una = sent;
    while una < sent + 30_000 {
        una += peer.act(|conn| conn.status()).flight_size as usize;
        peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", una + 1));
        peer.sent();
    }
    (at_once, status.cwnd)
}

/// RFC 6928 2: after a loss in the window that the connection began with, it begins again after
/// idle time with that of RFC 3390; when that has gone well, with what it has, up to ten segments.
#[test]
fn after_a_loss_in_the_initial_window_the_restart_window_is_smaller() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 10_000);
    assert_eq!(peer.sent().len(), 10);
    for _ in 0..3 {
        peer.arrive(". 1:1(0) ack 1 win 65535");
    }
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 10001 win 65535");
    let (at_once, cwnd) = restart(&mut peer, 10_000);
    assert_eq!((at_once, cwnd), (4, 7_000));
    let (at_once, cwnd) = restart(&mut peer, 40_000);
    assert!(
        cwnd >= 7_000 && at_once == cwnd.min(10_000) as usize / 1_000,
        "{cwnd}"
    );
}

/// A loss later than that, or of a few bytes, says nothing of the initial window.
#[test]
fn a_loss_of_little_or_later_leaves_the_restart_window() {
    for (mut peer, mut una, lost) in [
        (Peer::established(60_000), 0, 4_000),
        (grown().0, 50_000, 30_000),
    ] {
        peer.send(una, lost);
        for _ in 0..3 {
            peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", una + 1));
        }
        una += lost;
        peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", una + 1));
        peer.sent();
        assert_eq!(peer.counters().tcp_recoveries, 1);
        let (at_once, cwnd) = restart(&mut peer, una);
        assert_eq!(at_once, cwnd.min(10_000) as usize / 1_000);
    }
}

#[test]
fn a_pause_shorter_than_the_timeout_changes_nothing() {
    let (mut peer, sent) = grown();
    let before = cwnd(&mut peer);
    let rto_ms = peer.act(|conn| conn.status()).rto.as_millis();
    peer.pass(rto_ms - 1);
    peer.send(sent, 60_000);
    assert_eq!(peer.sent().len(), before as usize / 1_000);
    assert_eq!(cwnd(&mut peer), before);
}

/// Round trips of these milliseconds, each acknowledging every segment of a window on its own; the
/// windows in segments, and ssthresh at the end.
fn round_trips(rtts_ms: &[u64]) -> (Vec<u32>, u32) {
    const SMSS: u32 = 200;
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 60000 <mss 200>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.send(0, stream().len());
    let (mut una, mut windows) = (1, vec![]);
    for rtt_ms in rtts_ms {
        let flight_size = peer.act(|conn| conn.status()).flight_size;
        windows.push(flight_size / SMSS);
        peer.pass(*rtt_ms);
        for _ in 0..flight_size / SMSS {
            una += SMSS;
            peer.arrive(&std::format!(". 1:1(0) ack {una} win 60000"));
        }
    }
    assert_eq!(peer.counters().tcp_retransmits, 0);
    (windows, peer.act(|conn| conn.status()).ssthresh)
}

#[test]
fn slow_start_doubles_while_round_trips_stay_as_they_are() {
    assert_eq!(
        round_trips(&[50, 50, 50, 50]),
        (vec![10, 20, 40, 80], u32::MAX)
    );
}

#[test]
fn slow_start_ends_when_round_trips_have_become_longer() {
    // RFC 9406 4.2: a round of HyStart++ begins with the end of the one before it, so its least is
    // still 50 ms in the second, and 60 ms from the third on: from there a quarter, for the rest of
    // that round and four more.
    let (windows, ssthresh) = round_trips(&[50, 60, 60, 60, 60, 60, 60, 60, 60]);
    assert_eq!(windows[..3], [10, 20, 40]);
    for pair in windows[3..7].windows(2) {
        let percent = 100 * pair[1] / pair[0];
        assert!((123..=126).contains(&percent), "{windows:?}");
    }
    // Then avoidance, from where it is.
    assert_eq!(ssthresh, windows[7] * 200);
    assert!(windows[8] <= windows[7] + 1, "{windows:?}");
}
