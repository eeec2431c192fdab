//! Devices at addresses that no bus tells: virtio over MMIO, and mapping of any registers.

use super::irq;
use crate::command_line::{CommandLine, MmioDevice};

pub use super::paging::map;

/// Where a virtio-mmio device may be. An empty slot has the magic number and device number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioSlot {
    /// Address of its registers.
    pub base: u64,
    /// Their length in bytes.
    pub size: u64,
    /// Its interrupt line, for [`irq::route`].
    pub gsi: u32,
}

/// The possible virtio-mmio devices: those of the command line, otherwise, on a machine without a
/// PCI bus, where QEMU's microvm has them.
#[derive(Clone, Copy)]
pub struct Slots {
    command_line: CommandLine<'static>,
    scan: Option<MmioDevice>,
    scan_cnt: u64,
}

impl Slots {
    pub(crate) fn find(command_line: &CommandLine<'static>, has_pci: bool) -> Slots {
        let is_told = command_line.mmio_devices().next().is_some();
        // microvm with ACPI: 24 slots on the second I/O APIC; without: 8 slots on lines 5 to 12.
        let (scan_cnt, irq) = if irq::has_line(24) { (24, 24) } else { (8, 5) };
        let first = MmioDevice {
            size: SCAN_LEN,
            base: SCAN_START,
            irq,
        };
        let scan = (!is_told && !has_pci).then_some(first);
        Slots {
            command_line: *command_line,
            scan,
            scan_cnt,
        }
    }

    /// The slots, in order of discovery: microvm fills them from the last.
    pub fn iter(&self) -> impl Iterator<Item = MmioSlot> + use<> {
        let told = self.command_line.mmio_devices();
        let first = self.scan;
        let scanned = (0..self.scan_cnt).rev().filter_map(move |slot_idx| {
            let MmioDevice { size, base, irq } = first?;
            Some(MmioDevice {
                size,
                base: base + slot_idx * size,
                irq: irq + slot_idx as u32,
            })
        });
        told.chain(scanned)
            .map(|MmioDevice { size, base, irq }| MmioSlot {
                base,
                size,
                gsi: irq,
            })
    }
}

const SCAN_START: u64 = 0xfeb0_0000;
const SCAN_LEN: u64 = 0x200;
