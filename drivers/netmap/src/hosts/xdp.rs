//! AF_XDP: a port on any interface of a stock kernel, beside Linux's own stack.
//!
//! ```text
//!   region   │ netmap_if │ rings │ buffers ───────────────────────────────┐ the UMEM
//!   Rx ◄─ slots ─► XdpRx ─► fill ring ─►  kernel  ─► rx ring ─► XdpRx      │
//!   Tx ─► slots ─► XdpTx ─► tx ring ─►    kernel  ─► completion ─► XdpTx ──┘ descriptors
//!                                           ▲
//!   interface ─► XDP program (filter) ─ ours┘─ all else ─► Linux
//! ```
//!
//! A sync translates slots to descriptors: nothing is copied here. Whether the kernel copies
//! depends on the driver: bound with zero copy the device reads and writes our buffers, else the
//! kernel copies each frame once. Both, and in which mode the program runs, are tried from the best
//! on, and said.
//!
//! In the order of a packet's way: [`filter`] (which frames are ours; written with [`asm`], loaded
//! by [`bpf`]), [`rings`], [`rx`], [`tx`], [`send`]; [`opening`], [`socket`], [`link`] and
//! [`offloads`] are what a start is made of.
//!
//! With several queues each has a socket of its own, over the same buffers, of which each uses its
//! own and the content. The program is one: it knows the sockets by their queues.
//!
//! # What is changed on the machine
//!
//! The program is attached by a BPF link, which ends with the process. Offloads that must be off
//! are switched off, on record, and on again at the end. Nothing else.

mod asm;
mod bpf;
mod calls;
mod counters;
mod filter;
mod link;
pub(super) mod offloads;
mod opening;
mod rings;
mod rx;
mod send;
mod socket;
mod tx;

use std::cell::RefCell;
use std::format;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use rustix::io::Errno;
use simoom_ring::{LinkState, MacAddr};

pub use calls::{Calls, Sent};
pub use rx::XdpRx;
pub use socket::Socket;
pub use tx::XdpTx;

use super::memory::Mapping;
use super::undo::Undo;
use super::{Open, OpenError, Opened, Spec, SpecError, Takes, Wanted};
use crate::{Buffers, Host, Interface, Kring, LayoutError, Plan, RingKind, Traits};
use counters::Counters;
use link::{Link, LinkQuery};
use opening::{attach, check, plan, umem_of};
use send::Sender;
use socket::{Bound, Rings, Unbound};

/// The buffers as the kernel has them: one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Umem {
    bufs_cnt: u32,
    /// A power of two.
    buf_size: u16,
}

impl Umem {
    #[inline]
    fn addr(self, buf_idx: u32, offset: u64) -> u64 {
        u64::from(buf_idx) * u64::from(self.buf_size) + offset
    }

    /// The buffer at an address, and where in it that is; `None` for no buffer's.
    #[inline]
    fn place(self, addr: u64) -> Option<(u32, u32)> {
        let buf_size = u64::from(self.buf_size);
        let buf_idx = u32::try_from(addr / buf_size).ok()?;
        // Less than a buffer's size, which is a u16.
        (buf_idx < self.bufs_cnt).then_some((buf_idx, (addr % buf_size) as u32))
    }
}

/// A port on a queue of an interface.
pub struct XdpHost {
    name: String,
    link: Link,
    query: LinkQuery,
    bound: Bound,
    /// Of the first queue's port: the program is one for all.
    program: Option<AttachedProgram>,
    socket: Rc<Socket>,
    counters: Rc<Counters>,
    /// Until they are handed out.
    far_sides: Option<(XdpRx<Socket>, XdpTx<Socket>)>,
    more: Vec<MoreXdp>,
    /// Switches offloads on again.
    _offloads: Option<Undo>,
}

/// The program that runs, and what it is made of.
struct AttachedProgram {
    takes: Takes,
    sockets: OwnedFd,
    /// Keeps the program attached.
    attached: OwnedFd,
}

/// A socket on a further queue.
pub struct MoreXdp {
    name: String,
    link: Link,
    interface: Interface,
    unbound: Unbound,
    bound: Bound,
}

impl Open for XdpHost {
    type More = MoreXdp;

    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError> {
        let Spec::Xdp { name, queue } = spec else {
            let given = spec.to_string();
            return Err(SpecError::Kind { given }.into());
        };
        let query = LinkQuery::new().map_err(system("asking for interfaces"))?;
        let found = query
            .by_name(name)
            .map_err(system("asking for interfaces"))?;
        let link = found.ok_or_else(|| OpenError::NoInterface { name: name.clone() })?;
        let queues = *queue..queue.saturating_add(wanted.queues.max(1));
        check(&query, name, queues, &link, &wanted.takes)?;

        let plan = plan(name, link.mtu, wanted)?;
        let byte_len = plan.byte_len().ok_or(LayoutError::OutOfRegion)?;
        let interface = Mapping::anonymous(byte_len)?.lay_out(&plan)?;
        let unbound = sockets(&interface, &plan)?;
        let attached = offloads::clear_the_way(name).and_then(|offloads| {
            let queue = (*queue).into();
            let attached = attach(name, &link, queue, &wanted.takes, &unbound)?;
            Ok((attached, offloads))
        });
        let (attached, offloads) = match attached {
            Ok(attached) => attached,
            Err(error) => {
                unbound.into_iter().for_each(Unbound::give_up);
                return Err(error);
            }
        };
        let mut lines = attached.lines(name, *queue, &link);
        if let Some((_, line)) = &offloads {
            lines.push(line.clone());
        }
        let mut more = Vec::new();
        let bound = unbound.into_iter().zip(attached.bound);
        for (port, (unbound, bound)) in (0..).zip(bound) {
            more.push(MoreXdp {
                name: name.clone(),
                link: link.clone(),
                interface: Interface::new(interface.region(), plan.if_at(port))?,
                unbound,
                bound,
            });
        }
        let mut opened = Self::join(more.remove(0))?;
        opened.host.more = more;
        opened.host.program = Some(AttachedProgram {
            takes: wanted.takes.clone(),
            sockets: attached.sockets,
            attached: attached.attached,
        });
        opened.host._offloads = offloads.map(|(undo, _)| undo);
        Ok(lines.into_iter().fold(opened, Opened::saying))
    }

    fn more(&mut self) -> Vec<MoreXdp> {
        core::mem::take(&mut self.more)
    }

    fn join(more: MoreXdp) -> Result<Opened<Self>, OpenError> {
        let MoreXdp {
            name,
            link,
            interface,
            unbound,
            bound,
        } = more;
        let (socket, rings) = unbound.into_parts();
        let (socket, counters) = (Rc::new(socket), Rc::new(Counters::default()));
        let far_sides = far_sides(&interface, rings, &socket, &counters)?;
        let host = Self {
            name,
            link,
            query: LinkQuery::new().map_err(system("asking for interfaces"))?,
            bound,
            program: None,
            counters,
            far_sides: Some(far_sides),
            socket: Rc::clone(&socket),
            more: Vec::new(),
            _offloads: None,
        };
        let (wake, syscalls) = (socket.wake(), socket.syscalls());
        // SAFETY: a part of a region that was made here, for this port alone.
        Ok(unsafe { Opened::new(interface, host, wake, syscalls) })
    }

    /// Puts a program in the place of the one that runs. When that fails the old one stays, and the
    /// next change tries again: the kernel has just loaded one like it.
    fn set_takes(&mut self, takes: &Takes) {
        let old = self.program.as_mut();
        let Some(old) = old.filter(|old| old.takes != *takes) else {
            return;
        };
        let program = filter::program(self.link.mac, takes, old.sockets.as_fd());
        let program = bpf::load(&program);
        let replaced = program.and_then(|new| bpf::replace(old.attached.as_fd(), new.as_fd()));
        if replaced.is_ok() {
            old.takes = takes.clone();
        }
    }

    fn figures(&self) -> String {
        let counters = &self.counters;
        let (kicks, wakeups) = (counters.kicks.get(), counters.fill_wakeups.get());
        let mut line = format!("xdp: {kicks} calls to send, {wakeups} to fill");
        if let Some(kernel) = self.socket.statistics() {
            let full = kernel.rx_ring_full.unwrap_or(0);
            let empty = kernel.rx_fill_ring_empty_descs.unwrap_or(0);
            let invalid = kernel.tx_invalid_descs + kernel.rx_invalid_descs;
            line += &format!(
                "; kernel dropped {} frames, rx ring full {full}, fill ring empty {empty}, \
                 invalid descriptors {invalid}",
                kernel.rx_dropped
            );
        }
        match counters.violations() {
            0 => line,
            bad => line + &format!("; broken rules {bad}"),
        }
    }
}

impl Host for XdpHost {
    type Rx = XdpRx<Socket>;
    type Tx = XdpTx<Socket>;

    fn traits(&self) -> Traits {
        Traits {
            // Checked: fits into a buffer.
            mtu: u16::try_from(self.link.mtu).unwrap_or(u16::MAX),
            chain_max: match self.bound {
                Bound {
                    has_chains: false, ..
                } => 1,
                Bound {
                    is_zero_copy: true, ..
                } => CHAIN_MAX_ZERO_COPY,
                Bound { .. } => CHAIN_MAX_COPY,
            },
            buffers: Buffers::Shuffle,
            ..Traits::PLAIN
        }
    }

    fn mac(&self) -> MacAddr {
        self.link.mac
    }

    /// As Linux sees it; as it was last, when Linux does not answer.
    fn link(&mut self) -> LinkState {
        match self.query.by_index(self.link.ifindex) {
            Ok(Some(link)) => link.state(),
            Ok(None) => LinkState::Down,
            Err(_) => self.link.state(),
        }
    }

    fn far_sides(&mut self, idx: u16) -> Option<(Self::Rx, Self::Tx)> {
        self.far_sides.take_if(|_| idx == 0)
    }
}

impl Drop for XdpHost {
    fn drop(&mut self) {
        // Far sides that nobody has taken would keep the socket; so would those of other queues.
        if self.far_sides.take().is_some() {
            self.socket.end();
        }
        self.more.drain(..).for_each(|more| more.unbound.give_up());
    }
}

impl core::fmt::Debug for XdpHost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "XdpHost {{ {}, {:?} }}", self.name, self.bound)
    }
}

/// A socket for each port of the plan, not bound yet. Each has all buffers for its own: content is
/// in one place for all of them.
fn sockets(interface: &Interface, plan: &Plan) -> Result<Vec<Unbound>, OpenError> {
    let umem = umem_of(interface, plan)?;
    let one = |_| {
        Unbound::new(umem).map_err(|error| match error {
            Errno::AFNOSUPPORT => OpenError::Missing {
                what: "AF_XDP (CONFIG_XDP_SOCKETS)",
                instead: "tap:IFNAME",
            },
            Errno::NOBUFS | Errno::NOMEM => OpenError::Memory {
                byte_len: umem.byte_len,
                error,
            },
            error => OpenError::of("AF_XDP socket", NEEDED, error),
        })
    };
    (0..plan.ports).map(one).collect()
}

/// Both far sides, with all that they share.
fn far_sides(
    interface: &Interface,
    rings: Rings,
    socket: &Rc<Socket>,
    counters: &Rc<Counters>,
) -> Result<(XdpRx<Socket>, XdpTx<Socket>), OpenError> {
    let umem = Umem {
        bufs_cnt: interface.bufs_cnt(),
        buf_size: interface.buf_size(),
    };
    let kring = |kind| {
        let slots = interface.ring(kind, 0)?.num_slots() as usize;
        // As long as the region, which is as long as the program.
        let bufs = vec![0; slots].leak();
        Kring::new(interface, kind, 0, bufs).ok_or(LayoutError::NoRing)
    };
    let (rx_kring, tx_kring) = (kring(RingKind::Rx)?, kring(RingKind::Tx)?);
    let Rings {
        fill,
        completion,
        rx,
        tx,
    } = rings;
    let shared = || (Rc::clone(socket), Rc::clone(counters));
    let (calls, counts) = shared();
    let sender = Rc::new(RefCell::new(Sender::new(calls, counts, tx)));
    let (calls, counts) = shared();
    let rx = XdpRx::new(
        calls,
        counts,
        umem,
        rx_kring,
        (fill, rx),
        Rc::clone(&sender),
    );
    let (calls, counts) = shared();
    let tx = XdpTx::new(calls, counts, umem, tx_kring, (sender, completion));
    Ok((rx, tx))
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |error| OpenError::of(what, NEEDED, error)
}

/// Descriptors of a packet: `MAX_SKB_FRAGS` of kernels with default settings.
const CHAIN_MAX_COPY: u16 = 17;
/// Drivers say what they can do in netdev's `xdp-zc-max-segs`; those that can do it have 8 or more.
const CHAIN_MAX_ZERO_COPY: u16 = 8;
const NEEDED: &str = "root (CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF)";

#[cfg(test)]
mod tests;
