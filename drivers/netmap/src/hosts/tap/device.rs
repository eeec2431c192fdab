//! The device itself: created or found, set up, and put back.

use std::format;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::string::{String, ToString};
use std::vec::Vec;

use libc::{c_int, c_short, c_uint, c_ulong};
use rustix::fs::{Mode, OFlags};
use simoom_ring::MacAddr;

use super::super::netdev::{NetDev, name_of, request};
use super::super::record::{self, Found, Record};
use super::super::undo::{self, Undo};
use super::{HDR_LEN, OpenError, Wanted, Without};

/// A device that we are the other side of.
pub(super) struct Attached {
    /// A descriptor for each queue; one at least.
    pub(super) fds: Vec<OwnedFd>,
    pub(super) dev: NetDev,
    /// It was created for us, and goes with us.
    pub(super) is_new: bool,
}

/// What configuring has changed.
pub(super) struct Made {
    pub(super) undo: Option<Undo>,
    pub(super) lines: Vec<String>,
}

/// What a persistent device is to be again when we have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) is_up: bool,
    pub(super) hdr_len: c_int,
    pub(super) offloads: c_uint,
}

/// Attaches to the device, or creates it, with so many queues.
pub(super) fn attach(name: Option<&str>, queues: u16) -> Result<Attached, OpenError> {
    let was_there = name.is_some_and(|name| NetDev::find(name).is_ok());
    let wanted = name.unwrap_or_default();
    let fd = open()?;
    let flags = match queues {
        0 | 1 => FLAGS,
        _ => FLAGS | libc::IFF_MULTI_QUEUE,
    };
    let given = match attach_to(&fd, wanted, flags) {
        // A device that was created with several queues wants that said.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && was_there => {
            attach_to(&fd, wanted, FLAGS | libc::IFF_MULTI_QUEUE)
        }
        given => given,
    };
    let name = given.map_err(|error| refused(wanted, was_there, queues, error))?;
    let mut fds = Vec::from([fd]);
    for _ in 1..queues {
        let fd = open()?;
        attach_to(&fd, &name, flags).map_err(|error| refused(&name, was_there, queues, error))?;
        fds.push(fd);
    }
    let dev = NetDev::find(&name)?;
    Ok(Attached {
        fds,
        dev,
        is_new: !was_there,
    })
}

fn open() -> Result<OwnedFd, OpenError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(CLONE_DEVICE, flags, Mode::empty());
    fd.map_err(|error| match io::Error::from(error) {
        error if error.kind() == io::ErrorKind::NotFound => OpenError::Missing {
            what: "TAP devices (no /dev/net/tun)",
            instead: "xdp: or netmap:",
        },
        error => OpenError::of(CLONE_DEVICE, "root, or read and write access to it", error),
    })
}

/// Makes the descriptor a queue of the device; its name.
fn attach_to(fd: &OwnedFd, name: &str, flags: c_int) -> io::Result<String> {
    let mut request = request(name);
    // The flags are 16 bits.
    request.ifr_ifru.ifru_flags = flags as c_short;
    let argument = core::ptr::from_mut(&mut request).cast();
    // SAFETY: TUNSETIFF takes an ifreq, and writes its name.
    unsafe { call(fd, libc::TUNSETIFF as c_ulong, argument) }.map(|()| name_of(&request))
}

/// Why the kernel does not attach us.
fn refused(name: &str, was_there: bool, queues: u16, error: io::Error) -> OpenError {
    let name = name.to_string();
    match error.raw_os_error() {
        Some(libc::EBUSY) => OpenError::InUse { name, by: None },
        Some(libc::EINVAL) if was_there => OpenError::OtherKind {
            name,
            needed: match queues {
                0 | 1 => "a TAP device",
                _ => "a TAP device of several queues (ip tuntap add NAME mode tap multi_queue)",
            },
        },
        // No queue is left for us.
        Some(libc::E2BIG) => OpenError::Queues {
            name,
            has: QUEUES_MAX,
            wanted: queues,
        },
        Some(libc::EPERM) => OpenError::NotAllowed {
            what: format!("tap:{name}"),
            needed: "root, or a device of its own (ip tuntap add NAME mode tap user USER)",
        },
        _ => OpenError::System {
            what: format!("tap:{name}"),
            error,
        },
    }
}

/// Sets header and offloads and brings the device up. A device that is persistent is put back.
pub(super) fn configure(attached: &Attached, wanted: &Wanted) -> Result<Made, OpenError> {
    let Attached { fds, dev, is_new } = attached;
    // Header and offloads are the device's, whichever queue they are said to.
    let fd = &fds[0];
    let mut lines = Vec::new();
    let undo = match is_new {
        true => None,
        false => Some(put_back_later(fd, dev, &mut lines)?),
    };
    let said = |what: &'static str| {
        let name = dev.name().to_string();
        move |error| OpenError::of(format!("{name}: {what}"), "root, or CAP_NET_ADMIN", error)
    };
    set_number(fd, libc::TUNSETVNETHDRSZ as c_ulong, HDR_LEN.into())
        .map_err(said("a header of 12 bytes"))?;
    // Where numbers are big-endian they are not in our headers. Older kernels know only their own.
    let _ = set_number(fd, libc::TUNSETVNETLE as c_ulong, 1);
    set_offloads(fd, offloads(wanted.without))
        .map_err(said("checksum and segmentation offload"))?;
    let is_lonely = *is_new && wanted.far_addr.is_none() && wanted.takes.addr.is_some();
    if is_lonely {
        let dev = dev.name();
        lines.push(format!(
            "tap {dev}: Linux has no address on it: --gateway, or `ip addr add`, gives it one"
        ));
    }
    if *is_new && let Some((addr, prefix_len)) = wanted.far_addr {
        let set = dev.set_addr(addr, prefix_len);
        set.map_err(said("its address"))?;
        lines.push(format!(
            "tap {}: Linux is {addr}/{prefix_len} on it",
            dev.name()
        ));
    }
    if !dev.is_up().map_err(said("its flags"))? {
        dev.set_up(true).map_err(said("bringing it up"))?;
    }
    Ok(Made { undo, lines })
}

/// What may come in: partial checksums, uncut segments.
fn offloads(without: Without) -> c_uint {
    match without {
        Without { rx_csum: true, .. } => 0,
        Without { rx_large: true, .. } => libc::TUN_F_CSUM,
        _ => OFFLOADS,
    }
}

/// Sees to it that a device that was there is as it was when we go.
fn put_back_later(fd: &OwnedFd, dev: &NetDev, lines: &mut Vec<String>) -> Result<Undo, OpenError> {
    let said = |error| OpenError::of(dev.name(), "root, or CAP_NET_ADMIN", error);
    let name = record_name(dev.name(), dev.mac().map_err(said)?);
    let left = match record::find(&name) {
        Ok(Found::Left(text)) => Before::parse(&text),
        _ => None,
    };
    if left.is_some() {
        lines.push(format!(
            "tap {}: taken over from a run that was killed",
            dev.name()
        ));
    }
    let before = match left {
        Some(before) => before,
        None => Before::read(fd, dev).map_err(said)?,
    };
    let record = record::write(&name, &before.to_string());
    let record = record.map_err(|error| {
        let (name, why) = (dev.name(), "after kill -9 it would stay as it is");
        lines.push(format!(
            "tap {name}: warning: no record of its settings ({error}): {why}"
        ));
    });
    let fd = fd.try_clone().map_err(said)?;
    let dev = dev.try_clone().map_err(said)?;
    Ok(undo::later(move || {
        put_back(&fd, &dev, before, record.ok())
    }))
}

fn put_back(fd: &OwnedFd, dev: &NetDev, before: Before, record: Option<Record>) {
    let Before {
        is_up,
        hdr_len,
        offloads,
    } = before;
    // Whatever fails here, the device is gone or no longer ours to change.
    let _ = set_number(fd, libc::TUNSETVNETHDRSZ as c_ulong, hdr_len);
    let _ = set_offloads(fd, offloads);
    if !is_up {
        let _ = dev.set_up(false);
    }
    if let Some(record) = record {
        record.remove();
    }
}

impl Before {
    fn read(fd: &OwnedFd, dev: &NetDev) -> io::Result<Self> {
        let mut hdr_len: c_int = 0;
        let argument = core::ptr::from_mut(&mut hdr_len).cast();
        // SAFETY: TUNGETVNETHDRSZ writes an int.
        unsafe { call(fd, libc::TUNGETVNETHDRSZ as c_ulong, argument) }?;
        let has = |command| dev.ethtool(command).is_ok_and(|value| value != 0);
        let mut offloads = 0;
        if has(ETHTOOL_GTXCSUM) {
            offloads |= libc::TUN_F_CSUM;
            if has(ETHTOOL_GTSO) {
                offloads |= libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
            }
        }
        Ok(Self {
            is_up: dev.is_up()?,
            hdr_len,
            offloads,
        })
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut number = |name: &str| {
            let value = words.by_ref().skip_while(|word| *word != name).nth(1);
            value?.parse::<u16>().ok()
        };
        Some(Self {
            is_up: number("up")? != 0,
            hdr_len: number("header")?.into(),
            offloads: number("offloads")?.into(),
        })
    }
}

impl core::fmt::Display for Before {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            is_up,
            hdr_len,
            offloads,
        } = self;
        let up = u8::from(*is_up);
        writeln!(f, "up {up}\nheader {hdr_len}\noffloads {offloads}")
    }
}

/// Our address on the cable whose other end has the device's: of the device and its address, so
/// that it is the same after the next start and another one on the next machine.
pub(super) fn station_address(dev: &NetDev) -> Result<MacAddr, OpenError> {
    let theirs = dev.mac();
    let theirs = theirs.map_err(|error| OpenError::of(dev.name(), "the interface", error))?;
    // FNV-1a, for no other reason than that it is short.
    let bytes = dev.name().bytes().chain(theirs.0);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, ..] = hash.to_be_bytes();
    // Locally administered (IEEE 802), a station's.
    Ok(MacAddr([0x02, 0x53, a, b, c, d]))
}

/// A name is unique within a network namespace, and records are not in one. The number of a
/// namespace comes again when it is gone, the station address of a device does not.
pub(super) fn record_name(name: &str, station: MacAddr) -> String {
    let namespace = std::fs::metadata("/proc/thread-self/ns/net").map_or(0, |meta| meta.ino());
    format!("tap:{name}@{namespace}@{station}")
}

fn set_number(fd: &OwnedFd, number: c_ulong, mut value: c_int) -> io::Result<()> {
    // SAFETY: the calls that are made here take a pointer to an int.
    unsafe { call(fd, number, core::ptr::from_mut(&mut value).cast()) }
}

fn set_offloads(fd: &OwnedFd, offloads: c_uint) -> io::Result<()> {
    let value = core::ptr::without_provenance_mut(offloads as usize);
    // SAFETY: TUNSETOFFLOAD takes a number in place of a pointer.
    unsafe { call(fd, libc::TUNSETOFFLOAD as c_ulong, value) }
}

/// # Safety
/// `argument` is what call `number` of a TAP device takes.
unsafe fn call(fd: &OwnedFd, number: c_ulong, argument: *mut libc::c_void) -> io::Result<()> {
    // SAFETY: an open descriptor; the argument is as the caller promises.
    match unsafe { libc::ioctl(fd.as_raw_fd(), number, argument) } {
        done if done < 0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

const CLONE_DEVICE: &str = "/dev/net/tun";
const FLAGS: c_int = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
/// The kernel's.
const QUEUES_MAX: u32 = 256;
const OFFLOADS: c_uint =
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// linux/ethtool.h
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_GTSO: u32 = 0x1e;
