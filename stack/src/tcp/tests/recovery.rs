//! Losses, and how they are recovered from: segment in, exact segments out, in virtual time.

use super::peer::{Peer, Sizes};
use crate::Counters;
use crate::config::SENT_NODES_MAX;
use crate::tcp::Settings;
use crate::tcp::seqnum::SeqNum;

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

/// With two nodes for all that is in flight, what is sent later joins what was.
#[test]
fn without_nodes_ranges_stay_together_and_are_counted() {
    let mut peer = without_options(4, 2);
    peer.send(0, 30_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(10);
    duplicates(&mut peer, 5_001, 1);
    expect_segments(&mut peer, 10..20);
    peer.pass(10);
    duplicates(&mut peer, 6_001, 1);
    expect_segments(&mut peer, 20..22);
    assert!(peer.counters().tcp_sent_merged > 0);
    peer.pass(300);
    expect_segments(&mut peer, [6]);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}

/// A window is lost, and two nodes are all there is: one timeout is enough for all of it.
#[test]
fn a_window_that_is_lost_costs_one_timeout_without_nodes_too() {
    let mut peer = with_sack(4, 2);
    peer.send(0, 10_000);
    assert_eq!(peer.sent().len(), 10);
    // What is sent from now on arrives.
    peer.pass(300);
    let mut arrived = [false; 10];
    while arrived.contains(&false) {
        let iss = peer.our_iss;
        for sent in peer.sent() {
            let seq = u32::from_be_bytes(sent.bytes[38..42].try_into().unwrap());
            arrived[(SeqNum(seq) - (iss + 1)) as usize / 1_000] = true;
        }
        peer.pass(20);
        let next = arrived.iter().take_while(|one| **one).count();
        ack(&mut peer, next as u32);
    }
    assert_eq!(peer.counters().tcp_timeouts, 1);
    assert_eq!(peer.stack.levels().sent, 0);
}

/// A connection with SACK, 20 ms away, that the other end opened.
fn with_sack(flights: usize, sent: usize) -> Peer {
    let sizes = Sizes {
        flights,
        sent,
        ..Sizes::SMALL
    };
    let settings = Settings {
        timestamps: false,
        ..Settings::default()
    };
    let mut peer = Peer::with(sizes, settings);
    peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
    peer.take_iss();
    peer.sent();
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.told(&["accepted"]);
    peer
}

/// As `with_sack`, with timestamps, too.
fn with_timestamps() -> Peer {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 60000 <mss 1012,sackOK,TS val 100 ecr 0>");
    peer.take_iss();
    peer.sent();
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 1 win 60000 <nop,nop,TS val 120 ecr 1>");
    peer.told(&["accepted"]);
    peer
}

/// Lets time pass until something has been counted.
#[track_caller]
fn until(peer: &mut Peer, is_counted: impl Fn(&Counters) -> bool) {
    for _ in 0..2_000 {
        if is_counted(peer.counters()) {
            return;
        }
        peer.pass(1);
    }
    panic!("it does not happen");
}

#[track_caller]
fn until_timeout(peer: &mut Peer) {
    until(peer, |counters| counters.tcp_timeouts > 0);
}

/// An acknowledgment with SACK blocks, all in segments of 1,000 bytes.
fn sack(peer: &mut Peer, ack: u32, blocks: &[(u32, u32)]) {
    let blocks: std::string::String = blocks
        .iter()
        .map(|(from, to)| std::format!(" {}:{}", 1_000 * from + 1, 1_000 * to + 1))
        .collect();
    peer.arrive(&std::format!(
        ". 1:1(0) ack {} win 60000 <nop,nop,sack{blocks}>",
        1_000 * ack + 1
    ));
}

fn ack(peer: &mut Peer, ack: u32) {
    peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", 1_000 * ack + 1));
}

/// RFC 6675 5 and RFC 3042: each SACKed segment lets a new one out, until enough is SACKed behind
/// the gap; then the gap is filled, and nothing else is sent twice.
#[test]
fn a_gap_is_filled_once_three_segments_behind_it_have_arrived() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 50_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 2)]);
    expect_segments(&mut peer, [10]);
    sack(&mut peer, 0, &[(1, 3)]);
    expect_segments(&mut peer, [11]);
    sack(&mut peer, 0, &[(1, 4)]);
    expect_segments(&mut peer, [0]);
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.cwnd, status.ssthresh), (7_000, 7_000));
    for to in 5..=10 {
        sack(&mut peer, 0, &[(1, to)]);
    }
    // cwnd falls to ssthresh in proportion.
    expect_segments(&mut peer, 12..16);
    peer.pass(20);
    ack(&mut peer, 12);
    peer.sent();
    assert_eq!(peer.counters().tcp_retransmits, 1);
    assert_eq!(peer.counters().tcp_recoveries, 1);
    assert_eq!(peer.act(|conn| conn.status().cwnd), 7_000);
}

/// Several gaps are filled in order, and what is SACKED is not sent again.
#[test]
fn several_gaps_are_filled_in_order() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 10_000);
    assert_eq!(peer.sent().len(), 10);
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 2)]);
    sack(&mut peer, 0, &[(3, 4), (1, 2)]);
    sack(&mut peer, 0, &[(6, 10), (3, 4), (1, 2)]);
    expect_segments(&mut peer, [0, 2, 4, 5]);
    peer.pass(20);
    sack(&mut peer, 1, &[(6, 10), (3, 4), (1, 2)]);
    ack(&mut peer, 10);
    peer.silent();
    assert_eq!(peer.counters().tcp_retransmits, 4);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// RFC 8985 6.2: what arrives late is waited for, once lateness has been seen; and for longer once
/// the far side reports duplicates.
#[test]
fn reordering_is_learned_and_tolerated() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    peer.sent();
    peer.pass(20);
    // One segment late: not lost yet, and known from here on.
    sack(&mut peer, 0, &[(1, 2)]);
    ack(&mut peer, 2);
    peer.sent();
    sack(&mut peer, 2, &[(3, 8)]);
    let sent = peer.sent().len();
    assert!(sent > 0, "limited transmit goes on");
    assert_eq!(peer.counters().tcp_retransmits, 0);
    // It comes within a quarter of a round trip.
    peer.pass(3);
    ack(&mut peer, 10);
    peer.sent();
    assert_eq!(peer.counters().tcp_recoveries, 0);
    // The next does not: the reordering timer fires.
    peer.pass(17);
    sack(&mut peer, 10, &[(11, 14)]);
    peer.sent();
    peer.pass(4);
    peer.silent();
    peer.pass(2);
    assert_eq!(peer.counters().tcp_recoveries, 1);
    peer.expect(". 10001:11001(1000) ack 1 win 65535");
}

/// What has been sent so far, in segments.
fn sent_so_far(peer: &mut Peer) -> u32 {
    peer.sent();
    let status = peer.act(|conn| conn.status());
    status.flight_size / 1_000 + u32::try_from(status.bytes_acked / 1_000).unwrap()
}

/// How long something is waited for after so many round trips in which `duplicate` is reported, in
/// milliseconds: given what came late and was sent again, and the end of what was sent.
fn wait_after(rounds: u32, duplicate: impl Fn(u32, u32) -> (u32, u32)) -> u64 {
    let mut peer = with_sack(4, 64);
    peer.send(0, 190_000);
    peer.sent();
    peer.pass(20);
    // One that is late in time: lateness is known from here on.
    sack(&mut peer, 0, &[(1, 2)]);
    ack(&mut peer, 9);
    let wait = |peer: &mut Peer| {
        // All that went before is over; what is left of the last burst is not in question.
        let una = sent_so_far(peer) - 1;
        peer.pass(20);
        ack(peer, una);
        let (max, late) = (sent_so_far(peer), una + 1);
        peer.pass(20);
        let (start, before) = (peer.now, peer.counters().tcp_recoveries);
        sack(peer, late, &[(late + 1, max - 1)]);
        until(peer, |counters| counters.tcp_recoveries > before);
        (peer.now.since(start).as_millis(), late, max - 1)
    };
    for _ in 0..rounds {
        let (_, late, una) = wait(&mut peer);
        // It comes, and what was sent again a round trip later.
        ack(&mut peer, una);
        peer.pass(20);
        sack(&mut peer, una, &[duplicate(late, una)]);
    }
    wait(&mut peer).0
}

/// RFC 8985 6.2, step 4: duplicates widen the reordering window.
#[test]
fn duplicates_widen_the_reordering_window() {
    let waits = [0, 1, 2].map(|rounds| wait_after(rounds, |late, _| (late, late + 1)));
    assert_eq!(waits, [5, 10, 15]);
}

/// RFC 3708 2: what was sent once and arrives twice says that the network duplicates, and nothing
/// of its order.
#[test]
fn duplicates_that_the_network_makes_change_nothing() {
    let waits = [0, 1, 2].map(|rounds| wait_after(rounds, |_, una| (una - 1, una)));
    assert_eq!(waits, [5, 5, 5]);
}

/// RFC 8985: the loss of what was sent again is found out, too, and cwnd is reduced for it (RFC
/// 5681 4.3).
#[test]
fn a_lost_retransmission_is_sent_again_without_a_timeout() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 6)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    let cwnd = peer.act(|conn| conn.status().cwnd);
    assert!(!peer.sent().is_empty());
    peer.pass(21);
    // What was sent right after the retransmission has arrived, that has not.
    sack(&mut peer, 0, &[(1, 11)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    assert!(peer.act(|conn| conn.status().cwnd) < cwnd);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// Several acknowledgments in one poll: limited transmit, then the gap, all at one time. New data
/// that went out before the gap was filled says nothing of what filled it.
#[test]
fn what_fills_a_gap_is_not_lost_because_older_new_data_has_arrived() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(20);
    for to in 2..=4 {
        sack(&mut peer, 0, &[(1, to)]);
    }
    expect_segments(&mut peer, [10, 11, 0]);
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 12)]);
    ack(&mut peer, 12);
    peer.sent();
    assert_eq!(peer.counters().tcp_retransmits, 1);
    assert_eq!(peer.counters().tcp_recoveries, 1);
}

/// RFC 8985 7: the last segment is lost, and nothing behind it tells.
#[test]
fn a_lost_tail_is_probed_and_counts_as_a_loss() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 4_000);
    peer.sent();
    peer.pass(20);
    ack(&mut peer, 3);
    // One segment is left: two round trips and a delayed acknowledgment, but for the timeout.
    peer.pass(199);
    peer.silent();
    peer.pass(1);
    peer.expect("P. 3001:4001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_probes, 1);
    peer.pass(20);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    ack(&mut peer, 4);
    assert_eq!(peer.act(|conn| conn.status().cwnd), cwnd);
    // New data is acknowledged, and no duplicate was reported: it was a loss.
    peer.send(4_000, 1_000);
    peer.sent();
    peer.pass(20);
    ack(&mut peer, 5);
    assert!(peer.act(|conn| conn.status().cwnd) < cwnd);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

#[test]
fn a_probe_that_was_not_needed_costs_nothing() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 4_000);
    peer.sent();
    peer.pass(42);
    peer.expect("P. 3001:4001(1000) ack 1 win 65535");
    ack(&mut peer, 4);
    sack(&mut peer, 4, &[(3, 4)]);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    peer.send(4_000, 1_000);
    peer.sent();
    peer.pass(20);
    ack(&mut peer, 5);
    assert_eq!(peer.act(|conn| conn.status().cwnd), cwnd);
}

/// The same of a far side that reports no duplicates, and of one that echoes timestamps.
#[test]
fn a_probe_that_was_not_needed_is_known_without_a_report() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 4_000);
    peer.sent();
    peer.pass(42);
    peer.expect("P. 3001:4001(1000) ack 1 win 65535");
    ack(&mut peer, 4);
    ack(&mut peer, 4);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    peer.send(4_000, 1_000);
    peer.pass(20);
    ack(&mut peer, 5);
    assert_eq!(peer.act(|conn| conn.status().cwnd), cwnd);

    let mut peer = with_timestamps();
    peer.send(0, 4_000);
    peer.pass(42);
    assert_eq!(peer.counters().tcp_probes, 1);
    // An echo is that of the segment which comes first of what is acknowledged.
    peer.arrive(". 1:1(0) ack 3001 win 60000 <nop,nop,TS val 500 ecr 21>");
    peer.arrive(". 1:1(0) ack 4001 win 60000 <nop,nop,TS val 500 ecr 21>");
    let cwnd = peer.act(|conn| conn.status().cwnd);
    peer.send(4_000, 1_000);
    peer.pass(20);
    peer.arrive(". 1:1(0) ack 5001 win 60000 <nop,nop,TS val 520 ecr 63>");
    assert_eq!(peer.act(|conn| conn.status().cwnd), cwnd);
}

/// RFC 8985 7.3: what is sent again tells no round trip. If each flight ended with a probe, it
/// would never be known that round trips have become longer.
#[test]
fn no_second_probe_goes_out_before_a_round_trip_is_measured() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 1_000);
    peer.pass(200);
    assert_eq!(peer.counters().tcp_probes, 1);
    // Both copies have arrived: the probe is done with, and nothing is measured.
    ack(&mut peer, 1);
    sack(&mut peer, 1, &[(0, 1)]);
    peer.send(1_000, 1_000);
    peer.pass(200);
    let counters = peer.counters();
    assert_eq!((counters.tcp_probes, counters.tcp_timeouts), (1, 1));
    ack(&mut peer, 2);
    peer.send(2_000, 1_000);
    peer.pass(20);
    ack(&mut peer, 3);
    peer.send(3_000, 1_000);
    peer.pass(200);
    let counters = peer.counters();
    assert_eq!((counters.tcp_probes, counters.tcp_timeouts), (2, 1));
}

/// The same from the beginning: nothing was measured of a SYN-ACK that was sent twice.
#[test]
fn no_probe_goes_out_before_anything_is_measured() {
    let settings = Settings {
        timestamps: false,
        ..Settings::default()
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
    peer.take_iss();
    peer.pass(1_000);
    assert_eq!(peer.sent().len(), 2);
    ack(&mut peer, 0);
    peer.send(0, 2_000);
    peer.pass(3_000);
    let counters = peer.counters();
    assert_eq!((counters.tcp_probes, counters.tcp_timeouts), (0, 1));
}

/// RFC 8985 7.1: a recovery pays for what the probe that has led to it has repaired.
#[test]
fn a_recovery_forgets_the_probe_that_it_began_with() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 4_000);
    peer.pass(20);
    ack(&mut peer, 1);
    until(&mut peer, |counters| counters.tcp_probes > 0);
    peer.pass(20);
    sack(&mut peer, 1, &[(3, 4)]);
    assert_eq!(peer.counters().tcp_recoveries, 1);
    peer.pass(20);
    ack(&mut peer, 2);
    peer.pass(20);
    ack(&mut peer, 4);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    peer.send(4_000, 1_000);
    peer.pass(20);
    ack(&mut peer, 5);
    assert_eq!(peer.act(|conn| conn.status().cwnd), cwnd);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// New data is the better probe.
#[test]
fn a_probe_sends_new_data_beyond_cwnd() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 50_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(41);
    expect_segments(&mut peer, [10]);
    // Its answer shows what is missing: all before it was lost.
    peer.pass(20);
    sack(&mut peer, 0, &[(10, 11)]);
    peer.pass(10);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// After a timeout, slow start through what is missing; what is SACKed stays where it is.
#[test]
fn a_timeout_sends_again_only_what_is_missing() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 10_000);
    peer.sent();
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 2)]);
    sack(&mut peer, 0, &[(4, 5), (1, 2)]);
    // All that was sent again in the recovery is lost as well.
    until_timeout(&mut peer);
    peer.sent();
    peer.pass(20);
    sack(&mut peer, 2, &[(4, 5)]);
    peer.expect(". 2001:3001(1000) ack 1 win 65535");
    peer.expect(". 3001:4001(1000) ack 1 win 65535");
    peer.silent();
    ack(&mut peer, 5);
    assert!(!peer.sent().is_empty());
    ack(&mut peer, 10);
    peer.silent();
    // RFC 6675 5.1: beside the one before it, none begins until what was in flight has arrived.
    assert_eq!(peer.counters().tcp_recoveries, 1);
}

/// RFC 8985 6.3: what was sent a moment before the timeout is not lost yet.
/// RFC 8985 3.5: also where nothing of the flight has arrived yet.
#[test]
fn a_timeout_of_a_whole_flight_leaves_alone_what_was_sent_just_now() {
    let mut peer = with_sack(4, 64);
    peer.act(|conn| conn.set_nodelay(true));
    peer.send(0, 1_000);
    peer.pass(20);
    ack(&mut peer, 1);
    peer.send(1_000, 1_000);
    until(&mut peer, |counters| counters.tcp_probes > 0);
    peer.pass(195);
    peer.send(2_000, 2_000);
    peer.sent();
    until_timeout(&mut peer);
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    assert_eq!(peer.act(|conn| conn.status().lost_len), 0);
}

#[test]
fn a_timeout_leaves_alone_what_was_sent_just_now() {
    let mut peer = with_sack(4, 64);
    peer.act(|conn| conn.set_nodelay(true));
    peer.send(0, 3_000);
    peer.pass(20);
    ack(&mut peer, 1);
    peer.sent();
    // The probe first; its answer does not come.
    until(&mut peer, |counters| counters.tcp_probes > 0);
    peer.sent();
    peer.pass(195);
    peer.send(3_000, 2_000);
    assert_eq!(peer.sent().len(), 2);
    until_timeout(&mut peer);
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.silent();
    // What was there before the timeout is filled in; the rest arrives.
    peer.pass(15);
    sack(&mut peer, 1, &[(3, 5)]);
    ack(&mut peer, 5);
    peer.silent();
    assert_eq!(peer.counters().tcp_retransmits, 2);
}

/// RFC 3042 2 with SACK: a duplicate that tells nothing lets nothing out.
#[test]
fn a_duplicate_without_blocks_lets_nothing_out() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 50_000);
    expect_segments(&mut peer, 0..10);
    for _ in 0..5 {
        ack(&mut peer, 0);
    }
    peer.silent();
    assert_eq!(peer.counters().tcp_recoveries, 0);
}

/// RFC 2018 8: a far side that has thrown away what it SACKed gets it again.
#[test]
fn a_far_side_that_changes_its_mind_gets_everything() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 5_000);
    peer.sent();
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 5)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    // The gap is filled, and yet the rest is not acknowledged.
    ack(&mut peer, 1);
    peer.silent();
    peer.pass(300);
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    ack(&mut peer, 2);
    peer.expect(". 2001:3001(1000) ack 1 win 65535");
    peer.expect(". 3001:4001(1000) ack 1 win 65535");
    ack(&mut peer, 4);
    peer.expect("P. 4001:5001(1000) ack 1 win 65535");
    ack(&mut peer, 5);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}

/// RFC 5682 3.1: the path was only slow.
#[test]
fn a_timeout_for_nothing_is_undone() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    // The probe, then the timeout.
    peer.pass(41);
    expect_segments(&mut peer, [10]);
    peer.pass(200);
    expect_segments(&mut peer, [0]);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    assert_eq!(cwnd, 1_000);
    // What was sent first arrives: two new segments, and no other.
    ack(&mut peer, 1);
    expect_segments(&mut peer, [11, 12]);
    ack(&mut peer, 2);
    assert_eq!(peer.counters().tcp_spurious, 1);
    let status = peer.act(|conn| conn.status());
    assert!(status.cwnd >= 10_000, "{status:?}");
    peer.sent();
    ack(&mut peer, 11);
    peer.sent();
    assert_eq!(peer.counters().tcp_retransmits, 1);
}

/// RFC 5682 2.1: the same without SACK.
#[test]
fn a_timeout_for_nothing_is_undone_without_sack() {
    let mut peer = without_options(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(200);
    expect_segments(&mut peer, [0]);
    duplicates(&mut peer, 1_001, 1);
    expect_segments(&mut peer, [10, 11]);
    duplicates(&mut peer, 2_001, 1);
    assert_eq!(peer.counters().tcp_spurious, 1);
    assert!(peer.act(|conn| conn.status().cwnd) >= 10_000);
    peer.sent();
    duplicates(&mut peer, 12_001, 1);
    assert_eq!(peer.counters().tcp_retransmits, 1);
}

/// RFC 5682 2.1, step 3a: a duplicate says that the loss was real.
#[test]
fn a_timeout_with_a_reason_stays() {
    for is_selective in [false, true] {
        let mut peer = if is_selective {
            with_sack(4, 64)
        } else {
            without_options(4, 64)
        };
        peer.send(0, 100_000);
        peer.sent();
        until_timeout(&mut peer);
        peer.sent();
        ack(&mut peer, 1);
        assert_eq!(peer.sent().len(), 2, "new data asks");
        if is_selective {
            sack(&mut peer, 1, &[(11, 12)]);
        } else {
            ack(&mut peer, 1);
        }
        peer.expect(". 1001:2001(1000) ack 1 win 65535");
        assert_eq!(peer.counters().tcp_spurious, 0);
    }
}

/// A far side whose window moves with each acknowledgment answers, too: nothing waits for another
/// timeout.
#[test]
fn an_answer_with_another_window_ends_the_question() {
    let mut peer = without_options(4, 64);
    peer.send(0, 100_000);
    peer.sent();
    until_timeout(&mut peer);
    peer.sent();
    ack(&mut peer, 1);
    assert_eq!(peer.sent().len(), 2, "new data asks");
    peer.arrive(". 1:1(0) ack 1001 win 59000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_spurious, 0);
}

/// RFC 2883, RFC 3708: all that was sent again arrives twice.
#[test]
fn a_recovery_for_nothing_is_undone_by_the_duplicates() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(20);
    sack(&mut peer, 0, &[(1, 4)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.sent();
    assert_eq!(peer.act(|conn| conn.status().cwnd), 7_000);
    // It was late, and so is in front of what was sent again.
    ack(&mut peer, 4);
    peer.pass(20);
    sack(&mut peer, 10, &[(0, 1)]);
    assert_eq!(peer.counters().tcp_spurious, 1);
    assert!(peer.act(|conn| conn.status().cwnd) >= 10_000);
}

/// The same, if the network has sent something else twice: that is no proof, neither for nor
/// against.
#[test]
fn only_duplicates_of_what_was_sent_again_undo_a_recovery() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 100_000);
    expect_segments(&mut peer, 0..10);
    peer.pass(20);
    sack(&mut peer, 0, &[(2, 5)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.sent();
    sack(&mut peer, 0, &[(3, 4), (2, 5)]);
    ack(&mut peer, 5);
    peer.pass(20);
    sack(&mut peer, 10, &[(0, 1)]);
    sack(&mut peer, 10, &[(7, 8)]);
    assert_eq!(peer.counters().tcp_spurious, 0, "one of two");
    sack(&mut peer, 10, &[(1, 2)]);
    assert_eq!(peer.counters().tcp_spurious, 1);
    assert!(peer.act(|conn| conn.status().cwnd) >= 10_000);
}

/// RFC 3522, RFC 4015: an echo of the first transmission ends a recovery at once. The echo of what
/// was sent again does not.
#[test]
fn an_old_echo_undoes_a_recovery_at_once() {
    for (echo, spurious) in [(21, 1), (41, 0)] {
        let mut peer = with_timestamps();
        peer.send(0, 100_000);
        let mut sent = peer.sent().len();
        assert_eq!(sent, 10);
        peer.pass(20);
        let sack = ". 1:1(0) ack 1 win 60000 <nop,nop,TS val 500 ecr 21,nop,nop,sack 1001:4001>";
        peer.arrive(sack);
        sent += peer.sent().len();
        assert_eq!(sent, 11, "the first again");
        assert_eq!(peer.act(|conn| conn.status().cwnd), 7_000);
        let ack = std::format!(". 1:1(0) ack 4001 win 60000 <nop,nop,TS val 501 ecr {echo}>");
        peer.arrive(&ack);
        assert_eq!(peer.counters().tcp_spurious, spurious);
        let cwnd = peer.act(|conn| conn.status().cwnd);
        assert_eq!(cwnd >= 10_000, spurious == 1, "{cwnd}");
    }
}

/// An echo is that of the segment that fills the gap (RFC 7323 4.3): of another that arrives with
/// the same acknowledgment, or behind the gap, it says nothing.
#[test]
fn an_old_echo_proves_nothing_of_what_lies_behind() {
    let mut peer = with_timestamps();
    peer.send(0, 100_000);
    peer.sent();
    peer.pass(20);
    let sacked = |ack: u32, from: u32, to: u32| {
        std::format!(
            ". 1:1(0) ack {ack} win 60000 <nop,nop,TS val 500 ecr 21,nop,nop,sack {from}:{to}>"
        )
    };
    peer.arrive(&sacked(1, 2_001, 5_001));
    peer.sent();
    peer.pass(20);
    // The second fills nothing: RCV.NXT stays, and so does what is echoed.
    peer.arrive(&sacked(1, 1_001, 5_001));
    assert_eq!(peer.counters().tcp_spurious, 0);
    peer.arrive(". 1:1(0) ack 5001 win 60000 <nop,nop,TS val 501 ecr 21>");
    assert_eq!(
        peer.counters().tcp_spurious,
        0,
        "the second may have been lost"
    );
}

/// RFC 3522: an echo of the first transmission tells at once.
#[test]
fn an_old_echo_undoes_a_timeout_at_once() {
    let mut peer = with_timestamps();
    peer.send(0, 2_000);
    peer.sent();
    until_timeout(&mut peer);
    peer.sent();
    peer.pass(5);
    peer.arrive(". 1:1(0) ack 2001 win 60000 <nop,nop,TS val 500 ecr 21>");
    assert_eq!(peer.counters().tcp_spurious, 1);
    assert!(peer.act(|conn| conn.status().cwnd) >= 10_000);
}

/// RFC 6675 4, rule 4: at the end of a recovery with nothing else to send, the last segment once.
#[test]
fn the_tail_of_a_recovery_is_rescued() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 10_000);
    peer.sent();
    peer.pass(20);
    // 0 and 9 are lost; nothing that was sent later can tell of 9.
    sack(&mut peer, 0, &[(1, 4)]);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    for to in 5..=9 {
        sack(&mut peer, 0, &[(1, to)]);
    }
    peer.expect("P. 9001:10001(1000) ack 1 win 65535");
    peer.silent();
    peer.pass(20);
    ack(&mut peer, 10);
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

/// Blocks that cannot be true change nothing.
#[test]
fn absurd_blocks_are_ignored() {
    let mut peer = with_sack(4, 64);
    peer.send(0, 5_000);
    peer.sent();
    for blocks in [
        [(5, 6), (7, 8)],
        [(4, 6), (9, 2)],
        [(3, 3), (4, 1)],
        [(4_000_000, 4_000_001), (2_000_000, 4_000_000)],
    ] {
        for _ in 0..5 {
            sack(&mut peer, 0, &blocks);
        }
    }
    peer.silent();
    ack(&mut peer, 5);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}

/// One byte in two, and no more nodes than one connection may have: the rest is recovered all the
/// same.
#[test]
fn a_far_side_cannot_take_more_than_its_share_of_nodes() {
    let mut peer = with_sack(4, 1_000);
    peer.send(0, 9_000);
    peer.sent();
    peer.pass(20);
    for n in 0..1_000 {
        let at = 2 * n + 2;
        peer.arrive(&std::format!(
            ". 1:1(0) ack 1 win 60000 <nop,nop,sack {at}:{}>",
            at + 1
        ));
        assert!(peer.stack.levels().sent <= usize::from(SENT_NODES_MAX));
    }
    assert!(peer.counters().tcp_sent_merged > 0);
    peer.sent();
    ack(&mut peer, 9);
    assert_eq!(peer.stack.levels().sent, 0);
}
