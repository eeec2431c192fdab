use super::*;

const REPR: Repr = Repr {
    tos: 0,
    total_len: 84,
    ident: 0x1c46,
    ttl: 64,
    proto: proto::ICMP,
    src: Ipv4Addr::new(172, 16, 10, 99),
    dst: Ipv4Addr::new(172, 16, 10, 12),
};

#[test]
fn the_checksum_is_that_of_a_known_header() {
    // Computed by hand in many a textbook.
    let repr = Repr {
        total_len: 60,
        proto: proto::TCP,
        ..REPR
    };
    assert_eq!(repr.emit()[10..12], [0xb1, 0xe6]);
}

/// A header with `options` behind it and everything put right.
fn with_options(options: &[u8], change: impl Fn(&mut [u8])) -> std::vec::Vec<u8> {
    let mut bytes = REPR.emit().to_vec();
    bytes[0] = 0x45 + (options.len() / 4) as u8;
    bytes.extend_from_slice(options);
    change(&mut bytes);
    bytes[10..12].fill(0);
    let csum = Sum::of(&bytes).finish();
    bytes[10..12].copy_from_slice(&csum.to_be_bytes());
    bytes
}

#[test]
fn a_header_comes_back_as_it_went() {
    let bytes = REPR.emit();
    assert_eq!(bytes[..10], [0x45, 0, 0, 84, 0x1c, 0x46, 0x40, 0, 64, 1]);
    let header = Header::parse(&bytes, 84).unwrap();
    assert_eq!(
        (header.header_len, header.total_len, header.ident),
        (20, 84, 0x1c46)
    );
    assert!(header.df && !header.is_fragment());
    assert_eq!((header.src, header.dst), (REPR.src, REPR.dst));
    assert_eq!((header.ttl, header.proto, header.tos), (64, 1, 0));
}

#[test]
fn options_are_skipped() {
    for words in 0..=10 {
        let bytes = with_options(&[1; 40][..words * 4], |_| {});
        let header = Header::parse(&bytes, 84).unwrap();
        assert_eq!(usize::from(header.header_len), 20 + words * 4);
        assert_eq!(
            Header::parse(&bytes[..bytes.len() - 1], 84),
            Err(Refused::Malformed)
        );
    }
}

#[test]
fn a_header_that_contradicts_itself_or_the_frame_is_malformed() {
    let refused = |change: fn(&mut [u8])| Header::parse(&with_options(&[], change), 84);
    assert!(refused(|_| {}).is_ok());
    for version in (0..16).filter(|version| *version != 4) {
        let mut bytes = REPR.emit();
        bytes[0] = version << 4 | 5;
        assert_eq!(Header::parse(&bytes, 84), Err(Refused::Malformed));
    }
    for ihl in 0..5 {
        let mut bytes = REPR.emit();
        bytes[0] = 0x40 | ihl;
        assert_eq!(Header::parse(&bytes, 84), Err(Refused::Malformed));
    }
    assert_eq!(
        refused(|bytes| bytes[3] = 19),
        Err(Refused::Malformed),
        "below the header"
    );
    assert_eq!(
        refused(|bytes| bytes[3] = 85),
        Err(Refused::Malformed),
        "beyond the frame"
    );
    assert!(refused(|bytes| bytes[3] = 20).is_ok(), "an empty datagram");
    for len in 0..HEADER_LEN {
        assert_eq!(
            Header::parse(&REPR.emit()[..len], 84),
            Err(Refused::Malformed)
        );
    }
}

#[test]
fn every_single_bit_error_is_seen() {
    for bit in 0..HEADER_LEN * 8 {
        let mut bytes = REPR.emit();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::parse(&bytes, 84).is_err(), "bit {bit}");
    }
}

#[test]
fn fragments_are_told_by_offset_or_more() {
    let is_fragment = |high, low| {
        let bytes = with_options(&[], |bytes| bytes[6..8].copy_from_slice(&[high, low]));
        Header::parse(&bytes, 84).unwrap().is_fragment()
    };
    assert!(!is_fragment(0x00, 0) && !is_fragment(0x40, 0));
    assert!(is_fragment(0x20, 0) && is_fragment(0x00, 1) && is_fragment(0x1f, 0xff));
}
