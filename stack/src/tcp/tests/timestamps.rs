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

/// RFC 7323 4: after a retransmission an echo measures what Karn's algorithm must not.
#[test]
fn an_echo_measures_what_was_sent_twice() {
    let mut peer = established();
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    peer.pass(200);
    peer.expect("P. 1:501(500) ack 1 win 65535 <nop,nop,TS val 201 ecr 100>");
    peer.pass(70);
    peer.arrive(". 1:1(0) ack 501 win 65535 <nop,nop,TS val 370 ecr 1>");
    let status = peer.act(|conn| conn.status());
    assert!(status.srtt.as_millis() > 30, "{status:?}");
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
