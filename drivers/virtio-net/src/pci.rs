//! Discovery over PCI (virtio 1.2 4.1): modern and transitional functions, by any configuration
//! access (ECAM or I/O ports), behind bridges as well.
//!
//! virtio-drivers has the transport; what it keeps to itself (the address of the doorbell, the
//! interrupt status, MSI-X) is found here from the same capabilities. They are checked before the
//! transport sees them: what a function says of itself never makes us panic or loop.

mod capabilities;
mod msix;

use core::cell::RefCell;
use core::ptr::NonNull;

use virtio_drivers::Hal;
use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, HeaderType, PciRoot,
};
use virtio_drivers::transport::pci::{PciTransport, VirtioPciError, virtio_device_type};
use virtio_drivers::transport::{DeviceType, SomeTransport};

use crate::registers::{Interrupt, Registers};
use crate::{Error, Found};

use capabilities::{Capabilities, Region};
pub use msix::Msi;

/// The `nth` network device (from 0), in the order of buses, devices and functions.
///
/// With `msi` it calls by that message if it has MSI-X; else by its line.
///
/// # Errors
/// `NoDevice`, `BarUnassigned` on a machine without firmware, or what is wrong with the function.
pub fn find<H: Hal, C: ConfigurationAccess>(
    access: C,
    nth: usize,
    msi: Option<Msi>,
) -> Result<Found<SomeTransport<'static>>, Error> {
    let access = RefCell::new(access);
    let mut bus = Bus::new(&access);
    let function = bus.locate(nth).ok_or(Error::NoDevice)?;
    bus.open::<H>(function, msi)
}

/// The root of all buses, and its configuration space beside it, which the root does not show.
struct Bus<'a, C: ConfigurationAccess> {
    root: PciRoot<Access<'a, C>>,
    access: Access<'a, C>,
}

/// One configuration access for two users, one after the other.
struct Access<'a, C>(&'a RefCell<C>);

impl<C: ConfigurationAccess> ConfigurationAccess for Access<'_, C> {
    fn read_word(&self, function: DeviceFunction, at: u8) -> u32 {
        self.0.borrow().read_word(function, at)
    }

    fn write_word(&mut self, function: DeviceFunction, at: u8, word: u32) {
        self.0.borrow_mut().write_word(function, at, word);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self(self.0)
    }
}

impl<'a, C: ConfigurationAccess> Bus<'a, C> {
    fn new(access: &'a RefCell<C>) -> Self {
        Self {
            root: PciRoot::new(Access(access)),
            access: Access(access),
        }
    }

    /// Searches bus 0 and every bus behind a bridge, each once.
    fn locate(&self, nth: usize) -> Option<DeviceFunction> {
        let mut is_known = [false; 256];
        is_known[0] = true;
        let mut left = nth;
        for bus in 0..=u8::MAX {
            if !is_known[usize::from(bus)] {
                continue;
            }
            for (function, info) in self.root.enumerate_bus(bus) {
                if info.header_type == HeaderType::PciPciBridge {
                    // Firmware numbers the buses behind a bridge above the bridge's own.
                    let secondary = self.access.read_word(function, BUS_NUMBERS) >> 8;
                    is_known[usize::from(secondary as u8)] = true;
                } else if virtio_device_type(&info) == Some(DeviceType::Network) {
                    match left.checked_sub(1) {
                        None => return Some(function),
                        Some(rest) => left = rest,
                    }
                }
            }
        }
        None
    }

    fn open<H: Hal>(
        &mut self,
        function: DeviceFunction,
        msi: Option<Msi>,
    ) -> Result<Found<SomeTransport<'static>>, Error> {
        let capabilities = Capabilities::read(|at| self.access.read_word(function, at))?;
        let (_, command) = self.root.get_status_command(function);
        self.root.set_command(
            function,
            command | Command::MEMORY_SPACE | Command::BUS_MASTER,
        );
        let common = self.map::<H>(function, capabilities.common, COMMON_LEN)?;
        let notify = self.map::<H>(function, capabilities.notify, 2)?;
        let isr = self.map::<H>(function, capabilities.isr, 1)?;
        let mut has_msix = false;
        if let (Some(msi), Some(table)) = (msi, capabilities.msix) {
            let entry = self.map::<H>(function, table.first_entry, msix::ENTRY_LEN)?;
            // SAFETY: the first entry of the function's MSI-X table, which nobody else uses.
            unsafe { msix::write_entry(entry, msi) };
            let control = self.access.read_word(function, table.control_at);
            self.access
                .write_word(function, table.control_at, msix::enabled(control));
            has_msix = true;
        }
        let transport = PciTransport::new::<H, _>(&mut self.root, function)?;
        let notify_len = capabilities.notify.byte_len as usize;
        let multiplier = capabilities.notify_off_multiplier;
        // SAFETY: `map` has found these structures within BARs of the function; they stay mapped.
        let registers =
            unsafe { Registers::pci(common, (notify, notify_len), multiplier, isr, has_msix) };
        let interrupt = if has_msix {
            Interrupt::Msix
        } else {
            Interrupt::Line(self.access.read_word(function, INTERRUPT_LINE) & 0xff)
        };
        Ok(Found {
            transport: transport.into(),
            registers,
            interrupt,
        })
    }

    /// Maps a structure that lies in a BAR, at least `least_len` bytes long.
    fn map<H: Hal>(
        &mut self,
        function: DeviceFunction,
        region: Region,
        least_len: u32,
    ) -> Result<NonNull<u8>, Error> {
        let bar = self
            .root
            .bar_info(function, region.bar)
            .map_err(VirtioPciError::from)?
            .ok_or(Error::BarUnassigned { bar: region.bar })?;
        let (bar_addr, bar_len) = bar
            .memory_address_size()
            .ok_or(VirtioPciError::UnexpectedIoBar)?;
        if bar_addr == 0 {
            return Err(Error::BarUnassigned { bar: region.bar });
        }
        let end = u64::from(region.offset) + u64::from(region.byte_len);
        let is_within = end <= bar_len && region.byte_len >= least_len;
        match bar_addr.checked_add(u64::from(region.offset)) {
            Some(addr) if is_within && region.offset.is_multiple_of(4) => {
                // SAFETY: within a BAR of the function, at least according to the bus.
                Ok(unsafe { H::mmio_phys_to_virt(addr, region.byte_len as usize) })
            }
            _ => Err(Error::BadCapabilities),
        }
    }
}

/// Bytes of `virtio_pci_common_cfg` (virtio 1.2 4.1.4.3).
const COMMON_LEN: u32 = 56;

// Registers of the configuration space, in bytes.
const BUS_NUMBERS: u8 = 0x18;
const INTERRUPT_LINE: u8 = 0x3c;

#[cfg(test)]
mod tests;
