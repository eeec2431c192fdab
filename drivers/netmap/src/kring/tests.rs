//! Each rule, broken once: what makes a strict wire strict.

use std::vec;

use super::*;
use crate::Plan;
use crate::tests::region;

/// A ring of four slots with buffers of 128 bytes, seen from both sides.
fn ring(kind: RingKind) -> (Kring<'static>, RingMemory) {
    let plan = Plan {
        ports: 1,
        rings: 1,
        tx_slots: 4,
        rx_slots: 4,
        extra_bufs: 4,
        content_bufs: 0,
        buf_size: 128,
        has_offsets: true,
    };
    let region = region(plan.byte_len().expect("small"));
    plan.lay_out(region).expect("room");
    let interface = Interface::new(region, 0).expect("in order");
    let kring = Kring::new(&interface, kind, 0, vec![0; 4].leak()).expect("as laid out");
    (kring, interface.ring(kind, 0).expect("as laid out"))
}

/// A slot as a port writes it, with one of the extra buffers.
const GOOD: NetmapSlot = NetmapSlot {
    buf_idx: 12,
    len: 60,
    flags: SlotFlags(1),
    ptr: 8,
};

#[test]
fn each_broken_rule_of_a_slot_is_found() {
    let slot = |change: fn(&mut NetmapSlot)| {
        let mut slot = GOOD;
        change(&mut slot);
        slot
    };
    let named = |buf_idx| Err(Fault::BufIdx { buf_idx });
    let too_long = |offset, len| Err(Fault::Len { offset, len });
    for (slot, expected) in [
        (GOOD, Ok(())),
        (slot(|slot| slot.buf_idx = 1), named(1)),
        (slot(|slot| slot.buf_idx = 0), named(0)),
        (slot(|slot| slot.buf_idx = 1_000), named(1_000)),
        (
            slot(|slot| slot.flags = SlotFlags(0)),
            Err(Fault::Unflagged { buf_idx: 12 }),
        ),
        (slot(|slot| slot.len = 120), Ok(())),
        (slot(|slot| slot.len = 121), too_long(8, 121)),
        (slot(|slot| slot.len = u16::MAX), too_long(8, u16::MAX)),
        (slot(|slot| slot.ptr = 129), too_long(129, 60)),
        (slot(|slot| slot.len = 0), too_long(8, 0)),
        (
            slot(|slot| slot.flags = SlotFlags(0x11)),
            Err(Fault::Flags { flags: 0x11 }),
        ),
        (slot(|slot| slot.flags = SlotFlags(0x3)), Ok(())),
        (
            slot(|slot| slot.flags = SlotFlags(0x21)),
            Err(Fault::OpenChain),
        ),
    ] {
        let (mut kring, memory) = ring(RingKind::Tx);
        memory.set_slot(0, slot);
        memory.store_head(1);
        assert_eq!(kring.begin(), expected, "{slot:?}");
        let is_taken = expected.is_ok();
        assert_eq!(kring.ready(), u32::from(is_taken));
        assert_eq!(memory.load_indices().head, u32::from(is_taken), "put back");
    }
}

#[test]
fn each_index_out_of_place_is_found() {
    for kind in [RingKind::Tx, RingKind::Rx] {
        for head in 0..6 {
            let (mut kring, memory) = ring(kind);
            if kind == RingKind::Rx {
                // Two slots are the user's to read.
                kring.advance(2);
                kring.end();
            }
            for idx in 0..4 {
                memory.set_slot(idx, GOOD);
            }
            memory.store_head(head);
            let most = if kind == RingKind::Tx { 3 } else { 2 };
            let expected = match head <= most {
                true => Ok(()),
                false => Err(Fault::Head { head }),
            };
            assert_eq!(kring.begin(), expected, "{kind:?}");
        }
    }
    let (mut kring, memory) = ring(RingKind::Tx);
    memory.store_tail(2);
    assert_eq!(kring.begin(), Err(Fault::Tail { tail: 2 }));
    assert_eq!(memory.load_tail(), 3, "put back");
}

#[test]
fn a_head_that_goes_back_is_found() {
    let (mut kring, memory) = ring(RingKind::Tx);
    for idx in 0..4 {
        memory.set_slot(idx, GOOD);
    }
    memory.store_head(2);
    kring.begin().expect("two packets");
    memory.store_head(1);
    assert_eq!(kring.begin(), Err(Fault::Head { head: 1 }));
    assert_eq!(memory.load_indices().head, 2);
    assert_eq!(kring.ready(), 2);
}

#[test]
fn a_receive_slot_may_be_left_as_it_was() {
    let (mut kring, memory) = ring(RingKind::Rx);
    let full = NetmapSlot {
        buf_idx: memory.slot(0).buf_idx,
        len: 60,
        flags: SlotFlags::MOREFRAG,
        ptr: 0,
    };
    kring.write(0, full);
    kring.advance(1);
    kring.end();
    memory.store_head(1);
    assert_eq!(kring.begin(), Ok(()));
}

#[test]
fn what_is_sent_later_is_given_back_later() {
    let (mut kring, memory) = ring(RingKind::Tx);
    for round in 0..9_u32 {
        // All three slots that may be used, on a ring of four.
        for idx in 0..4 {
            memory.set_slot(idx, GOOD);
        }
        let head = (round * 3 + 3) % 4;
        memory.store_head(head);
        kring.begin().expect("three packets");
        assert_eq!((kring.ready(), kring.in_flight()), (3, 0));
        let first = kring.position(0);
        kring.take(2);
        assert_eq!((kring.ready(), kring.in_flight()), (1, 2));
        assert_eq!(kring.in_flight_position(0), first);
        kring.end();
        assert_eq!(
            memory.load_tail(),
            (head + 4 - 3 + 3) % 4,
            "nothing is given back"
        );
        kring.finish(1);
        assert_eq!(kring.in_flight_position(0), (first + 1) % 4);
        kring.end();
        assert!(
            kring.begin().is_ok(),
            "the user has one slot, and leaves it"
        );
        kring.take(1);
        kring.finish(2);
        assert_eq!((kring.ready(), kring.in_flight()), (0, 0));
        kring.end();
        assert_eq!(memory.load_tail(), (head + 3) % 4, "all but one slot");
    }
}
