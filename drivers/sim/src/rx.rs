//! The receive ring.
//!
//! ```text
//!   rx_slots =  posted (lent to the device)  +  ready (filled)  +  empty, until the next sync
//!                    │ a frame arrives                ▲   │ recv          ▲
//!                    └──────────── sync ──────────────┘   └───────────────┘
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use simoom_ring::{Frame, FrameIdx, FramePool, FrameQueue, RxPacket, RxRing};

use crate::medium::{Arrived, Medium, Rx};
use crate::{End, PortConfig};

/// The receive half of a [`SimQueue`](crate::SimQueue).
pub struct SimRx<'p> {
    medium: Rc<RefCell<Medium>>,
    end: End,
    config: PortConfig,
    pool: &'p FramePool<'p>,
    posted: VecDeque<FrameIdx>,
    ready: VecDeque<RxPacket<'p>>,
    /// Slots whose frames are in `ready`.
    ready_slots: usize,
}

impl<'p> SimRx<'p> {
    pub(crate) fn new(
        medium: Rc<RefCell<Medium>>,
        end: End,
        config: PortConfig,
        pool: &'p FramePool<'p>,
    ) -> Self {
        Self {
            medium,
            end,
            config,
            pool,
            posted: VecDeque::new(),
            ready: VecDeque::new(),
            ready_slots: 0,
        }
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts frames into empty slots, as far as the pool has any.
    pub(crate) fn refill(&mut self) {
        let empty = self.config.rx_slots - self.posted.len() - self.ready_slots;
        for _ in 0..empty {
            let Some(frame) = self.pool.alloc(0) else {
                break;
            };
            self.posted.push_back(frame.lend());
        }
        if let Rx::Ring(slots) = &mut self.medium.borrow_mut().end_mut(self.end).rx {
            slots.posted = self.posted.len();
            slots.unfilled = self.config.rx_slots - self.posted.len() - self.ready_slots;
        }
    }

    /// Writes an arrived packet into posted frames: what a device would have done by itself.
    fn fill(&mut self, arrived: &Arrived, caps: (usize, usize)) {
        let (first_cap, rest_cap) = caps;
        let first_len = first_cap.min(arrived.bytes.len());
        let (first, mut left) = arrived.bytes.split_at(first_len);
        let frame = self.fill_frame(usize::from(self.config.headroom), first);
        let mut rest = FrameQueue::new(self.pool);
        while !left.is_empty() {
            let (piece, after) = left.split_at(rest_cap.min(left.len()));
            rest.push_back(self.fill_frame(0, piece), 0);
            left = after;
        }
        self.ready_slots += 1 + rest.frames();
        self.ready.push_back(RxPacket {
            frame,
            rest,
            csum: arrived.csum,
            gso_size: arrived.gso_size,
        });
    }

    fn fill_frame(&mut self, start: usize, bytes: &[u8]) -> Frame<'p> {
        // The medium accepts no more than it has slots for, nor more than fits into them, and a
        // frame in a slot is lent to nobody else.
        let mut frame = self
            .posted
            .pop_front()
            .and_then(|idx| self.pool.take_back(idx, start, bytes.len()))
            .expect("an accepted packet has its slots");
        frame.bytes_mut().copy_from_slice(bytes);
        frame
    }
}

impl<'p> RxRing<'p> for SimRx<'p> {
    fn sync(&mut self) -> usize {
        loop {
            let mut medium = self.medium.borrow_mut();
            let end = medium.end_mut(self.end);
            end.is_armed = false;
            end.is_interrupted = false;
            let Some(arrived) = end.take_arrived() else {
                break;
            };
            let Rx::Ring(slots) = &end.rx else {
                break;
            };
            let caps = (slots.first_cap, slots.rest_cap);
            drop(medium);
            self.fill(&arrived, caps);
        }
        self.refill();
        self.ready.len()
    }

    fn recv(&mut self) -> Option<RxPacket<'p>> {
        let packet = self.ready.pop_front()?;
        self.ready_slots -= 1 + packet.rest.frames();
        Some(packet)
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl Drop for SimRx<'_> {
    fn drop(&mut self) {
        for idx in self.posted.drain(..) {
            self.pool.give_back(idx);
        }
    }
}
