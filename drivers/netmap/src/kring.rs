//! A ring from the other side: what a kernel keeps beside it (netmap calls that a kring), and
//! every rule that a kernel checks before it believes the user.
//!
//! ```text
//!   transmit   hwcur          rhead                      hwtail
//!                │ to be sent   │ the user's, to be written │ sent, not given back yet
//!   receive    hwcur                       hwtail
//!                │ full, the user's to read   │ empty, to be filled
//! ```
//!
//! A ring whose user breaks a rule is put back to what it was: indices are rewritten, the burst is
//! refused as a whole, and [`Fault`] says why. Tests take that for the end; a host counts it.

use crate::abi::{BUF_IDX_MIN, NetmapSlot, SlotFlags};
use crate::rx::{after, wrapped};
use crate::{Indices, Interface, RingKind, RingMemory};

/// A rule that the user of a ring has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `head` is not within what the user owns.
    Head {
        /// What the ring said.
        head: u32,
    },
    /// `cur` is not between `head` and `tail`.
    Cur {
        /// What the ring said.
        cur: u32,
    },
    /// The user wrote `tail`.
    Tail {
        /// What the ring said.
        tail: u32,
    },
    /// A slot names no buffer.
    BufIdx {
        /// What the slot said.
        buf_idx: u32,
    },
    /// A slot has another buffer than before, and no `NS_BUF_CHANGED`.
    Unflagged {
        /// The new one.
        buf_idx: u32,
    },
    /// A slot's bytes are none, or end outside of its buffer.
    Len {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        len: u16,
    },
    /// A flag that has no meaning here.
    Flags {
        /// What the slot said.
        flags: u16,
    },
    /// The burst ends within a packet.
    OpenChain,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Head { head } => write!(f, "head {head} is not the user's"),
            Self::Cur { cur } => write!(f, "cur {cur} is not between head and tail"),
            Self::Tail { tail } => write!(f, "the user wrote {tail} to tail"),
            Self::BufIdx { buf_idx } => write!(f, "{buf_idx} is no buffer"),
            Self::Unflagged { buf_idx } => {
                write!(f, "buffer {buf_idx} is new in its slot, and not flagged")
            }
            Self::Len { offset, len } => write!(f, "{len} bytes at {offset} of a buffer"),
            Self::Flags { flags } => write!(f, "flags {flags:#x}"),
            Self::OpenChain => f.write_str("the burst ends within a packet"),
        }
    }
}

/// A ring, as its far side keeps it.
#[derive(Debug)]
pub struct Kring<'m> {
    memory: RingMemory,
    is_tx: bool,
    buf_size: u16,
    bufs_cnt: u32,
    /// The buffer that each slot had when it changed hands last.
    bufs: &'m mut [u32],
    hwcur: u32,
    hwtail: u32,
    /// `head` as it was believed last.
    rhead: u32,
    /// `tail` as it was written last.
    rtail: u32,
}

impl<'m> Kring<'m> {
    /// The far side of a ring that was just laid out. `None` when there is no such ring, or fewer
    /// `bufs` than slots.
    pub fn new(
        interface: &Interface,
        kind: RingKind,
        idx: u32,
        bufs: &'m mut [u32],
    ) -> Option<Self> {
        let memory = interface.ring(kind, idx).ok()?;
        let bufs = bufs.get_mut(..memory.num_slots() as usize)?;
        for (idx, buf_idx) in bufs.iter_mut().enumerate() {
            *buf_idx = memory.slot(idx).buf_idx;
        }
        let is_tx = matches!(kind, RingKind::Tx | RingKind::HostTx);
        let hwtail = if is_tx { memory.num_slots() - 1 } else { 0 };
        Some(Self {
            memory,
            is_tx,
            buf_size: interface.buf_size(),
            bufs_cnt: interface.bufs_cnt(),
            bufs,
            hwcur: 0,
            hwtail,
            rhead: 0,
            rtail: hwtail,
        })
    }

    /// Slots of the ring.
    #[inline]
    pub fn num_slots(&self) -> u32 {
        self.memory.num_slots()
    }

    /// Reads what the user has published.
    ///
    /// # Errors
    /// The first rule that was broken. Nothing of the burst is believed, and the indices in the
    /// ring are what they were.
    #[inline]
    pub fn begin(&mut self) -> Result<(), Fault> {
        let checked = self.check();
        match checked {
            Ok(head) => {
                self.rhead = head;
                if !self.is_tx {
                    self.hwcur = head;
                }
            }
            Err(_) => self.rewrite(),
        }
        checked.map(|_| ())
    }

    /// Publishes what was moved since: `tail` in the ring.
    #[inline]
    pub fn end(&mut self) {
        self.rtail = self.hwtail;
        self.memory.store_tail(self.hwtail);
    }

    /// Whether there is something that [`end`](Self::end) would tell.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.rtail != self.hwtail
    }

    /// Writes the indices as they are believed here.
    #[inline]
    pub fn rewrite(&mut self) {
        self.memory.store_head(self.rhead);
        self.end();
    }

    /// On transmit, slots to be sent; on receive, slots to be filled.
    #[inline]
    pub fn ready(&self) -> u32 {
        match self.is_tx {
            true => self.distance(self.hwcur, self.rhead),
            // One slot is never filled: a full ring must differ from an empty one.
            false => self.num_slots() - 1 - self.distance(self.hwcur, self.hwtail),
        }
    }

    /// The first of these slots.
    #[inline]
    pub(crate) fn first(&self) -> u32 {
        if self.is_tx { self.hwcur } else { self.hwtail }
    }

    /// The position of the `n`-th of these slots.
    #[inline]
    pub fn position(&self, n: u32) -> usize {
        let first = if self.is_tx { self.hwcur } else { self.hwtail };
        wrapped(first + n, self.num_slots()) as usize
    }

    /// Which of these slots the one at `position` would be.
    #[inline]
    pub fn ready_idx(&self, position: u32) -> u32 {
        let first = if self.is_tx { self.hwcur } else { self.hwtail };
        self.distance(first, position)
    }

    /// A slot as it reads now, which may be something else than what was checked.
    #[inline]
    pub fn slot(&self, position: usize) -> NetmapSlot {
        self.memory.slot(position)
    }

    /// Where in its buffer a slot's bytes begin.
    #[inline]
    pub fn offset(&self, slot: &NetmapSlot) -> u64 {
        slot.ptr & self.memory.offset_mask()
    }

    /// The buffer of a slot as it was when it was checked.
    #[inline]
    pub fn buf_idx(&self, position: usize) -> u32 {
        self.bufs[position]
    }

    /// Writes a slot of the far side's.
    #[inline]
    pub fn write(&mut self, position: usize, slot: NetmapSlot) {
        self.bufs[position] = slot.buf_idx;
        self.memory.set_slot(position, slot);
    }

    /// Transmit slots whose sending has begun, and not ended: from the one at `hwtail` on.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.num_slots() - 1 - self.distance(self.hwcur, self.hwtail)
    }

    /// The position of the `n`-th of these slots.
    #[inline]
    pub fn in_flight_position(&self, n: u32) -> usize {
        wrapped(self.hwtail + 1 + n, self.num_slots()) as usize
    }

    /// On transmit: the sending of the first `cnt` ready slots begins.
    #[inline]
    pub fn take(&mut self, cnt: u32) {
        self.hwcur = wrapped(self.hwcur + cnt, self.num_slots());
    }

    /// On transmit: the first `cnt` slots in flight are sent, and given back.
    #[inline]
    pub fn finish(&mut self, cnt: u32) {
        self.hwtail = wrapped(self.hwtail + cnt, self.num_slots());
    }

    /// The first `cnt` ready slots are sent, or filled.
    #[inline]
    pub fn advance(&mut self, cnt: u32) {
        let num_slots = self.num_slots();
        if self.is_tx {
            self.hwcur = wrapped(self.hwcur + cnt, num_slots);
            // All that was sent is given back: up to one slot in front of what is to be sent.
            self.hwtail = wrapped(self.hwcur + num_slots - 1, num_slots);
        } else {
            self.hwtail = wrapped(self.hwtail + cnt, num_slots);
        }
    }

    /// The buffers that the far side may access now: those to be sent, or to be filled.
    pub fn owned_bufs(&self) -> impl Iterator<Item = u32> + '_ {
        let (first, cnt) = match self.is_tx {
            true => (self.hwcur, self.distance(self.hwcur, self.rhead)),
            false => {
                let full = self.distance(self.hwcur, self.hwtail);
                (self.hwtail, self.num_slots() - full)
            }
        };
        (0..cnt).map(move |n| self.bufs[wrapped(first + n, self.num_slots()) as usize])
    }

    /// The rules for the indices, then those for each new slot; the new `head`.
    #[inline]
    fn check(&mut self) -> Result<u32, Fault> {
        let Indices { head, cur, tail } = self.memory.load_indices();
        let num_slots = self.num_slots();
        let owned = self.distance(self.rhead, self.rtail);
        if head >= num_slots || self.distance(self.rhead, head) > owned {
            return Err(Fault::Head { head });
        }
        let left = self.distance(head, self.rtail);
        if cur >= num_slots || self.distance(head, cur) > left {
            return Err(Fault::Cur { cur });
        }
        if tail != self.rtail {
            return Err(Fault::Tail { tail });
        }
        let is_open = match self.is_tx {
            true => self.check_slots::<true>(head)?,
            false => self.check_slots::<false>(head)?,
        };
        match is_open {
            true => Err(Fault::OpenChain),
            false => Ok(head),
        }
    }

    /// The rules for the slots up to `head`; whether the last one's packet goes on in the next.
    #[inline]
    fn check_slots<const IS_TX: bool>(&mut self, head: u32) -> Result<bool, Fault> {
        let num_slots = self.num_slots();
        let mut at = self.rhead;
        let mut is_open = false;
        while at != head {
            is_open = self.check_slot::<IS_TX>(at as usize)?;
            at = after(at, num_slots);
        }
        Ok(is_open)
    }

    /// The rules for a slot that the user has given; whether its packet goes on in the next.
    #[inline]
    fn check_slot<const IS_TX: bool>(&mut self, position: usize) -> Result<bool, Fault> {
        let slot = self.memory.slot(position);
        let NetmapSlot {
            buf_idx,
            len,
            flags,
            ..
        } = slot;
        if !(BUF_IDX_MIN..self.bufs_cnt).contains(&buf_idx) {
            return Err(Fault::BufIdx { buf_idx });
        }
        let known_buf = &mut self.bufs[position];
        let is_left = buf_idx == *known_buf;
        if !is_left && !flags.contains(SlotFlags::BUF_CHANGED) {
            return Err(Fault::Unflagged { buf_idx });
        }
        let known = match IS_TX {
            true => SlotFlags(1 | 2 | 0x20),
            false => SlotFlags::BUF_CHANGED,
        };
        // A receive slot that was read and left as it is still says how long its packet was.
        if !known.contains(flags) && (IS_TX || !is_left) {
            return Err(Fault::Flags { flags: flags.0 });
        }
        let offset = slot.ptr & self.memory.offset_mask();
        let room = u64::from(self.buf_size).checked_sub(offset);
        let fits = room.is_some_and(|room| u64::from(len) <= room);
        if !fits || (IS_TX && len == 0) {
            return Err(Fault::Len { offset, len });
        }
        *known_buf = buf_idx;
        Ok(IS_TX && flags.contains(SlotFlags::MOREFRAG))
    }

    #[inline]
    fn distance(&self, from: u32, to: u32) -> u32 {
        match to >= from {
            true => to - from,
            false => to + self.num_slots() - from,
        }
    }
}

#[cfg(test)]
mod tests;
