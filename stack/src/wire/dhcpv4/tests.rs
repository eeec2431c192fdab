use std::vec::Vec;

use super::*;
use crate::random::Random;
use crate::testing::{OUR_MAC, dhcp_reply};

const REPR: Repr = Repr {
    kind: MessageType::Request,
    xid: 0x0102_0304,
    secs: 5,
    broadcast: true,
    ciaddr: Ipv4Addr::UNSPECIFIED,
    mac: OUR_MAC,
    requested: Some(Ipv4Addr::new(10, 0, 2, 15)),
    server_id: Some(Ipv4Addr::new(10, 0, 2, 2)),
};

/// The options of a message of ours, in order.
fn options(message: &[u8; MESSAGE_LEN]) -> Vec<(u8, Vec<u8>)> {
    let mut field = &message[240..];
    let mut found = Vec::new();
    while field[0] != END {
        let len = usize::from(field[1]);
        found.push((field[0], field[2..2 + len].to_vec()));
        field = &field[2 + len..];
    }
    assert!(field[1..].iter().all(|byte| *byte == PAD));
    found
}

#[test]
fn a_request_has_its_fields_where_the_rfc_puts_them() {
    let bytes = REPR.emit();
    assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 5, 0x80, 0]);
    assert!(bytes[12..28].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[28..34], OUR_MAC.0);
    assert!(bytes[34..236].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[236..240], COOKIE);
    let found = options(&bytes);
    let codes: Vec<u8> = found.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [53, 61, 50, 54, 57, 12, 55]);
    assert_eq!(found[0].1, [3]);
    assert_eq!(found[1].1, [1, 2, 0, 0, 0, 0, 1]);
    assert_eq!(found[2].1, [10, 0, 2, 15]);
    assert_eq!(found[3].1, [10, 0, 2, 2]);
    assert_eq!(found[5].1, b"simoom");
    assert_eq!(found[6].1, [1, 3, 6, 26, 51, 54, 58, 59]);
}

#[test]
fn a_discover_asks_for_nothing_in_particular() {
    let discover = Repr {
        kind: MessageType::Discover,
        broadcast: false,
        ciaddr: Ipv4Addr::new(1, 2, 3, 4),
        requested: None,
        server_id: None,
        ..REPR
    };
    let bytes = discover.emit();
    assert_eq!(bytes[10..16], [0, 0, 1, 2, 3, 4]);
    let codes: Vec<u8> = options(&bytes).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [53, 61, 57, 12, 55]);
}

#[test]
fn an_offer_is_read_in_full() {
    let bytes = dhcp_reply(
        7,
        [10, 0, 2, 15],
        &[
            (53, &[2]),
            (54, &[10, 0, 2, 2]),
            (1, &[255, 255, 255, 0]),
            (3, &[10, 0, 2, 2, 10, 0, 2, 3]),
            (6, &[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]),
            (26, &[5, 120]),
            (51, &[0, 1, 81, 128]),
            (58, &[0, 0, 0, 60]),
            (59, &[0, 0, 0, 90]),
            (200, b"unknown"),
        ],
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.xid), (MessageType::Offer, 7));
    assert_eq!(message.yiaddr, Ipv4Addr::new(10, 0, 2, 15));
    assert_eq!(message.chaddr, OUR_MAC);
    assert_eq!(message.server_id, Some(Ipv4Addr::new(10, 0, 2, 2)));
    assert_eq!(message.subnet_mask, Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!(message.router, Some(Ipv4Addr::new(10, 0, 2, 2)));
    assert_eq!(message.dns.len(), DNS_MAX);
    assert_eq!(message.dns[2], Ipv4Addr::new(3, 3, 3, 3));
    assert_eq!(message.mtu, Some(1400));
    assert_eq!(
        (message.lease_s, message.t1_s, message.t2_s),
        (Some(86_400), Some(60), Some(90))
    );
}

#[test]
fn options_overflow_into_file_and_sname_when_they_say_so() {
    for overload in 0..=3u8 {
        let mut bytes = dhcp_reply(7, [10, 0, 2, 15], &[(53, &[5]), (52, &[overload])]);
        bytes[44..51].copy_from_slice(&[3, 4, 10, 0, 2, 3, END]);
        bytes[108..115].copy_from_slice(&[1, 4, 255, 0, 0, 0, END]);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.subnet_mask.is_some(), overload & 1 != 0);
        assert_eq!(message.router.is_some(), overload & 2 != 0);
    }
}

#[test]
fn an_option_counts_once_and_at_its_own_length() {
    let bytes = dhcp_reply(
        7,
        [10, 0, 2, 15],
        &[
            (51, &[1]),
            (53, &[5]),
            (53, &[6]),
            (51, &[0, 0, 0, 9]),
            (3, &[1, 2, 3]),
            (6, &[]),
        ],
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.lease_s), (MessageType::Ack, Some(9)));
    assert_eq!((message.router, message.dns.len()), (None, 0));
}

#[test]
fn what_is_not_a_servers_message_for_ethernet_is_none() {
    let good = dhcp_reply(7, [10, 0, 2, 15], &[(53, &[2]), (51, &[0, 0, 0, 9])]);
    assert!(Message::parse(&good).is_some());
    for at in [0, 1, 2, 236, 237, 238, 239] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        assert_eq!(Message::parse(&bytes), None, "byte {at}");
    }
    // A client's type, none, and an option that reaches beyond the end.
    for options in [&[(53u8, &[1u8][..])][..], &[], &[(53, &[2, 2])]] {
        assert_eq!(
            Message::parse(&dhcp_reply(7, [10, 0, 2, 15], options)),
            None
        );
    }
    for len in 0..good.len() - 1 {
        // Cut between two options, it is a message without an end option, which is let pass.
        let is_whole = len == 243;
        assert_eq!(Message::parse(&good[..len]).is_some(), is_whole, "{len}");
    }
}

#[test]
fn random_options_never_panic() {
    let mut random = Random::new(9);
    for _ in 0..20_000 {
        let mut bytes = dhcp_reply(7, [10, 0, 2, 15], &[(53, &[2])]);
        bytes.pop();
        for _ in 0..random.below(64) {
            bytes.push(random.next_u32() as u8);
        }
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next_u32() as u8;
        }
        let len = random.below(bytes.len() as u64 + 1) as usize;
        let _ = Message::parse(&bytes[..len]);
    }
}
