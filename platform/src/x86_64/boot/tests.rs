use super::*;
use std::vec;
use std::vec::Vec;

/// Memory with bytes at one place.
struct Fake {
    start: u64,
    bytes: Vec<u8>,
}

impl Physical for Fake {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let offset = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.bytes
            .get(offset..offset.checked_add(usize::try_from(len).ok()?)?)
    }
}

impl Fake {
    fn new(start: u64, len: usize) -> Self {
        Fake {
            start,
            bytes: vec![0; len],
        }
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let offset = (address - self.start) as usize;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

const MAP: [(u64, u64, u32); 6] = [
    (0, 0x9_fc00, 1),
    (0xf_0000, 0x1_0000, 2),
    (0x10_0000, 0x3f0_0000, 1),
    (0x3ff_0000, 0x1_0000, 3),
    (0xfffc_0000, 0x4_0000, 2),
    (0, 0, 0),
];

const IMAGE: Range = Range {
    start: 0x20_0000,
    end: 0x2b_3000,
};

fn map_bytes() -> Vec<u8> {
    let entries = MAP.iter().flat_map(|(start, len, kind)| {
        let words = [*start, *len, u64::from(*kind)];
        words.into_iter().flat_map(u64::to_le_bytes)
    });
    entries.collect()
}

/// A start_info at 0x1000, its map at 0x1100, module list at 0x1300, command line at 0x1400.
fn pvh() -> Fake {
    let mut fake = Fake::new(0x1000, 0x3000);
    let halves = [0x336e_c578u32, 1, 0, 1];
    fake.put(0x1000, &halves.map(u32::to_le_bytes).concat());
    let words = [0x1300u64, 0x1400, 0xf_59e0, 0x1100, MAP.len() as u64];
    fake.put(0x1010, &words.map(u64::to_le_bytes).concat());
    fake.put(0x1100, &map_bytes());
    fake.put(
        0x1300,
        &[0x300_0000u64, 0x12_3456].map(u64::to_le_bytes).concat(),
    );
    fake.put(0x1400, b"ip=dhcp log=debug\0junk");
    fake
}

fn tag(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut tag = [kind.to_le_bytes(), (8 + body.len() as u32).to_le_bytes()].concat();
    tag.extend_from_slice(body);
    tag.resize(tag.len().next_multiple_of(8), 0xee);
    tag
}

fn multiboot2() -> Fake {
    let mut map = [24u32, 0].map(u32::to_le_bytes).concat();
    map.extend_from_slice(&map_bytes());
    let module = [0x300_0000u32, 0x312_3456].map(u32::to_le_bytes).concat();
    let tags = [
        tag(2, b"GRUB 2.06\0"),
        tag(1, b"ip=dhcp log=debug\0"),
        tag(3, &[&module[..], b"site.tar\0"].concat()),
        tag(3, &[0u8; 9]),
        tag(6, &map),
        tag(15, b"RSD PTR 2"),
        tag(14, b"RSD PTR 1"),
        tag(0, b""),
    ]
    .concat();
    let mut fake = Fake::new(0x1000, 8 + tags.len());
    fake.put(0x1000, &(8 + tags.len() as u32).to_le_bytes());
    fake.put(0x1008, &tags);
    fake
}

fn error(fake: &Fake, protocol: u64) -> BootError {
    BootInfo::read(fake, protocol, 0x1000).err().unwrap()
}

#[test]
fn both_protocols_tell_the_same() {
    for (fake, number, protocol) in [
        (pvh(), 1, Protocol::Pvh),
        (multiboot2(), 2, Protocol::Multiboot2),
    ] {
        let info = BootInfo::read(&fake, number, 0x1000).unwrap();
        assert_eq!(info.protocol, protocol);
        assert_eq!(info.command_line, b"ip=dhcp log=debug");
        assert_eq!(
            info.initrd,
            Some(Range {
                start: 0x300_0000,
                end: 0x312_3456
            })
        );
        assert_eq!(
            info.regions.as_slice().len(),
            MAP.len() - 1,
            "the empty entry is skipped"
        );
        assert_eq!(info.regions.as_slice()[3].kind, RegionKind::Acpi);
        let carve = info.free(IMAGE, u64::MAX).unwrap();
        let free = [
            (0x10_0000, 0x20_0000),
            (0x2b_3000, 0x300_0000),
            (0x312_4000, 0x3ff_0000),
        ];
        assert_eq!(
            carve.ranges(),
            free.map(|(start, end)| Range { start, end })
        );
    }
    assert_eq!(
        BootInfo::read(&pvh(), 1, 0x1000).unwrap().rsdp,
        Some(0xf_59e0)
    );
    let fake = multiboot2();
    let rsdp = BootInfo::read(&fake, 2, 0x1000).unwrap().rsdp.unwrap();
    assert_eq!(fake.bytes(rsdp, 9).unwrap(), b"RSD PTR 2");
}

#[test]
fn what_the_loader_holds_is_not_free() {
    let mut fake = pvh();
    let mut info = BootInfo::read(&fake, 1, 0x1000).unwrap();
    info.held = Range {
        start: 0x280_0ff8,
        end: 0x280_1010,
    };
    let carve = info.free(IMAGE, 0x310_0000).err();
    assert_eq!(
        carve,
        Some(BootError::BadInitrd),
        "the initrd passes the limit"
    );
    let carve = info.free(IMAGE, 0x320_0000).unwrap();
    let hole = Range {
        start: 0x280_0000,
        end: 0x280_2000,
    };
    assert!(carve.ranges().iter().all(|free| !free.overlaps(&hole)));
    // An initrd in the image, in reserved memory, beyond memory, in the first MiB.
    for start in [0x20_0000u64, 0x2b_2fff, 0x3f0_0000, 0xff00_0000, 0x1000] {
        fake.put(0x1300, &start.to_le_bytes());
        let info = BootInfo::read(&fake, 1, 0x1000).unwrap();
        assert_eq!(
            info.free(IMAGE, u64::MAX).err(),
            Some(BootError::BadInitrd),
            "{start:#x}"
        );
    }
    fake.put(0x1300, &[u64::MAX, 2].map(u64::to_le_bytes).concat());
    assert_eq!(error(&fake, 1), BootError::BadInitrd);
    fake.put(0x1300, &[0x300_0000u64, 0].map(u64::to_le_bytes).concat());
    assert_eq!(BootInfo::read(&fake, 1, 0x1000).unwrap().initrd, None);
}

#[test]
fn mistakes_of_pvh() {
    assert_eq!(error(&pvh(), 0), BootError::UnknownProtocol);
    let wrong = |address: u64, bytes: &[u8]| {
        let mut fake = pvh();
        fake.put(address, bytes);
        error(&fake, 1)
    };
    assert_eq!(wrong(0x1000, &[0]), BootError::BadMagic);
    assert_eq!(wrong(0x1004, &[0]), BootError::NoMemoryMap);
    assert_eq!(wrong(0x1030, &[0]), BootError::NoMemoryMap);
    assert_eq!(wrong(0x1030, &[0xff; 4]), BootError::Truncated);
    assert_eq!(wrong(0x1028, &[0xff; 8]), BootError::Truncated);
    assert_eq!(wrong(0x1010, &[0xff; 8]), BootError::Truncated);
    assert_eq!(
        wrong(0x1010, &[0xf9, 0x3f, 0, 0, 0, 0, 0, 0]),
        BootError::Truncated
    );
    assert_eq!(wrong(0x1018, &[0xff; 8]), BootError::Truncated);
    assert_eq!(
        wrong(0x1400, &[b'x'; 0x2000]),
        BootError::CommandLineTooLong
    );
    assert_eq!(
        BootInfo::read(&pvh(), 1, u64::MAX - 3).err(),
        Some(BootError::Truncated)
    );
}

#[test]
fn a_map_with_too_many_regions() {
    let mut fake = Fake::new(0x1000, 0x8000);
    fake.put(0x1000, &pvh().bytes);
    fake.put(0x1028, &0x4000u64.to_le_bytes());
    for (entry_cnt, is_fine) in [(REGIONS_MAX as u32, true), (REGIONS_MAX as u32 + 1, false)] {
        fake.put(0x1030, &entry_cnt.to_le_bytes());
        for entry_idx in 0..u64::from(entry_cnt) {
            let words = [entry_idx << 24, 1 << 20, 1].map(u64::to_le_bytes);
            fake.put(0x4000 + entry_idx * 24, &words.concat());
        }
        let read = BootInfo::read(&fake, 1, 0x1000).err();
        assert_eq!(read, (!is_fine).then_some(BootError::TooManyRegions));
    }
}

/// Whatever is cut off or overwritten, reading ends, in an answer or an error.
#[test]
fn no_bytes_panic() {
    for (whole, number) in [(pvh(), 1), (multiboot2(), 2)] {
        let used_len = whole.bytes.len().min(0x420);
        for len in 0..used_len {
            let cut = Fake {
                start: 0x1000,
                bytes: whole.bytes[..len].to_vec(),
            };
            let _ = BootInfo::read(&cut, number, 0x1000);
            for value in [0, 1, 7, 0x7f, 0xff] {
                let mut changed = Fake {
                    start: 0x1000,
                    bytes: whole.bytes.clone(),
                };
                changed.bytes[len] = value;
                if let Ok(info) = BootInfo::read(&changed, number, 0x1000) {
                    let _ = info.free(IMAGE, 1 << 36);
                }
            }
        }
    }
}

#[test]
fn mistakes_of_multiboot2() {
    let without_end = |kind: u32, len: u32| {
        let mut fake = Fake::new(0x1000, 24);
        fake.put(
            0x1000,
            &[24u32, 0, kind, len].map(u32::to_le_bytes).concat(),
        );
        error(&fake, 2)
    };
    assert_eq!(without_end(1, 16), BootError::Truncated, "no end tag");
    assert_eq!(
        without_end(1, 0),
        BootError::Truncated,
        "a tag that would not advance"
    );
    assert_eq!(without_end(1, 7), BootError::Truncated);
    assert_eq!(
        without_end(1, 17),
        BootError::Truncated,
        "beyond the information"
    );
    assert_eq!(without_end(0, 8), BootError::NoMemoryMap);
    assert_eq!(without_end(3, 12), BootError::Truncated, "half a module");
    let mut fake = multiboot2();
    fake.put(0x1000, &u32::MAX.to_le_bytes());
    assert_eq!(error(&fake, 2), BootError::BadMagic);
}
