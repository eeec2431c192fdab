//! What Linux says of an interface (rtnetlink), and settings of it that stand in XDP's way
//! (ethtool).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::string::String;
use std::vec::Vec;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use simoom_ring::{LinkState, MacAddr};

/// An interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) ifindex: u32,
    pub(super) mac: MacAddr,
    /// IP MTU in bytes.
    pub(super) mtu: u32,
    pub(super) is_up: bool,
    /// Whether its cable is in, as far as Linux knows.
    pub(super) has_carrier: bool,
    /// Ethernet, and not loopback.
    pub(super) is_ethernet: bool,
    /// The kernel's number of the XDP program that it runs.
    pub(super) program_id: Option<u32>,
}

impl Link {
    pub(super) fn state(&self) -> LinkState {
        match self.is_up && self.has_carrier {
            true => LinkState::Up,
            false => LinkState::Down,
        }
    }
}

/// Asks the kernel, through one socket that stays open.
#[derive(Debug)]
pub(super) struct LinkQuery {
    socket: OwnedFd,
}

impl LinkQuery {
    /// Asks in the network namespace that this thread is in.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self { socket })
    }

    /// The interface of that name; `None` when there is none.
    ///
    /// # Errors
    /// What the kernel says, or an answer that makes no sense.
    pub(super) fn by_name(&self, name: &str) -> io::Result<Option<Link>> {
        let mut attr = Vec::from(name.as_bytes());
        attr.push(0);
        self.ask(0, Some(&attr))
    }

    /// The interface of that number.
    ///
    /// # Errors
    /// As [`by_name`](Self::by_name).
    pub(super) fn by_index(&self, ifindex: u32) -> io::Result<Option<Link>> {
        self.ask(ifindex, None)
    }

    /// Whether an address is the machine's own: where a route to it leads.
    ///
    /// # Errors
    /// As [`by_name`](Self::by_name).
    pub(super) fn is_local(&self, addr: Ipv4Addr) -> io::Result<bool> {
        let answer = self.exchange(&route_request(addr))?;
        match parse_route(&answer) {
            Some(Ok(kind)) => Ok(kind == RTN_LOCAL),
            // No route at all.
            Some(Err(_)) => Ok(false),
            None => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }

    fn ask(&self, ifindex: u32, name: Option<&[u8]>) -> io::Result<Option<Link>> {
        let answer = self.exchange(&request(ifindex, name))?;
        match parse(&answer) {
            Some(Ok(link)) => Ok(Some(link)),
            Some(Err(libc::ENODEV)) => Ok(None),
            Some(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }

    fn exchange(&self, question: &[u8]) -> io::Result<Vec<u8>> {
        rustix::net::send(&self.socket, question, SendFlags::empty())?;
        let mut answer = std::vec![0; ANSWER_LEN_MAX];
        let (len, whole_len) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::TRUNC)?;
        if whole_len > len {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        answer.truncate(len);
        Ok(answer)
    }
}

/// `RTM_GETLINK` by number, or by name: an `ifinfomsg`, and an attribute.
fn request(ifindex: u32, name: Option<&[u8]>) -> Vec<u8> {
    let [a, b, c, d] = ifindex.to_ne_bytes();
    // Family and type; the number; flags, and which of them are meant.
    let info = [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    message(RTM_GETLINK, &info, name.map(|name| (IFLA_IFNAME, name)))
}

/// `RTM_GETROUTE` to an address: an `rtmsg`, and an attribute.
fn route_request(addr: Ipv4Addr) -> Vec<u8> {
    // Family, bits of the destination.
    let info = [libc::AF_INET as u8, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    message(RTM_GETROUTE, &info, Some((RTA_DST, &addr.octets())))
}

/// `nlmsghdr`, what belongs to its kind, and an attribute.
fn message(kind: u16, info: &[u8], attr: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut message = Vec::new();
    // The length comes last.
    message.extend(0_u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and sender: one question at a time.
    message.extend([0; 8]);
    message.extend(info);
    if let Some((kind, value)) = attr {
        let attr_len = u16::try_from(ATTR_HEADER_LEN + value.len()).unwrap_or(0);
        message.extend(attr_len.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    let len = u32::try_from(message.len()).unwrap_or(0);
    message[..4].copy_from_slice(&len.to_ne_bytes());
    message
}

/// The interface in an answer, or the error number in it; `None` for an answer that is neither.
fn parse(answer: &[u8]) -> Option<Result<Link, i32>> {
    match body_of(answer, RTM_NEWLINK)? {
        Ok(body) => parse_link(body).map(Ok),
        Err(errno) => Some(Err(errno)),
    }
}

/// The kind of route in an answer, in the same way.
fn parse_route(answer: &[u8]) -> Option<Result<u8, i32>> {
    match body_of(answer, RTM_NEWROUTE)? {
        Ok(body) => body.get(RTM_TYPE_AT).map(|kind| Ok(*kind)),
        Err(errno) => Some(Err(errno)),
    }
}

/// What is behind the header of an answer of that kind, or of an error.
fn body_of(answer: &[u8], wanted: u16) -> Option<Result<&[u8], i32>> {
    let (header, body) = answer.split_first_chunk::<16>()?;
    let [_, _, _, _, a, b, ..] = *header;
    match u16::from_ne_bytes([a, b]) {
        NLMSG_ERROR => {
            let (errno, _) = body.split_first_chunk::<4>()?;
            Some(Err(i32::from_ne_bytes(*errno).wrapping_neg()))
        }
        kind => (kind == wanted).then_some(Ok(body)),
    }
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let (info, attrs) = body.split_first_chunk::<16>()?;
    let [_, _, k, l, a, b, c, d, e, f, g, h, ..] = *info;
    let flags = u32::from_ne_bytes([e, f, g, h]);
    let mut link = Link {
        ifindex: u32::from_ne_bytes([a, b, c, d]),
        mac: MacAddr([0; 6]),
        mtu: 0,
        is_up: flags & IFF_UP != 0,
        has_carrier: flags & IFF_LOWER_UP != 0,
        is_ethernet: u16::from_ne_bytes([k, l]) == ARPHRD_ETHER,
        program_id: None,
    };
    for (kind, value) in attrs_of(attrs) {
        match kind {
            IFLA_ADDRESS => {
                if let Ok(mac) = value.try_into() {
                    link.mac = MacAddr(mac);
                }
            }
            IFLA_MTU => link.mtu = number(value)?,
            IFLA_XDP => {
                let mut ids = attrs_of(value).filter(|(kind, _)| *kind == IFLA_XDP_PROG_ID);
                // With programs in several modes there is none here, but the modes' own.
                let any = attrs_of(value).filter(|(kind, _)| IFLA_XDP_MODE_IDS.contains(kind));
                let id = ids.next().or(any.last());
                link.program_id = id.and_then(|(_, id)| number(id)).filter(|id| *id != 0);
            }
            _ => {}
        }
    }
    Some(link)
}

/// The attributes in a row of them; ends at the first that makes no sense.
fn attrs_of(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let ([a, b, c, d], _) = rest.split_first_chunk::<ATTR_HEADER_LEN>()?;
        let len = usize::from(u16::from_ne_bytes([*a, *b]));
        let value = rest.get(ATTR_HEADER_LEN..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        // Without the flags "nested" and "network byte order".
        Some((u16::from_ne_bytes([*c, *d]) & 0x3fff, value))
    })
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// Receive queues that an interface uses; `None` when it does not say.
pub(super) fn rx_queues(name: &str) -> Option<u32> {
    // `struct ethtool_channels`: command, four maxima, then receive, transmit, other, combined.
    let mut channels = [0_u32; 9];
    channels[0] = ETHTOOL_GCHANNELS;
    // SAFETY: the structure that the command fills, whole.
    unsafe { ethtool(name, channels.as_mut_ptr().cast()) }.ok()?;
    let [_, _, _, _, _, rx, _, _, combined] = channels;
    rx.checked_add(combined).filter(|queues| *queues > 0)
}

/// An ethtool command.
///
/// # Safety
/// `command` points to the structure that its first number asks for, valid for reads and writes.
pub(super) unsafe fn ethtool(name: &str, command: *mut libc::c_void) -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: numbers and addresses, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    let name = name.bytes().take(libc::IFNAMSIZ - 1);
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = command.cast();
    // SAFETY: an `ifreq`, and behind it what the caller promises.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Who may not be known to whom: a name for messages.
pub(super) fn program_name(program_id: u32) -> String {
    match super::bpf::name_of(program_id) {
        Some(name) => std::format!("XDP program {program_id} ({name})"),
        None => std::format!("XDP program {program_id}"),
    }
}

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
/// The kind of a route in `struct rtmsg`, and the kind of those that end here.
const RTM_TYPE_AT: usize = 7;
const RTN_LOCAL: u8 = 2;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const ATTR_HEADER_LEN: usize = 4;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_PROG_ID: u16 = 4;
/// Driver, generic, hardware.
const IFLA_XDP_MODE_IDS: [u16; 3] = [5, 6, 7];
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
const ARPHRD_ETHER: u16 = 1;
/// An interface with all that can be said of it takes about 2 KiB.
const ANSWER_LEN_MAX: usize = 64 << 10;

const ETHTOOL_GCHANNELS: u32 = 0x3c;

#[cfg(test)]
mod tests;
