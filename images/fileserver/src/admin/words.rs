//! What the command line says of the look inside.

use core::net::Ipv4Addr;

use simoom::{Addr, Endpoint};

use super::SEATS_MAX;
use crate::accesslog::Sink;
use crate::options::BadOption;

/// Where the admin port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The address of ours that it answers at; all of them if none is named.
    pub addr: Option<Addr>,
    /// The TCP port.
    pub port: u16,
}

/// What is said of the look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// `admin`: where it is; nowhere unless it is named.
    pub listening: Option<Listening>,
    /// `admin-conns`: connections to it at once.
    pub conns_max: u8,
    /// `accesslog`: where lines go; there is no log unless it is named.
    pub log: Option<Sink>,
}

impl Words {
    /// What is so without a word.
    pub const DEFAULT: Self = Self {
        listening: None,
        conns_max: 8,
        log: None,
    };

    /// Reads all keys. `port` is that of the site.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn read<'a>(
        get: &impl Fn(&str) -> Option<&'a str>,
        port: u16,
    ) -> Result<Self, BadOption<'a>> {
        let mut words = Self::DEFAULT;
        let bad = |key, value, expected| BadOption {
            key,
            value,
            expected,
        };
        if let Some(value) = get("admin") {
            let expected = "ADDR:PORT, :PORT or PORT";
            let at = listening(value).ok_or(bad("admin", value, expected))?;
            if at.port == port {
                return Err(bad("admin", value, "another port than that of the site"));
            }
            words.listening = Some(at);
        }
        if let Some(value) = get("admin-conns") {
            let cnt = value.parse().ok();
            let cnt = cnt.filter(|cnt| (1..=SEATS_MAX as u8).contains(cnt));
            words.conns_max = cnt.ok_or(bad("admin-conns", value, "a number, 1 to 16"))?;
        }
        words.log = match get("accesslog") {
            None => None,
            Some("console") => Some(Sink::Console),
            Some(value) => {
                let expected = "console or syslog:ADDR[:PORT]";
                let sink = value.strip_prefix("syslog:").and_then(syslog);
                Some(sink.ok_or(bad("accesslog", value, expected))?)
            }
        };
        Ok(words)
    }

    /// Connections that are kept free for the admin port.
    #[must_use]
    pub fn conns_kept(&self) -> usize {
        self.listening.map_or(0, |_| self.conns_max.into())
    }
}

fn listening(value: &str) -> Option<Listening> {
    let (addr, port) = value.rsplit_once(':').unwrap_or(("", value));
    let addr = match addr {
        "" => None,
        addr => Some(v4(addr)?),
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some(Listening { addr, port })
}

fn syslog(value: &str) -> Option<Sink> {
    let (addr, port) = value.split_once(':').unwrap_or((value, "514"));
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some(Sink::Syslog(Endpoint::new(v4(addr)?, port)))
}

fn v4(text: &str) -> Option<Addr> {
    let addr: Ipv4Addr = text.parse().ok()?;
    let is_host = !addr.is_unspecified() && !addr.is_multicast() && !addr.is_broadcast();
    is_host.then(|| Addr::v4(addr))
}

#[cfg(test)]
mod tests;
