//! What the fields of the header mean: windows, options, urgent pointers, initial numbers, ports.

use core::num::NonZeroU8;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::peer::{Diary, Peer, Sizes, fill_checksum, storage, stream};
use crate::DropReason;
use crate::addr::{Endpoint, FourTuple};
use crate::random::Random;
use crate::tcp::tuple::Tuple;
use crate::tcp::{ConnectError, ListenError, Settings, Tcp};
use crate::testing::{OUR_IP, PEER_IP, v4};
use crate::time::{Duration, Instant};

/// RFC 9293 3.1, MUST-1: as a signed number this window would be negative.
#[test]
fn a_window_is_unsigned() {
    let mut peer = Peer::established(65_535);
    assert_eq!(peer.act(|conn| conn.status()).snd_wnd, 65_535);
    peer.send(0, 1_000);
    peer.expect("P. 1:1001(1000) ack 1 win 65535");
}

/// RFC 9293 3.7.1, MUST-15.
#[test]
fn without_an_mss_option_segments_have_536_bytes() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 60000");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.send(0, 1_072);
    peer.expect(". 1:537(536) ack 1 win 65535");
    peer.expect("P. 537:1073(536) ack 1 win 65535");
    peer.silent();
}

/// RFC 9293 3.7.1, MUST-16: the smaller of what they take and what our link carries.
#[test]
fn an_mss_beyond_our_mtu_does_not_count() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.arrive("S 0:0(0) win 60000 <mss 9000>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    peer.arrive(". 1:1(0) ack 1 win 60000");
    peer.send(0, 2_920);
    peer.expect(". 1:1461(1460) ack 1 win 65535");
    peer.expect("P. 1461:2921(1460) ack 1 win 65535");
}

/// RFC 9293 3.1, MUST-5 and MUST-6: known or not, in place or not.
#[test]
fn an_option_may_come_in_any_segment() {
    let mut peer = Peer::established(60_000);
    peer.arrive("P. 1:11(10) ack 1 win 60000 <mss 77,nop,wscale 9>");
    peer.told(&["received 10 took 10"]);
    assert_eq!(peer.act(|conn| conn.status()).smss, 1_000);
    // RFC 7323 3.2: timestamps that were not agreed on are ignored, however old.
    peer.sent();
    for val in [100, 99] {
        let stamp = std::format!("<nop,nop,TS val {val} ecr 7>");
        peer.arrive(&std::format!("P. 1:11(10) ack 1 win 60000 {stamp}"));
        peer.expect(". 1:1(0) ack 11 win 65535");
    }
    assert_eq!(peer.dropped(DropReason::TcpOldTimestamps), 0);
    let mut bytes = peer.segment("P. 11:21(10) ack 1 win 60000 <mss 77>");
    for kind in [0, 1, 6, 19, 28, 76, 253, 255] {
        bytes[20] = kind;
        bytes[16..18].fill(0);
        fill_checksum(&mut bytes, PEER_IP, OUR_IP);
        peer.arrive_bytes(&bytes);
    }
    peer.told(&["received 10 took 10"]);
    assert_eq!(peer.act(|conn| conn.status()).snd_wnd, 60_000);
}

/// RFC 9293 3.8.5, RFC 6093: the pointer is skipped, whatever it says; the bytes stay where they
/// are.
#[test]
fn urgent_data_stays_in_the_stream() {
    let mut peer = Peer::established(60_000);
    let mut seq = 1;
    for pointer in [0_u16, 1, 5, 10, 11, u16::MAX] {
        let mut bytes = peer.segment(&std::format!("UP. {seq}:{}(10) ack 1 win 60000", seq + 10));
        bytes[18..20].copy_from_slice(&pointer.to_be_bytes());
        fill_checksum(&mut bytes, PEER_IP, OUR_IP);
        peer.arrive_bytes(&bytes);
        peer.told(&["received 10 took 10"]);
        seq += 10;
    }
    assert_eq!(peer.app.taken, 60);
    assert_eq!(peer.counters().tcp_urgent_in, 6);
}

/// RFC 9293 3.10.7.4, second; SHLD-2.
#[test]
fn a_reset_may_carry_text() {
    let mut peer = Peer::established(60_000);
    peer.arrive("R 1:21(20)");
    peer.told(&["closed: reset by the far side"]);
    peer.silent();
    peer.gone();
}

/// RFC 9293 3.10.4 queues a close until the handshake is done; what was sent before it goes first.
#[test]
fn a_close_while_opening_waits_for_the_handshake() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.act(|conn| {
        conn.send_body(&stream()[..100]).unwrap();
        conn.close();
    });
    peer.silent();
    peer.arrive("S. 0:0(0) ack 1 win 60000 <mss 1000>");
    peer.told(&["connected"]);
    peer.expect("FP. 1:101(100) ack 1 win 65535");
    peer.arrive("F. 1:1(0) ack 102 win 60000");
    peer.expect(". 102:102(0) ack 2 win 65535");
    peer.told(&["finished", "closed: finished"]);
    peer.gone();
}

/// RFC 9293 3.5, MUST-11: SYN-RECEIVED that came from SYN-SENT does not go back to LISTEN.
#[test]
fn a_reset_after_a_simultaneous_open_is_a_refusal() {
    let mut peer = Peer::new(Sizes::SMALL);
    peer.connect(8_080);
    peer.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("S 0:0(0) win 1000 <mss 1000,nop,wscale 0>");
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
    peer.arrive("R 1:1(0)");
    peer.told(&["closed: refused"]);
    peer.silent();
    peer.gone();
}

/// RFC 9293 3.9.1.1, MUST-42: a port is listened on while connections of it are opening.
#[test]
fn a_port_is_listened_on_while_its_connections_open() {
    let mut peer = Peer::new(Sizes::SMALL);
    let mut opening = Vec::new();
    for port in [40_000, 40_001] {
        peer.port = port;
        peer.arrive("S 0:0(0) win 1000");
        peer.take_iss();
        peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
        opening.push((port, peer.our_iss));
    }
    // The later first.
    for (port, our_iss) in opening.into_iter().rev() {
        (peer.port, peer.our_iss) = (port, our_iss);
        peer.arrive(". 1:1(0) ack 1 win 1000");
        peer.told(&["accepted"]);
    }
    assert_eq!(peer.stack.listen(80, 1), Err(ListenError::InUse));
}

/// RFC 9293 3.9.2.3, MUST-46.
#[test]
fn an_open_to_no_single_host_is_an_error() {
    let mut peer = Peer::new(Sizes::SMALL);
    for (addr, port) in [
        ([255; 4], 80),
        ([10, 0, 2, 255], 80),
        ([224, 0, 0, 1], 80),
        ([0; 4], 80),
        ([127, 0, 0, 1], 80),
        (PEER_IP, 0),
    ] {
        let opened = peer
            .stack
            .connect(peer.now, Endpoint::new(v4(addr), port), ());
        assert_eq!(opened, Err(ConnectError::BadRemote), "{addr:?}");
    }
    peer.gone();
}

/// RFC 9293 3.9.1.9 and 3.9.2: the Diffserv field is the connection's, the time to live the
/// interface's.
#[test]
fn service_and_time_to_live_are_as_they_were_set() {
    let mut peer = Peer::established(60_000);
    let ip = |peer: &mut Peer| {
        let sent = peer.sent();
        assert_eq!(sent.len(), 1);
        let ip = crate::wire::ipv4::Header::parse(&sent[0].bytes[14..], sent[0].bytes.len() - 14);
        ip.map(|ip| (ip.tos, ip.ttl)).unwrap()
    };
    peer.send(0, 100);
    assert_eq!(ip(&mut peer), (0, 64));
    peer.arrive(". 1:1(0) ack 101 win 60000");
    peer.act(|conn| conn.set_dscp(46));
    peer.stack.set_ttl(NonZeroU8::new(3).unwrap());
    peer.send(100, 100);
    assert_eq!(ip(&mut peer), (46 << 2, 3));
    peer.arrive(". 1:1(0) ack 201 win 60000");
    peer.act(|conn| conn.set_dscp(0xff));
    peer.send(200, 100);
    assert_eq!(ip(&mut peer), (0xfc, 3), "no congestion marks");
    // Another connection has its own.
    peer.port = 40_001;
    peer.open(60_000);
    peer.send(0, 100);
    assert_eq!(ip(&mut peer), (0, 3));
}

/// TCP alone, with secrets from `seed`.
fn tcp(seed: u64) -> Tcp<'static, Diary> {
    Tcp::new(
        storage(Sizes::SMALL),
        Settings::default(),
        Random::new(seed),
        Instant::ZERO,
    )
}

fn tuple(local_port: u16, remote: [u8; 4], remote_port: u16) -> Tuple {
    let tuple = FourTuple {
        local: Endpoint::new(v4(OUR_IP), local_port),
        remote: Endpoint::new(v4(remote), remote_port),
    };
    Tuple::new(&tuple).expect("IPv4")
}

/// RFC 6528 3: ISN = M + F(local, remote, secret), M the clock of 4 µs.
#[test]
fn initial_numbers_are_a_clock_and_a_secret_of_who() {
    let (one, two) = (tcp(1), tcp(2));
    let who = tuple(80, PEER_IP, 40_000);
    let now = Instant::from_micros(5_000_000);
    let first = one.isn_key.of(who).iss(now);
    for micros in [4, 400, 1_000_000, 60_000_000] {
        let later = one.isn_key.of(who).iss(now + Duration::from_micros(micros));
        assert_eq!(later, first + (micros / 4) as u32);
    }
    let others = [
        one.isn_key.of(tuple(81, PEER_IP, 40_000)).iss(now),
        one.isn_key.of(tuple(80, [10, 0, 2, 3], 40_000)).iss(now),
        one.isn_key.of(tuple(80, PEER_IP, 40_001)).iss(now),
        two.isn_key.of(who).iss(now),
    ];
    for other in others {
        // Unrelated, as far as four numbers can show.
        assert!((other - first).unsigned_abs() > 1 << 16, "{other:?}");
    }
}

/// RFC 7323 7.1: what timestamps begin at is a secret of the connection, and tells nothing of its
/// sequence numbers.
#[test]
fn timestamps_begin_at_a_secret_of_the_connection() {
    let offset = |tcp: &Tcp<'_, Diary>, who| tcp.isn_key.of(who).ts_offset();
    let (one, two) = (tcp(1), tcp(2));
    let who = tuple(80, PEER_IP, 40_000);
    let first = offset(&one, who);
    assert_eq!(first, offset(&one, who));
    let others = [
        offset(&one, tuple(81, PEER_IP, 40_000)),
        offset(&one, tuple(80, [10, 0, 2, 3], 40_000)),
        offset(&one, tuple(80, PEER_IP, 40_001)),
        offset(&two, who),
        one.isn_key.of(who).iss(Instant::ZERO).0,
    ];
    for other in others {
        assert!((other.wrapping_sub(first) as i32).unsigned_abs() > 1 << 16);
    }
}

/// RFC 6056 3.1 and 3.2: of the whole range above the well-known ports, in no order; never twice
/// to one endpoint, nor a port that is listened on.
#[test]
fn active_opens_have_ports_that_nobody_guesses() {
    const CONNS: usize = 3_000;
    let mut peer = Peer::new(Sizes {
        conns: CONNS,
        ..Sizes::SMALL
    });
    let remote = Endpoint::new(v4(PEER_IP), 80);
    let ports: Vec<u16> = (0..CONNS)
        .map(|_| {
            let id = peer.stack.connect(peer.now, remote, ()).unwrap();
            let port = |conn: &mut crate::tcp::Conn<'_, '_, _>| conn.tuple().local.port;
            peer.stack
                .with_conn(peer.now, id, |conn, _| port(conn))
                .unwrap()
        })
        .collect();
    let different: BTreeSet<u16> = ports.iter().copied().collect();
    assert_eq!(different.len(), CONNS, "none twice");
    assert!(ports.iter().all(|port| *port >= 1_024));
    assert!(ports.iter().any(|port| *port < 10_000));
    assert!(ports.iter().any(|port| *port > 60_000));
    let ascending = ports.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((1_200..1_800).contains(&ascending), "{ascending}");
}

/// RFC 6056 3.1: who knows it could be connected to in its place.
#[test]
fn a_port_that_is_listened_on_is_no_port_to_open_from() {
    let remote = Endpoint::new(v4(PEER_IP), 80);
    let drawn = |taken: Option<u16>| {
        let mut peer = Peer::new(Sizes::SMALL);
        if let Some(port) = taken {
            peer.stack.listen(port, 1).unwrap();
        }
        let id = peer.stack.connect(peer.now, remote, ()).unwrap();
        let port = |conn: &mut crate::tcp::Conn<'_, '_, _>| conn.tuple().local.port;
        peer.stack.with_conn(peer.now, id, |conn, _| port(conn))
    };
    let port = drawn(None).unwrap();
    assert_eq!(drawn(None), Some(port), "of one seed");
    assert_eq!(drawn(Some(port)), Some(port + 1));
}

/// A peer that has restarted has forgotten that timestamps were agreed on: its SYN is challenged
/// all the same (RFC 5961 4.2), else it could not come back.
#[test]
fn a_syn_without_timestamps_is_challenged_on_a_connection_with_them() {
    let mut peer = Peer::with(Sizes::SMALL, Settings::default());
    peer.arrive("S 0:0(0) win 65535 <mss 1012,nop,nop,TS val 100 ecr 0>");
    peer.take_iss();
    peer.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 1 ecr 100>");
    peer.arrive(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 100 ecr 1>");
    peer.told(&["accepted"]);
    peer.arrive("S 1:1(0) win 65535 <mss 1000>");
    peer.expect(". 1:1(0) ack 1 win 65535 <nop,nop,TS val 1 ecr 100>");
    assert_eq!(peer.dropped(DropReason::TcpChallengedSyn), 1);
    peer.arrive("R 1:1(0)");
    peer.told(&["closed: reset by the far side"]);
}
