//! A connection's four-tuple in twelve bytes.

use core::net::Ipv4Addr;

use crate::addr::{Addr, Endpoint, FourTuple};

/// What a connection keeps of its [`FourTuple`]: both ports, and both addresses as IPv4 has them.
///
/// IPv6 does not come in yet. It will fit into the same twelve bytes: no connection is from
/// `0.0.0.0`, so that value in `local` will say that `remote` is the place of a pair of addresses
/// in a table beside, which all connections between the two hosts share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    local: Ipv4Addr,
    remote: Ipv4Addr,
    local_port: u16,
    remote_port: u16,
}

impl Tuple {
    /// That of no connection.
    pub(crate) const NOBODY: Self = Self {
        local: Ipv4Addr::UNSPECIFIED,
        remote: Ipv4Addr::UNSPECIFIED,
        local_port: 0,
        remote_port: 0,
    };

    /// `None` for addresses of IPv6.
    #[inline]
    pub(crate) fn new(tuple: &FourTuple) -> Option<Self> {
        Some(Self {
            local: tuple.local.addr.as_v4()?,
            remote: tuple.remote.addr.as_v4()?,
            local_port: tuple.local.port,
            remote_port: tuple.remote.port,
        })
    }

    /// As the headers of a segment that came in have it.
    #[inline]
    pub(crate) fn of_wire(
        local: [u8; 4],
        local_port: [u8; 2],
        remote: [u8; 4],
        remote_port: [u8; 2],
    ) -> Self {
        Self {
            local: local.into(),
            remote: remote.into(),
            local_port: u16::from_be_bytes(local_port),
            remote_port: u16::from_be_bytes(remote_port),
        }
    }

    /// All of it, for a keyed function: no two have the same bytes.
    #[inline]
    pub(crate) fn bytes(self) -> [u8; 12] {
        let ([l0, l1, l2, l3], [r0, r1, r2, r3]) = (self.local.octets(), self.remote.octets());
        let [p0, p1] = self.local_port.to_be_bytes();
        let [q0, q1] = self.remote_port.to_be_bytes();
        [l0, l1, l2, l3, r0, r1, r2, r3, p0, p1, q0, q1]
    }

    /// The same, in words that have the first byte lowest: both addresses, both ports.
    #[inline]
    pub(crate) fn words(self) -> (u64, u32) {
        let [local, remote] = [self.local, self.remote].map(|addr| addr.to_bits().swap_bytes());
        let [ours, theirs] = [self.local_port, self.remote_port].map(u16::swap_bytes);
        let addrs = u64::from(remote) << 32 | u64::from(local);
        (addrs, u32::from(theirs) << 16 | u32::from(ours))
    }

    /// With addresses of either family.
    #[inline]
    pub(crate) fn full(self) -> FourTuple {
        FourTuple {
            local: Endpoint {
                addr: Addr::v4(self.local),
                port: self.local_port,
            },
            remote: Endpoint {
                addr: Addr::v4(self.remote),
                port: self.remote_port,
            },
        }
    }

    #[inline]
    pub(crate) fn local_port(self) -> u16 {
        self.local_port
    }

    #[inline]
    pub(crate) fn remote_port(self) -> u16 {
        self.remote_port
    }

    /// Ours and theirs.
    #[inline]
    pub(crate) fn addrs(self) -> (Ipv4Addr, Ipv4Addr) {
        (self.local, self.remote)
    }

    /// Their address.
    #[inline]
    pub(crate) fn remote_addr(self) -> Addr {
        Addr::v4(self.remote)
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
