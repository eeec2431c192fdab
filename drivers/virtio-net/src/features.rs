//! Feature bits (virtio 1.2 5.1.3 and 6), by the names of the specification without the prefix.

/// A set of feature bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// The device completes partial checksums on transmit.
    pub const CSUM: Self = Self(1 << 0);
    /// We accept partial checksums on receive.
    pub const GUEST_CSUM: Self = Self(1 << 1);
    /// The device says its MTU.
    pub const MTU: Self = Self(1 << 3);
    /// The device has a station address.
    pub const MAC: Self = Self(1 << 5);
    /// We accept TCP over IPv4 larger than the MTU.
    pub const GUEST_TSO4: Self = Self(1 << 7);
    /// We accept TCP over IPv6 larger than the MTU.
    pub const GUEST_TSO6: Self = Self(1 << 8);
    /// The device cuts TCP over IPv4.
    pub const HOST_TSO4: Self = Self(1 << 11);
    /// The device cuts TCP over IPv6.
    pub const HOST_TSO6: Self = Self(1 << 12);
    /// A large receive may use several chains.
    pub const MRG_RXBUF: Self = Self(1 << 15);
    /// The device says whether the link is up.
    pub const STATUS: Self = Self(1 << 16);
    /// There is a control queue.
    pub const CTRL_VQ: Self = Self(1 << 17);
    /// The device may ask us to announce ourselves.
    pub const GUEST_ANNOUNCE: Self = Self(1 << 21);
    /// There is more than one queue pair.
    pub const MQ: Self = Self(1 << 22);
    /// The header may share a descriptor with the packet; modern devices always allow it.
    pub const ANY_LAYOUT: Self = Self(1 << 27);
    /// Kicks and interrupts are asked for by index (virtio 1.2 2.7.10).
    pub const EVENT_IDX: Self = Self(1 << 29);
    /// The device follows virtio 1.0 or later.
    pub const VERSION_1: Self = Self(1 << 32);
    /// Packed virtqueues. Never accepted: we have none.
    pub const RING_PACKED: Self = Self(1 << 34);
    /// The device cuts UDP.
    pub const HOST_USO: Self = Self(1 << 56);

    /// What this driver makes use of where the device offers it.
    pub const SUPPORTED: Self = Self::CSUM
        .union(Self::GUEST_CSUM)
        .union(Self::MTU)
        .union(Self::MAC)
        .union(Self::GUEST_TSO4)
        .union(Self::GUEST_TSO6)
        .union(Self::HOST_TSO4)
        .union(Self::HOST_TSO6)
        .union(Self::HOST_USO)
        .union(Self::MRG_RXBUF)
        .union(Self::STATUS)
        .union(Self::CTRL_VQ)
        .union(Self::GUEST_ANNOUNCE)
        .union(Self::MQ)
        .union(Self::ANY_LAYOUT)
        .union(Self::EVENT_IDX)
        .union(Self::VERSION_1);

    /// What the device cuts: it completes the checksums, too.
    const HOST_CUTS: Self = Self::HOST_TSO4.union(Self::HOST_TSO6).union(Self::HOST_USO);

    /// What may come in larger than the MTU.
    pub(crate) const GUEST_TSO: Self = Self::GUEST_TSO4.union(Self::GUEST_TSO6);

    /// No feature.
    pub const NONE: Self = Self(0);

    /// The set of these bits, known by name or not.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits as the device has them.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one and not in the other.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is left when all goes that lacks what it needs: segmentation and large receives the
    /// checksum of their direction (virtio 1.2 5.1.3.1), large receives more than one of our
    /// frames; several queue pairs the control queue, and announcements the status besides.
    pub const fn consistent(self) -> Self {
        let mut features = self;
        if !features.contains(Self::CSUM) {
            features = features.difference(Self::HOST_CUTS);
        }
        if !features.contains(Self::GUEST_CSUM.union(Self::MRG_RXBUF)) {
            features = features.difference(Self::GUEST_TSO);
        }
        if !features.contains(Self::CTRL_VQ) {
            features = features.difference(Self::GUEST_ANNOUNCE.union(Self::MQ));
        }
        if !features.contains(Self::STATUS) {
            features = features.difference(Self::GUEST_ANNOUNCE);
        }
        features
    }

    /// Whether all of `other` is in this.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl core::fmt::Display for Features {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (feature, name) in NAMES {
            if self.contains(feature) {
                write!(f, "{separator}{name}")?;
                separator = " ";
                rest = rest.difference(feature);
            }
        }
        match rest.0 {
            0 if separator.is_empty() => f.write_str("none"),
            0 => Ok(()),
            bits => write!(f, "{separator}{bits:#x}"),
        }
    }
}

impl core::fmt::Debug for Features {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Features({self})")
    }
}

const NAMES: [(Features, &str); 18] = [
    (Features::CSUM, "CSUM"),
    (Features::GUEST_CSUM, "GUEST_CSUM"),
    (Features::MTU, "MTU"),
    (Features::MAC, "MAC"),
    (Features::GUEST_TSO4, "GUEST_TSO4"),
    (Features::GUEST_TSO6, "GUEST_TSO6"),
    (Features::HOST_TSO4, "HOST_TSO4"),
    (Features::HOST_TSO6, "HOST_TSO6"),
    (Features::MRG_RXBUF, "MRG_RXBUF"),
    (Features::STATUS, "STATUS"),
    (Features::CTRL_VQ, "CTRL_VQ"),
    (Features::GUEST_ANNOUNCE, "GUEST_ANNOUNCE"),
    (Features::MQ, "MQ"),
    (Features::ANY_LAYOUT, "ANY_LAYOUT"),
    (Features::EVENT_IDX, "EVENT_IDX"),
    (Features::VERSION_1, "VERSION_1"),
    (Features::RING_PACKED, "RING_PACKED"),
    (Features::HOST_USO, "HOST_USO"),
];
