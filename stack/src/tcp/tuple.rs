//! A connection's four-tuple in twelve bytes.

use core::net::Ipv4Addr;

use crate::addr::{Addr, Endpoint, FourTuple};

/// What a connection keeps of its [`FourTuple`]: both ports, and both addresses as IPv4 has them.
///
/// IPv6 does not come in yet. It will fit into the same twelve bytes: no connection is from
/// `0.0.0.0`, so that value in `local` will say that `remote` is the place of a pair of addresses
/// in a table beside, which all connections between the two hosts share.
///
/// All of it lies in words, so that two are compared, and one is read from a segment, at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    /// Ours and theirs, as on the wire.
    addrs: [u32; 2],
    /// Theirs in the upper half, ours in the lower.
    ports: u32,
}

impl Tuple {
    /// That of no connection.
    pub(crate) const NOBODY: Self = Self {
        addrs: [0; 2],
        ports: 0,
    };

    /// `None` for addresses of IPv6.
    #[inline]
    pub(crate) fn new(tuple: &FourTuple) -> Option<Self> {
        let FourTuple { local, remote } = tuple;
        let addrs = [local.addr.as_v4()?, remote.addr.as_v4()?];
        Some(Self {
            addrs: addrs.map(|addr| u32::from_ne_bytes(addr.octets())),
            ports: u32::from(remote.port) << 16 | u32::from(local.port),
        })
    }

    /// As the headers of a segment that came in have it: both addresses, and both ports, theirs
    /// first.
    #[inline]
    pub(crate) fn of_wire(local: [u8; 4], remote: [u8; 4], ports: [u8; 4]) -> Self {
        Self {
            addrs: [local, remote].map(u32::from_ne_bytes),
            ports: u32::from_be_bytes(ports),
        }
    }

    /// All of it, for a keyed function: no two have the same bytes.
    #[inline]
    pub(crate) fn bytes(self) -> [u8; 12] {
        let [[l0, l1, l2, l3], [r0, r1, r2, r3]] = self.addrs.map(u32::to_ne_bytes);
        let [p0, p1, q0, q1] = self.ports.rotate_left(16).to_be_bytes();
        [l0, l1, l2, l3, r0, r1, r2, r3, p0, p1, q0, q1]
    }

    /// The same, in words that have the first byte lowest: both addresses, both ports.
    #[inline]
    pub(crate) fn words(self) -> (u64, u32) {
        let [local, remote] = self.addrs.map(u32::to_le);
        let addrs = u64::from(remote) << 32 | u64::from(local);
        (addrs, self.ports.rotate_left(16).swap_bytes())
    }

    /// With addresses of either family.
    #[inline]
    pub(crate) fn full(self) -> FourTuple {
        let (local, remote) = self.addrs();
        FourTuple {
            local: Endpoint {
                addr: Addr::v4(local),
                port: self.local_port(),
            },
            remote: Endpoint {
                addr: Addr::v4(remote),
                port: self.remote_port(),
            },
        }
    }

    #[inline]
    pub(crate) fn local_port(self) -> u16 {
        let [_, _, p0, p1] = self.ports.to_be_bytes();
        u16::from_be_bytes([p0, p1])
    }

    #[inline]
    pub(crate) fn remote_port(self) -> u16 {
        let [p0, p1, ..] = self.ports.to_be_bytes();
        u16::from_be_bytes([p0, p1])
    }

    /// Both, theirs in the upper half.
    #[inline]
    pub(crate) fn ports(self) -> u32 {
        self.ports
    }

    /// Ours and theirs.
    #[inline]
    pub(crate) fn addrs(self) -> (Ipv4Addr, Ipv4Addr) {
        let [local, remote] = self.addrs.map(|addr| Ipv4Addr::from(addr.to_ne_bytes()));
        (local, remote)
    }

    /// Their address.
    #[inline]
    pub(crate) fn remote_addr(self) -> Addr {
        let (_, remote) = self.addrs();
        Addr::v4(remote)
    }
}

impl core::fmt::Debug for Tuple {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.full().fmt(f)
    }
}

const _: () = assert!(size_of::<Tuple>() == 12);

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;

    #[test]
    fn a_tuple_is_the_same_after_it_was_kept() {
        let local = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 80);
        let remote = Endpoint::new(Ipv4Addr::new(192, 0, 2, 7), 40_000);
        let tuple = FourTuple { local, remote };
        let kept = Tuple::new(&tuple).unwrap();
        assert_eq!(kept.full(), tuple);
        assert_eq!((kept.local_port(), kept.remote_port()), (80, 40_000));
        assert_eq!(kept.remote_addr(), remote.addr);
        let v6 = Endpoint::new(Ipv6Addr::LOCALHOST, 1);
        assert_eq!(Tuple::new(&FourTuple { local, remote: v6 }), None);
    }
}
