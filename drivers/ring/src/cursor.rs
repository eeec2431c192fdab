//! netmap's index discipline: `head`, `cur` and `tail` over `num_slots` slots.
//!
//! ```text
//!          head        cur               tail
//!           │ taken     │ still to take    │ the other side's
//!   ┬───┬───┼───┬───┬───┼───┬───┬───┬───┬──┼┬───┬───
//!   │   │   │▓▓▓│▓▓▓│▓▓▓│░░░│░░░│░░░│░░░│░░││   │
//!   ┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───┴───
//!           └────────── ours ──────────────┘
//! ```
//!
//! `[head, tail)` is ours. [`Cursor::take`] moves `cur`; [`Cursor::publish`], which belongs to a
//! sync, gives `[head, cur)` to the other side; [`Cursor::learn`] takes what the other side has
//! given us, after checking it. So nothing can be given twice, given without having been taken,
//! or taken past `tail`: there is no way to write an index. One slot is always the other side's
//! (a full ring must differ from an empty one), as in `sys/net/netmap.h`.

/// A slot that was ours when this was made: only [`Cursor::take`] makes one.
///
/// ```compile_fail,E0423
/// let slot = simoom_ring::SlotIdx(3);
/// ```
/// and `head`, `cur` and `tail` cannot be written:
/// ```compile_fail,E0616
/// let mut cursor = simoom_ring::Cursor::new(4, 0, 3).unwrap();
/// cursor.cur = 3;
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct SlotIdx(u32);

impl SlotIdx {
    /// The position in the ring's array of slots, below `num_slots`.
    #[inline]
    pub fn get(&self) -> usize {
        self.0 as usize
    }
}

/// The other side published a tail that lies in what is already ours; the ring must be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTail {
    /// What was read from shared memory.
    pub tail: u32,
}

impl core::fmt::Display for BadTail {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "tail {} is outside the slots of the other side",
            self.tail
        )
    }
}

impl core::error::Error for BadTail {}

/// Our own copy of a ring's three indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    num_slots: u32,
    head: u32,
    cur: u32,
    tail: u32,
}

impl Cursor {
    /// The indices of a fresh ring: nothing taken, `[head, tail)` ours.
    ///
    /// # Errors
    /// `BadTail` when `head` or `tail` is not below `num_slots`, which covers a ring of no slots.
    pub fn new(num_slots: u32, head: u32, tail: u32) -> Result<Self, BadTail> {
        if head >= num_slots || tail >= num_slots {
            return Err(BadTail { tail });
        }
        Ok(Self {
            num_slots,
            head,
            cur: head,
            tail,
        })
    }

    /// Slots in the ring; one less can be ours at a time.
    pub fn num_slots(&self) -> u32 {
        self.num_slots
    }

    /// First slot that we own.
    pub fn head(&self) -> u32 {
        self.head
    }

    /// How far we have got.
    pub fn cur(&self) -> u32 {
        self.cur
    }

    /// First slot of the other side.
    pub fn tail(&self) -> u32 {
        self.tail
    }

    /// Slots that are ours and not taken yet: space on transmit, packets ready on receive.
    #[inline]
    pub fn space(&self) -> u32 {
        self.distance(self.cur, self.tail)
    }

    /// Slots that are taken and not published yet.
    #[inline]
    pub fn pending(&self) -> u32 {
        self.distance(self.head, self.cur)
    }

    /// Takes the next slot, or `None` when `cur` has reached `tail`.
    #[inline]
    pub fn take(&mut self) -> Option<SlotIdx> {
        if self.cur == self.tail {
            return None;
        }
        let slot = SlotIdx(self.cur);
        self.cur = self.after(self.cur);
        Some(slot)
    }

    /// Gives the taken slots to the other side; the value to store as the shared head and cur.
    #[inline]
    pub fn publish(&mut self) -> u32 {
        self.head = self.cur;
        self.head
    }

    /// Takes over the slots up to `tail`, as read from shared memory; how many are new.
    ///
    /// # Errors
    /// `BadTail` when `tail` is not a slot of the other side or one past them: nothing changes.
    #[inline]
    pub fn learn(&mut self, tail: u32) -> Result<u32, BadTail> {
        // The other side owns [tail, head): it may give any of it but the last slot.
        if tail >= self.num_slots {
            return Err(BadTail { tail });
        }
        let owned = self.distance(self.head, self.tail);
        let owned_after = self.distance(self.head, tail);
        if owned_after < owned {
            return Err(BadTail { tail });
        }
        self.tail = tail;
        Ok(owned_after - owned)
    }

    #[inline]
    fn distance(&self, from: u32, to: u32) -> u32 {
        if to >= from {
            to - from
        } else {
            to + self.num_slots - from
        }
    }

    #[inline]
    fn after(&self, slot: u32) -> u32 {
        if slot + 1 == self.num_slots {
            0
        } else {
            slot + 1
        }
    }
}

#[cfg(test)]
mod tests;
