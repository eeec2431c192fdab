//! Losses, and how they are recovered from: segment in, exact segments out, in virtual time.

use super::peer::{Peer, Sizes};

/// A connection without options that the other end opened, with so much memory for what is in
/// flight.
fn without_options(flights: usize, sent: usize) -> Peer {
    let mut peer = Peer::new(Sizes {
        flights,
        sent,
        ..Sizes::SMALL
    });
    peer.open(60_000);
    peer
}

/// Expects these segments of 1,000 bytes, by their number from 0 on, then silence.
#[track_caller]
fn expect_segments(peer: &mut Peer, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        let (from, to) = (1_000 * n + 1, 1_000 * n + 1_001);
        peer.expect(&std::format!(". {from}:{to}(1000) ack 1 win 65535"));
    }
    peer.silent();
}

fn duplicates(peer: &mut Peer, ack: u32, cnt: u32) {
    for _ in 0..cnt {
        peer.arrive(&std::format!(". 1:1(0) ack {ack} win 60000"));
    }
}

/// RFC 3042 2: the first two duplicates let a new segment out each, beyond cwnd.
#[test]
fn limited_transmit_sends_new_data_for_the_first_two_duplicates() {
    let mut peer = without_options(4, 64);
    peer.send(0, 50_000);
    expect_segments(&mut peer, 0..10);
    duplicates(&mut peer, 1, 1);
    expect_segments(&mut peer, [10]);
    duplicates(&mut peer, 1, 1);
    expect_segments(&mut peer, [11]);
    duplicates(&mut peer, 1, 1);
    expect_segments(&mut peer, [0]);
}

/// RFC 6582 with RFC 6937: cwnd comes down to ssthresh evenly, and the next hole goes out with the
/// partial acknowledgment that shows it.
#[test]
fn newreno_recovers_two_losses_while_the_rate_comes_down() {
    let mut peer = without_options(4, 64);
    peer.send(0, 50_000);
    expect_segments(&mut peer, 0..10);
    // 0 and 5 are lost; ten others arrive.
    duplicates(&mut peer, 1, 2);
    expect_segments(&mut peer, [10, 11]);
    duplicates(&mut peer, 1, 1);
    expect_segments(&mut peer, [0]);
    let mut sent = 0;
    for _ in 0..7 {
        duplicates(&mut peer, 1, 1);
        sent += peer.sent().len();
    }
    assert_eq!(sent, 5, "as many as keep pipe at ssthresh in the end");
    peer.arrive(". 1:1(0) ack 5001 win 60000");
    peer.expect(". 5001:6001(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 17001 win 60000");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.cwnd, status.ssthresh), (7_000, 7_000));
    expect_segments(&mut peer, 17..24);
    assert_eq!(peer.counters().tcp_timeouts, 0);
    assert_eq!(peer.counters().tcp_retransmits, 2);
}

/// A connection that finds no entry for what it has in flight works on, with NewReno alone.
#[test]
fn without_an_entry_losses_are_recovered_all_the_same() {
    for (flights, sent) in [(0, 64), (4, 0)] {
        let mut peer = without_options(flights, sent);
        peer.send(0, 10_000);
        assert_eq!(peer.sent().len(), 10);
        assert_eq!(peer.counters().tcp_flights_full, 1);
        duplicates(&mut peer, 1, 3);
        expect_segments(&mut peer, [0]);
        duplicates(&mut peer, 5_001, 1);
        expect_segments(&mut peer, [5]);
        // And after a timeout, all of it.
        peer.pass(200);
        expect_segments(&mut peer, [5]);
        duplicates(&mut peer, 6_001, 1);
        expect_segments(&mut peer, [6, 7]);
        duplicates(&mut peer, 10_001, 1);
        peer.silent();
        peer.act(|conn| conn.abort());
        peer.sent();
        peer.app.lines.clear();
        peer.gone();
    }
}

/// With one node for all that is in flight, everything is one range.
#[test]
fn without_nodes_ranges_stay_together_and_are_counted() {
    let mut peer = without_options(4, 1);
    peer.send(0, 30_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(10);
    duplicates(&mut peer, 5_001, 1);
    expect_segments(&mut peer, 10..20);
    assert!(peer.counters().tcp_sent_merged > 0);
    peer.pass(300);
    expect_segments(&mut peer, [5]);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}
