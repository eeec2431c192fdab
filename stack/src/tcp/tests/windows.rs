//! Windows that shrink, close, and open by little.

use super::peer::Peer;
use crate::DropReason;
use crate::tcp::State;

/// RFC 9293 3.8.6, MUST-34, SHLD-15 and SHLD-16: no new data beyond the edge that moved back, old
/// data within it as ever.
#[test]
fn a_window_that_shrinks_holds_new_data_back() {
    let mut peer = Peer::established(4_000);
    peer.send(0, 6_000);
    assert_eq!(peer.sent().len(), 4);
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.silent();
    peer.pass(199);
    peer.silent();
    peer.pass(1);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 1001 win 1000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.silent();
    // What was in flight all along arrives after all, and the window comes back.
    peer.arrive(". 1:1(0) ack 4001 win 4000");
    peer.expect(". 4001:5001(1000) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 5001 win 4000");
    peer.expect("P. 5001:6001(1000) ack 1 win 65535");
    peer.silent();
}

/// RFC 9293 3.8.6, SHLD-17 and MUST-35: a window that shrinks to nothing behind data in flight is
/// probed for as long as it is answered.
#[test]
fn a_window_that_shrinks_to_nothing_is_probed() {
    let mut peer = Peer::established(4_000);
    peer.send(0, 4_000);
    assert_eq!(peer.sent().len(), 4);
    peer.arrive(". 1:1(0) ack 1 win 0");
    for _ in 0..40 {
        while peer.sent.is_empty() {
            peer.pass(1_000);
        }
        while !peer.sent.is_empty() {
            peer.expect("P. 1:2(1) ack 1 win 65535");
        }
        peer.arrive(". 1:1(0) ack 1 win 0");
    }
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
    assert_eq!(peer.counters().tcp_timeouts, 0);
    peer.arrive(". 1:1(0) ack 1 win 4000");
    peer.pass(250);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.sent();
    peer.arrive(". 1:1(0) ack 4001 win 4000");
    peer.silent();
    assert_eq!(peer.act(|conn| conn.status()).unacked_len, 0);
}

/// RFC 9293 3.8.6.2.1: what the override timeout lets out is sent for the first time. Its own loss
/// is the first timeout: with the timeout as it is, and a reduction.
#[test]
fn an_override_is_no_retransmission() {
    let mut peer = Peer::established(10_000);
    peer.send(0, 1_000);
    peer.sent();
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 1001 win 300");
    peer.send(1_000, 2_000);
    peer.pass(199);
    peer.silent();
    peer.pass(1);
    peer.expect("P. 1001:1301(300) ack 1 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.retransmits, status.ssthresh), (0, u32::MAX));
    peer.pass(199);
    peer.silent();
    peer.pass(1);
    peer.expect(". 1001:1301(300) ack 1 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.retransmits, status.cwnd), (1, 1_000));
    assert!(status.ssthresh < u32::MAX);
    assert_eq!(peer.counters().tcp_timeouts, 1);
}

/// A connection whose application takes nothing, its window full to the last byte.
fn full() -> Peer {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 0;
    let mut seq = 1;
    while seq < 65_536 {
        let len = (65_536 - seq).min(1_000);
        peer.arrive(&std::format!(
            ". {seq}:{}({len}) ack 1 win 60000",
            seq + len
        ));
        seq += len;
    }
    peer.pass(100);
    peer.sent();
    peer.app.lines.clear();
    assert_eq!(peer.act(|conn| conn.status()).rcv_wnd, 0);
    peer
}

/// Lets the application take `len` bytes more.
fn take(peer: &mut Peer, len: usize) {
    peer.app.takes_max += len;
    peer.act(|conn| conn.wake_at(conn.now()));
    peer.pass(2);
}

/// RFC 9293 3.10.7.4, first, MUST-66: text is not taken at a closed window; its ACK, and an RST,
/// are.
#[test]
fn a_closed_window_takes_acknowledgments_and_resets() {
    let mut peer = full();
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 65536 win 0");
    peer.arrive("U. 65536:65537(1) ack 501 win 60000");
    peer.expect(". 501:501(0) ack 65536 win 0");
    assert_eq!(peer.act(|conn| conn.status()).unacked_len, 0);
    assert_eq!(peer.app.taken, 0);
    peer.app.lines.clear();
    peer.arrive("R 65536:65536(0)");
    peer.told(&["closed: reset by the far side"]);
    assert_eq!(peer.dropped(DropReason::TcpChallengedRst), 0);
    peer.gone();
}

/// RFC 9293 3.8.6.2.2, MUST-39: a window opens by a segment or not at all, even where an
/// acknowledgment goes out anyway.
#[test]
fn a_window_does_not_open_by_little() {
    let mut peer = full();
    let mut taken = 0;
    for (len, wnd) in [(1, 0), (998, 0), (460, 0), (1, 1_460), (100, 1_460)] {
        take(&mut peer, len);
        taken += len;
        peer.sent();
        peer.arrive(". 65535:65536(1) ack 1 win 60000");
        peer.expect(&std::format!(". 1:1(0) ack 65536 win {wnd}"));
        assert_eq!(peer.app.taken, taken);
    }
    // Two segments are worth telling by themselves (RFC 9293 3.8.6.2.2).
    take(&mut peer, 2_920);
    peer.expect(". 1:1(0) ack 65536 win 4480");
    peer.silent();
}

/// RFC 9293 3.10.7.4, fifth: the window of a segment from before the one that last moved it is old
/// news, although segments with the window as it is came in between, and whichever way they take.
#[test]
fn a_window_from_before_is_not_taken() {
    let mut peer = Peer::established(4_000);
    let taken = peer.counters().tcp_short_cuts;
    peer.arrive(". 2001:2001(0) ack 1 win 4000");
    peer.arrive(". 1:1001(1000) ack 1 win 4000");
    assert_eq!(peer.counters().tcp_short_cuts, taken + 1);
    peer.arrive(". 1001:2001(1000) ack 1 win 500");
    assert_eq!(peer.counters().tcp_short_cuts, taken + 2);
    peer.sent();
    peer.send(0, 2_000);
    peer.expect(". 1:1001(1000) ack 2001 win 65535");
    peer.expect("P. 1001:2001(1000) ack 2001 win 65535");
    peer.silent();
}
