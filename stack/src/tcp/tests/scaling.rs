//! The receive window: its scale, its growth, its right edge (RFC 7323 2, RFC 9293 3.8.6).

use std::string::String;
use std::vec::Vec;

use super::peer::{Peer, Sizes};
use crate::config::RCV_WND_MAX;
use crate::tcp::Settings;
use crate::tcp::cc::Algorithm;
use crate::tcp::seqnum::{SeqNum, WireWnd, WndScale};
use crate::wire::tcp::Segment;

const SCALING: Settings = Settings {
    short_cuts: true,
    sack: false,
    timestamps: false,
    window_scaling: true,
    quick_acks: 0,
    syn_cookies: false,
    fast_open: false,
    ecn: crate::tcp::EcnUse::Never,
    congestion: Algorithm::Cubic,
    station_seed: None,
};

/// A connection with window scaling that the other end opened over a path of `rtt_ms`. Our scale is
/// 3: 480 of 512 frames may hold data, and every second may be promised.
fn established(rtt_ms: u64) -> Peer {
    let mut peer = Peer::with(Sizes::SMALL, SCALING);
    peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,wscale 7>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    peer.pass(rtt_ms);
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.told(&["accepted"]);
    peer
}

/// What was acknowledged and promised by what was sent since the last time.
fn promises(peer: &mut Peer) -> Vec<(u32, u32)> {
    let scale = WndScale::from_wire(3);
    let peer_iss = peer.peer_iss;
    let promise = |bytes: &[u8]| {
        let segment = Segment::parse(&bytes[34..], bytes.len() - 34).unwrap();
        let ack = segment.ack.unwrap().bytes_since(peer_iss);
        (ack, segment.wnd.scaled(scale).0)
    };
    let sent = peer.sent();
    sent.iter().map(|sent| promise(&sent.bytes)).collect()
}

/// Sends `len` bytes from `seq` on in segments of `segment_len`.
fn feed(peer: &mut Peer, seq: &mut u32, len: u32, segment_len: u32) {
    let end = *seq + len;
    while *seq < end {
        let next = end.min(*seq + segment_len);
        peer.arrive(&std::format!(
            ". {seq}:{next}({}) ack 1 win 65535",
            next - *seq
        ));
        *seq = next;
    }
}

#[test]
fn a_scaled_window_begins_at_64_kib() {
    let mut peer = established(10);
    peer.arrive("P. 1:1001(1000) ack 1 win 65535");
    peer.arrive("P. 1001:2001(1000) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 2001 win 8192");
}

/// RFC 7323 2.2: in a SYN-ACK only if it was in the SYN.
#[test]
fn a_scale_is_offered_and_answered() {
    for (syn, expected) in [
        (
            "S 0:0(0) win 1000 <mss 1000,nop,wscale 0>",
            "<mss 1460,nop,wscale 3>",
        ),
        ("S 0:0(0) win 1000 <mss 1000>", "<mss 1460>"),
    ] {
        let mut peer = Peer::with(Sizes::SMALL, SCALING);
        peer.arrive(syn);
        peer.take_iss();
        peer.expect(&std::format!("S. 0:0(0) ack 1 win 65535 {expected}"));
    }
    let off = Settings {
        window_scaling: false,
        ..SCALING
    };
    let mut peer = Peer::with(Sizes::SMALL, off);
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 3>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 1000");
    assert_eq!(peer.act(|conn| conn.status()).snd_wnd, 1_000);
    peer.connect(5_000);
    peer.expect("S 0:0(0) win 65535 <mss 1460>");
    peer.arrive("S. 0:0(0) ack 1 win 500 <mss 1000,nop,wscale 3>");
    peer.expect(". 1:1(0) ack 1 win 65535");
    peer.arrive(". 1:1(0) ack 1 win 501");
    assert_eq!(peer.act(|conn| conn.status()).snd_wnd, 501);
}

/// What is taken in a round-trip time comes to half of the window: it doubles.
#[test]
fn a_window_that_holds_the_sender_back_grows() {
    let mut peer = established(10);
    let mut seq = 1;
    let mut widths = Vec::new();
    for len in [33_000, 33_000, 33_000, 33_000, 66_000, 66_000, 66_000] {
        feed(&mut peer, &mut seq, len, 1_000);
        peer.pass(10);
        widths.push(promises(&mut peer).last().unwrap().1);
    }
    // In a round-trip time each; what came in the last shows with the first segment after it.
    let wide = 131_072;
    assert_eq!(widths, [65_536, wide, wide, wide, wide, 2 * wide, 2 * wide]);
}

/// As fast as the window lets them, until half of the frames are promised.
#[test]
fn a_window_never_exceeds_the_frames() {
    let mut peer = established(10);
    let (mut seq, mut widest) = (1, 65_536);
    while seq < 900_000 {
        feed(&mut peer, &mut seq, widest / 2, 1_000);
        peer.pass(10);
        widest = promises(&mut peer).last().unwrap().1;
        assert!(widest <= 240 * 1_460, "{widest}");
    }
    assert!(widest > 230 * 1_460, "{widest}");
}

#[test]
fn a_slow_sender_or_a_slow_reader_gets_no_wider_window() {
    let mut peer = established(10);
    let mut seq = 1;
    for _ in 0..5 {
        feed(&mut peer, &mut seq, 20_000, 1_000);
        peer.pass(10);
    }
    // In bursts, with quiet times.
    for _ in 0..2 {
        peer.pass(1_000);
        feed(&mut peer, &mut seq, 30_000, 1_000);
    }
    assert!(
        promises(&mut peer)
            .iter()
            .all(|(_, width)| *width <= 65_536)
    );

    let mut peer = established(10);
    peer.app.takes_max = 10_000;
    let mut seq = 1;
    for _ in 0..6 {
        feed(&mut peer, &mut seq, 10_000, 1_000);
        peer.pass(10);
    }
    let (ack, width) = *promises(&mut peer).last().unwrap();
    assert_eq!(
        ack + width,
        1 + 10_000 + 65_536,
        "nothing but what was taken moved the edge"
    );
}

/// RFC 9293 3.8.6, SHLD-14: whatever the lengths of segments, though the header cannot say every
/// window.
#[test]
fn the_right_edge_never_moves_back() {
    for segment_len in [1_000, 999, 1_003, 777] {
        let mut peer = established(10);
        peer.app.takes_max = 0;
        let (mut seq, mut edge) = (1, 65_536);
        while seq < edge {
            let len = segment_len.min(edge - seq);
            feed(&mut peer, &mut seq, len, len);
            peer.pass(40);
            for (ack, width) in promises(&mut peer) {
                assert!(ack + width >= edge, "{ack} + {width} is before {edge}");
                edge = ack + width;
            }
        }
        assert!(edge <= 1 + 65_536 + 65_536 / 16 + 8, "{edge}");
        assert_eq!(peer.act(|conn| conn.status()).rcv_wnd, 0);
    }
}

/// Segments of one byte make the most of rounding up, and get no further for it.
#[test]
fn small_segments_do_not_widen_the_window() {
    let mut peer = established(10);
    peer.app.takes_max = 0;
    let mut seq = 1;
    feed(&mut peer, &mut seq, 65_000, 1_000);
    for _ in 0..6_000 {
        peer.arrive(&std::format!("P. {seq}:{}(1) ack 1 win 65535", seq + 1));
        peer.pass(40);
        let (ack, width) = *promises(&mut peer).last().unwrap();
        assert!(ack + width <= 1 + 65_536 + 65_536 / 16 + 8, "{ack} {width}");
        seq = ack;
    }
    let unread_len = peer.act(|conn| conn.status()).unread_len;
    assert!(unread_len <= 65_536 + 65_536 / 16 + 8, "{unread_len}");
}

/// A promise in bytes is kept in twice the frames of full segments, whatever is sent.
#[test]
fn segments_of_any_size_take_few_frames() {
    for segment_len in [1, 40, 257, 700, 999] {
        let mut peer = Peer::established(60_000);
        peer.app.takes_max = 0;
        let free_cnt = peer.pool.free_cnt();
        let len = if segment_len == 1 {
            5_000
        } else {
            RCV_WND_MAX - 1_000
        };
        let mut seq = 1;
        feed(&mut peer, &mut seq, len, segment_len);
        let held = free_cnt - peer.pool.free_cnt();
        assert!(
            held <= 8 + 2 * len / 1_900,
            "{held} frames for {segment_len}"
        );
        assert_eq!(peer.act(|conn| conn.status()).unread_len, len as usize);
    }
}

/// RFC 9293 3.8.6.3 counts full segments, and theirs are as long as they are: two short ones are
/// not two full ones.
#[test]
fn two_full_segments_of_theirs_are_acknowledged() {
    let mut peer = established(10);
    for n in 0..4 {
        let seq = 1 + n * 400;
        peer.arrive(&std::format!(". {seq}:{}(400) ack 1 win 65535", seq + 400));
        let due = n % 2 == 1;
        assert_eq!(promises(&mut peer).len(), usize::from(due));
    }
    for n in 0..3 {
        let seq = 1_601 + n * 200;
        peer.arrive(&std::format!("P. {seq}:{}(200) ack 1 win 65535", seq + 200));
        assert_eq!(promises(&mut peer).len(), 0, "short and pushed");
    }
    peer.pass(40);
    peer.expect(". 1:1(0) ack 2201 win 8192");
}

/// The first segments, and the first after a quiet time, are acknowledged one by one.
#[test]
fn the_first_segments_are_acknowledged_at_once() {
    let settings = Settings {
        quick_acks: 3,
        ..SCALING
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.open(60_000);
    let acks = |peer: &mut Peer, seq: &mut u32| -> Vec<usize> {
        let one = |_| {
            feed(peer, seq, 1_000, 1_000);
            peer.sent().len()
        };
        (0..7).map(one).collect()
    };
    let mut seq = 1;
    assert_eq!(acks(&mut peer, &mut seq), [1, 1, 1, 0, 1, 0, 1]);
    peer.pass(100);
    assert_eq!(acks(&mut peer, &mut seq), [0, 1, 0, 1, 0, 1, 0]);
    // More than a timeout and a round-trip time after the last measurement.
    peer.pass(300);
    peer.sent();
    assert_eq!(acks(&mut peer, &mut seq), [1, 1, 1, 0, 1, 0, 1]);
    let lines: Vec<String> = std::mem::take(&mut peer.app.lines);
    assert_eq!(lines.len(), 21);
}

#[test]
fn a_window_of_a_cookie_scales() {
    let settings = Settings {
        syn_cookies: true,
        timestamps: true,
        ..SCALING
    };
    let mut peer = Peer::with(
        Sizes {
            syns: 0,
            ..Sizes::SMALL
        },
        settings,
    );
    peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,nop,TS val 100 ecr 0,nop,wscale 7>");
    peer.take_iss();
    let sent = peer.sent();
    assert_eq!(sent.len(), 1);
    peer.arrive("P. 1:1001(1000) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    peer.pass(40);
    assert_eq!(promises(&mut peer), [(1_001, 65_536)]);
    let edge = SeqNum(0) + WireWnd(8_192).scaled(WndScale::from_wire(3)).0;
    assert_eq!(edge, SeqNum(65_536));
}
