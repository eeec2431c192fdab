//! Every combination of what a device offers and what we are told not to use: it starts, says what
//! it can do, and moves frames of every kind that it can.

use std::vec::Vec;

use simoom_ring::{
    CsumOffload, Fragment, GsoKind, GsoOffload, Port, Queue, RxChecksum, TxOffload, TxPacket,
};

use super::fake_device::FakeDevice;
use super::{Bench, frame_of, pool, with_fragments};
use crate::{Features, Options};

/// What may be there or not.
const OPTIONAL: [Features; 10] = [
    Features::CSUM,
    Features::GUEST_CSUM,
    Features::HOST_TSO4,
    Features::HOST_TSO6,
    Features::HOST_USO,
    Features::GUEST_TSO4,
    Features::GUEST_TSO6,
    Features::MRG_RXBUF,
    Features::EVENT_IDX,
    Features::MTU,
];

/// Every set of these.
fn sets() -> impl Iterator<Item = Features> {
    (0..1u32 << OPTIONAL.len()).map(|choice| {
        let chosen = OPTIONAL.into_iter().enumerate();
        chosen
            .filter(|(bit, _)| choice >> bit & 1 != 0)
            .fold(Features::NONE, |set, (_, feature)| set.union(feature))
    })
}

#[test]
fn what_is_off_is_off_whoever_says_so() {
    let pool = pool(32);
    // Some of it is not offered, the rest is not wanted.
    let every_second = Features::from_bits(0x5555_5555_5555_5555);
    for off in sets() {
        for device in [FakeDevice::modern(), FakeDevice::legacy()] {
            let device = device.without(off.intersection(every_second));
            let options = Options {
                disable: off.difference(every_second),
                ..Options::default()
            };
            let mut bench = Bench::over(device, pool, options);
            let features = bench.port.features();
            assert_eq!(features, bench.device().accepted);
            assert_eq!(features.intersection(off), Features::NONE, "{off}");
            check_needs(features);
            check_caps(&bench, features);
            sends(&mut bench, features);
            receives(&mut bench, features);
            let counters = bench.queue.counters();
            assert_eq!((counters.resets, counters.tx.dropped_request), (0, 0));
            bench.end();
        }
    }
}

/// Virtio 1.2 5.1.3.1, and our frames.
fn check_needs(features: Features) {
    let has = |feature| features.contains(feature);
    let cuts = [Features::HOST_TSO4, Features::HOST_TSO6, Features::HOST_USO];
    assert!(
        has(Features::CSUM) || !cuts.into_iter().any(has),
        "{features}"
    );
    let large = [Features::GUEST_TSO4, Features::GUEST_TSO6];
    let can_be_large = has(Features::GUEST_CSUM) && has(Features::MRG_RXBUF);
    assert!(can_be_large || !large.into_iter().any(has), "{features}");
}

fn check_caps(bench: &Bench, features: Features) {
    let caps = bench.port.caps();
    let has = |feature| features.contains(feature);
    assert_eq!(caps.checksums.tx, has(Features::CSUM));
    assert_eq!(caps.checksums.rx, has(Features::GUEST_CSUM));
    assert_eq!(caps.tso.tcp_v4, has(Features::HOST_TSO4));
    assert_eq!(caps.tso.tcp_v6, has(Features::HOST_TSO6));
    assert_eq!(caps.tso.udp, has(Features::HOST_USO));
    let cuts = caps.tso.tcp_v4 || caps.tso.tcp_v6 || caps.tso.udp;
    assert_eq!(caps.tso.len_max, if cuts { 65_535 } else { 0 });
    let is_large = has(Features::GUEST_TSO4) || has(Features::GUEST_TSO6);
    assert_eq!(caps.rx_large, is_large);
    assert_eq!(caps.mtu == 1500, !has(Features::MTU));
    let has_long_header = has(Features::VERSION_1) || has(Features::MRG_RXBUF);
    assert_eq!(caps.headroom, if has_long_header { 12 } else { 10 });
}

/// A plain packet, one with a partial checksum, and a super-segment of each kind that is cut.
fn sends(bench: &mut Bench, features: Features) {
    static BODY: [u8; 60_000] = [9; 60_000];
    let csum = Some(CsumOffload {
        csum_start: 34,
        csum_offset: 16,
    });
    let mut requests = std::vec![TxOffload::default()];
    if features.contains(Features::CSUM) {
        requests.push(TxOffload { csum, gso: None });
    }
    for (feature, kind) in [
        (Features::HOST_TSO4, GsoKind::TcpV4),
        (Features::HOST_TSO6, GsoKind::TcpV6),
        (Features::HOST_USO, GsoKind::Udp),
    ] {
        let gso = Some(GsoOffload {
            kind,
            gso_size: 1_000,
            hdr_len: 54,
        });
        if features.contains(feature) {
            requests.push(TxOffload { csum, gso });
        }
    }
    for offload in requests {
        let len = if offload.gso.is_some() {
            BODY.len()
        } else {
            900
        };
        let packet = TxPacket::new(bench.head(&[1; 54]), offload);
        let packet = with_fragments(packet, [Fragment::Content(&BODY[..len])]);
        assert!(bench.send(packet).is_ok());
        bench.sync_tx();
        let sent = bench.device().transmit().expect("it was published");
        assert_eq!(sent.frame.len(), 54 + len);
        assert_eq!(sent.header[0], u8::from(offload.csum.is_some()));
        let gso_type = match offload.gso.map(|gso| gso.kind) {
            None => 0,
            Some(GsoKind::TcpV4) => 1,
            Some(GsoKind::TcpV6) => 4,
            Some(GsoKind::Udp) => 5,
        };
        assert_eq!(sent.header[1], gso_type);
        bench.sync_tx();
    }
}

/// A small packet, and a large one cut at odd places.
fn receives(bench: &mut Bench, features: Features) {
    bench.device().deliver(2, (0, 0), &frame_of(5, 61));
    let packet = bench.recv().expect("it was delivered");
    assert_eq!((packet.frame.bytes(), packet.gso_size), (&[5; 61][..], 0));
    let expected = match features.contains(Features::GUEST_CSUM) {
        true => RxChecksum::Verified,
        false => RxChecksum::Unknown,
    };
    assert_eq!(packet.csum, expected);
    drop(packet);
    if !features.contains(Features::GUEST_TSO4) {
        return;
    }
    let bytes: Vec<u8> = (0..9_999u32).map(|n| n as u8).collect();
    let mut whole = bench.device().header(1, (34, 16));
    whole[1] = 1;
    whole[4..6].copy_from_slice(&1_000u16.to_le_bytes());
    whole.extend(&bytes);
    for piece_len in [2_048, 1_001] {
        bench.recv();
        assert!(bench.device().deliver_merged(whole.clone(), piece_len));
        let packet = bench.recv().expect("it was delivered");
        let mut received = packet.frame.bytes().to_vec();
        packet.rest.for_each(|bytes| received.extend(bytes));
        assert_eq!(received, bytes);
        assert_eq!(packet.gso_size, 1_000);
        assert_eq!(packet.frame_len(), bytes.len());
        assert_eq!(packet.rest.frames(), (whole.len()).div_ceil(piece_len) - 1);
        let partial = RxChecksum::Partial {
            csum_start: 34,
            csum_offset: 16,
        };
        assert_eq!(packet.csum, partial);
    }
    assert_eq!(bench.queue.counters().rx.large, 2);
    let _rings = bench.queue.rings();
}
