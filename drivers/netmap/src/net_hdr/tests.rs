use simoom_ring::{CsumOffload, GsoOffload};

use super::*;

#[test]
fn a_request_is_written_in_the_words_of_the_specification() {
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
        let mut bytes = [0xff; 13];
        NetHdr::for_tx(TxOffload { csum, gso }).emit(&mut bytes[..12]);
        let expected = [
            1, gso_type, 0x36, 0x01, 0xb4, 0x05, 0x22, 0x01, 0x10, 0x03, 0, 0, 0xff,
        ];
        assert_eq!(bytes, expected);
        let read = NetHdr::parse(&bytes).expect("enough bytes");
        assert_eq!(read, NetHdr::for_tx(TxOffload { csum, gso }));
        assert!(NetHdr::parse(&bytes[..9]).is_none());
    }
}

#[test]
fn received_headers_say_what_is_known() {
    let header = |flags, gso_type, gso_size| NetHdr {
        flags,
        gso_type,
        gso_size,
        csum_start: 34,
        csum_offset: 16,
        ..NetHdr::default()
    };
    let partial = RxChecksum::Partial {
        csum_start: 34,
        csum_offset: 16,
    };
    let unknown = RxChecksum::Unknown;
    let verified = RxChecksum::Verified;
    for (flags, gso_type, gso_size, has_csum, has_large, expected) in [
        (0, 0, 0, true, true, Some((unknown, 0))),
        (1, 0, 0, true, true, Some((partial, 0))),
        (2, 0, 0, true, true, Some((verified, 0))),
        (1, 0, 0, false, true, Some((unknown, 0))),
        (1, 1, 1448, true, true, Some((partial, 1448))),
        (1, 0x81, 1448, true, true, Some((partial, 1448))),
        (1, 1, 0, true, true, None),
        (1, 1, 1448, true, false, None),
        (1, 9, 1448, true, true, None),
    ] {
        let read = header(flags, gso_type, gso_size).for_rx(52, has_csum, has_large);
        assert_eq!(read, expected, "flags {flags}, type {gso_type}");
    }
    assert_eq!(header(1, 0, 0).for_rx(51, true, true), None, "out of it");
}
