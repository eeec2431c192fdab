use super::peer::{Peer, stream};
use crate::config::HEADS_RESERVED;
use crate::content::{Body, Sums};
use crate::tcp::SendError;
use crate::tcp::{Closed, State};

#[test]
fn a_body_goes_out_in_segments_and_pushes_at_its_end() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 2_500);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    // Nagle: the short one waits while something is in flight.
    peer.silent();
    peer.arrive(". 1:1(0) ack 2001 win 60000");
    peer.expect("P. 2001:2501(500) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 2501 win 60000");
    peer.silent();
    assert_eq!(peer.counters().payload_bytes_copied, 0);
    assert_eq!(peer.counters().payload_bytes_referenced, 2_500);
    peer.pass(100_000);
    peer.silent();
}

#[test]
fn without_nagle_the_short_segment_does_not_wait() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| conn.set_nodelay(true));
    peer.send(0, 1_500);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect("P. 1001:1501(500) ack 1 win 65535");
    peer.silent();
}

#[test]
fn pieces_of_all_kinds_make_one_segment() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| {
        conn.send(&stream()[..100]).unwrap();
        conn.send_body(&stream()[100..300]).unwrap();
        conn.send(&stream()[300..310]).unwrap();
        conn.send_body(&stream()[310..400]).unwrap();
    });
    peer.expect("P. 1:401(400) ack 1 win 65535");
    peer.silent();
}

#[test]
fn the_window_is_kept_to_and_its_update_goes_on() {
    let mut peer = Peer::established(1_500);
    peer.send(0, 5_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 1001 win 2000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 2001:3001(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 2001 win 1000");
    peer.silent();
    // An older acknowledgment's window does not count.
    peer.arrive(". 1:1(0) ack 1001 win 9000");
    peer.silent();
}

#[test]
fn slow_start_and_the_initial_window() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 50_000);
    for n in 0..10 {
        peer.expect(&std::format!(
            ". {}:{}(1000) ack 1 win 65535",
            n * 1_000 + 1,
            n * 1_000 + 1_001
        ));
    }
    peer.silent();
    peer.arrive(". 1:1(0) ack 2001 win 60000");
    for n in 10..14 {
        peer.expect(&std::format!(
            ". {}:{}(1000) ack 1 win 65535",
            n * 1_000 + 1,
            n * 1_000 + 1_001
        ));
    }
    peer.silent();
}

#[test]
fn a_lost_segment_is_sent_again_after_the_timeout_with_backoff() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 3_000);
    peer.sent();
    // The handshake took no time, so the timeout is the least there is.
    for wait in [199, 399, 799] {
        peer.pass(wait);
        peer.silent();
        peer.pass(1);
        peer.expect(". 1:1001(1000) ack 1 win 65535");
        peer.silent();
    }
    peer.arrive(". 1:1(0) ack 1001 win 60000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.expect("P. 2001:3001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_timeouts, 3);
    assert_eq!(peer.counters().tcp_retransmits, 5);
    peer.arrive(". 1:1(0) ack 3001 win 60000");
    peer.pass(100_000);
    peer.silent();
}

#[test]
fn a_far_side_that_is_silent_is_given_up() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 500);
    peer.pass(300_000);
    peer.told(&["closed: timed out"]);
    assert_eq!(peer.sent().len(), 11);
    peer.gone();
}

#[test]
fn three_duplicates_send_the_lost_segment_again_at_once() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 10_000);
    assert_eq!(peer.sent().len(), 10);
    for _ in 0..2 {
        peer.arrive(". 1:1(0) ack 1001 win 60000");
    }
    peer.arrive(". 1:1(0) ack 1001 win 60000");
    peer.silent();
    peer.arrive(". 1:1(0) ack 1001 win 60000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.silent();
    // A partial acknowledgment: the next hole, without waiting.
    peer.arrive(". 1:1(0) ack 5001 win 60000");
    peer.expect(". 5001:6001(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 10001 win 60000");
    peer.silent();
    assert_eq!(peer.counters().tcp_timeouts, 0);
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.ssthresh, status.unacked_len), (6_300, 0));
}

#[test]
fn data_and_window_updates_are_no_duplicates() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 3_000);
    peer.sent();
    for n in 0..4 {
        peer.arrive(&std::format!(". 1:1(0) ack 1 win {}", 50_000 + n));
    }
    for n in 0..4 {
        peer.arrive(&std::format!(
            ". {}:{}(10) ack 1 win 50003",
            n * 10 + 1,
            n * 10 + 11
        ));
    }
    peer.pass(100);
    assert_eq!(peer.counters().tcp_retransmits, 0);
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut peer = Peer::established(1_000);
    peer.send(0, 3_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 1001 win 0");
    peer.silent();
    for wait in [200, 400, 800] {
        peer.pass(wait - 1);
        peer.silent();
        peer.pass(1);
        peer.expect("P. 1001:1002(1) ack 1 win 65535");
        peer.arrive(". 1:1(0) ack 1001 win 0");
        peer.silent();
    }
    peer.arrive(". 1:1(0) ack 1001 win 5000");
    peer.expect(". 1001:2001(1000) ack 1 win 65535");
    peer.expect("P. 2001:3001(1000) ack 1 win 65535");
    peer.silent();
    assert_eq!(peer.counters().tcp_timeouts, 0);
}

#[test]
fn a_probe_that_is_answered_never_gives_up() {
    let mut peer = Peer::established(1_000);
    peer.send(0, 3_000);
    peer.arrive(". 1:1(0) ack 1001 win 0");
    peer.sent();
    for _ in 0..40 {
        while peer.sent.is_empty() {
            peer.pass(1_000);
        }
        peer.sent();
        peer.arrive(". 1:1(0) ack 1001 win 0");
    }
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
    peer.told(&[]);
}

#[test]
fn a_probe_that_is_taken_moves_on() {
    let mut peer = Peer::established(1_000);
    peer.send(0, 2_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 1001 win 0");
    peer.pass(200);
    peer.expect("P. 1001:1002(1) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 1002 win 5000");
    peer.expect("P. 1002:2001(999) ack 1 win 65535");
    peer.silent();
}

#[test]
fn what_waits_for_the_ring_goes_on_when_there_is_space() {
    let mut peer = Peer::established(60_000);
    peer.queue.tx.set_space(1);
    peer.send(0, 4_000);
    for n in 0..4 {
        let psh = if n == 3 { "P" } else { "" };
        peer.expect(&std::format!(
            "{psh}. {}:{}(1000) ack 1 win 65535",
            n * 1_000 + 1,
            n * 1_000 + 1_001
        ));
    }
    peer.silent();
}

#[test]
fn a_full_queue_refuses_and_tells_when_there_is_room() {
    let mut peer = Peer::established(60_000);
    peer.act(|conn| {
        conn.set_nodelay(true);
        for n in 0..16 {
            conn.send_body(&stream()[n * 10..][..10]).unwrap();
        }
        assert_eq!(conn.send_body(&stream()[..1]), Err(SendError::Full));
        assert_eq!(conn.send(&stream()[..1]), Err(SendError::Full));
    });
    peer.app.on_writable = Some(&stream()[160..200]);
    peer.told(&[]);
    peer.sent();
    peer.arrive(". 1:1(0) ack 11 win 60000");
    peer.told(&["writable"]);
    let sent: usize = peer.sent().iter().map(|sent| sent.bytes.len() - 54).sum();
    assert!(sent >= 40, "{sent}");
}

#[test]
fn a_refusal_with_nothing_in_flight_is_tried_again() {
    let mut peer = Peer::established(60_000);
    let held: std::vec::Vec<_> = core::iter::from_fn(|| peer.pool.alloc(0)).collect();
    assert_eq!(peer.act(|conn| conn.send(b"\0")), Err(SendError::NoFrame));
    drop(held);
    peer.app.on_writable = Some(&stream()[..5]);
    peer.pass(100);
    peer.told(&["writable"]);
    peer.expect("P. 1:6(5) ack 1 win 65535");
}

#[test]
fn generated_bytes_fit_a_frame_or_are_refused() {
    let mut peer = Peer::established(60_000);
    let (fits, does_not) = peer.act(|conn| {
        let most = conn.generated_max();
        (
            conn.send(&stream()[..most]),
            conn.send(&stream()[..most + 1]),
        )
    });
    assert_eq!((fits, does_not), (Ok(()), Err(SendError::TooLong)));
}

#[test]
fn an_abort_resets_and_forgets() {
    let mut peer = Peer::established(60_000);
    peer.send(0, 3_000);
    peer.sent();
    peer.act(|conn| conn.abort());
    peer.expect("R. 3001:3001(0) ack 1 win 0");
    peer.told(&[&std::format!("closed: {}", Closed::Aborted)]);
    peer.silent();
    peer.gone();
}

/// Generated bytes leave the last frames to headers: what is queued must be able to go out.
#[test]
fn the_last_frames_are_for_headers() {
    let mut peer = Peer::established(60_000);
    let mut held = std::vec::Vec::new();
    while peer.pool.free_cnt() > HEADS_RESERVED + 1 {
        held.extend(peer.pool.alloc(0));
    }
    let (first, second) = peer.act(|conn| (conn.send(&stream()[..5]), conn.send(b"more")));
    assert_eq!((first, second), (Ok(()), Err(SendError::NoFrame)));
    peer.expect("P. 1:6(5) ack 1 win 65535");
}

/// A probe lies beyond the closed window, where an RST would not be accepted.
#[test]
fn an_abort_behind_a_probe_resets_within_the_window() {
    let mut peer = Peer::established(1_000);
    peer.send(0, 3_000);
    peer.arrive(". 1:1(0) ack 1001 win 0");
    peer.pass(200);
    peer.sent();
    peer.act(|conn| conn.abort());
    peer.expect("R. 1001:1001(0) ack 1 win 0");
    peer.gone();
}

/// On a port that leaves checksums to us, content with a table is not read; the test's other end
/// checks every checksum.
#[test]
fn content_with_sums_is_not_summed_again() {
    let table = std::vec![0; Sums::entries(stream().len())].leak();
    let sums = Sums::of(stream(), table).unwrap();
    let sums: &'static Sums = std::boxed::Box::leak(std::boxed::Box::new(sums));
    for gathers in [true, false] {
        let mut peer = Peer::established(60_000);
        if !gathers {
            let caps = simoom_ring::Caps::PLAIN;
            peer = Peer::over(
                caps,
                super::peer::Sizes::SMALL,
                super::super_segments::PLAIN,
            );
            peer.open(60_000);
        }
        peer.act(|conn| conn.set_nodelay(true));
        // Odd places and lengths, generated bytes of odd length between them.
        peer.act(|conn| {
            conn.send(&stream()[..13]).unwrap();
            let body = |from, to| Body::summed(&stream()[from..to], Some(sums));
            conn.send_body(body(13, 1_000)).unwrap();
            conn.send_body(body(1_000, 3_333)).unwrap();
            conn.send(&stream()[3_333..3_340]).unwrap();
            conn.send_body(body(3_340, 5_000)).unwrap();
            // Not of this table.
            conn.send_body(Body::summed(&OTHER[..171], Some(sums)))
                .unwrap();
        });
        let mut sent = 0;
        while sent < 5_171 {
            let segments = peer.sent();
            assert!(!segments.is_empty(), "{sent} so far");
            sent += segments
                .iter()
                .map(|sent| sent.bytes.len() - 54)
                .sum::<usize>();
            segments
                .iter()
                .for_each(|sent| assert_is_summed(&sent.bytes));
            peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", sent + 1));
        }
        let counters = peer.counters();
        assert_eq!(counters.payload_bytes_presummed, 4_980);
        assert_eq!(counters.payload_bytes_summed, 171);
        assert_eq!(counters.payload_bytes_copied > 0, !gathers);
    }
}

static OTHER: [u8; 200] = [7; 200];

fn assert_is_summed(frame: &[u8]) {
    assert_eq!(
        simoom_sim::checksum::verify(frame),
        simoom_sim::checksum::Verdict::Right
    );
}
