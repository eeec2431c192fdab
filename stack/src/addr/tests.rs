use super::*;
use std::string::ToString;

fn v4(a: u8, b: u8, c: u8, d: u8) -> Addr {
    Addr::v4(Ipv4Addr::new(a, b, c, d))
}

#[test]
fn both_families_have_one_form() {
    assert!(v4(192, 0, 2, 1).is_v4());
    assert_eq!(v4(192, 0, 2, 1).to_string(), "192.0.2.1");
    let six: Addr = "2001:db8::1".parse::<Ipv6Addr>().unwrap().into();
    assert!(!six.is_v4() && six.as_v4().is_none());
    assert_eq!(
        Endpoint::new(Ipv6Addr::LOCALHOST, 80).to_string(),
        "[::1]:80"
    );
}

#[test]
fn a_prefix_contains_its_network_of_its_family() {
    let net = Cidr::new(Ipv4Addr::new(10, 0, 2, 15), 24).unwrap();
    assert!(net.contains(v4(10, 0, 2, 2)) && !net.contains(v4(10, 0, 3, 2)));
    assert!(!net.contains(Addr::v6(Ipv6Addr::LOCALHOST)));
    let all = Cidr::new(Ipv4Addr::UNSPECIFIED, 0).unwrap();
    assert!(all.contains(v4(8, 8, 8, 8)) && !all.contains(Addr::v6(Ipv6Addr::LOCALHOST)));
    let every_six = Cidr::new(Ipv6Addr::UNSPECIFIED, 0).unwrap();
    assert!(every_six.contains(Addr::v6(Ipv6Addr::LOCALHOST)));
    assert!(Cidr::new(Ipv4Addr::UNSPECIFIED, 33).is_none());
    assert!(Cidr::new(Ipv6Addr::UNSPECIFIED, 129).is_none());
}

#[test]
fn directed_broadcast_needs_host_bits() {
    let of = |len| {
        Cidr::new(Ipv4Addr::new(10, 1, 2, 3), len)
            .unwrap()
            .broadcast()
    };
    assert_eq!(of(24), Some(v4(10, 1, 2, 255)));
    assert_eq!(of(30), Some(v4(10, 1, 2, 3)));
    assert_eq!(of(31), None);
    assert_eq!(of(32), None);
}
