//! A far side that does anything at all, as a program of bytes has it: tails, heads and slots that
//! are right or not, resets that lie, an end at any time. Nothing may panic or read what is not
//! there; a frame never has two owners; at the end all frames are home.
//!
//! The fuzz target of `drivers/netmap/fuzz` calls [`ring`], and so do the tests.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::vec::Vec;

use super::memory::pages;
use crate::abi::{NetmapSlot, SlotFlags};
use crate::{
    Buffers, FarSide, Gone, Host, Interface, Memory, NetmapPort, Plan, Region, RingKind,
    RingMemory, RxShadow, Traits, TxShadow, Violation,
};
use core::ptr::NonNull;

use simoom_ring::{
    Fragment, Frame, FrameMeta, LinkState, MacAddr, Port, Queue, RxRing, TxOffload, TxPacket,
    TxRing,
};

/// The program, read from the front; zeros behind its end.
type Program = Rc<RefCell<std::collections::VecDeque<u8>>>;

fn next(program: &Program) -> u8 {
    program.borrow_mut().pop_front().unwrap_or(0)
}

struct Liar {
    memory: RingMemory,
    is_tx: bool,
    program: Program,
    bufs_cnt: u32,
}

impl Liar {
    /// A number that is often, but not always, one of the ring's.
    fn number(&self, below: u32) -> u32 {
        match next(&self.program) {
            n @ 0..=239 => u32::from(n) % below,
            240 => u32::MAX,
            241 => below,
            n => u32::from(n) << 24,
        }
    }

    /// What a device in order would do.
    fn do_work(&self) {
        let num_slots = self.memory.num_slots();
        let indices = self.memory.load_indices();
        if self.is_tx {
            let tail = (indices.head.wrapping_add(num_slots) - 1) % num_slots;
            return self.memory.store_tail(tail);
        }
        let tail = indices.tail % num_slots;
        let after = (tail + 1) % num_slots;
        if after != indices.head {
            let mut slot = self.memory.slot(tail as usize);
            slot.len = 60;
            slot.flags = SlotFlags::NONE;
            self.memory.set_slot(tail as usize, slot);
            self.memory.store_tail(after);
        }
    }

    fn write_slot(&self) {
        let idx = self.number(self.memory.num_slots()) % self.memory.num_slots();
        let mut slot = self.memory.slot(idx as usize);
        match next(&self.program) % 5 {
            0 => slot.buf_idx = self.number(self.bufs_cnt),
            1 => slot.len = u16::from(next(&self.program)) * 257,
            2 => slot.flags = SlotFlags(next(&self.program).into()),
            3 => slot.ptr = u64::from(next(&self.program)) << (next(&self.program) % 64),
            _ => slot = NetmapSlot::default(),
        }
        self.memory.set_slot(idx as usize, slot);
    }
}

impl FarSide for Liar {
    fn sync(&mut self) -> Result<(), Gone> {
        for _ in 0..next(&self.program) % 4 {
            match next(&self.program) % 16 {
                0..=7 => self.do_work(),
                8..=11 => self.write_slot(),
                12 => self.memory.store_tail(self.number(self.memory.num_slots())),
                13 => self.memory.store_head(self.number(self.memory.num_slots())),
                14 if next(&self.program).is_multiple_of(8) => return Err(Gone),
                _ => {}
            }
        }
        Ok(())
    }

    fn arm(&mut self) -> bool {
        next(&self.program).is_multiple_of(2)
    }

    fn reset(&mut self) -> Result<(), Gone> {
        match next(&self.program) {
            0..=9 => return Err(Gone),
            10..=19 => self.memory.store_tail(u32::MAX),
            20..=99 => self.memory.store_head(self.number(self.memory.num_slots())),
            _ => {
                let head = self.number(self.memory.num_slots()) % self.memory.num_slots();
                self.memory.store_head(head);
                let tail = self.number(self.memory.num_slots()) % self.memory.num_slots();
                self.memory.store_tail(tail);
            }
        }
        Ok(())
    }

    fn divert(&mut self, _frame: &[u8], buf_idx: u32) -> Option<u32> {
        match next(&self.program) % 16 {
            0 => Some(buf_idx),
            1 => Some(self.number(self.bufs_cnt)),
            _ => None,
        }
    }

    fn has_guests(&mut self) -> bool {
        next(&self.program).is_multiple_of(8)
    }

    fn guest(&mut self, spare: u32) -> Option<(u32, u16)> {
        let buf_idx = match next(&self.program) % 4 {
            0 => return None,
            1 => self.number(self.bufs_cnt),
            _ => spare,
        };
        Some((buf_idx, u16::from(next(&self.program))))
    }

    fn stop(&mut self) {}
}

struct LiarHost {
    interface: Interface,
    program: Program,
    traits: Traits,
}

impl Host for LiarHost {
    type Rx = Liar;
    type Tx = Liar;

    fn traits(&self) -> Traits {
        self.traits
    }

    fn mac(&self) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, 1])
    }

    fn link(&mut self) -> LinkState {
        LinkState::Up
    }

    fn far_sides(&mut self, idx: u16) -> Option<(Liar, Liar)> {
        let side = |kind, is_tx| {
            Some(Liar {
                memory: self.interface.ring(kind, idx.into()).ok()?,
                is_tx,
                program: Rc::clone(&self.program),
                bufs_cnt: self.interface.bufs_cnt(),
            })
        };
        Some((side(RingKind::Rx, false)?, side(RingKind::Tx, true)?))
    }
}

/// What a run has shown, so that the tests can tell that the lies arrive.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) violations: Vec<Violation>,
    pub(super) received: u64,
    pub(super) finished: u64,
}

/// Runs a program against a port.
pub(super) fn ring(bytes: &[u8]) -> Seen {
    let program: Program = Rc::new(RefCell::new(bytes.iter().copied().collect()));
    let kind = next(&program);
    let plan = Plan {
        ports: 1,
        rings: 1,
        tx_slots: [8, 2, 3, 16][usize::from(kind) % 4],
        rx_slots: [4, 2, 7, 16][usize::from(kind >> 2) % 4],
        extra_bufs: 12,
        content_bufs: 0,
        buf_size: 128,
        has_offsets: kind & 0x10 != 0,
    };
    // All of this function's own: a fuzzer calls it for hours.
    let mut pages = pages(plan.byte_len().expect("a small plan"));
    let pages_len = size_of_val(&pages[..]);
    // SAFETY: memory that nothing else refers to, and that all who know of the region are outlived
    // by: nothing of it leaves this function.
    let region = unsafe { Region::new(NonNull::from(&mut pages[..]).cast(), pages_len) };
    let region = region.expect("pages are aligned");
    plan.lay_out(region).expect("room for the plan");
    let interface = Interface::new(region, 0).expect("as laid out");
    let metas = (0..interface.bufs_cnt()).map(|_| FrameMeta::new());
    let mut metas: Vec<_> = metas.collect();
    // SAFETY: the one pool over this region.
    let pool = unsafe { interface.pool(&mut metas) };
    let pool = &pool;
    let mut shadows = ([RxShadow::default(); 16], [TxShadow::default(); 16]);
    let memory = Memory {
        rx: &mut shadows.0,
        tx: &mut shadows.1,
    };
    let content = interface
        .adopt_extra(pool, u32::MAX, 256)
        .expect("in order");
    let mut traits = Traits {
        mtu: 100,
        chain_max: 64,
        ..Traits::PLAIN
    };
    traits.rx_large = kind & 0x20 != 0;
    traits.hdr_len = if kind & 0x40 != 0 { 12 } else { 0 };
    if kind & 0x80 != 0 {
        traits.buffers = Buffers::Move;
    }
    let host = LiarHost {
        interface,
        program: Rc::clone(&program),
        traits,
    };
    let mut port = NetmapPort::new(interface, host, memory, content).expect("in order");
    let placed = port.place(b"0123456789").expect("room");
    let mut queue = port.queue(0, pool).expect("in order");
    let headroom: usize = port.caps().headroom.into();
    let mut held: Vec<Frame<'_>> = Vec::new();
    while !program.borrow().is_empty() {
        let op = next(&program);
        let (rx, tx) = queue.rings();
        match op % 8 {
            0 | 1 => drop(rx.sync()),
            2 => tx.sync(),
            3 | 4 => {
                if let Some(mut packet) = rx.recv() {
                    packet.frame.bytes_mut().fill(op);
                    held.push(packet.frame);
                    held.extend(core::iter::from_fn(|| packet.rest.pop_front()));
                }
            }
            5 | 6 => {
                if let Some(mut frame) = pool.alloc(headroom + usize::from(op >> 6)) {
                    frame.append(&[op; 60]).expect("room");
                    let mut packet = TxPacket::new(frame, TxOffload::default());
                    if port.caps().fragments_max > 1 {
                        let slice = Fragment::Content(&placed[..usize::from(op >> 5)]);
                        packet.append(slice).expect("the first");
                    }
                    drop(tx.send(packet));
                }
            }
            _ => {
                let _either = queue.arm();
                held.clear();
            }
        }
        let names: BTreeSet<_> = held.iter().map(Frame::idx).collect();
        assert_eq!(names.len(), held.len(), "a frame with two owners");
    }
    assert_eq!(placed, b"0123456789", "nobody writes to content");
    let counters = queue.counters();
    drop(queue);
    drop(held);
    assert!(pool.all_home(), "{pool:?}");
    let last = [counters.rx.last_violation, counters.tx.last_violation];
    Seen {
        violations: last.into_iter().flatten().collect(),
        received: counters.rx.packets,
        finished: counters.tx.finished,
    }
}
