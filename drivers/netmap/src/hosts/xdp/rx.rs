//! The far side of a receive ring: empty slots go to the fill ring, filled buffers come back.
//!
//! ```text
//!              hwtail                  given                hwcur - 1
//!   ── ready ───┼── with the kernel ────┼── to be given ─────┼──
//!               └ a buffer that comes back out of its turn changes places with this slot's
//! ```

use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec;

use super::counters::Counters;
use super::rings::{Consumer, Desc, Producer};
use super::send::Sender;
use super::{Calls, Umem};
use crate::abi::{NetmapSlot, SlotFlags};
use crate::{FarSide, Gone, Kring};

/// The far side of a receive ring.
pub struct XdpRx<C: Calls> {
    calls: Rc<C>,
    counters: Rc<Counters>,
    umem: Umem,
    kring: Kring<'static>,
    fill: Producer<u64>,
    rx: Consumer<Desc>,
    /// The slot in which each buffer was given to the kernel.
    slot_of: Box<[u32]>,
    /// Slots from `hwtail` on whose buffers the kernel has.
    given_cnt: u32,
    /// What may wait to be sent when the loop wants to sleep.
    sender: Rc<RefCell<Sender<C>>>,
}

impl<C: Calls> XdpRx<C> {
    /// A ring over two that nobody has used yet, each at least as large.
    pub(super) fn new(
        calls: Rc<C>,
        counters: Rc<Counters>,
        umem: Umem,
        kring: Kring<'static>,
        (fill, rx): (Producer<u64>, Consumer<Desc>),
        sender: Rc<RefCell<Sender<C>>>,
    ) -> Self {
        let slot_of = vec![u32::MAX; umem.bufs_cnt as usize];
        let mut new = Self {
            calls,
            counters,
            umem,
            kring,
            fill,
            rx,
            slot_of: slot_of.into_boxed_slice(),
            given_cnt: 0,
            sender,
        };
        // From now on frames come in, also before the first sync.
        new.give();
        new
    }

    /// Gives the kernel the buffers of empty slots.
    #[inline]
    fn give(&mut self) {
        self.fill.learn();
        while self.given_cnt < self.kring.ready() && self.fill.room() > 0 {
            let position = self.kring.position(self.given_cnt);
            let buf_idx = self.kring.buf_idx(position);
            // `Kring` has checked the name.
            self.slot_of[buf_idx as usize] = position as u32;
            self.fill.push(self.umem.addr(buf_idx, 0));
            self.given_cnt += 1;
        }
        if self.fill.publish() && self.fill.needs_wakeup() {
            self.counters.fill_wakeups.note();
            self.calls.wake_fill();
        }
    }

    /// Takes what the kernel has filled.
    #[inline]
    fn take(&mut self) {
        // Bounded: no more than the ring has.
        for _ in 0..self.rx.learn() {
            let Some(desc) = self.rx.pop() else { break };
            match self.checked(desc) {
                Some((position, slot)) => self.put(position, slot),
                None => self.counters.bad_descs.note(),
            }
        }
        self.rx.give_back();
    }

    /// The slot of a descriptor's buffer, and what is in it; `None` when the kernel does not have
    /// that buffer, or the bytes are not all in it.
    #[inline]
    fn checked(&self, desc: Desc) -> Option<(usize, NetmapSlot)> {
        let Desc {
            addr,
            len,
            has_more,
        } = desc;
        let (buf_idx, offset) = self.umem.place(addr)?;
        let len = u16::try_from(len).ok()?;
        let end = offset.checked_add(len.into())?;
        let position = *self.slot_of.get(buf_idx as usize)?;
        let is_given = (position < self.kring.num_slots())
            && self.kring.ready_idx(position) < self.given_cnt
            && self.kring.buf_idx(position as usize) == buf_idx;
        let slot = NetmapSlot {
            buf_idx,
            len,
            flags: match has_more {
                true => SlotFlags::MOREFRAG,
                false => SlotFlags::NONE,
            },
            ptr: offset.into(),
        };
        (is_given && end <= u32::from(self.umem.buf_size)).then_some((position as usize, slot))
    }

    /// Makes a filled buffer the next slot's.
    #[inline]
    fn put(&mut self, position: usize, slot: NetmapSlot) {
        let next = self.kring.position(0);
        if position != next {
            let buf_idx = self.kring.buf_idx(next);
            let empty = NetmapSlot {
                buf_idx,
                ..NetmapSlot::default()
            };
            self.kring.write(position, empty);
            self.slot_of[buf_idx as usize] = position as u32;
        }
        self.slot_of[slot.buf_idx as usize] = u32::MAX;
        self.kring.write(next, slot);
        self.kring.advance(1);
        self.given_cnt -= 1;
        self.counters.received.note();
    }
}

impl<C: Calls> FarSide for XdpRx<C> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        if self.calls.is_gone() {
            return Err(Gone);
        }
        if self.kring.begin().is_err() {
            self.counters.faults.note();
        }
        self.give();
        self.take();
        self.kring.end();
        let bad_indices = self.fill.bad_index + self.rx.bad_index;
        self.counters.bad_rx_indices.set(bad_indices);
        Ok(())
    }

    /// A poll is answered by what is in the ring then: there is nothing to be set.
    fn arm(&mut self) -> bool {
        let mut sender = self.sender.borrow_mut();
        let is_early = !sender.kick() || sender.expects_more();
        is_early || self.calls.is_gone() || self.rx.learn() > 0
    }

    fn reset(&mut self) -> Result<(), Gone> {
        if self.calls.is_gone() {
            return Err(Gone);
        }
        self.kring.rewrite();
        Ok(())
    }

    fn stop(&mut self) {
        self.calls.end();
    }
}
