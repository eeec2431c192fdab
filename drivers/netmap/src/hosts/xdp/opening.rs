//! A start: what can be told beforehand, then the program and the socket, from the best way on.

use core::ops::Range;
use std::format;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::string::{String, ToString};
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::NEEDED;
use super::bpf::{self, Mode};
use super::filter;
use super::link::{self, Link, LinkQuery};
use super::socket::{Bound, UmemMemory, Unbound};
use crate::hosts::{OpenError, Takes, Wanted};
use crate::{Interface, LayoutError, Plan};

/// What can be told before anything is made.
pub(super) fn check(
    query: &LinkQuery,
    name: &str,
    range: Range<u16>,
    link: &Link,
    takes: &Takes,
) -> Result<(), OpenError> {
    let name = || name.to_string();
    if !link.is_ethernet {
        let needed = "an Ethernet interface";
        return Err(OpenError::OtherKind {
            name: name(),
            needed,
        });
    }
    if !link.is_up {
        let needed = "up (ip link set it up)";
        return Err(OpenError::OtherKind {
            name: name(),
            needed,
        });
    }
    let queues = link::rx_queues(&name());
    if let Some(has) = queues.filter(|has| u32::from(range.end) > *has && range.len() > 1) {
        return Err(OpenError::Queues {
            name: name(),
            has: has.saturating_sub(range.start.into()),
            wanted: range.end - range.start,
        });
    }
    if queues.is_some_and(|queues| u32::from(range.start) >= queues) {
        let what = format!("queue {} of {}", range.start, name());
        let error = io::Error::new(
            ErrorKind::InvalidInput,
            format!("there are {}", queues.unwrap_or(0)),
        );
        return Err(OpenError::System { what, error });
    }
    // An address of the machine's own would lose its ARP to us, and the machine its network.
    let asked = |addr: &Ipv4Addr| query.is_local(*addr);
    if let Some(addr) = takes.addr.filter(|addr| asked(addr).unwrap_or(false)) {
        let error = io::Error::new(
            ErrorKind::AddrInUse,
            "the machine has this address itself; xdp: needs one of its own",
        );
        let what = addr.to_string();
        return Err(OpenError::System { what, error });
    }
    Ok(())
}

/// Buffers of the size that the MTU asks for, and rings.
pub(super) fn plan(name: &str, mtu: u32, wanted: &Wanted) -> Result<Plan, OpenError> {
    let room = |buf_size: u16| u32::from(buf_size) - XDP_HEADROOM - FRAME_OVERHEAD;
    let buf_size = BUF_SIZES.into_iter().find(|size| mtu <= room(*size));
    let buf_size = buf_size.ok_or_else(|| OpenError::Mtu {
        name: name.to_string(),
        mtu,
        most: room(BUF_SIZES[1]),
    })?;
    let content_bufs = wanted.content_len.div_ceil(buf_size.into());
    let content_bufs = u32::try_from(content_bufs).map_err(|_| LayoutError::OutOfRegion)?;
    Ok(Plan {
        ports: wanted.queues.max(1),
        rings: 1,
        tx_slots: SLOTS,
        rx_slots: SLOTS,
        extra_bufs: wanted.frames,
        content_bufs,
        buf_size,
        has_offsets: true,
    })
}

/// The buffers, for the kernel to use.
pub(super) fn umem_of(interface: &Interface, plan: &Plan) -> Result<UmemMemory, LayoutError> {
    let buf_size = u32::from(interface.buf_size());
    let byte_len = interface.bufs_cnt() as usize * buf_size as usize;
    let base = interface
        .region()
        .address(interface.bufs_at(), byte_len, PAGE_LEN);
    Ok(UmemMemory {
        base: base.ok_or(LayoutError::OutOfRegion)?,
        byte_len,
        buf_size,
        rx_slots: plan.rx_slots,
        tx_slots: plan.tx_slots,
    })
}

/// The program on the interface, the sockets on their queues.
pub(super) struct Attached {
    pub(super) sockets: OwnedFd,
    pub(super) attached: OwnedFd,
    mode: Mode,
    /// Of each socket.
    pub(super) bound: Vec<Bound>,
    /// Why it is not native mode.
    refused: Option<io::Error>,
}

/// Attaches and binds, from the best way on.
pub(super) fn attach(
    name: &str,
    link: &Link,
    first_queue: u32,
    takes: &Takes,
    unbound: &[Unbound],
) -> Result<Attached, OpenError> {
    let in_use = |link: Option<Link>| in_use(name, link);
    if link.program_id.is_some() {
        return Err(in_use(Some(link.clone())));
    }
    let failed = |what: &str| {
        let what = format!("{name}: {what}");
        move |error: io::Error| OpenError::of(what, NEEDED, error)
    };
    let queues = first_queue + unbound.len() as u32;
    let sockets = bpf::socket_map(queues).map_err(failed("map of AF_XDP sockets"))?;
    let program = filter::program(link.mac, takes, sockets.as_fd());
    let program = bpf::load(&program).map_err(failed("XDP program"))?;
    let mut refused = None;
    for mode in [Mode::Native, Mode::Generic] {
        let attached = match bpf::attach(program.as_fd(), link.ifindex, mode) {
            Ok(attached) => attached,
            Err(error) if is_busy(&error) => {
                let again = LinkQuery::new().and_then(|query| query.by_index(link.ifindex));
                return Err(in_use(again.ok().flatten()));
            }
            Err(error) if mode == Mode::Native => {
                refused = Some(error);
                continue;
            }
            // Native mode may have its reasons; SKB mode has every interface.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Err(OpenError::Missing {
                    what: "BPF links for XDP (Linux 5.9)",
                    instead: "tap:IFNAME",
                });
            }
            Err(error) => return Err(failed("attaching the XDP program")(error)),
        };
        match bind_all(unbound, (link.ifindex, first_queue), mode, &sockets) {
            Ok(bound) => {
                return Ok(Attached {
                    sockets,
                    attached,
                    mode,
                    bound,
                    refused,
                });
            }
            Err((queue, error)) if is_busy(&error) => {
                return Err(OpenError::InUseBy {
                    name: format!("queue {queue} of {name}"),
                    by: "another AF_XDP socket".to_string(),
                });
            }
            // A socket is bound once: another mode is for those that are not yet.
            Err((queue, error)) if mode == Mode::Native && queue == first_queue => {
                refused = Some(error);
            }
            Err((_, error)) => return Err(failed("binding the AF_XDP socket")(error)),
        }
    }
    // The loop has returned by its second round.
    Err(in_use(None))
}

/// The interface has a program already.
fn in_use(name: &str, link: Option<Link>) -> OpenError {
    OpenError::InUseBy {
        name: name.to_string(),
        by: match link.and_then(|link| link.program_id) {
            Some(program_id) => link::program_name(program_id),
            None => "another XDP program".to_string(),
        },
    }
}

/// Binds each socket to its queue, and enters it in the map. The queue that is not to be had, and
/// why.
fn bind_all(
    unbound: &[Unbound],
    (ifindex, first_queue): (u32, u32),
    mode: Mode,
    sockets: &OwnedFd,
) -> Result<Vec<Bound>, (u32, io::Error)> {
    let one = |(queue, unbound): (u32, &Unbound)| {
        let bound = bind_when_free(unbound, ifindex, queue, mode);
        let entered = bound.and_then(|bound| {
            bpf::set_socket(sockets.as_fd(), queue, unbound.fd())?;
            Ok(bound)
        });
        entered.map_err(|error| (queue, error))
    };
    (first_queue..).zip(unbound).map(one).collect()
}

/// Binds the socket. One that has ended a moment ago is taken off its queue by a worker of the
/// kernel's, a little later: it is waited for.
fn bind_when_free(unbound: &Unbound, ifindex: u32, queue: u32, mode: Mode) -> io::Result<Bound> {
    let deadline = Instant::now() + FREE_LIMIT;
    loop {
        match unbound.bind(ifindex, queue, mode == Mode::Native) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(FREE_LIMIT / 100);
            }
            done => return done,
        }
    }
}

impl Attached {
    /// What was chosen, for a person.
    pub(super) fn lines(&self, name: &str, first_queue: u16, link: &Link) -> Vec<String> {
        let mode = match (self.mode, &self.refused) {
            (Mode::Native, _) => "native mode".to_string(),
            (Mode::Generic, Some(why)) => format!("SKB mode (native: {why})"),
            (Mode::Generic, None) => "SKB mode".to_string(),
        };
        let mut lines = Vec::new();
        for (queue, bound) in (first_queue..).zip(&self.bound) {
            let copy = match bound.is_zero_copy {
                true => "zero copy",
                false => "one copy a frame by the kernel",
            };
            let chains = match bound.has_chains {
                true => "header and body as a chain",
                false => "no chains: bodies are copied into frames",
            };
            lines.push(format!(
                "xdp: {name} queue {queue}, {}, MTU {}: {mode}, {copy}, {chains}",
                link.mac, link.mtu
            ));
        }
        let cnt = self.bound.len();
        match link::rx_queues(name) {
            Some(queues) if queues as usize > cnt => lines.push(format!(
                "xdp: {name} has {queues} receive queues, and we get what comes by {cnt} of them: \
                 have it all go there with: ethtool -X {name} start {first_queue} equal {cnt}"
            )),
            _ => {}
        }
        lines
    }
}

fn is_busy(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(libc::EBUSY) || errno == Some(libc::EEXIST)
}

/// How long a socket that has ended may keep its queue.
const FREE_LIMIT: Duration = Duration::from_secs(1);
/// Slots of either ring, and entries of the kernel's: a power of two. A gap of some milliseconds
/// at a million frames a second.
const SLOTS: u32 = 2048;
/// What the kernel lets buffers of a UMEM be: powers of two from here to a page.
const BUF_SIZES: [u16; 2] = [2048, 4096];
const PAGE_LEN: usize = 4096;
/// `XDP_PACKET_HEADROOM`: what the kernel keeps free in front of a received frame.
const XDP_HEADROOM: u32 = 256;
/// Ethernet's header, and a tag that we pass on.
const FRAME_OVERHEAD: u32 = 14 + 4;
