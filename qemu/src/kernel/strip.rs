//! Strips an ELF executable for booting.
//!
//! A boot loader reads the ELF header, the program headers and the segments; sections, symbols and
//! debug information lie behind them. So the stripped file is a prefix of the whole one, up to the
//! end of the last segment, with the three section fields of the header zeroed. The build-id, the
//! Xen note and the multiboot2 header are inside segments and stay.

use anyhow::{Context, Result, bail};

/// Offsets in `Elf64_Ehdr`.
const E_PHOFF: usize = 0x20;
const E_SHOFF: usize = 0x28;
const E_PHENTSIZE: usize = 0x36;
const E_PHNUM: usize = 0x38;
const E_SHNUM: usize = 0x3c;
const E_SHSTRNDX: usize = 0x3e;
/// Length of `Elf64_Ehdr`, bytes.
const EHDR_LEN: usize = 64;
/// Offsets in `Elf64_Phdr`.
const P_OFFSET: usize = 0x08;
const P_FILESZ: usize = 0x20;
/// Length of `Elf64_Phdr`, bytes.
const PHDR_LEN: usize = 56;

/// The part of `elf` that is loaded.
///
/// # Errors
/// Not a little-endian ELF64 file, or one whose headers lead out of it.
pub(super) fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        bail!("not a 64-bit little-endian ELF file");
    }
    let broken = "ELF headers lead out of the file";
    let phoff = usize::try_from(read_u64(elf, E_PHOFF).context(broken)?)?;
    let phnum = usize::from(read_u16(elf, E_PHNUM).context(broken)?);
    if usize::from(read_u16(elf, E_PHENTSIZE).context(broken)?) != PHDR_LEN || phnum == 0 {
        bail!("no ELF program headers");
    }
    let mut end = phoff
        .checked_add(phnum * PHDR_LEN)
        .context(broken)?
        .max(EHDR_LEN);
    for idx in 0..phnum {
        let at = phoff.checked_add(idx * PHDR_LEN).context(broken)?;
        let offset = read_u64(elf, at.saturating_add(P_OFFSET)).context(broken)?;
        let filesz = read_u64(elf, at.saturating_add(P_FILESZ)).context(broken)?;
        let segment_end = offset.checked_add(filesz).context(broken)?;
        end = end.max(usize::try_from(segment_end)?);
    }
    let mut stripped = elf.get(..end).context(broken)?.to_vec();
    stripped[E_SHOFF..E_SHOFF + 8].fill(0);
    stripped[E_SHNUM..E_SHNUM + 2].fill(0);
    stripped[E_SHSTRNDX..E_SHSTRNDX + 2].fill(0);
    Ok(stripped)
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests;
