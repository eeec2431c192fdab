//! Instructions without a name in Rust.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _mm_lfence, _rdtsc, CpuidResult};

/// CPUID's answer for `leaf`, or zeros where the processor has no such leaf.
pub(crate) fn cpuid(leaf: u32) -> CpuidResult {
    let zeros = CpuidResult {
        eax: 0,
        ebx: 0,
        ecx: 0,
        edx: 0,
    };
    let top = __cpuid(leaf & 0xffff_0000).eax;
    // A range that does not exist answers like the highest basic leaf: no sane count of leaves.
    if top < leaf || top & 0xffff_0000 != leaf & 0xffff_0000 {
        return zeros;
    }
    __cpuid_count(leaf, 0)
}

/// The time stamp counter, not read before what precedes it.
pub(crate) fn tsc() -> u64 {
    // SAFETY: SSE2 is part of this target.
    unsafe { _mm_lfence() };
    // SAFETY: every x86-64 has RDTSC, and ring 0 may always use it.
    unsafe { _rdtsc() }
}

/// 64 bits of RDRAND, or nothing when it has none to give.
///
/// # Safety
///
/// CPUID must have announced RDRAND.
pub(crate) unsafe fn rdrand() -> Option<u64> {
    let (value, is_valid): (u64, u8);
    // SAFETY: the instruction exists (the caller) and changes registers only.
    unsafe {
        asm!(
            "rdrand {}", "setc {}",
            out(reg) value, out(reg_byte) is_valid,
            options(nomem, nostack),
        )
    };
    (is_valid == 1).then_some(value)
}

/// Reads a model-specific register.
///
/// # Safety
///
/// The register exists.
pub(crate) unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the register exists (the caller).
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
///
/// The register exists, and the value leaves memory as Rust believes it to be.
pub(crate) unsafe fn wrmsr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: as the caller promises.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack)) };
}

/// The address whose access faulted last.
pub(crate) fn cr2() -> u64 {
    let value;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack)) };
    value
}

/// The stack pointer, about here.
pub(crate) fn stack_pointer() -> u64 {
    let value;
    // SAFETY: reading RSP changes nothing.
    unsafe { asm!("mov {}, rsp", out(reg) value, options(nomem, nostack)) };
    value
}

/// Sleeps until an interrupt was taken. One that is already pending is taken at once: between
/// `sti` and `hlt` the processor takes none.
///
/// The block may use the stack (no `nostack`), so no red zone is live while interrupts are on.
pub(crate) fn sleep() {
    // SAFETY: the interrupt stubs keep every register and write only their counters.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Stops for good.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: nothing runs any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Registers of a device in memory, 32 bits each.
#[derive(Clone, Copy)]
pub(crate) struct Registers(u64);

impl Registers {
    /// The registers at `base`.
    ///
    /// # Safety
    ///
    /// They are mapped, and no access to one may break memory safety.
    pub(crate) const unsafe fn new(base: u64) -> Self {
        Self(base)
    }

    /// Reads the register `offset` bytes from the base.
    pub(crate) fn read(self, offset: u32) -> u32 {
        let register = (self.0 + u64::from(offset)) as *const u32;
        // SAFETY: mapped and harmless by `Registers::new`.
        unsafe { register.read_volatile() }
    }

    /// Writes the register `offset` bytes from the base.
    pub(crate) fn write(self, offset: u32, value: u32) {
        let register = (self.0 + u64::from(offset)) as *mut u32;
        // SAFETY: mapped and harmless by `Registers::new`.
        unsafe { register.write_volatile(value) };
    }
}
