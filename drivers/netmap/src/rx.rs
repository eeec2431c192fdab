//! The receive ring: frames come out of their slots, spares go in at the next sync.
//!
//! ```text
//!       head = cur           next to receive            tail
//!          │ received, to be filled │ ready              │ the far side's: a frame lent in each
//!   ───────┼────────────────────────┼────────────────────┼──────────
//! ```
//!
//! A slot that a frame was taken from gets another at the next [`sync`](RxRing::sync), flagged
//! `NS_BUF_CHANGED`, and goes back to the far side. While the pool has none the slot stays here,
//! and the far side works with fewer.

use simoom_ring::{BadTail, Cursor, Frame, FrameIdx, FramePool, NetHdr, RxPacket, RxRing};

use crate::abi::{BUF_IDX_MIN, NetmapSlot, SlotFlags};
use crate::counters::RxCounters;
use crate::{Buffers, FarSide, Gone, RingMemory, Traits, Violation};

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;

/// What we know of a receive slot. The embedder provides one for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct RxShadow {
    /// The frame that is lent in it, or was given away in it.
    frame: Option<FrameIdx>,
}

/// The receive half of a queue pair.
pub struct Rx<'m, 'p, F: FarSide> {
    pub(crate) far: F,
    pub(crate) memory: RingMemory,
    pub(crate) pool: &'p FramePool<'p>,
    shadow: &'m mut [RxShadow],
    cursor: Cursor,
    traits: Traits,
    /// Slots from `cur` on whose frames have been taken.
    received_cnt: u32,
    /// Packets that end in ready slots, as far as their flags were seen.
    ready_cnt: u32,
    violation: Option<Violation>,
    is_gone: bool,
    pub(crate) counters: RxCounters,
}

impl<'m, 'p, F: FarSide> Rx<'m, 'p, F> {
    /// Takes over a ring as it was bound, with the buffers in its slots; `None` when its indices
    /// or buffers make no sense, or the shadow is too short.
    pub(crate) fn new(
        far: F,
        memory: RingMemory,
        pool: &'p FramePool<'p>,
        shadow: &'m mut [RxShadow],
        traits: Traits,
    ) -> Option<Self> {
        let cursor = fresh_cursor(&memory)?;
        let shadow = shadow.get_mut(..memory.num_slots() as usize)?;
        let mut rx = Self {
            far,
            memory,
            pool,
            shadow,
            cursor,
            traits,
            received_cnt: 0,
            ready_cnt: 0,
            violation: None,
            is_gone: false,
            counters: RxCounters::default(),
        };
        for idx in 0..rx.shadow.len() {
            let buf_idx = FrameIdx(rx.memory.slot(idx).buf_idx);
            // Where they do not stay these are the far side's, until they come in with a packet.
            let is_sound = match traits.buffers {
                Buffers::Stay => pool.adopt_lent(buf_idx),
                Buffers::Shuffle | Buffers::Move => true,
            };
            if buf_idx.0 < BUF_IDX_MIN || !is_sound {
                rx.far.stop();
                rx.release();
                return None;
            }
            rx.shadow[idx].frame = Some(buf_idx);
        }
        let ready = rx.cursor.space();
        rx.count_ready(rx.cursor.cur(), ready);
        Some(rx)
    }

    /// Whether the far side has given the ring up, or the ring the far side.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Asks to be woken; whether there is work already.
    pub(crate) fn arm(&mut self) -> bool {
        if self.is_gone {
            return false;
        }
        self.ready_cnt > 0 || self.violation.is_some() || self.far.arm()
    }

    /// Slots that have a frame of ours.
    pub(crate) fn filled_cnt(&self) -> u32 {
        self.memory.num_slots().saturating_sub(self.missing_cnt())
    }

    /// Slots that wait for a frame.
    pub(crate) fn missing_cnt(&self) -> u32 {
        self.received_cnt
    }

    /// Sends the frames that are lent in slots home. The far side has stopped.
    pub(crate) fn release(&mut self) {
        for idx in 0..self.shadow.len() {
            let Some(lent) = self.shadow[idx].frame.take() else {
                continue;
            };
            match self.traits.buffers {
                Buffers::Stay => self.pool.give_back(lent),
                Buffers::Shuffle => adopt(self.pool, self.memory.slot(idx).buf_idx),
                // Given away, or not taken over yet: whichever is in the slot stays there.
                Buffers::Move => {
                    self.shadow[idx].frame = Some(lent);
                    true
                }
            };
        }
        self.is_gone = true;
    }

    /// Leaves a buffer of its own in each slot, for the far side to free: no frame any more. One
    /// that moves and is not ours is there already.
    pub(crate) fn leave(&mut self) {
        for idx in 0..self.shadow.len() {
            if self.shadow[idx].frame.is_none() {
                leave_slot(&self.memory, idx, self.pool);
            }
        }
    }

    /// Gives received slots a spare each and publishes them.
    #[inline]
    fn refill(&mut self) {
        while self.received_cnt > 0 {
            // One that was diverted has left another buffer in its slot.
            let idx = self.cursor.cur() as usize;
            if self.shadow[idx].frame.is_none() {
                let Some(frame) = self.pool.alloc(0) else {
                    self.counters.pool_empty += 1;
                    break;
                };
                self.fill(idx, frame);
            }
            let slot = self.cursor.take();
            assert!(slot.is_some(), "received slots lie in front of tail");
            self.received_cnt -= 1;
        }
        if self.cursor.pending() > 0 {
            self.memory.store_head(self.cursor.publish());
        }
    }

    #[inline]
    fn fill(&mut self, idx: usize, frame: Frame<'p>) {
        let frame = match self.traits.buffers {
            Buffers::Stay => frame.lend(),
            // Given away: it may come back in whichever slot, where they move by any ring.
            Buffers::Shuffle | Buffers::Move => frame.forsake(),
        };
        let slot = NetmapSlot {
            buf_idx: frame.0,
            len: 0,
            flags: SlotFlags::BUF_CHANGED,
            ptr: 0,
        };
        self.memory.set_slot(idx, slot);
        self.shadow[idx].frame = Some(frame);
    }

    /// Counts the packets that end in `cnt` slots from `from` on.
    #[inline]
    fn count_ready(&mut self, from: u32, cnt: u32) {
        let mut idx = from;
        for _ in 0..cnt {
            let flags = self.memory.slot(idx as usize).flags;
            self.ready_cnt += u32::from(!flags.contains(SlotFlags::MOREFRAG));
            idx = after(idx, self.memory.num_slots());
        }
    }

    /// Takes the frame out of the next ready slot: its bytes, and whether more slots follow.
    #[inline(always)]
    fn take(&mut self) -> Result<(Frame<'p>, bool), Violation> {
        if self.received_cnt >= self.cursor.space() {
            return Err(Violation::Chain);
        }
        let idx = self.cursor.cur() + self.received_cnt;
        let idx = wrapped(idx, self.memory.num_slots());
        // Read once; what is looked at below is our copy.
        let slot = self.memory.slot(idx as usize);
        self.received_cnt += 1;
        self.prefetch_behind(idx);
        let lent = self.shadow[idx as usize].frame.take();
        // Every slot that the far side has holds a frame; a reset may have found one that does not.
        let lent = lent.ok_or(Violation::BufIdx)?;
        let seen = FrameIdx(slot.buf_idx);
        let (offset, len) = (self.memory.offset(&slot), slot.len.into());
        let frame = match self.traits.buffers {
            Buffers::Stay if seen == lent => self.pool.take_back(seen, offset, len),
            Buffers::Stay => None,
            // Nobody's, as far as we know: then it is ours from now on.
            Buffers::Shuffle | Buffers::Move if seen.0 >= BUF_IDX_MIN => {
                self.pool.adopt_filled(seen, offset, len)
            }
            Buffers::Shuffle | Buffers::Move => None,
        };
        match frame {
            Some(frame) => Ok((frame, slot.flags.contains(SlotFlags::MOREFRAG))),
            None => Err(self.refuse(lent, seen)),
        }
    }

    /// Has the headers in the slot behind `idx` fetched meanwhile, if a packet is ready there.
    #[inline(always)]
    fn prefetch_behind(&self, idx: u32) {
        if self.ready_cnt > 0 {
            let idx = after(idx, self.memory.num_slots());
            let slot = self.memory.slot(idx as usize);
            let offset = self.memory.offset(&slot);
            self.pool.prefetch(FrameIdx(slot.buf_idx), offset);
        }
    }

    /// What is wrong with a slot that `seen` was in, and `lent` should have been. What is ours of
    /// the two goes home.
    #[cold]
    fn refuse(&mut self, lent: FrameIdx, seen: FrameIdx) -> Violation {
        let is_due = match self.traits.buffers {
            Buffers::Stay => seen == lent,
            Buffers::Shuffle | Buffers::Move => seen.0 >= BUF_IDX_MIN && self.pool.adopt_lent(seen),
        };
        if is_due || self.traits.buffers == Buffers::Stay {
            self.pool.give_back(if is_due { seen } else { lent });
        }
        match is_due {
            true => Violation::Len,
            false => Violation::BufIdx,
        }
    }

    /// Takes the slots of a packet of several, behind its first frame.
    #[cold]
    fn take_rest(&mut self, frame: Frame<'p>) -> Result<RxPacket<'p>, Violation> {
        let mut packet = RxPacket::plain(frame);
        // No longer than the ring: `take` ends at its tail.
        loop {
            let (frame, has_more) = self.take()?;
            if !frame.is_empty() {
                packet.rest.push_back(frame, 0);
            }
            if !has_more {
                return Ok(packet);
            }
        }
    }

    /// Lets the far side have the packet of one frame that was just taken, if it is not ours.
    #[inline]
    fn divert(&mut self, frame: Frame<'p>) -> Option<Frame<'p>> {
        let other = match frame.headroom() {
            0 => self.far.divert(frame.bytes(), frame.idx().0),
            _ => None,
        };
        match other {
            None => Some(frame),
            Some(other) => {
                self.diverted(frame, other);
                None
            }
        }
    }

    /// The far side has taken a frame, and given another buffer for it.
    fn diverted(&mut self, frame: Frame<'p>, other: u32) {
        let at = self.cursor.cur() + self.received_cnt - 1;
        let idx = wrapped(at, self.memory.num_slots()) as usize;
        // Theirs from now on, and ours what they have given.
        frame.forsake();
        if self.traits.buffers == Buffers::Stay && !self.pool.adopt_lent(FrameIdx(other)) {
            return self.break_off(Violation::BufIdx);
        }
        let slot = NetmapSlot {
            buf_idx: other,
            len: 0,
            flags: SlotFlags::BUF_CHANGED,
            ptr: 0,
        };
        self.memory.set_slot(idx, slot);
        self.shadow[idx].frame = Some(FrameIdx(other));
        self.counters.diverted += 1;
    }

    /// A packet of one frame, where there is no header to be read: `None` if it is too short.
    #[inline]
    fn accept_plain(&mut self, frame: Frame<'p>) -> Option<RxPacket<'p>> {
        if frame.len() < ETHERNET_LEN {
            self.counters.dropped_short += 1;
            return None;
        }
        self.counters.packets += 1;
        Some(RxPacket::plain(frame))
    }

    /// Reads and takes off the virtio-net header; `None` for a packet to drop, counted.
    #[inline(never)]
    fn accept(&mut self, mut packet: RxPacket<'p>) -> Option<RxPacket<'p>> {
        let hdr_len = usize::from(self.traits.hdr_len);
        if packet.frame.len() < hdr_len + ETHERNET_LEN {
            self.counters.dropped_short += 1;
            return None;
        }
        if !packet.rest.is_empty() && !self.traits.rx_large {
            self.counters.dropped_header += 1;
            return None;
        }
        if hdr_len > 0 {
            let frame_len = packet.frame_len() - hdr_len;
            let header = NetHdr::parse(packet.frame.bytes())
                .and_then(|header| header.for_rx(frame_len, self.traits.agreed()));
            let Some((csum, gso_size)) = header else {
                self.counters.dropped_header += 1;
                return None;
            };
            packet.frame.pull(hdr_len);
            (packet.csum, packet.gso_size) = (csum, gso_size);
        }
        self.counters.packets += 1;
        self.counters.large += u64::from(!packet.rest.is_empty());
        Some(packet)
    }

    /// The packet that was to be taken is lost.
    #[cold]
    fn violated(&mut self, violation: Violation) -> Option<RxPacket<'p>> {
        self.counters.dropped_violation += 1;
        self.break_off(violation);
        None
    }

    #[cold]
    fn break_off(&mut self, violation: Violation) {
        self.violation = Some(violation);
        self.ready_cnt = 0;
        self.counters.last_violation = Some(violation);
    }

    /// Agrees with the far side on the indices anew. Slots without a frame get one.
    #[cold]
    fn reset(&mut self) {
        self.counters.resets += 1;
        self.violation = None;
        self.ready_cnt = 0;
        self.received_cnt = 0;
        let Some(cursor) = agree_anew(&mut self.far, &self.memory) else {
            self.counters.last_violation = Some(Violation::Reset);
            self.is_gone = true;
            return;
        };
        self.cursor = cursor;
        for idx in 0..self.shadow.len() {
            if self.shadow[idx].frame.is_some() {
                continue;
            }
            match self.pool.alloc(0) {
                Some(frame) => self.fill(idx, frame),
                // The slot names a buffer that may be ours: none is better than that one.
                None => self.memory.set_slot(idx, NetmapSlot::default()),
            }
        }
        let ready = self.cursor.space();
        self.count_ready(self.cursor.cur(), ready);
    }
}

impl<'p, F: FarSide> RxRing<'p> for Rx<'_, 'p, F> {
    #[inline]
    fn sync(&mut self) -> usize {
        if self.is_gone {
            return 0;
        }
        if self.violation.is_some() {
            self.reset();
            return self.ready_cnt as usize;
        }
        self.refill();
        self.counters.syncs += 1;
        if self.far.sync().is_err() {
            self.is_gone = true;
        }
        let old_tail = self.cursor.tail();
        match self.cursor.learn(self.memory.load_tail()) {
            Ok(new_cnt) => self.count_ready(old_tail, new_cnt),
            Err(BadTail { .. }) => self.break_off(Violation::Tail),
        }
        if self.is_endless() {
            self.break_off(Violation::Chain);
        }
        self.ready_cnt as usize
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        // A packet that is dropped makes way for the next: no more than are ready.
        while self.ready_cnt > 0 {
            self.ready_cnt -= 1;
            let packet = match self.take() {
                Ok((frame, false)) => match self.divert(frame) {
                    // Nearly every packet: it is made where it goes.
                    Some(frame) if self.traits.hdr_len == 0 => self.accept_plain(frame),
                    Some(frame) => self.accept(RxPacket::plain(frame)),
                    None => None,
                },
                Ok((frame, true)) => match self.take_rest(frame) {
                    Ok(packet) => self.accept(packet),
                    Err(violation) => self.violated(violation),
                },
                Err(violation) => self.violated(violation),
            };
            if packet.is_some() {
                return packet;
            }
        }
        None
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl<F: FarSide> Rx<'_, '_, F> {
    /// Whether the far side has filled all slots, and not ended a packet.
    #[inline]
    fn is_endless(&self) -> bool {
        self.ready_cnt == 0
            && self.received_cnt == 0
            && self.cursor.space() == self.memory.num_slots() - 1
    }
}

/// Takes over a buffer that came back in a slot; false when it is nobody's to give.
#[inline]
pub(crate) fn adopt(pool: &FramePool<'_>, buf_idx: u32) -> bool {
    buf_idx >= BUF_IDX_MIN && pool.adopt(FrameIdx(buf_idx))
}

/// The indices of a ring that was just bound or reset.
pub(crate) fn fresh_cursor(memory: &RingMemory) -> Option<Cursor> {
    let indices = memory.load_indices();
    if indices.head != indices.cur {
        return None;
    }
    Cursor::new(memory.num_slots(), indices.head, indices.tail).ok()
}

/// Has the far side write the indices that it believes in; `None` when the ring is of no use any
/// more.
pub(crate) fn agree_anew(far: &mut impl FarSide, memory: &RingMemory) -> Option<Cursor> {
    match far.reset() {
        Ok(()) => fresh_cursor(memory),
        Err(Gone) => None,
    }
}

/// Puts a frame that is home into a slot and gives it up, or puts none there.
pub(crate) fn leave_slot(memory: &RingMemory, idx: usize, pool: &FramePool<'_>) {
    let frame = pool.alloc(0).map(Frame::lend);
    let slot = NetmapSlot {
        buf_idx: frame.map_or(0, |frame| frame.0),
        len: 0,
        flags: SlotFlags::BUF_CHANGED,
        ptr: 0,
    };
    memory.set_slot(idx, slot);
    if let Some(frame) = frame {
        pool.forsake_lent(frame);
    }
}

/// The position behind one.
#[inline]
pub(crate) fn after(idx: u32, num_slots: u32) -> u32 {
    wrapped(idx + 1, num_slots)
}

/// A position that is less than a round too far: a division would be the dearest thing here.
#[inline]
pub(crate) fn wrapped(at: u32, num_slots: u32) -> u32 {
    if at >= num_slots { at - num_slots } else { at }
}
