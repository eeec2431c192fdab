//! The system calls on `/dev/netmap`, and what Linux says of an interface: all that a test puts a
//! fake in place of.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::string::{String, ToString};
use std::{format, path::Path};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{self, NoArg, Updater};
use simoom_ring::MacAddr;

use super::Adapter;
use crate::abi::{self, ReqHeader};
use crate::hosts::OpenError;
use crate::hosts::memory::Mapping;
use crate::hosts::undo::Undo;
use crate::hosts::xdp::offloads;

/// Which rings a sync is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `NIOCTXSYNC`.
    Tx,
    /// `NIOCRXSYNC`.
    Rx,
}

/// A descriptor of `/dev/netmap`.
pub trait Descriptor {
    /// `NIOCCTRL`.
    ///
    /// # Safety
    /// `body` and the addresses in `options` are those of what `reqtype` and the options say, which
    /// the kernel may read and write while this runs.
    ///
    /// # Errors
    /// The kernel's.
    unsafe fn ctrl(&self, header: &mut ReqHeader) -> Result<(), Errno>;

    /// `NIOCTXSYNC` or `NIOCRXSYNC`: of all rings that are bound.
    ///
    /// # Errors
    /// The kernel's.
    fn sync(&self, way: Way) -> Result<(), Errno>;

    /// Maps the first `len` bytes of the region.
    ///
    /// # Errors
    /// [`OpenError::Memory`].
    fn map(&self, len: usize) -> Result<Mapping, OpenError>;

    /// `poll` without waiting: whether there is `POLLERR`.
    fn has_error(&self) -> bool;

    /// Whether an interface has a carrier.
    fn has_carrier(&self, name: &str) -> bool;

    /// The same descriptor, to be polled by a loop.
    ///
    /// # Errors
    /// The kernel's.
    fn for_poll(&self) -> Result<OwnedFd, Errno>;
}

/// A machine with netmap.
pub trait Device {
    /// An open descriptor.
    type Fd: Descriptor;

    /// Opens `/dev/netmap`.
    ///
    /// # Errors
    /// The kernel's.
    fn open(&self) -> Result<Self::Fd, Errno>;

    /// What stands behind a port.
    fn adapter(&self, name: &str) -> Adapter;

    /// An interface's station address.
    fn mac(&self, name: &str) -> Option<MacAddr>;

    /// An interface's MTU in bytes.
    fn mtu(&self, name: &str) -> Option<u32>;

    /// Switches off those of an interface's offloads (by ethtool's names for them) that are on;
    /// with what switches them on again, and a line for a person.
    ///
    /// # Errors
    /// What the kernel says.
    fn switch_off(&self, name: &str, names: &[&str]) -> io::Result<Option<(Undo, String)>>;
}

/// The real one.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

/// A descriptor of the real one.
#[derive(Debug)]
pub struct KernelFd(OwnedFd);

impl Device for Kernel {
    type Fd = KernelFd;

    fn open(&self) -> Result<KernelFd, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        open("/dev/netmap", flags, Mode::empty()).map(KernelFd)
    }

    fn adapter(&self, name: &str) -> Adapter {
        Adapter::of(name)
    }

    fn mac(&self, name: &str) -> Option<MacAddr> {
        let text = of_interface(name, "address")?;
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        Some(MacAddr(bytes)).filter(MacAddr::is_station)
    }

    fn mtu(&self, name: &str) -> Option<u32> {
        of_interface(name, "mtu")?.parse().ok()
    }

    fn switch_off(&self, name: &str, names: &[&str]) -> io::Result<Option<(Undo, String)>> {
        offloads::clear_for("netmap", name, names)
    }
}

impl Descriptor for KernelFd {
    unsafe fn ctrl(&self, header: &mut ReqHeader) -> Result<(), Errno> {
        // SAFETY: the number is NIOCCTRL, whose argument is a header that is written back.
        let request = unsafe { Updater::<{ abi::ioctl::CTRL }, ReqHeader>::new(header) };
        // SAFETY: what the header points to is as the kernel takes it: the caller says so.
        unsafe { ioctl::ioctl(&self.0, request) }
    }

    fn sync(&self, way: Way) -> Result<(), Errno> {
        match way {
            Way::Tx => {
                // SAFETY: NIOCTXSYNC, which has no argument.
                let request = unsafe { NoArg::<{ abi::ioctl::TXSYNC }>::new() };
                // SAFETY: it changes what the mapping's users expect it to change.
                unsafe { ioctl::ioctl(&self.0, request) }
            }
            Way::Rx => {
                // SAFETY: NIOCRXSYNC, which has no argument.
                let request = unsafe { NoArg::<{ abi::ioctl::RXSYNC }>::new() };
                // SAFETY: as for the other.
                unsafe { ioctl::ioctl(&self.0, request) }
            }
        }
    }

    fn map(&self, len: usize) -> Result<Mapping, OpenError> {
        let error = |error| OpenError::Memory {
            byte_len: len,
            error,
        };
        Mapping::of(self.for_poll().map_err(error)?, len)
    }

    fn has_error(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let polled = poll(&mut fds, Some(&Timespec::default()));
        let bad = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        polled.is_ok() && fds[0].revents().intersects(bad)
    }

    fn has_carrier(&self, name: &str) -> bool {
        // Reading it fails while the interface is down.
        of_interface(name, "carrier").is_some_and(|carrier| carrier == "1")
    }

    fn for_poll(&self) -> Result<OwnedFd, Errno> {
        rustix::io::fcntl_dupfd_cloexec(&self.0, 0)
    }
}

/// What sysfs has in a file of an interface's folder.
fn of_interface(name: &str, file: &str) -> Option<String> {
    let path = format!("/sys/class/net/{name}/{file}");
    let text = fs::read_to_string(Path::new(&path)).ok()?;
    Some(text.trim().to_string())
}
