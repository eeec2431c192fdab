//! Timestamps: who uses them, what they protect from, what they measure (RFC 7323).

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::tcp::Settings;

/// A connection with timestamps that the other end opened; its clock stands at 100.
fn established() -> Peer {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 65535 <mss 1012,nop,nop,TS val 100 ecr 0>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 1 ecr 100>");
    peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    peer.told(&["accepted"]);
    peer
}

#[test]
fn a_syn_without_timestamps_gets_none() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.send(0, 2_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect("P. 1001:2001(1000) ack 1 win 65535");
    peer.silent();
}

#[test]
fn an_active_open_offers_all_and_takes_what_is_answered() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.connect(5_000);
    peer.expect("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 3>");
    peer.arrive("S. 0:0(0) ack 1 win 65535 <mss 1012,nop,nop,TS val 100 ecr 1>");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.send(0, 1_000);
    peer.expect("P. 1:1001(1000) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
}

#[test]
fn segments_are_shorter_by_the_option() {
    let mut peer = established();
    peer.send(0, 1_500);
    peer.expect(". 1:1001(1000) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.arrive(". 1:1(0) ack 1001 win 65535 <nop,nop,TS val 101 ecr 1>");
    peer.expect("P. 1001:1501(500) ack 1 win 65535 <nop,nop,TS val 1 ecr 101>");
}

/// RFC 7323 5.3, R1: acknowledged and dropped, but for an RST.
#[test]
fn an_older_timestamp_is_acknowledged_and_dropped() {
    let mut peer = established();
    peer.arrive("P. 1:11(10) ack 1 win 65535 <nop,nop,TS val 99 ecr 1>");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    assert_eq!(peer.dropped(DropReason::TcpOldTimestamps), 1);
    peer.told(&[]);
    peer.arrive("R. 1:1(0) ack 1 win 0 <nop,nop,TS val 99 ecr 1>");
    peer.told(&["closed: reset by the far side"]);
    peer.gone();
}

#[test]
fn a_segment_without_the_timestamps_agreed_on_is_dropped() {
    let mut peer = established();
    peer.arrive("P. 1:11(10) ack 1 win 65535");
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpNoTimestamps), 1);
    peer.arrive("R. 1:1(0) ack 1 win 0");
    peer.told(&["closed: reset by the far side"]);
}

#[test]
fn what_lies_behind_a_gap_does_not_set_the_echo() {
    let mut peer = established();
    peer.arrive("P. 11:21(10) ack 1 win 65535 <nop,nop,TS val 105 ecr 1>");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.arrive("P. 1:11(10) ack 1 win 65535 <nop,nop,TS val 103 ecr 1>");
    peer.expect(". 1:1(0) ack 21 win 65535 <nop,nop,TS val 1 ecr 103>");
}

#[test]
fn a_half_open_connection_drops_what_is_too_old_or_has_none() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 65535 <mss 1012,nop,nop,TS val 100 ecr 0>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 1 ecr 100>");
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpNoTimestamps), 1);
    peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 99 ecr 1>");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    assert_eq!(peer.dropped(DropReason::TcpOldTimestamps), 1);
    peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    peer.told(&["accepted"]);
}

/// RFC 6298 3: after a retransmission an echo measures what Karn's algorithm must not.
#[test]
fn an_echo_measures_what_was_sent_twice() {
    let mut peer = sent_twice();
    peer.pass(70);
    peer.arrive(". 1:1(0) ack 501 win 65535 <nop,nop,TS val 370 ecr 201>");
    let status = peer.act(|conn| conn.status());
    assert!((8..=9).contains(&status.srtt.as_millis()), "{status:?}");
    assert_eq!(status.rto.as_millis(), 200);
}

/// The first acknowledgment was lost, and the second transmission has brought another, which echoes
/// what came last in order (RFC 7323 4.3): the first.
#[test]
fn an_old_echo_that_a_retransmission_has_drawn_out_measures_nothing() {
    let mut peer = sent_twice();
    let before = peer.act(|conn| conn.status());
    assert_eq!(before.rto.as_millis(), 400);
    peer.pass(70);
    peer.arrive(". 1:1(0) ack 501 win 65535 <nop,nop,TS val 370 ecr 1>");
    let after = peer.act(|conn| conn.status());
    assert_eq!((after.srtt, after.rto), (before.srtt, before.rto));
    // What is sent only once is measured.
    peer.send(500, 500);
    peer.expect("P. 501:1001(500) ack 1 win 65535 <nop,nop,TS val 271 ecr 370>");
    peer.pass(40);
    peer.arrive(". 1:1(0) ack 1001 win 65535 <nop,nop,TS val 410 ecr 271>");
    let status = peer.act(|conn| conn.status());
    assert!(status.srtt > before.srtt && status.rto.as_millis() == 200);
}

/// Nor does it prove that what lies behind is still on its way: that goes again at once.
#[test]
fn an_old_echo_that_a_retransmission_has_drawn_out_undoes_no_timeout() {
    let mut peer = established();
    peer.send(0, 3_000);
    assert_eq!(peer.sent().len(), 3);
    peer.pass(200);
    peer.expect(". 1:1001(1000) ack 1 win 65535 <nop,nop,TS val 201 ecr 100>");
    peer.pass(70);
    peer.arrive(". 1:1(0) ack 1001 win 65535 <nop,nop,TS val 370 ecr 1>");
    peer.expect(". 1001:2001(1000) ack 1 win 65535 <nop,nop,TS val 271 ecr 370>");
}

/// What was sent once beside it was not answered, either; what is echoed was.
#[test]
fn an_echo_of_a_retransmission_measures_that_and_not_the_outage() {
    let mut peer = established();
    peer.send(0, 3_000);
    assert_eq!(peer.sent().len(), 3);
    peer.pass(600);
    assert_eq!(peer.sent().len(), 2);
    peer.pass(40);
    peer.arrive(". 1:1(0) ack 3001 win 65535 <nop,nop,TS val 740 ecr 601>");
    let status = peer.act(|conn| conn.status());
    assert!(status.srtt.as_millis() <= 40, "{status:?}");
    assert_eq!(status.rto.as_millis(), 200);
}

/// Sooner than a round trip after the retransmission it cannot answer that: unless the path has
/// become shorter in the time of several timeouts.
#[test]
fn an_old_echo_that_comes_at_once_measures() {
    for (timeouts, is_measured) in [(1, true), (2, false)] {
        let mut peer = after_round_trips_of_100_ms();
        let before = peer.act(|conn| conn.status());
        peer.send(4_000, 500);
        let _sent = peer.sent();
        for n in 0..timeouts {
            peer.pass((before.rto.as_millis() << n) + 2);
            assert_eq!(peer.sent().len(), 1, "again");
        }
        peer.pass(20);
        peer.arrive(". 1:1(0) ack 4501 win 65535 <nop,nop,TS val 100 ecr 801>");
        let status = peer.act(|conn| conn.status());
        assert_eq!(status.srtt > before.srtt, is_measured, "{status:?}");
    }
}

fn after_round_trips_of_100_ms() -> Peer {
    let mut peer = established();
    for n in 0..8 {
        peer.send(500 * n, 500);
        let _sent = peer.sent();
        peer.pass(100);
        let ack = 501 + 500 * n;
        peer.arrive(&std::format!(
            ". 1:1(0) ack {ack} win 65535 <nop,nop,TS val 100 ecr {}>",
            1 + 100 * n
        ));
    }
    peer
}

/// 500 bytes that have timed out once.
fn sent_twice() -> Peer {
    let mut peer = established();
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.pass(200);
    peer.expect("P. 1:501(500) ack 1 win 65535 <nop,nop,TS val 201 ecr 100>");
    peer
}

/// RFC 6191 2: a newer timestamp is a new incarnation, whatever its sequence number.
#[test]
fn time_wait_answers_with_timestamps_and_is_reused_by_them() {
    let mut peer = established();
    peer.act(|conn| conn.close());
    peer.expect("F. 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.arrive("F. 1:1(0) ack 2 win 65535 <nop,nop,TS val 110 ecr 1>");
    peer.expect(". 2:2(0) ack 2 win 65535 <nop,nop,TS val 1 ecr 110>");
    peer.arrive("F. 1:1(0) ack 2 win 65535 <nop,nop,TS val 110 ecr 1>");
    peer.expect(". 2:2(0) ack 2 win 0 <nop,nop,TS val 1 ecr 110>");
    peer.arrive("S 0:0(0) win 65535 <mss 1012,nop,nop,TS val 110 ecr 0>");
    peer.expect(". 2:2(0) ack 2 win 0 <nop,nop,TS val 1 ecr 110>");
    peer.arrive("S 0:0(0) win 65535 <mss 1012,nop,nop,TS val 111 ecr 0>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 1 ecr 111>");
}

/// RFC 7323 3.2: an RST of a connection has its timestamps, one for nobody has none.
#[test]
fn a_reset_of_a_connection_has_its_timestamps() {
    let mut peer = established();
    peer.act(|conn| conn.abort());
    peer.expect("R. 1:1(0) ack 1 win 0 <nop,nop,TS val 1 ecr 100>");
    peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    peer.expect("R 1:1(0) win 0");
    peer.gone();
}
