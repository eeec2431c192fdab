//! `ip=`, as the Linux kernel reads it (its `nfsroot.rst`):
//!
//! ```text
//!   ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS0:DNS1:NTP0
//!   ip=AUTOCONF          dhcp, on, any, both, bootp, rarp: by DHCP; off, none: no address
//! ```
//!
//! Fields may be empty and trailing ones left out.

use core::net::Ipv4Addr;

/// Where the addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip<'a> {
    /// From a DHCP server.
    Dhcp {
        /// The name to give the server.
        hostname: Option<&'a str>,
    },
    /// From the command line.
    Static(StaticIp<'a>),
    /// There are none.
    Off,
}

/// Addresses given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticIp<'a> {
    /// Our address.
    pub client: Ipv4Addr,
    /// The boot server's address, which nothing uses yet.
    pub server: Option<Ipv4Addr>,
    /// The router to everywhere else.
    pub gateway: Option<Ipv4Addr>,
    /// Length of the network's prefix, 0 to 32. Without a mask on the command line, that of the
    /// address's class, as in Linux.
    pub prefix_len: u8,
    /// Our name.
    pub hostname: Option<&'a str>,
    /// The interface meant, when there are several.
    pub device: Option<&'a str>,
    /// Name servers.
    pub dns: [Option<Ipv4Addr>; 2],
    /// A time server.
    pub ntp: Option<Ipv4Addr>,
}

impl<'a> Ip<'a> {
    /// Reads the value of `ip=`; the error says what was expected.
    pub(super) fn parse(value: &'a str) -> Result<Self, &'static str> {
        if !value.contains([':', '.']) {
            return match autoconf(value)? {
                Some(true) | None => Ok(Ip::Dhcp { hostname: None }),
                Some(false) => Ok(Ip::Off),
            };
        }
        let mut fields = [""; 10];
        for (field_idx, field) in value.split(':').enumerate() {
            *fields.get_mut(field_idx).ok_or("at most ten fields")? = field;
        }
        let [
            client,
            server,
            gateway,
            netmask,
            hostname,
            device,
            auto,
            dns0,
            dns1,
            ntp,
        ] = fields;
        let hostname = name(hostname);
        let client = match (address(client)?, autoconf(auto)?) {
            (_, Some(true)) | (None, None) => return Ok(Ip::Dhcp { hostname }),
            (None, Some(false)) => return Ok(Ip::Off),
            (Some(client), _) => client,
        };
        if client.is_multicast() || client.is_broadcast() || client.is_loopback() {
            return Err("a client address that a host can have");
        }
        let prefix_len = match address(netmask)? {
            Some(mask) => prefix_len(mask).ok_or("a netmask of leading ones")?,
            None => class_prefix_len(client),
        };
        Ok(Ip::Static(StaticIp {
            client,
            server: address(server)?,
            gateway: address(gateway)?,
            prefix_len,
            hostname,
            device: name(device),
            dns: [address(dns0)?, address(dns1)?],
            ntp: address(ntp)?,
        }))
    }
}

/// Whether to ask a server; `None` when not said.
fn autoconf(text: &str) -> Result<Option<bool>, &'static str> {
    match text {
        "" => Ok(None),
        "dhcp" | "on" | "any" | "both" | "bootp" | "rarp" => Ok(Some(true)),
        "off" | "none" => Ok(Some(false)),
        _ => Err("dhcp, off, or CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF"),
    }
}

/// An address; empty and 0.0.0.0 are none.
fn address(text: &str) -> Result<Option<Ipv4Addr>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let address: Ipv4Addr = text
        .parse()
        .map_err(|_| "an IPv4 address such as 10.0.2.15")?;
    Ok((!address.is_unspecified()).then_some(address))
}

fn name(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn prefix_len(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let prefix_len = bits.leading_ones();
    (bits.count_ones() == prefix_len).then_some(prefix_len as u8)
}

/// RFC 791 3.2: class A, B or C.
fn class_prefix_len(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}
