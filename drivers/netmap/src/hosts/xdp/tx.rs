//! The far side of a transmit ring: each slot is a descriptor, and is given back when the kernel
//! says that its bytes are sent.
//!
//! ```text
//!        hwtail + 1            hwcur              rhead
//!   ───────┼── in flight ────────┼── to be sent ────┼──────
//!          └ given back in this order, whichever is finished first
//! ```

use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec;

use super::counters::Counters;
use super::rings::{Consumer, Desc};
use super::send::Sender;
use super::{Calls, Umem};
use crate::abi::SlotFlags;
use crate::{FarSide, Gone, Kring};

/// The far side of a transmit ring.
pub struct XdpTx<C: Calls> {
    calls: Rc<C>,
    counters: Rc<Counters>,
    umem: Umem,
    kring: Kring<'static>,
    sender: Rc<RefCell<Sender<C>>>,
    completion: Consumer<u64>,
    /// What was sent from each slot in flight.
    in_flight: Box<[InFlight]>,
}

/// A slot that the kernel is sending.
#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    addr: u64,
    is_done: bool,
}

impl<C: Calls> XdpTx<C> {
    /// A ring over two that nobody has used yet, each at least as large.
    pub(super) fn new(
        calls: Rc<C>,
        counters: Rc<Counters>,
        umem: Umem,
        kring: Kring<'static>,
        (sender, completion): (Rc<RefCell<Sender<C>>>, Consumer<u64>),
    ) -> Self {
        let in_flight = vec![InFlight::default(); kring.num_slots() as usize];
        Self {
            calls,
            counters,
            umem,
            kring,
            sender,
            completion,
            in_flight: in_flight.into_boxed_slice(),
        }
    }

    /// Hands the kernel what the user has published.
    #[inline]
    fn hand_over(&mut self) {
        let mut sender = self.sender.borrow_mut();
        sender.tx.learn();
        let mut cnt = 0;
        // The ring has room for all slots. A burst is whole packets (`Kring`).
        while cnt < self.kring.ready() && sender.tx.room() > 0 {
            let position = self.kring.position(cnt);
            let slot = self.kring.slot(position);
            // The name as it was checked; bytes that are not in the buffer are cut off.
            let offset = self.kring.offset(&slot).min(self.umem.buf_size.into());
            let room = u64::from(self.umem.buf_size) - offset;
            let addr = self.umem.addr(self.kring.buf_idx(position), offset);
            sender.tx.push(Desc {
                addr,
                len: room.min(slot.len.into()) as u32,
                has_more: slot.flags.contains(SlotFlags::MOREFRAG),
            });
            self.in_flight[position] = InFlight {
                addr,
                is_done: false,
            };
            cnt += 1;
        }
        self.kring.take(cnt);
        sender.tx.publish();
    }

    /// Takes note of what is sent, and gives slots back from the oldest on.
    #[inline]
    fn reap(&mut self) {
        let mut done_cnt = 0;
        // Bounded: no more than the ring has.
        for _ in 0..self.completion.learn() {
            let Some(addr) = self.completion.pop() else {
                break;
            };
            if !self.note_done(addr, done_cnt) {
                self.counters.bad_completions.note();
            }
            // As a rule in the order in which they were sent: then none is searched for.
            while self.is_done(done_cnt) {
                done_cnt += 1;
            }
        }
        self.completion.give_back();
        self.kring.finish(done_cnt);
    }

    /// Whether the `n`-th slot in flight is done.
    #[inline]
    fn is_done(&self, n: u32) -> bool {
        n < self.kring.in_flight() && self.in_flight[self.kring.in_flight_position(n)].is_done
    }

    /// The oldest slot in flight with these bytes is done, of those behind the first `done_cnt`;
    /// false when there is none. Content is sent from one address many times: any of them is as
    /// good.
    #[inline]
    fn note_done(&mut self, addr: u64, done_cnt: u32) -> bool {
        for n in done_cnt..self.kring.in_flight() {
            let slot = &mut self.in_flight[self.kring.in_flight_position(n)];
            if slot.addr == addr && !slot.is_done {
                slot.is_done = true;
                return true;
            }
        }
        false
    }
}

impl<C: Calls> FarSide for XdpTx<C> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        if self.calls.is_gone() {
            return Err(Gone);
        }
        if self.kring.begin().is_err() {
            self.counters.faults.note();
        }
        self.hand_over();
        let mut sender = self.sender.borrow_mut();
        sender.kick();
        let bad_indices = sender.tx.bad_index + self.completion.bad_index;
        drop(sender);
        self.counters.bad_tx_indices.set(bad_indices);
        self.reap();
        self.kring.end();
        match self.calls.is_gone() {
            true => Err(Gone),
            false => Ok(()),
        }
    }

    fn arm(&mut self) -> bool {
        let mut sender = self.sender.borrow_mut();
        let is_all_out = sender.kick();
        // Completions are nothing that one could be woken by: while frames are wanted we stay
        // awake for them, unless the interface is down.
        !is_all_out || (self.kring.in_flight() > 0 && !sender.is_down())
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
