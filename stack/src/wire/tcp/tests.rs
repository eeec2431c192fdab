use super::*;
use crate::tcp::seqnum::WndScale;
use std::vec;
use std::vec::Vec;

fn repr() -> Repr {
    Repr {
        src_port: 80,
        dst_port: 40_000,
        seq: SeqNum(0x0102_0304),
        ack: Some(SeqNum(0xfffe_fdfc)),
        ctl: Ctl::PSH,
        wnd: WireWnd(0x1234),
        options: Options::default(),
    }
}

fn emitted(repr: &Repr) -> Vec<u8> {
    let mut bytes = vec![0xee; repr.header_len()];
    repr.emit(&mut bytes);
    bytes
}

#[test]
fn what_is_emitted_parses_back() {
    let bytes = emitted(&repr());
    let segment = Segment::parse(&bytes, bytes.len() + 7).unwrap();
    assert_eq!((segment.src_port, segment.dst_port), (80, 40_000));
    assert_eq!((segment.seq, segment.ack), (repr().seq, repr().ack));
    assert_eq!(segment.ctl, Ctl::PSH.with(Ctl::ACK));
    assert_eq!((segment.wnd, segment.payload_len), (WireWnd(0x1234), 7));
    assert_eq!(segment.len(), 7);
}

#[test]
fn a_syn_has_its_options_in_linux_order() {
    let options = Options {
        mss: Some(1460),
        wscale: Some(WndScale::from_wire(7)),
        ..Options::default()
    };
    let syn = Repr {
        ctl: Ctl::SYN,
        ack: None,
        options,
        ..repr()
    };
    let bytes = emitted(&syn);
    assert_eq!(&bytes[20..], [2, 4, 0x05, 0xb4, 1, 3, 3, 7]);
    assert_eq!(Options::parse(&bytes[20..]), options);
    let segment = Segment::parse(&bytes, bytes.len()).unwrap();
    assert_eq!(
        (segment.ack, segment.len(), segment.header_len),
        (None, 1, 28)
    );
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let bytes = emitted(&repr());
    for cut in 0..HEADER_LEN {
        assert!(Segment::parse(&bytes[..cut], cut).is_none());
    }
    for offset in 0..16_u8 {
        let mut bytes = bytes.clone();
        bytes[12] = offset << 4;
        assert_eq!(Segment::parse(&bytes, bytes.len()).is_some(), offset == 5);
    }
    assert!(Segment::parse(&bytes, HEADER_LEN - 1).is_none());
}

#[test]
fn malformed_options_end_the_list_and_unknown_ones_do_not() {
    let mss = Options {
        mss: Some(1000),
        ..Options::default()
    };
    let cases: [(&[u8], Options); 8] = [
        (&[], Options::default()),
        (&[1, 1, 2, 4, 3, 232], mss),
        (&[254, 3, 9, 2, 4, 3, 232], mss),
        (&[2, 4, 3, 232, 9, 0, 3, 3, 7], mss),
        (&[2, 4, 3, 232, 9, 1, 3, 3, 7], mss),
        (&[2, 4, 3, 232, 3, 200, 7], mss),
        (&[2, 4, 3, 232, 0, 3, 3, 7], mss),
        (&[2, 3, 9, 3, 2, 2], Options::default()),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Options::parse(bytes), expected, "{bytes:?}");
    }
}

fn block(left: u32, right: u32) -> SackBlock {
    SackBlock {
        left: SeqNum(left),
        right: SeqNum(right),
    }
}

/// Each combination of options is written as Linux writes it, and reads back as it was.
#[test]
fn options_are_in_linux_order_and_parse_back() {
    let timestamps = Some(Timestamps { val: 7, ecr: 9 });
    let ts_bytes = [0, 0, 0, 7, 0, 0, 0, 9];
    let syn = Options {
        mss: Some(1_460),
        wscale: Some(WndScale::from_wire(7)),
        sack_permitted: true,
        timestamps,
        ..Options::default()
    };
    let mut sack = SackBlocks::NONE;
    assert!(sack.push(block(1, 2)) && sack.push(block(3, 4)));
    let cases: [(Options, Vec<u8>); 7] = [
        (
            syn,
            [&[2, 4, 5, 180, 4, 2, 8, 10][..], &ts_bytes, &[1, 3, 3, 7]].concat(),
        ),
        (
            Options {
                timestamps: None,
                ..syn
            },
            vec![2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7],
        ),
        (
            Options {
                timestamps,
                ..Options::default()
            },
            [&[1, 1, 8, 10][..], &ts_bytes].concat(),
        ),
        (
            Options {
                timestamps,
                sack,
                ..Options::default()
            },
            [
                &[1, 1, 8, 10][..],
                &ts_bytes,
                &[1, 1, 5, 18],
                &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
            ]
            .concat(),
        ),
        (
            Options {
                fast_open: Some(FastOpen::Cookie([1, 2, 3, 4, 5, 6, 7, 8])),
                ..syn
            },
            [
                &[2, 4, 5, 180, 4, 2, 8, 10][..],
                &ts_bytes,
                &[1, 3, 3, 7],
                &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1],
            ]
            .concat(),
        ),
        (
            Options {
                fast_open: Some(FastOpen::Request),
                ..Options::default()
            },
            vec![34, 2, 1, 1],
        ),
        (Options::default(), vec![]),
    ];
    for (options, expected) in cases {
        let bytes = emitted(&Repr { options, ..repr() });
        assert_eq!(bytes[20..], expected);
        assert_eq!(Options::parse(&bytes[20..]), options);
    }
}

/// RFC 7413 2: lengths that a cookie cannot have are no option at all; cookies of other servers'
/// lengths are as good as none.
#[test]
fn fast_open_cookies_have_4_to_16_bytes() {
    for len in 0..=18_u8 {
        let mut bytes = vec![34, len + 2];
        bytes.extend((0..len).map(|n| n + 1));
        let expected = match len {
            8 => Some(FastOpen::Cookie([1, 2, 3, 4, 5, 6, 7, 8])),
            0 | 4 | 6 | 10 | 12 | 14 | 16 => Some(FastOpen::Request),
            _ => None,
        };
        assert_eq!(Options::parse(&bytes).fast_open, expected, "{len} bytes");
    }
    let one_too_short = [34, 10, 1, 2, 3, 4, 5, 6, 7];
    assert_eq!(Options::parse(&one_too_short), Options::default());
}

#[test]
fn sack_blocks_are_left_out_until_all_fits() {
    let mut options = Options::default();
    for n in 0..4 {
        assert!(options.sack.push(block(10 * n, 10 * n + 5)));
    }
    assert!(!options.sack.push(block(90, 95)));
    options.fit();
    assert_eq!((options.sack.as_slice().len(), options.len()), (4, 36));
    options.timestamps = Some(Timestamps { val: 0, ecr: 0 });
    options.fit();
    assert_eq!((options.sack.as_slice().len(), options.len()), (3, 40));
}
