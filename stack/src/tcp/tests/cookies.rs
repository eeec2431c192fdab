//! SYNs that find the SYN queue full (RFC 4987 3.6).

use super::peer::{Peer, Sizes};
use crate::DropReason;
use crate::tcp::Settings;

/// A listener whose SYN queue two other clients have filled, with nothing left to see of it.
fn flooded() -> Peer {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    for port in [1, 2] {
        peer.port = port;
        peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    }
    peer.sent();
    peer.port = 3;
    peer
}

#[test]
fn a_cookie_brings_back_all_options_by_timestamps() {
    let mut peer = flooded();
    peer.arrive("S 0:0(0) win 65535 <mss 1400,sackOK,TS val 100 ecr 0,nop,wscale 7>");
    peer.take_iss();
    assert_eq!(peer.stack.levels().syns, 2, "nothing is kept");
    let options = "<mss 1460,sackOK,TS val 1 ecr 100,nop,wscale 3>";
    peer.expect(&std::format!("S. 0:0(0) ack 1 win 65535 {options}"));
    peer.arrive("P. 1:11(10) ack 1 win 100 <nop,nop,TS val 101 ecr 1>");
    peer.told(&["accepted", "received 10 took 10"]);
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.smss, status.snd_wnd), (1_400 - 12, 100 << 7));
    let counters = peer.counters();
    assert_eq!(
        (counters.tcp_cookies_sent, counters.tcp_cookies_accepted),
        (1, 1)
    );
}

#[test]
fn without_timestamps_a_cookie_brings_back_the_mss() {
    let mut peer = flooded();
    peer.arrive("S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK,nop,wscale 7>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 100");
    peer.told(&["accepted"]);
    let status = peer.act(|conn| conn.status());
    assert_eq!((status.smss, status.snd_wnd), (536, 100));
}

#[test]
fn a_cookie_brings_back_congestion_marks_by_timestamps() {
    let rows = [
        ("SEW", "<mss 1000,sackOK,TS val 100 ecr 0>", 0x40, 2),
        ("S", "<mss 1000,sackOK,TS val 100 ecr 0>", 0, 0),
        ("SEW", "<mss 1000>", 0, 0),
    ];
    for (syn, options, echo, codepoint) in rows {
        let mut peer = flooded();
        peer.arrive(&std::format!("{syn} 0:0(0) win 65535 {options}"));
        peer.take_iss();
        // ECE in the SYN-ACK, and not CWR.
        assert_eq!(peer.sent()[0].bytes[47], 0x12 | echo);
        let stamp = if options.contains("TS") {
            " <nop,nop,TS val 101 ecr 1>"
        } else {
            ""
        };
        peer.arrive(&std::format!(". 1:1(0) ack 1 win 1000{stamp}"));
        peer.send(0, 100);
        assert_eq!(peer.sent()[0].bytes[15], codepoint);
    }
}

#[test]
fn what_is_no_cookie_is_refused() {
    let mut peer = flooded();
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 2 win 100");
    peer.expect("R 2:2(0) win 0");
    peer.port = 4;
    peer.arrive(". 1:1(0) ack 1 win 100");
    peer.expect("R 1:1(0) win 0");
    peer.port = 3;
    assert_eq!(peer.dropped(DropReason::TcpNoConnection), 2);
    peer.pass(129_000);
    peer.sent();
    peer.arrive(". 1:1(0) ack 1 win 100");
    peer.expect("R 1:1(0) win 0");
    peer.told(&[]);
}

/// The first two segments behind the SYN arrive swapped: the second is as good as lost, and the
/// first completes the handshake.
#[test]
fn text_ahead_of_a_cookie_is_dropped_in_silence() {
    let mut peer = flooded();
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive("P. 537:637(100) ack 1 win 1000");
    peer.silent();
    assert_eq!(peer.dropped(DropReason::TcpAheadOfCookie), 1);
    assert_eq!(peer.stack.levels().conns, 0);
    peer.arrive(". 1:537(536) ack 1 win 1000");
    peer.told(&["accepted", "received 536 took 536"]);
    peer.expect(". 1:1(0) ack 537 win 65535");
    peer.arrive("P. 537:637(100) ack 1 win 1000");
    peer.told(&["received 100 took 100"]);
    assert_eq!(peer.counters().tcp_resets_out, 0);
}

/// A cookie is as good the second time: a late copy of the segment that brought it must not begin
/// the connection, and what it asks for, again.
#[test]
fn a_late_copy_of_a_cookie_does_not_begin_again() {
    let mut peer = flooded();
    peer.app.closes = true;
    peer.arrive("S 0:0(0) win 65535 <mss 1000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive("P. 1:101(100) ack 1 win 1000");
    peer.told(&["accepted", "received 100 took 100"]);
    peer.arrive("F. 101:101(0) ack 1 win 1000");
    peer.told(&["finished"]);
    peer.expect(". 1:1(0) ack 101 win 65535");
    peer.expect("F. 1:1(0) ack 102 win 65535");
    peer.arrive(". 102:102(0) ack 2 win 1000");
    peer.told(&["closed: finished"]);
    peer.arrive("P. 1:101(100) ack 1 win 1000");
    peer.told(&[]);
    peer.expect(". 2:2(0) ack 102 win 0");
    // The client may go on.
    assert_eq!(peer.stack.levels().time_waits, 1);
    peer.arrive("S 200:200(0) win 65535 <mss 1000>");
    assert_eq!(peer.stack.levels().time_waits, 0);
}

/// Nothing is kept of the SYN, so nothing is too old for the segment that completes the handshake
/// (RFC 7323 5.3 needs a TS.Recent); what comes after it is compared with it.
#[test]
fn timestamps_are_compared_from_the_cookie_on() {
    let mut peer = flooded();
    peer.arrive("S 0:0(0) win 65535 <mss 1400,sackOK,TS val 100 ecr 0,nop,wscale 7>");
    peer.take_iss();
    peer.sent();
    peer.arrive("P. 1:11(10) ack 1 win 100 <nop,nop,TS val 99 ecr 1>");
    peer.told(&["accepted", "received 10 took 10"]);
    peer.arrive("P. 11:21(10) ack 1 win 100 <nop,nop,TS val 98 ecr 1>");
    peer.told(&[]);
    assert_eq!(peer.dropped(DropReason::TcpOldTimestamps), 1);
    peer.arrive("P. 11:21(10) ack 1 win 100");
    assert_eq!(peer.dropped(DropReason::TcpNoTimestamps), 1);
    peer.arrive("P. 11:21(10) ack 1 win 100 <nop,nop,TS val 99 ecr 1>");
    peer.told(&["received 10 took 10"]);
}

/// No place for the connection: the client's data comes again, and nothing is refused.
#[test]
fn a_cookie_waits_for_a_place_in_the_table() {
    let mut peer = flooded();
    let accepted = Sizes::SMALL.conns as u16;
    for port in 3..4 + accepted {
        peer.port = port;
        peer.arrive("S 0:0(0) win 65535 <mss 1000>");
        peer.take_iss();
        peer.sent();
        peer.arrive(". 1:1(0) ack 1 win 100");
        peer.silent();
    }
    assert_eq!(peer.dropped(DropReason::TcpTableFull), 1);
    assert_eq!(peer.stack.levels().conns, usize::from(accepted));
}
