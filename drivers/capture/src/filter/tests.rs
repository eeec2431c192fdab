use super::*;
use std::string::ToString;
use std::vec::Vec;

/// A frame of an IPv4 packet.
fn ipv4(protocol: u8, src: [u8; 4], dst: [u8; 4], ports: [u16; 2], frag: u16) -> Vec<u8> {
    let mut frame = std::vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0]);
    frame.extend(frag.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend(src);
    frame.extend(dst);
    ports
        .iter()
        .for_each(|port| frame.extend(port.to_be_bytes()));
    frame.extend([0; 16]);
    frame
}

fn arp(spa: [u8; 4], tpa: [u8; 4]) -> Vec<u8> {
    let mut frame = std::vec![0xff; 12];
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([2; 6]);
    frame.extend(spa);
    frame.extend([0; 6]);
    frame.extend(tpa);
    frame
}

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

#[test]
fn each_term_takes_what_pcap_takes() {
    let http = ipv4(TCP, A, B, [40_000, 80], 0);
    let dns = ipv4(UDP, B, A, [53, 5_000], 0);
    let ping = ipv4(ICMP, A, [10, 0, 0, 9], [0x0800, 80], 0);
    let later = ipv4(TCP, A, B, [40_000, 80], 5);
    let asks = arp(A, B);
    let rows: [(&str, [bool; 5]); 12] = [
        ("", [true; 5]),
        ("tcp", [true, false, false, true, false]),
        ("udp", [false, true, false, false, false]),
        ("icmp", [false, false, true, false, false]),
        ("arp", [false, false, false, false, true]),
        ("port 80", [true, false, false, false, false]),
        ("port 53 and udp", [false, true, false, false, false]),
        ("host 10.0.0.2", [true, true, false, true, true]),
        (
            "host 10.0.0.1 and host 10.0.0.2",
            [true, true, false, true, true],
        ),
        ("host 10.0.0.9 and icmp", [false, false, true, false, false]),
        ("port 80 and host 10.0.0.9", [false; 5]),
        (" tcp  and\tport 40000 ", [true, false, false, false, false]),
    ];
    for (text, expected) in rows {
        let filter = Filter::parse(text).unwrap();
        let taken = [&http, &dns, &ping, &later, &asks].map(|frame| filter.takes(frame));
        assert_eq!(taken, expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (text, error) in [
        ("vlan", "filter: vlan: expected host A, port N"),
        ("tcp or udp", "filter: or: expected host A"),
        ("tcp and", "filter: : expected host A"),
        ("host", "filter: host : expected an IPv4 address"),
        ("host ::1", "filter: host ::1: expected an IPv4 address"),
        ("port 65536", "filter: port 65536: expected 0 to 65535"),
        ("port http", "filter: port http: expected"),
        (
            "tcp and tcp and tcp and tcp and tcp and tcp and tcp and tcp and tcp",
            "filter: more than 8 terms",
        ),
    ] {
        let said = Filter::parse(text).unwrap_err().to_string();
        assert!(said.starts_with(error), "{text}: {said}");
    }
}

#[test]
fn a_packet_that_is_cut_anywhere_is_looked_at_safely() {
    let filter = Filter::parse("tcp and port 80 and host 10.0.0.1").unwrap();
    let whole = ipv4(TCP, A, B, [40_000, 80], 0);
    for len in 0..=whole.len() {
        assert_eq!(filter.takes(&whole[..len]), len >= 38, "{len}");
        assert_eq!(is_of_tcp_port(&whole[..len], 80), len >= 38, "{len}");
    }
}
