//! Packets of many segments, for a device that cuts them: `cut 1000` behind a segment says that it
//! is one, and that each of its segments was checked.

use simoom_ring::{Caps, Checksums, Segmentation};

use super::peer::{Peer, Sizes};
use crate::config::{CUT_FLIGHTS_LOST_MAX, CUT_SEGMENTS_TRUSTED};
use crate::tcp::cc::Algorithm;
use crate::tcp::{EcnUse, Settings};
use crate::testing::Sent;

const CAPS: Caps = Caps {
    fragments_max: 4,
    checksums: Checksums {
        tx: true,
        rx: false,
    },
    tso: Segmentation {
        tcp_v4: true,
        len_max: 65_535,
        ..Caps::PLAIN.tso
    },
    ..Caps::PLAIN
};

pub(super) const PLAIN: Settings = Settings {
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

/// A connection with segments of 1,000 bytes, over a port with `caps`.
fn established(caps: Caps, wnd: u32) -> Peer {
    let mut peer = Peer::over(caps, Sizes::SMALL, PLAIN);
    peer.open(wnd);
    peer
}

#[test]
fn a_body_goes_out_at_once_and_the_short_end_waits() {
    let mut peer = established(CAPS, 60_000);
    peer.send(0, 4_500);
    peer.expect(". 1:4001(4000) ack 1 win 65535 cut 1000");
    // Nagle.
    peer.silent();
    peer.arrive(". 1:1(0) ack 4001 win 60000");
    peer.expect("P. 4001:4501(500) ack 1 win 65535");
    let counters = peer.counters();
    assert_eq!(counters.tcp_super_segments, 1);
    // With the answer to the SYN.
    assert_eq!(counters.tcp_segments_out, 1 + 4 + 1);
    assert_eq!(counters.payload_bytes_referenced, 4_500);
    assert_eq!(
        (counters.payload_bytes_copied, counters.payload_bytes_summed),
        (0, 0)
    );
}

#[test]
fn the_short_end_rides_along_where_it_need_not_wait() {
    let mut peer = established(CAPS, 60_000);
    peer.act(|conn| conn.set_nodelay(true));
    peer.send(0, 4_501);
    peer.expect("P. 1:4502(4501) ack 1 win 65535 cut 1000");
    peer.silent();
    let mut peer = established(CAPS, 60_000);
    peer.act(|conn| {
        conn.send_body(&super::peer::stream()[..2_001]).unwrap();
        conn.close();
    });
    peer.expect("FP. 1:2002(2001) ack 1 win 65535 cut 1000");
    peer.arrive("F. 1:1(0) ack 2003 win 60000");
    peer.expect(". 2003:2003(0) ack 2 win 65535");
}

#[test]
fn one_segment_is_no_super_segment() {
    for len in [1, 999, 1_000] {
        let mut peer = established(CAPS, 60_000);
        peer.send(0, len);
        let end = len + 1;
        peer.expect(&std::format!("P. 1:{end}({len}) ack 1 win 65535"));
        assert_eq!(peer.counters().tcp_super_segments, 0);
    }
}

#[test]
fn windows_are_kept_to() {
    let mut peer = established(CAPS, 3_500);
    peer.send(0, 50_000);
    peer.expect(". 1:3001(3000) ack 1 win 65535 cut 1000");
    peer.silent();
    // 2,500 more fit the window: the part of a segment waits.
    peer.arrive(". 1:1(0) ack 2001 win 3500");
    peer.expect(". 3001:5001(2000) ack 1 win 65535 cut 1000");
    peer.silent();
    // And the congestion window.
    let mut peer = established(CAPS, 60_000);
    peer.send(0, 50_000);
    peer.expect(". 1:10001(10000) ack 1 win 65535 cut 1000");
    peer.silent();
    peer.arrive(". 1:1(0) ack 3001 win 60000");
    peer.expect(". 10001:16001(6000) ack 1 win 65535 cut 1000");
    peer.silent();
}

#[test]
fn a_datagram_has_its_end() {
    let mut peer = Peer::over(CAPS, Sizes::SMALL, PLAIN);
    peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,wscale 7>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.send(0, 500_000);
    // Slow start goes beyond what a datagram holds.
    let mut sent_len = 0;
    for acked in (0..96_000).step_by(8_000) {
        sent_len = longest(&peer.sent()).max(sent_len);
        peer.arrive(&std::format!(". 1:1(0) ack {} win 65535", acked + 1));
    }
    peer.sent();
    peer.pass(1);
    // One acknowledgment of much makes room for much.
    peer.arrive(". 1:1(0) ack 180001 win 65535");
    sent_len = longest(&peer.sent()).max(sent_len);
    assert_eq!(sent_len, 65_054);
}

/// Bytes of the longest frame.
fn longest(sent: &[Sent]) -> usize {
    sent.iter().map(|sent| sent.bytes.len()).max().unwrap_or(0)
}

#[test]
fn what_is_lost_goes_again_by_the_segment() {
    let mut peer = established(CAPS, 60_000);
    peer.send(0, 5_000);
    peer.expect("P. 1:5001(5000) ack 1 win 65535 cut 1000");
    // An acknowledgment within what was one packet.
    peer.arrive(". 1:1(0) ack 1501 win 60000");
    peer.silent();
    peer.pass(200);
    peer.expect(". 1501:2501(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 2501 win 60000");
    peer.expect(". 2501:3501(1000) ack 1 win 65535");
    peer.expect(". 3501:4501(1000) ack 1 win 65535");
    peer.silent();
    peer.arrive(". 1:1(0) ack 4501 win 60000");
    peer.expect("P. 4501:5001(500) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 5001 win 60000");
    peer.silent();
}

#[test]
fn pieces_end_a_super_segment_where_the_device_takes_no_more() {
    let mut peer = established(CAPS, 60_000);
    peer.act(|conn| {
        for at in [0, 1_001, 2_002, 3_003] {
            let body = &super::peer::stream()[at..at + 1_001];
            conn.send_body(body).unwrap();
        }
    });
    // Each of them is sent for itself when it is queued first, so the second has two pieces.
    let sent = peer.sent();
    let pieces: std::vec::Vec<usize> = sent.iter().map(|sent| sent.pieces).collect();
    assert!(pieces.iter().all(|pieces| *pieces <= 4), "{pieces:?}");
    assert_eq!(peer.counters().payload_bytes_copied, 0);
}

/// Without gathering a frame holds a segment; and a device that does not sum cannot cut.
#[test]
fn a_port_that_lacks_something_gets_segments() {
    let without_sums = Checksums {
        tx: false,
        rx: false,
    };
    for caps in [
        Caps {
            fragments_max: 1,
            ..CAPS
        },
        Caps {
            checksums: without_sums,
            ..CAPS
        },
        Caps {
            tso: Caps::PLAIN.tso,
            ..CAPS
        },
    ] {
        let mut peer = established(caps, 60_000);
        peer.send(0, 3_000);
        peer.expect(". 1:1001(1000) ack 1 win 65535");
        peer.expect(". 1001:2001(1000) ack 1 win 65535");
        peer.expect("P. 2001:3001(1000) ack 1 win 65535");
        assert_eq!(peer.counters().tcp_super_segments, 0);
    }
}

/// RFC 3168 6.1.2: CWR is said once, so the segment that says it goes alone.
#[test]
fn the_segment_with_cwr_goes_alone() {
    let mut peer = Peer::over(CAPS, Sizes::SMALL, PLAIN);
    peer.arrive("SEW 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.send(0, 40_000);
    peer.expect("[ect0] . 1:10001(10000) ack 1 win 65535 cut 1000");
    peer.arrive("E. 1:1(0) ack 8001 win 60000");
    peer.expect("[ect0] W. 10001:11001(1000) ack 1 win 65535");
    peer.expect("[ect0] . 11001:15001(4000) ack 1 win 65535 cut 1000");
    peer.silent();
}

/// SACK blocks take room from the segment that they are in, and would be repeated in each.
#[test]
fn a_segment_with_sack_blocks_goes_alone() {
    let settings = Settings {
        sack: true,
        ..PLAIN
    };
    let mut peer = Peer::over(CAPS, Sizes::SMALL, settings);
    peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.arrive(". 1001:2001(1000) ack 1 win 60000");
    peer.sent();
    peer.send(0, 2_500);
    peer.expect(". 1:989(988) ack 1 win 65535 <nop,nop,sack 1001:2001>");
}

/// Timestamps are in every segment, and its room is less by them.
#[test]
fn timestamps_are_in_each_segment() {
    let settings = Settings {
        timestamps: true,
        ..PLAIN
    };
    let mut peer = Peer::over(CAPS, Sizes::SMALL, settings);
    peer.arrive("S 0:0(0) win 60000 <mss 1012,nop,nop,TS val 100 ecr 0>");
    peer.take_iss();
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 60000 <nop,nop,TS val 100 ecr 1>");
    peer.send(0, 3_000);
    peer.expect("P. 1:3001(3000) ack 1 win 65535 <nop,nop,TS val 1 ecr 100> cut 1000");
}

/// A device, or what lies behind it, that breaks partial checksums: TCP does not connect, ping
/// works. The third SYN is answered with a checksum of ours, and all that follows.
#[test]
fn checksums_are_ours_when_nobody_takes_the_devices() {
    let mut peer = Peer::over(CAPS, Sizes::SMALL, PLAIN);
    for seconds in [1, 2] {
        peer.arrive("S 0:0(0) win 60000 <mss 1000>");
        // Lost: its checksum was left to the device.
        assert!(peer.sent().iter().all(|sent| sent.offload.csum.is_some()));
        peer.pass(seconds * 1_000 - 1);
        assert!(peer.sent().iter().all(|sent| sent.offload.csum.is_some()));
    }
    peer.arrive("S 0:0(0) win 60000 <mss 1000>");
    peer.take_iss();
    assert!(peer.sent.iter().all(|sent| sent.offload.csum.is_none()));
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.send(0, 2_000);
    assert!(peer.sent.iter().all(|sent| sent.offload.csum.is_none()));
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect("P. 1001:2001(1000) ack 1 win 65535");
    assert_eq!(peer.counters().checksum_fallbacks, 1);
}

#[test]
fn a_device_that_has_served_a_client_stays_trusted() {
    let mut peer = established(CAPS, 60_000);
    peer.port += 1;
    for _ in 0..5 {
        peer.arrive("S 0:0(0) win 60000 <mss 1000>");
        assert!(peer.sent().iter().all(|sent| sent.offload.csum.is_some()));
    }
    assert_eq!(peer.counters().checksum_fallbacks, 0);
}

/// Sends `flights` of 3,000 bytes of which nothing arrives until it is sent again.
fn lose_cut_flights(peer: &mut Peer, flights: usize) {
    for n in 0..flights {
        let at = 3_000 * n;
        let seq = |offset: usize| at + offset + 1;
        peer.send(at, 3_000);
        peer.expect(&std::format!(
            "P. {}:{}(3000) ack 1 win 65535 cut 1000",
            seq(0),
            seq(3_000)
        ));
        // Half a minute is more than a timeout, however often there was one before.
        for _ in 0..150 {
            peer.pass(200);
            if !peer.sent.is_empty() {
                break;
            }
        }
        // Alone, it arrives.
        for piece in [0, 1_000, 2_000] {
            let psh = if piece == 2_000 { "P" } else { "" };
            peer.expect(&std::format!(
                "{psh}. {}:{}(1000) ack 1 win 65535",
                seq(piece),
                seq(piece + 1_000)
            ));
            if piece != 1_000 {
                let ack = if piece == 0 { 1_000 } else { 3_000 };
                peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", seq(ack)));
            }
        }
        peer.silent();
    }
}

#[test]
fn a_device_whose_segments_do_not_arrive_cuts_no_more() {
    let mut peer = established(CAPS, 60_000);
    lose_cut_flights(&mut peer, usize::from(CUT_FLIGHTS_LOST_MAX));
    assert_eq!(peer.counters().segmentation_fallbacks, 1);
    let at = 3_000 * usize::from(CUT_FLIGHTS_LOST_MAX);
    peer.send(at, 2_000);
    for (from, flags) in [(at + 1, "."), (at + 1_001, "P.")] {
        let to = from + 1_000;
        peer.expect(&std::format!("{flags} {from}:{to}(1000) ack 1 win 65535"));
    }
    // Checksums are left to it still.
    assert!(peer.sent.iter().all(|sent| sent.offload.csum.is_some()));
}

/// One flight that comes through as it was cut is one more than a broken device manages.
#[test]
fn a_flight_that_arrives_is_weighed_against_those_that_do_not() {
    let mut peer = established(CAPS, 60_000);
    let lost = usize::from(CUT_FLIGHTS_LOST_MAX) - 1;
    lose_cut_flights(&mut peer, lost);
    let at = 3_000 * lost;
    peer.send(at, 2_000);
    peer.sent();
    peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", at + 2_001));
    peer.send(at + 2_000, 3_000);
    peer.sent();
    peer.pass(200);
    peer.sent();
    peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", at + 5_001));
    assert_eq!(peer.counters().segmentation_fallbacks, 0);
}

/// What is lost then goes again in one, wherever it begins and ends.
#[test]
fn a_device_that_has_proven_itself_stays_trusted_and_repeats_in_one() {
    let mut peer = established(CAPS, 60_000);
    let mut at = 0;
    while at < 1_000 * CUT_SEGMENTS_TRUSTED as usize {
        peer.send(at, 10_000);
        peer.sent();
        at += 10_000;
        peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", at + 1));
    }
    let seq = |offset: usize| at + offset + 1;
    peer.send(at, 7_500);
    let (from, to) = (seq(0), seq(7_000));
    peer.expect(&std::format!(
        ". {from}:{to}(7000) ack 1 win 65535 cut 1000"
    ));
    // An odd number of bytes arrives, the rest is lost.
    peer.arrive(&std::format!(". 1:1(0) ack {} win 60000", seq(1_501)));
    peer.pass(200);
    let (from, to) = (seq(1_501), seq(2_501));
    peer.expect(&std::format!(". {from}:{to}(1000) ack 1 win 65535"));
    peer.arrive(&std::format!(". 1:1(0) ack {to} win 60000"));
    // Across the bounds of what was cut before, to a whole number of segments.
    let (from, to) = (seq(2_501), seq(4_501));
    peer.expect(&std::format!(
        ". {from}:{to}(2000) ack 1 win 65535 cut 1000"
    ));
    peer.silent();
    peer.arrive(&std::format!(". 1:1(0) ack {to} win 60000"));
    // And to the end of what is lost, which is short; what had to wait goes behind it.
    let (from, to) = (seq(4_501), seq(7_000));
    peer.expect(&std::format!(
        ". {from}:{to}(2499) ack 1 win 65535 cut 1000"
    ));
    peer.arrive(&std::format!(". 1:1(0) ack {to} win 60000"));
    let (from, to) = (seq(7_000), seq(7_500));
    peer.expect(&std::format!("P. {from}:{to}(500) ack 1 win 65535"));
    let counters = peer.counters();
    assert_eq!(counters.tcp_retransmits, 1 + 2 + 3);
    assert_eq!(counters.segmentation_fallbacks, 0);
}

/// What acknowledges a FIN is the last word on the flight that it ends, whoever closes first: ten
/// such flights of ten segments each are as good as any.
#[test]
fn flights_that_end_with_the_connection_are_judged() {
    const THEIRS: [&str; 2] = ["F. 1:1(0) ack 1 win 60000", ". 2:2(0) ack 10002 win 60000"];
    const OURS: [&str; 2] = [
        ". 1:1(0) ack 10002 win 60000",
        "F. 1:1(0) ack 10002 win 60000",
    ];
    const BOTH: [&str; 1] = ["F. 1:1(0) ack 10002 win 60000"];
    for (before, after) in [
        (&THEIRS[..1], &THEIRS[1..]),
        (&[][..], &OURS[..]),
        (&[], &BOTH),
    ] {
        let settings = Settings {
            sack: true,
            ..PLAIN
        };
        let mut peer = Peer::over(CAPS, Sizes::SMALL, settings);
        for _ in 0..CUT_SEGMENTS_TRUSTED / 10 {
            peer.port += 1;
            peer.arrive("S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>");
            peer.take_iss();
            peer.arrive(". 1:1(0) ack 1 win 60000");
            before.iter().for_each(|text| peer.arrive(text));
            peer.sent();
            peer.act(|conn| {
                conn.send_body(&super::peer::stream()[..10_000]).unwrap();
                conn.close();
            });
            assert!(peer.sent().iter().any(|sent| sent.offload.gso.is_some()));
            let taken = peer.counters().tcp_short_cuts;
            after.iter().for_each(|text| peer.arrive(text));
            let taken = peer.counters().tcp_short_cuts - taken;
            assert_eq!(taken, after.len() as u64, "{after:?}");
            peer.sent();
        }
        // The device is trusted: what is lost goes again in one.
        peer.port += 1;
        peer.app.lines.clear();
        peer.open(60_000);
        peer.send(0, 3_000);
        peer.pass(200);
        peer.sent();
        peer.arrive(". 1:1(0) ack 1001 win 60000");
        peer.expect("P. 1001:3001(2000) ack 1 win 65535 cut 1000");
    }
}
