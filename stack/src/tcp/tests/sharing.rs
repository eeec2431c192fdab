//! Many connections and few frames: who keeps what, and what goes first (`budget.rs`).

use std::vec::Vec;

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::{ConnId, SendError, Settings};

/// Room for many, over 512 frames: 480 for received data, pressure below 120, shortage below 60.
const MANY: Sizes = Sizes {
    conns: 100,
    syns: 8,
    gaps: 100,
    bodies: 800,
    ..Sizes::SMALL
};

const PRESSURE: u32 = 32 + 120;
const SHORTAGE: u32 = 32 + 60;

/// One of the other ends.
#[derive(Clone, Copy)]
struct End {
    port: u16,
    our_iss: SeqNum,
    id: Option<ConnId>,
}

fn world() -> Peer {
    let settings = Settings {
        timestamps: false,
        window_scaling: false,
        quick_acks: 0,
        ..Settings::default()
    };
    Peer::with(MANY, settings)
}

/// Opens `cnt` connections with SACK.
fn open(peer: &mut Peer, cnt: u16) -> Vec<End> {
    let one = |n| {
        peer.port = 10_000 + n;
        peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>");
        peer.take_iss();
        assert_eq!(peer.sent().len(), 1);
        peer.arrive(". 1:1(0) ack 1 win 65535");
        End {
            port: peer.port,
            our_iss: peer.our_iss,
            id: peer.app.last,
        }
    };
    (0..cnt).map(one).collect()
}

fn speak_as(peer: &mut Peer, end: End) {
    (peer.port, peer.our_iss) = (end.port, end.our_iss);
    peer.app.last = end.id;
}

/// Sends data of one end in segments of 1,000 bytes within the window that it was told, as if
/// everything had come before that is not sent; what we answer is not looked at.
fn feed(peer: &mut Peer, end: End, from: u32, segments: u32) {
    speak_as(peer, end);
    for n in 0..segments {
        let seq = from + 1_000 * n;
        peer.arrive(&std::format!(
            ". {seq}:{}(1000) ack 1 win 65535",
            seq + 1_000
        ));
        peer.sent();
    }
}

/// The window that an end is told now, in answer to something old.
fn window(peer: &mut Peer, end: End) -> u32 {
    speak_as(peer, end);
    peer.sent();
    peer.arrive(". 0:0(0) ack 1 win 65535");
    let bytes = peer.sent().pop().expect("an answer").bytes;
    crate::wire::tcp::Segment::parse(&bytes[34..], bytes.len() - 34)
        .expect("a segment")
        .wnd
        .0
        .into()
}

/// Readers that take nothing fill their windows until frames are short, and hold no more than their
/// share then; who takes what comes goes on as if they were not there.
#[test]
fn stalled_readers_do_not_stop_the_others() {
    let mut peer = world();
    let ends = open(&mut peer, 12);
    let (stalled, others) = ends.split_at(9);
    peer.app.takes_max = 0;
    for round in 0..65 {
        for end in stalled {
            feed(&mut peer, *end, 1 + 1_000 * round, 1);
        }
    }
    let free_cnt = peer.pool.free_cnt();
    assert!(free_cnt <= SHORTAGE, "they hold what they may: {free_cnt}");
    // Nine hold a tenth each, and a tenth is left.
    assert!(free_cnt >= 32 + 48, "and no more: {free_cnt}");
    let dropped = peer.dropped(DropReason::TcpNoMemory);
    assert!(dropped > 0);
    peer.app.takes_max = usize::MAX;
    for end in others {
        // Each takes the same stream from its start.
        peer.app.taken = 0;
        feed(&mut peer, *end, 1, 60);
        assert_eq!(peer.app.taken, 60_000);
    }
    assert_eq!(peer.dropped(DropReason::TcpNoMemory), dropped);
    assert!(peer.pool.free_cnt() >= free_cnt);
}

/// Under pressure, a new window promises no more than a share.
#[test]
fn windows_are_shared_under_pressure() {
    let mut peer = world();
    let ends = open(&mut peer, 9);
    peer.app.takes_max = 0;
    for end in &ends[..7] {
        feed(&mut peer, *end, 1, 51);
    }
    assert!(peer.pool.free_cnt() > PRESSURE);
    // Half of the frames that are free.
    let free_cnt = peer.pool.free_cnt() - 32;
    let newcomer = ends[7];
    speak_as(&mut peer, newcomer);
    feed(&mut peer, newcomer, 1, 1);
    assert_eq!(
        window(&mut peer, newcomer),
        64_535,
        "what the SYN-ACK has promised"
    );
    assert!(free_cnt / 2 * 1_460 > 65_535);
    feed(&mut peer, newcomer, 1_001, 20);
    assert!(peer.pool.free_cnt() < PRESSURE);
    // One who comes now is told half of a ninth of 480 frames in the SYN-ACK.
    peer.port = 20_000;
    peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 37960 <mss 1460,nop,nop,sackOK>");
}

/// Floods of out-of-order data on many connections take frames up to the shortage. From there on,
/// each segment that comes costs one of them what it holds, and an honest connection loses nothing
/// that is in order.
#[test]
fn a_flood_behind_gaps_does_not_stop_an_honest_connection() {
    let mut peer = world();
    let ends = open(&mut peer, 60);
    let (flood, honest) = ends.split_at(59);
    let mut seq = 1;
    for round in 0..40 {
        for end in flood {
            feed(&mut peer, *end, 2_001 + 1_500 * (round % 30), 1);
        }
        feed(&mut peer, honest[0], seq, 1);
        seq += 1_000;
        assert_eq!(peer.app.taken as u32, seq - 1);
        assert!(peer.pool.free_cnt() > 32 + 50, "{}", peer.pool.free_cnt());
    }
    assert!(peer.counters().tcp_frames_shed > 1_000);
    // It may have a gap, too.
    feed(&mut peer, honest[0], seq + 1_000, 1);
    feed(&mut peer, honest[0], seq, 1);
    assert_eq!(peer.app.taken as u32, seq + 1_999);
    // What was given up comes again, and is not told of meanwhile.
    let victim = flood[0];
    speak_as(&mut peer, victim);
    peer.app.taken = 0;
    for n in 0..3 {
        feed(&mut peer, victim, 1 + 1_000 * n, 1);
    }
    assert!(peer.app.taken >= 3_000);
    for end in ends {
        speak_as(&mut peer, end);
        peer.arrive(". 0:0(0) ack 1 win 65535");
        peer.sent();
    }
}

/// The one that holds most is shed first, and its acknowledgments say so no more (RFC 2018 8).
#[test]
fn the_largest_is_shed_and_told_of_no_more() {
    let mut peer = world();
    let ends = open(&mut peer, 3);
    let (small, large, honest) = (ends[0], ends[1], ends[2]);
    feed(&mut peer, small, 1_001, 5);
    feed(&mut peer, large, 1_001, 20);
    let mut held = Vec::new();
    while peer.pool.free_cnt() >= SHORTAGE {
        held.extend(peer.pool.alloc(0));
    }
    feed(&mut peer, honest, 1, 1);
    assert_eq!(peer.counters().tcp_frames_shed, 20);
    assert_eq!(peer.stack.levels().gaps, 1);
    speak_as(&mut peer, large);
    peer.arrive(". 0:0(0) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535");
    speak_as(&mut peer, small);
    peer.arrive(". 0:0(0) ack 1 win 65535");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:6001>");
    // Recovered by sending again.
    peer.app.taken = 0;
    feed(&mut peer, large, 1, 21);
    assert_eq!(peer.app.taken, 21_000);
    drop(held);
}

/// What a connection holds is counted for as long as it holds it.
#[test]
fn receivers_are_counted() {
    let mut peer = world();
    let ends = open(&mut peer, 4);
    peer.app.takes_max = 0;
    assert_eq!(peer.stack.levels().receivers, 0);
    feed(&mut peer, ends[0], 1, 1);
    feed(&mut peer, ends[1], 2_001, 1);
    feed(&mut peer, ends[1], 4_001, 1);
    feed(&mut peer, ends[2], 1, 1);
    assert_eq!(peer.stack.levels().receivers, 3);
    speak_as(&mut peer, ends[0]);
    peer.arrive("R. 1001:1001(0) ack 1 win 0");
    assert_eq!(peer.stack.levels().receivers, 2);
    peer.app.takes_max = usize::MAX;
    feed(&mut peer, ends[1], 1, 2);
    assert_eq!(peer.stack.levels().receivers, 2, "a gap is left");
    feed(&mut peer, ends[1], 3_001, 1);
    assert_eq!(peer.stack.levels().receivers, 1);
}

/// Generated bytes of one end: how many of `pieces` are taken.
fn generate(peer: &mut Peer, end: End, pieces: usize) -> usize {
    speak_as(peer, end);
    let sent = peer.act(|conn| (0..pieces).map(|_| conn.send(b"hello")).collect::<Vec<_>>());
    peer.sent();
    let taken = sent.iter().take_while(|sent| sent.is_ok()).count();
    let refused = |sent: &Result<(), SendError>| *sent == Err(SendError::NoFrame);
    assert!(sent[taken..].iter().all(refused));
    taken
}

/// Of 480 frames, generated bytes may be in 360, and the last quarter of those is for connections
/// that have none: what comes in always has a quarter of all.
#[test]
fn generated_bytes_leave_frames_to_received_data_and_to_each_other() {
    let mut peer = world();
    let ends = open(&mut peer, 95);
    for end in &ends[..33] {
        assert_eq!(generate(&mut peer, *end, 8), 8);
    }
    // 264 are taken, 270 by whoever comes first.
    assert_eq!(generate(&mut peer, ends[33], 8), 6);
    assert_eq!(peer.stack.levels().generated, 270);
    assert_eq!(peer.counters().tcp_sends_refused, 2);
    for end in &ends[34..] {
        assert_eq!(generate(&mut peer, *end, 2), 1);
    }
    assert_eq!(generate(&mut peer, ends[0], 1), 0, "it has some");
    assert!(peer.pool.free_cnt() > 32 + 480 / 4);
    feed(&mut peer, ends[0], 1, 10);
    assert_eq!(peer.app.taken, 10_000);
    // Content needs no frame. What is acknowledged makes room, and whoever was refused is told.
    assert_eq!(peer.act(|conn| conn.send_body(b"content")), Ok(()));
    peer.sent();
    peer.app.lines.clear();
    peer.arrive(". 10001:10001(0) ack 41 win 65535");
    peer.told(&["writable"]);
    assert_eq!(peer.stack.levels().generated, 270 + 61 - 8);
    for end in ends {
        speak_as(&mut peer, end);
        peer.act(|conn| conn.abort());
    }
    assert_eq!(peer.stack.levels().generated, 0);
}

/// Not even one piece for each: then a send waits until something is acknowledged.
#[test]
fn all_generated_bytes_together_are_bounded() {
    let mut peer = Peer::new(Sizes {
        frames: 32 + 9,
        ..Sizes::SMALL
    });
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 5840 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 60000");
    // Seven of nine frames; one of those for others.
    let sent = peer.act(|conn| [(); 7].map(|()| conn.send(b"x").is_ok()));
    assert_eq!(sent, [true, true, true, true, true, true, false]);
    peer.sent();
    peer.pass(10);
    peer.told(&["accepted"]);
    peer.arrive(". 1:1(0) ack 2 win 60000");
    peer.told(&["writable"]);
}
