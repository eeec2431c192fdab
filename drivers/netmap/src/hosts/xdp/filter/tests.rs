//! The program, run by the kernel over frames that nobody sends (`BPF_PROG_TEST_RUN`).

use std::eprintln;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::vec;
use std::vec::Vec;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use simoom_sim::Rng;

use super::super::bpf;
use super::*;

const MAC: MacAddr = MacAddr([0x02, 0x66, 0, 0, 0, 1]);
const OTHER_MAC: [u8; 6] = [0x02, 0x66, 0, 0, 0, 2];
const ADDR: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 1);
/// Its upper bit is set: a number that would be negative.
const HIGH: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 2);
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;

const PASS: u32 = 2;
const REDIRECT: u32 = 4;

/// A program in the kernel, with a socket for queue 0.
struct Loaded {
    program: OwnedFd,
    _sockets: OwnedFd,
    _socket: OwnedFd,
}

impl Loaded {
    /// `None`, said aloud, for who may not load programs.
    fn new(takes: &Takes) -> Option<Self> {
        let sockets = match bpf::socket_map(1) {
            Ok(sockets) => sockets,
            Err(error) => {
                assert!(
                    !rustix::process::geteuid().is_root(),
                    "root may not: {error}"
                );
                eprintln!("SKIPPED, NOT TESTED: only root may load XDP programs ({error})");
                return None;
            }
        };
        let program = program(MAC, takes, sockets.as_fd());
        let program = bpf::load(&program).expect("the verifier has nothing to say");
        let (family, kind) = (AddressFamily::XDP, SocketType::RAW);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("AF_XDP");
        bpf::set_socket(sockets.as_fd(), 0, socket.as_fd()).expect("a map of one");
        Some(Self {
            program,
            _sockets: sockets,
            _socket: socket,
        })
    }

    fn takes(&self, frame: &[u8]) -> bool {
        match bpf::run(self.program.as_fd(), frame).expect("a run") {
            REDIRECT => true,
            PASS => false,
            other => panic!("the program says {other}"),
        }
    }
}

fn takes(addr: Option<Ipv4Addr>, ports: &[u16]) -> Takes {
    Takes {
        addr,
        tcp_ports: ports.to_vec(),
    }
}

fn ethernet(dst: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst, &OTHER_MAC, &ethertype.to_be_bytes()[..], payload].concat()
}

/// A datagram with `words` of options.
fn ipv4(dst: Ipv4Addr, proto: u8, options: usize, flags: u16, payload: &[u8]) -> Vec<u8> {
    let words = 5 + options;
    let mut header = vec![0x40 | words as u8, 0];
    header.extend((words as u16 * 4 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0]);
    header.extend(flags.to_be_bytes());
    header.extend([64, proto, 0, 0]);
    header.extend(OTHER.octets());
    header.extend(dst.octets());
    // No-operation; what would be ports if the header had no options.
    header.extend(core::iter::repeat_n([1, 1, 0, 80], options).flatten());
    header.extend(payload);
    header
}

fn ports(src: u16, dst: u16) -> Vec<u8> {
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &[0; 36]].concat()
}

fn arp(op: u8, spa: Ipv4Addr, tpa: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0, 1, 0x08, 0, 6, 4, 0, op];
    packet.extend(OTHER_MAC);
    packet.extend(spa.octets());
    packet.extend([0; 6]);
    packet.extend(tpa.octets());
    packet
}

const DF: u16 = 0x4000;

#[test]
fn each_kind_of_frame_goes_where_it_should() {
    let Some(ours) = Loaded::new(&takes(Some(ADDR), &[80, 8080])) else {
        return;
    };
    let ip = |payload: &[u8]| ethernet(MAC.0, 0x0800, payload);
    let tcp = |port| ip(&ipv4(ADDR, 6, 0, DF, &ports(40_000, port)));
    let fragment = |flags| ip(&ipv4(ADDR, 6, 0, flags, &ports(40_000, 80)));
    let icmp = |kind| ip(&ipv4(ADDR, 1, 0, 0, &[kind, 0, 0, 0, 0, 0, 0, 0]));
    let arps = |op, spa, tpa| ethernet([0xff; 6], 0x0806, &arp(op, spa, tpa));
    let changed = |mut frame: Vec<u8>, at: usize, byte: u8| {
        frame[at] = byte;
        frame
    };
    let cut = |mut frame: Vec<u8>, len: usize| {
        frame.truncate(len);
        frame
    };
    let tagged = |frame: Vec<u8>, tpid: u16| {
        let (addrs, rest) = frame.split_at(12);
        [addrs, &tpid.to_be_bytes(), &[0, 5], rest].concat()
    };
    let cases: Vec<(&str, Vec<u8>, bool)> = vec![
        ("TCP to our port", tcp(80), true),
        ("TCP to our other port", tcp(8080), true),
        ("TCP to a port beside it", tcp(81), false),
        ("TCP to the port with its bytes swapped", tcp(0x5000), false),
        (
            "TCP from our port to another",
            ip(&ipv4(ADDR, 6, 0, 0, &ports(80, 22))),
            false,
        ),
        (
            "TCP to another address",
            ip(&ipv4(OTHER, 6, 0, 0, &ports(1, 80))),
            false,
        ),
        (
            "UDP to the same port",
            ip(&ipv4(ADDR, 17, 0, 0, &ports(1, 80))),
            false,
        ),
        (
            "a frame for another station",
            ethernet(OTHER_MAC, 0x0800, &tcp(80)[14..]),
            false,
        ),
        (
            "one that differs in its last byte",
            changed(tcp(80), 5, 9),
            false,
        ),
        (
            "one for all",
            ethernet([0xff; 6], 0x0800, &tcp(80)[14..]),
            true,
        ),
        (
            "one for almost all",
            changed(ethernet([0xff; 6], 0x0800, &tcp(80)[14..]), 5, 0xfe),
            false,
        ),
        (
            "a multicast",
            ethernet([1, 0, 0x5e, 0, 0, 1], 0x0800, &tcp(80)[14..]),
            false,
        ),
        (
            "options, and our port behind them",
            ip(&ipv4(ADDR, 6, 1, 0, &ports(1, 80))),
            true,
        ),
        (
            "most options",
            ip(&ipv4(ADDR, 6, 10, 0, &ports(1, 8080))),
            true,
        ),
        (
            "our port among options only",
            ip(&ipv4(ADDR, 6, 1, 0, &ports(1, 81))),
            false,
        ),
        (
            "options that end the frame",
            cut(ip(&ipv4(ADDR, 6, 10, 0, &ports(1, 80))), 14 + 60 + 3),
            false,
        ),
        (
            "a header that is too short",
            changed(tcp(80), 14, 0x44),
            false,
        ),
        ("IP version 6 in IPv4", changed(tcp(80), 14, 0x65), false),
        ("the first fragment", fragment(0x2000), false),
        ("a later fragment", fragment(0x2005), false),
        ("the last fragment", fragment(0x0001), false),
        ("the last fragment, far on", fragment(0x1000), false),
        (
            "a reserved flag and DF: no fragment",
            fragment(0xc000),
            true,
        ),
        ("a VLAN tag", tagged(tcp(80), 0x8100), false),
        ("a service tag", tagged(tcp(80), 0x88a8), false),
        ("IPv6", ethernet(MAC.0, 0x86dd, &tcp(80)[14..]), false),
        ("ports cut off", cut(tcp(80), 14 + 20 + 3), false),
        ("all ports, and no more", cut(tcp(80), 14 + 20 + 4), true),
        ("half an IP header", cut(tcp(80), 24), false),
        ("an Ethernet header", cut(tcp(80), 14), false),
        ("echo request", icmp(8), true),
        ("echo reply", icmp(0), false),
        ("destination unreachable, path MTU", icmp(3), true),
        ("time exceeded", icmp(11), true),
        ("parameter problem", icmp(12), true),
        ("redirect", icmp(5), false),
        (
            "echo request to another",
            ip(&ipv4(OTHER, 1, 0, 0, &[8, 0, 0, 0])),
            false,
        ),
        (
            "a DHCP answer to us",
            ip(&ipv4(ADDR, 17, 0, 0, &ports(67, 68))),
            true,
        ),
        (
            "a DHCP answer to all: Linux's client's",
            ip(&ipv4(ALL, 17, 0, 0, &ports(67, 68))),
            false,
        ),
        (
            "something else to DHCP's port",
            ip(&ipv4(ADDR, 17, 0, 0, &ports(53, 68))),
            false,
        ),
        ("ARP asks for us", arps(1, OTHER, ADDR), true),
        (
            "ARP answers us",
            ethernet(MAC.0, 0x0806, &arp(2, OTHER, ADDR)),
            true,
        ),
        (
            "ARP answers Linux",
            ethernet(MAC.0, 0x0806, &arp(2, OTHER, HIGH)),
            false,
        ),
        ("ARP asks for another", arps(1, HIGH, OTHER), false),
        ("ARP probes for our address", arps(1, NONE, ADDR), true),
        ("ARP announces our address", arps(1, ADDR, ADDR), true),
        ("ARP announces another's", arps(1, OTHER, OTHER), false),
        (
            "ARP says that our address is its own",
            arps(2, ADDR, OTHER),
            true,
        ),
        (
            "ARP for another hardware",
            changed(arps(1, OTHER, ADDR), 15, 6),
            false,
        ),
        (
            "ARP for another protocol",
            changed(arps(1, OTHER, ADDR), 17, 1),
            false,
        ),
        (
            "ARP with other lengths",
            changed(arps(1, OTHER, ADDR), 18, 8),
            false,
        ),
        (
            "half of an ARP packet",
            cut(arps(1, OTHER, ADDR), 14 + 27),
            false,
        ),
    ];
    for (name, frame, is_ours) in cases {
        assert_eq!(ours.takes(&frame), is_ours, "{name}");
    }
}

#[test]
fn without_an_address_only_dhcp_is_ours() {
    let Some(ours) = Loaded::new(&takes(None, &[80])) else {
        return;
    };
    let ip = |dst, proto, payload: &[u8]| ethernet(MAC.0, 0x0800, &ipv4(dst, proto, 0, 0, payload));
    assert!(ours.takes(&ip(ALL, 17, &ports(67, 68))));
    assert!(
        ours.takes(&ip(ADDR, 17, &ports(67, 68))),
        "to what is offered"
    );
    assert!(!ours.takes(&ip(ADDR, 17, &ports(68, 67))));
    assert!(!ours.takes(&ip(ADDR, 6, &ports(1, 80))));
    assert!(!ours.takes(&ip(NONE, 6, &ports(1, 80))));
    assert!(!ours.takes(&ip(ADDR, 1, &[8, 0, 0, 0])));
    assert!(!ours.takes(&ethernet([0xff; 6], 0x0806, &arp(1, OTHER, NONE))));
}

#[test]
fn a_queue_without_a_socket_is_linuxs() {
    let Some(sockets) = bpf::socket_map(1).ok() else {
        eprintln!("SKIPPED, NOT TESTED: only root may load XDP programs");
        return;
    };
    let program = program(MAC, &takes(Some(ADDR), &[80]), sockets.as_fd());
    let program = bpf::load(&program).expect("the verifier has nothing to say");
    let frame = ethernet(MAC.0, 0x0800, &ipv4(ADDR, 6, 0, 0, &ports(1, 80)));
    assert_eq!(bpf::run(program.as_fd(), &frame).expect("a run"), PASS);
}

/// The rules once more, as one would write them in Rust.
fn is_ours(frame: &[u8], takes: &Takes) -> Option<bool> {
    let (dst, rest) = frame.split_first_chunk::<6>()?;
    if *dst != MAC.0 && *dst != [0xff; 6] {
        return None;
    }
    let (_src, rest) = rest.split_first_chunk::<6>()?;
    let (ethertype, rest) = rest.split_first_chunk::<2>()?;
    match u16::from_be_bytes(*ethertype) {
        0x0806 => {
            let packet = rest.first_chunk::<28>()?;
            let is_ipv4 = packet[..6] == [0, 1, 8, 0, 6, 4];
            let addr = takes.addr?.octets();
            Some(is_ipv4 && (packet[14..18] == addr || packet[24..] == addr))
        }
        0x0800 => {
            let header = rest.first_chunk::<20>()?;
            let ihl = usize::from(header[0] & 0xf) * 4;
            let is_whole = u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
            if header[0] >> 4 != 4 || ihl < 20 || !is_whole {
                return None;
            }
            let upper = rest.get(ihl..)?.first_chunk::<4>()?;
            let is_to_us = takes.addr.is_none_or(|addr| header[16..] == addr.octets());
            let port = u16::from_be_bytes([upper[2], upper[3]]);
            let is_known = takes.addr.is_some();
            Some(match header[9] {
                _ if !is_to_us => false,
                1 => is_known && [3, 8, 11, 12].contains(&upper[0]),
                6 => is_known && takes.tcp_ports.contains(&port),
                17 => *upper == [0, 67, 0, 68],
                _ => false,
            })
        }
        _ => None,
    }
}

#[test]
fn on_frames_of_all_kinds_the_program_and_the_rules_agree() {
    let mut rng = Rng::new(4);
    let many: Vec<u16> = (0..200).map(|n| n * 321 + 80).collect();
    for takes in [
        takes(Some(ADDR), &[80]),
        takes(Some(HIGH), &many),
        takes(Some(ADDR), &[]),
        takes(None, &[80, 443]),
    ] {
        let Some(loaded) = Loaded::new(&takes) else {
            return;
        };
        let mut taken_cnt = 0;
        for _ in 0..4_000 {
            let frame = frame_of(&mut rng, &takes);
            let expected = is_ours(&frame, &takes).unwrap_or(false);
            assert_eq!(loaded.takes(&frame), expected, "{frame:02x?}");
            taken_cnt += u32::from(expected);
        }
        assert!(
            taken_cnt > 200,
            "{taken_cnt} of 4,000 were ours: not much of a test"
        );
    }
}

/// A frame that is close to being ours: some right, some with a byte changed, some cut.
fn frame_of(rng: &mut Rng, takes: &Takes) -> Vec<u8> {
    let mut pick = |cnt: usize| (rng.next_u64() % cnt as u64) as usize;
    let addr = takes.addr.unwrap_or(ADDR);
    let addr = [addr, addr, OTHER][pick(3)];
    let port = takes.tcp_ports.get(pick(takes.tcp_ports.len().max(1)));
    let payload = match pick(3) {
        0 => ports(67, 68),
        1 => ports(pick(65_536) as u16, port.copied().unwrap_or(7)),
        _ => vec![[8, 0, 3, 11][pick(4)], 0, 0, 0, 1, 2, 3, 4],
    };
    let options = [0, 0, 1, 10][pick(4)];
    let packet = ipv4(
        addr,
        [1, 6, 17][pick(3)],
        options,
        [0, DF][pick(2)],
        &payload,
    );
    let mac = [MAC.0, MAC.0, [0xff; 6]][pick(3)];
    let mut frame = match pick(4) {
        0 => ethernet(
            mac,
            0x0806,
            &arp(1 + pick(2) as u8, [addr, OTHER][pick(2)], addr),
        ),
        _ => ethernet(mac, 0x0800, &packet),
    };
    match pick(4) {
        0 => {
            let at = pick(frame.len());
            frame[at] = pick(256) as u8;
        }
        // A frame that a test may run has an Ethernet header.
        1 => frame.truncate(14 + pick(frame.len() - 14)),
        _ => {}
    }
    frame
}
