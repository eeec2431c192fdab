//! Bare metal on x86-64: a virtual machine or a PC, entered by PVH or multiboot2.
//!
//! ```text
//!   asm/entry.s   32-bit entry, first page tables, long mode
//!   record        what the image tells of itself
//!   entry         checks and orders everything below, then calls the image's main
//!   boot          what the loader says: memory map, command line, initrd
//!   paging        who may read, write, execute what; holes below the stacks
//!   exceptions    a report with registers and a backtrace, then out
//!   acpi          interrupt controllers, PCI's memory-mapped configuration space
//!   irq           local APIC, I/O APIC, vectors
//!   clock         the TSC, calibrated; sleeping until a time or an interrupt
//!   rtc           the date
//!   entropy       RDRAND, or a virtio entropy device
//!   pci, mmio     where devices are; hal: memory for them, out of what is free
//!   net, run      the network device, a stack over it, and the loop that drives it
//!   uart, console the first serial port; logger: defmt on the second
//!   selftest      what the machine gives, checked; failures on purpose
//!   exit          the ways out
//! ```
//!
//! One processor runs; others stay as the loader left them. Interrupts are enabled only while the
//! processor sleeps in [`Machine::idle`].

pub mod acpi;
pub mod boot;
pub mod clock;
pub mod console;
mod cpu;
mod descriptors;
pub mod entropy;
mod entry;
mod exceptions;
mod exit;
mod free;
pub mod hal;
mod image;
pub mod irq;
#[doc(hidden)]
pub mod logger;
mod machine;
pub mod mmio;
pub mod net;
mod paging;
pub mod pci;
mod port;
mod record;
pub mod rtc;
pub mod run;
pub mod selftest;
pub mod uart;

#[doc(hidden)]
pub use entry::enter;
#[doc(hidden)]
pub use exceptions::panicked;
pub use exit::{ExitCode, exit};
pub use machine::{Facts, Machine, MachineKind};
#[doc(hidden)]
pub use record::BootRecord;

#[doc(inline)]
pub use crate::console;
