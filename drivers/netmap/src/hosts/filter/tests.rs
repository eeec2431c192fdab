//! A row for each kind of frame.

use std::net::Ipv4Addr;
use std::vec;
use std::vec::Vec;

use super::{Filter, Verdict};
use crate::hosts::Takes;

const OURS: [u8; 4] = [10, 0, 0, 2];
const OTHER: [u8; 4] = [10, 0, 0, 9];

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12], &ethertype.to_be_bytes()[..], payload].concat()
}

fn arp(op: u8, spa: [u8; 4], tpa: [u8; 4]) -> Vec<u8> {
    let packet = [&[0, 1, 8, 0, 6, 4, 0, op][..], &[2; 6], &spa, &[0; 6], &tpa];
    frame(0x0806, &packet.concat())
}

/// A datagram without options, at this place among fragments.
fn ip(proto: u8, dst: [u8; 4], fragment: [u8; 2], body: &[u8]) -> Vec<u8> {
    let header = [
        &[0x45, 0, 0, 0, 0, 0][..],
        &fragment,
        &[64, proto, 0, 0],
        &OTHER,
        &dst,
    ];
    frame(0x0800, &[&header.concat(), body].concat())
}

fn tcp(dst: [u8; 4], port: u16) -> Vec<u8> {
    ip(
        6,
        dst,
        [0x40, 0],
        &[&[200, 0][..], &port.to_be_bytes(), &[0; 16]].concat(),
    )
}

fn udp(dst: [u8; 4], port: u16) -> Vec<u8> {
    ip(
        17,
        dst,
        [0, 0],
        &[&[0, 67][..], &port.to_be_bytes(), &[0; 4]].concat(),
    )
}

/// An error about a segment that was sent from a port of ours.
fn icmp(kind: u8, port: u16) -> Vec<u8> {
    let quoted = [&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0][..], &OURS, &OTHER].concat();
    let message = [
        &[kind, 4, 0, 0, 0, 0, 0, 0][..],
        &quoted,
        &port.to_be_bytes(),
        &[0; 6],
    ];
    ip(1, OURS, [0, 0], &message.concat())
}

fn filter(addr: Option<Ipv4Addr>, is_shared: bool) -> Filter {
    let takes = Takes {
        addr,
        tcp_ports: vec![80, 443],
    };
    Filter::new(&takes, is_shared)
}

#[test]
fn each_kind_of_frame_has_its_owner() {
    use Verdict::{Both, Ours, Theirs};
    let alone = filter(Some(OURS.into()), false);
    let shared = filter(Some(OURS.into()), true);
    let none = filter(None, false);
    let more = [0x20, 0];
    for (what, frame, verdicts) in [
        ("request for us", arp(1, OTHER, OURS), [Ours, Both, Theirs]),
        (
            "request for another",
            arp(1, OTHER, OTHER),
            [Theirs, Theirs, Theirs],
        ),
        (
            "request in our name",
            arp(1, OURS, OURS),
            [Both, Both, Theirs],
        ),
        ("reply", arp(2, OTHER, OURS), [Both, Both, Both]),
        ("segment to us", tcp(OURS, 80), [Ours, Ours, Theirs]),
        (
            "segment to the second port",
            tcp(OURS, 443),
            [Ours, Ours, Theirs],
        ),
        (
            "segment to another port",
            tcp(OURS, 22),
            [Ours, Theirs, Theirs],
        ),
        (
            "segment to another",
            tcp(OTHER, 80),
            [Theirs, Theirs, Theirs],
        ),
        (
            "later fragment",
            ip(6, OURS, [0, 5], &[0, 0, 0, 80]),
            [Ours, Theirs, Theirs],
        ),
        (
            "first fragment",
            ip(6, OURS, more, &[0, 0, 0, 80]),
            [Ours, Ours, Theirs],
        ),
        ("datagram to us", udp(OURS, 53), [Ours, Theirs, Theirs]),
        ("dhcp", udp([255; 4], 68), [Theirs, Theirs, Both]),
        (
            "echo request",
            ip(1, OURS, [0, 0], &[8, 0, 0, 0]),
            [Ours, Theirs, Theirs],
        ),
        ("unreachable", icmp(3, 80), [Ours, Both, Theirs]),
        (
            "unreachable for another",
            icmp(3, 22),
            [Ours, Theirs, Theirs],
        ),
        ("IPv6", frame(0x86dd, &[0x60; 60]), [Theirs, Theirs, Theirs]),
        ("tagged", frame(0x8100, &[0; 60]), [Theirs, Theirs, Theirs]),
    ] {
        let judged = [&alone, &shared, &none].map(|filter| filter.judge(&frame));
        assert_eq!(judged, verdicts, "{what}");
    }
}

#[test]
fn frames_that_end_early_are_theirs() {
    for is_shared in [false, true] {
        let filter = filter(Some(OURS.into()), is_shared);
        for whole in [arp(1, OTHER, OURS), tcp(OURS, 80), icmp(3, 80)] {
            for len in 0..whole.len() {
                // None reads past the end; what is long enough has its verdict.
                let verdict = filter.judge(&whole[..len]);
                assert!(len > 14 || verdict == Verdict::Theirs);
            }
        }
    }
}

#[test]
fn the_machine_knows_its_addresses() {
    let takes = |addr| Takes {
        addr: Some(addr),
        tcp_ports: vec![80],
    };
    assert!(Filter::for_machine(&takes(Ipv4Addr::LOCALHOST)).is_shared);
    assert!(!Filter::for_machine(&takes(Ipv4Addr::new(192, 0, 2, 77))).is_shared);
}
