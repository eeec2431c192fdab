//! One request to a virtio entropy device, at boot.

use super::super::clock;
use super::super::hal::MachineHal;
use super::super::{mmio, pci};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{Command, PciRoot};
use virtio_drivers::transport::pci::virtio_device_type;
use virtio_drivers::transport::{DeviceStatus, DeviceType, SomeTransport, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE};

/// Fills `bytes` from the first entropy device there is; false without one, or when it does not
/// answer within a second.
pub(super) fn fill(pci: Option<pci::Config>, slots: &mmio::Slots, bytes: &mut [u8]) -> bool {
    let Some(transport) = on_mmio(slots).or_else(|| on_pci(pci?)) else {
        return false;
    };
    request(transport, bytes).is_some()
}

fn on_mmio(slots: &mmio::Slots) -> Option<SomeTransport<'static>> {
    slots.iter().find_map(|slot| {
        let registers = mmio::map(slot.base, slot.size).ok()?;
        // SAFETY: registers of `slot.size` bytes, mapped just now; nobody else drives an entropy
        // device, and any other is let go untouched below.
        let transport = unsafe { MmioTransport::new(registers.cast(), slot.size as usize) }.ok()?;
        if transport.device_type() == DeviceType::EntropySource {
            return Some(SomeTransport::Mmio(transport));
        }
        // Dropping would reset the device.
        core::mem::forget(transport);
        None
    })
}

fn on_pci(config: pci::Config) -> Option<SomeTransport<'static>> {
    let mut root = PciRoot::new(config);
    let (device_function, _) = root
        .enumerate_bus(0)
        .find(|(_, info)| virtio_device_type(info) == Some(DeviceType::EntropySource))?;
    let (_, command) = root.get_status_command(device_function);
    root.set_command(
        device_function,
        command | Command::MEMORY_SPACE | Command::BUS_MASTER,
    );
    PciTransport::new::<MachineHal, _>(&mut root, device_function)
        .ok()
        .map(SomeTransport::Pci)
}

/// Initialises the device (virtio 1.2, 3.1.1), asks once, resets it by dropping the transport.
fn request(mut transport: SomeTransport<'static>, bytes: &mut [u8]) -> Option<()> {
    transport.set_status(DeviceStatus::empty());
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let features = transport.read_device_features() & VERSION_1;
    transport.write_driver_features(features);
    let status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
    transport.set_status(status);
    transport.set_guest_page_size(PAGE_SIZE as u32);
    let mut queue = VirtQueue::<MachineHal, 8>::new(&mut transport, 0, false, false).ok()?;
    transport.set_status(status | DeviceStatus::DRIVER_OK);

    // The device writes into a page of its own: after a time-out it may do so at any time.
    let (page_at, page) = MachineHal::dma_alloc(1, BufferDirection::DeviceToDriver);
    if page_at == 0 || bytes.len() > PAGE_SIZE {
        return None;
    }
    // SAFETY: a zeroed page that is ours.
    let answer = unsafe { core::slice::from_raw_parts_mut(page.as_ptr(), bytes.len()) };
    // SAFETY: `answer` is not touched until `pop_used`; on a time-out it is left alone for ever.
    let token = unsafe { queue.add(&[], &mut [answer]) }.ok()?;
    let deadline_us = clock::now_us() + TIMEOUT_US;
    let mut kick_at_us = 0;
    while !queue.can_pop() {
        let now_us = clock::now_us();
        if now_us >= deadline_us {
            // The queue's memory is the device's as well: leak it.
            core::mem::forget(queue);
            return None;
        }
        // A kick may get lost, and kicking again does no harm.
        if now_us >= kick_at_us {
            transport.notify(0);
            kick_at_us = now_us + KICK_EVERY_US;
        }
        core::hint::spin_loop();
    }
    // SAFETY: the same buffer as in `add`.
    let len = unsafe { queue.pop_used(token, &[], &mut [answer]) }.ok()?;
    // Reset before the rings go: then the device knows no memory of ours.
    drop(transport);
    let is_whole = len as usize >= bytes.len() && answer.iter().any(|byte| *byte != 0);
    if is_whole {
        bytes.copy_from_slice(answer);
    }
    // SAFETY: the page of `dma_alloc` above, which nobody uses any more.
    unsafe { MachineHal::dma_dealloc(page_at, page, 1) };
    is_whole.then_some(())
}

const VERSION_1: u64 = 1 << 32;
const TIMEOUT_US: u64 = 1_000_000;
const KICK_EVERY_US: u64 = 10_000;
