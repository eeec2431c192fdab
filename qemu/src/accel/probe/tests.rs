//! The probe's layout; that it runs is checked under QEMU by the case `probe` of `cargo run --
//! test`.

use super::{CODE_OFFSET, GDT_OFFSET, GDTR_OFFSET, LOAD_ADDR, NOTE_LEN, NOTE_OFFSET, elf};

fn word(elf: &[u8], at: usize) -> u32 {
    elf[at..]
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
        .expect("inside")
}

#[test]
fn every_part_is_where_the_headers_say() {
    let elf = elf();
    assert_eq!(&elf[NOTE_OFFSET + 12..NOTE_OFFSET + 16], b"Xen\0");
    assert_eq!(word(&elf, NOTE_OFFSET + 16), LOAD_ADDR + CODE_OFFSET as u32);
    assert_eq!(NOTE_OFFSET + NOTE_LEN, NOTE_OFFSET + 20);
    assert_eq!(GDT_OFFSET % 8, 0);
    assert_eq!(word(&elf, GDTR_OFFSET + 2), LOAD_ADDR + GDT_OFFSET as u32);
    assert_eq!(word(&elf, 64 + 0x20), elf.len() as u32);
    assert_eq!(elf[CODE_OFFSET], 0xc7);
}
