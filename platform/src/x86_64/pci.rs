//! PCI configuration space, by ports or by memory.

use super::acpi::Tables;
use super::cpu::Registers;
use super::paging;
use super::port::Port;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

// SAFETY: selects a configuration register, reaches no memory.
const ADDRESS: Port = unsafe { Port::new(0xcf8) };
// SAFETY: configuration registers decide what devices do, and only `Config::write_word` writes
// them, for their driver.
const VALUE: Port = unsafe { Port::new(0xcfc) };

/// A way to PCI configuration space.
#[derive(Clone, Copy)]
pub enum Config {
    /// Two ports, as every PC has them (PCI 3.0, 3.2.2.3.2).
    Ports,
    /// Memory: PCI Express's enhanced mechanism (7.2.2), announced by ACPI.
    Ecam(Ecam),
}

/// The enhanced mechanism's place.
#[derive(Clone, Copy)]
pub struct Ecam {
    registers: Registers,
    base: u64,
    bus_start: u8,
    bus_end: u8,
}

impl Ecam {
    /// Where bus 0 would be.
    pub fn base(&self) -> u64 {
        self.base
    }
}

impl Config {
    /// The best way that the machine has; nothing without a PCI bus.
    pub(crate) fn find(tables: &Tables) -> Option<Config> {
        if let Some(place) = tables.ecam
            && let Some(start) = place.base.checked_add(u64::from(place.bus_start) << 20)
            && place.bus_start <= place.bus_end
            && paging::map(
                start,
                (u64::from(place.bus_end - place.bus_start) + 1) << 20,
            )
            .is_ok()
        {
            return Some(Config::Ecam(Ecam {
                // SAFETY: mapped just now for the buses it has, and configuration space reaches no
                // memory by itself.
                registers: unsafe { Registers::new(start) },
                base: place.base,
                bus_start: place.bus_start,
                bus_end: place.bus_end,
            }));
        }
        ADDRESS.write32(ENABLE);
        let has_ports = ADDRESS.read32() == ENABLE;
        let root = DeviceFunction {
            bus: 0,
            device: 0,
            function: 0,
        };
        (has_ports && Config::Ports.read_word(root, 0) != ABSENT).then_some(Config::Ports)
    }

    /// Vendor and device number of the host bridge: `(0x8086, 0x29c0)` is QEMU's q35.
    pub fn host_bridge(&self) -> (u16, u16) {
        let word = self.read_word(
            DeviceFunction {
                bus: 0,
                device: 0,
                function: 0,
            },
            0,
        );
        (word as u16, (word >> 16) as u16)
    }
}

impl ConfigurationAccess for Config {
    fn read_word(&self, device_function: DeviceFunction, register_offset: u8) -> u32 {
        match self {
            Config::Ports => {
                ADDRESS.write32(ENABLE | address(device_function, register_offset, 8));
                VALUE.read32()
            }
            Config::Ecam(ecam) => match ecam.offset(device_function, register_offset) {
                Some(offset) => ecam.registers.read(offset),
                None => ABSENT,
            },
        }
    }

    fn write_word(&mut self, device_function: DeviceFunction, register_offset: u8, data: u32) {
        match self {
            Config::Ports => {
                ADDRESS.write32(ENABLE | address(device_function, register_offset, 8));
                VALUE.write32(data);
            }
            Config::Ecam(ecam) => {
                if let Some(offset) = ecam.offset(device_function, register_offset) {
                    ecam.registers.write(offset, data);
                }
            }
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

impl Ecam {
    fn offset(&self, device_function: DeviceFunction, register_offset: u8) -> Option<u32> {
        if !(self.bus_start..=self.bus_end).contains(&device_function.bus) {
            return None;
        }
        let bus = device_function.bus - self.bus_start;
        Some(address(
            DeviceFunction {
                bus,
                ..device_function
            },
            register_offset,
            12,
        ))
    }
}

/// Bus, device, function above `shift` bits of register.
fn address(device_function: DeviceFunction, register_offset: u8, shift: u32) -> u32 {
    let DeviceFunction {
        bus,
        device,
        function,
    } = device_function;
    let number = u32::from(bus) << 8 | u32::from(device & 31) << 3 | u32::from(function & 7);
    number << shift | u32::from(register_offset & !3)
}

const ENABLE: u32 = 1 << 31;
const ABSENT: u32 = u32::MAX;
