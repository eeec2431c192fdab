//! Discovery over MMIO (virtio 1.2 4.2): microvm, Firecracker and the like.
//!
//! Where the slots are is the platform's to know: from `virtio_mmio.device=` on the command line,
//! or from a scan. An empty slot is a register block whose device id is 0.

use core::ptr::NonNull;

use virtio_drivers::Hal;
use virtio_drivers::transport::SomeTransport;
use virtio_drivers::transport::mmio::MmioTransport;

use crate::registers::{Interrupt, Registers};
use crate::{Error, Found};

/// A place where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Physical address of the register block.
    pub base: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its interrupt line: a global system interrupt.
    pub gsi: u32,
}

/// The `nth` network device (from 0) of those in `slots`. Other devices are not touched.
///
/// `H::mmio_phys_to_virt` vouches for the addresses: slots and `Hal` come from one description of
/// the machine.
///
/// # Errors
/// `NoDevice`, or what the transport does not like about the slot.
pub fn find<H: Hal>(
    slots: impl IntoIterator<Item = Slot>,
    nth: usize,
) -> Result<Found<SomeTransport<'static>>, Error> {
    let mut devices = slots
        .into_iter()
        .filter(|slot| slot.base.is_multiple_of(4))
        .filter_map(|slot| {
            let byte_len = usize::try_from(slot.size).ok()?;
            (byte_len >= BLOCK_LEN).then_some((slot, byte_len))
        })
        .map(|(slot, byte_len)| {
            // SAFETY: the platform says that there is a register block, see above.
            let base = unsafe { H::mmio_phys_to_virt(slot.base, byte_len) };
            (slot, byte_len, base)
        })
        .filter(|(_, _, base)| is_network_device(*base));
    let (slot, byte_len, base) = devices.nth(nth).ok_or(Error::NoDevice)?;
    // SAFETY: a register block of that length, which the platform keeps mapped.
    let transport = unsafe { MmioTransport::new(base.cast(), byte_len) }?;
    // SAFETY: as above; BLOCK_LEN covers the registers.
    let registers = unsafe { Registers::mmio(base) };
    Ok(Found {
        transport: transport.into(),
        registers,
        interrupt: Interrupt::Line(slot.gsi),
    })
}

/// Looks without touching: making a transport and dropping it would reset the device.
fn is_network_device(base: NonNull<u8>) -> bool {
    let read = |at: usize| {
        // SAFETY: within the block, as `find` has checked its length.
        let register = unsafe { base.add(at) }.cast::<u32>();
        // SAFETY: a mapped register, 4-aligned.
        u32::from_le(unsafe { register.read_volatile() })
    };
    read(MAGIC_VALUE) == MAGIC && read(DEVICE_ID) == NETWORK
}

// virtio 1.2 4.2.2, in bytes from the start of the register block.
const MAGIC_VALUE: usize = 0;
const DEVICE_ID: usize = 8;
/// Registers, then the configuration up to the station address and the status.
const BLOCK_LEN: usize = 0x108;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
/// The device id of a network device (virtio 1.2 5).
const NETWORK: u32 = 1;
