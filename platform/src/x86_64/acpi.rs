//! ACPI's static tables: where the I/O APICs and PCI's memory-mapped configuration space are.
//!
//! ```text
//!   RSDP ─ XSDT (or RSDT) ─┬─ MADT "APIC": interrupt controllers   (ACPI 6.5, 5.2.12)
//!                          └─ MCFG: configuration space            (PCI Firmware 3.3, 4.1.2)
//! ```
//!
//! Tables that lie out of bounds or whose sum is wrong count as absent: a machine without ACPI is
//! a machine with the PC's usual devices.

#[cfg(test)]
mod tests;

use super::boot::Physical;

/// I/O APICs that are kept: a PC has one or two.
pub const IO_APICS_MAX: usize = 8;

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Address of its registers.
    pub base: u32,
    /// The global system interrupt of its first line.
    pub gsi_start: u32,
}

/// Memory-mapped configuration space of PCI segment 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcamPlace {
    /// Where bus 0 would be.
    pub base: u64,
    /// First bus that it reaches.
    pub bus_start: u8,
    /// Last bus that it reaches.
    pub bus_end: u8,
}

/// What the tables say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Whether there are any.
    pub is_present: bool,
    /// Processors that could run.
    pub processor_cnt: u32,
    /// The I/O APICs, in order.
    pub io_apics: [Option<IoApic>; IO_APICS_MAX],
    /// PCI's configuration space in memory.
    pub ecam: Option<EcamPlace>,
}

impl Tables {
    /// Reads the tables from the root pointer that the loader told, or else from where the BIOS
    /// keeps it (ACPI 6.5, 5.2.5.1).
    pub fn read(physical: &impl Physical, rsdp: Option<u64>) -> Tables {
        let mut tables = Tables::default();
        let rsdp = rsdp.or_else(|| search(physical));
        // Nothing of this decides more than convenience, so what is missing is left out.
        let _ = rsdp.and_then(|rsdp| tables.read_root(physical, rsdp));
        tables
    }

    fn read_root(&mut self, physical: &impl Physical, rsdp: u64) -> Option<()> {
        let pointer = physical.bytes(rsdp, RSDP_1_LEN)?;
        if !pointer.starts_with(RSDP_SIGNATURE) || !sums_to_zero(pointer) {
            return None;
        }
        self.is_present = true;
        let wide = physical
            .bytes(rsdp, RSDP_2_LEN)
            .filter(|wide| wide[15] >= 2);
        let xsdt =
            wide.map(|wide| u64::from_le_bytes(*wide[24..].first_chunk().unwrap_or(&[0; 8])));
        let rsdt = u64::from(physical.u32_at(rsdp + 16)?);
        let (root, width) = match xsdt.filter(|xsdt| *xsdt != 0) {
            Some(xsdt) => (table(physical, xsdt, b"XSDT")?, 8),
            None => (table(physical, rsdt, b"RSDT")?, 4),
        };
        for entry in root.chunks_exact(width) {
            let mut address = [0; 8];
            address[..width].copy_from_slice(entry);
            let address = u64::from_le_bytes(address);
            if let Some(madt) = table(physical, address, b"APIC") {
                self.read_madt(madt);
            } else if let Some(mcfg) = table(physical, address, b"MCFG") {
                self.read_mcfg(mcfg);
            }
        }
        Some(())
    }

    /// After eight bytes (local APIC address, flags): structures of a type and a length.
    fn read_madt(&mut self, madt: &[u8]) {
        let mut rest = madt.get(8..).unwrap_or_default();
        while let [kind, len, ..] = rest {
            // A length below two would not advance.
            let Some((structure, behind)) = rest.split_at_checked(usize::from(*len).max(2)) else {
                return;
            };
            match (kind, structure) {
                (0, [_, _, _, _, flags, ..]) if flags & 3 != 0 => self.processor_cnt += 1,
                (1, [_, _, _, _, b0, b1, b2, b3, g0, g1, g2, g3, ..]) => {
                    let io_apic = IoApic {
                        base: u32::from_le_bytes([*b0, *b1, *b2, *b3]),
                        gsi_start: u32::from_le_bytes([*g0, *g1, *g2, *g3]),
                    };
                    let free = self.io_apics.iter_mut().find(|slot| slot.is_none());
                    free.into_iter().for_each(|slot| *slot = Some(io_apic));
                }
                _ => {}
            }
            rest = behind;
        }
    }

    /// After eight reserved bytes: entries of base, segment, first and last bus.
    fn read_mcfg(&mut self, mcfg: &[u8]) {
        let entries = mcfg.get(8..).unwrap_or_default().as_chunks::<16>().0;
        for [
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            b6,
            b7,
            s0,
            s1,
            bus_start,
            bus_end,
            ..,
        ] in entries
        {
            if (*s0, *s1) == (0, 0) && self.ecam.is_none() {
                let base = u64::from_le_bytes([*b0, *b1, *b2, *b3, *b4, *b5, *b6, *b7]);
                self.ecam = Some(EcamPlace {
                    base,
                    bus_start: *bus_start,
                    bus_end: *bus_end,
                });
            }
        }
    }
}

/// The body of the table at `address`, when it is the one with `signature` and sums to zero.
fn table<'a>(physical: &'a impl Physical, address: u64, signature: &[u8; 4]) -> Option<&'a [u8]> {
    let header = physical.bytes(address, HEADER_LEN as u64)?;
    let len = u32::from_le_bytes(*header[4..].first_chunk()?);
    if !header.starts_with(signature) || len > TABLE_LEN_MAX {
        return None;
    }
    let table = physical.bytes(address, u64::from(len))?;
    if sums_to_zero(table) {
        table.get(HEADER_LEN..)
    } else {
        None
    }
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// The root pointer in the BIOS's read-only memory, on a 16-byte boundary.
fn search(physical: &impl Physical) -> Option<u64> {
    let bios = physical.bytes(BIOS_START, BIOS_LEN)?;
    let candidates = bios
        .chunks_exact(16)
        .position(|line| line.starts_with(RSDP_SIGNATURE))?;
    Some(BIOS_START + candidates as u64 * 16)
}

const RSDP_SIGNATURE: &[u8] = b"RSD PTR ";
const RSDP_1_LEN: u64 = 20;
const RSDP_2_LEN: u64 = 36;
const HEADER_LEN: usize = 36;
/// The tables read here have some hundred bytes; a server's MADT some KiB.
const TABLE_LEN_MAX: u32 = 1 << 16;
const BIOS_START: u64 = 0xe_0000;
const BIOS_LEN: u64 = 0x2_0000;
