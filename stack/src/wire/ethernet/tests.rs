use super::*;

#[test]
fn a_header_comes_back_as_it_went() {
    for ethertype in [EtherType::Ipv4, EtherType::Arp, EtherType::Unknown(0x8100)] {
        let repr = Repr {
            dst: MacAddr::BROADCAST,
            src: MacAddr([2, 3, 4, 5, 6, 7]),
            ethertype,
        };
        assert_eq!(Repr::parse(&repr.emit()), Some(repr));
    }
}

#[test]
fn the_bytes_are_those_of_the_standard() {
    let repr = Repr {
        dst: MacAddr([1, 2, 3, 4, 5, 6]),
        src: MacAddr([7, 8, 9, 10, 11, 12]),
        ethertype: EtherType::Arp,
    };
    assert_eq!(repr.emit(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 6]);
}

#[test]
fn fewer_bytes_than_a_header_are_none() {
    for len in 0..HEADER_LEN {
        assert_eq!(Repr::parse(&[0; HEADER_LEN][..len]), None);
    }
    assert!(Repr::parse(&[0; HEADER_LEN]).is_some());
}
