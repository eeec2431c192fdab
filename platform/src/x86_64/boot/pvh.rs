//! PVH: `hvm_start_info` of Xen's `start_info.h`, version 1.
//!
//! ```text
//!   0 magic  4 version  8 flags  12 modules  16 module list  24 command line  32 RSDP
//!   40 memory map  48 its entries              module: address, length, command line, reserved
//! ```

use super::{BootError, BootInfo, Physical, Protocol, Range, Regions, text};

pub(super) fn read(physical: &impl Physical, address: u64) -> Result<BootInfo<'_>, BootError> {
    let held = Range::new(address, START_INFO_LEN).ok_or(BootError::Truncated)?;
    let u32_at = |offset| {
        physical
            .u32_at(held.start + offset)
            .ok_or(BootError::Truncated)
    };
    let u64_at = |offset| {
        physical
            .u64_at(held.start + offset)
            .ok_or(BootError::Truncated)
    };
    if u32_at(0)? != MAGIC {
        return Err(BootError::BadMagic);
    }
    if u32_at(4)? < 1 {
        return Err(BootError::NoMemoryMap);
    }
    let command_line = match u64_at(24)? {
        0 => &[],
        address => text(physical, address)?,
    };
    let initrd = match u32_at(12)? {
        0 => None,
        _ => {
            let module = u64_at(16)?;
            let start = physical.u64_at(module).ok_or(BootError::Truncated)?;
            let len_at = module.checked_add(8).ok_or(BootError::Truncated)?;
            let len = physical.u64_at(len_at).ok_or(BootError::Truncated)?;
            Some(Range::new(start, len).ok_or(BootError::BadInitrd)?)
        }
    };
    Ok(BootInfo {
        protocol: Protocol::Pvh,
        regions: memory_map(physical, u64_at(40)?, u32_at(48)?)?,
        command_line,
        initrd: initrd.filter(|initrd| !initrd.is_empty()),
        rsdp: Some(u64_at(32)?).filter(|rsdp| *rsdp != 0),
        held,
    })
}

fn memory_map(physical: &impl Physical, start: u64, entry_cnt: u32) -> Result<Regions, BootError> {
    let len = u64::from(entry_cnt) * ENTRY_LEN as u64;
    let bytes = physical.bytes(start, len).ok_or(BootError::Truncated)?;
    let mut regions = Regions::new();
    for entry in bytes.as_chunks::<ENTRY_LEN>().0 {
        let [start, len, kind_and_reserved] = words(entry);
        regions.push(start, len, kind_and_reserved as u32)?;
    }
    Ok(regions)
}

/// The three 64-bit numbers of a memory map entry; PVH's and multiboot2's are alike.
pub(super) fn words(entry: &[u8; ENTRY_LEN]) -> [u64; 3] {
    let (words, _) = entry.as_chunks::<8>();
    core::array::from_fn(|word_idx| u64::from_le_bytes(words[word_idx]))
}

const MAGIC: u32 = 0x336e_c578;
const START_INFO_LEN: u64 = 56;
pub(super) const ENTRY_LEN: usize = 24;
