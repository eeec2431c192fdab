//! The few registers that the transports of virtio-drivers keep to themselves: the doorbell, whose
//! address is worth caching, the interrupt status, and the MSI-X vectors.

use core::ptr::NonNull;

use crate::Error;
use crate::config::REGISTER_READS_MAX;

/// How the device calls us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// A message, as programmed at discovery.
    Msix,
    /// A line: for an MMIO slot the number that it was found with, for PCI what firmware wrote to
    /// the function's Interrupt Line register. [`Queue::arm`](simoom_ring::Queue::arm) makes it
    /// fall before it looks once more, so that the next packet raises it: an edge is enough. An
    /// interrupt controller that triggers on the level must keep it from storming until then.
    Line(u32),
}

/// Registers beside the transport.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registers {
    /// Modern PCI (virtio 1.2 4.1.4).
    Pci(PciRegisters),
    /// MMIO, legacy or modern (virtio 1.2 4.2.2).
    Mmio(MmioRegisters),
}

/// The structures that a modern PCI function has in its BARs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PciRegisters {
    /// `virtio_pci_common_cfg`, 56 bytes at least.
    common: NonNull<u8>,
    notify: NonNull<u8>,
    notify_len: usize,
    notify_off_multiplier: u32,
    isr: NonNull<u8>,
    has_msix: bool,
}

/// The register block of an MMIO slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MmioRegisters {
    base: NonNull<u8>,
}

/// The register that kicks one queue: one store, no selecting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doorbell {
    /// `queue_notify` in the notification structure: 16 bits (virtio 1.2 4.1.5.2).
    Pci(NonNull<u16>, u16),
    /// QueueNotify: 32 bits (virtio 1.2 4.2.2).
    Mmio(NonNull<u32>, u16),
}

/// The register that makes an interrupt line go back; nothing for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LineAck {
    /// There is no line.
    None,
    /// Reading the ISR status acknowledges (virtio 1.2 4.1.4.5).
    Pci(NonNull<u8>),
    /// InterruptStatus is read, and written back to InterruptACK.
    Mmio(NonNull<u32>, NonNull<u32>),
}

impl Registers {
    /// # Safety
    /// All pointers are to the device's registers, mapped for the life of the program: `common` to
    /// 56 bytes (4-aligned), `notify` to `notify_len` (2-aligned), `isr` to one.
    pub(crate) unsafe fn pci(
        common: NonNull<u8>,
        notify: (NonNull<u8>, usize),
        notify_off_multiplier: u32,
        isr: NonNull<u8>,
        has_msix: bool,
    ) -> Self {
        Self::Pci(PciRegisters {
            common,
            notify: notify.0,
            notify_len: notify.1,
            notify_off_multiplier,
            isr,
            has_msix,
        })
    }

    /// # Safety
    /// `base` points to a virtio MMIO register block (256 bytes, 4-aligned), mapped for the life of
    /// the program.
    pub(crate) unsafe fn mmio(base: NonNull<u8>) -> Self {
        Self::Mmio(MmioRegisters { base })
    }

    /// The doorbell of queue `queue`.
    ///
    /// # Errors
    /// `BadCapabilities` when it lies outside of the notification structure.
    pub(crate) fn doorbell(&self, queue: u16) -> Result<Doorbell, Error> {
        match self {
            Self::Pci(pci) => {
                pci.write_common(QUEUE_SELECT, queue);
                let offset = u64::from(pci.read_common(QUEUE_NOTIFY_OFF))
                    * u64::from(pci.notify_off_multiplier);
                let offset = usize::try_from(offset).map_err(|_| Error::BadCapabilities)?;
                let end = offset.checked_add(2).ok_or(Error::BadCapabilities)?;
                if end > pci.notify_len || !offset.is_multiple_of(2) {
                    return Err(Error::BadCapabilities);
                }
                // SAFETY: offset + 2 <= notify_len, see `Registers::pci`.
                let register = unsafe { pci.notify.add(offset) };
                Ok(Doorbell::Pci(register.cast(), queue))
            }
            Self::Mmio(mmio) => Ok(Doorbell::Mmio(mmio.register(QUEUE_NOTIFY), queue)),
        }
    }

    /// What acknowledges the line, if there is one.
    pub(crate) fn line_ack(&self) -> LineAck {
        match self {
            Self::Pci(pci) if pci.has_msix => LineAck::None,
            Self::Pci(pci) => LineAck::Pci(pci.isr),
            Self::Mmio(mmio) => LineAck::Mmio(
                mmio.register(INTERRUPT_STATUS),
                mmio.register(INTERRUPT_ACK),
            ),
        }
    }

    /// Gives configuration changes vector 0, before the queues are set up.
    ///
    /// # Errors
    /// `NoVector` when the device does not take it.
    pub(crate) fn set_config_vector(&self) -> Result<(), Error> {
        match self {
            Self::Pci(pci) if pci.has_msix => pci.set_vector(MSIX_CONFIG),
            _ => Ok(()),
        }
    }

    /// Gives queue `queue` vector 0, before it is enabled.
    ///
    /// # Errors
    /// `NoVector` when the device does not take it.
    pub(crate) fn set_queue_vector(&self, queue: u16) -> Result<(), Error> {
        match self {
            Self::Pci(pci) if pci.has_msix => {
                pci.write_common(QUEUE_SELECT, queue);
                pci.set_vector(QUEUE_MSIX_VECTOR)
            }
            _ => Ok(()),
        }
    }
}

impl PciRegisters {
    /// `at` is even and below 56.
    fn common(&self, at: usize) -> NonNull<u16> {
        // SAFETY: within the common structure, see `Registers::pci`.
        unsafe { self.common.add(at) }.cast()
    }

    fn read_common(&self, at: usize) -> u16 {
        // SAFETY: a mapped register, aligned because the structure is.
        u16::from_le(unsafe { self.common(at).read_volatile() })
    }

    fn write_common(&self, at: usize, value: u16) {
        // SAFETY: as in `read_common`.
        unsafe { self.common(at).write_volatile(value.to_le()) };
    }

    /// Writes vector 0 and reads it back: the device answers `NO_VECTOR` when it has none
    /// (virtio 1.2 4.1.5.1.2).
    fn set_vector(&self, at: usize) -> Result<(), Error> {
        self.write_common(at, 0);
        match self.read_common(at) {
            0 => Ok(()),
            _ => Err(Error::NoVector),
        }
    }
}

impl MmioRegisters {
    /// `at` is a multiple of 4 below 256.
    fn register(&self, at: usize) -> NonNull<u32> {
        // SAFETY: within the register block, see `Registers::mmio`.
        unsafe { self.base.add(at) }.cast()
    }
}

impl Doorbell {
    /// Kicks the queue: an available-buffer notification.
    #[inline]
    pub(crate) fn kick(&self) {
        match *self {
            // SAFETY: a mapped register of the device, see `Registers::pci`.
            Self::Pci(register, queue) => unsafe { register.write_volatile(queue.to_le()) },
            Self::Mmio(register, queue) => {
                // SAFETY: a mapped register of the device, see `Registers::mmio`.
                unsafe { register.write_volatile(u32::from(queue).to_le()) }
            }
        }
    }
}

impl LineAck {
    /// Makes the line go back, if there is one.
    #[inline]
    pub(crate) fn acknowledge(&self) {
        match *self {
            Self::None => {}
            Self::Pci(isr) => {
                // SAFETY: a mapped register of the device; reading it is the acknowledgement.
                let _ = unsafe { isr.read_volatile() };
            }
            Self::Mmio(status, ack) => {
                // SAFETY: a mapped register of the device.
                let pending = unsafe { status.read_volatile() };
                if pending != 0 {
                    // SAFETY: a mapped register of the device.
                    unsafe { ack.write_volatile(pending) };
                }
            }
        }
    }
}

/// Asks `is_so` until it is, for as long as a working device may take; whether it came to be.
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..REGISTER_READS_MAX {
        if is_so() {
            return true;
        }
        core::hint::spin_loop();
    }
    false
}

// virtio 1.2 4.1.4.3, in bytes from the start of the common structure.
const MSIX_CONFIG: usize = 0x10;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_NOTIFY_OFF: usize = 0x1e;

// virtio 1.2 4.2.2, in bytes from the start of the register block.
const QUEUE_NOTIFY: usize = 0x50;
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACK: usize = 0x64;
