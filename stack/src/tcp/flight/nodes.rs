//! The nodes that lists of ranges are made of: one pool for all connections.

use managed::ManagedSlice;

use crate::tcp::idx::NONE;
use crate::tcp::seqnum::SeqNum;

/// The memory of one range of bytes in flight.
#[derive(Clone, Copy, Debug)]
pub struct SentNode {
    /// One past the last sequence number; the range begins where the one before it ends.
    pub(super) end: SeqNum,
    /// When it was sent last: microseconds, modulo 2^32.
    pub(super) sent_at_us: u32,
    pub(super) next: u32,
    pub(super) flags: Flags,
}

/// What is known of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// In flight, sent once.
    pub(crate) const NONE: Self = Self(0);
    /// The far side has it (RFC 2018), and may yet change its mind.
    pub(crate) const SACKED: Self = Self(1);
    /// Taken for lost, and not sent again since.
    pub(crate) const LOST: Self = Self(2);
    /// Sent more than once: what arrives says nothing of the round trip (Karn).
    pub(crate) const AGAIN: Self = Self(4);

    #[inline]
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Default for SentNode {
    fn default() -> Self {
        Self {
            end: SeqNum(0),
            sent_at_us: 0,
            next: NONE,
            flags: Flags::NONE,
        }
    }
}

/// The pool.
pub(crate) struct Nodes<'p> {
    nodes: ManagedSlice<'p, SentNode>,
    free_first: u32,
    free_cnt: usize,
    /// Lists of one node, each of which is owed a second one.
    owed_cnt: usize,
    /// How often ranges had to stay together for want of a node.
    pub(super) merged_cnt: u64,
}

impl<'p> Nodes<'p> {
    pub(super) fn new(mut nodes: ManagedSlice<'p, SentNode>) -> Self {
        let len = u32::try_from(nodes.len()).unwrap_or(NONE).min(NONE - 1);
        for (idx, node) in (0..len).zip(nodes.iter_mut()) {
            node.next = if idx + 1 < len { idx + 1 } else { NONE };
        }
        Self {
            nodes,
            free_first: if len == 0 { NONE } else { 0 },
            free_cnt: len as usize,
            owed_cnt: 0,
            merged_cnt: 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, idx: u32) -> Option<&SentNode> {
        self.nodes.get(idx as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, idx: u32) -> Option<&mut SentNode> {
        self.nodes.get_mut(idx as usize)
    }

    /// Takes a node for a list that has `len`. Each list may have two: what was sent again and what
    /// is still lost can always be told apart.
    #[inline]
    pub(super) fn take(&mut self, node: SentNode, len: u16) -> Option<u32> {
        if !self.has_free_for(len) {
            return None;
        }
        let idx = self.free_first;
        let place = self.nodes.get_mut(idx as usize)?;
        self.free_first = place.next;
        *place = node;
        self.free_cnt -= 1;
        match len {
            0 => self.owed_cnt += 1,
            1 => self.owed_cnt -= 1,
            _ => {}
        }
        Some(idx)
    }

    /// Gives back a node of a list that has `len` with it.
    #[inline]
    pub(super) fn give_back(&mut self, idx: u32, len: u16) {
        if let Some(node) = self.nodes.get_mut(idx as usize) {
            node.next = self.free_first;
            self.free_first = idx;
            self.free_cnt += 1;
            match len {
                1 => self.owed_cnt -= 1,
                2 => self.owed_cnt += 1,
                _ => {}
            }
        }
    }

    /// Whether a list of `len` nodes can have one more.
    #[inline]
    pub(super) fn has_free_for(&self, len: u16) -> bool {
        let others = match len {
            0 => self.owed_cnt + 1,
            1 => 0,
            _ => self.owed_cnt,
        };
        self.free_cnt > others
    }

    /// Nodes in use.
    pub(super) fn used_cnt(&self) -> usize {
        self.nodes.len() - self.free_cnt
    }
}

/// Four to a cache line.
const _: () = assert!(size_of::<SentNode>() == 16);
