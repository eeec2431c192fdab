//! Silent far sides (RFC 9293 3.8.4, RFC 5482).

use super::peer::Peer;
use crate::tcp::KeepAlive;
use crate::time::Duration;

const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: Duration::from_secs(10),
    interval: Duration::from_secs(2),
    probes: 3,
};

#[test]
fn keep_alives_are_off_by_default() {
    let mut peer = Peer::established(65_535);
    peer.pass(24 * 3_600_000);
    peer.silent();
    peer.told(&[]);
}

#[test]
fn an_idle_connection_asks_and_an_answer_is_enough() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.set_keep_alive(Some(KEEP_ALIVE)));
    for _ in 0..4 {
        peer.pass(9_999);
        peer.silent();
        peer.pass(1);
        peer.expect(". 0:0(0) ack 1 win 65535");
        peer.arrive(". 1:1(0) ack 1 win 65535");
        peer.silent();
    }
    assert_eq!(peer.counters().tcp_keep_alives, 4);
}

/// RFC 9293 MUST-28, and SHLD-12: no data.
#[test]
fn the_usual_keep_alive_asks_after_two_hours() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.set_keep_alive(Some(KeepAlive::default())));
    peer.pass(2 * 3_600_000 - 1);
    peer.silent();
    peer.pass(1);
    peer.expect(". 0:0(0) ack 1 win 65535");
}

/// RFC 9293 MUST-29: one lost probe proves nothing.
#[test]
fn probes_without_answer_end_the_connection() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.set_keep_alive(Some(KEEP_ALIVE)));
    peer.pass(10_000);
    for _ in 0..3 {
        peer.expect(". 0:0(0) ack 1 win 65535");
        peer.silent();
        peer.told(&[]);
        peer.pass(2_000);
    }
    peer.told(&["closed: timed out"]);
    peer.gone();
}

#[test]
fn whatever_arrives_starts_the_silence_again() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.set_keep_alive(Some(KEEP_ALIVE)));
    peer.pass(9_000);
    peer.arrive("P. 1:2(1) ack 1 win 65535");
    peer.pass(9_000);
    peer.expect(". 1:1(0) ack 2 win 65535");
    peer.silent();
    peer.act(|conn| conn.set_keep_alive(None));
    peer.pass(60_000);
    peer.silent();
}

/// RFC 5482: the user's patience, not ours.
#[test]
fn the_user_timeout_ends_the_connection_in_time() {
    for (millis, retransmits) in [(150, 0), (1_000, 2), (3_000, 3)] {
        let mut peer = Peer::established(65_535);
        peer.act(|conn| conn.set_user_timeout(Some(Duration::from_millis(millis))));
        peer.send(0, 100);
        peer.pass(millis - 1);
        assert_eq!(peer.sent().len(), 1 + retransmits, "{millis}");
        peer.told(&[]);
        peer.pass(2);
        peer.told(&["closed: timed out"]);
    }
}

#[test]
fn a_user_timeout_may_be_longer_than_ours() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.set_user_timeout(Some(Duration::from_secs(3_600))));
    peer.send(0, 100);
    peer.pass(3_599_000);
    peer.told(&[]);
    peer.pass(2_000);
    peer.told(&["closed: timed out"]);
}
