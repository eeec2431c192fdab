use std::vec::Vec;

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
        assert_eq!(header.rx_checksum(101, true), expected, "{header:?}");
        assert_eq!(header.rx_checksum(101, false), expected_bare, "{header:?}");
    }
}

#[test]
fn merged_packet_that_was_not_agreed_on_is_refused() {
    let types: Vec<u8> = (1..=u8::MAX).collect();
    for gso_type in types {
        let header = NetHdr {
            gso_type,
            ..NetHdr::default()
        };
        assert_eq!(header.rx_checksum(1000, true), None);
        assert_eq!(header.rx_checksum(1000, false), None);
    }
}
