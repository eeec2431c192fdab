//! The XDP program: which frames are ours. All others are Linux's, untouched.
//!
//! | frame | ours when |
//! |---|---|
//! | any | it is for the interface's station address, or for all stations; untagged |
//! | ARP for IPv4 | it asks for our address, answers it, or comes from it (RFC 5227) |
//! | IPv4, any | header of 20 to 60 bytes, whole in the frame, no fragment |
//! | TCP | to our address and one of our ports |
//! | ICMP | to our address: echo request, or an error about something that we sent |
//! | UDP | DHCP's answer (67 to 68) to our address; to any while we have none |
//!
//! A fragment is never ours: only the first has ports, and the stack takes none. A tag that the
//! device has taken off the frame cannot be seen by the program.
//!
//! The program is straight code with our address and ports in its instructions. When they change,
//! another program takes its place in one step (`BPF_LINK_UPDATE`), so there is no map to look them
//! up in.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::vec::Vec;

use simoom_ring::MacAddr;

use super::asm::{Cond, Insn, Label, Program, Reg, Size};
use crate::hosts::Takes;

/// The program for an interface with the address `mac`. The frames of `takes` go to the socket that
/// the map `sockets` has for their queue; without one there they are Linux's, too.
pub(super) fn program(mac: MacAddr, takes: &Takes, sockets: BorrowedFd<'_>) -> Vec<Insn> {
    let mut writer = Writer::new();
    writer.frame(mac);
    writer.ipv4(takes);
    writer.arp(takes);
    writer.ends(sockets)
}

/// Registers while it runs: the context in R6, the frame from R2 to R3.
struct Writer {
    program: Program,
    arp: Label,
    take: Label,
    pass: Label,
}

const CONTEXT: Reg = Reg::R6;
const FRAME: Reg = Reg::R2;
const FRAME_END: Reg = Reg::R3;
/// The header behind IP's.
const UPPER: Reg = Reg::R4;

impl Writer {
    fn new() -> Self {
        let mut program = Program::default();
        let mut label = || program.label();
        let (arp, take, pass) = (label(), label(), label());
        Self {
            program,
            arp,
            take,
            pass,
        }
    }

    /// Passes frames that end before `len` bytes.
    fn need(&mut self, len: i32) {
        let p = &mut self.program;
        p.mov(Reg::R0, FRAME);
        p.add_imm(Reg::R0, len);
        p.jump_if_regs(Reg::R0, Cond::Gt, FRAME_END, self.pass);
    }

    /// Ethernet: passes what is not for us and neither ARP nor IPv4; goes to ARP.
    fn frame(&mut self, mac: MacAddr) {
        let p = &mut self.program;
        p.mov(CONTEXT, Reg::R1);
        p.load(Size::W, FRAME, CONTEXT, CTX_DATA);
        p.load(Size::W, FRAME_END, CONTEXT, CTX_DATA_END);
        self.need(ETHERNET_LEN);
        let p = &mut self.program;
        let (is_all, is_ours) = (p.label(), p.label());
        let [a, b, c, d, e, f] = mac.0;
        p.load(Size::W, Reg::R0, FRAME, 0);
        p.load(Size::H, Reg::R5, FRAME, 4);
        p.jump_if(Reg::R0, Cond::Eq, u32::MAX, is_all);
        p.jump_if(
            Reg::R0,
            Cond::Ne,
            u32::from_ne_bytes([a, b, c, d]),
            self.pass,
        );
        p.jump_if(Reg::R5, Cond::Eq, half([e, f]), is_ours);
        p.jump(self.pass);
        p.place(is_all);
        p.jump_if(Reg::R5, Cond::Ne, half([0xff; 2]), self.pass);
        p.place(is_ours);
        p.load(Size::H, Reg::R0, FRAME, ETHERTYPE_AT);
        p.jump_if(Reg::R0, Cond::Eq, half([0x08, 0x06]), self.arp);
        p.jump_if(Reg::R0, Cond::Ne, half([0x08, 0x00]), self.pass);
    }

    /// IPv4 (RFC 791 3.1): a whole header, no fragment, to us; then by protocol.
    fn ipv4(&mut self, takes: &Takes) {
        self.need(ETHERNET_LEN + IPV4_LEN_MIN);
        let (pass, take) = (self.pass, self.take);
        let p = &mut self.program;
        p.load(Size::B, Reg::R5, FRAME, IP_AT);
        p.mov(Reg::R0, Reg::R5);
        p.and_imm(Reg::R0, 0xf0);
        p.jump_if(Reg::R0, Cond::Ne, 0x40, pass);
        p.and_imm(Reg::R5, 0x0f);
        p.jump_if(Reg::R5, Cond::Lt, 5, pass);
        // IHL counts words.
        p.shl_imm(Reg::R5, 2);
        // MF, or an offset.
        p.load(Size::H, Reg::R0, FRAME, IP_AT + 6);
        p.jump_if(Reg::R0, Cond::Any, half([0x3f, 0xff]), pass);
        p.mov(UPPER, FRAME);
        p.add(UPPER, Reg::R5);
        p.add_imm(UPPER, ETHERNET_LEN);
        p.mov(Reg::R0, UPPER);
        // Two ports, or ICMP's type.
        p.add_imm(Reg::R0, 4);
        p.jump_if_regs(Reg::R0, Cond::Gt, FRAME_END, pass);
        p.load(Size::B, Reg::R5, FRAME, IP_AT + 9);
        let udp = p.label();
        if let Some(addr) = takes.addr {
            p.load(Size::W, Reg::R0, FRAME, IP_AT + 16);
            p.jump_if(Reg::R0, Cond::Ne, u32::from_ne_bytes(addr.octets()), pass);
            p.jump_if(Reg::R5, Cond::Eq, PROTO_UDP, udp);
            let icmp = p.label();
            p.jump_if(Reg::R5, Cond::Eq, PROTO_ICMP, icmp);
            p.jump_if(Reg::R5, Cond::Ne, PROTO_TCP, pass);
            p.load(Size::H, Reg::R0, UPPER, 2);
            for port in &takes.tcp_ports {
                p.jump_if(Reg::R0, Cond::Eq, half(port.to_be_bytes()), take);
            }
            p.jump(pass);
            p.place(icmp);
            p.load(Size::B, Reg::R0, UPPER, 0);
            for kind in ICMP_TYPES {
                p.jump_if(Reg::R0, Cond::Eq, kind, take);
            }
            p.jump(pass);
        } else {
            p.jump_if(Reg::R5, Cond::Ne, PROTO_UDP, pass);
        }
        // RFC 2131 4.1: a server answers from port 67 to a client's 68.
        p.place(udp);
        p.load(Size::W, Reg::R0, UPPER, 0);
        p.jump_if(Reg::R0, Cond::Eq, u32::from_ne_bytes([0, 67, 0, 68]), take);
        p.jump(pass);
    }

    /// ARP for IPv4 on Ethernet (RFC 826) that has our address on either side.
    fn arp(&mut self, takes: &Takes) {
        self.program.place(self.arp);
        self.need(ETHERNET_LEN + ARP_LEN);
        let (pass, take) = (self.pass, self.take);
        let p = &mut self.program;
        let Some(addr) = takes.addr else {
            return p.jump(pass);
        };
        let addr = u32::from_ne_bytes(addr.octets());
        p.load(Size::W, Reg::R0, FRAME, ARP_AT);
        p.jump_if(Reg::R0, Cond::Ne, u32::from_ne_bytes([0, 1, 0x08, 0]), pass);
        p.load(Size::H, Reg::R0, FRAME, ARP_AT + 4);
        p.jump_if(Reg::R0, Cond::Ne, half([6, 4]), pass);
        // The target's, then the sender's.
        for at in [24, 14] {
            p.load(Size::W, Reg::R0, FRAME, ARP_AT + at);
            p.jump_if(Reg::R0, Cond::Eq, addr, take);
        }
        p.jump(pass);
    }

    fn ends(self, sockets: BorrowedFd<'_>) -> Vec<Insn> {
        let mut p = self.program;
        p.place(self.take);
        p.load(Size::W, Reg::R2, CONTEXT, CTX_RX_QUEUE);
        p.map(Reg::R1, sockets.as_raw_fd());
        p.mov_imm(Reg::R3, XDP_PASS);
        p.call(BPF_FUNC_REDIRECT_MAP);
        p.exit();
        p.place(self.pass);
        p.mov_imm(Reg::R0, XDP_PASS);
        p.exit();
        p.finish()
    }
}

/// Two bytes as a 16-bit load gives them.
fn half(bytes: [u8; 2]) -> u32 {
    u16::from_ne_bytes(bytes).into()
}

// `struct xdp_md`.
const CTX_DATA: i16 = 0;
const CTX_DATA_END: i16 = 4;
const CTX_RX_QUEUE: i16 = 16;

const ETHERNET_LEN: i32 = 14;
const ETHERTYPE_AT: i16 = 12;
const IP_AT: i16 = 14;
const IPV4_LEN_MIN: i32 = 20;
const ARP_AT: i16 = 14;
const ARP_LEN: i32 = 28;
const PROTO_ICMP: u32 = 1;
const PROTO_TCP: u32 = 6;
const PROTO_UDP: u32 = 17;
/// Echo request, destination unreachable (path MTU among it), time exceeded, parameter problem
/// (RFC 792).
const ICMP_TYPES: [u32; 4] = [8, 3, 11, 12];

/// The program's answer: the frame goes on to Linux.
const XDP_PASS: i32 = 2;
/// `bpf_redirect_map`: what it finds no socket for gets its third argument as the answer.
const BPF_FUNC_REDIRECT_MAP: i32 = 51;

#[cfg(test)]
mod tests;
