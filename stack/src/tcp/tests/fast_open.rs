//! Fast Open, server side (RFC 7413).

use std::format;
use std::string::String;

use super::peer::{Peer, Sizes, stream};
use crate::DropReason;
use crate::config::{FAST_OPEN_PERIOD, FAST_OPEN_RESET_AGE};
use crate::tcp::cc::Algorithm;
use crate::tcp::{Settings, State};

pub(super) const FAST: Settings = Settings {
    short_cuts: true,
    ecn: crate::tcp::EcnUse::Accept,
    sack: false,
    timestamps: false,
    window_scaling: false,
    quick_acks: 0,
    syn_cookies: false,
    fast_open: true,
    congestion: Algorithm::Cubic,
    station_seed: None,
};

const SYN_ACK: &str = "S. 0:0(0) ack 1 win 65535 <mss 1460>";
const SYN_ACK_OF_100: &str = "S. 0:0(0) ack 101 win 65535 <mss 1460>";

/// A SYN-ACK that gives a cookie, expected now.
#[track_caller]
pub(super) fn take_cookie(peer: &mut Peer, ack: u32) -> String {
    peer.take_iss();
    let bytes = &peer.sent.front().expect("a SYN-ACK").bytes;
    let cookie: String = bytes[60..68].iter().map(|b| format!("{b:02x}")).collect();
    peer.expect(&format!(
        "S. 0:0(0) ack {ack} win 65535 <mss 1460,FO {cookie},nop,nop>"
    ));
    cookie
}

/// A stack whose client has been here before: what its SYN carries beside the MSS.
pub(super) fn known(sizes: Sizes) -> (Peer, String) {
    let mut peer = Peer::with(sizes, FAST);
    peer.arrive("S 0:0(0) win 5000 <mss 1000,FO,nop,nop>");
    let cookie = take_cookie(&mut peer, 1);
    peer.arrive("R 1:1(0)");
    peer.port += 1;
    (peer, format!("<mss 1000,FO {cookie},nop,nop>"))
}

/// A SYN with 100 bytes and a good cookie: taken, and acknowledged together.
fn opened() -> Peer {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
    peer.take_iss();
    peer.expect(SYN_ACK_OF_100);
    peer.silent();
    peer
}

/// As `opened`, with an answer of so many bytes that has gone out.
fn answered(sizes: Sizes, len: usize) -> Peer {
    let (mut peer, options) = known(sizes);
    peer.app.answer = Some(&stream()[..len]);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
    peer.take_iss();
    peer.expect(SYN_ACK_OF_100);
    peer
}

#[test]
fn without_the_setting_there_are_no_cookies() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:10(10) win 5000 <mss 1000,FO,nop,nop>");
    peer.take_iss();
    peer.expect(SYN_ACK);
    peer.told(&[]);
}

/// RFC 7413 2: for whom requests that come twice do no harm.
#[test]
fn each_listener_decides_for_itself() {
    let mut peer = Peer::new(Sizes::SMALL);
    let other = peer.stack.listen(81, 2).expect("a free port");
    peer.stack.set_fast_open(other, true);
    peer.our_port = 81;
    peer.arrive("S 0:0(0) win 5000 <mss 1000,FO,nop,nop>");
    let cookie = take_cookie(&mut peer, 1);
    peer.our_port = 80;
    peer.arrive(&format!(
        "S 0:10(10) win 5000 <mss 1000,FO {cookie},nop,nop>"
    ));
    peer.take_iss();
    peer.expect(SYN_ACK);
    peer.stack.set_fast_open(other, false);
    peer.our_port = 81;
    peer.port += 1;
    peer.arrive(&format!(
        "S 0:10(10) win 5000 <mss 1000,FO {cookie},nop,nop>"
    ));
    peer.take_iss();
    peer.expect(SYN_ACK);
    peer.told(&[]);
}

#[test]
fn a_client_that_asks_is_given_a_cookie_once() {
    let mut peer = Peer::with(Sizes::SMALL, FAST);
    // RFC 7413 4.1.1: what comes with the request is not taken.
    peer.arrive("S 0:10(10) win 5000 <mss 1000,FO,nop,nop>");
    take_cookie(&mut peer, 1);
    peer.pass(1_000);
    peer.expect(SYN_ACK);
    peer.arrive("S 0:0(0) win 5000 <mss 1000>");
    peer.expect(SYN_ACK);
    peer.arrive("P. 1:11(10) ack 1 win 5000");
    peer.told(&["accepted", "received 10 took 10"]);
    assert_eq!(peer.counters().tcp_fast_open_cookies, 1);
    assert_eq!(peer.counters().tcp_fast_opens, 0);
}

#[test]
fn a_cookie_follows_all_other_options() {
    let settings = Settings {
        fast_open: true,
        ..Settings::default()
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.arrive("S 0:0(0) win 5000 <mss 1000,sackOK,TS val 100 ecr 0,nop,wscale 2,FO,nop,nop>");
    peer.take_iss();
    let bytes = &peer.sent()[0].bytes;
    let cookie: String = bytes[76..84].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(bytes[74..76], [34, 10]);
    peer.port += 1;
    let options = "mss 1012,sackOK,TS val 200 ecr 0,nop,wscale 2";
    peer.arrive(&format!(
        "S 0:10(10) win 5000 <{options},FO {cookie},nop,nop>"
    ));
    peer.told(&["accepted", "received 10 took 10"]);
    peer.take_iss();
    let options = "mss 1460,sackOK,TS val 1 ecr 200,nop,wscale 3";
    peer.expect(&format!("S. 0:0(0) ack 11 win 65535 <{options}>"));
    peer.send(0, 10);
    peer.expect("P. 1:11(10) ack 11 win 8192 <nop,nop,TS val 1 ecr 200>");
    assert_eq!(peer.act(|conn| conn.status().snd_wnd), 5_000, "not scaled");
    peer.arrive(". 11:11(0) ack 11 win 5000 <nop,nop,TS val 201 ecr 1>");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.snd_wnd, status.smss), (20_000, 1_000));
}

/// RFC 7323 5.3: a connection that was opened fast knows the timestamp of the SYN, and the segment
/// that completes the handshake must not be older.
#[test]
fn what_is_older_than_the_syn_does_not_complete_a_fast_open() {
    let settings = Settings {
        timestamps: true,
        ..FAST
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.arrive("S 0:0(0) win 5000 <mss 1000,FO,nop,nop>");
    let cookie = take_cookie(&mut peer, 1);
    peer.arrive("R 1:1(0)");
    peer.port += 1;
    peer.arrive(&format!(
        "S 0:10(10) win 5000 <mss 1000,nop,nop,TS val 200 ecr 0,FO {cookie},nop,nop>"
    ));
    peer.told(&["accepted", "received 10 took 10"]);
    peer.take_iss();
    peer.sent();
    peer.arrive(". 11:11(0) ack 1 win 5000 <nop,nop,TS val 199 ecr 1>");
    assert_eq!(peer.dropped(DropReason::TcpOldTimestamps), 1);
    peer.arrive(". 11:11(0) ack 1 win 5000");
    assert_eq!(peer.dropped(DropReason::TcpNoTimestamps), 1);
    assert_eq!(peer.act(|conn| conn.state()), State::SynReceived);
    peer.arrive(". 11:11(0) ack 1 win 5000 <nop,nop,TS val 200 ecr 1>");
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
}

#[test]
fn a_good_cookie_opens_at_once_and_the_answer_does_not_wait() {
    let mut peer = answered(Sizes::SMALL, 1_500);
    assert_eq!(peer.act(|conn| conn.state()), State::SynReceived);
    peer.expect(". 1:1001(1000) ack 101 win 65535");
    peer.silent();
    peer.pass(30);
    // RFC 896 holds the rest back, as ever.
    peer.arrive(". 101:101(0) ack 1001 win 5000");
    peer.expect("P. 1001:1501(500) ack 101 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!(status.state, State::Established);
    assert_eq!(status.srtt.as_millis(), 30);
    assert_eq!((status.bytes_acked, status.bytes_received), (1_000, 100));
    peer.arrive("P. 101:111(10) ack 1501 win 5000");
    peer.told(&["received 10 took 10"]);
    peer.pass(60_000);
    peer.expect(". 1501:1501(0) ack 111 win 65535");
    peer.silent();
    assert_eq!(peer.counters().tcp_fast_opens, 1);
}

#[test]
fn the_ack_of_the_syn_ack_measures_and_stops_its_timer() {
    let mut peer = opened();
    peer.pass(20);
    peer.arrive(". 101:101(0) ack 1 win 5000");
    peer.silent();
    let status = peer.act(|conn| conn.status());
    assert_eq!(status.state, State::Established);
    assert_eq!(status.srtt.as_millis(), 20);
    peer.pass(600_000);
    peer.silent();
    peer.told(&[]);
}

/// RFC 7413 4.2.2: no more than the initial window before the handshake is over.
#[test]
fn the_first_answer_is_as_long_as_the_windows_are() {
    for (wnd, expected) in [(65_535, 10_000), (2_500, 2_000), (0, 0)] {
        let (mut peer, options) = known(Sizes::SMALL);
        peer.app.answer = Some(&stream()[..30_000]);
        peer.arrive(&format!("S 0:100(100) win {wnd} {options}"));
        peer.take_iss();
        peer.expect(SYN_ACK_OF_100);
        let sent: usize = peer.sent().iter().map(|sent| sent.bytes.len() - 54).sum();
        assert_eq!(sent, expected, "{wnd}");
    }
}

#[test]
fn a_wrong_cookie_is_answered_with_a_right_one() {
    let (mut peer, options) = known(Sizes::SMALL);
    for wrong in [
        "0102030405060708",
        "01020304",
        "0102030405060708090a0b0c0d0e0f10",
    ] {
        peer.port += 1;
        peer.arrive(&format!(
            "S 0:100(100) win 5000 <mss 1000,FO {wrong},nop,nop>"
        ));
        peer.told(&[]);
        let cookie = take_cookie(&mut peer, 1);
        assert!(options.contains(&cookie));
        peer.arrive("P. 1:101(100) ack 1 win 5000");
        peer.told(&["accepted", "received 100 took 100"]);
        peer.app.taken = 0;
    }
    assert_eq!(peer.counters().tcp_fast_open_bad_cookies, 1);
}

#[test]
fn an_old_cookie_is_good_for_one_more_period_and_a_fresh_one_comes() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.pass(FAST_OPEN_PERIOD.as_millis());
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
    let fresh = take_cookie(&mut peer, 101);
    assert!(!options.contains(&fresh));
    peer.arrive(". 101:101(0) ack 1 win 5000");
    peer.pass(FAST_OPEN_PERIOD.as_millis());
    peer.port += 1;
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&[]);
    take_cookie(&mut peer, 1);
    assert_eq!(peer.counters().tcp_fast_open_bad_cookies, 1);
}

#[test]
fn a_syn_with_a_cookie_and_no_text_opens_for_a_server_that_speaks_first() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.arrive(&format!("S 0:0(0) win 5000 {options}"));
    peer.told(&["accepted"]);
    peer.take_iss();
    peer.expect(SYN_ACK);
    peer.send(0, 100);
    peer.expect("P. 1:101(100) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 101 win 5000");
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
}

#[test]
fn a_lost_syn_ack_is_sent_again_alone_and_then_the_answer() {
    for flights in [Sizes::SMALL.flights, 0] {
        let sizes = Sizes {
            flights,
            ..Sizes::SMALL
        };
        let mut peer = answered(sizes, 3_000);
        for seq in [1, 1_001] {
            peer.expect(&format!(". {seq}:{}(1000) ack 101 win 65535", seq + 1_000));
        }
        peer.expect("P. 2001:3001(1000) ack 101 win 65535");
        peer.pass(999);
        peer.silent();
        peer.pass(1);
        peer.expect(SYN_ACK_OF_100);
        peer.pass(1_999);
        peer.silent();
        peer.pass(1);
        peer.expect(SYN_ACK_OF_100);
        peer.silent();
        peer.arrive(". 101:101(0) ack 1 win 5000");
        // From one segment on (RFC 5681 3.1).
        peer.expect(". 1:1001(1000) ack 101 win 65535");
        peer.silent();
        peer.arrive(". 101:101(0) ack 1001 win 5000");
        peer.expect(". 1001:2001(1000) ack 101 win 65535");
        peer.expect("P. 2001:3001(1000) ack 101 win 65535");
        peer.arrive(". 101:101(0) ack 3001 win 5000");
        let status = peer.act(|conn| conn.status());
        assert_eq!((status.unacked_len, status.retransmits), (0, 0));
        assert_eq!(peer.counters().tcp_timeouts, 2);
    }
}

#[test]
fn a_lost_answer_is_sent_again_by_itself() {
    let mut peer = answered(Sizes::SMALL, 1_000);
    peer.expect("P. 1:1001(1000) ack 101 win 65535");
    peer.arrive(". 101:101(0) ack 1 win 5000");
    peer.silent();
    peer.pass(1_000);
    peer.expect("P. 1:1001(1000) ack 101 win 65535");
    peer.arrive(". 101:101(0) ack 1001 win 5000");
    peer.pass(60_000);
    peer.silent();
}

#[test]
fn a_fast_open_without_an_end_is_given_up() {
    let mut peer = answered(Sizes::SMALL, 1_000);
    peer.expect("P. 1:1001(1000) ack 101 win 65535");
    for wait in [1_000, 2_000, 4_000, 8_000] {
        peer.pass(wait);
        peer.expect(SYN_ACK_OF_100);
    }
    peer.told(&[]);
    peer.pass(16_000);
    peer.told(&["closed: timed out"]);
    peer.silent();
    peer.gone();
}

#[test]
fn the_same_syn_again_is_answered_and_not_taken_twice() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
    peer.take_iss();
    peer.expect(SYN_ACK_OF_100);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.expect(SYN_ACK_OF_100);
    // RFC 7413 4.1.3.1: without text, and without the option.
    peer.arrive("S 0:0(0) win 5000 <mss 1000>");
    peer.expect(SYN_ACK_OF_100);
    peer.told(&[]);
    peer.pass(50);
    peer.arrive(". 101:101(0) ack 1 win 5000");
    let status = peer.act(|conn| conn.status());
    assert_eq!(status.srtt.as_millis(), 0, "nobody knows which was meant");
    assert_eq!(status.retransmits_total, 2);
    // Once all is well, a SYN is what it always is (RFC 5961 4.2).
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.expect(". 1:1(0) ack 101 win 65535");
    peer.silent();
    peer.told(&[]);
}

#[test]
fn what_is_not_acceptable_is_answered_as_in_any_other_state() {
    let mut peer = opened();
    peer.arrive("P. 70001:70011(10) ack 1 win 5000");
    peer.expect(". 1:1(0) ack 101 win 65535");
    peer.arrive("S 700:700(0) win 5000 <mss 1000>");
    peer.expect(". 1:1(0) ack 101 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpChallengedSyn), 1);
    peer.arrive("R 102:102(0)");
    peer.expect(". 1:1(0) ack 101 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpChallengedRst), 1);
    for ack in [0, 2] {
        peer.arrive(&format!(". 101:101(0) ack {ack} win 5000"));
        peer.expect(&format!("R {ack}:{ack}(0) win 0"));
    }
    assert_eq!(peer.dropped(DropReason::TcpBadAck), 2);
    peer.told(&[]);
    assert_eq!(peer.act(|conn| conn.state()), State::SynReceived);
}

#[test]
fn text_that_comes_before_the_ack_completes_the_handshake() {
    let mut peer = opened();
    peer.arrive("P. 101:201(100) ack 1 win 5000");
    peer.told(&["received 100 took 100"]);
    assert_eq!(peer.act(|conn| conn.state()), State::Established);
}

#[test]
fn a_fin_with_the_syn_is_taken() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.app.closes = true;
    peer.app.answer = Some(&stream()[..500]);
    peer.arrive(&format!("SF 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100", "finished"]);
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 102 win 65535 <mss 1460>");
    peer.expect("FP. 1:501(500) ack 102 win 65535");
    peer.silent();
    peer.arrive(". 102:102(0) ack 502 win 5000");
    peer.told(&["closed: finished"]);
    peer.silent();
    peer.gone();
}

#[test]
fn an_application_that_answers_and_closes_does_not_wait_either() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.app.closes = true;
    peer.app.answer = Some(&stream()[..500]);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.take_iss();
    peer.expect(SYN_ACK_OF_100);
    peer.expect("FP. 1:501(500) ack 101 win 65535");
    // The answer was lost, the SYN-ACK not.
    peer.arrive(". 101:101(0) ack 1 win 5000");
    peer.pass(1_000);
    peer.expect("FP. 1:501(500) ack 101 win 65535");
    peer.arrive("F. 101:101(0) ack 502 win 5000");
    peer.expect(". 502:502(0) ack 102 win 65535");
    peer.told(&[
        "accepted",
        "received 100 took 100",
        "finished",
        "closed: finished",
    ]);
    peer.gone();
}

#[test]
fn a_reset_ends_it_and_counts_as_pending_for_a_while() {
    let (mut peer, options) = known(Sizes::SMALL);
    // The backlog is 2.
    for _ in 0..2 {
        peer.app.taken = 0;
        peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
        peer.told(&["accepted", "received 100 took 100"]);
        peer.sent();
        peer.arrive("R 101:101(0)");
        peer.told(&["closed: reset by the far side"]);
    }
    peer.gone();
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&[]);
    peer.take_iss();
    peer.expect(SYN_ACK);
    assert_eq!(peer.counters().tcp_fast_opens_full, 1);
    peer.arrive("R 1:1(0)");
    peer.pass(FAST_OPEN_RESET_AGE.as_millis());
    peer.app.taken = 0;
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
}

#[test]
fn too_many_at_once_are_opened_in_the_ordinary_way() {
    let (mut peer, options) = known(Sizes::SMALL);
    for _ in 0..3 {
        peer.port += 1;
        peer.app.taken = 0;
        peer.sent();
        peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
        peer.take_iss();
    }
    assert_eq!(peer.counters().tcp_fast_opens, 2);
    assert_eq!(peer.counters().tcp_fast_opens_full, 1);
    assert_eq!(
        (peer.stack.levels().conns, peer.stack.levels().syns),
        (2, 1)
    );
    peer.expect(SYN_ACK);
    // One that is over makes room for the next.
    peer.port -= 1;
    let id = peer.id();
    peer.stack.with_conn(peer.now, id, |conn, _| conn.abort());
    peer.poll();
    peer.sent();
    peer.port += 2;
    peer.app.taken = 0;
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    assert_eq!(peer.counters().tcp_fast_opens, 3);
}

#[test]
fn a_fast_open_counts_as_pending_until_its_syn_ack_is_acknowledged() {
    let (mut peer, options) = known(Sizes::SMALL);
    // The backlog is 2, and places there are 4.
    for n in 0..4 {
        peer.port += 1;
        peer.app.taken = 0;
        peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
        peer.take_iss();
        peer.sent();
        assert_eq!(peer.counters().tcp_fast_opens, n + 1);
        peer.arrive(". 101:101(0) ack 1 win 5000");
    }
    assert_eq!(peer.counters().tcp_fast_opens_full, 0);
}

#[test]
fn without_a_place_the_syn_queue_takes_it() {
    let (mut peer, options) = known(Sizes {
        conns: 1,
        ..Sizes::SMALL
    });
    peer.open(1_000);
    peer.port += 1;
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.take_iss();
    peer.expect(SYN_ACK);
    assert_eq!(peer.counters().tcp_fast_opens_full, 1);
    assert_eq!(peer.dropped(DropReason::TcpTableFull), 0);
    assert_eq!(peer.stack.levels().syns, 1);
}

#[test]
fn an_application_may_abort_what_has_just_begun() {
    let mut peer = opened();
    peer.act(|conn| conn.abort());
    peer.expect("R. 1:1(0) ack 101 win 0");
    peer.told(&["closed: aborted"]);
    peer.gone();
}

#[test]
fn on_a_full_ring_the_syn_ack_waits_and_nothing_overtakes_it() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.app.answer = Some(&stream()[..500]);
    peer.queue.tx.set_space(0);
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 100"]);
    peer.silent();
    peer.queue.tx.set_space(1_000);
    peer.pass(10);
    peer.take_iss();
    peer.expect(SYN_ACK_OF_100);
    peer.expect("P. 1:501(500) ack 101 win 65535");
    peer.silent();
}

#[test]
fn congestion_marks_are_agreed_on_and_taken_back() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.arrive(&format!("SEW 0:100(100) win 5000 {options}"));
    peer.take_iss();
    peer.expect("SE. 0:0(0) ack 101 win 65535 <mss 1460>");
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.expect(SYN_ACK_OF_100);
    peer.send(0, 100);
    peer.expect("P. 1:101(100) ack 101 win 65535");
}

/// What the application leaves is in the window of the SYN-ACK.
#[test]
fn text_that_waits_shrinks_the_first_window() {
    let (mut peer, options) = known(Sizes::SMALL);
    peer.app.takes_max = 40;
    peer.arrive(&format!("S 0:100(100) win 5000 {options}"));
    peer.told(&["accepted", "received 100 took 40", "received 60 took 0"]);
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 101 win 65475 <mss 1460>");
    peer.app.takes_max = usize::MAX;
    peer.arrive(". 101:101(0) ack 1 win 5000");
    peer.told(&["received 60 took 60"]);
}
