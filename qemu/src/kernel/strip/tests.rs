//! Stripping our own test binary, and files that are none.

use super::{E_PHOFF, strip};
use std::fs;

fn own() -> Vec<u8> {
    fs::read(std::env::current_exe().expect("we run")).expect("we are readable")
}

#[test]
fn segments_stay_and_sections_go() {
    let whole = own();
    let stripped = strip(&whole).expect("an ordinary ELF");
    assert!(stripped.len() < whole.len());
    assert_eq!(stripped[..0x28], whole[..0x28]);
    assert_eq!(stripped[64..], whole[64..stripped.len()]);
    assert_eq!(stripped[0x28..0x30], [0; 8]);
    assert_eq!(strip(&stripped).expect("still an ELF"), stripped);
}

#[test]
fn what_is_no_elf_or_a_broken_one_is_refused() {
    let whole = own();
    assert!(strip(b"").is_err());
    assert!(strip(b"\x7fELF\x01\x01").is_err());
    for len in [6, 40, 63, 64, 100] {
        assert!(strip(&whole[..len]).is_err(), "cut to {len}");
    }
    let mut lost = whole;
    lost[E_PHOFF..E_PHOFF + 8].fill(0xff);
    assert!(strip(&lost).is_err());
}
