//! DHCP messages for IPv4 (RFC 2131) and their options (RFC 2132), as a client needs them.
//!
//! ```text
//!   │ op htype hlen hops │ xid 4 │ secs 2 flags 2 │ ciaddr 4 │ yiaddr 4 │ siaddr 4 │ giaddr 4 │
//!   │ chaddr 16 │ sname 64 │ file 128 │ 63 82 53 63 │ options: code, len, bytes; ...; 255      │
//! ```

use core::net::Ipv4Addr;

use heapless::Vec;
use simoom_ring::MacAddr;

/// The port of clients.
pub const CLIENT_PORT: u16 = 68;

/// The port of servers.
pub const SERVER_PORT: u16 = 67;

/// Bytes of every message that we send: the least that relays must take (RFC 1542 2.1).
pub const MESSAGE_LEN: usize = 300;

/// DNS servers that are kept of the list.
pub const DNS_MAX: usize = 3;

/// What a message does (RFC 2132 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// Client: who serves here?
    Discover,
    /// Server: you may have this address.
    Offer,
    /// Client: I want this address.
    Request,
    /// Server: it is yours for a time.
    Ack,
    /// Server: it is not.
    Nak,
}

impl MessageType {
    fn code(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Ack => 5,
            Self::Nak => 6,
        }
    }
}

/// A server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Offer, Ack or Nak.
    pub kind: MessageType,
    /// The exchange that it belongs to.
    pub xid: u32,
    /// The address that is offered or given.
    pub yiaddr: Ipv4Addr,
    /// The client that it is for.
    pub chaddr: MacAddr,
    /// Who serves (option 54).
    pub server_id: Option<Ipv4Addr>,
    /// The network's mask (option 1).
    pub subnet_mask: Option<Ipv4Addr>,
    /// The first router (option 3).
    pub router: Option<Ipv4Addr>,
    /// The first DNS servers (option 6).
    pub dns: Vec<Ipv4Addr, DNS_MAX>,
    /// IP MTU of the link (option 26).
    pub mtu: Option<u16>,
    /// Seconds that the address may be used (option 51); all ones is for ever.
    pub lease_s: Option<u32>,
    /// Seconds until renewal (option 58).
    pub t1_s: Option<u32>,
    /// Seconds until rebinding (option 59).
    pub t2_s: Option<u32>,
}

impl Message {
    /// Reads a server's message; `None` when it is too short, not a reply for Ethernet, not DHCP,
    /// without a type that a server sends, or with an option that reaches beyond its field.
    ///
    /// An option that comes twice counts as it came first, and one of the wrong length not at all.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let ([op, htype, hlen, _], rest) = bytes.split_first_chunk::<4>()?;
        if (*op, *htype, *hlen) != (BOOTREPLY, HTYPE_ETHERNET, HLEN_ETHERNET) {
            return None;
        }
        let (xid, rest) = rest.split_first_chunk::<4>()?;
        // secs, flags, ciaddr.
        let (_, rest) = rest.split_first_chunk::<8>()?;
        let (yiaddr, rest) = rest.split_first_chunk::<4>()?;
        // siaddr, giaddr.
        let (_, rest) = rest.split_first_chunk::<8>()?;
        let (chaddr, rest) = rest.split_first_chunk::<6>()?;
        // The rest of chaddr.
        let (_, rest) = rest.split_first_chunk::<10>()?;
        let (sname, rest) = rest.split_first_chunk::<64>()?;
        let (file, rest) = rest.split_first_chunk::<128>()?;
        let (cookie, rest) = rest.split_first_chunk::<4>()?;
        if *cookie != COOKIE {
            return None;
        }
        let mut options = Options::default();
        options.read(rest)?;
        // RFC 2131 4.1: first the options' own field, then `file`, then `sname`.
        let overload = options.overload.unwrap_or(0);
        if overload & 1 != 0 {
            options.read(file)?;
        }
        if overload & 2 != 0 {
            options.read(sname)?;
        }
        let Options {
            kind,
            server_id,
            subnet_mask,
            router,
            dns,
            mtu,
            lease_s,
            t1_s,
            t2_s,
            ..
        } = options;
        Some(Self {
            kind: kind?,
            xid: u32::from_be_bytes(*xid),
            yiaddr: (*yiaddr).into(),
            chaddr: MacAddr(*chaddr),
            server_id,
            subnet_mask,
            router,
            dns: dns.unwrap_or_default(),
            mtu,
            lease_s,
            t1_s,
            t2_s,
        })
    }
}

/// The options that a client reads.
#[derive(Default)]
struct Options {
    kind: Option<MessageType>,
    server_id: Option<Ipv4Addr>,
    subnet_mask: Option<Ipv4Addr>,
    router: Option<Ipv4Addr>,
    dns: Option<Vec<Ipv4Addr, DNS_MAX>>,
    mtu: Option<u16>,
    lease_s: Option<u32>,
    t1_s: Option<u32>,
    t2_s: Option<u32>,
    overload: Option<u8>,
}

impl Options {
    /// Reads one field of options; `None` when one of them reaches beyond it. A field may end
    /// without the end option: some servers' do.
    fn read(&mut self, mut field: &[u8]) -> Option<()> {
        while let Some((code, rest)) = field.split_first() {
            match *code {
                PAD => field = rest,
                END => break,
                code => {
                    let (len, rest) = rest.split_first()?;
                    let (value, rest) = rest.split_at_checked(usize::from(*len))?;
                    self.take(code, value);
                    field = rest;
                }
            }
        }
        Some(())
    }

    /// Keeps one option, if it is known, of the right length, and the first of its code.
    fn take(&mut self, code: u8, value: &[u8]) {
        match code {
            SUBNET_MASK => keep(&mut self.subnet_mask, addr(value)),
            // RFC 2132 3.5: one or more, in order of preference.
            ROUTER => keep(
                &mut self.router,
                addrs(value).and_then(|list| list.first().copied()),
            ),
            DNS => keep(&mut self.dns, addrs(value)),
            MTU => keep(&mut self.mtu, exactly(value).map(u16::from_be_bytes)),
            LEASE_TIME => keep(&mut self.lease_s, exactly(value).map(u32::from_be_bytes)),
            OVERLOAD => keep(&mut self.overload, exactly(value).map(u8::from_be_bytes)),
            MESSAGE_TYPE => keep(&mut self.kind, servers_type(value)),
            SERVER_ID => keep(&mut self.server_id, addr(value)),
            T1 => keep(&mut self.t1_s, exactly(value).map(u32::from_be_bytes)),
            T2 => keep(&mut self.t2_s, exactly(value).map(u32::from_be_bytes)),
            _ => {}
        }
    }
}

/// Fills an empty place.
fn keep<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}

/// A value of a fixed length.
fn exactly<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

fn addr(value: &[u8]) -> Option<Ipv4Addr> {
    exactly::<4>(value).map(Ipv4Addr::from)
}

/// The first of a list of addresses, which is neither empty nor broken.
fn addrs(value: &[u8]) -> Option<Vec<Ipv4Addr, DNS_MAX>> {
    let (list, rest) = value.as_chunks::<4>();
    if list.is_empty() || !rest.is_empty() {
        return None;
    }
    Some(
        list.iter()
            .take(DNS_MAX)
            .map(|octets| Ipv4Addr::from(*octets))
            .collect(),
    )
}

fn servers_type(value: &[u8]) -> Option<MessageType> {
    match value {
        [2] => Some(MessageType::Offer),
        [5] => Some(MessageType::Ack),
        [6] => Some(MessageType::Nak),
        _ => None,
    }
}

/// A client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Discover or Request.
    pub kind: MessageType,
    /// The exchange that it belongs to.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Whether the answer must be broadcast, because no datagram to our address would be taken.
    pub broadcast: bool,
    /// Our address, if we have it and answer to it.
    pub ciaddr: Ipv4Addr,
    /// Our station address.
    pub mac: MacAddr,
    /// The address that we want (option 50).
    pub requested: Option<Ipv4Addr>,
    /// The server that we chose (option 54).
    pub server_id: Option<Ipv4Addr>,
}

impl Repr {
    /// The message's bytes.
    pub fn emit(&self) -> [u8; MESSAGE_LEN] {
        let mut message = Writer(Vec::new());
        message.put(&[BOOTREQUEST, HTYPE_ETHERNET, HLEN_ETHERNET, 0]);
        message.put(&self.xid.to_be_bytes());
        message.put(&self.secs.to_be_bytes());
        message.put(if self.broadcast { &[0x80, 0] } else { &[0, 0] });
        message.put(&self.ciaddr.octets());
        // yiaddr, siaddr, giaddr.
        message.put(&[0; 12]);
        message.put(&self.mac.0);
        // The rest of chaddr, sname, file.
        message.put(&[0; 10 + 64 + 128]);
        message.put(&COOKIE);
        message.option(MESSAGE_TYPE, &[self.kind.code()]);
        let [m0, m1, m2, m3, m4, m5] = self.mac.0;
        message.option(CLIENT_ID, &[HTYPE_ETHERNET, m0, m1, m2, m3, m4, m5]);
        if let Some(requested) = self.requested {
            message.option(REQUESTED_ADDR, &requested.octets());
        }
        if let Some(server_id) = self.server_id {
            message.option(SERVER_ID, &server_id.octets());
        }
        message.option(MAX_MESSAGE_LEN, &MESSAGE_LEN_TAKEN.to_be_bytes());
        message.option(HOST_NAME, HOST_NAME_OURS);
        message.option(PARAMETER_LIST, &PARAMETERS);
        message.put(&[END]);
        message.finish()
    }
}

/// Fills a message from the front. What follows the end option stays zero, which is padding.
struct Writer(Vec<u8, MESSAGE_LEN>);

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        let fits = self.0.extend_from_slice(bytes).is_ok();
        // 240 bytes of fixed fields, and options of fixed lengths: 53 at most.
        debug_assert!(fits, "the longest message is shorter than 300 bytes");
    }

    fn option(&mut self, code: u8, value: &[u8]) {
        // Values are of fixed lengths, far below 256.
        self.put(&[code, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        self.put(value);
    }

    fn finish(mut self) -> [u8; MESSAGE_LEN] {
        // A Vec grows to its own capacity without fail.
        let _ = self.0.resize(MESSAGE_LEN, PAD);
        self.0.into_array().unwrap_or([0; MESSAGE_LEN])
    }
}

const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
const HTYPE_ETHERNET: u8 = 1;
const HLEN_ETHERNET: u8 = 6;

/// What makes a BOOTP message a DHCP message (RFC 2131 3).
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// The name that we give ourselves.
const HOST_NAME_OURS: &[u8] = b"simoom";

/// The longest message that we take (RFC 2132 9.10). Some servers count the IP and UDP headers in
/// and some do not: this fits an Ethernet frame either way.
const MESSAGE_LEN_TAKEN: u16 = 1472;

/// What we ask for.
const PARAMETERS: [u8; 8] = [SUBNET_MASK, ROUTER, DNS, MTU, LEASE_TIME, SERVER_ID, T1, T2];

const PAD: u8 = 0;
const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const HOST_NAME: u8 = 12;
const MTU: u8 = 26;
const REQUESTED_ADDR: u8 = 50;
const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const PARAMETER_LIST: u8 = 55;
const MAX_MESSAGE_LEN: u8 = 57;
const T1: u8 = 58;
const T2: u8 = 59;
const CLIENT_ID: u8 = 61;
const END: u8 = 255;

#[cfg(test)]
mod tests;
