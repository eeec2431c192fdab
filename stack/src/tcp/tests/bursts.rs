//! Segments that come together: what follows from them goes out behind the last of a row.

use std::string::String;
use std::vec::Vec;

use super::peer::{Peer, Sizes};
use crate::counters::DropReason;
use crate::tcp::Settings;

/// By the short cut, and by the long way.
fn both(check: impl Fn(Peer)) {
    for short_cuts in [true, false] {
        let settings = Settings {
            short_cuts,
            quick_acks: 0,
            timestamps: false,
            ..Settings::default()
        };
        let mut peer = Peer::with(Sizes::SMALL, settings);
        peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>");
        peer.arrive(". 1:1(0) ack 1 win 60000");
        check(peer);
    }
}

#[test]
fn what_acknowledgments_allow_goes_out_behind_the_last() {
    both(|mut peer| {
        peer.send(0, 30_000);
        assert_eq!(peer.sent().len(), 10);
        // The text of the last goes into the acknowledgment of all that they make room for.
        peer.arrive_together([
            ". 1:1(0) ack 1001 win 60000",
            ". 1:1(0) ack 3001 win 60000",
            "P. 1:101(100) ack 3001 win 60000",
        ]);
        for seq in (10_001..16_001).step_by(1_000) {
            peer.expect(&std::format!(
                ". {seq}:{}(1000) ack 101 win 65535",
                seq + 1_000
            ));
        }
        peer.silent();
    });
}

/// What is not expected ends a row: it takes the long way behind what the row has brought.
#[test]
fn a_closed_window_ends_a_row() {
    both(|mut peer| {
        peer.send(0, 30_000);
        peer.sent();
        peer.arrive_together([
            ". 1:1(0) ack 1001 win 60000",
            "P. 1:101(100) ack 1001 win 0",
        ]);
        peer.expect(". 10001:11001(1000) ack 1 win 65535");
        peer.expect(". 11001:12001(1000) ack 1 win 65535");
        assert_eq!(peer.sent().len(), 0);
        assert_eq!(peer.app.taken, 100);
    });
}

/// RFC 9293 3.10.7.4, fifth: a receiver that tunes its window tells another one in every segment,
/// and that is no reason to leave the row.
#[test]
fn another_window_counts_within_a_row() {
    both(|mut peer| {
        peer.send(0, 30_000);
        peer.sent();
        let taken = peer.counters().tcp_short_cuts;
        peer.arrive_together([". 1:1(0) ack 1001 win 61000", ". 1:1(0) ack 2001 win 9000"]);
        // What the window has room for, which is less than the congestion window has.
        peer.expect(". 10001:11001(1000) ack 1 win 65535");
        assert_eq!(peer.sent().len(), 0);
        peer.arrive(". 1:1(0) ack 2001 win 10000");
        peer.expect(". 11001:12001(1000) ack 1 win 65535");
        // Another window alone is an update, which takes the long way.
        let by_short_cut = peer.counters().tcp_short_cuts - taken;
        assert!(matches!(by_short_cut, 0 | 2), "{by_short_cut}");
    });
}

#[test]
fn a_burst_of_data_is_acknowledged_by_one_in_eight() {
    both(|mut peer| {
        let texts: Vec<String> = (0..20)
            .map(|n| 1 + n * 1_000)
            .map(|seq| std::format!(". {seq}:{}(1000) ack 1 win 60000", seq + 1_000))
            .collect();
        peer.arrive_together(texts.iter().map(String::as_str));
        for ack in [8_001, 16_001, 20_001] {
            peer.expect(&std::format!(". 1:1(0) ack {ack} win 65535"));
        }
    });
}

#[test]
fn a_wrong_checksum_ends_a_row_and_is_counted_once() {
    both(|mut peer| {
        let taken = peer.counters().tcp_short_cuts;
        let mut bytes = peer.segment(". 1:1001(1000) ack 1 win 60000");
        bytes[16..18].copy_from_slice(&[0x12, 0x34]);
        peer.arrive_bytes(&bytes);
        peer.silent();
        assert_eq!(peer.dropped(DropReason::TcpChecksum), 1);
        assert_eq!(peer.counters().tcp_short_cuts, taken);
        assert_eq!(peer.counters().dropped_total(), 1);
    });
}
