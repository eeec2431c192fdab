//! Answers of the kernel's, real ones and broken ones.

use std::vec;

use simoom_sim::Rng;

use super::*;

fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = (ATTR_HEADER_LEN + value.len()) as u16;
    let mut attr = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    attr.resize(attr.len().next_multiple_of(4), 0);
    attr
}

fn answer(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = 16 + body.len() as u32;
    [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
}

fn interface(xdp: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(1_u16.to_ne_bytes());
    body.extend(7_u32.to_ne_bytes());
    body.extend(0x1_0043_u32.to_ne_bytes());
    body.extend([0; 4]);
    body.extend(attr(IFLA_IFNAME, b"eth0\0"));
    body.extend(attr(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]));
    body.extend(attr(IFLA_MTU, &1500_u32.to_ne_bytes()));
    // With the flag "nested".
    body.extend(attr(IFLA_XDP | 0x8000, xdp));
    answer(RTM_NEWLINK, &body)
}

#[test]
fn an_interface_is_read_from_its_attributes() {
    let id = |kind, id: u32| attr(kind, &id.to_ne_bytes());
    let link = |xdp: &[u8]| {
        let parsed = parse(&interface(xdp)).expect("an answer");
        parsed.expect("an interface")
    };
    let plain = link(&attr(2, &[0]));
    let expected = Link {
        ifindex: 7,
        mac: MacAddr([2, 0, 0, 0, 0, 9]),
        mtu: 1500,
        is_up: true,
        has_carrier: true,
        is_ethernet: true,
        program_id: None,
    };
    assert_eq!(plain, expected);
    assert_eq!(
        link(&[attr(2, &[1]), id(4, 33), id(5, 33)].concat()).program_id,
        Some(33)
    );
    // Several modes at once.
    assert_eq!(
        link(&[attr(2, &[4]), id(5, 8), id(6, 0)].concat()).program_id,
        None
    );
    assert_eq!(
        link(&[attr(2, &[4]), id(5, 0), id(6, 9)].concat()).program_id,
        Some(9)
    );
}

#[test]
fn an_error_is_told_from_nonsense() {
    let error = answer(NLMSG_ERROR, &(-libc::ENODEV).to_ne_bytes());
    assert_eq!(parse(&error), Some(Err(libc::ENODEV)));
    assert_eq!(parse(&answer(3, &[0; 64])), None);
    assert_eq!(parse(&[]), None);
}

#[test]
fn answers_cut_or_changed_anywhere_are_read_without_a_panic() {
    let whole = interface(&attr(IFLA_XDP_PROG_ID, &3_u32.to_ne_bytes()));
    for len in 0..whole.len() {
        let _ = parse(&whole[..len]);
    }
    let mut rng = Rng::new(1);
    for _ in 0..20_000 {
        let mut changed = whole.clone();
        for _ in 0..=rng.next_u64() % 3 {
            let at = (rng.next_u64() % whole.len() as u64) as usize;
            changed[at] = rng.next_u64() as u8;
        }
        let _ = parse(&changed);
    }
}

#[test]
fn loopback_is_found_and_others_are_not() {
    let query = LinkQuery::new().expect("rtnetlink");
    let lo = query
        .by_name("lo")
        .expect("an answer")
        .expect("there is one");
    assert!(!lo.is_ethernet);
    assert_eq!(query.by_index(lo.ifindex).expect("an answer"), Some(lo));
    assert_eq!(query.by_name("no-such-if").expect("an answer"), None);
    assert_eq!(
        query.by_index(i32::MAX.cast_unsigned()).expect("an answer"),
        None
    );
}

#[test]
fn an_address_of_the_machine_is_told_from_others() {
    let query = LinkQuery::new().expect("rtnetlink");
    assert!(query.is_local([127, 0, 0, 1].into()).expect("an answer"));
    // For documentation (RFC 5737): nobody's.
    assert!(!query.is_local([192, 0, 2, 77].into()).expect("an answer"));
    let kind = answer(RTM_NEWROUTE, &[2, 32, 0, 0, 254, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(parse_route(&kind), Some(Ok(2)));
    assert_eq!(parse_route(&kind[..20]), None);
}
