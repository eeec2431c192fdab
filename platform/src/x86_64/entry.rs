//! From the entry stub to the image's `main`.

use super::boot::{BootError, BootInfo, Physical};
use super::machine::{Facts, Machine, MachineKind};
use super::record::BootRecord;
use super::{acpi, clock, console as serial, descriptors, entropy, exceptions, exit, free};
use super::{irq, logger, mmio, paging, pci};
use crate::command_line::{CommandLine, CommandLineError, ConsoleAt};
use crate::console;
use crate::memory::{OutOfMemory, Range};
use core::fmt;

/// Why the machine cannot run the image.
enum EntryError {
    Boot(BootError),
    CommandLine(CommandLineError<'static>),
    Memory(OutOfMemory),
    Interrupts(irq::IrqError),
    Clock(clock::ClockError),
    Entropy(entropy::EntropyError),
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::Boot(error) => error.fmt(f),
            EntryError::CommandLine(error) => error.fmt(f),
            EntryError::Memory(error) => error.fmt(f),
            EntryError::Interrupts(error) => error.fmt(f),
            EntryError::Clock(error) => error.fmt(f),
            EntryError::Entropy(error) => error.fmt(f),
        }
    }
}

/// Runs the image: checks the machine, calls `main`, ends the machine with its code.
///
/// Called once, by the entry stub, which alone has a record.
pub fn enter(record: &'static BootRecord, main: fn(Machine) -> exit::ExitCode) -> ! {
    descriptors::install(record);
    exceptions::install(record);
    match machine(record) {
        Ok(machine) => exit::exit(main(machine)),
        Err(error) => {
            console!("simoom: cannot start: {error}");
            exit::fail(exit::ExitCode::BOOT_FAILED)
        }
    }
}

fn machine(record: &'static BootRecord) -> Result<Machine, EntryError> {
    let physical = Identity;
    let info = match BootInfo::read(&physical, record.protocol, record.info) {
        Ok(info) => info,
        Err(error) => {
            serial::open(CommandLine::default().console);
            return Err(EntryError::Boot(error));
        }
    };
    // A line with a mistake in it still may say where to report that; the second read does.
    let early = CommandLine::parse(info.command_line).unwrap_or_default();
    serial::open(early.console);
    exit::set_on_panic(early.panic);
    logger::open(
        early.log,
        matches!(early.console, ConsoleAt::Serial { port_idx: 1, .. }),
    );

    let free = info
        .free(record.image(), paging::MEMORY_END)
        .map_err(EntryError::Boot)?;
    let usable_len = info.regions.usable(paging::MEMORY_END).free_len();
    let mut memory = free::install(free);
    let text = memory.take_slice(info.command_line.len(), |byte_idx| {
        info.command_line[byte_idx]
    });
    let command_line =
        CommandLine::parse(text.map_err(EntryError::Memory)?).map_err(EntryError::CommandLine)?;

    let tables = acpi::Tables::read(&physical, info.rsdp);
    paging::install(record, &info).map_err(EntryError::Memory)?;
    irq::install(record, &tables).map_err(EntryError::Interrupts)?;
    clock::install(record.entered_tsc, command_line.tsc_khz).map_err(EntryError::Clock)?;
    let pci = pci::Config::find(&tables);
    let kind = MachineKind::of(pci.as_ref());
    let slots = mmio::Slots::find(&command_line, pci.is_some());
    let entropy = entropy::Entropy::gather(pci, &slots, command_line.is_entropy_weak)
        .map_err(EntryError::Entropy)?;
    Ok(Machine {
        initrd: info.initrd.map(|initrd| {
            // SAFETY: in mapped memory, apart from everything else (`BootInfo::free`).
            unsafe { core::slice::from_raw_parts(initrd.start as *const u8, initrd.len() as usize) }
        }),
        facts: Facts::new(
            kind,
            info.protocol,
            tables.processor_cnt,
            usable_len,
            record.image(),
        ),
        command_line,
        memory,
        clock: clock::Clock::new(),
        entropy,
        pci,
        mmio_slots: slots,
    })
}

/// Memory below 4 GiB, which entry.s mapped at its own address. Address 0 is none in Rust.
struct Identity;

impl Physical for Identity {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let range = Range::new(start, len)?;
        if start == 0 || range.end > 1 << 32 {
            return None;
        }
        // SAFETY: mapped; read before anything is taken from the free memory, or in regions that
        // are never free (the loader's, ACPI's).
        Some(unsafe { core::slice::from_raw_parts(start as *const u8, usize::try_from(len).ok()?) })
    }
}
