use std::vec::Vec;

use simoom_ring::Frame;

use super::*;
use crate::Plan;
use crate::abi::tests::{IF_DUMP, RX_DUMP, TX_DUMP};
use crate::tests::{pool, region};

/// A region with what the kernel wrote to it: a veth's, with one ring pair of 1024 slots.
fn observed() -> Region {
    let region = region(7_475_200 + 2_050 * 2_048);
    for (at, dump) in [
        (0, &IF_DUMP[..]),
        (0x2_2000, &TX_DUMP[..]),
        (0x1_9000, &RX_DUMP[..]),
    ] {
        // The interface is followed by ring_ofs from 56 on.
        for (word, bytes) in dump.chunks_exact(4).enumerate() {
            let bytes = bytes.try_into().expect("four bytes");
            let at = if at == 0 { word * 4 } else { at + word * 4 };
            region
                .store_u32(at, u32::from_le_bytes(bytes))
                .expect("inside");
        }
    }
    // The dump's offsets are relative to the interface, which lies at 0.
    region.store_u64(56, 0x2_2000).expect("inside");
    region.store_u64(72, 0x1_9000).expect("inside");
    region
}

#[test]
#[cfg_attr(miri, ignore = "11 MB of region")]
fn a_region_of_the_kernels_is_found() {
    let interface = Interface::new(observed(), 0).expect("in order");
    // What the real kernel's figures are: the buffers begin behind interfaces and rings.
    assert_eq!(interface.bufs_at(), 100 * 1_024 + 200 * 36_864);
    assert_eq!((interface.buf_size(), interface.bufs_cnt()), (2_048, 2_050));
    let tx = interface.ring(RingKind::Tx, 0).expect("bound");
    let rx = interface.ring(RingKind::Rx, 0).expect("bound");
    assert_eq!((tx.num_slots(), tx.load_tail()), (1_024, 1_023));
    assert_eq!((rx.num_slots(), rx.load_tail()), (1_024, 0));
    for kind in [RingKind::HostTx, RingKind::HostRx] {
        let ring = interface.ring(kind, 0).map(|_| ());
        assert_eq!(ring, Err(LayoutError::NotBound));
    }
    let none = interface.ring(RingKind::Tx, 1).map(|_| ());
    assert_eq!(none, Err(LayoutError::NoRing));
}

fn plan() -> Plan {
    Plan {
        ports: 1,
        rings: 2,
        tx_slots: 4,
        rx_slots: 3,
        extra_bufs: 9,
        content_bufs: 0,
        buf_size: 128,
        has_offsets: false,
    }
}

fn laid_out() -> Region {
    let region = region(plan().byte_len().expect("small"));
    plan().lay_out(region).expect("room");
    region
}

/// Looks at everything that there is.
fn look(region: Region, at: usize) -> Result<(), LayoutError> {
    let interface = Interface::new(region, at)?;
    for kind in [
        RingKind::Tx,
        RingKind::HostTx,
        RingKind::Rx,
        RingKind::HostRx,
    ] {
        for idx in 0..interface.rings(kind).min(4) {
            match interface.ring(kind, idx) {
                Ok(ring) => {
                    for slot in 0..ring.num_slots() as usize {
                        ring.set_slot(slot, ring.slot(slot));
                    }
                }
                Err(LayoutError::NotBound) => {}
                Err(error) => return Err(error),
            }
        }
    }
    interface.adopt_extra(pool(&interface), u32::MAX, 300)?;
    Ok(())
}

#[test]
fn no_number_in_a_region_is_believed() {
    look(laid_out(), 0).expect("in order");
    let sound = laid_out();
    let ring_at = sound.load_u64(56).expect("inside") as usize;
    let mut refused_cnt = 0;
    for at in (0..120).chain(ring_at..ring_at + 72).step_by(4) {
        for value in [
            0,
            1,
            2,
            3,
            127,
            129,
            1 << 20,
            (1 << 20) + 1,
            1 << 31,
            u32::MAX,
        ] {
            let region = laid_out();
            region.store_u32(at, value).expect("inside");
            refused_cnt += usize::from(look(region, 0).is_err());
        }
    }
    assert!(refused_cnt > 100, "{refused_cnt}");
    for at in [
        4,
        1 << 20,
        usize::MAX,
        usize::MAX - 7,
        sound.len(),
        sound.len() - 8,
    ] {
        assert_eq!(look(sound, at), Err(LayoutError::OutOfRegion));
    }
}

#[test]
fn what_is_wrong_is_said() {
    let ring_at = laid_out().load_u64(56).expect("inside") as usize;
    for (at, value, expected) in [
        (ring_at + 8, 1, LayoutError::NumSlots { num_slots: 1 }),
        (ring_at + 8, 1 << 20, LayoutError::OutOfRegion),
        (ring_at + 12, 60, LayoutError::BufSize { buf_size: 60 }),
        (
            ring_at + 12,
            65_536,
            LayoutError::BufSize { buf_size: 65_536 },
        ),
        (ring_at + 12, 256, LayoutError::BufsDiffer),
        // Buffers that begin within the ring.
        (ring_at, 128, LayoutError::OutOfRegion),
        (24, u32::MAX, LayoutError::OutOfRegion),
        (32, 1, LayoutError::ExtraList { buf_idx: 1 }),
        (32, 4_000, LayoutError::ExtraList { buf_idx: 4_000 }),
    ] {
        let region = laid_out();
        region.store_u32(at, value).expect("inside");
        assert_eq!(look(region, 0), Err(expected), "{value} at {at}");
    }
    let unbound = laid_out();
    for entry in 0..6 {
        unbound.store_u64(56 + 8 * entry, 0).expect("inside");
    }
    assert_eq!(look(unbound, 0), Err(LayoutError::NotBound));
}

#[test]
fn extra_buffers_are_adopted_and_returned() {
    let region = laid_out();
    let interface = Interface::new(region, 0).expect("in order");
    let pool = pool(&interface);
    // Four first, which leaves five: three of them for content, the run that is met first.
    let none = interface.adopt_extra(pool, 4, 0).expect("in order");
    assert_eq!((pool.free_cnt(), none.left()), (4, 0));
    let content = interface
        .adopt_extra(pool, u32::MAX, 300)
        .expect("in order");
    assert_eq!((pool.free_cnt(), content.left()), (6, 384));
    let mut frames = Vec::new();
    while let Some(frame) = pool.alloc(0) {
        frames.push(frame);
    }
    let mut names: Vec<_> = frames.iter().map(Frame::idx).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6);
    drop(frames);
    assert_eq!(interface.return_extra(pool, content), Ok(9));
    assert_eq!(pool.owned_cnt(), 0);
    let again = crate::tests::pool(&interface);
    interface
        .adopt_extra(again, u32::MAX, 0)
        .expect("a list in order");
    assert_eq!(again.free_cnt(), 9);
}

#[test]
fn a_list_that_goes_round_is_refused() {
    let region = laid_out();
    let interface = Interface::new(region, 0).expect("in order");
    let head = region.load_u32(32).expect("inside");
    let at = interface.bufs_at() + (head as usize - 2) * 128;
    region.store_u32(at, head).expect("inside");
    for content_len in [0, 128, 300, 1 << 20] {
        let region_again = Interface::new(region, 0).expect("in order");
        let adopted = region_again.adopt_extra(pool(&interface), u32::MAX, content_len);
        let refused = adopted.map(|_| ());
        assert_eq!(refused, Err(LayoutError::ExtraList { buf_idx: head }));
        // What was adopted before stays out of the list: put it in order for the next round.
        region.store_u32(32, head).expect("inside");
    }
}

#[test]
fn content_that_no_run_holds_leaves_all_for_frames() {
    let interface = Interface::new(laid_out(), 0).expect("in order");
    let pool = pool(&interface);
    let content = interface.adopt_extra(pool, u32::MAX, 10 * 128);
    assert_eq!(content.expect("in order").left(), 0);
    assert_eq!(pool.free_cnt(), 9);
}
