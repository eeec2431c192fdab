use super::*;
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
        options: SynOptions::default(),
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
    let options = SynOptions {
        mss: Some(1460),
        wscale: Some(WndScale::from_wire(7)),
    };
    let syn = Repr {
        ctl: Ctl::SYN,
        ack: None,
        options,
        ..repr()
    };
    let bytes = emitted(&syn);
    assert_eq!(&bytes[20..], [2, 4, 0x05, 0xb4, 1, 3, 3, 7]);
    assert_eq!(SynOptions::parse(&bytes[20..]), options);
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
    let mss = SynOptions {
        mss: Some(1000),
        wscale: None,
    };
    let cases: [(&[u8], SynOptions); 8] = [
        (&[], SynOptions::default()),
        (&[1, 1, 2, 4, 3, 232], mss),
        (&[254, 3, 9, 2, 4, 3, 232], mss),
        (&[2, 4, 3, 232, 9, 0, 3, 3, 7], mss),
        (&[2, 4, 3, 232, 9, 1, 3, 3, 7], mss),
        (&[2, 4, 3, 232, 3, 200, 7], mss),
        (&[2, 4, 3, 232, 0, 3, 3, 7], mss),
        (&[2, 3, 9, 3, 2, 2], SynOptions::default()),
    ];
    for (bytes, expected) in cases {
        assert_eq!(SynOptions::parse(bytes), expected, "{bytes:?}");
    }
}
