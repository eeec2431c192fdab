//! What STATUS tells (RFC 9293 3.9.1).

use super::peer::{Peer, Sizes};
use crate::tcp::Settings;

#[test]
fn totals_count_bytes_of_the_stream_alone() {
    let mut peer = Peer::established(65_535);
    peer.arrive("P. 1:101(100) ack 1 win 65535");
    peer.send(0, 500);
    peer.arrive(". 101:101(0) ack 501 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.bytes_acked, status.bytes_received), (500, 100));
    peer.arrive("F. 101:101(0) ack 501 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.bytes_acked, status.bytes_received), (500, 100));
}

#[test]
fn an_active_open_begins_at_nothing() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.connect(5_000);
    peer.arrive("S. 0:0(0) ack 1 win 65535 <mss 1012,sackOK,TS val 100 ecr 1,nop,wscale 3>");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.bytes_acked, status.bytes_received), (0, 0));
    assert!(status.has_sack && status.has_timestamps && !status.has_ecn);
    assert_eq!((status.snd_wscale, status.smss), (3, 1_000));
}

#[test]
fn what_is_lost_and_sent_again_is_told() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 3_000);
    peer.pass(250);
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.retransmits, status.retransmits_total), (1, 1));
    assert_eq!((status.flight_size, status.lost_len), (3_000, 2_000));
    peer.arrive(". 1:1(0) ack 3001 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.retransmits, status.retransmits_total), (0, 1));
    assert_eq!((status.flight_size, status.lost_len), (0, 0));
}
