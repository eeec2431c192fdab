//! The transmit ring: a slot for each piece, every piece by reference.
//!
//! ```text
//!   slot: header + head frame ─MOREFRAG─► content in buffer 530 ─MOREFRAG─► … in buffer 531
//!         └ where its bytes begin ────────┴ offsets, where the port has them (`offset_mask`)
//! ```
//!
//! Content that was placed in the region is immutable: nothing tracks it. Content that was not is
//! copied into frames, counted ([`TxCounters::content_copied`]). Frames are lent, and go
//! home with their slots: the last one that was sent stays lent until another is, because one slot
//! of a ring is always the far side's. On a port whose packets can only begin where a buffer begins
//! there is nothing to refer to content with: `Caps` has no gather then, and what is in the head
//! frame is moved to its start, counted ([`TxCounters::bytes_moved`]).

mod head;

use simoom_ring::{
    BadTail, Cursor, Fragment, FrameIdx, FramePool, GsoKind, TxOffload, TxPacket, TxRing,
};

use crate::abi::{BUF_IDX_MIN, NetmapSlot, SlotFlags};
use crate::content::ContentRange;
use crate::counters::TxCounters;
use crate::rx::{adopt, after, agree_anew, fresh_cursor, leave_slot};
use crate::{Buffers, FarSide, RingMemory, Traits, Violation};

/// What we know of a transmit slot. The embedder provides one for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxShadow {
    /// The frame that is lent in it, or was given away in it; content has none.
    frame: Option<FrameIdx>,
    /// A packet ends here.
    is_last: bool,
}

/// What a port and its transmit rings go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TxRules {
    pub(crate) traits: Traits,
    /// Packets may begin anywhere in a buffer.
    pub(crate) has_offsets: bool,
    /// Packets may consist of several pieces.
    pub(crate) is_gathering: bool,
    /// Slots that a packet within the capabilities takes at most.
    pub(crate) slots_max: u32,
}

/// The transmit half of a queue pair.
pub struct Tx<'m, 'p, F: FarSide> {
    pub(crate) far: F,
    memory: RingMemory,
    pool: &'p FramePool<'p>,
    shadow: &'m mut [TxShadow],
    cursor: Cursor,
    rules: TxRules,
    content: ContentRange,
    /// The last slot that was written and not published.
    last: Option<(usize, NetmapSlot)>,
    is_broken: bool,
    is_gone: bool,
    pub(crate) counters: TxCounters,
}

impl<'m, 'p, F: FarSide> Tx<'m, 'p, F> {
    /// Takes over a ring as it was bound, with the buffers in its slots; `None` when its indices
    /// or buffers make no sense, or the shadow is too short.
    pub(crate) fn new(
        far: F,
        memory: RingMemory,
        pool: &'p FramePool<'p>,
        shadow: &'m mut [TxShadow],
        rules: TxRules,
        content: ContentRange,
    ) -> Option<Self> {
        let cursor = fresh_cursor(&memory)?;
        let shadow = shadow.get_mut(..memory.num_slots() as usize)?;
        shadow.fill(TxShadow::default());
        // Nothing has been sent: the buffers in all slots are free to use, in whichever slot.
        for idx in 0..shadow.len() {
            let buf_idx = FrameIdx(memory.slot(idx).buf_idx);
            if buf_idx.0 < BUF_IDX_MIN || !pool.adopt(buf_idx) {
                return None;
            }
        }
        Some(Self {
            far,
            memory,
            pool,
            shadow,
            cursor,
            rules,
            content,
            last: None,
            is_broken: false,
            is_gone: false,
            counters: TxCounters::default(),
        })
    }

    /// Whether the far side has given the ring up, or the ring the far side.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Slots that the far side has not finished with.
    pub(crate) fn outstanding_cnt(&self) -> u32 {
        self.memory.num_slots() - 1 - self.cursor.space() - self.cursor.pending()
    }

    /// Asks to be woken when frames come home, if they are wanted; whether some are there already.
    pub(crate) fn arm(&mut self, is_wanted: bool) -> bool {
        if self.is_gone || (self.outstanding_cnt() == 0 && !self.is_broken) {
            return false;
        }
        let is_full = self.cursor.space() < self.memory.num_slots() / 2;
        self.is_broken || ((is_wanted || is_full) && self.far.arm())
    }

    /// Sends the frames that are lent in slots home. The far side has stopped.
    pub(crate) fn release(&mut self) {
        if self.rules.traits.buffers != Buffers::Move {
            for idx in 0..self.shadow.len() {
                if let Some(frame) = self.shadow[idx].frame.take() {
                    self.reap_frame(idx, frame);
                }
            }
        }
        self.is_gone = true;
    }

    /// Leaves a buffer of its own in each slot, for the far side to free: no frame any more. One
    /// that moves and was given away is the far side's, whatever the slot says of it.
    pub(crate) fn leave(&mut self) {
        for idx in 0..self.shadow.len() {
            if self.shadow[idx].frame.is_none() {
                leave_slot(&self.memory, idx, self.pool);
            }
        }
    }

    /// Slots that a packet takes; `None` when it asks for what the port does not have.
    #[inline]
    fn slots_of(&self, packet: &TxPacket<'p>) -> Option<u32> {
        let is_ours = core::ptr::eq(packet.head().pool(), self.pool);
        assert!(is_ours, "a ring carries frames of one pool");
        let hdr_len = usize::from(self.rules.traits.hdr_len);
        let is_plain = packet.fragments().is_empty()
            && packet.offload().is_none()
            && packet.head().headroom() >= hdr_len;
        if is_plain {
            return Some(1);
        }
        self.slots_of_any(packet)
    }

    fn slots_of_any(&self, packet: &TxPacket<'p>) -> Option<u32> {
        let TxOffload { csum, gso } = packet.offload();
        let Traits {
            hdr_len,
            checksums,
            tso,
            ..
        } = self.rules.traits;
        let has_csum = csum.is_none() || checksums.tx;
        let has_gso = match gso.map(|gso| gso.kind) {
            None => true,
            // Segmentation needs the checksum (virtio 1.2 5.1.6.2.1).
            Some(_) if csum.is_none() => false,
            Some(GsoKind::TcpV4) => tso.tcp_v4,
            Some(GsoKind::TcpV6) => tso.tcp_v6,
            Some(GsoKind::Udp) => tso.udp,
        };
        let has_room = packet.head().headroom() >= usize::from(hdr_len);
        let has_way = self.rules.is_gathering || packet.fragments().is_empty();
        if !(has_csum && has_gso && has_room && has_way) {
            return None;
        }
        let (mut slots_cnt, mut copies_cnt) = (1, 0);
        for fragment in packet.fragments() {
            slots_cnt += match fragment {
                Fragment::Content(bytes) => match self.content.pieces(bytes) {
                    Some(pieces) => pieces.len(),
                    None => {
                        let frames_cnt = bytes.len().div_ceil(self.pool.frame_size());
                        copies_cnt += frames_cnt;
                        frames_cnt
                    }
                },
                Fragment::Frame(frame) => usize::from(!frame.is_empty()),
            };
        }
        if copies_cnt > self.pool.free_cnt() as usize {
            return None;
        }
        u32::try_from(slots_cnt)
            .ok()
            .filter(|cnt| *cnt <= self.rules.slots_max)
    }

    /// Writes a packet to the slots that there is room for.
    #[inline]
    fn put(&mut self, packet: TxPacket<'p>) {
        match packet.into_head() {
            // Most packets are one piece: its slot is written once.
            Ok((mut head, offload)) => {
                let offset = self.place_head(&mut head, offload);
                let len = head.len();
                let frame = self.hand_over(head);
                self.put_slot(frame.0, offset, len, Some(frame), true);
                self.counters.packets += 1;
            }
            Err(packet) => self.put_gathered(packet),
        }
    }

    /// The same for one of several pieces.
    fn put_gathered(&mut self, packet: TxPacket<'p>) {
        let (mut head, fragments, fragments_cnt, offload) = packet.into_parts();
        let offset = self.place_head(&mut head, offload);
        let len = head.len();
        let frame = self.hand_over(head);
        self.put_slot(frame.0, offset, len, Some(frame), false);
        for fragment in fragments.into_iter().take(fragments_cnt) {
            self.put_fragment(fragment);
        }
        self.end_packet();
    }

    /// The piece that was written last is a packet's last.
    #[inline]
    fn end_packet(&mut self) {
        if let Some((idx, mut slot)) = self.last {
            slot.flags = SlotFlags::BUF_CHANGED;
            self.memory.set_slot(idx, slot);
            self.shadow[idx].is_last = true;
            self.last = Some((idx, slot));
        }
        self.counters.packets += 1;
    }

    /// Puts frames of others' on the ring, as far as there is space, each for a frame of ours.
    #[cold]
    fn take_guests(&mut self) {
        while self.cursor.space() > 0
            && let Some(spare) = self.pool.alloc(0)
        {
            let spare = spare.lend();
            self.pool.forsake_lent(spare);
            let Some((buf_idx, len)) = self.far.guest(spare.0) else {
                self.pool.adopt(spare);
                return;
            };
            if usize::from(len) > self.pool.frame_size() {
                return self.break_off(Violation::Len);
            }
            if !self.pool.adopt_lent(FrameIdx(buf_idx)) {
                return self.break_off(Violation::BufIdx);
            }
            self.put_piece(buf_idx, 0, len.into(), Some(FrameIdx(buf_idx)));
            self.end_packet();
            self.counters.guests += 1;
        }
    }

    #[inline]
    fn put_fragment(&mut self, fragment: Fragment<'p>) {
        match fragment {
            Fragment::Content(bytes) => match self.content.pieces(bytes) {
                Some(pieces) => {
                    for piece in pieces {
                        let (offset, len) = (piece.offset.into(), piece.len.into());
                        self.put_piece(piece.buf_idx, offset, len, None);
                    }
                }
                None => self.put_copy(bytes),
            },
            Fragment::Frame(frame) if frame.is_empty() => {}
            Fragment::Frame(frame) => {
                assert!(
                    core::ptr::eq(frame.pool(), self.pool),
                    "a ring carries frames of one pool"
                );
                let bufs_at = self.pool.base().as_ptr().addr();
                let at = frame.as_ptr().as_ptr().addr() - bufs_at;
                let (offset, len) = (at % self.pool.frame_size(), frame.len());
                let frame = frame.lend();
                self.put_piece(frame.0, offset, len, Some(frame));
            }
        }
    }

    /// Copies what the far side cannot reach into frames: pages that are in the program and not in
    /// the site, such as those of errors.
    #[cold]
    fn put_copy(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(self.pool.frame_size()) {
            let frame = self.pool.alloc(0);
            let mut frame = frame.expect("`slots_of` has seen that there are as many");
            frame
                .append(part)
                .expect("a part is no longer than a frame");
            self.counters.content_copied += part.len() as u64;
            let frame = frame.lend();
            self.put_piece(frame.0, 0, part.len(), Some(frame));
        }
    }

    /// Writes the next slot, as one that more follow. A frame in it is lent.
    #[inline]
    fn put_piece(&mut self, buf_idx: u32, offset: usize, len: usize, frame: Option<FrameIdx>) {
        self.put_slot(buf_idx, offset, len, frame, false);
        if let Some(frame) = frame.filter(|_| self.rules.traits.buffers == Buffers::Move) {
            // Given away, as in `hand_over`.
            self.pool.forsake_lent(frame);
        }
    }

    /// Writes the next slot.
    #[inline]
    fn put_slot(
        &mut self,
        buf_idx: u32,
        offset: usize,
        len: usize,
        frame: Option<FrameIdx>,
        is_last: bool,
    ) {
        let slot = self.cursor.take();
        let idx = slot.expect("send has seen that there is room").get();
        let slot = NetmapSlot {
            buf_idx,
            // Within a frame, whose size is a u16.
            len: len as u16,
            flags: match is_last {
                true => SlotFlags::BUF_CHANGED,
                false => SlotFlags::BUF_CHANGED.union(SlotFlags::MOREFRAG),
            },
            ptr: offset as u64,
        };
        self.memory.set_slot(idx, slot);
        self.shadow[idx] = TxShadow { frame, is_last };
        self.last = Some((idx, slot));
    }

    /// Publishes the burst, and asks to be told of its last slot: without `NS_REPORT` a device may
    /// keep the frames until half of the ring is used.
    #[inline]
    fn publish(&mut self) {
        if let Some((idx, mut slot)) = self.last.take() {
            slot.flags = slot.flags.union(SlotFlags::REPORT);
            self.memory.set_slot(idx, slot);
        }
        if self.cursor.pending() > 0 {
            self.memory.store_head(self.cursor.publish());
        }
    }

    /// Takes the frames of `cnt` slots from `from` on home.
    #[inline]
    fn reap(&mut self, from: u32, cnt: u32) {
        let mut idx = from;
        for _ in 0..cnt {
            let shadow = core::mem::take(&mut self.shadow[idx as usize]);
            self.counters.finished += u64::from(shadow.is_last);
            if let Some(lent) = shadow.frame {
                self.reap_frame(idx as usize, lent);
            }
            idx = after(idx, self.memory.num_slots());
        }
    }

    /// Takes the frame of a slot home that is ours again.
    #[inline]
    fn reap_frame(&mut self, idx: usize, lent: FrameIdx) {
        match self.rules.traits.buffers {
            Buffers::Stay | Buffers::Shuffle => {
                self.pool.give_back(lent);
            }
            // Ours went to the receiver; what is in the slot is for us.
            Buffers::Move => {
                if !adopt(self.pool, self.memory.slot(idx).buf_idx) {
                    self.break_off(Violation::BufIdx);
                }
            }
        }
    }

    #[cold]
    fn break_off(&mut self, violation: Violation) {
        self.is_broken = true;
        self.counters.last_violation = Some(violation);
    }

    /// Agrees with the far side on the indices anew. Frames in slots that are ours then go home:
    /// their packets are lost, if they were not sent.
    #[cold]
    fn reset(&mut self) {
        self.counters.resets += 1;
        self.is_broken = false;
        self.last = None;
        let Some(cursor) = agree_anew(&mut self.far, &self.memory) else {
            self.counters.last_violation = Some(Violation::Reset);
            self.is_gone = true;
            return;
        };
        self.cursor = cursor;
        let (mut idx, ours) = (self.cursor.cur(), self.cursor.space());
        for _ in 0..ours {
            let shadow = core::mem::take(&mut self.shadow[idx as usize]);
            if let Some(frame) = shadow.frame {
                self.reap_frame(idx as usize, frame);
            }
            idx = after(idx, self.memory.num_slots());
        }
    }
}

impl<'p, F: FarSide> TxRing<'p> for Tx<'_, 'p, F> {
    #[inline]
    fn space(&self) -> usize {
        match self.is_gone || self.is_broken {
            true => 0,
            false => (self.cursor.space() / self.rules.slots_max) as usize,
        }
    }

    #[inline]
    fn send(&mut self, packet: TxPacket<'p>) -> Result<(), TxPacket<'p>> {
        if self.is_gone || self.is_broken {
            return Err(packet);
        }
        let Some(slots_cnt) = self.slots_of(&packet) else {
            self.counters.dropped_request += 1;
            return Ok(());
        };
        if slots_cnt > self.cursor.space() {
            return Err(packet);
        }
        self.put(packet);
        Ok(())
    }

    #[inline]
    fn sync(&mut self) {
        if self.is_gone {
            return;
        }
        if self.is_broken {
            return self.reset();
        }
        if self.far.has_guests() {
            self.take_guests();
        }
        self.publish();
        // Nothing to give and nothing to get: not worth a system call.
        if self.outstanding_cnt() == 0 {
            return;
        }
        self.counters.syncs += 1;
        if self.far.sync().is_err() {
            self.is_gone = true;
        }
        let old_tail = self.cursor.tail();
        match self.cursor.learn(self.memory.load_tail()) {
            Ok(new_cnt) => self.reap(old_tail, new_cnt),
            Err(BadTail { .. }) => self.break_off(Violation::Tail),
        }
    }
}
