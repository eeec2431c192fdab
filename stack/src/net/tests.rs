use super::*;
use crate::testing::pool;
use simoom_ring::Caps;

fn net(cidr: Cidr) -> Net<'static> {
    let mut net = Net::new(pool(4), Caps::PLAIN, MacAddr([2, 0, 0, 0, 0, 1]));
    net.configure(cidr, None);
    net
}

/// What the short cut asks of a source is what IP asks.
#[test]
fn a_host_is_who_ip_takes_datagrams_from() {
    let ours = Ipv4Addr::new(10, 0, 0, 1);
    for prefix_len in [0, 8, 24, 29, 30, 31, 32] {
        let cidr = Cidr::new(ours, prefix_len).expect("a prefix");
        let net = net(cidr);
        let (bits, all) = (ours.to_bits(), cidr.broadcast());
        let near = [0, 1, 2, 3, 6, 7, 254, 255, 0x00ff_ffff].map(|last| bits & !last | last);
        let special = [
            0,
            0x7f00_0001,
            0xe000_0001,
            0xefff_ffff,
            0xf000_0001,
            u32::MAX,
        ];
        for from in near.into_iter().chain(special).map(Ipv4Addr::from_bits) {
            let addr = Addr::v4(from);
            let is_bad = !addr.is_unicast()
                || from.is_loopback()
                || net.is_broadcast(addr)
                || net.is_ours(addr);
            assert_eq!(net.is_host(from), !is_bad, "{from} at {cidr}, {all:?}");
        }
    }
}

/// What the short cut says of the way is what IP says, and it knows the usual ways.
#[test]
fn the_way_to_a_neighbor_is_that_of_ip() {
    let ours = Ipv4Addr::new(10, 0, 0, 1);
    let gateway = Addr::v4(Ipv4Addr::new(10, 0, 0, 254));
    for prefix_len in [0, 8, 24, 29, 30, 31, 32] {
        let cidr = Cidr::new(ours, prefix_len).expect("a prefix");
        let mut net = Net::new(pool(4), Caps::PLAIN, MacAddr([2, 0, 0, 0, 0, 1]));
        for gateway in [None, Some(gateway)] {
            net.configure(cidr, gateway);
            for bit in 0..32 {
                ways_agree(&net, ours, Ipv4Addr::from_bits(ours.to_bits() ^ 1 << bit));
            }
            for dst in [
                0,
                0x0aff_ffff,
                0x7f00_0001,
                0xe000_0001,
                0xf000_0001,
                u32::MAX,
            ] {
                ways_agree(&net, ours, Ipv4Addr::from_bits(dst));
            }
            ways_agree(&net, ours, ours);
            assert_eq!(net.next_neighbor(Ipv4Addr::new(10, 0, 0, 9), ours), None);
        }
    }
    let net = net(Cidr::new(ours, 24).expect("a prefix"));
    let near = Ipv4Addr::new(10, 0, 0, 2);
    assert_eq!(net.next_neighbor(ours, near), Some(Addr::v4(near)));
}

fn ways_agree(net: &Net<'_>, ours: Ipv4Addr, dst: Ipv4Addr) {
    let next_hop = net.next_hop(ours.into(), dst.into());
    if let Some(neighbor) = net.next_neighbor(ours, dst) {
        assert_eq!(next_hop, Some(NextHop::Neighbor(neighbor)), "to {dst}");
    }
    let is_far = net.cidr.is_some_and(|cidr| !cidr.contains(dst.into()));
    if let Some(NextHop::Neighbor(neighbor)) = next_hop.filter(|_| is_far) {
        assert_eq!(net.next_neighbor(ours, dst), Some(neighbor), "to {dst}");
    }
}

/// An address that another stack announces is ours as any other: segments for it take the short
/// cut.
#[test]
fn a_shared_address_is_ours() {
    let cidr = Cidr::new(Ipv4Addr::new(10, 0, 0, 1), 24).expect("a prefix");
    let mut net = Net::new(pool(4), Caps::PLAIN, MacAddr([2, 0, 0, 0, 0, 1]));
    net.share(cidr, None);
    assert!(net.is_ours_v4([10, 0, 0, 1]));
    let (ours, theirs) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(net.next_neighbor(ours, theirs), Some(Addr::v4(theirs)));
    net.deconfigure();
    assert!(!net.is_ours_v4([10, 0, 0, 1]));
}
