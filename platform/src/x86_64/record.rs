//! What an image tells of itself when it is entered.

use crate::memory::Range;

/// What the entry stub and the linker know; `simoom_boot` in `asm/entry.s`.
#[repr(C)]
pub struct BootRecord {
    pub(crate) protocol: u64,
    pub(crate) info: u64,
    pub(crate) entered_tsc: u64,
    pub(crate) text_start: u64,
    pub(crate) rodata_start: u64,
    pub(crate) data_start: u64,
    pub(crate) image_end: u64,
    pub(crate) page_tables: u64,
    pub(crate) vectors: u64,
    pub(crate) interrupt_counts: u64,
    pub(crate) interrupt_stack_top: u64,
    pub(crate) exception_stack_top: u64,
    pub(crate) stack_top: u64,
    pub(crate) guards: [u64; 3],
}

impl BootRecord {
    /// Where the image lies, with its stacks.
    pub(crate) fn image(&self) -> Range {
        Range {
            start: self.text_start,
            end: self.image_end,
        }
    }
}
