use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::config::{FRAMES_RESERVED, OUT_OF_ORDER_BLOCKS_MAX};

#[test]
fn one_segment_is_acknowledged_after_a_while_and_two_at_once() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P. 1:1001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 1000"]);
    peer.silent();
    peer.pass(39);
    peer.silent();
    peer.pass(1);
    peer.expect(". 1:1(0) ack 1001 win 65535");
    peer.arrive("P. 1001:2001(1000) ack 1 win 60000");
    peer.silent();
    peer.arrive("P. 2001:3001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 3001 win 65535");
    peer.pass(1_000);
    peer.silent();
}

#[test]
fn the_acknowledgment_rides_on_the_answer() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P. 1:101(100) ack 1 win 60000");
    peer.send(0, 500);
    peer.expect("P. 1:501(500) ack 101 win 65535");
    peer.pass(100);
    peer.silent();
}

#[test]
fn a_gap_is_told_at_once_and_closed_in_one_go() {
    let mut peer = Peer::established(60_000);
    peer.arrive(". 1001:2001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.arrive(". 3001:4001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.told(&[]);
    peer.arrive(". 1:1001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 1000", "received 1000 took 1000"]);
    peer.expect(". 1:1(0) ack 2001 win 65535");
    peer.arrive(". 2001:3001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 1000", "received 1000 took 1000"]);
    peer.expect(". 1:1(0) ack 4001 win 65535");
    peer.silent();
}

#[test]
fn what_overlaps_is_taken_once() {
    let mut peer = Peer::established(60_000);
    peer.arrive(". 1:501(500) ack 1 win 60000");
    peer.arrive(". 201:801(600) ack 1 win 60000");
    peer.told(&["received 500 took 500", "received 300 took 300"]);
    peer.expect(". 1:1(0) ack 801 win 65535");
    peer.arrive(". 1:801(800) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 801 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpOutOfWindow), 1);
    peer.told(&[]);
}

#[test]
fn what_is_not_taken_shrinks_the_window_and_is_offered_again() {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 300;
    peer.arrive(". 1:1001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 300", "received 700 took 0"]);
    peer.arrive(". 1001:2001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 2001 win 63835");
    // Both are joined as far as they fit one frame, so that the application sees more at once.
    let told = std::mem::take(&mut peer.app.lines);
    assert_eq!(
        told.first().map(|line| line.as_str()),
        Some("received 700 took 0")
    );
    assert!(told.len() > 1, "{told:?}");
    peer.app.takes_max = usize::MAX;
    peer.arrive("P. 2001:2002(1) ack 1 win 60000");
    assert_eq!(peer.app.taken, 2_001);
    peer.silent();
}

#[test]
fn a_window_that_opens_by_much_is_told() {
    let mut peer = Peer::established(60_000);
    peer.app.takes_max = 0;
    let mut seq = 1;
    while seq < 20_000 {
        peer.arrive(&std::format!(
            ". {seq}:{}(1000) ack 1 win 60000",
            seq + 1_000
        ));
        seq += 1_000;
    }
    peer.sent();
    peer.app.takes_max = usize::MAX;
    peer.act(|conn| conn.wake_at(conn.now()));
    peer.pass(2);
    assert_eq!(peer.app.taken, 20_000);
    peer.expect(". 1:1(0) ack 20001 win 65535");
    peer.silent();
}

#[test]
fn beyond_the_window_nothing_is_taken() {
    let mut peer = Peer::established(60_000);
    peer.arrive(". 65536:65546(10) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.arrive(". 65530:65546(16) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(
        peer.dropped(DropReason::TcpOutOfWindow),
        1,
        "the second is in it in part"
    );
    peer.told(&[]);
}

#[test]
fn a_keepalive_is_answered() {
    let mut peer = Peer::established(60_000);
    peer.arrive(". 0:0(0) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.silent();
}

#[test]
fn without_frames_to_spare_data_is_dropped_and_counted() {
    let mut peer = Peer::established(60_000);
    let mut held = std::vec::Vec::new();
    while peer.pool.free_cnt() > 20 {
        held.extend(peer.pool.alloc(0));
    }
    peer.arrive(". 1:1001(1000) ack 1 win 60000");
    assert_eq!(peer.dropped(DropReason::TcpNoMemory), 1);
    // The promise of a window is kept, the data must come again.
    peer.expect(". 1:1(0) ack 1 win 65535");
    held.clear();
    peer.arrive(". 1:1001(1000) ack 1 win 60000");
    peer.told(&["received 1000 took 1000"]);
}

#[test]
fn out_of_order_data_is_bounded() {
    let mut peer = Peer::new(Sizes {
        frames: 1_000,
        ..Sizes::SMALL
    });
    peer.arrive("S 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.told(&["accepted"]);
    for n in 0..OUT_OF_ORDER_BLOCKS_MAX + 8 {
        let seq = 11 + n * 20;
        peer.arrive(&std::format!(". {seq}:{}(10) ack 1 win 60000", seq + 10));
    }
    assert_eq!(peer.dropped(DropReason::TcpNoMemory), 8);
    peer.sent();
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}

#[test]
fn a_small_pool_promises_a_small_window() {
    let mut peer = Peer::new(Sizes {
        frames: 60,
        ..Sizes::SMALL
    });
    peer.arrive("S 0:0(0) win 1000");
    peer.take_iss();
    // 60 frames, 32 of them reserved, one holds the SYN: half of the rest, rounded down.
    peer.expect("S. 0:0(0) ack 1 win 18980 <mss 1460>");
}

#[test]
fn a_large_receive_without_memory_is_dropped_once() {
    let mut peer = Peer::established(60_000);
    let mut held = std::vec::Vec::new();
    while peer.pool.free_cnt() > FRAMES_RESERVED {
        held.extend(peer.pool.alloc(0));
    }
    peer.arrive_large("P. 1:1001(1000) ack 1 win 60000", 300);
    assert_eq!(peer.dropped(DropReason::TcpNoMemory), 1);
    peer.told(&[]);
    peer.expect(". 1:1(0) ack 1 win 65535");
    drop(held);
    peer.arrive_large("P. 1:1001(1000) ack 1 win 60000", 300);
    assert_eq!(peer.app.taken, 1_000);
}
