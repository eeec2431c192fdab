//! What an image's `main` is given, once.

use super::boot::Protocol;
use super::clock::{self, Clock};
use super::cpu;
use super::entropy::Entropy;
use super::{mmio, pci};
use crate::command_line::CommandLine;
use crate::memory::{Memory, Range};
use core::fmt;

/// Everything that a machine owes the stack. There is one, and an image gets it once.
pub struct Machine {
    /// The command line, checked.
    pub command_line: CommandLine<'static>,
    /// The loader's first module, read-only; nothing without one.
    pub initrd: Option<&'static [u8]>,
    /// The free memory.
    pub memory: Memory,
    /// The time since entry.
    pub clock: Clock,
    /// Random bytes.
    pub entropy: Entropy,
    /// PCI configuration space; nothing without a PCI bus.
    pub pci: Option<pci::Config>,
    /// Where virtio-mmio devices may be.
    pub mmio_slots: mmio::Slots,
    /// What kind of machine it is.
    pub facts: Facts,
}

impl Machine {
    /// Sleeps until an interrupt, or until the clock reaches `until_us`; `None` waits for
    /// interrupts alone. May return early, so look at the clock and at the devices after it.
    ///
    /// To sleep without losing a device's last word: arm its interrupt, look at its ring once
    /// more, then call this. What comes in between ends the sleep at once.
    pub fn idle(&self, until_us: Option<u64>) {
        clock::idle(until_us);
    }
}

/// The machine's make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineKind {
    /// QEMU's q35: PCI Express.
    Q35,
    /// QEMU's pc: PCI.
    Pc,
    /// No PCI bus: QEMU's microvm, Firecracker.
    Microvm,
    /// Another one with a PCI bus.
    Other,
}

impl MachineKind {
    pub(crate) fn of(pci: Option<&pci::Config>) -> MachineKind {
        match pci.map(pci::Config::host_bridge) {
            Some((0x8086, 0x29c0)) => MachineKind::Q35,
            Some((0x8086, 0x1237)) => MachineKind::Pc,
            Some(_) => MachineKind::Other,
            None => MachineKind::Microvm,
        }
    }
}

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MachineKind::Q35 => "q35",
            MachineKind::Pc => "pc",
            MachineKind::Microvm => "microvm",
            MachineKind::Other => "PC",
        })
    }
}

/// What a person may want to know of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its make.
    pub kind: MachineKind,
    /// How it was booted.
    pub protocol: Protocol,
    /// Processors, of which one runs; 0 when nothing tells.
    pub processor_cnt: u32,
    /// Usable memory in bytes, before anything was taken.
    pub memory_len: u64,
    /// Bytes that the image takes in memory, with its stacks.
    pub image_len: u64,
    /// The hypervisor's name for itself, padded with zeros; zeros without one.
    pub hypervisor: [u8; 12],
}

impl Facts {
    pub(crate) fn new(
        kind: MachineKind,
        protocol: Protocol,
        processor_cnt: u32,
        memory_len: u64,
        image: Range,
    ) -> Facts {
        let mut hypervisor = [0; 12];
        if cpu::cpuid(1).ecx & 1 << 31 != 0 {
            let leaf = cpu::cpuid(0x4000_0000);
            let words = [leaf.ebx, leaf.ecx, leaf.edx];
            for (bytes, word) in hypervisor.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *bytes = word.to_le_bytes();
            }
        }
        let image_len = image.len();
        Facts {
            kind,
            protocol,
            processor_cnt,
            memory_len,
            image_len,
            hypervisor,
        }
    }

    /// The hypervisor's name for itself, `none` without one.
    pub fn hypervisor(&self) -> &str {
        let len = self
            .hypervisor
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(12);
        match core::str::from_utf8(&self.hypervisor[..len]) {
            Ok("") | Err(_) => "none",
            Ok(name) => name,
        }
    }
}
