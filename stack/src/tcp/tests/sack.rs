//! What has come behind a gap: selective acknowledgments (RFC 2018, RFC 2883), and a FIN there.

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::tcp::Settings;

/// A connection with SACK, and timestamps if `timestamps`, that the other end opened.
fn established(sizes: Sizes, timestamps: bool) -> Peer {
    let settings = Settings {
        timestamps,
        quick_acks: 0,
        ..Settings::default()
    };
    let mut peer = Peer::with(sizes, settings);
    if timestamps {
        peer.arrive("S 0:0(0) win 65535 <mss 1012,sackOK,TS val 100 ecr 0>");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 100>");
        peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    } else {
        peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>");
        peer.arrive(". 1:1(0) ack 1 win 65535");
    }
    peer.told(&["accepted"]);
    peer
}

fn plain() -> Peer {
    established(Sizes::SMALL, false)
}

/// RFC 2018 4: the block of the segment in hand first, then the most recent others, while there is
/// a gap.
#[test]
fn blocks_are_told_the_most_recent_first() {
    let mut peer = plain();
    peer.arrive(". 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.arrive(". 3001:4001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 3001:4001 1001:2001>");
    peer.arrive(". 2001:2501(500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:2501 3001:4001>");
    peer.arrive(". 1:1001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2501 win 65535 <nop,nop,sack 3001:4001>");
    peer.arrive(". 2501:3001(500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 4001 win 65535");
    assert_eq!(peer.app.taken, 4_000);
    assert_eq!(peer.stack.levels().gaps, 0);
    peer.pass(100);
    peer.silent();
}

#[test]
fn four_blocks_fit_and_three_beside_timestamps() {
    let mut peer = plain();
    for n in 0..5 {
        peer.sent();
        let seq = 101 + 200 * n;
        peer.arrive(&std::format!(". {seq}:{}(100) ack 1 win 65535", seq + 100));
    }
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 901:1001 701:801 501:601 301:401>");

    let mut peer = established(Sizes::SMALL, true);
    for n in 0..4 {
        peer.sent();
        let (seq, ts) = (101 + 200 * n, "<nop,nop,TS val 100 ecr 1>");
        peer.arrive(&std::format!(
            ". {seq}:{}(100) ack 1 win 65535 {ts}",
            seq + 100
        ));
    }
    peer.expect(
        ". 1:1(0) ack 1 win 65535 \
         <nop,nop,TS val 1 ecr 100,nop,nop,sack 701:801 501:601 301:401>",
    );
}

/// The blocks are on data segments, too, which are shorter by them: SMSS and MTU hold.
#[test]
fn data_segments_tell_and_make_room() {
    let mut peer = plain();
    peer.arrive(". 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.send(0, 2_000);
    peer.expect(". 1:989(988) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.expect(". 989:1977(988) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.arrive(". 1:1001(1000) ack 1977 win 65535");
    peer.expect("P. 1977:2001(24) ack 2001 win 65535");
    peer.silent();
}

/// A segment that SACK blocks have cut short has no FIN yet.
#[test]
fn a_fin_waits_for_what_blocks_have_displaced() {
    let mut peer = plain();
    peer.arrive(". 1001:2001(1000) ack 1 win 65535");
    peer.sent();
    peer.act(|conn| {
        conn.send_body(&super::peer::stream()[..1_000]).unwrap();
        conn.set_nodelay(true);
        conn.close();
    });
    peer.expect(". 1:989(988) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.expect("FP. 989:1001(12) ack 1 win 65535 <nop,nop,sack 1001:2001>");
    peer.silent();
}

/// RFC 2883 4.1 and 4.2: a duplicate is told once, whether it was acknowledged or lies behind the
/// gap, where its block follows it.
#[test]
fn duplicates_are_told_once() {
    let mut peer = plain();
    peer.arrive("P. 1:1001(1000) ack 1 win 65535");
    peer.arrive("P. 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535");
    peer.arrive(". 501:1001(500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535 <nop,nop,sack 501:1001>");
    peer.arrive(". 3001:4501(1500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535 <nop,nop,sack 3001:4501>");
    peer.arrive(". 3501:4001(500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535 <nop,nop,sack 3501:4001 3001:4501>");
    peer.arrive(". 1:1001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535 <nop,nop,sack 1:1001 3001:4501>");
    // Partly old, partly new, partly there already: the first is told.
    peer.arrive(". 1801:3301(1500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 4501 win 65535 <nop,nop,sack 1801:2001>");
    peer.silent();
}

/// RFC 2883 4.2: what fills the gap and reaches into the block behind it.
#[test]
fn a_segment_that_overlaps_the_block_behind_the_gap_is_a_duplicate_in_part() {
    let mut peer = plain();
    peer.arrive(". 1001:2001(1000) ack 1 win 65535");
    peer.sent();
    peer.arrive(". 1:1501(1500) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 65535 <nop,nop,sack 1001:1501>");
    assert_eq!(peer.app.taken, 2_000);
}

#[test]
fn without_sack_permitted_nothing_is_told() {
    let mut peer = Peer::established(60_000);
    peer.arrive(". 1001:2001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.arrive(". 1001:2001(1000) ack 1 win 60000");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.stack.levels().gaps, 1, "kept all the same");
}

/// RFC 9293 3.10.7.4: a FIN behind a gap is queued, and need not come again.
#[test]
fn a_fin_behind_a_gap_is_remembered() {
    for fin in [
        "F. 1001:1501(500) ack 1 win 65535",
        ". 1001:1501(500) ack 1 win 65535",
    ] {
        let mut peer = plain();
        peer.arrive(fin);
        peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:1501>");
        if fin.starts_with('.') {
            // Alone, and again.
            for _ in 0..2 {
                peer.arrive("F. 1501:1501(0) ack 1 win 65535");
                peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:1501>");
            }
        }
        peer.told(&[]);
        peer.arrive(". 1:1001(1000) ack 1 win 65535");
        peer.expect(". 1:1(0) ack 1502 win 65535");
        peer.told(&[
            "received 1000 took 1000",
            "received 500 took 500",
            "finished",
        ]);
        assert_eq!(peer.stack.levels().gaps, 0);
        peer.silent();
    }
}

/// A FIN before data: that data is none of the stream.
#[test]
fn what_lies_behind_the_fin_is_forgotten() {
    let mut peer = plain();
    peer.arrive("F. 1001:1001(0) ack 1 win 65535");
    peer.arrive(". 2001:3001(1000) ack 1 win 65535");
    peer.sent();
    peer.arrive(". 1:1001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1002 win 65535");
    peer.told(&["received 1000 took 1000", "finished"]);
    assert_eq!(peer.stack.levels().gaps, 0);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.gone();
}

/// A connection that finds the table of gaps full keeps nothing, and all comes again.
#[test]
fn a_full_table_of_gaps_drops_and_counts() {
    let mut peer = established(
        Sizes {
            gaps: 0,
            ..Sizes::SMALL
        },
        false,
    );
    peer.arrive(". 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.arrive("F. 2001:2001(0) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpGapsFull), 2);
    // Text and FIN of one segment are one drop.
    peer.arrive("F. 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535");
    assert_eq!(peer.dropped(DropReason::TcpGapsFull), 3);
    peer.arrive(". 1:1001(1000) ack 1 win 65535");
    peer.arrive("F. 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2002 win 65535");
    assert_eq!(peer.app.taken, 2_000);
}
