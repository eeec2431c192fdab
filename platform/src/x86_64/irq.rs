//! Interrupts: the local APIC, I/O APICs, vectors.
//!
//! An interrupt means "poll me" and nothing else: its stub counts it and acknowledges it. They are
//! taken only while the processor sleeps ([`Machine::idle`](super::Machine::idle)); one that comes
//! earlier stays pending in the local APIC and ends the next sleep at once.
//!
//! A driver asks for a vector with [`msi`] (and writes the answer into the device's MSI-X table),
//! or connects a line with [`route`]. Lines are programmed edge triggered, so that one that
//! nobody acknowledges cannot storm: the driver must acknowledge the device before it looks at
//! its ring, or the line never falls and never rises again.

use super::acpi::{IO_APICS_MAX, IoApic, Tables};
use super::cpu::{self, Registers};
use super::paging;
use super::port::Port;
use super::record::BootRecord;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Where a device writes, and what, to interrupt us: an entry of an MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// Address to write to; its upper half is 0.
    pub address: u64,
    /// What to write.
    pub data: u32,
    /// The vector that it raises, for [`count`].
    pub vector: u8,
}

/// Why an interrupt cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IrqError {
    /// The processor has no local APIC at the usual address.
    NoLocalApic,
    /// All vectors are given out.
    NoVector,
    /// No I/O APIC has this line.
    NoSuchLine,
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IrqError::NoLocalApic => "the processor has no local APIC at 0xfee00000",
            IrqError::NoVector => "all interrupt vectors are in use",
            IrqError::NoSuchLine => "no I/O APIC has this interrupt line",
        })
    }
}

impl core::error::Error for IrqError {}

// SAFETY: below 4 GiB, so mapped; the local APIC's registers reach no memory.
pub(crate) const LOCAL_APIC: Registers = unsafe { Registers::new(LOCAL_APIC_BASE) };

static COUNTS: spin::Once<&'static [AtomicU64; 256]> = spin::Once::new();
static NEXT_VECTOR: AtomicU8 = AtomicU8::new(VECTOR_FIRST);
static IO_APICS: spin::Mutex<[Option<Lines>; IO_APICS_MAX]> =
    spin::Mutex::new([None; IO_APICS_MAX]);

/// An I/O APIC that answers, and the lines it has.
#[derive(Clone, Copy)]
struct Lines {
    registers: Registers,
    gsi_start: u32,
    line_cnt: u32,
}

/// Silences the old controllers and starts the local APIC.
pub(crate) fn install(record: &'static BootRecord, tables: &Tables) -> Result<(), IrqError> {
    // SAFETY: 256 zeroed counters in the image's data (asm/vectors.s), which the stubs change
    // only while the processor sleeps.
    COUNTS.call_once(|| unsafe { &*(record.interrupt_counts as *const [AtomicU64; 256]) });
    for address in [0x21, 0xa1] {
        // SAFETY: the mask register of an 8259 interrupt controller reaches no memory.
        let mask = unsafe { Port::new(address) };
        mask.write8(0xff);
    }
    enable_local_apic()?;
    LOCAL_APIC.write(TASK_PRIORITY, 0);
    LOCAL_APIC.write(SPURIOUS, ENABLED | u32::from(SPURIOUS_VECTOR));
    for entry in [LVT_TIMER, LVT_LINT0, LVT_LINT1, LVT_ERROR] {
        LOCAL_APIC.write(entry, MASKED);
    }
    find_io_apics(tables);
    Ok(())
}

/// Makes sure that the local APIC listens at its usual address (Intel SDM 3, 11.4.3 and 11.12).
fn enable_local_apic() -> Result<(), IrqError> {
    if cpu::cpuid(1).edx & 1 << 9 == 0 {
        return Err(IrqError::NoLocalApic);
    }
    // SAFETY: a processor with a local APIC has this register.
    let base = unsafe { cpu::rdmsr(APIC_BASE) };
    if base & ADDRESS_MASK != LOCAL_APIC_BASE {
        return Err(IrqError::NoLocalApic);
    }
    if base & BASE_X2APIC != 0 {
        // The firmware left it in x2APIC mode, from which the way back leads through "off".
        // SAFETY: the register exists; no interrupt is expected yet.
        unsafe { cpu::wrmsr(APIC_BASE, base & !(BASE_X2APIC | BASE_ENABLED)) };
    }
    // SAFETY: the register exists, the address stays.
    unsafe { cpu::wrmsr(APIC_BASE, (base & !BASE_X2APIC) | BASE_ENABLED) };
    Ok(())
}

fn find_io_apics(tables: &Tables) {
    let usual = [Some(IoApic {
        base: IO_APIC_BASE,
        gsi_start: 0,
    })];
    let told = &tables.io_apics[..];
    let places = if told.iter().any(Option::is_some) {
        told
    } else {
        &usual
    };
    let mut io_apics = IO_APICS.lock();
    for (slot, place) in io_apics.iter_mut().zip(places.iter().flatten()) {
        if paging::map(u64::from(place.base), IO_APIC_LEN).is_err() {
            continue;
        }
        // SAFETY: mapped just now; an I/O APIC's registers reach no memory.
        let registers = unsafe { Registers::new(u64::from(place.base)) };
        registers.write(IO_SELECT, IO_VERSION);
        let version = registers.read(IO_WINDOW);
        // All ones: nothing answers there.
        if version != u32::MAX {
            let line_cnt = (version >> 16 & 0xff) + 1;
            let lines = Lines {
                registers,
                gsi_start: place.gsi_start,
                line_cnt,
            };
            (0..line_cnt).for_each(|line| lines.write(line, u64::from(MASKED)));
            *slot = Some(lines);
        }
    }
}

impl Lines {
    fn write(&self, line: u32, entry: u64) {
        let register = IO_ENTRIES + 2 * line;
        self.registers.write(IO_SELECT, register + 1);
        self.registers.write(IO_WINDOW, (entry >> 32) as u32);
        self.registers.write(IO_SELECT, register);
        self.registers.write(IO_WINDOW, entry as u32);
    }
}

/// A vector of its own, for a device that sends its interrupts as messages.
///
/// # Errors
///
/// [`IrqError::NoVector`] after about 160 of them.
pub fn msi() -> Result<Msi, IrqError> {
    let vector = take_vector()?;
    let address = LOCAL_APIC_BASE | u64::from(local_apic_id()) << 12;
    Ok(Msi {
        address,
        data: u32::from(vector),
        vector,
    })
}

/// Connects an interrupt line, a global system interrupt, to a vector, which it gives back.
///
/// # Errors
///
/// [`IrqError::NoSuchLine`] and [`IrqError::NoVector`].
pub fn route(gsi: u32) -> Result<u8, IrqError> {
    let io_apics = IO_APICS.lock();
    let (lines, line) = find_line(&io_apics[..], gsi).ok_or(IrqError::NoSuchLine)?;
    let vector = take_vector()?;
    // Fixed delivery, physical destination, active high, edge: all zeros.
    lines.write(line, u64::from(local_apic_id()) << 56 | u64::from(vector));
    Ok(vector)
}

/// Whether an I/O APIC has the line.
pub fn has_line(gsi: u32) -> bool {
    find_line(&IO_APICS.lock()[..], gsi).is_some()
}

/// Interrupts taken on `vector` so far.
pub fn count(vector: u8) -> u64 {
    COUNTS.get().map_or(0, |counts| {
        counts[usize::from(vector)].load(Ordering::Relaxed)
    })
}

/// Interrupts taken on vectors that nobody asked for, spurious ones included.
pub fn unexpected() -> u64 {
    let given = VECTOR_FIRST..NEXT_VECTOR.load(Ordering::Relaxed);
    let strange = (32..=255).filter(|vector| *vector != TIMER_VECTOR && !given.contains(vector));
    strange.map(count).sum()
}

fn find_line(io_apics: &[Option<Lines>], gsi: u32) -> Option<(Lines, u32)> {
    io_apics.iter().flatten().find_map(|lines| {
        let line = gsi.checked_sub(lines.gsi_start)?;
        (line < lines.line_cnt).then_some((*lines, line))
    })
}

fn take_vector() -> Result<u8, IrqError> {
    let vector = NEXT_VECTOR.load(Ordering::Relaxed);
    if vector >= VECTOR_END {
        return Err(IrqError::NoVector);
    }
    NEXT_VECTOR.store(vector + 1, Ordering::Relaxed);
    Ok(vector)
}

fn local_apic_id() -> u8 {
    (LOCAL_APIC.read(ID) >> 24) as u8
}

/// The vector of the local APIC's timer.
pub(crate) const TIMER_VECTOR: u8 = 0x40;
const VECTOR_FIRST: u8 = 0x50;
const VECTOR_END: u8 = 0xf0;
const SPURIOUS_VECTOR: u8 = 0xff;

const APIC_BASE: u32 = 0x1b;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLED: u64 = 1 << 11;
const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;
/// `asm/vectors.s` knows it as well.
const LOCAL_APIC_BASE: u64 = 0xfee0_0000;
const IO_APIC_BASE: u32 = 0xfec0_0000;
const IO_APIC_LEN: u64 = 0x20;

// Registers of the local APIC, Intel SDM 3, table 11-1.
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const SPURIOUS: u32 = 0xf0;
pub(crate) const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const ENABLED: u32 = 1 << 8;
pub(crate) const MASKED: u32 = 1 << 16;

// Registers of an I/O APIC, Intel 82093AA 3.1 and 3.2.
const IO_SELECT: u32 = 0;
const IO_WINDOW: u32 = 0x10;
const IO_VERSION: u32 = 1;
const IO_ENTRIES: u32 = 0x10;
