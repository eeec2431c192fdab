//! The port and its queue pairs.

use simoom_ring::{
    Armed, BodyMemory, Caps, Checksums, FRAGMENTS_MAX, Figures, FramePool, LinkState, MacAddr,
    Port, Queue, Segmentation, TxRing,
};

use crate::content::{ContentMemory, ContentRange};
use crate::rx::ETHERNET_LEN;
use crate::tx::TxRules;
use crate::{
    Buffers, Counters, FarSide, Host, Interface, LayoutError, RingKind, Rx, RxShadow, Traits, Tx,
    TxShadow,
};

/// Memory of the embedder's for what the far sides must not see: a shadow for each slot of all
/// rings that are used.
#[derive(Debug)]
pub struct Memory<'m> {
    /// For receive slots, ring after ring as queues are handed out.
    pub rx: &'m mut [RxShadow],
    /// For transmit slots.
    pub tx: &'m mut [TxShadow],
}

/// A netmap port on a host.
pub struct NetmapPort<'m, H: Host> {
    interface: Interface,
    host: H,
    memory: Memory<'m>,
    content: ContentMemory,
    /// What its rings can refer to: that memory, or another port's.
    range: ContentRange,
    caps: Caps,
    rules: TxRules,
}

impl<'m, H: Host> NetmapPort<'m, H> {
    /// A port whose `interface` is bound and laid out.
    ///
    /// # Errors
    /// What is wrong with its first ring pair, from which all capabilities are taken;
    /// [`LayoutError::BufSize`] when a frame of the MTU does not fit into a buffer.
    pub fn new(
        interface: Interface,
        host: H,
        memory: Memory<'m>,
        content: ContentMemory,
    ) -> Result<Self, LayoutError> {
        let traits = host.traits();
        let first = interface.ring(RingKind::Tx, 0)?;
        interface.ring(RingKind::Rx, 0)?;
        let buf_size = usize::from(interface.buf_size());
        let frame_len = usize::from(traits.mtu) + ETHERNET_LEN + usize::from(traits.hdr_len);
        if frame_len > buf_size {
            let buf_size = buf_size as u32;
            return Err(LayoutError::BufSize { buf_size });
        }
        // A buffer's every byte must have a name.
        let offset_bits = (buf_size.next_power_of_two() - 1) as u64;
        let has_offsets = first.offset_mask() & offset_bits == offset_bits;
        let chain_len = usize::from(traits.mtu).max(traits.tso.len_max as usize);
        // The head; each fragment may begin in one buffer and end in another.
        let slots_max = 1 + 2 * FRAGMENTS_MAX + chain_len / buf_size;
        let slots_max = u32::try_from(slots_max).unwrap_or(u32::MAX);
        let is_gathering = has_offsets
            && first.buf_align() <= 1
            && traits.buffers != Buffers::Move
            && slots_max <= u32::from(traits.chain_max)
            && slots_max < first.num_slots();
        let slots_max = if is_gathering { slots_max } else { 1 };
        let pairs = interface
            .rings(RingKind::Tx)
            .min(interface.rings(RingKind::Rx));
        let queues = u16::try_from(pairs).unwrap_or(u16::MAX);
        Ok(Self {
            interface,
            host,
            memory,
            range: content.range(),
            content,
            caps: caps(traits, is_gathering, queues),
            rules: TxRules {
                traits,
                has_offsets,
                is_gathering,
                slots_max,
            },
        })
    }

    /// Where its rings and buffers are.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The host.
    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// Where its content lies, for another port over the same region.
    pub fn content(&self) -> ContentRange {
        self.range
    }

    /// Sends another port's content in place of its own, by queues that are handed out from now on.
    /// It is read and never written, so any number of cores may send it.
    ///
    /// # Panics
    /// The other port's region is another one: its buffers have other names.
    pub fn share_content(&mut self, content: ContentRange) {
        let is_here = content.is_within(self.interface.bufs_base(), self.interface.bufs_cnt());
        assert!(is_here, "content of the same region");
        self.range = content;
    }

    /// As [`place`](Port::place), with content that `fill` writes to the region, on a port that
    /// sends it from there; `None` when it is full.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn place_with<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Option<&'static [u8]>, E> {
        self.content.place_with(len, fill)
    }

    /// Ends the port, its queues having been dropped: all frames that are home, and content
    /// memory, go to the list of extra buffers. The far side frees what is in there and in the
    /// slots when its descriptor is closed. Returns the host, to be closed.
    ///
    /// # Errors
    /// [`LayoutError::OtherPool`] for a pool of another region.
    pub fn close(self, pool: &FramePool<'_>) -> Result<H, LayoutError> {
        if !self.interface.has(pool) {
            return Err(LayoutError::OtherPool);
        }
        self.interface.return_extra(pool, self.content)?;
        Ok(self.host)
    }
}

impl<'m, 'p, H: Host> Port<'p> for NetmapPort<'m, H> {
    type Queue = NetmapQueue<'m, 'p, H>;

    fn caps(&self) -> Caps {
        self.caps
    }

    fn mac(&self) -> MacAddr {
        self.host.mac()
    }

    fn link(&mut self) -> LinkState {
        self.host.link()
    }

    /// Hands out ring pair `idx`, whose buffers the pool adopts. `None`, too, when the pool is not
    /// of this region ([`Interface::pool`]), the rings make no sense, or the shadows are used up.
    fn queue(&mut self, idx: u16, pool: &'p FramePool<'p>) -> Option<Self::Queue> {
        if !self.interface.has(pool) {
            return None;
        }
        let rx_memory = self.interface.ring(RingKind::Rx, idx.into()).ok()?;
        let tx_memory = self.interface.ring(RingKind::Tx, idx.into()).ok()?;
        // Capabilities are the first ring's; one that can do less is not used.
        let bits = self.offset_bits();
        let is_same = tx_memory.offset_mask() & bits == bits
            && (tx_memory.buf_align() <= 1 || !self.rules.is_gathering)
            && self.rules.slots_max < tx_memory.num_slots();
        let (rx_far, tx_far) = self.host.far_sides(idx).filter(|_| is_same)?;
        let traits = self.rules.traits;
        let rx_shadow = split(&mut self.memory.rx, rx_memory.num_slots())?;
        let tx_shadow = split(&mut self.memory.tx, tx_memory.num_slots())?;
        let range = self.range;
        let rx = Rx::new(rx_far, rx_memory, pool, rx_shadow, traits)?;
        let Some(tx) = Tx::new(tx_far, tx_memory, pool, tx_shadow, self.rules, range) else {
            let mut rx = rx;
            rx.far.stop();
            rx.release();
            return None;
        };
        Some(NetmapQueue { rx, tx })
    }

    /// Copies content into the region, where slots can refer to it. A port that does not gather
    /// leaves it where it is: the stack copies it into frames.
    fn place(&mut self, content: &'static [u8]) -> Option<&'static [u8]> {
        match self.rules.is_gathering {
            true => self.content.place(content),
            false => Some(content),
        }
    }
}

impl<H: Host> NetmapPort<'_, H> {
    /// The bits of an offset that every ring of the port must have.
    fn offset_bits(&self) -> u64 {
        match self.rules.has_offsets {
            true => (usize::from(self.interface.buf_size()).next_power_of_two() - 1) as u64,
            false => 0,
        }
    }
}

/// A ring pair. Dropped, its far sides stop, its frames go home, and each slot is left with a
/// buffer of its own.
pub struct NetmapQueue<'m, 'p, H: Host> {
    rx: Rx<'m, 'p, H::Rx>,
    tx: Tx<'m, 'p, H::Tx>,
}

impl<'m, 'p, H: Host> Queue<'p> for NetmapQueue<'m, 'p, H> {
    type Rx = Rx<'m, 'p, H::Rx>;
    type Tx = Tx<'m, 'p, H::Tx>;

    #[inline]
    fn rings(&mut self) -> (&mut Self::Rx, &mut Self::Tx) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        // Frames that are being sent may be what the receive ring or the stack is waiting for.
        let pool = self.rx.pool;
        let is_short = self.rx.missing_cnt() > 0 || pool.free_cnt() < pool.owned_cnt() / 4;
        let is_rx_ready = self.rx.arm();
        match self.tx.arm(is_short) || is_rx_ready {
            true => Armed::Ready,
            false => Armed::Sleep,
        }
    }

    fn figures(&self) -> Figures {
        let Counters { rx, tx } = self.counters();
        // Rings have fewer slots than 2^32.
        let cnt = |cnt: usize| u32::try_from(cnt).unwrap_or(u32::MAX);
        Figures {
            rx_packets: rx.packets,
            rx_dropped: rx.dropped_short + rx.dropped_header + rx.dropped_violation,
            rx_pool_empty: rx.pool_empty,
            rx_doorbells: rx.syncs,
            rx_frames: cnt(self.rx.filled_cnt() as usize),
            tx_packets: tx.packets,
            tx_dropped: tx.dropped_request,
            tx_doorbells: tx.syncs,
            tx_outstanding: cnt(self.tx_outstanding_cnt()),
            tx_space: cnt(self.tx.space()),
            bytes_copied: tx.bytes_moved + tx.content_copied,
            resets: rx.resets + tx.resets,
        }
    }
}

impl<H: Host> NetmapQueue<'_, '_, H> {
    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        Counters {
            rx: self.rx.counters,
            tx: self.tx.counters,
        }
    }

    /// Whether a ring is of no use any more: the port must be opened anew.
    pub fn is_gone(&self) -> bool {
        self.rx.is_gone() || self.tx.is_gone()
    }

    /// Slots that the far side has not finished sending, as far as the last sync knows.
    pub fn tx_outstanding_cnt(&self) -> usize {
        self.tx.outstanding_cnt() as usize
    }
}

impl<H: Host> Drop for NetmapQueue<'_, '_, H> {
    fn drop(&mut self) {
        self.rx.far.stop();
        self.tx.far.stop();
        self.rx.release();
        self.tx.release();
        // What the far side frees when it closes: a buffer that is in two slots would be freed
        // twice, and content is not a slot's.
        self.rx.leave();
        self.tx.leave();
    }
}

/// Splits the first `cnt` off a table.
fn split<'m, T>(table: &mut &'m mut [T], cnt: u32) -> Option<&'m mut [T]> {
    if table.len() < cnt as usize {
        return None;
    }
    let (first, rest) = core::mem::take(table).split_at_mut(cnt as usize);
    *table = rest;
    Some(first)
}

/// What a host's traits amount to in this region.
fn caps(traits: Traits, is_gathering: bool, queues: u16) -> Caps {
    // The header is where offloads are asked for, and told of.
    let has_hdr = traits.hdr_len > 0;
    Caps {
        mtu: traits.mtu,
        fragments_max: if is_gathering { 1 + FRAGMENTS_MAX } else { 1 },
        headroom: traits.hdr_len,
        checksums: Checksums {
            tx: traits.checksums.tx && has_hdr,
            rx: traits.checksums.rx && has_hdr,
        },
        tso: match has_hdr && traits.checksums.tx && is_gathering {
            true => traits.tso,
            // A super-segment is larger than a frame: it needs the gather.
            false => Segmentation::default(),
        },
        rx_large: traits.rx_large && has_hdr,
        body_memory: match is_gathering {
            true => BodyMemory::Region,
            false => BodyMemory::Anywhere,
        },
        queues,
    }
}
