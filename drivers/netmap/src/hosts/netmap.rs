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
//! - A binding ends with the last descriptor and the last mapping. Content lies in the mapping, so
//!   that is when the process ends.

mod adapter;
mod bind;
mod calls;
mod far;
#[cfg(test)]
mod tests;

use std::format;
use std::rc::Rc;
use std::string::{String, ToString};

use simoom_ring::{LinkState, MacAddr};

pub use adapter::Adapter;
pub use calls::{Descriptor, Device, Kernel, KernelFd, Way};
pub use far::{NetmapRx, NetmapTx};

use super::{NetmapRings, Open, OpenError, Opened, Spec, SpecError, Syscalls, Wanted};
use crate::{Host, Interface, RingKind, Traits};
use far::Shared;

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
    /// The rings to and from the machine's own stack, when both were bound.
    beside: Option<Beside>,
}

/// What is needed to make a second port of a binding: the host's rings beside the NIC's.
struct Beside {
    interface: Interface,
    traits: Traits,
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
        let bound = bind::bind(device, name, rings, adapter, wanted)?;
        let traits = Traits {
            mtu: bound.mtu,
            hdr_len: bound.hdr_len,
            checksums: bound.checksums(),
            tso: bound.tso(),
            rx_large: bound.hdr_len > 0,
            chain_max: if bound.is_gathering { u16::MAX } else { 1 },
            buffers: adapter.buffers(rings),
        };
        let (wake, waiting) = bound.wake()?;
        let syscalls = Syscalls::default();
        let said = format!("{spec}: {}", bound.said(adapter, rings));
        let mac = match adapter.has_interface() && rings != NetmapRings::Host {
            true => device.mac(name).unwrap_or_else(|| mac_of(name)),
            // The other end of the host's rings is the interface: this one needs an address, too.
            false => mac_of(name),
        };
        let nic_side = bound.interface;
        let host_side = nic_side.host_side();
        let interface = match rings {
            NetmapRings::Host => host_side,
            NetmapRings::Nic | NetmapRings::Both => nic_side,
        };
        let beside = (rings == NetmapRings::Both).then_some(Beside {
            interface: host_side,
            // The kernel's own stack is one: no header, no chains, buffers stay.
            traits: Traits {
                mtu: traits.mtu,
                ..Traits::PLAIN
            },
        });
        let host = Self {
            name: name.clone(),
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
            beside,
        };
        // SAFETY: the kernel has given the buffers in the slots, and the extra ones, to this
        // binding alone.
        let opened = unsafe { Opened::new(interface, host, wake, syscalls) };
        Ok(opened.saying(said))
    }

    /// The port to the machine's own stack on the other side of the interface, once, when both
    /// kinds of rings were bound: for passing others' packets on. Its frames are of the
    /// same pool as this port's.
    pub fn take_host_side(&mut self) -> Option<(Interface, Self)> {
        let Beside { interface, traits } = self.beside.take()?;
        let host = Self {
            name: self.name.clone(),
            interface,
            traits,
            mac: self.mac,
            shared: Rc::clone(&self.shared),
            has_interface: false,
            queues_out: 0,
            beside: None,
        };
        Some((interface, host))
    }

    /// Whether the interface has gone away.
    pub fn is_gone(&self) -> bool {
        self.shared.is_gone()
    }
}

impl Open for NetmapHost {
    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError> {
        Self::open_on(&Kernel, spec, wanted)
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
        self.queues_out += 1;
        let rx = NetmapRx::new(Rc::clone(&self.shared), rx_memory);
        let tx = NetmapTx::new(Rc::clone(&self.shared), tx_memory);
        Some((rx, tx))
    }
}

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
