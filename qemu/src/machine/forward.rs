//! Which ports of 127.0.0.1 lead into a guest on QEMU's own network: by the words that it is given.

use simoom_platform::command_line::{CommandLine, Ip};
use std::net::Ipv4Addr;

/// Where a guest listens. A word that cannot be is the guest's to complain of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listens {
    /// Its address, when it is not the one that QEMU's DHCP gives.
    addr: Option<Ipv4Addr>,
    /// The site's port.
    port: u16,
    /// The admin port, if there is one.
    pub(crate) admin: Option<u16>,
}

impl Listens {
    /// What `append` says of it.
    pub(crate) fn read(append: &str) -> Self {
        let line = CommandLine::parse(append.as_bytes()).unwrap_or_default();
        let addr = match line.ip {
            Ip::Static(ip) => Some(ip.client),
            Ip::Dhcp { .. } | Ip::Off => None,
        };
        let port = |key| {
            let value: &str = line.get(key)?;
            let (_, port) = value.rsplit_once(':').unwrap_or(("", value));
            port.parse().ok().filter(|port: &u16| *port > 0)
        };
        Self {
            addr,
            port: port("port").unwrap_or(80),
            admin: port("admin"),
        }
    }

    /// The properties of QEMU's network for a port of 127.0.0.1 that leads to the site, and one
    /// that leads to the admin port.
    pub(super) fn forwards(self, port: u16, admin: Option<u16>) -> String {
        let addr = self.addr.map(|addr| addr.to_string()).unwrap_or_default();
        let forward = |from, to| format!(",hostfwd=tcp:127.0.0.1:{from}-{addr}:{to}");
        let mut forwards = forward(port, self.port);
        if let (Some(from), Some(to)) = (admin, self.admin) {
            forwards.push_str(&forward(from, to));
        }
        forwards
    }
}
