//! Whose each frame is, and that it gets there.

use core::net::Ipv4Addr;
use std::boxed::Box;
use std::vec;

use simoom::wire::arp::{Op, Repr};
use simoom_ring::{FrameMemory, FrameMeta, MacAddr};

mod straying;

use super::share::{Share, is_flow, share_of};
use super::*;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

fn arp(op: Op, spa: Ipv4Addr, tpa: Ipv4Addr) -> Vec<u8> {
    let repr = Repr {
        op,
        sha: MacAddr([2, 0, 0, 0, 0, 1]),
        spa,
        tha: MacAddr([0; 6]),
        tpa,
    };
    [&[0xff; 12][..], &[8, 6], &repr.emit()].concat()
}

/// A datagram with `ihl` words of header.
fn ip(proto: u8, ihl: u8, frag: u16, upper: &[u8]) -> Vec<u8> {
    let mut header = vec![0; usize::from(ihl) * 4];
    header[0] = 0x40 | ihl;
    header[6..8].copy_from_slice(&frag.to_be_bytes());
    header[9] = proto;
    [&[0xff; 12][..], &[8, 0], &header, upper].concat()
}

#[test]
fn each_frame_goes_to_those_that_need_it() {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let rows = [
        (
            "a question for us",
            arp(Op::Request, THEIRS, OURS),
            Share::Ours,
        ),
        (
            "for someone else",
            arp(Op::Request, THEIRS, OTHER),
            Share::Ours,
        ),
        ("an answer to us", arp(Op::Reply, THEIRS, OURS), Share::All),
        (
            "to someone else",
            arp(Op::Reply, THEIRS, OTHER),
            Share::Ours,
        ),
        (
            "an announcement",
            arp(Op::Request, THEIRS, THEIRS),
            Share::All,
        ),
        ("a conflict", arp(Op::Request, OURS, OURS), Share::First),
        ("another one", arp(Op::Reply, OURS, THEIRS), Share::First),
        (
            "a probe for ours",
            arp(Op::Request, nobody, OURS),
            Share::Ours,
        ),
        ("an echo request", ip(1, 5, 0x4000, &[8, 0]), Share::Ours),
        ("no way there", ip(1, 5, 0x4000, &[3, 4]), Share::All),
        ("with options", ip(1, 7, 0, &[11, 0]), Share::All),
        ("a later fragment", ip(1, 5, 7, &[3, 4]), Share::Ours),
        ("a first fragment", ip(1, 5, 0x2000, &[3, 4]), Share::Ours),
        ("DHCP's answer", ip(17, 5, 0, &[0, 67, 0, 68]), Share::First),
        (
            "other datagrams",
            ip(17, 5, 0, &[0, 53, 0, 68]),
            Share::Ours,
        ),
        (
            "a header too short",
            ip(17, 4, 0, &[0, 67, 0, 68]),
            Share::Ours,
        ),
        ("nothing behind it", ip(1, 5, 0, &[]), Share::Ours),
        ("another protocol", vec![0x86; 60], Share::Ours),
        ("a stub", vec![8; 13], Share::Ours),
    ];
    for (name, frame, share) in rows {
        assert_eq!(share_of(&frame, Some(OURS)), share, "{name}");
        assert!(!is_flow(&frame), "{name}");
    }
    assert!(is_flow(&ip(6, 5, 0, &[0, 80, 0, 1])));
}

fn pool() -> &'static FramePool<'static> {
    let memory = vec![FrameMemory::ZERO; 64].leak();
    let metas: Vec<_> = (0..64).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(memory, metas.leak())))
}

/// A ring that has received packets.
struct Received(Vec<RxPacket<'static>>);

impl RxRing<'static> for Received {
    fn sync(&mut self) -> usize {
        self.0.len()
    }
    fn recv(&mut self) -> Option<RxPacket<'static>> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

fn feed(pool: &'static FramePool<'static>, bytes: &[u8], csum: RxChecksum) -> RxPacket<'static> {
    let mut frame = pool.alloc(0).expect("a frame");
    frame.append(bytes).expect("room");
    let mut packet = RxPacket::plain(frame);
    packet.csum = csum;
    packet
}

/// All that a core's stack gets by a poll.
fn polled(mesh: &mut Mesh, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let pool = pool();
    let frames = frames
        .iter()
        .map(|frame| feed(pool, frame, RxChecksum::Unknown));
    let mut ring = Received(frames.collect());
    let mut tee = Tee::new(&mut ring, mesh, pool);
    let ready = tee.sync();
    let got: Vec<_> = std::iter::from_fn(|| tee.recv())
        .map(|packet| packet.frame.bytes().to_vec())
        .collect();
    assert!(got.len() <= ready, "no more than were ready");
    got
}

#[test]
fn control_frames_reach_the_cores_that_they_concern() {
    let [mut first, mut second, mut third] =
        <[Mesh; 3]>::try_from(Mesh::of(3).expect("descriptors")).unwrap_or_else(|_| panic!("3"));
    let cidr = Cidr::new(OURS, 24).expect("24 bits");
    first.tell_address(Some((cidr, None)));
    for mesh in [&mut second, &mut third] {
        assert!(mesh.has_news());
        assert!(polled(mesh, &[]).is_empty());
        assert_eq!(mesh.take_address(), Some(Some((cidr, None))));
        assert_eq!(mesh.take_address(), None);
    }
    let reply = arp(Op::Reply, THEIRS, OURS);
    let dhcp = ip(17, 5, 0, &[0, 67, 0, 68]);
    let conflict = arp(Op::Reply, OURS, THEIRS);
    let flow = ip(6, 5, 0, &[0, 80, 0, 1]);
    let all = [&reply, &dhcp, &conflict, &flow].map(Clone::clone);
    assert_eq!(polled(&mut second, &all), [&reply, &flow].map(Clone::clone));
    assert!(first.has_news() && third.has_news());
    assert_eq!(
        polled(&mut first, &[]),
        [&reply, &dhcp, &conflict].map(Clone::clone)
    );
    assert_eq!(polled(&mut third, &[]), [reply]);
    assert!(!first.has_news() && !third.has_news());
    assert_eq!((second.shared_cnt, second.lost_cnt), (4, 0));
}

#[test]
fn a_full_queue_loses_frames_and_counts_them() {
    let [mut first, mut second] =
        <[Mesh; 2]>::try_from(Mesh::of(2).expect("descriptors")).unwrap_or_else(|_| panic!("2"));
    let error = ip(1, 5, 0, &[3, 4]);
    let many = vec![error; 40];
    assert_eq!(polled(&mut first, &many).len(), 40);
    assert_eq!(first.shared_cnt, NOTES_MAX as u64);
    assert_eq!(first.lost_cnt, 40 - NOTES_MAX as u64);
    assert_eq!(polled(&mut second, &[]).len(), NOTES_MAX);
    // There is room again.
    assert_eq!(polled(&mut first, &many[..1]).len(), 1);
    assert_eq!(polled(&mut second, &[]).len(), 1);
}

#[test]
fn what_is_known_of_a_checksum_goes_along() {
    let [mut first, mut second] =
        <[Mesh; 2]>::try_from(Mesh::of(2).expect("descriptors")).unwrap_or_else(|_| panic!("2"));
    let pool = pool();
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 6,
    };
    let dhcp = feed(pool, &ip(17, 5, 0, &[0, 67, 0, 68]), partial);
    let mut ring = Received(vec![dhcp]);
    assert!(Tee::new(&mut ring, &mut second, pool).recv().is_none());
    let mut ring = Received(Vec::new());
    let told = Tee::new(&mut ring, &mut first, pool).recv();
    assert_eq!(told.expect("told").csum, partial);
}

#[test]
fn one_core_has_nobody_to_talk_to() {
    let mut alone = Mesh::alone();
    assert!(alone.is_alone() && !alone.has_news() && alone.fd().is_none());
    let reply = arp(Op::Reply, THEIRS, OURS);
    assert_eq!(polled(&mut alone, core::slice::from_ref(&reply)), [reply]);
}
