//! What a simulated device can do: every rung of the offload ladder can be had without a device.

use simoom_ring::{BodyMemory, Caps, Checksums, FRAGMENTS_MAX, MacAddr, Segmentation};

use crate::Cutting;

/// What a receiving end says about transport checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxCsum {
    /// Nothing: all packets come as `Unknown`.
    Unknown,
    /// Like a NIC: right ones are `Verified`, others come as `Unknown`.
    Verify,
    /// Like virtio between two guests: what the sender left to its device is never summed and
    /// comes as `Partial`; the rest as for `Verify`.
    Partial,
}

/// A simulated device. [`PortConfig::plain`] and [`PortConfig::offloads`] are where to start from;
/// all fields are free to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Station address.
    pub mac: MacAddr,
    /// IP MTU in bytes. What is longer is refused on transmit and dropped on receive.
    pub mtu: u16,
    /// Pieces a packet, the head included; 1 means no gather.
    pub fragments_max: usize,
    /// Bytes that the driver wants in front of each sent frame (it writes to them), and leaves in
    /// front of each received one.
    pub headroom: u16,
    /// Slots of the transmit ring; a packet takes one for each of its pieces.
    pub tx_slots: usize,
    /// Slots of the receive ring, each with one frame.
    pub rx_slots: usize,
    /// Microseconds from a sync until the device is done with the frames of a sent packet. They
    /// go home at the next sync after that, never in the same one.
    pub completion_us: u64,
    /// The device completes partial checksums.
    pub tx_csum: bool,
    /// What is said about received checksums.
    pub rx_csum: RxCsum,
    /// Which super-segments the device cuts.
    pub tso: Segmentation,
    /// Whether the device cuts them as it should.
    pub cutting: Cutting,
    /// It does so in any case with those of so many bytes at most, headers included.
    pub cutting_right_up_to: usize,
    /// Super-segments cross the wire whole towards an end with `rx_large` (and suffer its faults
    /// as one frame), as between two guests of one machine.
    pub tso_uncut: bool,
    /// A packet may be received as a chain of frames.
    pub rx_large: bool,
    /// The device merges consecutive segments of a connection that arrive between two syncs.
    /// Needs `rx_large`.
    pub rx_merge: bool,
    /// Bytes that the device puts into one frame of a chain at most: odd values make for chains
    /// whose checksum is not easy. At least 128, so that the first frame has all headers.
    pub rx_piece_len_max: usize,
    /// Which content the device reaches. With `Region`, content that was not placed is refused.
    pub body_memory: BodyMemory,
    /// Bytes of content that can be placed with `BodyMemory::Region`.
    pub region_len: usize,
    /// Short frames are padded to 60 bytes on the wire, as Ethernet hardware does.
    pub is_padding: bool,
}

impl PortConfig {
    /// A device with small rings and no offloads, that gathers nothing.
    pub const fn plain(mac: MacAddr) -> Self {
        Self {
            mac,
            mtu: 1500,
            fragments_max: 1,
            headroom: 0,
            tx_slots: 16,
            rx_slots: 16,
            completion_us: 0,
            tx_csum: false,
            rx_csum: RxCsum::Unknown,
            tso: Caps::PLAIN.tso,
            cutting: Cutting::Right,
            cutting_right_up_to: 0,
            tso_uncut: false,
            rx_large: false,
            rx_merge: false,
            rx_piece_len_max: usize::MAX,
            body_memory: BodyMemory::Anywhere,
            region_len: 0,
            is_padding: false,
        }
    }

    /// A device with all offloads: gather, checksums both ways, segmentation up to 64 KiB, merged
    /// receive.
    pub const fn offloads(mac: MacAddr) -> Self {
        Self {
            fragments_max: 1 + FRAGMENTS_MAX,
            headroom: 12,
            tx_slots: 32,
            rx_slots: 64,
            tx_csum: true,
            rx_csum: RxCsum::Verify,
            tso: Segmentation {
                tcp_v4: true,
                tcp_v6: true,
                udp: true,
                len_max: 65_535,
            },
            rx_large: true,
            rx_merge: true,
            ..Self::plain(mac)
        }
    }

    /// What the stack is told.
    pub const fn caps(&self) -> Caps {
        Caps {
            mtu: self.mtu,
            fragments_max: self.fragments_max,
            headroom: self.headroom,
            checksums: Checksums {
                tx: self.tx_csum,
                rx: !matches!(self.rx_csum, RxCsum::Unknown),
            },
            tso: self.tso,
            rx_large: self.rx_large,
            body_memory: self.body_memory,
            queues: 1,
        }
    }

    /// # Panics
    /// When the fields contradict each other.
    pub(crate) fn check(&self) {
        assert!(
            (1..=1 + FRAGMENTS_MAX).contains(&self.fragments_max),
            "fragments_max is 1 to {}",
            1 + FRAGMENTS_MAX
        );
        assert!(
            self.tx_slots >= self.fragments_max,
            "a transmit ring holds one packet at least"
        );
        assert!(self.rx_slots > 0, "a receive ring has a slot");
        let tso = self.tso;
        let has_tso = tso.tcp_v4 || tso.tcp_v6 || tso.udp;
        assert!(
            !has_tso || self.tx_csum,
            "segmentation implies the checksum"
        );
        assert!(
            !has_tso || (u32::from(self.mtu)..=65_535).contains(&tso.len_max),
            "tso.len_max is from the MTU to 65535"
        );
        assert!(self.rx_large || !self.rx_merge, "rx_merge needs rx_large");
        assert!(
            self.rx_piece_len_max >= 128,
            "the first frame of a chain has all headers"
        );
    }
}
