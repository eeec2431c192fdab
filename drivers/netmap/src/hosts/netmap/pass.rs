//! What is not ours goes on between the NIC and the machine's own stack, buffer by buffer.
//!
//! ```text
//!   NIC rx ──► Rx ─ divert ─ theirs ──► host tx ──► Linux      the buffers of two slots
//!   NIC tx ◄── Tx ◄─ guest ──────────── host rx ◄── Linux      change places
//! ```
//!
//! The host's rings are bound with the NIC's, by one descriptor: each of its syncs is for both. A
//! frame that finds no slot is dropped and counted, as a NIC's queue would.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use simoom_ring::Cursor;

use crate::abi::{BUF_IDX_MIN, NetmapSlot, SlotFlags};
use crate::hosts::filter::{Filter, Verdict};
use crate::rx::{ETHERNET_LEN, fresh_cursor};
use crate::{Interface, RingMemory};

/// What has been passed on, counted.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// To the machine's own stack.
    pub(super) up: Cell<u64>,
    /// From it, to the wire.
    pub(super) down: Cell<u64>,
    /// To both stacks, by a copy.
    pub(super) copied: Cell<u64>,
    /// To the machine's stack, whose ring was full.
    pub(super) dropped: Cell<u64>,
}

/// What both directions have in common.
#[derive(Clone, Default)]
pub(super) struct Passing {
    pub(super) filter: Rc<RefCell<Filter>>,
    pub(super) passed: Rc<Passed>,
}

/// A ring of the host's, with the buffers that are in its slots: ours to exchange, whatever the
/// slots say.
pub(super) struct HostRing {
    interface: Interface,
    memory: RingMemory,
    cursor: Cursor,
    bufs: Vec<u32>,
    passing: Passing,
}

impl HostRing {
    /// A ring that was just bound; `None` when it makes no sense.
    pub(super) fn new(interface: Interface, memory: RingMemory, passing: Passing) -> Option<Self> {
        let bufs = (0..memory.num_slots() as usize).map(|idx| {
            let buf_idx = memory.slot(idx).buf_idx;
            (BUF_IDX_MIN..interface.bufs_cnt())
                .contains(&buf_idx)
                .then_some(buf_idx)
        });
        Some(Self {
            interface,
            memory,
            cursor: fresh_cursor(&memory)?,
            bufs: bufs.collect::<Option<_>>()?,
            passing,
        })
    }

    /// Takes over what the kernel has given; a tail that makes no sense is not believed.
    fn learn(&mut self) {
        // The ring is stuck then, and what is passed on is dropped: no frame of ours is in it.
        let _ = self.cursor.learn(self.memory.load_tail());
    }

    /// To the host: a frame in a buffer of the NIC's, for which another is given.
    #[inline]
    pub(super) fn divert(&mut self, frame: &[u8], buf_idx: u32) -> Option<u32> {
        let verdict = self.passing.filter.borrow().judge(frame);
        match verdict {
            Verdict::Ours => None,
            Verdict::Both => {
                if let Some(idx) = self.next_slot() {
                    self.copy(frame, idx);
                    count(&self.passing.passed.copied);
                }
                None
            }
            // Dropped in its own buffer, if there is no slot.
            Verdict::Theirs => Some(self.next_slot().map_or(buf_idx, |idx| {
                let given = core::mem::replace(&mut self.bufs[idx], buf_idx);
                self.write(idx, frame.len());
                count(&self.passing.passed.up);
                given
            })),
        }
    }

    /// A slot of a transmit ring.
    fn next_slot(&mut self) -> Option<usize> {
        if self.cursor.space() == 0 {
            self.learn();
        }
        let slot = self.cursor.take();
        if slot.is_none() {
            count(&self.passing.passed.dropped);
        }
        slot.map(|slot| slot.get())
    }

    /// Copies a frame into a slot's own buffer.
    fn copy(&self, frame: &[u8], idx: usize) {
        let buf_size = usize::from(self.interface.buf_size());
        let len = frame.len().min(buf_size);
        let at = self.interface.bufs_at() + self.bufs[idx] as usize * buf_size;
        let Some(to) = self.interface.region().address(at, len, 1) else {
            return;
        };
        let from = core::ptr::NonNull::from(frame).cast();
        // SAFETY: a buffer in a slot of ours, which nobody else has; the frame is in another.
        unsafe { to.copy_from_nonoverlapping(from, len) };
        self.write(idx, len);
    }

    fn write(&self, idx: usize, len: usize) {
        let slot = NetmapSlot {
            buf_idx: self.bufs[idx],
            // Within a buffer, whose size is a u16.
            len: len as u16,
            flags: SlotFlags::BUF_CHANGED,
            ptr: 0,
        };
        self.memory.set_slot(idx, slot);
    }

    /// Whether there is something that [`publish`](Self::publish) would give to the kernel.
    #[inline]
    pub(super) fn has_pending(&self) -> bool {
        self.cursor.pending() > 0
    }

    /// Gives the kernel what is finished. It is not to wake us for what is left.
    pub(super) fn publish(&mut self) {
        self.memory.store_head(self.cursor.publish());
        if self.cursor.space() > 0 {
            self.memory.store_cur(self.cursor.tail());
        }
    }

    /// From the host: whether there are frames.
    #[inline]
    pub(super) fn has_frames(&mut self) -> bool {
        self.learn();
        self.cursor.space() > 0
    }

    /// The next one, whose buffer `spare` takes the place of.
    pub(super) fn take(&mut self, spare: u32) -> Option<(u32, u16)> {
        // What is no frame stays in its slot: no more than there are slots.
        while let Some(slot) = self.cursor.take() {
            let idx = slot.get();
            let len = self.memory.slot(idx).len;
            if (ETHERNET_LEN..=usize::from(self.interface.buf_size())).contains(&len.into()) {
                let buf_idx = core::mem::replace(&mut self.bufs[idx], spare);
                self.write(idx, 0);
                count(&self.passing.passed.down);
                return Some((buf_idx, len));
            }
            self.write(idx, 0);
        }
        None
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
