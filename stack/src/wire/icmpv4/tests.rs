use core::net::Ipv4Addr;
use std::vec::Vec;

use super::checksum::Sum;
use super::*;

fn error(kind: u8, code: u8, mtu: u16) -> Vec<u8> {
    let quoted = ipv4::Repr {
        tos: 0,
        total_len: 1500,
        ident: 1,
        ttl: 3,
        proto: ipv4::proto::TCP,
        src: Ipv4Addr::new(10, 0, 2, 15),
        dst: Ipv4Addr::new(192, 0, 2, 1),
    };
    let mut bytes = std::vec![kind, code, 0, 0, 0, 0];
    bytes.extend_from_slice(&mtu.to_be_bytes());
    bytes.extend_from_slice(&quoted.emit());
    bytes.extend_from_slice(&[0, 80, 4, 0, 1, 2, 3, 4]);
    bytes
}

#[test]
fn errors_tell_their_cause_and_what_they_quote() {
    let causes = [
        ((3, 0), Cause::Unreachable),
        ((3, 1), Cause::Unreachable),
        ((3, 2), Cause::ProtocolUnreachable),
        ((3, 3), Cause::PortUnreachable),
        ((3, 4), Cause::FragmentationNeeded { mtu: 1400 }),
        ((3, 13), Cause::Prohibited),
        ((11, 0), Cause::TimeExceeded),
        ((12, 0), Cause::ParameterProblem),
    ];
    for ((kind, code), expected) in causes {
        let bytes = error(kind, code, 1400);
        let Some(Message::Error {
            cause,
            quoted,
            bytes,
        }) = Message::parse(&bytes)
        else {
            panic!("type {kind} code {code} is an error");
        };
        assert_eq!(cause, expected);
        assert_eq!(quoted.src, Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(bytes, &[0, 80, 4, 0, 1, 2, 3, 4]);
    }
}

#[test]
fn errors_that_quote_too_little_are_none() {
    let bytes = error(3, 3, 0);
    for len in 0..bytes.len() {
        assert_eq!(Message::parse(&bytes[..len]), None, "{len}");
    }
    let mut with_options = bytes.clone();
    with_options[8] = 0x46;
    assert_eq!(
        Message::parse(&with_options),
        None,
        "options push the ports out of the quotation"
    );
}

#[test]
fn other_types_and_codes_are_unknown() {
    for (kind, code) in [(0, 0), (4, 0), (8, 1), (3, 16), (5, 0), (13, 0), (255, 255)] {
        assert_eq!(
            Message::parse(&[kind, code, 0, 0, 0, 0, 0, 0]),
            Some(Message::Unknown)
        );
    }
    assert_eq!(
        Message::parse(&[8, 0, 0, 0, 0, 0, 0, 0]),
        Some(Message::EchoRequest)
    );
}

#[test]
fn a_reply_in_place_keeps_the_checksum_right() {
    for ident in 0..=u16::MAX {
        let [i0, i1] = ident.to_be_bytes();
        let mut bytes = [8, 0, 0, 0, i0, i1, 0, 7, b'p', b'i', b'n'];
        let csum = Sum::of(&bytes).finish().to_be_bytes();
        bytes[2..4].copy_from_slice(&csum);
        reply_in_place(&mut bytes);
        assert_eq!(bytes[..2], [0, 0]);
        assert!(Sum::of(&bytes).is_valid(), "{ident}");
        assert_eq!(bytes[4..], [i0, i1, 0, 7, b'p', b'i', b'n']);
    }
    let mut short = [8, 0, 1];
    reply_in_place(&mut short);
    assert_eq!(short, [8, 0, 1]);
}

#[test]
fn what_we_send_reads_back() {
    let quoted = &error(3, 3, 0)[HEADER_LEN..];
    for (unreachable, expected) in [
        (Unreachable::Protocol, Cause::ProtocolUnreachable),
        (Unreachable::Port, Cause::PortUnreachable),
    ] {
        let mut bytes = unreachable.emit(quoted).to_vec();
        bytes.extend_from_slice(quoted);
        assert!(Sum::of(&bytes).is_valid());
        let Some(Message::Error { cause, .. }) = Message::parse(&bytes) else {
            panic!("an error reads back as one");
        };
        assert_eq!(cause, expected);
    }
}
