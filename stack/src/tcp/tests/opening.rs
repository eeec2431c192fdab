use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::tcp::{ListenError, State};

#[test]
fn a_passive_open_takes_three_segments() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 7>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    assert_eq!(
        (peer.stack.levels().syns, peer.stack.levels().conns),
        (1, 0)
    );
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.silent();
    peer.told(&["accepted"]);
    let status = peer.act(|conn| conn.status());
    assert_eq!(
        (status.state, status.snd_wnd, status.smss),
        (State::Established, 128_000, 1_000)
    );
    assert_eq!(
        (peer.stack.levels().syns, peer.stack.levels().conns),
        (0, 1)
    );
}

#[test]
fn the_third_segment_may_carry_data() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive("P. 1:101(100) ack 1 win 1000");
    peer.told(&["accepted", "received 100 took 100"]);
    peer.silent();
}

#[test]
fn a_lost_syn_ack_is_sent_again_and_then_forgotten() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    for wait in [999, 1_999, 3_999, 7_999] {
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        peer.pass(wait);
        peer.silent();
        peer.pass(1);
    }
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.pass(60_000);
    peer.silent();
    peer.gone();
}

#[test]
fn a_syn_that_comes_twice_is_answered_twice_by_one_entry() {
    let mut peer = Peer::new(Sizes::SMALL);
    for _ in 0..2 {
        peer.arrive("S 0:0(0) win 1000");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    }
    assert_eq!(peer.stack.levels().syns, 1);
}

#[test]
fn a_new_syn_takes_the_place_of_a_half_open_one() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.sent();
    peer.peer_iss += 5_000;
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.told(&["accepted"]);
}

/// RFC 9293 3.10.7.4, first, and RFC 5961 4.2: what anybody may guess of a handshake under way does
/// not end it; who has begun another says so.
#[test]
fn a_syn_out_of_the_window_of_a_half_open_one_is_challenged() {
    let mut peer = Peer::new(Sizes::SMALL);
    for is_forged in [true, false] {
        peer.arrive("S 0:0(0) win 1000");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        peer.arrive("S 65537:65537(0) win 1000");
        peer.expect(". 1:1(0) ack 1 win 65535");
        if is_forged {
            peer.arrive(". 1:1(0) ack 1 win 1000");
            peer.told(&["accepted"]);
            peer.port += 1;
        } else {
            peer.arrive("R 1:1(0)");
            peer.silent();
            assert_eq!(peer.stack.levels().syns, 0);
            peer.arrive("S 65537:65537(0) win 1000");
            assert_eq!(peer.sent().len(), 1);
            assert_eq!(peer.stack.levels().syns, 1);
        }
    }
    assert_eq!(peer.dropped(DropReason::TcpChallengedSyn), 2);
    assert_eq!(peer.counters().tcp_challenge_acks, 2);
    for _ in 0..2_000 {
        peer.arrive("S 0:0(0) win 1000");
    }
    assert!((500..1_500).contains(&peer.sent().len()), "throttled");
}

#[test]
fn a_reset_ends_a_half_open_connection() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    // In the window, but not the next number: RFC 5961 3.2.
    peer.arrive("R 2:2(0)");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpChallengedRst), 1);
    assert_eq!(peer.counters().tcp_challenge_acks, 1);
    assert_eq!(peer.stack.levels().syns, 1);
    peer.arrive("R 1:1(0)");
    peer.silent();
    peer.gone();
}

#[test]
fn an_acknowledgment_of_something_else_is_refused() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 77 win 1000");
    peer.expect("R 77:77(0) win 0");
    assert_eq!(peer.dropped(DropReason::TcpBadAck), 1);
    assert_eq!(peer.stack.levels().syns, 1);
}

/// RFC 9293 3.10.7.4, first: an acknowledgment, and no SYN-ACK again.
#[test]
fn a_half_open_connection_acknowledges_what_is_out_of_its_window() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    for seq in [0, 70_000] {
        peer.arrive(&std::format!(". {seq}:{seq}(0) ack 1 win 1000"));
        peer.expect(". 1:1(0) ack 1 win 65535");
    }
    for seq in [65_536, 70_000] {
        peer.arrive(&std::format!("R {seq}:{seq}(0)"));
        peer.silent();
    }
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 4);
    assert_eq!(peer.counters().tcp_retransmits, 0);
    peer.told(&[]);
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.told(&["accepted"]);
    // Where both sides scale, the window of that acknowledgment is scaled.
    peer.port += 1;
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 7>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive(". 0:0(0) ack 1 win 1000");
    peer.expect(". 1:1(0) ack 1 win 8191");
}

#[test]
fn a_full_syn_queue_drops_and_counts() {
    let mut peer = Peer::new(Sizes::SMALL);
    for port in 0..5 {
        peer.port = 40_000 + port;
        peer.arrive("S 0:0(0) win 1000");
    }
    assert_eq!(peer.stack.levels().syns, 2, "the backlog");
    assert_eq!(peer.dropped(DropReason::TcpSynQueueFull), 3);
}

#[test]
fn connections_are_named_as_long_as_they_are_there() {
    let mut peer = Peer::new(Sizes {
        conns: 2,
        ..Sizes::SMALL
    });
    assert_eq!(peer.stack.conn_ids().count(), 0);
    peer.open(1_000);
    let first = peer.id();
    peer.port = 40_001;
    peer.open(1_000);
    let second = peer.id();
    let named: std::vec::Vec<_> = peer.stack.conn_ids().collect();
    assert!(named.len() == 2 && named.contains(&first) && named.contains(&second));
    peer.stack
        .with_conn(peer.now, first, |conn, _| conn.abort());
    peer.poll();
    peer.sent();
    let named: std::vec::Vec<_> = peer.stack.conn_ids().collect();
    assert_eq!(named, [second]);
    peer.told(&["closed: aborted"]);
}

#[test]
fn a_full_table_drops_the_third_segment_until_there_is_a_place() {
    let mut peer = Peer::new(Sizes {
        conns: 1,
        ..Sizes::SMALL
    });
    peer.open(1_000);
    let first = peer.id();
    peer.port = 40_001;
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 1000");
    assert_eq!(peer.dropped(DropReason::TcpTableFull), 1);
    peer.stack
        .with_conn(peer.now, first, |conn, _| conn.abort());
    peer.poll();
    peer.sent();
    peer.told(&["closed: aborted"]);
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.told(&["accepted"]);
}

#[test]
fn a_listener_has_its_port_alone() {
    let mut peer = Peer::new(Sizes::SMALL);
    assert_eq!(peer.stack.listen(80, 1), Err(ListenError::InUse));
    assert_eq!(peer.stack.listen(0, 1), Err(ListenError::BadPort));
    let other = peer.stack.listen(81, 1).unwrap();
    peer.stack.unlisten(other);
    for port in 81..81 + crate::config::LISTENERS_MAX as u16 - 1 {
        peer.stack.listen(port, 1).unwrap();
    }
    assert_eq!(peer.stack.listen(1_000, 1), Err(ListenError::Full));
}

#[test]
fn a_closed_port_refuses() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.our_port = 81;
    peer.arrive("S 7:7(0) win 1000");
    peer.expect("R. 0:0(0) ack 8 win 0");
    peer.arrive("P. 7:17(10) ack 5 win 1000");
    peer.expect("R 5:5(0) win 0");
    peer.arrive("R 7:7(0)");
    peer.arrive("R. 7:7(0) ack 1");
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpNoConnection), 4);
}

/// RFC 9293 3.10.7.2, fourth.
#[test]
fn a_listener_does_not_answer_what_is_neither_syn_nor_ack() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("P 1:11(10) win 1000");
    peer.arrive("F 1:1(0) win 1000");
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpNoAck), 2);
}

#[test]
fn an_acknowledgment_at_a_listener_is_refused() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive(". 1:1(0) ack 9 win 1000");
    peer.expect("R 9:9(0) win 0");
    peer.gone();
}

#[test]
fn an_active_open_takes_three_segments() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("S. 0:0(0) ack 1 win 500 <mss 900,nop,wscale 3>");
    peer.told(&["connected"]);
    peer.expect(". 1:1(0) ack 1 win 8192");
    let status = peer.act(|conn| conn.status());
    // The window of a SYN is not scaled.
    assert_eq!(
        (status.state, status.snd_wnd, status.smss),
        (State::Established, 500, 900)
    );
    peer.arrive(". 1:1(0) ack 1 win 500");
    assert_eq!(peer.act(|conn| conn.status()).snd_wnd, 4_000);
    peer.silent();
}

#[test]
fn an_active_open_that_is_refused() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("R. 0:0(0) ack 9");
    peer.arrive("R 0:0(0)");
    peer.silent();
    peer.told(&[]);
    peer.arrive("R. 0:0(0) ack 1");
    peer.told(&["closed: refused"]);
    peer.silent();
    peer.gone();
}

#[test]
fn an_active_open_without_an_answer_gives_up() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
        peer.silent();
        peer.pass(wait * 1_000);
    }
    peer.told(&["closed: timed out"]);
    peer.silent();
    peer.gone();
}

/// RFC 9293 3.10.4: CLOSE in SYN-SENT deletes the connection; what is queued has it wait.
#[test]
fn a_close_in_syn_sent_ends_the_attempt_unless_there_is_something_to_send() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.act(|conn| conn.close());
    peer.told(&["closed: aborted"]);
    peer.silent();
    peer.gone();
    peer.arrive("S. 0:0(0) ack 1 win 500");
    peer.expect("R 1:1(0) win 0");

    peer.connect(8_081);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.send(0, 10);
    peer.act(|conn| conn.close());
    peer.told(&[]);
    peer.arrive("S. 0:0(0) ack 1 win 500");
    peer.told(&["connected"]);
    peer.expect("FP. 1:11(10) ack 1 win 65535");
}

#[test]
fn an_active_open_answered_by_an_old_segment_refuses_it() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive(". 300:300(0) ack 77 win 1000");
    peer.expect("R 77:77(0) win 0");
    peer.arrive("S. 0:0(0) ack 1 win 1000");
    peer.told(&["connected"]);
}

#[test]
fn both_sides_may_open_at_once() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 0>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.told(&["connected"]);
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
    peer.silent();
}

/// RFC 9293 3.5, figure 7: the SYN-ACKs cross, too, and neither side answers the other's.
#[test]
fn crossing_syn_acks_establish_a_connection() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 2>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    // One that acknowledges something else is what any SYN behind the window is.
    peer.arrive("S. 0:0(0) ack 0 win 1000 <mss 1000,nop,wscale 2>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("S. 0:0(0) ack 1 win 1000 <mss 1000,nop,wscale 2>");
    peer.told(&["connected"]);
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
    assert_eq!(peer.act(|conn| conn.status().snd_wnd), 1_000, "not scaled");
    peer.silent();
}

#[test]
fn half_open_connections_end_with_their_listener() {
    let mut peer = Peer::new(Sizes::SMALL);
    let listener = peer.stack.listen(81, 2).expect("a free port");
    peer.our_port = 81;
    peer.arrive("S 0:0(0) win 1000 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.stack.unlisten(listener);
    assert_eq!(peer.stack.levels().syns, 0);
    // The next listener has the place of the old one, and nothing of it.
    peer.stack.listen(82, 2).expect("a free place");
    peer.arrive(". 1:1(0) ack 1 win 1000");
    peer.expect("R 1:1(0) win 0");
    peer.told(&[]);
    peer.gone();
}

#[test]
fn a_third_segment_that_is_refused_gives_no_more_time_than_the_syn_queue() {
    let few = Sizes {
        frames: 64,
        ..Sizes::SMALL
    };
    let mut peer = Peer::new(few);
    peer.arrive("S 0:0(0) win 1000 <mss 1000>");
    peer.take_iss();
    peer.sent();
    // It acknowledges our SYN, but is one itself.
    peer.arrive("S. 1:1(0) ack 1 win 1000");
    assert_eq!(peer.dropped(DropReason::TcpChallengedSyn), 1);
    assert_eq!(peer.stack.levels().conns, 1);
    peer.sent();
    peer.pass(40_000);
    assert_eq!(peer.sent().len(), 4, "the SYN-ACK again");
    peer.told(&[]);
    peer.gone();
}
