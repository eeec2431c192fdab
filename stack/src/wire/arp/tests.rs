use super::*;

const REQUEST: [u8; PACKET_LEN] = [
    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15,
];

#[test]
fn a_request_is_read_and_written_byte_for_byte() {
    let repr = Repr {
        op: Op::Request,
        sha: MacAddr([2, 0, 0, 0, 0, 9]),
        spa: Ipv4Addr::new(10, 0, 2, 2),
        tha: MacAddr([0; 6]),
        tpa: Ipv4Addr::new(10, 0, 2, 15),
    };
    assert_eq!(Repr::parse(&REQUEST), Some(repr));
    assert_eq!(repr.emit(), REQUEST);
    let reply = Repr {
        op: Op::Reply,
        tha: MacAddr([5; 6]),
        ..repr
    };
    assert_eq!(Repr::parse(&reply.emit()), Some(reply));
}

#[test]
fn padding_behind_is_ignored_and_missing_bytes_are_not() {
    let mut padded = [0xaa; 46];
    padded[..PACKET_LEN].copy_from_slice(&REQUEST);
    assert!(Repr::parse(&padded).is_some());
    for len in 0..PACKET_LEN {
        assert_eq!(Repr::parse(&REQUEST[..len]), None);
    }
}

#[test]
fn every_other_value_of_the_fixed_fields_is_refused() {
    for at in 0..8 {
        for value in 0..=255 {
            let mut packet = REQUEST;
            packet[at] = value;
            let is_known = value == REQUEST[at] || (at == 7 && value == 2);
            assert_eq!(
                Repr::parse(&packet).is_some(),
                is_known,
                "byte {at} = {value}"
            );
        }
    }
}
