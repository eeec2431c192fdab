use simoom_ring::{CsumOffload, GsoOffload};

use super::*;

#[test]
fn transmit_header_has_the_request_in_the_words_of_the_specification() {
    let csum = Some(CsumOffload {
        csum_start: 0x0122,
        csum_offset: 0x0310,
    });
    for (kind, gso_type) in [(GsoKind::TcpV4, 1), (GsoKind::TcpV6, 4), (GsoKind::Udp, 5)] {
        let gso = Some(GsoOffload {
            kind,
            gso_size: 0x05b4,
            hdr_len: 0x0136,
        });
        let mut bytes = [0xff; MODERN_LEN];
        NetHdr::for_tx(TxOffload { csum, gso }).emit(&mut bytes);
        let expected = [
            1, gso_type, 0x36, 0x01, 0xb4, 0x05, 0x22, 0x01, 0x10, 0x03, 0, 0,
        ];
        assert_eq!(bytes, expected);
    }
}

#[test]
fn plain_packet_has_a_header_of_zeros_as_long_as_the_device_has_it() {
    for len in [LEGACY_LEN, MODERN_LEN] {
        let mut bytes = [0xff; 14];
        NetHdr::for_tx(TxOffload::default()).emit(&mut bytes[..len]);
        assert!(bytes[..len].iter().all(|byte| *byte == 0));
        assert!(bytes[len..].iter().all(|byte| *byte == 0xff));
    }
}

#[test]
fn parse_reads_what_emit_writes_and_refuses_less() {
    let header = NetHdr {
        flags: 1,
        gso_type: 2,
        hdr_len: 0x0304,
        gso_size: 0x0506,
        csum_start: 0x0708,
        csum_offset: 0x090a,
        num_buffers: 0,
    };
    let mut bytes = [0; MODERN_LEN];
    header.emit(&mut bytes);
    for len in 0..=MODERN_LEN {
        let expected = (len >= LEGACY_LEN).then_some(header);
        assert_eq!(NetHdr::parse(&bytes[..len]), expected, "{len} bytes");
    }
}

#[test]
fn receive_flags_say_what_is_known_of_the_checksum() {
    let header = |flags, csum_start, csum_offset| NetHdr {
        flags,
        csum_start,
        csum_offset,
        ..NetHdr::default()
    };
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 16,
    };
    let rows = [
        (header(0, 0, 0), Some(RxChecksum::Unknown)),
        (header(2, 0, 0), Some(RxChecksum::Verified)),
        (header(1, 34, 16), Some(partial)),
        (header(3, 34, 16), Some(partial)),
        (
            header(1, 34, 65),
            Some(RxChecksum::Partial {
                csum_start: 34,
                csum_offset: 65,
            }),
        ),
        (header(1, 34, 66), None),
        (header(1, 65_535, 65_535), None),
    ];
    for (header, expected) in rows {
        let expected_bare = Some(RxChecksum::Unknown);
        let expected = expected.map(|csum| (csum, 0));
        let expected_bare = expected_bare.map(|csum| (csum, 0));
        let found = header.for_rx(101, Features::GUEST_CSUM);
        assert_eq!(found, expected, "{header:?}");
        let found = header.for_rx(101, Features::NONE);
        assert_eq!(found, expected_bare, "{header:?}");
    }
}

#[test]
fn segments_that_came_as_one_are_taken_as_agreed_on() {
    for gso_type in 1..=u8::MAX {
        for (gso_size, features) in [
            (1_000, Features::NONE),
            (1_000, Features::GUEST_TSO4),
            (1_000, Features::GUEST_TSO6),
            (0, Features::GUEST_TSO),
        ] {
            let header = NetHdr {
                gso_type,
                gso_size,
                ..NetHdr::default()
            };
            let is_agreed = match gso_type {
                1 => features == Features::GUEST_TSO4,
                4 => features == Features::GUEST_TSO6,
                _ => false,
            };
            let expected = is_agreed.then_some((RxChecksum::Unknown, gso_size));
            assert_eq!(header.for_rx(9_000, features), expected);
        }
    }
}

#[test]
fn buffers_are_counted_in_a_long_header_alone() {
    let mut bytes = [0; MODERN_LEN];
    bytes[10..].copy_from_slice(&[0x21, 0x43]);
    let buffers = |bytes: &[u8]| NetHdr::parse(bytes).map(|header| header.num_buffers);
    assert_eq!(buffers(&bytes), Some(0x4321));
    assert_eq!(buffers(&bytes[..LEGACY_LEN]), Some(0));
}
