use super::*;
use crate::GsoKind;
use crate::{CsumOffload, GsoOffload};

const ALL: Agreed = Agreed {
    csum: true,
    tcp_v4: true,
    tcp_v6: true,
    udp: true,
    ecn: true,
};

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
        let mut bytes = [0xff; NetHdr::LONG_LEN];
        NetHdr::for_tx(TxOffload { csum, gso }).emit(&mut bytes);
        let expected = [
            1, gso_type, 0x36, 0x01, 0xb4, 0x05, 0x22, 0x01, 0x10, 0x03, 0, 0,
        ];
        assert_eq!(bytes, expected);
    }
}

#[test]
fn plain_packet_has_a_header_of_zeros_as_long_as_the_far_side_has_it() {
    for len in [NetHdr::SHORT_LEN, NetHdr::LONG_LEN] {
        let mut bytes = [0xff; 14];
        NetHdr::for_tx(TxOffload::default()).emit(&mut bytes[..len]);
        assert!(bytes[..len].iter().all(|byte| *byte == 0));
        assert!(bytes[len..].iter().all(|byte| *byte == 0xff));
    }
}

#[test]
fn parse_reads_what_emit_writes_and_refuses_less() {
    let long = NetHdr {
        flags: 1,
        gso_type: 2,
        hdr_len: 0x0304,
        gso_size: 0x0506,
        csum_start: 0x0708,
        csum_offset: 0x090a,
        num_buffers: 0x0b0c,
    };
    let short = NetHdr {
        num_buffers: 0,
        ..long
    };
    let mut bytes = [0; NetHdr::LONG_LEN];
    long.emit(&mut bytes);
    for len in 0..=NetHdr::LONG_LEN {
        let expected = match len {
            0..NetHdr::SHORT_LEN => None,
            NetHdr::LONG_LEN => Some(long),
            // Half a number of buffers is none.
            _ => Some(short),
        };
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
    let partial = |csum_offset| RxChecksum::Partial {
        csum_start: 34,
        csum_offset,
    };
    for (header, expected) in [
        (header(0, 0, 0), Some(RxChecksum::Unknown)),
        (header(2, 0, 0), Some(RxChecksum::Verified)),
        (header(1, 34, 16), Some(partial(16))),
        (header(3, 34, 16), Some(partial(16))),
        (header(1, 34, 65), Some(partial(65))),
        (header(1, 34, 66), None),
        (header(1, 65_535, 65_535), None),
    ] {
        let expected = expected.map(|csum| (csum, 0));
        assert_eq!(header.for_rx(101, ALL), expected, "{header:?}");
        let bare = header.for_rx(101, Agreed::default());
        assert_eq!(bare, Some((RxChecksum::Unknown, 0)), "{header:?}");
    }
}

#[test]
fn segments_that_came_as_one_are_taken_as_agreed_on() {
    // Every type under every agreement on what may be merged.
    for bits in 0..16_u8 {
        let agreed = Agreed {
            csum: false,
            tcp_v4: bits & 1 != 0,
            tcp_v6: bits & 2 != 0,
            udp: bits & 4 != 0,
            ecn: bits & 8 != 0,
        };
        for gso_type in 0..=u8::MAX {
            let header = |gso_size| NetHdr {
                gso_type,
                gso_size,
                ..NetHdr::default()
            };
            let (kind, has_ecn) = (gso_type & 0x7f, gso_type & 0x80 != 0);
            let is_plain = kind == 0;
            let is_kind = match kind {
                1 => agreed.tcp_v4,
                4 => agreed.tcp_v6,
                5 => agreed.udp,
                _ => false,
            };
            let is_agreed = (is_plain || is_kind) && (agreed.ecn || !has_ecn);
            let gso_size = if is_plain { 0 } else { 1_000 };
            let expected = is_agreed.then_some((RxChecksum::Unknown, gso_size));
            assert_eq!(header(1_000).for_rx(9_000, agreed), expected);
            let expected = expected.filter(|_| is_plain);
            assert_eq!(header(0).for_rx(9_000, agreed), expected, "segments of 0");
        }
    }
}
