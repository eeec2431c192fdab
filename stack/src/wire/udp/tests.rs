use core::net::Ipv4Addr;

use super::*;

fn repr() -> Repr {
    Repr {
        src: Endpoint::new(Ipv4Addr::new(10, 0, 2, 15), 7),
        dst: Endpoint::new(Ipv4Addr::new(10, 0, 2, 2), 4000),
    }
}

#[test]
fn a_header_comes_back_as_it_went() {
    let header = repr().emit(b"hello").unwrap();
    assert_eq!(header[..6], [0, 7, 0x0f, 0xa0, 0, 13]);
    let parsed = Header::parse(&header, 13).unwrap();
    assert_eq!(
        (parsed.src_port, parsed.dst_port, parsed.len),
        (7, 4000, 13)
    );
    let mut sum = Sum::pseudo_header(repr().src.addr, repr().dst.addr, 17, 13);
    sum.add(&header);
    sum.add(b"hello");
    assert!(sum.is_valid());
}

#[test]
fn the_checksum_is_never_zero() {
    // Of all values of one word, one makes the sum zero.
    let mut ones = 0;
    for word in 0..=u16::MAX {
        let header = repr().emit(&word.to_be_bytes()).unwrap();
        assert_ne!(header[6..], [0, 0]);
        ones += u32::from(header[6..] == [0xff, 0xff]);
    }
    assert!(ones >= 1);
}

#[test]
fn lengths_that_contradict_the_datagram_are_none() {
    let mut header = repr().emit(b"hello").unwrap();
    for len in 0..HEADER_LEN {
        assert_eq!(Header::parse(&header[..len], 13), None);
    }
    assert_eq!(Header::parse(&header, 12), None);
    assert!(Header::parse(&header, 14).is_some(), "padding is allowed");
    header[5] = 7;
    assert_eq!(Header::parse(&header, 13), None);
    header[5] = 8;
    assert!(Header::parse(&header, 8).is_some());
    header[2..4].fill(0);
    assert_eq!(Header::parse(&header, 8), None, "port 0");
}

#[test]
fn a_payload_beyond_udp_is_none() {
    assert!(repr().emit(&std::vec![0; 65_527]).is_some());
    assert!(repr().emit(&std::vec![0; 65_528]).is_none());
}
