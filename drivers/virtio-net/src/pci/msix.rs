//! MSI-X (PCI 3.0 6.8.2): one message for everything that the function has to say.

use core::ptr::NonNull;

/// What the device writes, and where, to interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// Physical address of the write: the local APIC.
    pub address: u64,
    /// The value: the vector.
    pub data: u32,
}

/// Programs and unmasks one entry of the table.
///
/// # Safety
/// `entry` points to `ENTRY_LEN` bytes of a function's MSI-X table, 4-aligned, that nobody else
/// uses.
pub(super) unsafe fn write_entry(entry: NonNull<u8>, msi: Msi) {
    let words = [
        // The low and the high half.
        msi.address as u32,
        (msi.address >> 32) as u32,
        msi.data,
        UNMASKED,
    ];
    for (word_idx, word) in words.into_iter().enumerate() {
        // SAFETY: within the entry.
        let register = unsafe { entry.cast::<u32>().add(word_idx) };
        // SAFETY: a mapped register, by the caller's word.
        unsafe { register.write_volatile(word.to_le()) };
    }
}

/// The capability's first word with MSI-X on and no mask over all vectors.
pub(super) fn enabled(control: u32) -> u32 {
    (control | ENABLE) & !FUNCTION_MASK
}

pub(super) const CAPABILITY_ID: u8 = 0x11;
/// Bytes of one entry.
pub(super) const ENTRY_LEN: u32 = 16;

const ENABLE: u32 = 1 << 31;
const FUNCTION_MASK: u32 = 1 << 30;
const UNMASKED: u32 = 0;
