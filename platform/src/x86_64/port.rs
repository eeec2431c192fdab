//! Ports: the I/O address space.

use core::arch::asm;

/// One port of a device that the owner of this value drives.
#[derive(Clone, Copy)]
pub(crate) struct Port(u16);

impl Port {
    /// The port at `address`.
    ///
    /// # Safety
    ///
    /// No access to the port, of any value, may break memory safety.
    pub(crate) const unsafe fn new(address: u16) -> Self {
        Self(address)
    }

    /// Reads a byte.
    pub(crate) fn read8(self) -> u8 {
        let value: u8;
        // SAFETY: harmless by `Port::new`.
        unsafe { asm!("in al, dx", in("dx") self.0, out("al") value, options(nostack)) };
        value
    }

    /// Writes a byte.
    pub(crate) fn write8(self, value: u8) {
        // SAFETY: harmless by `Port::new`.
        unsafe { asm!("out dx, al", in("dx") self.0, in("al") value, options(nostack)) };
    }

    /// Writes 16 bits.
    pub(crate) fn write16(self, value: u16) {
        // SAFETY: harmless by `Port::new`.
        unsafe { asm!("out dx, ax", in("dx") self.0, in("ax") value, options(nostack)) };
    }

    /// Reads 32 bits.
    pub(crate) fn read32(self) -> u32 {
        let value: u32;
        // SAFETY: harmless by `Port::new`.
        unsafe { asm!("in eax, dx", in("dx") self.0, out("eax") value, options(nostack)) };
        value
    }

    /// Writes 32 bits.
    pub(crate) fn write32(self, value: u32) {
        // SAFETY: harmless by `Port::new`.
        unsafe { asm!("out dx, eax", in("dx") self.0, in("eax") value, options(nostack)) };
    }
}
