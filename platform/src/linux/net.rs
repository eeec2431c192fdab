//! A stack over a port that was opened.

use core::fmt;
use core::net::Ipv4Addr;
use std::io;
use std::string::{String, ToString};
use std::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use simoom::iface::{Setup, Stack};
use simoom::tcp::{App, Settings, Storage};
use simoom::{Addr, Cidr, Duration, Instant};
use simoom_netmap::hosts::{OpenError, Started, Syscalls, Wake};
use simoom_netmap::{Host, NetmapPort};
use simoom_ring::{BodyMemory, Caps, FramePool, MacAddr, Port, Queue};

use super::{Clock, Leaked, key};
use crate::net::{Conflict, Probe, Served, Sizes, host_cidr};

/// Where our address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// A DHCP server.
    Dhcp,
    /// The command line.
    Static {
        /// Our address, and the length of its network's prefix.
        cidr: Cidr,
        /// The router to everywhere else.
        gateway: Option<Ipv4Addr>,
    },
}

impl Addressing {
    /// Reads `dhcp`, or `ADDRESS/LENGTH` with a gateway.
    ///
    /// # Errors
    /// A line that says what was expected.
    pub fn parse(text: &str, gateway: Option<Ipv4Addr>) -> Result<Self, String> {
        if text == "dhcp" {
            return match gateway {
                None => Ok(Self::Dhcp),
                Some(_) => Err("--gateway: with --ip dhcp the server says it".to_string()),
            };
        }
        let wrong =
            || std::format!("--ip {text}: expected dhcp, or an address such as 10.0.0.2/24");
        let (addr, prefix_len) = text.split_once('/').ok_or_else(wrong)?;
        let addr: Ipv4Addr = addr.parse().map_err(|_| wrong())?;
        let prefix_len = prefix_len.parse().map_err(|_| wrong())?;
        let is_host = !(addr.is_multicast() || addr.is_loopback() || addr.is_unspecified());
        let cidr = host_cidr(addr, prefix_len).filter(|_| is_host && !addr.is_broadcast());
        let cidr =
            cidr.ok_or_else(|| std::format!("--ip {text}: not an address that a host can have"))?;
        // A router is a neighbor, unless there is no network around us.
        let is_neighbor =
            |router| router != addr && (prefix_len == 32 || cidr.contains(Addr::v4(router)));
        match gateway {
            Some(router) if !is_neighbor(router) => Err(std::format!(
                "--gateway {router}: expected another address of the network of --ip {text}"
            )),
            _ => Ok(Self::Static { cidr, gateway }),
        }
    }

    /// Our address, if it is known.
    pub fn addr(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Dhcp => None,
            Self::Static { cidr, .. } => match cidr.addr().to_ip() {
                core::net::IpAddr::V4(addr) => Some(addr),
                core::net::IpAddr::V6(_) => None,
            },
        }
    }
}

/// Why there is no network.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetError {
    /// The port does not open.
    Open(OpenError),
    /// Our address is someone else's.
    Conflict(Conflict),
    /// The kernel refuses something that it never does.
    System(io::Error),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Conflict(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NetError {}

impl From<OpenError> for NetError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A network that a stack serves on.
pub struct Net<A: App + 'static, H: Host + 'static> {
    /// Stack, rings, port, frames.
    pub served: Served<A, NetmapPort<'static, H>>,
    /// What to wait for.
    pub wake: Wake,
    /// The system calls of the port.
    pub syscalls: Syscalls,
    /// What was bound, a line each.
    pub bound: Vec<String>,
}

impl<A: App + 'static, H: Host + 'static> Net<A, H> {
    /// Asks the link for the address, unless a DHCP server gives it, and puts a stack on the port.
    ///
    /// # Errors
    /// [`NetError::Conflict`]. Nothing was sent in the address's name then.
    pub fn start(
        started: Started<H>,
        sizes: Sizes,
        addressing: Addressing,
        tcp: Settings,
        clock: &Clock,
    ) -> Result<Self, NetError> {
        let Started {
            port,
            mut queue,
            pool,
            bound,
            wake,
            syscalls,
        } = started;
        let caps = port.caps();
        let mac = port.mac();
        let asked_at = clock.now();
        let probe = addressing.addr().and_then(|addr| {
            let headroom = usize::from(caps.headroom);
            Probe::ask(&mut queue, pool, headroom, mac, addr)
        });
        // While the answer is on its way.
        let Ok(storage) = sizes.storage(&mut Leaked);
        if let Some(probe) = probe {
            hear(probe, &mut queue, &wake, clock, asked_at + PROBE)?;
        }
        let stack = stack_on(pool, caps, mac, storage, tcp, clock)?;
        let mut net = Self {
            served: Served::new(stack, queue, port, pool),
            wake,
            syscalls,
            bound,
        };
        let (now, Served { stack, port, .. }) = (clock.now(), &mut net.served);
        match addressing {
            Addressing::Dhcp => stack.start_dhcp(now),
            Addressing::Static { cidr, gateway } => stack.configure(cidr, gateway.map(Addr::v4)),
        }
        stack.set_link(port.link(), now);
        Ok(net)
    }

    /// Puts a stack on a further queue pair, for another core. It has no address before the first
    /// core says it ([`Mesh`](super::Mesh)). `tcp` is as the first core's, seed included.
    ///
    /// # Errors
    /// [`NetError::System`].
    pub fn beside(
        started: Started<H>,
        sizes: Sizes,
        tcp: Settings,
        clock: &Clock,
    ) -> Result<Self, NetError> {
        let Started {
            mut port,
            queue,
            pool,
            bound,
            wake,
            syscalls,
        } = started;
        let Ok(storage) = sizes.storage(&mut Leaked);
        let mut stack = stack_on(pool, port.caps(), port.mac(), storage, tcp, clock)?;
        stack.set_link(port.link(), clock.now());
        Ok(Self {
            served: Served::new(stack, queue, port, pool),
            wake,
            syscalls,
            bound,
        })
    }
}

/// A stack without an address.
fn stack_on<A: App>(
    pool: &'static FramePool<'static>,
    caps: Caps,
    mac: MacAddr,
    storage: Storage<'static, A>,
    tcp: Settings,
    clock: &Clock,
) -> Result<Stack<'static, A>, NetError> {
    Ok(Stack::new(Setup {
        pool,
        caps,
        mac,
        storage,
        tcp,
        seed: key()?,
        now: clock.now(),
    }))
}

/// Waits for answers to the probe. The last look is after the wait, however long anything took.
fn hear(
    probe: Probe,
    queue: &mut impl Queue<'static>,
    wake: &Wake,
    clock: &Clock,
    until: Instant,
) -> Result<(), NetError> {
    loop {
        let now = clock.now();
        wait(wake, until.since(now))?;
        if let Some(conflict) = probe.heard(queue) {
            return Err(NetError::Conflict(conflict));
        }
        if now >= until {
            return Ok(());
        }
    }
}

/// Sleeps until the port has something to receive, or for so long.
fn wait(wake: &Wake, limit: Duration) -> io::Result<()> {
    let fd = wake.fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    match poll(&mut fds, Some(&timespec(limit))) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A time as the kernel takes it.
pub(super) fn timespec(span: Duration) -> Timespec {
    let micros = span.as_micros();
    Timespec {
        // Both far within their range.
        tv_sec: (micros / 1_000_000) as i64,
        tv_nsec: (micros % 1_000_000 * 1_000) as i64,
    }
}

/// The rungs of the zero-copy ladder that a port allows, in words: which, and why.
#[derive(Clone, Copy, Debug)]
pub struct Rungs(pub Caps);

impl fmt::Display for Rungs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(caps) = self;
        let body = match (caps.fragments_max, caps.body_memory) {
            (1, _) => "copied into frames (the port has no gather)",
            (_, BodyMemory::Region) => "by reference, from the port's memory",
            _ => "by reference",
        };
        let checksum = match caps.checksums.tx {
            true => "by the port",
            false => "by us (the port has no checksum offload)",
        };
        write!(f, "bodies {body}; checksums {checksum}; ")?;
        match caps.tso.tcp_v4 {
            true => write!(
                f,
                "segments by the port, {} bytes at once",
                caps.tso.len_max
            ),
            false => f.write_str("segments by us (the port has no segmentation offload)"),
        }
    }
}

/// How long to wait for an answer to the ARP probe.
const PROBE: Duration = Duration::from_micros(50_000);

#[cfg(test)]
mod tests;
