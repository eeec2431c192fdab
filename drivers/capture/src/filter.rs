//! Which packets are wanted: a small part of pcap's filter syntax, with pcap's meaning.
//!
//! ```text
//!   filter = term *( "and" term )
//!   term   = "host" IPv4 address | "port" number | "tcp" | "udp" | "icmp" | "arp"
//! ```
//!
//! An address or a port may be that of either side.

use core::fmt;
use core::net::Ipv4Addr;

/// Terms of one filter at most.
pub const TERMS_MAX: usize = 8;

/// What a packet must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Host([u8; 4]),
    Port(u16),
    Protocol(u8),
    Arp,
}

/// A filter: packets that are all of what it says. Of nothing said, all packets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: [Option<Term>; TERMS_MAX],
}

/// Why a filter cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadFilter<'t> {
    /// A word that is none of those known.
    Word(&'t str),
    /// `host` or `port` with something else behind it, or nothing.
    Value(&'static str, &'t str),
    /// More than [`TERMS_MAX`] terms.
    TooMany,
}

impl fmt::Display for BadFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(
                f,
                "filter: {word}: expected host A, port N, tcp, udp, icmp or arp, joined by and"
            ),
            Self::Value("host", value) => {
                write!(f, "filter: host {value}: expected an IPv4 address")
            }
            Self::Value(key, value) => write!(f, "filter: {key} {value}: expected 0 to 65535"),
            Self::TooMany => write!(f, "filter: more than {TERMS_MAX} terms"),
        }
    }
}

impl core::error::Error for BadFilter<'_> {}

impl Filter {
    /// Reads a filter; of white space alone it is that of all packets.
    ///
    /// # Errors
    /// [`BadFilter`].
    pub fn parse(text: &str) -> Result<Self, BadFilter<'_>> {
        let mut filter = Self::default();
        let mut words = text.split_ascii_whitespace();
        let mut word = words.next();
        let mut places = filter.terms.iter_mut();
        while let Some(key) = word {
            let mut value = || words.next().unwrap_or("");
            let term = match key {
                "host" => {
                    let value = value();
                    let addr: Result<Ipv4Addr, _> = value.parse();
                    Term::Host(addr.map_err(|_| BadFilter::Value("host", value))?.octets())
                }
                "port" => {
                    let value = value();
                    let port = value.parse();
                    Term::Port(port.map_err(|_| BadFilter::Value("port", value))?)
                }
                "tcp" => Term::Protocol(TCP),
                "udp" => Term::Protocol(UDP),
                "icmp" => Term::Protocol(ICMP),
                "arp" => Term::Arp,
                word => return Err(BadFilter::Word(word)),
            };
            *places.next().ok_or(BadFilter::TooMany)? = Some(term);
            word = match words.next() {
                Some("and") => Some(words.next().unwrap_or("")),
                Some(other) => return Err(BadFilter::Word(other)),
                None => None,
            };
        }
        Ok(filter)
    }

    /// Whether a packet, of which `bytes` are the first, is one of those wanted.
    #[must_use]
    pub fn takes(&self, bytes: &[u8]) -> bool {
        let seen = Seen::of(bytes);
        self.terms.iter().flatten().all(|term| match *term {
            Term::Host(addr) => seen.addrs.contains(&Some(addr)),
            Term::Port(port) => seen.ports.is_some_and(|ports| ports.contains(&port)),
            Term::Protocol(protocol) => seen.protocol == Some(protocol),
            Term::Arp => seen.is_arp,
        })
    }
}

/// Whether a packet is a segment from or to the TCP port `port`.
pub(crate) fn is_of_tcp_port(bytes: &[u8], port: u16) -> bool {
    let seen = Seen::of(bytes);
    seen.protocol == Some(TCP) && seen.ports.is_some_and(|ports| ports.contains(&port))
}

/// What a filter looks at.
#[derive(Default)]
struct Seen {
    addrs: [Option<[u8; 4]>; 2],
    /// Of TCP and UDP, in the first fragment alone.
    ports: Option<[u16; 2]>,
    protocol: Option<u8>,
    is_arp: bool,
}

impl Seen {
    fn of(bytes: &[u8]) -> Self {
        let four = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
        let word = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        match word(12) {
            Some(0x0806) => Self {
                // RFC 826: after the five fields of fixed length, sha, spa, tha, tpa.
                addrs: [four(ETHERNET_LEN + 14), four(ETHERNET_LEN + 24)],
                is_arp: true,
                ..Self::default()
            },
            Some(0x0800) => {
                // RFC 791 3.1.
                let first = bytes.get(ETHERNET_LEN).copied().unwrap_or(0);
                let payload = ETHERNET_LEN + 4 * usize::from(first & 0xf);
                let protocol = bytes.get(ETHERNET_LEN + 9).copied();
                let is_first = word(ETHERNET_LEN + 6).is_some_and(|frag| frag & 0x1fff == 0);
                let has_ports = is_first && matches!(protocol, Some(TCP | UDP));
                let ports = word(payload).zip(word(payload + 2));
                Self {
                    addrs: [four(ETHERNET_LEN + 12), four(ETHERNET_LEN + 16)],
                    ports: ports.filter(|_| has_ports).map(|(src, dst)| [src, dst]),
                    protocol,
                    is_arp: false,
                }
            }
            _ => Self::default(),
        }
    }
}

const ETHERNET_LEN: usize = 14;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
mod tests;
