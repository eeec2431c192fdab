//! Against dumps of a real region: a native veth with one ring pair of 1024 slots.

use super::*;

/// Reads a structure from bytes.
fn parse<T: Copy, const N: usize>(bytes: [u8; N]) -> T {
    assert!(size_of::<T>() <= N);
    // SAFETY: there are as many bytes as the structure has, and all its fields are integers, for
    // which every bit pattern is a value.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

#[test]
fn register_reads_as_the_kernel_wrote_it() {
    let register: Register = parse([
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x72, 0x14, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x01, 0x00,
        0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ]);
    let expected = Register {
        offset: 0,
        memsize: 343_019_520,
        tx_slots: 1024,
        rx_slots: 1024,
        tx_rings: 1,
        rx_rings: 1,
        host_tx_rings: 1,
        host_rx_rings: 1,
        mem_id: 1,
        ringid: 0,
        mode: REG_ALL_NIC,
        extra_bufs: 0,
        pad: 0,
        flags: RegisterFlags::default(),
    };
    assert_eq!(register, expected);
}

/// `netmap_if` and the four offsets behind it.
pub(crate) const IF_DUMP: [u8; 88] = [
    0x6e, 0x6d, 0x30, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x20,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x90, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// The transmit ring's first 32 bytes.
pub(crate) const TX_DUMP: [u8; 32] = [
    0x00, 0xf0, 0x6f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x03, 0x00, 0x00,
];

/// The receive ring's.
pub(crate) const RX_DUMP: [u8; 32] = [
    0x00, 0x80, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

#[test]
fn interface_reads_as_the_kernel_wrote_it() {
    let netmap_if: NetmapIf = parse(IF_DUMP);
    assert_eq!(&netmap_if.name[..4], b"nm0\0");
    assert_eq!((netmap_if.version, netmap_if.flags), (0, 0));
    assert_eq!((netmap_if.tx_rings, netmap_if.rx_rings), (1, 1));
    assert_eq!((netmap_if.host_tx_rings, netmap_if.host_rx_rings), (1, 1));
    assert_eq!(netmap_if.bufs_head, 0);
}

#[test]
fn rings_read_as_the_kernel_wrote_them() {
    for (dump, dir, tail, buf_ofs) in [(TX_DUMP, 1, 1023, 0x6f_f000), (RX_DUMP, 0, 0, 0x70_8000)] {
        let mut bytes = [0; SLOTS_AT];
        bytes[..32].copy_from_slice(&dump);
        let ring: NetmapRing = parse(bytes);
        assert_eq!((ring.num_slots, ring.buf_size), (1024, 2048));
        assert_eq!((ring.buf_ofs, ring.dir, ring.ringid), (buf_ofs, dir, 0));
        assert_eq!((ring.head, ring.cur, ring.tail), (0, 0, tail));
    }
}

#[test]
fn a_header_names_the_port_and_ends_with_a_zero() {
    let header = ReqHeader::new(REQ_REGISTER, "vale0:a").expect("a short name");
    assert_eq!(&header.name[..9], b"vale0:a\0\0");
    assert_eq!((header.version, header.reqtype), (14, 1));
    assert!(ReqHeader::new(REQ_REGISTER, &"x".repeat(63)).is_some());
    assert!(ReqHeader::new(REQ_REGISTER, &"x".repeat(64)).is_none());
}
