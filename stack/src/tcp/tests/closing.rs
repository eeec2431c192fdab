use super::peer::{Peer, Sizes, stream};
use crate::DropReason;
use crate::tcp::{SendError, Settings, State};

#[test]
fn we_close_first() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| {
        conn.send_body(&stream()[..100]).unwrap();
        conn.close();
        assert_eq!(conn.send(b"late"), Err(SendError::Closed));
    });
    peer.expect("FP. 1:101(100) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 102 win 60000");
    assert_eq!(peer.act(|conn| conn.state()), State::FinWait2);
    // They may still send.
    peer.arrive("P. 1:11(10) ack 102 win 60000");
    peer.told(&["received 10 took 10"]);
    peer.arrive("F. 11:11(0) ack 102 win 60000");
    peer.expect(". 102:102(0) ack 12 win 65535");
    peer.told(&["finished", "closed: finished"]);
    assert_eq!(peer.stack.levels().time_waits, 1);
    // The last acknowledgment was lost: it is sent again, and the wait begins anew.
    peer.pass(50_000);
    peer.arrive("F. 11:11(0) ack 102 win 60000");
    peer.expect(". 102:102(0) ack 12 win 0");
    peer.pass(59_000);
    assert_eq!(peer.stack.levels().time_waits, 1);
    peer.pass(2_000);
    assert_eq!(peer.stack.levels().time_waits, 0);
    peer.silent();
    peer.gone();
}

#[test]
fn they_close_first() {
    let mut peer = Peer::established(60_000);
    peer.arrive("FP. 1:11(10) ack 1 win 60000");
    peer.told(&["received 10 took 10", "finished"]);
    peer.expect(". 1:1(0) ack 12 win 65535");
    assert_eq!(peer.act(|conn| conn.state()), State::CloseWait);
    peer.send(0, 100);
    peer.expect("P. 1:101(100) ack 12 win 65535");
    peer.act(|conn| conn.close());
    peer.expect("F. 101:101(0) ack 12 win 65535");
    peer.arrive(". 12:12(0) ack 102 win 60000");
    peer.told(&["closed: finished"]);
    peer.silent();
    peer.gone();
    assert_eq!(peer.stack.levels().time_waits, 0);
}

#[test]
fn both_close_at_once() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.expect("F. 1:1(0) ack 1 win 65535");
    peer.arrive("F. 1:1(0) ack 1 win 60000");
    peer.expect(". 2:2(0) ack 2 win 65535");
    assert_eq!(peer.act(|conn| conn.state()), State::Closing);
    peer.arrive(". 2:2(0) ack 2 win 60000");
    peer.told(&["finished", "closed: finished"]);
    assert_eq!(peer.stack.levels().time_waits, 1);
    peer.silent();
    peer.gone();
}

#[test]
fn a_fin_that_acknowledges_ours_ends_it_at_once() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.expect("F. 1:1(0) ack 1 win 65535");
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.expect(". 2:2(0) ack 2 win 65535");
    peer.told(&["finished", "closed: finished"]);
    peer.gone();
}

#[test]
fn a_lost_fin_is_sent_again() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.expect("F. 1:1(0) ack 1 win 65535");
    peer.pass(200);
    peer.expect("F. 1:1(0) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 2 win 60000");
    peer.pass(50_000);
    peer.silent();
    assert_eq!(peer.act(|conn| conn.state()), State::FinWait2);
    // They never close: that must not last for ever.
    peer.pass(20_000);
    peer.told(&["closed: timed out"]);
    peer.gone();
}

/// Nobody waits for it: no flight is kept for it, and no probe sent. By the short cut, and by the
/// long way.
#[test]
fn a_lost_last_fin_is_sent_again_by_the_timeout() {
    for short_cuts in [true, false] {
        let settings = Settings {
            short_cuts,
            timestamps: false,
            ..Settings::default()
        };
        let mut peer = Peer::with(Sizes::SMALL, settings);
        peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>");
        peer.arrive(". 1:1(0) ack 1 win 60000");
        peer.send(0, 100);
        peer.expect("P. 1:101(100) ack 1 win 65535");
        peer.app.closes = true;
        peer.arrive("F. 1:1(0) ack 101 win 60000");
        peer.expect("F. 101:101(0) ack 2 win 65535");
        peer.told(&["accepted", "finished"]);
        assert_eq!(peer.act(|conn| conn.state()), State::LastAck);
        assert_eq!(peer.stack.levels().flights, 0);
        peer.pass(199);
        peer.silent();
        peer.pass(1);
        peer.expect("F. 101:101(0) ack 2 win 65535");
        peer.pass(400);
        peer.expect("F. 101:101(0) ack 2 win 65535");
        let counters = peer.counters();
        assert_eq!((counters.tcp_retransmits, counters.tcp_probes), (2, 0));
        peer.arrive(". 2:2(0) ack 102 win 60000");
        peer.told(&["closed: finished"]);
        peer.silent();
        peer.gone();
    }
}

#[test]
fn a_fin_behind_a_gap_needs_not_come_again() {
    let mut peer = Peer::established(60_000);
    peer.arrive("FP. 11:21(10) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.told(&[]);
    peer.arrive("P. 1:11(10) ack 1 win 60000");
    peer.told(&["received 20 took 20", "finished"]);
    peer.expect(". 1:1(0) ack 22 win 65535");
    peer.silent();
}

#[test]
fn the_end_is_told_when_all_has_been_taken() {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 0;
    peer.arrive("FP. 1:11(10) ack 1 win 60000");
    peer.told(&["received 10 took 0"]);
    peer.app.takes_max = usize::MAX;
    peer.act(|conn| conn.wake_at(conn.now()));
    peer.pass(2);
    peer.told(&["woken", "received 10 took 10", "finished"]);
}

#[test]
fn a_reset_must_have_the_next_number() {
    let mut peer = Peer::established(60_000);
    peer.arrive("R 5:5(0)");
    peer.expect(". 1:1(0) ack 1 win 65535");
    // At the edge of the window, behind it, and before it with text that reaches into it.
    for reset in ["R 65536:65536(0)", "R 70000:70000(0)", "R 0:2(2)"] {
        peer.arrive(reset);
        peer.silent();
    }
    peer.told(&[]);
    assert_eq!(peer.dropped(DropReason::TcpChallengedRst), 1);
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 3);
    peer.arrive("R 1:1(0)");
    peer.told(&["closed: reset by the far side"]);
    peer.silent();
    peer.gone();
}

#[test]
fn a_reset_sends_frames_home_that_nobody_read() {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 0;
    peer.arrive(". 1:1001(1000) ack 1 win 60000");
    peer.arrive(". 3001:4001(1000) ack 1 win 60000");
    peer.act(|conn| conn.send(&stream()[..10])).unwrap();
    peer.sent();
    peer.arrive("R 1001:1001(0)");
    peer.silent();
    peer.gone();
}

#[test]
fn a_new_connection_may_take_the_place_of_an_old_one() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.sent();
    assert_eq!(peer.stack.levels().time_waits, 1);
    // Not with an old number, but with one that is clearly behind the old connection.
    peer.arrive("S 0:0(0) win 1000");
    peer.expect(". 2:2(0) ack 2 win 0");
    peer.peer_iss += 100_000;
    peer.arrive("S 0:0(0) win 1000 <mss 1000>");
    let old = peer.our_iss;
    peer.take_iss();
    assert!(peer.our_iss.after(old + 2));
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    assert_eq!(peer.stack.levels().time_waits, 0);
    peer.app.lines.clear();
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.told(&["accepted"]);
}

/// RFC 5961 7: they cost whoever guesses them as little elsewhere.
#[test]
fn syns_in_time_wait_are_answered_a_thousand_times_a_second_at_most() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.sent();
    for _ in 0..2_000 {
        peer.arrive("S 0:0(0) win 1000");
    }
    let answers = peer.sent().len() as u64;
    assert!((500..1_500).contains(&answers), "{answers}");
    let counters = peer.counters();
    assert_eq!(counters.tcp_challenge_acks, answers);
    assert_eq!(counters.tcp_challenge_acks_suppressed, 2_000 - answers);
}

#[test]
fn a_reset_does_not_end_time_wait() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.sent();
    peer.arrive("R 2:2(0)");
    peer.silent();
    assert_eq!(peer.stack.levels().time_waits, 1);
}

/// Two sides in TIME-WAIT that differ about the numbers would answer each other for as long as they
/// wait: an ACK of nothing is no reason for another.
#[test]
fn in_time_wait_an_empty_segment_is_not_answered() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.close());
    peer.arrive("F. 1:1(0) ack 2 win 60000");
    peer.sent();
    assert_eq!(peer.stack.levels().time_waits, 1);
    for segment in [
        ". 2:2(0) ack 2 win 0",
        ". 1:1(0) ack 2 win 0",
        ". 900:900(0) ack 7 win 0",
    ] {
        peer.arrive(segment);
        peer.silent();
    }
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 3);
    peer.arrive(". 2:12(10) ack 2 win 0");
    peer.expect(". 2:2(0) ack 2 win 0");
}

#[test]
fn the_oldest_in_time_wait_goes_when_there_is_no_place() {
    let mut peer = Peer::new(Sizes::SMALL);
    for n in 0..3 {
        peer.port = 50_000 + n;
        peer.open(60_000);
        peer.act(|conn| conn.close());
        peer.arrive("F. 1:1(0) ack 2 win 60000");
        peer.sent();
    }
    assert_eq!(peer.stack.levels().time_waits, 2);
    assert_eq!(peer.counters().tcp_time_wait_evicted, 1);
}

/// An acknowledgment of a part of the queue is none of the FIN behind it.
#[test]
fn a_close_behind_queued_data_waits_for_all_of_it() {
    let mut peer = Peer::established(2_000);
    peer.send(0, 3_000);
    peer.act(|conn| conn.close());
    peer.sent();
    peer.arrive(". 1:1(0) ack 2001 win 2000");
    peer.expect("FP. 2001:3001(1000) ack 1 win 65535");
    assert_eq!(peer.act(|conn| conn.state()), State::FinWait1);
    peer.arrive(". 1:1(0) ack 3001 win 2000");
    assert_eq!(peer.act(|conn| conn.state()), State::FinWait1);
    peer.arrive(". 1:1(0) ack 3002 win 2000");
    assert_eq!(peer.act(|conn| conn.state()), State::FinWait2);
}

/// Bytes that nobody has read keep a connection in TIME-WAIT from becoming a compact entry.
#[test]
fn a_reset_in_time_wait_leaves_what_is_unread() {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 0;
    peer.act(|conn| conn.close());
    peer.arrive("FP. 1:11(10) ack 2 win 60000");
    peer.sent();
    assert_eq!(peer.act(|conn| conn.state()), State::TimeWait);
    peer.arrive("R 12:12(0)");
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 1);
    peer.app.takes_max = usize::MAX;
    peer.app.lines.clear();
    peer.act(|conn| conn.wake_at(conn.now()));
    peer.pass(100_000);
    peer.told(&[
        "woken",
        "received 10 took 10",
        "finished",
        "closed: finished",
    ]);
    peer.gone();
}

/// A half-close may be followed by a long download: FIN-WAIT-2 ends in silence only.
#[test]
fn fin_wait_2_lasts_while_something_comes() {
    let mut peer = Peer::established(65_535);
    peer.act(|conn| conn.close());
    peer.arrive(". 1:1(0) ack 2 win 65535");
    for n in 0..4 {
        peer.pass(50_000);
        let seq = 1 + 10 * n;
        peer.arrive(&std::format!("P. {seq}:{}(10) ack 2 win 65535", seq + 10));
    }
    assert_eq!(peer.app.taken, 40);
    peer.pass(59_000);
    assert!(!peer.app.lines.iter().any(|line| line.starts_with("closed")));
    peer.pass(1_000);
    assert_eq!(
        peer.app.lines.last().map(|line| &**line),
        Some("closed: timed out")
    );
    peer.sent();
    peer.gone();
}
