//! The requests of `NIOCCTRL`: a header that names the port, a body for what is asked, options.

use core::mem::{offset_of, size_of};

/// The version that this crate speaks; the kernel takes 14 and 15 and refuses all others.
pub const VERSION: u16 = 14;

/// Numbers of the `ioctl` calls on `/dev/netmap` (x86-64 and other 64-bit Linux).
pub mod ioctl {
    /// `NIOCCTRL`: carries out a request.
    pub const CTRL: u32 = 0xc058_6997;
    /// `NIOCTXSYNC`: syncs the bound transmit rings.
    pub const TXSYNC: u32 = 0x6994;
    /// `NIOCRXSYNC`: syncs the bound receive rings.
    pub const RXSYNC: u32 = 0x6995;
}

/// Binds a port; the body is [`Register`].
pub const REQ_REGISTER: u16 = 1;
/// Asks for a port's numbers without binding it; the body is [`PortInfo`].
pub const REQ_PORT_INFO_GET: u16 = 2;
/// Sets the length of the virtio-net header in front of each frame; the body is [`PortHdr`].
pub const REQ_PORT_HDR_SET: u16 = 6;
/// Asks for that length.
pub const REQ_PORT_HDR_GET: u16 = 7;
/// Asks where the pools lie in the region; the body is [`PoolsInfo`].
pub const REQ_POOLS_INFO_GET: u16 = 12;

/// All rings of the device.
pub const REG_ALL_NIC: u32 = 1;
/// The host's rings alone.
pub const REG_SW: u32 = 2;
/// Both.
pub const REG_NIC_SW: u32 = 3;
/// One ring pair of the device, `ringid`.
pub const REG_ONE_NIC: u32 = 4;
/// One ring pair of the host, `ringid`.
pub const REG_ONE_SW: u32 = 8;

/// The option [`OptOffsets`].
pub const OPT_OFFSETS: u32 = 5;

/// `struct nmreq_header`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReqHeader {
    /// [`VERSION`].
    pub version: u16,
    /// Which request.
    pub reqtype: u16,
    /// Zero.
    pub reserved: u32,
    /// The port, as the kernel names it (`eth0`, `vale0:a`, `x{1`): no `netmap:`, no `^` or `*`.
    pub name: [u8; 64],
    /// Address of the first [`ReqOption`]; 0 when there is none.
    pub options: u64,
    /// Address of the body.
    pub body: u64,
}

impl ReqHeader {
    /// A request about a port; `None` when the name is too long (63 bytes at most).
    pub fn new(reqtype: u16, port: &str) -> Option<Self> {
        let mut name = [0; 64];
        // One byte stays 0: the kernel looks for it.
        name[..63]
            .get_mut(..port.len())?
            .copy_from_slice(port.as_bytes());
        Some(Self {
            version: VERSION,
            reqtype,
            reserved: 0,
            name,
            options: 0,
            body: 0,
        })
    }
}

/// `struct nmreq_register`: zero asks for the default; the kernel writes what it has given.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// Out: where in the region this binding's `netmap_if` lies. Never to be taken for 0.
    pub offset: u64,
    /// Out: bytes of the region, for `mmap`.
    pub memsize: u64,
    /// Slots of each transmit ring: asked for, then given.
    pub tx_slots: u32,
    /// Slots of each receive ring.
    pub rx_slots: u32,
    /// Transmit rings.
    pub tx_rings: u16,
    /// Receive rings.
    pub rx_rings: u16,
    /// Transmit rings to the host.
    pub host_tx_rings: u16,
    /// Receive rings from the host.
    pub host_rx_rings: u16,
    /// Which memory allocator.
    pub mem_id: u16,
    /// Which ring, with [`REG_ONE_NIC`] and [`REG_ONE_SW`].
    pub ringid: u16,
    /// `REG_…`.
    pub mode: u32,
    /// Extra buffers: asked for, then given.
    pub extra_bufs: u32,
    /// The gap that alignment leaves.
    pub pad: u32,
    /// [`RegisterFlags`].
    pub flags: RegisterFlags,
}

/// Flags of [`Register`].
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegisterFlags(pub u64);

impl RegisterFlags {
    /// Refuse when someone else has the port.
    pub const EXCLUSIVE: Self = Self(0x800);
    /// Receive rings alone.
    pub const RX_RINGS_ONLY: Self = Self(0x2000);
    /// Transmit rings alone.
    pub const TX_RINGS_ONLY: Self = Self(0x4000);
    /// The program writes and reads virtio-net headers.
    pub const ACCEPT_VNET_HDR: Self = Self(0x8000);
    /// `poll` for input alone does not send.
    pub const NO_TX_POLL: Self = Self(0x2_0000);

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `struct nmreq_port_info_get`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortInfo {
    /// Bytes of the region now; [`Register::memsize`] may be more.
    pub memsize: u64,
    /// Slots of each transmit ring.
    pub tx_slots: u32,
    /// Slots of each receive ring.
    pub rx_slots: u32,
    /// Transmit rings.
    pub tx_rings: u16,
    /// Receive rings.
    pub rx_rings: u16,
    /// Transmit rings to the host.
    pub host_tx_rings: u16,
    /// Receive rings from the host.
    pub host_rx_rings: u16,
    /// Which memory allocator.
    pub mem_id: u16,
    /// Zero.
    pub pad: [u16; 3],
}

/// `struct nmreq_pools_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolsInfo {
    /// Bytes of the region.
    pub memsize: u64,
    /// Which memory allocator.
    pub mem_id: u16,
    /// Zero.
    pub pad: [u16; 3],
    /// Where the `netmap_if`s lie.
    pub if_pool_offset: u64,
    /// How many there are room for.
    pub if_pool_objtotal: u32,
    /// Bytes of each.
    pub if_pool_objsize: u32,
    /// Where the rings lie.
    pub ring_pool_offset: u64,
    /// How many there are room for.
    pub ring_pool_objtotal: u32,
    /// Bytes of each.
    pub ring_pool_objsize: u32,
    /// Where the buffers lie.
    pub buf_pool_offset: u64,
    /// How many there are.
    pub buf_pool_objtotal: u32,
    /// Bytes of each.
    pub buf_pool_objsize: u32,
}

/// `struct nmreq_port_hdr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortHdr {
    /// Bytes of virtio-net header in front of each frame: 0, 10 or 12.
    pub hdr_len: u32,
    /// Zero.
    pub pad: u32,
}

/// `struct nmreq_option`: the start of each option.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReqOption {
    /// Address of the next option; 0 ends.
    pub next: u64,
    /// Which option.
    pub reqtype: u32,
    /// Out: 0, or why the option was refused.
    pub status: u32,
    /// Bytes of a payload whose length varies.
    pub size: u64,
}

/// `struct nmreq_opt_offsets`: packets may begin anywhere in a buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptOffsets {
    /// [`OPT_OFFSETS`].
    pub option: ReqOption,
    /// The largest offset that will be written; larger ones are cut to it.
    pub max_offset: u64,
    /// What all slots begin with.
    pub initial_offset: u64,
    /// Bits of a slot's `ptr` that are the offset; 0 means all.
    pub offset_bits: u32,
    /// What the start of a packet to send is a multiple of.
    pub tx_align: u32,
    /// Zero.
    pub min_gap: u64,
}

const _: () = {
    assert!(size_of::<ReqHeader>() == 88);
    assert!(offset_of!(ReqHeader, reqtype) == 2 && offset_of!(ReqHeader, reserved) == 4);
    assert!(offset_of!(ReqHeader, name) == 8 && offset_of!(ReqHeader, options) == 72);
    assert!(offset_of!(ReqHeader, body) == 80);

    assert!(size_of::<Register>() == 56);
    assert!(offset_of!(Register, memsize) == 8 && offset_of!(Register, tx_slots) == 16);
    assert!(offset_of!(Register, rx_slots) == 20 && offset_of!(Register, tx_rings) == 24);
    assert!(offset_of!(Register, rx_rings) == 26 && offset_of!(Register, host_tx_rings) == 28);
    assert!(offset_of!(Register, host_rx_rings) == 30 && offset_of!(Register, mem_id) == 32);
    assert!(offset_of!(Register, ringid) == 34 && offset_of!(Register, mode) == 36);
    assert!(offset_of!(Register, extra_bufs) == 40 && offset_of!(Register, flags) == 48);

    assert!(size_of::<PortInfo>() == 32);
    assert!(offset_of!(PortInfo, tx_slots) == 8 && offset_of!(PortInfo, rx_slots) == 12);
    assert!(offset_of!(PortInfo, tx_rings) == 16 && offset_of!(PortInfo, rx_rings) == 18);
    assert!(offset_of!(PortInfo, host_tx_rings) == 20 && offset_of!(PortInfo, mem_id) == 24);

    assert!(size_of::<PoolsInfo>() == 64);
    assert!(offset_of!(PoolsInfo, mem_id) == 8 && offset_of!(PoolsInfo, if_pool_offset) == 16);
    assert!(offset_of!(PoolsInfo, if_pool_objtotal) == 24);
    assert!(offset_of!(PoolsInfo, if_pool_objsize) == 28);
    assert!(offset_of!(PoolsInfo, ring_pool_offset) == 32);
    assert!(offset_of!(PoolsInfo, buf_pool_offset) == 48);
    assert!(offset_of!(PoolsInfo, buf_pool_objsize) == 60);

    assert!(size_of::<ReqOption>() == 24);
    assert!(offset_of!(ReqOption, reqtype) == 8 && offset_of!(ReqOption, status) == 12);
    assert!(offset_of!(ReqOption, size) == 16);
    assert!(size_of::<OptOffsets>() == 56 && offset_of!(OptOffsets, offset_bits) == 40);
    assert!(offset_of!(OptOffsets, tx_align) == 44 && offset_of!(OptOffsets, min_gap) == 48);
    assert!(size_of::<PortHdr>() == 8);
};
