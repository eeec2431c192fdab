//! What the loader says: memory map, command line, initrd, ACPI.
//!
//! Two protocols, one [`BootInfo`]. Everything is read through [`Physical`], which checks bounds,
//! so a table that lies gives an error, and tests need no machine.

mod multiboot2;
mod pvh;
#[cfg(test)]
mod tests;

use crate::memory::{Carve, Range};
use core::fmt;

/// Memory by physical address.
pub trait Physical {
    /// `len` bytes at `start`, or nothing when they cannot be read.
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]>;

    /// The little-endian 32-bit number at `address`.
    fn u32_at(&self, address: u64) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes(address, 4)?.first_chunk()?))
    }

    /// The little-endian 64-bit number at `address`.
    fn u64_at(&self, address: u64) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes(address, 8)?.first_chunk()?))
    }
}

/// The boot protocol that was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Xen's PVH: QEMU's `-kernel`, Firecracker, Cloud Hypervisor.
    Pvh,
    /// multiboot2: GRUB, from BIOS or UEFI.
    Multiboot2,
}

/// What a region of the memory map is for (ACPI 6.5, 15: the address range types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Ours.
    Usable,
    /// Memory with ACPI's tables, or that ACPI wants kept.
    Acpi,
    /// Anything else: devices, firmware, bad memory.
    Reserved,
}

/// A region of the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub range: Range,
    /// What it is for.
    pub kind: RegionKind,
}

/// Regions of a memory map that are kept. A PC's has about ten, a large server's about fifty.
pub const REGIONS_MAX: usize = 128;

/// The memory map.
#[derive(Clone, Copy)]
pub struct Regions {
    regions: [Region; REGIONS_MAX],
    region_cnt: usize,
}

impl Regions {
    const fn new() -> Self {
        let region = Region {
            range: Range { start: 0, end: 0 },
            kind: RegionKind::Reserved,
        };
        Self {
            regions: [region; REGIONS_MAX],
            region_cnt: 0,
        }
    }

    /// The regions, in the loader's order.
    pub fn as_slice(&self) -> &[Region] {
        &self.regions[..self.region_cnt]
    }

    /// Adds an entry of the map; one without length (microvm ends its map with one) is skipped.
    fn push(&mut self, start: u64, len: u64, kind: u32) -> Result<(), BootError> {
        if len == 0 {
            return Ok(());
        }
        // An entry up to the last address ends one byte early: nothing there is memory.
        let range = Range {
            start,
            end: start.saturating_add(len),
        };
        let kind = match kind {
            1 => RegionKind::Usable,
            3 | 4 => RegionKind::Acpi,
            _ => RegionKind::Reserved,
        };
        let slot = self
            .regions
            .get_mut(self.region_cnt)
            .ok_or(BootError::TooManyRegions)?;
        *slot = Region { range, kind };
        self.region_cnt += 1;
        Ok(())
    }

    /// Usable memory below `limit` that no other region claims.
    pub fn usable(&self, limit: u64) -> Carve {
        let mut carve = Carve::new();
        let of_kind = |is_usable| {
            let regions = self.as_slice().iter();
            regions.filter(move |region| (region.kind == RegionKind::Usable) == is_usable)
        };
        of_kind(true).for_each(|region| carve.add(region.range.below(limit)));
        of_kind(false).for_each(|region| carve.remove(region.range));
        carve
    }
}

/// What the loader told, checked.
pub struct BootInfo<'a> {
    /// The protocol spoken.
    pub protocol: Protocol,
    /// The memory map.
    pub regions: Regions,
    /// The command line, without its NUL; empty when there is none.
    pub command_line: &'a [u8],
    /// The first module.
    pub initrd: Option<Range>,
    /// Address of ACPI's root pointer, when told.
    pub rsdp: Option<u64>,
    /// Where the loader's own information lies.
    pub held: Range,
}

/// Why the loader's information cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootError {
    /// Neither PVH nor multiboot2 called.
    UnknownProtocol,
    /// The information does not start as its protocol says.
    BadMagic,
    /// A table lies outside of memory, or ends too early.
    Truncated,
    /// There is no memory map.
    NoMemoryMap,
    /// The memory map has more than [`REGIONS_MAX`] regions.
    TooManyRegions,
    /// The command line is longer than [`COMMAND_LINE_LEN_MAX`].
    CommandLineTooLong,
    /// The initrd is not in usable memory below the limit, or overlaps the image.
    BadInitrd,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BootError::UnknownProtocol => "started by neither PVH nor multiboot2",
            BootError::BadMagic => "the loader's information lacks its magic number",
            BootError::Truncated => "the loader's information is truncated",
            BootError::NoMemoryMap => "the loader gave no memory map",
            BootError::TooManyRegions => "the memory map has more than 128 regions",
            BootError::CommandLineTooLong => "the command line is longer than 4095 bytes",
            BootError::BadInitrd => "the initrd is not in memory that is free for it",
        })
    }
}

impl core::error::Error for BootError {}

/// Bytes of a command line, without its NUL.
pub const COMMAND_LINE_LEN_MAX: u64 = 4095;

impl<'a> BootInfo<'a> {
    /// Reads the information at `address` in the protocol that the entry stub numbered.
    ///
    /// # Errors
    ///
    /// The first thing that is not as the protocol says.
    pub fn read(
        physical: &'a impl Physical,
        protocol: u64,
        address: u64,
    ) -> Result<Self, BootError> {
        let info = match protocol {
            1 => pvh::read(physical, address)?,
            2 => multiboot2::read(physical, address)?,
            _ => return Err(BootError::UnknownProtocol),
        };
        if info.regions.as_slice().is_empty() {
            return Err(BootError::NoMemoryMap);
        }
        Ok(info)
    }

    /// The memory that nobody has: usable, below `limit`, neither the first MiB (firmware) nor the
    /// `image` nor anything of the loader's.
    ///
    /// # Errors
    ///
    /// [`BootError::BadInitrd`]: see there.
    pub fn free(&self, image: Range, limit: u64) -> Result<Carve, BootError> {
        let mut carve = self.regions.usable(limit);
        if let Some(initrd) = self.initrd {
            let is_in_memory = carve.ranges().iter().any(|usable| usable.contains(&initrd));
            if !is_in_memory || initrd.overlaps(&image) || initrd.start < FIRMWARE_END {
                return Err(BootError::BadInitrd);
            }
            carve.remove(initrd.align_out(PAGE_LEN));
        }
        carve.remove(Range {
            start: 0,
            end: FIRMWARE_END,
        });
        carve.remove(image.align_out(PAGE_LEN));
        carve.remove(self.held.align_out(PAGE_LEN));
        Ok(carve)
    }
}

/// The text at `address` up to its NUL.
fn text(physical: &impl Physical, address: u64) -> Result<&[u8], BootError> {
    let bytes = physical
        .bytes(address, COMMAND_LINE_LEN_MAX + 1)
        .ok_or(BootError::Truncated)?;
    let len = bytes
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(BootError::CommandLineTooLong)?;
    Ok(&bytes[..len])
}

const PAGE_LEN: u64 = 4096;
const FIRMWARE_END: u64 = 1 << 20;
