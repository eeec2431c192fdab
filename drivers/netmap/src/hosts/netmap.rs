//! `/dev/netmap`: the rings and buffers are the kernel's, and a sync is a system call.
//!
//! ```text
//!   open ─► NIOCCTRL REGISTER ─► mmap(nr_memsize) ─► netmap_if at nr_offset ─► Interface
//!                                                         │
//!      sync: NIOCTXSYNC, NIOCRXSYNC      sleep: poll, which syncs all rings before it sleeps
//! ```
//!
//! What a port can do is not told by the kernel, and found out from outside ([`adapter`]): an
//! emulated adapter sends each slot as a frame of its own, a pipe and a native veth hand buffers
//! over, few drivers know chains and offsets.
//!
//! # What has to be known of the kernel
//!
//! - A sync succeeds on a ring whose indices make no sense, which the kernel then resets. So a ring
//!   that is found broken here is given an index that makes none, on purpose: the next sync writes
//!   the kernel's own.
//! - An interface that goes away makes `poll` return `POLLERR` for ever. A ring that was reset does
//!   so once: who has seen it asks again after a sync.
//! - `POLLOUT` comes as long as one slot is free. Who waits for more moves `cur` up to `tail`: the
//!   kernel then waits until `tail` moves on.
//! - The machine's packets reach the host's rings only while the NIC's own rings are bound, by
//!   whomever. An emulated adapter drops what the interface's offloads have merged, and the kernel
//!   drops what the machine has left to the NIC to finish: they are switched off, and on again.
//! - Several ring pairs are bound one by one (`REG_ONE_NIC`), each with its own extra buffers: a
//!   descriptor, and so a sync, for each core. All of them see one region, mapped once.
//! - A binding ends with the last descriptor and the last mapping. Content lies in the mapping, so
//!   that is when the process ends.

mod adapter;
mod bind;
mod calls;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod far;
mod pass;
#[cfg(test)]
mod tests;

use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use simoom_ring::{LinkState, MacAddr};

pub use adapter::Adapter;
pub use calls::{Descriptor, Device, Kernel, KernelFd, Way};
pub use far::{NetmapRx, NetmapTx};

use super::filter::Filter;
use super::undo::Undo;
use super::{NetmapRings, Open, OpenError, Opened, Spec, SpecError, Syscalls, Takes, Wanted};
use crate::{Host, Interface, RingKind, RingMemory, Traits};
use bind::Bound;
use far::Shared;
use pass::{HostRing, Passing};

/// A port of `/dev/netmap`.
pub struct NetmapHost<F: Descriptor = KernelFd> {
    name: String,
    interface: Interface,
    traits: Traits,
    mac: MacAddr,
    shared: Rc<Shared<F>>,
    /// The interface's folder in sysfs says whether it has a carrier; a switch or pipe has none.
    has_interface: bool,
    queues_out: u16,
    /// What is not ours is passed on, when both kinds of rings were bound.
    passing: Option<Passing>,
    /// Until they are handed out.
    more: Vec<MoreNetmap<F>>,
    /// Switches the interface's offloads on again.
    _offloads: Option<Undo>,
}

/// A further ring pair, bound by itself.
pub struct MoreNetmap<F> {
    name: String,
    adapter: Adapter,
    rings: NetmapRings,
    bound: Bound<F>,
    mac: MacAddr,
}

impl<F: Descriptor> NetmapHost<F> {
    /// Binds the port that `spec` names on a device.
    ///
    /// # Errors
    /// As [`Open::open`].
    pub fn open_on<D: Device<Fd = F>>(
        device: &D,
        spec: &Spec,
        wanted: &Wanted,
    ) -> Result<Opened<Self>, OpenError> {
        let Spec::Netmap { name, rings } = spec else {
            let given = spec.to_string();
            return Err(SpecError::Kind { given }.into());
        };
        let rings = match (*rings, wanted.has_passthrough) {
            // Both ways to say the same.
            (NetmapRings::Nic, true) => NetmapRings::Both,
            (rings, _) => rings,
        };
        let adapter = device.adapter(name);
        let offloads = match adapter.has_interface() {
            true => switch_off(device, name, rings)?,
            false => None,
        };
        let bound = bind::bind_all(device, name, rings, adapter, wanted)?;
        let mac = match adapter.has_interface() && rings != NetmapRings::Host {
            true => device.mac(name).unwrap_or_else(|| mac_of(name)),
            // The other end of the host's rings is the interface: this one needs an address, too.
            false => mac_of(name),
        };
        let mut more: Vec<_> = bound
            .into_iter()
            .map(|bound| MoreNetmap {
                name: name.clone(),
                adapter,
                rings,
                bound,
                mac,
            })
            .collect();
        let cnt = more.len();
        let first = more.remove(0);
        let said = format!("{spec}: {}", first.bound.said(adapter, rings));
        let (undo, told) = offloads.unzip();
        let mut opened = Self::join_on(first)?;
        opened.host.take(&wanted.takes);
        (opened.host.more, opened.host._offloads) = (more, undo);
        let opened = told.into_iter().fold(opened, Opened::saying);
        let opened = match cnt {
            1 => opened.saying(said),
            _ => opened.saying(format!("{said}; {cnt} ring pairs, each bound by itself")),
        };
        Ok(match rings {
            NetmapRings::Host => opened.saying(format!(
                "{spec}: the kernel gives us the machine's packets while someone has bound the \
                 rings of {name} itself, too"
            )),
            NetmapRings::Nic | NetmapRings::Both => opened,
        })
    }

    /// Hands out the further ring pairs, in their order.
    pub fn take_more(&mut self) -> Vec<MoreNetmap<F>> {
        core::mem::take(&mut self.more)
    }

    /// Makes a port of one of them.
    ///
    /// # Errors
    /// As [`Open::join`].
    pub fn join_on(more: MoreNetmap<F>) -> Result<Opened<Self>, OpenError> {
        let MoreNetmap {
            name,
            adapter,
            rings,
            bound,
            mac,
        } = more;
        let traits = bound.traits(adapter, rings);
        let (wake, waiting) = bound.wake()?;
        let syscalls = Syscalls::default();
        let interface = match rings {
            NetmapRings::Host => bound.interface.host_side(),
            NetmapRings::Nic | NetmapRings::Both => bound.interface,
        };
        let host = Self {
            name,
            interface,
            traits,
            mac,
            shared: Rc::new(Shared::new(
                bound.fd,
                bound.tx_fd,
                (wake.clone(), waiting),
                syscalls.clone(),
            )),
            has_interface: adapter.has_interface(),
            queues_out: 0,
            passing: (rings == NetmapRings::Both).then(Passing::default),
            more: Vec::new(),
            _offloads: None,
        };
        // SAFETY: the kernel has given the buffers in the slots, and the extra ones, to this
        // binding alone.
        Ok(unsafe { Opened::new(interface, host, wake, syscalls) })
    }

    /// From now on these packets are ours.
    fn take(&self, takes: &Takes) {
        if let Some(Passing { filter, .. }) = &self.passing {
            filter.replace(Filter::for_machine(takes));
        }
    }

    /// The host's rings beside the NIC's; `None` when they make no sense.
    fn host_rings(&self, passing: &Passing) -> Option<(HostRing, HostRing, RingMemory)> {
        let host_side = self.interface.host_side();
        let tx_memory = host_side.ring(RingKind::Tx, 0).ok()?;
        let rx_memory = host_side.ring(RingKind::Rx, 0).ok()?;
        let to_host = HostRing::new(host_side, tx_memory, passing.clone())?;
        let from_host = HostRing::new(host_side, rx_memory, passing.clone())?;
        Some((to_host, from_host, tx_memory))
    }

    /// What has been passed on; empty when nothing ever is.
    fn said_of_passing(&self) -> String {
        let Some(Passing { passed, .. }) = &self.passing else {
            return String::new();
        };
        format!(
            "passed up {} down {} copied {} dropped {}",
            passed.up.get(),
            passed.down.get(),
            passed.copied.get(),
            passed.dropped.get()
        )
    }

    /// Whether the interface has gone away.
    pub fn is_gone(&self) -> bool {
        self.shared.is_gone()
    }
}

impl Open for NetmapHost {
    type More = MoreNetmap<KernelFd>;

    fn more(&mut self) -> Vec<Self::More> {
        self.take_more()
    }

    fn join(more: Self::More) -> Result<Opened<Self>, OpenError> {
        Self::join_on(more)
    }

    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError> {
        Self::open_on(&Kernel, spec, wanted)
    }

    fn set_takes(&mut self, takes: &Takes) {
        self.take(takes);
    }

    fn figures(&self) -> String {
        self.said_of_passing()
    }
}

impl<F: Descriptor> Host for NetmapHost<F> {
    type Rx = NetmapRx<F>;
    type Tx = NetmapTx<F>;

    fn traits(&self) -> Traits {
        self.traits
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn link(&mut self) -> LinkState {
        let has_carrier = !self.has_interface || self.shared.has_carrier(&self.name);
        match has_carrier && !self.shared.is_gone() {
            true => LinkState::Up,
            false => LinkState::Down,
        }
    }

    /// Ring pairs are handed out in their order. They share a descriptor, and so belong to one
    /// thread.
    fn far_sides(&mut self, idx: u16) -> Option<(Self::Rx, Self::Tx)> {
        if idx != self.queues_out {
            return None;
        }
        let rx_memory = self.interface.ring(RingKind::Rx, idx.into()).ok()?;
        let tx_memory = self.interface.ring(RingKind::Tx, idx.into()).ok()?;
        // The first pair alone passes on.
        let (to_host, from_host) = match &self.passing {
            Some(passing) if idx == 0 => {
                let (to_host, from_host, memory) = self.host_rings(passing)?;
                (Some(to_host), Some((from_host, memory)))
            }
            _ => (None, None),
        };
        self.queues_out += 1;
        let rx = NetmapRx::new(Rc::clone(&self.shared), rx_memory, to_host);
        let tx = NetmapTx::new(Rc::clone(&self.shared), tx_memory, from_host);
        Some((rx, tx))
    }
}

/// Switches off what makes packets that are no frames: merged ones, and, where the machine's own
/// stack sends through us, those that were left to a NIC to finish.
fn switch_off<D: Device>(
    device: &D,
    name: &str,
    rings: NetmapRings,
) -> Result<Option<(Undo, String)>, OpenError> {
    let in_the_way = match rings {
        NetmapRings::Nic => &OFFLOADS[..MERGING],
        NetmapRings::Host | NetmapRings::Both => &OFFLOADS,
    };
    let switched = device.switch_off(name, in_the_way);
    switched.map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => OpenError::NoInterface {
            name: name.to_string(),
        },
        _ => OpenError::of(
            format!("offloads of {name}"),
            "CAP_NET_ADMIN, or root",
            error,
        ),
    })
}

/// By ethtool's names: first those that merge what comes in, then those of what goes out.
const OFFLOADS: [&str; 11] = [
    "rx-gro",
    "rx-gro-hw",
    "rx-lro",
    "tx-checksum-ipv4",
    "tx-checksum-ipv6",
    "tx-checksum-ip-generic",
    "tx-generic-segmentation",
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-udp-segmentation",
];
const MERGING: usize = 3;

/// An address for a port that has none: locally administered, and the same at each start, so that
/// neighbors need not learn it anew.
fn mac_of(name: &str) -> MacAddr {
    // FNV-1a, 64 bits.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    MacAddr([2, a, b, c, d, e])
}
