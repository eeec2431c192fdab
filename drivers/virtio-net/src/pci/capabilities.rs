//! The capabilities of a virtio PCI function (virtio 1.2 4.1.4), checked once.

use virtio_drivers::transport::pci::bus::PCI_CAP_ID_VNDR;
use virtio_drivers::transport::pci::{
    VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG,
    VIRTIO_PCI_CAP_NOTIFY_CFG, VirtioPciError,
};

use super::msix;
use crate::Error;
use crate::config::PCI_CAPABILITIES_MAX;

/// A structure within a BAR; `offset + byte_len` fits a `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) bar: u8,
    pub(super) offset: u32,
    pub(super) byte_len: u32,
}

/// Where MSI-X is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MsixTable {
    /// The word of configuration space with the enable bit.
    pub(super) control_at: u8,
    pub(super) first_entry: Region,
}

/// What the driver needs of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) common: Region,
    pub(super) notify: Region,
    pub(super) notify_off_multiplier: u32,
    pub(super) isr: Region,
    pub(super) msix: Option<MsixTable>,
}

impl Capabilities {
    /// Walks the list, by reading words of configuration space. Of several structures of one kind,
    /// the first counts, as the transport has it.
    ///
    /// # Errors
    /// `BadCapabilities` for a list that does not end or a structure that fits nowhere; `Pci` when
    /// one is missing: the function is legacy only.
    pub(super) fn read(read_word: impl Fn(u8) -> u32) -> Result<Self, Error> {
        let (mut common, mut notify, mut isr, mut device, mut msix) =
            (None, None, None, None, None);
        let mut multiplier = 0;
        let has_list = read_word(STATUS_COMMAND) & STATUS_CAPABILITIES_LIST != 0;
        let mut at = if has_list {
            (read_word(CAPABILITIES_POINTER) & 0xfc) as u8
        } else {
            0
        };
        for _ in 0..PCI_CAPABILITIES_MAX {
            if at == 0 {
                return Ok(Self {
                    common: common.ok_or(VirtioPciError::MissingCommonConfig)?,
                    notify: notify.ok_or(VirtioPciError::MissingNotifyConfig)?,
                    notify_off_multiplier: multiplier,
                    isr: isr.ok_or(VirtioPciError::MissingIsrConfig)?,
                    msix,
                });
            }
            let [id, next, cap_len, cfg_type] = read_word(at).to_le_bytes();
            if id == PCI_CAP_ID_VNDR && cap_len >= 16 {
                match cfg_type {
                    VIRTIO_PCI_CAP_COMMON_CFG => first(&mut common, at, &read_word)?,
                    VIRTIO_PCI_CAP_NOTIFY_CFG if cap_len >= 20 && notify.is_none() => {
                        first(&mut notify, at, &read_word)?;
                        multiplier = read_word(word_at(at, 16)?);
                    }
                    VIRTIO_PCI_CAP_ISR_CFG => first(&mut isr, at, &read_word)?,
                    // Not used here; checked for the transport, which maps it.
                    VIRTIO_PCI_CAP_DEVICE_CFG => first(&mut device, at, &read_word)?,
                    _ => {}
                }
            } else if id == msix::CAPABILITY_ID && msix.is_none() {
                msix = Some(msix_table(at, read_word(word_at(at, 4)?))?);
            }
            if next != 0 && (next < FIRST_CAPABILITY || next & 3 != 0) {
                return Err(Error::BadCapabilities);
            }
            at = next;
        }
        Err(Error::BadCapabilities)
    }
}

/// Reads `virtio_pci_cap` at `at`, unless there is one of that kind already.
fn first(found: &mut Option<Region>, at: u8, read_word: &impl Fn(u8) -> u32) -> Result<(), Error> {
    if found.is_some() {
        return Ok(());
    }
    let region = Region {
        bar: read_word(word_at(at, 4)?) as u8,
        offset: read_word(word_at(at, 8)?),
        byte_len: read_word(word_at(at, 12)?),
    };
    *found = Some(checked(region)?);
    Ok(())
}

/// The MSI-X table by the word behind its capability's header: offset and BAR.
fn msix_table(at: u8, table: u32) -> Result<MsixTable, Error> {
    let first_entry = Region {
        bar: (table & 7) as u8,
        offset: table & !7,
        byte_len: msix::ENTRY_LEN,
    };
    Ok(MsixTable {
        control_at: at,
        first_entry: checked(first_entry)?,
    })
}

fn checked(region: Region) -> Result<Region, Error> {
    let end = region.offset.checked_add(region.byte_len);
    if region.bar >= BARS || end.is_none() {
        return Err(Error::BadCapabilities);
    }
    Ok(region)
}

/// `at + offset`, if that is a word of configuration space.
fn word_at(at: u8, offset: u8) -> Result<u8, Error> {
    at.checked_add(offset).ok_or(Error::BadCapabilities)
}

// Registers of the configuration space, in bytes, and their bits.
const STATUS_COMMAND: u8 = 0x04;
const STATUS_CAPABILITIES_LIST: u32 = 1 << 20;
const CAPABILITIES_POINTER: u8 = 0x34;
/// Capabilities lie behind the header.
const FIRST_CAPABILITY: u8 = 0x40;
/// Base address registers of a function.
const BARS: u8 = 6;
