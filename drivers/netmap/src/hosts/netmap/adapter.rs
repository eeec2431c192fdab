//! What stands behind a port, as far as it can be told from outside.
//!
//! | adapter | one slot more (`NS_MOREFRAG`) | offsets | a buffer that is sent | rung |
//! |---|---|---|---|---|
//! | emulated, on any driver | is a frame more | are understood | stays | copy |
//! | native: e1000, e1000e, igb, ixgbe, i40e, ice | goes on | are understood | stays | gather |
//! | native: others | is a frame more, or goes on | are refused | stays | copy |
//! | native: veth | goes on | are refused | moves to the peer | copy |
//! | VALE switch | goes on | shift what a peer without them gets | stays | copy |
//! | pipe | goes on | mislead a peer without them | moves to the peer | copy |
//! | to and from the host's stack | is a frame more | are understood | stays | copy |
//!
//! No request tells one from the other. A driver that has been taught netmap is a user of the
//! module's (`/sys/module/netmap/holders`), unless `admode` forces emulation.

use std::ffi::CString;
use std::format;
use std::fs;
use std::string::{String, ToString};

use rustix::net::{AddressFamily, SocketType, socket};

use crate::Buffers;
use crate::hosts::NetmapRings;

/// A kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// The module's own, on top of the interface's driver.
    Emulated,
    /// A driver that knows netmap.
    Native {
        /// Chains and offsets.
        can_gather: bool,
        /// The other end of the wire gets the buffers themselves.
        is_veth: bool,
    },
    /// A port of a VALE switch.
    Switch,
    /// An end of a pipe.
    Pipe,
}

impl Adapter {
    /// The adapter of a port, by its name and what sysfs says.
    pub fn of(name: &str) -> Self {
        if name.contains(['{', '}']) {
            return Self::Pipe;
        }
        if name.contains(':') {
            return Self::Switch;
        }
        let is_emulation_forced = fs::read_to_string("/sys/module/netmap/parameters/admode")
            .is_ok_and(|mode| mode.trim() == "2");
        let driver = driver(name).filter(|_| !is_emulation_forced);
        let Some(driver) = driver.filter(|driver| is_netmaps(driver)) else {
            return Self::Emulated;
        };
        Self::Native {
            can_gather: GATHERING.contains(&driver.as_str()),
            is_veth: driver == "veth",
        }
    }

    /// Whether it is an interface of Linux's, with an MTU, an address and a carrier.
    pub fn has_interface(self) -> bool {
        matches!(self, Self::Emulated | Self::Native { .. })
    }

    /// Whether packets to its transmit rings can consist of pieces anywhere in the region.
    pub fn can_gather(self) -> bool {
        let Self::Native { can_gather, .. } = self else {
            return false;
        };
        can_gather
    }

    /// What becomes of a buffer that is sent by these rings.
    pub(super) fn buffers(self, rings: NetmapRings) -> Buffers {
        let moves = match self {
            Self::Pipe => true,
            Self::Native { is_veth, .. } => is_veth && rings != NetmapRings::Host,
            Self::Emulated | Self::Switch => false,
        };
        if moves { Buffers::Move } else { Buffers::Stay }
    }
}

impl core::fmt::Display for Adapter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Emulated => "emulated adapter",
            Self::Native { is_veth: true, .. } => "native veth adapter",
            Self::Native { .. } => "native adapter",
            Self::Switch => "switch",
            Self::Pipe => "pipe",
        })
    }
}

/// Drivers whose native adapters know chains and offsets.
const GATHERING: [&str; 6] = ["e1000", "e1000e", "igb", "ixgbe", "i40e", "ice"];

/// Whether a driver's module uses netmap's: under its own name, or with a suffix.
fn is_netmaps(driver: &str) -> bool {
    let module = driver.replace('-', "_");
    let Ok(holders) = fs::read_dir("/sys/module/netmap/holders") else {
        return false;
    };
    let mut names = holders.flatten().map(|holder| holder.file_name());
    names.any(|name| {
        let name = name.to_string_lossy();
        name == module.as_str() || name.starts_with(&format!("{module}_"))
    })
}

/// The driver of an interface, as ethtool tells it.
fn driver(name: &str) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    let mut info = DriverInfo {
        cmd: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut request = InterfaceRequest {
        name: [0; 16],
        data: (&raw mut info).expose_provenance() as u64,
        rest: [0; 16],
    };
    let name = CString::new(name).ok()?;
    let bytes = name.as_bytes_with_nul();
    request.name.get_mut(..bytes.len())?.copy_from_slice(bytes);
    // SAFETY: SIOCETHTOOL, whose argument is an `ifreq`.
    let call =
        unsafe { rustix::ioctl::Updater::<SIOCETHTOOL, InterfaceRequest>::new(&mut request) };
    // SAFETY: with ETHTOOL_GDRVINFO the data are an `ethtool_drvinfo`, which outlives the call.
    unsafe { rustix::ioctl::ioctl(&socket, call) }.ok()?;
    let len = info.driver.iter().position(|byte| *byte == 0)?;
    Some(core::str::from_utf8(&info.driver[..len]).ok()?.to_string())
}

/// `struct ifreq` with a pointer, on 64-bit machines.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    data: u64,
    rest: [u8; 16],
}

/// `struct ethtool_drvinfo`: behind the name are other texts and numbers.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const SIOCETHTOOL: u32 = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 3;

const _: () = {
    assert!(size_of::<InterfaceRequest>() == 40);
    assert!(size_of::<DriverInfo>() == 196);
};
