//! multiboot2 2.0, 3.6: a list of tags, each a type, a length, and padded to 8 bytes.

use super::pvh::{ENTRY_LEN, words};
use super::{BootError, BootInfo, COMMAND_LINE_LEN_MAX, Physical, Protocol, Range, Regions};

pub(super) fn read(physical: &impl Physical, address: u64) -> Result<BootInfo<'_>, BootError> {
    let len = physical.u32_at(address).ok_or(BootError::Truncated)?;
    if !(16..=INFO_LEN_MAX).contains(&len) {
        return Err(BootError::BadMagic);
    }
    let held = Range::new(address, u64::from(len)).ok_or(BootError::Truncated)?;
    let bytes = physical
        .bytes(address, u64::from(len))
        .ok_or(BootError::Truncated)?;
    let mut info = BootInfo {
        protocol: Protocol::Multiboot2,
        regions: Regions::new(),
        command_line: &[],
        initrd: None,
        rsdp: None,
        held,
    };
    let mut offset = 8;
    loop {
        let header = bytes.get(offset..).ok_or(BootError::Truncated)?;
        let (kind, rest) = number(header)?;
        let (tag_len, _) = number(rest)?;
        // Every tag has its 8 bytes of header, so the loop advances.
        let body = header
            .get(8..tag_len as usize)
            .ok_or(BootError::Truncated)?;
        if kind == END {
            return Ok(info);
        }
        read_tag(&mut info, kind, body, address + offset as u64 + 8)?;
        offset += (tag_len as usize).next_multiple_of(8);
    }
}

fn read_tag<'a>(
    info: &mut BootInfo<'a>,
    kind: u32,
    body: &'a [u8],
    address: u64,
) -> Result<(), BootError> {
    match kind {
        COMMAND_LINE => {
            let len = body
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(body.len());
            if len as u64 > COMMAND_LINE_LEN_MAX {
                return Err(BootError::CommandLineTooLong);
            }
            info.command_line = &body[..len];
        }
        MODULE if info.initrd.is_none() => {
            let (start, rest) = number(body)?;
            let (end, _) = number(rest)?;
            let initrd = Range {
                start: u64::from(start),
                end: u64::from(end),
            };
            info.initrd = Some(initrd).filter(|initrd| !initrd.is_empty());
        }
        MEMORY_MAP => {
            let (entry_len, rest) = number(body)?;
            let (_version, entries) = number(rest)?;
            if (entry_len as usize) < ENTRY_LEN {
                return Err(BootError::Truncated);
            }
            for entry in entries.chunks_exact(entry_len as usize) {
                let entry = entry.first_chunk().ok_or(BootError::Truncated)?;
                let [start, len, kind_and_reserved] = words(entry);
                info.regions.push(start, len, kind_and_reserved as u32)?;
            }
        }
        // A copy of the root pointer; version 2's is preferred, whichever comes first.
        ACPI_2 => info.rsdp = Some(address),
        ACPI_1 if info.rsdp.is_none() => info.rsdp = Some(address),
        _ => {}
    }
    Ok(())
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), BootError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(BootError::Truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// Loaders pass some KiB; the limit bounds the walk.
const INFO_LEN_MAX: u32 = 1 << 20;
const END: u32 = 0;
const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
const ACPI_1: u32 = 14;
const ACPI_2: u32 = 15;
