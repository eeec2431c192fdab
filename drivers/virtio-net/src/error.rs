//! Why a device could not be found or started.

use virtio_drivers::transport::mmio::MmioError;
use virtio_drivers::transport::pci::VirtioPciError;

use crate::Features;

/// Why a device could not be found or started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no (further) virtio network device.
    NoDevice,
    /// The PCI function's virtio or MSI-X capabilities make no sense.
    BadCapabilities,
    /// A BAR has no address: this machine has no firmware that assigns them.
    BarUnassigned {
        /// Which of the six.
        bar: u8,
    },
    /// The PCI transport refused the function.
    Pci(VirtioPciError),
    /// The MMIO transport refused the slot.
    Mmio(MmioError),
    /// The device did not come out of reset.
    NotReset,
    /// The device does not offer what this driver cannot do without.
    BadFeatures {
        /// What is missing.
        missing: Features,
    },
    /// The device did not accept the features it had offered.
    FeaturesRefused,
    /// The device offers fewer descriptors than one packet may need, or the embedder allows fewer.
    QueueTooSmall {
        /// Queue number: 0 receives, 1 transmits.
        queue: u16,
        /// Descriptors that could be used.
        size: u32,
    },
    /// There is no DMA memory for the rings.
    NoMemory,
    /// The device's configuration is too short or keeps changing.
    BadConfig,
    /// The device has no station address, and the embedder gave none.
    NoMac,
    /// The device has no interrupt vector for a queue, though it has MSI-X.
    NoVector,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoDevice => f.write_str("no virtio network device"),
            Self::BadCapabilities => f.write_str("virtio-net: malformed pci capabilities"),
            Self::BarUnassigned { bar } => {
                write!(
                    f,
                    "virtio-net: bar {bar} has no address (no firmware assigned it)"
                )
            }
            Self::Pci(error) => write!(f, "virtio-net: pci: {error}"),
            Self::Mmio(error) => write!(f, "virtio-net: mmio: {error}"),
            Self::NotReset => f.write_str("virtio-net: the device does not reset"),
            Self::BadFeatures { missing } => {
                write!(f, "virtio-net: the device does not offer {missing}")
            }
            Self::FeaturesRefused => f.write_str("virtio-net: the device refused its own features"),
            Self::QueueTooSmall { queue, size } => {
                write!(
                    f,
                    "virtio-net: queue {queue} is too small: {size} descriptors"
                )
            }
            Self::NoMemory => f.write_str("virtio-net: no memory for the rings"),
            Self::BadConfig => f.write_str("virtio-net: the configuration cannot be read"),
            Self::NoMac => f.write_str("virtio-net: no station address"),
            Self::NoVector => f.write_str("virtio-net: no interrupt vector for a queue"),
        }
    }
}

impl core::error::Error for Error {}

impl From<VirtioPciError> for Error {
    fn from(error: VirtioPciError) -> Self {
        match error {
            VirtioPciError::BarNotAllocated(bar) => Self::BarUnassigned { bar },
            error => Self::Pci(error),
        }
    }
}

impl From<MmioError> for Error {
    fn from(error: MmioError) -> Self {
        Self::Mmio(error)
    }
}
