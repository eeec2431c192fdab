//! Addresses: one compact form for IPv4 and IPv6, endpoints, four-tuples, prefixes.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP address in 16 bytes: IPv6 as it is, IPv4 mapped (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2).
///
/// One form means one hash, one comparison and one table for both families.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr([u8; 16]);

impl Addr {
    /// The IPv4 address of nobody (`0.0.0.0`).
    pub const UNSPECIFIED: Self = Self::v4(Ipv4Addr::UNSPECIFIED);
    /// IPv4's limited broadcast address (`255.255.255.255`).
    pub const BROADCAST: Self = Self::v4(Ipv4Addr::BROADCAST);

    /// The mapped form of an IPv4 address.
    #[inline]
    pub const fn v4(addr: Ipv4Addr) -> Self {
        Self(addr.to_ipv6_mapped().octets())
    }

    /// An IPv6 address.
    #[inline]
    pub const fn v6(addr: Ipv6Addr) -> Self {
        Self(addr.octets())
    }

    /// The IPv4 address, if it is one.
    #[inline]
    pub fn as_v4(self) -> Option<Ipv4Addr> {
        Ipv6Addr::from(self.0).to_ipv4_mapped()
    }

    /// Whether it is an IPv4 address.
    #[inline]
    pub fn is_v4(self) -> bool {
        self.words().0 == 0 && self.words().1 >> 32 == 0xffff
    }

    /// High and low half, for hashing and comparing.
    #[inline]
    pub fn words(self) -> (u64, u64) {
        let all = u128::from_be_bytes(self.0);
        ((all >> 64) as u64, all as u64)
    }

    /// The form that core and std know.
    pub fn to_ip(self) -> IpAddr {
        match self.as_v4() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }

    /// Whether it names one host: not unspecified, multicast, or IPv4's limited broadcast.
    #[inline]
    pub fn is_unicast(self) -> bool {
        match self.v4_bits() {
            // Multicast is 224.0.0.0/4.
            Some(v4) => v4 != 0 && v4 >> 28 != 0xe && v4 != u32::MAX,
            None => {
                let (high, low) = self.words();
                high | low != 0 && high >> 56 != 0xff
            }
        }
    }

    /// The 32 bits of an IPv4 address, if it is one.
    #[inline]
    pub(crate) fn v4_bits(self) -> Option<u32> {
        let (high, low) = self.words();
        // The lower half is the address.
        (high == 0 && low >> 32 == 0xffff).then_some(low as u32)
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(addr: Ipv4Addr) -> Self {
        Self::v4(addr)
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(addr: Ipv6Addr) -> Self {
        Self::v6(addr)
    }
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(v4) => Self::v4(v4),
            IpAddr::V6(v6) => Self::v6(v6),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_ip(), f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub addr: Addr,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// Puts the two together.
    pub fn new(addr: impl Into<Addr>, port: u16) -> Self {
        Self {
            addr: addr.into(),
            port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&core::net::SocketAddr::new(self.addr.to_ip(), self.port), f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What names a connection: our endpoint and theirs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourTuple {
    /// Ours.
    pub local: Endpoint,
    /// Theirs.
    pub remote: Endpoint,
}

impl fmt::Debug for FourTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <- {}", self.local, self.remote)
    }
}

/// An address with the length of its network prefix, `192.0.2.1/24`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    addr: Addr,
    prefix_len: u8,
}

impl Cidr {
    /// `prefix_len` counts the bits of the family: at most 32 for IPv4 and 128 for IPv6, else
    /// `None`.
    pub fn new(addr: impl Into<Addr>, prefix_len: u8) -> Option<Self> {
        let addr = addr.into();
        let bits = if addr.is_v4() { 32 } else { 128 };
        (prefix_len <= bits).then_some(Self { addr, prefix_len })
    }

    /// The address.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// Bits of the network prefix, in the family's own count.
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Whether `other` is on this network (and of this family).
    #[inline]
    pub fn contains(&self, other: Addr) -> bool {
        if let (Some(ours), Some(theirs)) = (self.addr.v4_bits(), other.v4_bits()) {
            return (ours ^ theirs) & self.v4_mask() == 0;
        }
        let mask = self.mask();
        u128::from_be_bytes(self.addr.0) & mask == u128::from_be_bytes(other.0) & mask
    }

    /// The directed broadcast address of an IPv4 network that has one (RFC 3021: /31 has none).
    #[inline]
    pub fn broadcast(&self) -> Option<Addr> {
        let ours = self.addr.v4_bits().filter(|_| self.prefix_len <= 30)?;
        Some(Addr::v4(Ipv4Addr::from_bits(ours | !self.v4_mask())))
    }

    /// Address and mask of an IPv4 network.
    #[inline]
    pub(crate) fn v4_parts(&self) -> Option<(u32, u32)> {
        Some((self.addr.v4_bits()?, self.v4_mask()))
    }

    /// The prefix of an IPv4 network as a mask.
    #[inline]
    fn v4_mask(&self) -> u32 {
        let host_bits = 32_u32.saturating_sub(self.prefix_len.into());
        u32::MAX.checked_shl(host_bits).unwrap_or(0)
    }

    /// The prefix as a mask over the 16-byte form.
    fn mask(&self) -> u128 {
        let host_bits = if self.addr.is_v4() { 32 } else { 128 } - u32::from(self.prefix_len);
        u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_len)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
