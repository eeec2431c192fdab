//! Where acknowledgments that carry nothing stand, and what old ones still say: two sides that
//! answer each other must come to rest.

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::config::FRAMES_RESERVED;
use std::vec::Vec;

#[test]
fn an_old_segment_may_bring_a_new_acknowledgment() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P. 1:101(100) ack 1 win 60000");
    peer.told(&["received 100 took 100"]);
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 101 win 65535");
    // Neither side has heard the other's acknowledgment: what each says looks old.
    peer.arrive(". 1:1(0) ack 501 win 60000");
    peer.expect(". 501:501(0) ack 101 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 1);
    peer.pass(10_000);
    peer.silent();
    let unacked_len = peer.act(|conn| conn.status().unacked_len);
    assert_eq!(unacked_len, 0, "what was acknowledged is not sent again");
}

#[test]
fn an_old_segment_acknowledges_nothing_that_was_not_sent() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P. 1:101(100) ack 1 win 60000");
    peer.told(&["received 100 took 100"]);
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 101 win 65535");
    peer.arrive(". 1:1(0) ack 502 win 60000");
    peer.expect(". 501:501(0) ack 101 win 65535");
    assert_eq!(peer.act(|conn| conn.status().unacked_len), 500);
}

#[test]
fn after_a_timeout_acknowledgments_stay_behind_all_that_was_sent() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 3_000);
    peer.sent();
    peer.pass(200);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.arrive("P. 1:1001(1000) ack 1 win 60000");
    peer.arrive("P. 1001:2001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 1000", "received 1000 took 1000"]);
    // Whoever has all 3,000 bytes would drop an acknowledgment at 1001.
    peer.expect(". 3001:3001(0) ack 2001 win 65535");
}

#[test]
fn behind_a_probe_acknowledgments_stay_within_the_window() {
    let mut peer = Peer::established(1_000);
    peer.send(0, 3_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 1001 win 0");
    peer.pass(200);
    peer.expect("P. 1001:1002(1) ack 1 win 65535");
    peer.arrive("P. 1:1001(1000) ack 1001 win 0");
    peer.arrive("P. 1001:2001(1000) ack 1001 win 0");
    peer.told(&["received 1000 took 1000", "received 1000 took 1000"]);
    peer.expect(". 1001:1001(0) ack 2001 win 65535");
}

#[test]
fn an_acknowledgment_at_the_edge_of_the_window_is_taken() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 1 win 65535");
    // They have filled our window, and all of it was lost.
    peer.arrive(". 65536:65536(0) ack 501 win 60000");
    peer.silent();
    assert_eq!(peer.act(|conn| conn.status().unacked_len), 0);
    peer.arrive(". 65537:65537(0) ack 501 win 60000");
    peer.expect(". 501:501(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 1);
}

#[test]
fn a_later_syn_ack_promises_no_less() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    // Memory is short when the SYN comes again.
    let cnt = peer.pool.free_cnt() - FRAMES_RESERVED - 4;
    let held: Vec<_> = (0..cnt).filter_map(|_| peer.pool.alloc(0)).collect();
    peer.arrive("S 0:0(0) win 1000");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1001:1001(0) ack 1 win 1000");
    peer.told(&["accepted"]);
    peer.silent();
    drop(held);
}
