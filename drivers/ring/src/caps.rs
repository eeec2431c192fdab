//! What a port can do, as data that is read once.
//!
//! The stack chooses its rung of the zero-copy ladder from this and from nothing else: no driver is
//! known to it by name.

/// Where content must lie so that a packet can refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyMemory {
    /// The device reaches all memory (virtio with an identity map).
    Anywhere,
    /// The device reaches its own region only; [`Port::place`](crate::Port::place) moves content
    /// there once, when it is loaded (netmap, AF_XDP).
    Region,
}

/// Which Internet checksums (RFC 1071) the device computes or has verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// The device completes a partial TCP or UDP checksum on transmit.
    pub tx: bool,
    /// Received packets may be marked as verified, or arrive with a partial checksum.
    pub rx: bool,
}

/// Segmentation offload on transmit: one large packet in, many segments on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segmentation {
    /// TCP over IPv4.
    pub tcp_v4: bool,
    /// TCP over IPv6.
    pub tcp_v6: bool,
    /// UDP (USO).
    pub udp: bool,
    /// Longest IP datagram that may be handed over, in bytes (headers included).
    pub len_max: u32,
}

/// The capabilities of a port, fixed for its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// IP MTU in bytes (1500 on Ethernet), never the frame size.
    pub mtu: u16,
    /// Pieces that one packet may consist of, the head frame included; 1 means no gather.
    pub fragments_max: usize,
    /// Bytes in front of the Ethernet header that the driver needs for its own header.
    pub headroom: u16,
    /// Checksum offload.
    pub checksums: Checksums,
    /// Segmentation offload on transmit.
    pub tso: Segmentation,
    /// Packets larger than one frame may be received, as a chain of frames.
    pub rx_large: bool,
    /// Which memory a body fragment may lie in.
    pub body_memory: BodyMemory,
    /// Queue pairs, one for each core at most.
    pub queues: u16,
}

impl Caps {
    /// A port with nothing beyond plain frames of Ethernet's usual size.
    pub const PLAIN: Self = Self {
        mtu: 1500,
        fragments_max: 1,
        headroom: 0,
        checksums: Checksums {
            tx: false,
            rx: false,
        },
        tso: Segmentation {
            tcp_v4: false,
            tcp_v6: false,
            udp: false,
            len_max: 0,
        },
        rx_large: false,
        body_memory: BodyMemory::Anywhere,
        queues: 1,
    };
}
