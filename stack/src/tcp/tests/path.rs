//! What the path says, and what of it is believed (RFC 1191, RFC 5927, RFC 4821).

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::config::NARROWED_MAX;
use crate::tcp::Settings;
use crate::testing::{OUR_IP, OUR_MAC, PEER_IP, datagram, frame};
use crate::wire::checksum::Sum;

const FRAG_NEEDED: u8 = 4;
const PORT: u8 = 3;
const HOST: u8 = 1;

impl Peer {
    /// A router says that it could not pass our segment of `len` bytes that began at `seq`.
    fn unreachable(&mut self, code: u8, mtu: u16, seq: u32, len: usize) {
        let mut segment = self.our_port.to_be_bytes().to_vec();
        segment.extend(self.port.to_be_bytes());
        segment.extend((self.our_iss + seq).0.to_be_bytes());
        segment.resize(20 + len, 0);
        let quoted = datagram(OUR_IP, PEER_IP, 6, &segment);
        let mut bytes = std::vec![3, code, 0, 0, 0, 0];
        bytes.extend(mtu.to_be_bytes());
        bytes.extend(&quoted[..28]);
        let csum = Sum::of(&bytes).finish().to_be_bytes();
        bytes[2..4].copy_from_slice(&csum);
        let router = [10, 0, 0, 99];
        self.arrive_frame(&frame(OUR_MAC, &datagram(router, OUR_IP, 1, &bytes)));
    }
}

#[test]
fn a_narrow_path_makes_segments_smaller_at_once() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 2_000);
    peer.expect(". 1:1001(1000) ack 1 win 65535");
    peer.expect("P. 1001:2001(1000) ack 1 win 65535");
    peer.unreachable(FRAG_NEEDED, 640, 1, 1_000);
    peer.expect(". 1:601(600) ack 1 win 65535");
    peer.expect(". 601:1201(600) ack 1 win 65535");
    peer.expect(". 1201:1801(600) ack 1 win 65535");
    peer.expect("P. 1801:2001(200) ack 1 win 65535");
    assert_eq!(peer.counters().path_mtu_updates, 1);
    let cwnd = peer.act(|conn| conn.status().cwnd);
    assert_eq!(cwnd, 10_000, "no sign of congestion");
}

/// RFC 1191 6.4: of a burst, each segment is complained about; it is sent again once.
#[test]
fn a_burst_that_was_too_large_is_sent_again_once() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 3_000);
    peer.sent();
    peer.unreachable(FRAG_NEEDED, 640, 1, 1_000);
    assert_eq!(peer.sent().len(), 5);
    for n in 1..3 {
        peer.unreachable(FRAG_NEEDED, 640, 1_000 * n + 1, 1_000);
    }
    peer.silent();
    assert_eq!(peer.counters().path_mtu_updates, 1);
}

/// The next connection to the same host knows.
#[test]
fn a_narrow_path_is_remembered() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 1_000);
    peer.unreachable(FRAG_NEEDED, 640, 1, 1_000);
    peer.act(|conn| conn.abort());
    peer.sent();
    peer.app.lines.clear();
    peer.port += 1;
    peer.open(65_535);
    assert_eq!(peer.act(|conn| conn.status().smss), 600);
}

#[test]
fn an_old_router_means_the_next_plateau() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 1_000);
    peer.unreachable(FRAG_NEEDED, 0, 1, 1_000);
    assert_eq!(peer.act(|conn| conn.status().smss), 1_006 - 40);
}

#[test]
fn what_was_not_sent_or_is_long_acknowledged_is_not_believed() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 3_000);
    peer.arrive(". 1:1(0) ack 1001 win 65535");
    peer.sent();
    for seq in [1, 1_000, 3_001, 0x8000_0000] {
        peer.unreachable(FRAG_NEEDED, 640, seq, 1_000);
    }
    assert_eq!(peer.dropped(DropReason::IcmpStale), 4);
    peer.port += 1;
    peer.unreachable(FRAG_NEEDED, 640, 1_001, 1_000);
    assert_eq!(peer.dropped(DropReason::IcmpStale), 5, "no connection");
    peer.silent();
}

/// RFC 5927 7.2: while full segments are acknowledged, the error is a lie.
#[test]
fn a_size_that_got_through_is_doubted_only_after_a_timeout() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 3_000);
    peer.arrive(". 1:1(0) ack 1001 win 65535");
    peer.arrive(". 1:1(0) ack 2001 win 65535");
    peer.sent();
    peer.unreachable(FRAG_NEEDED, 640, 2_001, 1_000);
    peer.silent();
    assert_eq!(peer.counters().icmp_errors_ignored, 1);
    peer.pass(300);
    assert_eq!(peer.sent().len(), 1);
    peer.unreachable(FRAG_NEEDED, 640, 2_001, 1_000);
    peer.expect(". 2001:2601(600) ack 1 win 65535");
}

#[test]
fn absurd_sizes_are_ignored() {
    let mut peer = Peer::established(65_535);
    peer.send(0, 1_000);
    peer.sent();
    for mtu in [1, 68, 103, 1_040, 1_500, u16::MAX] {
        peer.unreachable(FRAG_NEEDED, mtu, 1, 1_000);
    }
    assert_eq!(peer.counters().icmp_errors_ignored, 6);
    peer.silent();
}

/// RFC 9293 SHLD-26 and MUST-56: a hard error ends an open, and nothing ends a connection.
#[test]
fn a_hard_error_refuses_an_open_and_leaves_a_connection_alone() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(5_000);
    peer.sent();
    peer.unreachable(HOST, 0, 0, 0);
    peer.told(&["soft error: Unreachable"]);
    peer.unreachable(PORT, 0, 0, 0);
    peer.told(&["closed: refused"]);
    peer.gone();

    let mut peer = Peer::established(65_535);
    peer.send(0, 1_000);
    for code in [PORT, HOST] {
        peer.unreachable(code, 0, 1, 1_000);
    }
    peer.told(&["soft error: PortUnreachable", "soft error: Unreachable"]);
    assert_eq!(peer.counters().icmp_errors_ignored, 2);
    // What was not in flight is not worth telling.
    peer.unreachable(HOST, 0, 1_001, 1_000);
    peer.told(&[]);
}

/// RFC 1122 4.1.3.3: of a port that is bound.
#[test]
fn an_undelivered_datagram_is_told_to_its_port() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.stack.bind(7).unwrap();
    for (port, told) in [
        (7_u16, &["undelivered 7 to 9: PortUnreachable"][..]),
        (8, &[]),
    ] {
        let mut header = port.to_be_bytes().to_vec();
        header.extend([0, 9, 0, 8, 0, 0]);
        let mut bytes = std::vec![3, PORT, 0, 0, 0, 0, 0, 0];
        bytes.extend(datagram(OUR_IP, PEER_IP, 17, &header));
        let csum = Sum::of(&bytes).finish().to_be_bytes();
        bytes[2..4].copy_from_slice(&csum);
        peer.arrive_frame(&frame(OUR_MAC, &datagram(PEER_IP, OUR_IP, 1, &bytes)));
        peer.told(told);
    }
}

/// RFC 4821 7.7: full segments are lost, and nobody says why.
#[test]
fn a_black_hole_makes_segments_smaller() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 65535 <mss 1460>");
    peer.take_iss();
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.send(0, 1_460);
    let mut lens = std::vec::Vec::new();
    for _ in 0..7 {
        peer.sent();
        let timeouts = peer.counters().tcp_timeouts;
        while peer.counters().tcp_timeouts == timeouts {
            peer.pass(100);
        }
        lens.push(peer.sent()[0].bytes.len() - 54);
    }
    assert_eq!(lens, [1_460, 1_460, 1_024, 1_024, 536, 536, 536]);
    assert_eq!(peer.counters().tcp_black_holes, 2);
}

/// What looked like a black hole was an outage, or the path is wide again: after ten minutes
/// segments are as large as before; and if they are lost again, small again.
#[test]
fn segments_become_as_large_again_after_ten_minutes() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 65535 <mss 1460>");
    peer.take_iss();
    peer.arrive(". 1:1(0) ack 1 win 65535");
    peer.act(|conn| conn.set_nodelay(true));
    peer.send(0, 1_460);
    while peer.counters().tcp_black_holes < 2 {
        peer.pass(100);
    }
    peer.arrive(". 1:1(0) ack 1461 win 65535");
    peer.sent();
    let mut una = 1_460;
    let mut longest = |peer: &mut Peer| {
        peer.send(una, 1_460);
        una += 1_460;
        let sent = peer.sent();
        peer.arrive(&std::format!(". 1:1(0) ack {} win 65535", una + 1));
        sent.iter().map(|sent| sent.bytes.len() - 54).max()
    };
    assert_eq!(longest(&mut peer), Some(536));
    peer.pass(599_000);
    assert_eq!(longest(&mut peer), Some(536));
    peer.pass(1_000);
    assert_eq!(longest(&mut peer), Some(1_460));
    assert_eq!(peer.act(|conn| conn.status()).smss, 1_460);
    // A router's word is as good for it.
    peer.send(una, 1_460);
    peer.pass(1_000);
    peer.unreachable(FRAG_NEEDED, 640, una as u32 + 1, 1_460);
    assert_eq!(peer.act(|conn| conn.status()).smss, 600);
    peer.arrive(&std::format!(". 1:1(0) ack {} win 65535", una + 1_461));
    peer.pass(600_000);
    peer.act(|_| ());
    assert_eq!(peer.act(|conn| conn.status()).smss, 1_460);
}

/// There is no place for all: those that became narrow first stay so, and nothing else happens.
#[test]
fn connections_that_are_narrow_are_remembered_as_far_as_there_is_room() {
    let sizes = Sizes {
        conns: NARROWED_MAX + 1,
        ..Sizes::SMALL
    };
    let mut peer = Peer::new(sizes);
    let mut conns = std::vec::Vec::new();
    for n in 0..=NARROWED_MAX as u16 {
        peer.port = 10_000 + n;
        peer.open(65_535);
        conns.push(peer.app.last);
        peer.act(|conn| conn.set_nodelay(true));
        peer.send(0, 1_000);
        peer.unreachable(FRAG_NEEDED, 640 - n, 1, 1_000);
        peer.sent();
        let ack = ". 1:1(0) ack 1001 win 65535";
        peer.arrive(ack);
        peer.sent();
    }
    peer.pass(600_000);
    let smss: std::vec::Vec<u16> = conns
        .into_iter()
        .map(|id| {
            peer.app.last = id;
            peer.act(|_| ());
            peer.act(|conn| conn.status()).smss
        })
        .collect();
    // The first began with 1,000, each other with what the one before had found out.
    let expected: std::vec::Vec<u16> = (0..=NARROWED_MAX as u16).map(|n| 601 - n.max(1)).collect();
    assert_eq!(smss, expected);
}

/// RFC 5961 7: a flood of guesses costs a bounded number of answers.
#[test]
fn challenge_acks_are_throttled() {
    let mut peer = Peer::established(65_535);
    for _ in 0..2_000 {
        peer.arrive("R 100:100(0) win 0");
    }
    let counters = peer.counters();
    let (sent, held_back) = (
        counters.tcp_challenge_acks,
        counters.tcp_challenge_acks_suppressed,
    );
    assert_eq!(sent + held_back, 2_000);
    assert!((500..1_500).contains(&sent), "{sent}");
    assert_eq!(peer.sent().len() as u64, sent);
    peer.pass(1_000);
    peer.arrive("R 100:100(0) win 0");
    peer.expect(". 1:1(0) ack 1 win 65535");
}
