use std::vec;
use std::vec::Vec;

use virtio_drivers::transport::pci::VirtioPciError;

use super::*;
use crate::tests::host::HostHal;

/// Configuration spaces of a few functions; everything else is absent.
struct FakeBus {
    functions: Vec<(DeviceFunction, [u32; 64])>,
}

impl ConfigurationAccess for FakeBus {
    fn read_word(&self, function: DeviceFunction, at: u8) -> u32 {
        let found = self.functions.iter().find(|(other, _)| *other == function);
        found.map_or(u32::MAX, |(_, words)| words[usize::from(at / 4)])
    }

    fn write_word(&mut self, function: DeviceFunction, at: u8, word: u32) {
        let mut functions = self.functions.iter_mut();
        let (_, words) = functions.find(|(other, _)| *other == function).unwrap();
        words[usize::from(at / 4)] = match at {
            // Six 32-bit memory BARs of 4 KiB.
            0x10..0x28 => word & !0xfff,
            // Command; the status stays.
            0x04 => words[1] & 0xffff_0000 | word & 0xffff,
            _ => word,
        };
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self {
            functions: self.functions.clone(),
        }
    }
}

fn at(bus: u8, device: u8, function: u8) -> DeviceFunction {
    DeviceFunction {
        bus,
        device,
        function,
    }
}

const NETWORK: u32 = 0x1041_1af4;
const TRANSITIONAL: u32 = 0x1000_1af4;
const BLOCK: u32 = 0x1042_1af4;
const LIST: u32 = 1 << 20;

fn function(id: u32) -> [u32; 64] {
    let mut words = [0; 64];
    words[0] = id;
    words
}

fn bridge(secondary: u32) -> [u32; 64] {
    let mut words = function(0x1234_8086);
    words[3] = 1 << 16;
    words[6] = secondary << 8;
    words
}

/// A virtio function with the four structures in BAR 4 and MSI-X in BAR 1; `bar` is BAR 4's.
fn virtio(bar: u32) -> [u32; 64] {
    let mut words = function(NETWORK);
    words[1] = LIST;
    words[0x34 / 4] = 0x40;
    let mut cap = |at: usize, words_of_it: &[u32]| {
        words[at / 4..at / 4 + words_of_it.len()].copy_from_slice(words_of_it);
    };
    cap(0x40, &[0x0110_5009, 4, 0x000, 56]);
    cap(0x50, &[0x0214_6409, 4, 0x100, 16, 4]);
    cap(0x64, &[0x0310_7409, 4, 0x200, 4]);
    cap(0x74, &[0x0410_8409, 4, 0x300, 64]);
    cap(0x84, &[0x0002_0011, 0x801, 0xc01]);
    words[0x10 / 4 + 4] = bar;
    words
}

fn find_in(functions: Vec<(DeviceFunction, [u32; 64])>) -> Result<(), Error> {
    find::<HostHal, _>(FakeBus { functions }, 0, None).map(|_| ())
}

#[test]
fn nth_network_function_is_found_behind_bridges_in_any_loop() {
    let functions = vec![
        (at(0, 1, 0), function(BLOCK)),
        (at(0, 2, 0), function(TRANSITIONAL)),
        (at(0, 3, 0), bridge(5)),
        (at(0, 4, 0), bridge(0)),
        (at(5, 0, 0), function(NETWORK)),
        (at(5, 1, 0), bridge(5)),
        (at(5, 31, 7), function(NETWORK)),
        (at(9, 0, 0), function(NETWORK)),
    ];
    let access = RefCell::new(FakeBus { functions });
    let bus = Bus::new(&access);
    let found: Vec<_> = (0..4).map(|nth| bus.locate(nth)).collect();
    let expected = [
        Some(at(0, 2, 0)),
        Some(at(5, 0, 0)),
        Some(at(5, 31, 7)),
        None,
    ];
    assert_eq!(found, expected);
}

#[test]
fn empty_bus_has_no_device() {
    assert_eq!(find_in(vec![]), Err(Error::NoDevice));
}

#[test]
fn capabilities_are_read() {
    let words = virtio(0);
    let found = Capabilities::read(|at| words[usize::from(at / 4)]).unwrap();
    let region = |bar, offset, byte_len| Region {
        bar,
        offset,
        byte_len,
    };
    assert_eq!(found.common, region(4, 0, 56));
    assert_eq!(found.notify, region(4, 0x100, 16));
    assert_eq!(found.notify_off_multiplier, 4);
    assert_eq!(found.isr, region(4, 0x200, 4));
    let msix = found.msix.unwrap();
    assert_eq!(msix.control_at, 0x84);
    assert_eq!(msix.first_entry, region(1, 0x800, 16));
}

#[test]
fn unassigned_bar_is_a_clear_error() {
    let error = find_in(vec![(at(0, 1, 0), virtio(0))]).unwrap_err();
    assert_eq!(error, Error::BarUnassigned { bar: 4 });
}

#[test]
fn legacy_function_lacks_the_structures() {
    let mut words = virtio(0);
    words[1] = 0;
    let error = find_in(vec![(at(0, 1, 0), words)]).unwrap_err();
    assert_eq!(error, Error::Pci(VirtioPciError::MissingCommonConfig));
}

#[test]
fn structures_that_fit_nowhere_are_refused() {
    let cases: [(usize, u32); 7] = [
        // A BAR that does not exist, for each structure and for MSI-X.
        (0x44, 6),
        (0x54, 255),
        (0x78, 60),
        (0x88, 7),
        // An offset that wraps, one past the BAR, one that is not aligned.
        (0x48, u32::MAX),
        (0x48, 0x1000),
        (0x48, 2),
    ];
    for (word_at, word) in cases {
        let mut words = virtio(0x10_0000);
        words[word_at / 4] = word;
        let error = find_in(vec![(at(0, 1, 0), words)]).unwrap_err();
        assert_eq!(error, Error::BadCapabilities, "{word:#x} at {word_at:#x}");
    }
}

#[test]
fn capability_list_that_does_not_end_is_refused() {
    for next in [0x40u32, 0x64, 0x04, 0x3c, 0x41] {
        let mut words = virtio(0x10_0000);
        words[0x74 / 4] = 0x0410_0009 | next << 8;
        let error = find_in(vec![(at(0, 1, 0), words)]).unwrap_err();
        assert_eq!(error, Error::BadCapabilities, "next {next:#x}");
    }
}

#[test]
fn capability_at_the_very_end_is_refused() {
    for end in [0xf8u32, 0xfc] {
        let mut words = virtio(0x10_0000);
        words[0x34 / 4] = end;
        words[end as usize / 4] = 0x0110_0009;
        let error = find_in(vec![(at(0, 1, 0), words)]).unwrap_err();
        assert_eq!(error, Error::BadCapabilities, "at {end:#x}");
    }
}

#[test]
fn msix_entry_is_written_and_unmasked() {
    let mut entry = [u32::MAX; 4];
    let msi = Msi {
        address: 0x1_fee0_0000,
        data: 0x31,
    };
    // SAFETY: four words, as the entry has.
    unsafe { msix::write_entry(NonNull::from(&mut entry).cast(), msi) };
    assert_eq!(entry, [0xfee0_0000, 1, 0x31, 0]);
    assert_eq!(msix::enabled(0x4002_0011), 0x8002_0011);
}
