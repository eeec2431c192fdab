use super::*;
use std::vec;
use std::vec::Vec;

struct Fake(Vec<u8>);

impl Physical for Fake {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        self.0
            .get(usize::try_from(start).ok()?..usize::try_from(start.checked_add(len)?).ok()?)
    }
}

fn seal(mut table: Vec<u8>, sum_at: usize) -> Vec<u8> {
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[sum_at] = table[sum_at].wrapping_sub(sum);
    table
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = signature.to_vec();
    table.extend_from_slice(&(36 + body.len() as u32).to_le_bytes());
    table.resize(36, 0);
    table.extend_from_slice(body);
    seal(table, 9)
}

/// RSDP at 0x100, root at 0x200, MADT at 0x300, MCFG at 0x400.
fn fake(revision: u8) -> Fake {
    let mut memory = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);
    let mut madt = vec![0; 8];
    madt.extend_from_slice(&[0, 8, 0, 0, 1, 0, 0, 0]);
    madt.extend_from_slice(&[0, 8, 1, 1, 0, 0, 0, 0]);
    madt.extend_from_slice(&[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    madt.extend_from_slice(&[2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    madt.extend_from_slice(&[1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0]);
    put(0x300, &table(b"APIC", &madt));
    let mut mcfg = vec![0; 8];
    mcfg.extend_from_slice(&0xb000_0000u64.to_le_bytes());
    mcfg.extend_from_slice(&[0, 0, 0, 255, 0, 0, 0, 0]);
    put(0x400, &table(b"MCFG", &mcfg));
    let mut pointer = b"RSD PTR \0SIMOOM".to_vec();
    pointer.push(revision);
    pointer.extend_from_slice(&0x200u32.to_le_bytes());
    let mut pointer = seal(pointer, 8);
    if revision >= 2 {
        put(
            0x200,
            &table(b"XSDT", &[0x300u64, 0x400].map(u64::to_le_bytes).concat()),
        );
        pointer.extend_from_slice(&36u32.to_le_bytes());
        pointer.extend_from_slice(&0x200u64.to_le_bytes());
    } else {
        put(
            0x200,
            &table(b"RSDT", &[0x300u32, 0x400].map(u32::to_le_bytes).concat()),
        );
    }
    put(0x100, &pointer);
    Fake(memory)
}

#[test]
fn controllers_and_configuration_space() {
    for revision in [0, 2] {
        let tables = Tables::read(&fake(revision), Some(0x100));
        assert!(tables.is_present);
        assert_eq!(tables.processor_cnt, 1);
        let second = IoApic {
            base: 0xfec1_0000,
            gsi_start: 24,
        };
        assert_eq!(
            tables.io_apics[0],
            Some(IoApic {
                base: 0xfec0_0000,
                gsi_start: 0
            })
        );
        assert_eq!(tables.io_apics[1..3], [Some(second), None]);
        let ecam = EcamPlace {
            base: 0xb000_0000,
            bus_start: 0,
            bus_end: 255,
        };
        assert_eq!(tables.ecam, Some(ecam));
    }
}

#[test]
fn the_root_pointer_is_found_where_a_bios_keeps_it() {
    let mut memory = vec![0; 1 << 20];
    let small = fake(0).0;
    memory[..0x1000].copy_from_slice(&small);
    assert_eq!(Tables::read(&Fake(memory.clone()), None), Tables::default());
    memory[0xf_5ab0..0xf_5ac4].copy_from_slice(&small[0x100..0x114]);
    assert_eq!(
        Tables::read(&Fake(memory), None),
        Tables::read(&fake(0), Some(0x100))
    );
}

/// A table with a wrong byte is left out; nothing panics or loops, whatever the byte.
#[test]
fn wrong_bytes_leave_tables_out() {
    for revision in [0, 2] {
        let whole = fake(revision);
        for at in 0x100..0x480 {
            for change in [1u8, 0x80, 0xff] {
                let mut memory = whole.0.clone();
                memory[at] ^= change;
                let tables = Tables::read(&Fake(memory), Some(0x100));
                if (0x300..0x350).contains(&at) {
                    assert_eq!(tables.io_apics, [None; IO_APICS_MAX], "{at:#x}");
                }
            }
            let cut = Fake(whole.0[..at].to_vec());
            let _ = Tables::read(&cut, Some(0x100));
        }
    }
    for start in [0, u64::MAX, u64::MAX - 19, 0xff0] {
        assert!(!Tables::read(&fake(0), Some(start)).is_present);
    }
}

/// Structures of length 0 and 1, and one that passes the end.
#[test]
fn structures_that_would_not_advance() {
    let mut tables = Tables::default();
    for len in 0..=255 {
        let mut madt = [[0; 8], [9, len, 0, 0, 1, 0, 0, 0]].concat();
        madt.resize(64, len);
        tables.read_madt(&madt);
    }
    tables.read_madt(&[]);
    tables.read_mcfg(&[0; 20]);
    assert_eq!(tables.ecam, None);
}
