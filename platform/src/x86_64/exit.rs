//! The ways out of a machine.
//!
//! An exit code goes to QEMU's `isa-debug-exit` at port 0xf4, whose process then ends with
//! `code * 2 + 1`. Elsewhere the port does not exist, and the machine powers off or stops.

use super::console;
use super::cpu;
use super::port::Port;
use super::{clock, descriptors};
use crate::command_line::OnPanic;
use core::sync::atomic::{AtomicU64, Ordering};

/// What the image leaves behind. QEMU's exit status is twice the code plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// All was well; QEMU ends with status 33.
    pub const SUCCESS: ExitCode = ExitCode(0x10);
    /// The image gave up; QEMU ends with status 35.
    pub const FAILURE: ExitCode = ExitCode(0x11);
    /// A panic or a fatal exception; QEMU ends with status 37.
    pub const PANIC: ExitCode = ExitCode(0x12);
    /// The machine is not fit to run the image; QEMU ends with status 39.
    pub const BOOT_FAILED: ExitCode = ExitCode(0x13);
}

/// What to do after a failure: [`OnPanic`] packed into a word.
static ON_PANIC: AtomicU64 = AtomicU64::new(EXIT);
const EXIT: u64 = u64::MAX;
const HALT: u64 = u64::MAX - 1;

// SAFETY: QEMU's exit device, or no device: reaches no memory.
const DEBUG_EXIT: Port = unsafe { Port::new(0xf4) };
// SAFETY: the keyboard controller's command port: can reset the machine, reaches no memory.
const KEYBOARD: Port = unsafe { Port::new(0x64) };
// SAFETY: the chip set's reset control: can reset the machine, reaches no memory.
const RESET_CONTROL: Port = unsafe { Port::new(0xcf9) };
// SAFETY: the ACPI power management control of QEMU's pc and q35: can power off, no more.
const POWER_CONTROL: Port = unsafe { Port::new(0x604) };

/// Remembers what the command line says about panics.
pub(crate) fn set_on_panic(then: OnPanic) {
    let word = match then {
        OnPanic::Exit => EXIT,
        OnPanic::Halt => HALT,
        OnPanic::Reboot { delay_s } => u64::from(delay_s),
    };
    ON_PANIC.store(word, Ordering::Relaxed);
}

/// Ends the machine with a code; where nothing takes the code, powers off, or stops.
pub fn exit(code: ExitCode) -> ! {
    console::drain();
    DEBUG_EXIT.write8(code.0);
    POWER_CONTROL.write16(0x2000);
    cpu::halt()
}

/// Ends the machine after a failure was reported, as `panic=` says.
pub(crate) fn fail(code: ExitCode) -> ! {
    match ON_PANIC.load(Ordering::Relaxed) {
        EXIT => {
            console::drain();
            DEBUG_EXIT.write8(code.0);
            cpu::halt()
        }
        HALT => cpu::halt(),
        delay_s => {
            console::drain();
            let until_us = clock::now_us().saturating_add(delay_s.saturating_mul(1_000_000));
            // The clock stands still at 0 until it is calibrated: do not wait for it then.
            while clock::is_calibrated() && clock::now_us() < until_us {
                core::hint::spin_loop();
            }
            reboot()
        }
    }
}

/// Resets the machine: keyboard controller, chip set, and last a fault that cannot be delivered.
fn reboot() -> ! {
    KEYBOARD.write8(0xfe);
    RESET_CONTROL.write8(0x06);
    descriptors::triple_fault()
}
