//! What the kernel says of a network interface, and what can be changed about it.
//!
//! By the old `ioctl`s, which see the network namespace that the process is in, and take no parser.

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::string::{String, ToString};

use libc::{c_char, c_int, c_short, ifreq};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use simoom_ring::{LinkState, MacAddr};

use super::OpenError;

/// An interface that was there when it was looked for.
#[derive(Debug)]
pub struct NetDev {
    socket: OwnedFd,
    name: String,
}

impl NetDev {
    /// Looks for the interface.
    ///
    /// # Errors
    /// [`OpenError::NoInterface`].
    pub fn find(name: &str) -> Result<Self, OpenError> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None);
        let socket =
            socket.map_err(|error| OpenError::of("a socket", "more descriptors", error))?;
        let dev = Self {
            socket,
            name: name.to_string(),
        };
        dev.flags().map_err(|_| OpenError::NoInterface {
            name: name.to_string(),
        })?;
        Ok(dev)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A second descriptor of the same interface.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            name: self.name.clone(),
        })
    }

    /// Whether it is up (`IFF_UP`), as far as its owner wants it.
    ///
    /// # Errors
    /// It is gone.
    pub fn is_up(&self) -> io::Result<bool> {
        Ok(c_int::from(self.flags()?) & libc::IFF_UP != 0)
    }

    /// Brings it up, or down.
    ///
    /// # Errors
    /// Not allowed, or it is gone.
    pub fn set_up(&self, is_up: bool) -> io::Result<()> {
        let flags = c_int::from(self.flags()?) & !libc::IFF_UP;
        let flags = if is_up { flags | libc::IFF_UP } else { flags };
        let mut request = request(&self.name);
        // The flags are 16 bits.
        request.ifr_ifru.ifru_flags = flags as c_short;
        self.call(libc::SIOCSIFFLAGS, &mut request)
    }

    /// Whether frames can flow. An interface that is gone carries none.
    pub fn link(&self) -> LinkState {
        let wanted = libc::IFF_UP | libc::IFF_RUNNING;
        match self.flags() {
            Ok(flags) if c_int::from(flags) & wanted == wanted => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    /// Its IP MTU, bytes.
    ///
    /// # Errors
    /// It is gone.
    pub fn mtu(&self) -> io::Result<u32> {
        let mut request = request(&self.name);
        self.call(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: the kernel has written this variant of the union, and any bits are a number.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(u32::try_from(mtu).unwrap_or(0))
    }

    /// Its station address.
    ///
    /// # Errors
    /// It is gone.
    pub fn mac(&self) -> io::Result<MacAddr> {
        let mut request = request(&self.name);
        self.call(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has written this variant of the union, and any bits are a sockaddr.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let [a, b, c, d, e, f, ..] = address.sa_data.map(c_char::cast_unsigned);
        Ok(MacAddr([a, b, c, d, e, f]))
    }

    /// Gives it its first IPv4 address.
    ///
    /// # Errors
    /// Not allowed, or no address for an interface.
    pub fn set_addr(&self, addr: Ipv4Addr, prefix_len: u8) -> io::Result<()> {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32)));
        let mask = Ipv4Addr::from_bits(mask.unwrap_or(0));
        for (number, value) in [(libc::SIOCSIFADDR, addr), (libc::SIOCSIFNETMASK, mask)] {
            let mut request = request(&self.name);
            let [a, b, c, d] = value.octets().map(u8::cast_signed);
            // sockaddr_in: the port, then the address.
            let mut sa_data = [0; 14];
            sa_data[2..6].copy_from_slice(&[a, b, c, d]);
            request.ifr_ifru.ifru_addr = libc::sockaddr {
                sa_family: libc::AF_INET as libc::sa_family_t,
                sa_data,
            };
            self.call(number, &mut request)?;
        }
        Ok(())
    }

    /// A setting of the old `ethtool` interface that is a number, such as `ETHTOOL_GTXCSUM`.
    ///
    /// # Errors
    /// The driver does not know it.
    pub fn ethtool(&self, command: u32) -> io::Result<u32> {
        let mut value = [command, 0];
        let mut request = request(&self.name);
        request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
        self.call(libc::SIOCETHTOOL, &mut request)?;
        Ok(value[1])
    }

    fn flags(&self) -> io::Result<c_short> {
        let mut request = request(&self.name);
        self.call(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel has written this variant of the union, and any bits are a number.
        Ok(unsafe { request.ifr_ifru.ifru_flags })
    }

    fn call(&self, number: libc::c_ulong, request: &mut ifreq) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: an open descriptor, and a request of the type that all these calls take; where
        // it points to more (`ethtool`), that is as long as the command says.
        let done = unsafe { libc::ioctl(fd, number, core::ptr::from_mut(request)) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// A request about an interface. Longer names than there can be are cut.
pub(super) fn request(name: &str) -> ifreq {
    // SAFETY: numbers, bytes and pointers, for all of which zero is a value.
    let mut request: ifreq = unsafe { core::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

/// The name that the kernel has written to a request.
pub(super) fn name_of(request: &ifreq) -> String {
    let bytes = request.ifr_name.map(c_char::cast_unsigned);
    let name = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
    name.to_string_lossy().into_owned()
}
