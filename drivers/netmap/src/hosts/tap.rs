//! A host: a TAP device, whose other side is Linux's network, a bridge, or a guest.
//!
//! ```text
//!   transmit ring ─ writev(header, pieces …) ─► device ─► Linux     a call a packet: TAP has no
//!   receive ring  ◄─ readv(buffer, buffer …) ── device ◄─ Linux     call for a burst
//! ```
//!
//! The kernel copies straight from and to the buffers in the slots; we copy nothing. With
//! `IFF_VNET_HDR` each frame has a virtio-net header in front, so checksums stay partial and
//! segments large in both directions, and a super-segment of 64 KiB is one call.
//!
//! With several queues (`IFF_MULTI_QUEUE`) each is a descriptor of the same device. Linux gives a
//! flow to the queue that has sent packets of it last, and a new one by its hash.
//!
//! The device is created when there is none, and is gone with our descriptor then. One that is
//! persistent is left as it was found: whether it was up, the length of its header and its offloads
//! are put back, after `kill -9` by the next start ([`hosts::record`](super::record)).

mod device;
mod rings;
#[cfg(test)]
mod tests;

use std::format;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use simoom_ring::{Checksums, LinkState, MacAddr, Segmentation};

use super::memory::Mapping;
use super::netdev::NetDev;
use super::undo::Undo;
use super::{Open, OpenError, Opened, Spec, Syscalls, Wake, Wanted, Without};
use crate::{Buffers, Gone, Host, Interface, Kring, Plan, RingKind, Traits};

use rings::Counts;
pub use rings::{TapRx, TapTx};

/// A TAP device.
pub struct TapHost {
    dev: NetDev,
    mac: MacAddr,
    traits: Traits,
    far_sides: Option<(TapRx, TapTx)>,
    counts: Rc<Counts>,
    /// Until they are handed out.
    more: Vec<MoreTap>,
    /// Puts a persistent device back.
    _undo: Option<Undo>,
}

/// A further queue of the device.
#[derive(Debug)]
pub struct MoreTap {
    fd: OwnedFd,
    interface: Interface,
    dev: NetDev,
    mac: MacAddr,
    traits: Traits,
}

impl Open for TapHost {
    type More = MoreTap;

    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError> {
        let Spec::Tap { name } = spec else {
            return Err(OpenError::OtherKind {
                name: spec.to_string(),
                needed: "a TAP device (tap:IFNAME)",
            });
        };
        let mut attached = device::attach(name.as_deref(), wanted.queues)?;
        let name = attached.dev.name().to_string();
        let mtu = buffer_mtu(&attached.dev)?;
        let plan = plan(mtu, wanted)?;
        let byte_len = plan.byte_len().ok_or(OpenError::Memory {
            byte_len: wanted.content_len,
            error: rustix::io::Errno::NOMEM,
        })?;
        let mapping = Mapping::anonymous(byte_len)?;
        let pages = if mapping.has_huge_pages() {
            "huge pages"
        } else {
            "plain pages"
        };
        let interface = mapping.lay_out(&plan)?;

        let made = device::configure(&attached, wanted)?;
        let mac = device::station_address(&attached.dev)?;
        let origin = match attached.is_new {
            true => "created",
            false => "found",
        };
        let size = format!("{} MiB in {pages}", byte_len >> 20);
        let queues = match attached.fds.len() {
            1 => String::new(),
            cnt => format!(", {cnt} queues"),
        };
        let line = format!("tap {name}: {origin}, MTU {mtu}, station {mac}, {size}{queues}");
        let mut more = Vec::new();
        for (fd, port) in attached.fds.drain(1..).zip(1..) {
            let dev = attached.dev.try_clone();
            more.push(MoreTap {
                fd,
                interface: Interface::new(interface.region(), plan.if_at(port))?,
                dev: dev.map_err(|error| OpenError::of(&name, "more descriptors", error))?,
                mac,
                traits: traits(mtu, wanted.without),
            });
        }
        let first = attached.fds.into_iter().next();
        let first = MoreTap {
            fd: first.expect("a device is attached by one descriptor at least"),
            interface,
            dev: attached.dev,
            mac,
            traits: traits(mtu, wanted.without),
        };
        let mut opened = Self::join(first)?;
        (opened.host.more, opened.host._undo) = (more, made.undo);
        let lines = made.lines.into_iter();
        Ok(lines.fold(opened.saying(line), Opened::saying))
    }

    fn more(&mut self) -> Vec<MoreTap> {
        core::mem::take(&mut self.more)
    }

    fn join(more: MoreTap) -> Result<Opened<Self>, OpenError> {
        let MoreTap {
            fd,
            interface,
            dev,
            mac,
            traits,
        } = more;
        let (wake, syscalls) = (Wake::new(fd), Syscalls::default());
        let counts = Rc::new(Counts::default());
        let far_sides = far_sides(&interface, &wake, &syscalls, &counts)?;
        let host = Self {
            dev,
            mac,
            traits,
            far_sides: Some(far_sides),
            counts,
            more: Vec::new(),
            _undo: None,
        };
        // SAFETY: the buffers are those of a part of a region that was laid out for this port
        // alone.
        Ok(unsafe { Opened::new(interface, host, wake, syscalls) })
    }

    fn figures(&self) -> String {
        let Counts {
            rx_cut, tx_refused, ..
        } = &*self.counts;
        match (rx_cut.get(), tx_refused.get()) {
            (0, 0) => String::new(),
            (cut, refused) => format!("tap: {cut} frames cut, {refused} refused"),
        }
    }
}

impl Host for TapHost {
    type Rx = TapRx;
    type Tx = TapTx;

    fn traits(&self) -> Traits {
        self.traits
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn link(&mut self) -> LinkState {
        self.dev.link()
    }

    fn far_sides(&mut self, idx: u16) -> Option<(TapRx, TapTx)> {
        self.far_sides.take_if(|_| idx == 0)
    }
}

/// The far sides of both rings.
fn far_sides(
    interface: &Interface,
    wake: &Wake,
    syscalls: &Syscalls,
    counts: &Rc<Counts>,
) -> Result<(TapRx, TapTx), OpenError> {
    let kring = |kind, slots: u32| {
        let bufs = vec![0; slots as usize].leak();
        Kring::new(interface, kind, 0, bufs).ok_or(crate::LayoutError::NoRing)
    };
    let rx = kring(RingKind::Rx, RX_SLOTS)?;
    let tx = kring(RingKind::Tx, TX_SLOTS)?;
    let link = rings::Link {
        interface: *interface,
        wake: wake.clone(),
        syscalls: syscalls.clone(),
        counts: Rc::clone(counts),
    };
    Ok((TapRx::new(rx, link.clone()), TapTx::new(tx, link)))
}

/// What the device can do: all that virtio-net can, without what is not wanted of it.
fn traits(mtu: u16, without: Without) -> Traits {
    let has_tso = !without.tx_csum && !without.tso && !without.gather;
    Traits {
        mtu,
        hdr_len: HDR_LEN,
        checksums: Checksums {
            tx: !without.tx_csum,
            rx: !without.rx_csum,
        },
        tso: Segmentation {
            tcp_v4: has_tso,
            tcp_v6: has_tso,
            udp: false,
            len_max: if has_tso { DATAGRAM_LEN_MAX } else { 0 },
        },
        rx_large: !without.rx_csum && !without.rx_large,
        chain_max: match without.gather {
            true => 1,
            false => rings::PIECES_MAX as u16,
        },
        buffers: Buffers::Stay,
    }
}

/// The device's MTU, if a frame of it fits into the largest buffer.
fn buffer_mtu(dev: &NetDev) -> Result<u16, OpenError> {
    let mtu = dev.mtu();
    let mtu = mtu.map_err(|error| OpenError::of("its MTU", "the interface", error))?;
    let most = BUF_SIZE_MAX - HDR_LEN - ETHERNET_LEN;
    let fitting = u16::try_from(mtu).ok().filter(|mtu| *mtu <= most);
    fitting.ok_or_else(|| OpenError::Mtu {
        name: dev.name().to_string(),
        mtu,
        most: most.into(),
    })
}

/// The smallest buffer for a frame of the MTU with its header.
fn buf_size(mtu: u16) -> u16 {
    (mtu + HDR_LEN + ETHERNET_LEN)
        .next_multiple_of(64)
        .max(BUF_SIZE_MIN)
}

/// Rings and frames for each queue, and content. Content begins where a buffer does.
fn plan(mtu: u16, wanted: &Wanted) -> Result<Plan, OpenError> {
    let buf_size = buf_size(mtu);
    let content_bufs = wanted.content_len.div_ceil(buf_size.into());
    Ok(Plan {
        ports: wanted.queues.max(1),
        rings: 1,
        tx_slots: TX_SLOTS,
        rx_slots: RX_SLOTS,
        extra_bufs: wanted.frames,
        content_bufs: u32::try_from(content_bufs).map_err(|_| OpenError::Memory {
            byte_len: wanted.content_len,
            error: rustix::io::Errno::NOMEM,
        })?,
        buf_size,
        has_offsets: true,
    })
}

/// Slots to send: a dozen super-segments' worth of pieces, and then some.
const TX_SLOTS: u32 = 1_024;
/// Slots to receive: a burst of frames, while there is room for one of 64 KiB besides.
const RX_SLOTS: u32 = 256;
/// The virtio-net header with `num_buffers`.
const HDR_LEN: u16 = 12;
const ETHERNET_LEN: u16 = 14;
/// What IPv4 has a length for.
const DATAGRAM_LEN_MAX: u32 = 65_535;
/// netmap's usual.
const BUF_SIZE_MIN: u16 = 2_048;
/// A jumbo frame, and half as much again.
const BUF_SIZE_MAX: u16 = 16_384;
