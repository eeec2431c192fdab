//! Addresses on a command line.

use super::*;

#[test]
fn addresses_are_read_or_refused_in_a_line() {
    assert_eq!(Addressing::parse("dhcp", None), Ok(Addressing::Dhcp));
    let gateway = Some(Ipv4Addr::new(10, 0, 0, 1));
    let given = Addressing::parse("10.0.0.2/24", gateway).expect("an address");
    assert_eq!(given.addr(), Some(Ipv4Addr::new(10, 0, 0, 2)));
    for text in [
        "",
        "10.0.0.2",
        "10.0.0.2/",
        "10.0.0.2/33",
        "10.0.0.0/24",
        "10.0.0.255/24",
        "224.0.0.1/8",
        "127.0.0.1/8",
        "255.255.255.255/32",
        "0.0.0.0/0",
        "::1/64",
        "DHCP",
    ] {
        let error = Addressing::parse(text, None).expect_err(text);
        assert!(
            error.starts_with("--ip ") && !error.contains('\n'),
            "{error}"
        );
    }
    assert!(Addressing::parse("dhcp", gateway).is_err());
}

#[test]
fn a_gateway_is_a_neighbor() {
    let is_taken = |text, gateway| Addressing::parse(text, Some(Ipv4Addr::from(gateway))).is_ok();
    assert!(is_taken("10.0.0.2/24", [10, 0, 0, 1]));
    assert!(is_taken("10.0.0.2/31", [10, 0, 0, 3]));
    // A host that is alone in its network has its router outside.
    assert!(is_taken("10.0.0.2/32", [172, 16, 0, 1]));
    for (text, gateway) in [
        ("10.0.0.2/24", [10, 0, 1, 1]),
        ("10.0.0.2/24", [10, 0, 0, 2]),
        ("10.0.0.2/32", [10, 0, 0, 2]),
    ] {
        assert!(!is_taken(text, gateway), "{text} {gateway:?}");
    }
}
