//! Binds a port: the requests, their options, what they mean.

use std::format;
use std::os::fd::OwnedFd;
use std::string::{String, ToString};
use std::vec::Vec;

use rustix::event::epoll;
use rustix::io::Errno;
use simoom_ring::{Checksums, Segmentation};

use super::far::Waiting;
use super::{Adapter, Descriptor, Device};
use crate::abi::{
    OPT_OFFSETS, OptOffsets, PortHdr, REG_ALL_NIC, REG_NIC_SW, REG_ONE_NIC, REG_SW,
    REQ_PORT_HDR_GET, REQ_REGISTER, Register, RegisterFlags, ReqHeader, ReqOption,
};
use crate::hosts::{NetmapRings, OpenError, Wake, Wanted};
use crate::rx::ETHERNET_LEN;
use crate::{Interface, LayoutError, Region, RingKind, Traits};

/// A port that is bound and mapped.
pub(super) struct Bound<F> {
    pub(super) fd: F,
    /// The binding of the transmit rings, where it is one of its own.
    pub(super) tx_fd: Option<F>,
    pub(super) interface: Interface,
    pub(super) register: Register,
    pub(super) hdr_len: u16,
    pub(super) mtu: u16,
    /// Packets may consist of pieces anywhere in the region.
    pub(super) is_gathering: bool,
}

/// What is bound at once.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) rings: NetmapRings,
    /// Of several ring pairs of the NIC's, the one that is meant.
    pub(super) only: Option<u16>,
    /// Extra buffers for frames.
    pub(super) frames: u32,
    /// Bytes of content.
    pub(super) content_len: usize,
    /// Where the buffers are, when another part has mapped them.
    pub(super) region: Option<(Region, u16)>,
}

impl Part {
    fn mode(&self) -> u32 {
        match (self.rings, self.only) {
            (NetmapRings::Nic, None) => REG_ALL_NIC,
            (NetmapRings::Nic, Some(_)) => REG_ONE_NIC,
            (NetmapRings::Host, _) => REG_SW,
            (NetmapRings::Both, _) => REG_NIC_SW,
        }
    }

    fn ringid(&self) -> u16 {
        self.only.unwrap_or(0)
    }
}

/// Binds ring pairs of the port that the kernel knows by `name`: one by one if several are wanted.
/// The first has the content.
pub(super) fn bind_all<D: Device>(
    device: &D,
    name: &str,
    rings: NetmapRings,
    adapter: Adapter,
    wanted: &Wanted,
) -> Result<Vec<Bound<D::Fd>>, OpenError> {
    let queues = wanted.queues.max(1);
    if queues > 1 && rings != NetmapRings::Nic {
        // The machine's own stack has one ring pair, and one core that serves it.
        return Err(OpenError::Queues {
            name: format!("{name}, with the rings of the host's stack"),
            has: 1,
            wanted: queues,
        });
    }
    let mut part = Part {
        rings,
        only: (queues > 1).then_some(0),
        frames: wanted.frames,
        content_len: wanted.content_len,
        region: None,
    };
    let first = bind(device, name, adapter, part)?;
    let pairs = first.pairs();
    // Packets in a ring that nobody serves would be lost.
    if pairs != u32::from(queues) {
        return Err(match queues {
            1 => OpenError::OtherKind {
                name: name.to_string(),
                needed: "a port of one ring pair; give it as many cores (--cores), or set it \
                         with: ethtool -L IFNAME combined 1",
            },
            _ => OpenError::Queues {
                name: name.to_string(),
                has: pairs,
                wanted: queues,
            },
        });
    }
    let region = (first.interface.region(), first.register.mem_id);
    let mut bound = Vec::from([first]);
    for ring in 1..queues {
        part.only = Some(ring);
        part.content_len = 0;
        part.region = Some(region);
        bound.push(bind(device, name, adapter, part)?);
    }
    Ok(bound)
}

fn bind<D: Device>(
    device: &D,
    name: &str,
    adapter: Adapter,
    part: Part,
) -> Result<Bound<D::Fd>, OpenError> {
    let fd = open(device)?;
    let is_gathering = adapter.can_gather() && part.rings == NetmapRings::Nic;
    if is_gathering && let Some(bound) = bind_apart(device, name, part)? {
        return checked(device, name, adapter, bound);
    }
    let mut register = Register {
        mode: part.mode(),
        ringid: part.ringid(),
        extra_bufs: part.frames,
        flags: RegisterFlags::ACCEPT_VNET_HDR,
        ..Register::default()
    };
    registered(&fd, name, &mut register, None).map_err(|error| refused(name, error))?;
    let region = mapped(&fd, &register, part)?;
    let interface = interface(region, &register, part)?;
    let bound = Bound {
        hdr_len: hdr_len(&fd, name),
        fd,
        tx_fd: None,
        interface,
        register,
        mtu: ETHERNET_MTU,
        is_gathering: false,
    };
    checked(device, name, adapter, bound)
}

/// Binds receive and transmit rings by a descriptor each: offsets anywhere in a buffer leave no
/// room for what is received in one. `None` when the adapter will not have that.
fn bind_apart<D: Device>(
    device: &D,
    name: &str,
    part: Part,
) -> Result<Option<Bound<D::Fd>>, OpenError> {
    let flags = RegisterFlags::ACCEPT_VNET_HDR;
    let content_bufs = part.content_len.div_ceil(BUF_SIZE_USUAL);
    let content_bufs = u32::try_from(content_bufs).unwrap_or(u32::MAX);
    let mut rx_register = Register {
        mode: part.mode(),
        ringid: part.ringid(),
        extra_bufs: part.frames.saturating_add(content_bufs),
        flags: flags.union(RegisterFlags::RX_RINGS_ONLY),
        ..Register::default()
    };
    let fd = open(device)?;
    match registered(&fd, name, &mut rx_register, None) {
        Ok(()) => {}
        Err(Errno::INVAL) => return Ok(None),
        Err(error) => return Err(refused(name, error)),
    }
    let region = mapped(&fd, &rx_register, part)?;
    let rx_interface = interface(region, &rx_register, part)?;
    let mut tx_register = Register {
        mode: part.mode(),
        ringid: part.ringid(),
        flags: flags.union(RegisterFlags::TX_RINGS_ONLY),
        ..Register::default()
    };
    let buf_size = u64::from(rx_interface.buf_size());
    let mut offsets = OptOffsets {
        option: ReqOption {
            reqtype: OPT_OFFSETS,
            ..ReqOption::default()
        },
        max_offset: buf_size - 1,
        offset_bits: 16,
        ..OptOffsets::default()
    };
    let tx_fd = open(device)?;
    if registered(&tx_fd, name, &mut tx_register, Some(&mut offsets)).is_err() {
        // The kernel sees no change in what was bound: it goes with its descriptor.
        return Ok(None);
    }
    if tx_register.mem_id != rx_register.mem_id {
        return Ok(None);
    }
    let tx_interface = interface(region, &tx_register, part)?;
    Ok(Some(Bound {
        hdr_len: hdr_len(&fd, name),
        fd,
        tx_fd: Some(tx_fd),
        interface: rx_interface.with_tx_of(tx_interface)?,
        register: rx_register,
        mtu: ETHERNET_MTU,
        is_gathering: true,
    }))
}

/// What remains to be looked at, whichever way the port was bound.
fn checked<D: Device>(
    device: &D,
    name: &str,
    adapter: Adapter,
    mut bound: Bound<D::Fd>,
) -> Result<Bound<D::Fd>, OpenError> {
    if adapter.has_interface() {
        let mtu = device.mtu(name).unwrap_or(ETHERNET_MTU.into());
        let room = usize::from(bound.interface.buf_size()).checked_sub(ETHERNET_LEN);
        let most = room.and_then(|room| u32::try_from(room).ok()).unwrap_or(0);
        bound.mtu = u16::try_from(mtu)
            .ok()
            .filter(|_| mtu <= most)
            .ok_or_else(|| OpenError::Mtu {
                name: name.to_string(),
                mtu,
                most,
            })?;
    }
    Ok(bound)
}

impl<F: Descriptor> Bound<F> {
    /// Ring pairs that the port has, bound or not.
    fn pairs(&self) -> u32 {
        let all = self.interface.all();
        all.rings(RingKind::Tx).max(all.rings(RingKind::Rx))
    }

    /// What the port can do.
    pub(super) fn traits(&self, adapter: Adapter, rings: NetmapRings) -> Traits {
        // Whoever takes headers completes and verifies checksums, or passes them on as they are;
        // a switch cuts for ports that take none.
        let has_hdr = self.hdr_len > 0;
        Traits {
            mtu: self.mtu,
            hdr_len: self.hdr_len,
            checksums: Checksums {
                tx: has_hdr,
                rx: has_hdr,
            },
            tso: match has_hdr && self.is_gathering {
                true => Segmentation {
                    tcp_v4: true,
                    tcp_v6: true,
                    udp: false,
                    len_max: 65_535,
                },
                false => Segmentation::default(),
            },
            rx_large: has_hdr,
            chain_max: if self.is_gathering { u16::MAX } else { 1 },
            buffers: adapter.buffers(rings),
        }
    }

    /// What a loop polls, and how the end of sending is waited for.
    pub(super) fn wake(&self) -> Result<(Wake, Waiting), OpenError> {
        let failed = |error: Errno| OpenError::of("to poll /dev/netmap", "", error);
        let fd = self.fd.for_poll().map_err(failed)?;
        let Some(tx_fd) = &self.tx_fd else {
            return Ok((Wake::new(fd), Waiting::Poll));
        };
        let tx_fd = tx_fd.for_poll().map_err(failed)?;
        let both = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        let add = |fd: &OwnedFd, events| {
            let added = epoll::add(&both, fd, epoll::EventData::new_u64(0), events);
            added.map_err(failed)
        };
        add(&fd, epoll::EventFlags::IN)?;
        add(&tx_fd, epoll::EventFlags::ONESHOT)?;
        let polled = rustix::io::fcntl_dupfd_cloexec(&both, 0).map_err(failed)?;
        Ok((Wake::new(polled), Waiting::Epoll { both, fd, tx_fd }))
    }

    /// What was bound, for a person.
    pub(super) fn said(&self, adapter: Adapter, rings: NetmapRings) -> String {
        let Register {
            tx_slots,
            rx_slots,
            extra_bufs,
            ..
        } = self.register;
        let which = match rings {
            NetmapRings::Nic => "",
            NetmapRings::Host => ", rings of the host's stack",
            NetmapRings::Both => ", rings of the NIC and of the host's stack",
        };
        let rung = match self.is_gathering {
            true => "content goes by reference",
            false if adapter.buffers(rings) == crate::Buffers::Move => {
                "content is copied into frames: buffers go to the receiver"
            }
            false => "content is copied into frames: the adapter has no gather",
        };
        format!(
            "{adapter}{which}, {tx_slots} and {rx_slots} slots of {} bytes, {extra_bufs} extra \
             buffers; {rung}",
            self.interface.buf_size()
        )
    }
}

fn open<D: Device>(device: &D) -> Result<D::Fd, OpenError> {
    device.open().map_err(|error| match error {
        Errno::NOENT | Errno::NXIO | Errno::NODEV => OpenError::Missing {
            what: "/dev/netmap: its module is not loaded",
            instead: "xdp:IFNAME or tap:IFNAME",
        },
        error => OpenError::of("/dev/netmap", "root, or the right to open it", error),
    })
}

/// Why a port was refused.
fn refused(name: &str, error: Errno) -> OpenError {
    let name = name.to_string();
    match error {
        Errno::NXIO | Errno::NODEV => OpenError::NoInterface { name },
        Errno::BUSY => OpenError::InUse { name, by: None },
        error => OpenError::of(
            format!("{name}: to bind it to netmap"),
            "CAP_NET_ADMIN, or root",
            error,
        ),
    }
}

/// `REGISTER`; the kernel writes to `register` what it has given.
fn registered<F: Descriptor>(
    fd: &F,
    name: &str,
    register: &mut Register,
    offsets: Option<&mut OptOffsets>,
) -> Result<(), Errno> {
    let mut header = ReqHeader::new(REQ_REGISTER, name).ok_or(Errno::NAMETOOLONG)?;
    header.body = address(register);
    header.options = offsets.map_or(0, address);
    // SAFETY: a register request with its body, and with an option that is what its number says.
    // Both are borrowed exclusively until after the call.
    unsafe { fd.ctrl(&mut header) }
}

/// Bytes of virtio-net header in front of each frame of a port.
fn hdr_len<F: Descriptor>(fd: &F, name: &str) -> u16 {
    let mut body = PortHdr::default();
    let Some(mut header) = ReqHeader::new(REQ_PORT_HDR_GET, name) else {
        return 0;
    };
    header.body = address(&mut body);
    // SAFETY: a request for the header's length with its body.
    let asked = unsafe { fd.ctrl(&mut header) };
    match (asked, body.hdr_len) {
        (Ok(()), 10) => 10,
        (Ok(()), 12) => 12,
        // A kernel without that request, or a port without a header.
        _ => 0,
    }
}

/// The region, as long as REGISTER says: other requests say otherwise.
fn mapped<F: Descriptor>(fd: &F, register: &Register, part: Part) -> Result<Region, OpenError> {
    match part.region {
        // One mapping for all: content lies at one address.
        Some((region, mem_id)) if mem_id == register.mem_id => return Ok(region),
        Some(_) => return Err(LayoutError::BufsDiffer.into()),
        None => {}
    }
    let len = usize::try_from(register.memsize).map_err(|_| LayoutError::OutOfRegion)?;
    Ok(fd.map(len)?.into_region())
}

/// Never at the region's start because it was there before: each binding has its own.
fn interface(region: Region, register: &Register, part: Part) -> Result<Interface, OpenError> {
    let at = usize::try_from(register.offset).map_err(|_| LayoutError::OutOfRegion)?;
    let interface = Interface::new(region, at)?;
    Ok(match part.only {
        Some(only) => interface.only(only.into()),
        None => interface,
    })
}

/// An address for the kernel, which reads and writes there.
fn address<T>(value: &mut T) -> u64 {
    (&raw mut *value).expose_provenance() as u64
}

/// What ports that are no interfaces carry.
const ETHERNET_MTU: u16 = 1_500;
/// Bytes of a buffer unless an administrator says otherwise: what is asked for by this number may
/// turn out to be less or more.
const BUF_SIZE_USUAL: usize = 2_048;
