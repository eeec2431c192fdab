//! Explicit congestion notification (RFC 3168 6.1). Segments may begin with the codepoint of their
//! IP header: `[ect0] P. 1:101(100) ack 1 win 1000`.

use std::vec;
use std::vec::Vec;

use super::peer::{Peer, Sizes};
use crate::tcp::State;
use crate::tcp::cc::Algorithm;
use crate::tcp::{EcnUse, Settings};

const PLAIN: Settings = Settings {
    sack: false,
    timestamps: false,
    window_scaling: true,
    quick_acks: 0,
    syn_cookies: false,
    fast_open: false,
    ecn: EcnUse::Accept,
    congestion: Algorithm::Cubic,
    short_cuts: true,
    station_seed: None,
};

fn asking() -> Peer {
    let settings = Settings {
        ecn: EcnUse::Ask,
        ..PLAIN
    };
    Peer::with(Sizes::SMALL, settings)
}

/// A connection that the other end opened with ECN.
fn established(wnd: u32) -> Peer {
    let mut peer = Peer::with(Sizes::SMALL, PLAIN);
    peer.arrive(&std::format!("SEW 0:0(0) win {wnd} <mss 1000>"));
    peer.take_iss();
    peer.expect("SE. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(&std::format!(". 1:1(0) ack 1 win {wnd}"));
    peer.silent();
    peer.told(&["accepted"]);
    peer
}

fn cwnd(peer: &mut Peer) -> u32 {
    peer.act(|conn| conn.status()).cwnd
}

#[test]
fn a_syn_that_does_not_quite_ask_is_answered_without() {
    for syn in ["S", "SE", "SW", "[ect0] SEW", "[ce] SEW"] {
        let mut peer = Peer::with(Sizes::SMALL, PLAIN);
        peer.arrive(&std::format!("{syn} 0:0(0) win 60000 <mss 1000>"));
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        peer.arrive(". 1:1(0) ack 1 win 60000");
        // What would be marks and echoes means nothing then.
        peer.arrive("[ce] E. 1:101(100) ack 1 win 60000");
        peer.send(0, 1_000);
        peer.expect("P. 1:1001(1000) ack 101 win 65535");
        assert_eq!(peer.counters().tcp_ecn_ce_in, 0);
    }
}

#[test]
fn a_stack_that_never_does_answers_without() {
    let settings = Settings {
        ecn: EcnUse::Never,
        ..PLAIN
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.arrive("SEW 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
}

#[test]
fn a_syn_that_comes_again_without_asking_takes_the_offer_back() {
    let mut peer = Peer::with(Sizes::SMALL, PLAIN);
    peer.arrive("SEW 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    peer.expect("SE. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive("S 0:0(0) win 60000 <mss 1000>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive("SEW 0:0(0) win 60000 <mss 1000>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
}

#[test]
fn new_data_alone_is_marked_as_capable() {
    let mut peer = established(2_500);
    peer.send(0, 4_000);
    peer.expect("[ect0] . 1:1001(1000) ack 1 win 65535");
    peer.expect("[ect0] . 1001:2001(1000) ack 1 win 65535");
    peer.silent();
    // Not what is sent again.
    peer.pass(250);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.silent();
    // Nor an acknowledgment, nor a probe.
    peer.arrive("P. 1:101(100) ack 2001 win 0");
    peer.pass(40);
    peer.expect(". 2001:2001(0) ack 101 win 65535");
    peer.pass(450);
    peer.expect("P. 2001:2002(1) ack 101 win 65535");
    peer.silent();
}

#[test]
fn a_fin_without_data_is_not_marked() {
    let mut peer = established(60_000);
    peer.act(|conn| conn.close());
    let sent = peer.sent();
    assert_eq!((sent.len(), sent[0].bytes[15]), (1, 0));
}

#[test]
fn a_mark_is_echoed_on_every_segment_until_cwr_comes() {
    let mut peer = established(60_000);
    peer.arrive("[ce] . 1:1001(1000) ack 1 win 60000");
    peer.expect("E. 1:1(0) ack 1001 win 65535");
    peer.arrive("[ect0] . 1001:2001(1000) ack 1 win 60000");
    peer.arrive("[ect0] . 2001:3001(1000) ack 1 win 60000");
    peer.expect("E. 1:1(0) ack 3001 win 65535");
    peer.send(0, 100);
    peer.expect("[ect0] PE. 1:101(100) ack 3001 win 65535");
    // CWR ends it, at once.
    peer.arrive("[ect0] W. 3001:4001(1000) ack 101 win 60000");
    peer.expect(". 101:101(0) ack 4001 win 65535");
    // CWR on a segment that is marked itself begins anew.
    peer.arrive("[ce] W. 4001:5001(1000) ack 101 win 60000");
    peer.expect("E. 101:101(0) ack 5001 win 65535");
    assert_eq!(peer.counters().tcp_ecn_ce_in, 2);
    peer.silent();
}

#[test]
fn a_mark_outside_the_window_does_not_count() {
    let mut peer = established(60_000);
    peer.arrive("[ce] . 100001:101001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_ecn_ce_in, 0);
}

#[test]
fn an_echo_reduces_the_window_once_a_window_and_says_so() {
    let mut peer = established(60_000);
    peer.send(0, 40_000);
    assert_eq!(peer.sent().len(), 10);
    // 0.7 of 10,000; what is acknowledged together with the echo adds nothing.
    peer.arrive("E. 1:1(0) ack 2001 win 60000");
    assert_eq!(cwnd(&mut peer), 7_000);
    peer.silent();
    peer.arrive("E. 1:1(0) ack 4001 win 60000");
    assert_eq!(cwnd(&mut peer), 7_000);
    peer.expect("[ect0] W. 10001:11001(1000) ack 1 win 65535");
    peer.silent();
    // All that was in flight, and nothing of what tells of the reduction.
    peer.arrive("E. 1:1(0) ack 10001 win 60000");
    assert_eq!(cwnd(&mut peer), 7_000);
    for n in 11..17 {
        peer.expect(&std::format!(
            "[ect0] . {}:{}(1000) ack 1 win 65535",
            n * 1_000 + 1,
            n * 1_000 + 1_001
        ));
    }
    peer.silent();
    assert_eq!(peer.counters().tcp_ecn_reductions, 1);
    // An echo of what was sent afterwards is news.
    peer.arrive("E. 1:1(0) ack 11001 win 60000");
    assert_eq!(cwnd(&mut peer), 4_900);
    peer.arrive(". 1:1(0) ack 14001 win 60000");
    peer.expect("[ect0] W. 17001:18001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().tcp_ecn_reductions, 2);
}

#[test]
fn a_loss_in_the_same_window_costs_nothing_more() {
    let mut peer = established(60_000);
    peer.send(0, 40_000);
    peer.sent();
    peer.arrive("E. 1:1(0) ack 2001 win 60000");
    assert_eq!(cwnd(&mut peer), 7_000);
    for _ in 0..3 {
        peer.arrive("E. 1:1(0) ack 2001 win 60000");
    }
    // Limited transmit (RFC 3042): the second duplicate makes room in the smaller window.
    peer.expect("[ect0] W. 10001:11001(1000) ack 1 win 65535");
    peer.expect(". 2001:3001(1000) ack 1 win 65535");
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.cwnd, status.ssthresh), (7_000, 7_000));
}

#[test]
fn an_echo_after_a_loss_in_the_same_window_costs_nothing_more() {
    let mut peer = established(60_000);
    peer.send(0, 40_000);
    peer.sent();
    for _ in 0..3 {
        peer.arrive(". 1:1(0) ack 1 win 60000");
    }
    peer.expect("[ect0] . 10001:11001(1000) ack 1 win 65535");
    peer.expect("[ect0] . 11001:12001(1000) ack 1 win 65535");
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    let reduced = cwnd(&mut peer);
    peer.arrive("E. 1:1(0) ack 3001 win 60000");
    assert_eq!(cwnd(&mut peer), reduced);
    assert_eq!(peer.counters().tcp_ecn_reductions, 0);
    // The far side hears of the reduction all the same, on the first new data.
    peer.arrive("E. 1:1(0) ack 10001 win 60000");
    let sent = peer.sent();
    let ctl_of = |bytes: &[u8]| bytes[47];
    let cwr: Vec<bool> = sent
        .iter()
        .map(|sent| ctl_of(&sent.bytes) & 0x80 != 0)
        .collect();
    assert_eq!(cwr.iter().filter(|cwr| **cwr).count(), 1);
}

#[test]
fn an_old_echo_does_not_count() {
    let mut peer = established(60_000);
    peer.send(0, 5_000);
    peer.sent();
    peer.arrive(". 1:1(0) ack 5001 win 60000");
    peer.arrive("E. 1:1(0) ack 2001 win 60000");
    assert_eq!(peer.counters().tcp_ecn_reductions, 0);
}

#[test]
fn a_window_of_one_segment_that_is_echoed_waits_for_the_timer() {
    let mut peer = established(60_000);
    peer.send(0, 100_000);
    // Every window is echoed, whole.
    let mut una = 1;
    let mut windows = vec![];
    for _ in 0..9 {
        windows.push(cwnd(&mut peer));
        una += peer.act(|conn| conn.status()).flight_size;
        peer.sent();
        peer.arrive(&std::format!("E. 1:1(0) ack {una} win 60000"));
    }
    assert_eq!(
        windows,
        [
            10_000, 7_000, 4_900, 3_430, 2_401, 1_680, 1_176, 1_000, 1_000
        ]
    );
    // The last echo was of nothing new: while the window of one segment is too much, nothing goes.
    assert_eq!(peer.counters().tcp_ecn_reductions, 8);
    peer.pass(190);
    peer.silent();
    // The timer lets one go, as a probe.
    peer.pass(20);
    peer.expect(&std::format!(
        "P. {una}:{}(1000) ack 1 win 65535",
        una + 1_000
    ));
    peer.silent();
    una += 1_000;
    peer.arrive(&std::format!(". 1:1(0) ack {una} win 60000"));
    peer.expect(&std::format!(
        "[ect0] W. {una}:{}(1000) ack 1 win 65535",
        una + 1_000
    ));
    peer.expect(&std::format!(
        "[ect0] . {}:{}(1000) ack 1 win 65535",
        una + 1_000,
        una + 2_000
    ));
    peer.silent();
}

#[test]
fn a_client_asks_once_when_it_is_told_to() {
    let mut peer = asking();
    peer.connect(5_000);
    peer.expect("SEW 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("SE. 0:0(0) ack 1 win 60000 <mss 1000>");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.send(0, 1_000);
    peer.expect("[ect0] P. 1:1001(1000) ack 1 win 65535");
    // By default it does not.
    let mut peer = Peer::with(Sizes::SMALL, PLAIN);
    peer.connect(5_000);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
}

#[test]
fn a_syn_that_stays_unanswered_is_sent_again_without_asking() {
    let mut peer = asking();
    peer.connect(5_000);
    peer.expect("SEW 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.pass(1_100);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    // An answer to the first one comes too late.
    peer.arrive("SE. 0:0(0) ack 1 win 60000 <mss 1000>");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.send(0, 1_000);
    peer.expect("P. 1:1001(1000) ack 1 win 65535");
}

#[test]
fn an_answer_that_mirrors_the_bits_is_no_agreement() {
    for answer in ["S.", "SEW.", "SW."] {
        let mut peer = asking();
        peer.connect(5_000);
        peer.sent();
        peer.arrive(&std::format!("{answer} 0:0(0) ack 1 win 60000 <mss 1000>"));
        peer.expect(". 1:1(0) ack 1 win 65535");
        peer.send(0, 1_000);
        peer.expect("P. 1:1001(1000) ack 1 win 65535");
    }
}

#[test]
fn syns_that_cross_agree_when_both_ask() {
    for (syn, answer, data) in [("SEW", "SE.", "[ect0] P."), ("S", "S.", "P.")] {
        let mut peer = asking();
        peer.connect(5_000);
        peer.sent();
        peer.arrive(&std::format!("{syn} 0:0(0) win 60000 <mss 1000>"));
        peer.expect(&std::format!("{answer} 0:0(0) ack 1 win 65535 <mss 1460>"));
        peer.arrive(". 1:1(0) ack 1 win 60000");
        assert_eq!(peer.act(|conn| conn.status()).state, State::Established);
        peer.send(0, 1_000);
        peer.expect(&std::format!("{data} 1:1001(1000) ack 1 win 65535"));
    }
}
