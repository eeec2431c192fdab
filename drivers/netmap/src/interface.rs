//! Finds a port's rings and buffers in a region, believing nothing that is not checked.

use core::mem::offset_of;

use simoom_ring::{FrameIdx, FrameMeta, FramePool};

use crate::abi::{BUF_IDX_MIN, NetmapIf, NetmapRing, RING_OFS_AT, SLOT_LEN, SLOTS_AT};
use crate::config::{BUF_SIZE_MIN, NUM_SLOTS_MAX};
use crate::content::ContentMemory;
use crate::{LayoutError, Region, RingMemory};

/// Which of a port's four kinds of rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    /// To the device.
    Tx,
    /// To the host's stack.
    HostTx,
    /// From the device.
    Rx,
    /// From the host's stack.
    HostRx,
}

/// One binding of a port: its `netmap_if`, and the buffers that its rings share.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    region: Region,
    at: usize,
    /// Where the transmit rings are listed: another binding of the same port may have them.
    tx_at: usize,
    /// The host's rings stand for the device's.
    is_host_side: bool,
    /// One ring pair of the device's stands for all: the binding has no other.
    only: Option<u32>,
    /// Rings of each kind, in the order of `ring_ofs`.
    rings: [u32; 4],
    buf_size: u16,
    bufs_at: usize,
    bufs_cnt: u32,
}

impl Interface {
    /// The port whose `netmap_if` lies `at` bytes into the region (`nr_offset`).
    ///
    /// # Errors
    /// What is wrong with the region; [`LayoutError::NotBound`] when no ring is bound.
    pub fn new(region: Region, at: usize) -> Result<Self, LayoutError> {
        // Eight: the offsets of rings behind it are read as 64-bit numbers.
        let found = region.address(at, RING_OFS_AT, 8);
        found.ok_or(LayoutError::OutOfRegion)?;
        let number = |field| {
            let value = region.load_u32(at + field);
            value.ok_or(LayoutError::OutOfRegion)
        };
        let rings = [
            number(offset_of!(NetmapIf, tx_rings))?,
            // These, not what REGISTER says: the entries are there even if it says none.
            number(offset_of!(NetmapIf, host_tx_rings))?,
            number(offset_of!(NetmapIf, rx_rings))?,
            number(offset_of!(NetmapIf, host_rx_rings))?,
        ];
        let ring_cnt = rings
            .iter()
            .try_fold(0_u32, |sum, cnt| sum.checked_add(*cnt));
        let ofs_len = ring_cnt.and_then(|cnt| (cnt as usize).checked_mul(8));
        let ofs_len = ofs_len.ok_or(LayoutError::OutOfRegion)?;
        let ofs_found = region.address(at + RING_OFS_AT, ofs_len, 8);
        ofs_found.ok_or(LayoutError::OutOfRegion)?;

        let mut interface = Self {
            region,
            at,
            tx_at: at,
            is_host_side: false,
            only: None,
            rings,
            buf_size: 0,
            bufs_at: 0,
            bufs_cnt: 0,
        };
        for entry in 0..ofs_len / 8 {
            if let Some(ring_at) = interface.ring_at(at, entry)? {
                interface.find_bufs(ring_at)?;
                // As for the rings.
                let has_room = at + RING_OFS_AT + ofs_len <= interface.bufs_at;
                return has_room
                    .then_some(interface)
                    .ok_or(LayoutError::OutOfRegion);
            }
        }
        Err(LayoutError::NotBound)
    }

    /// The same port from the side of the host's stack: [`RingKind::Tx`] and [`RingKind::Rx`] are
    /// the rings to and from it.
    #[must_use]
    pub fn host_side(self) -> Self {
        Self {
            is_host_side: true,
            ..self
        }
    }

    /// The same port with nothing but ring pair `idx`, as its first: what a binding of one ring is
    /// (`REG_ONE_NIC`).
    #[must_use]
    pub fn only(self, idx: u32) -> Self {
        Self {
            only: Some(idx),
            ..self
        }
    }

    /// The same port with all of its rings.
    #[must_use]
    pub fn all(self) -> Self {
        Self { only: None, ..self }
    }

    /// The same port with the transmit rings of another binding of it, whose receive rings are not
    /// bound: netmap's option `OFFSETS` is one binding's, and takes room from what is received.
    ///
    /// # Errors
    /// [`LayoutError::BufsDiffer`] when the other binding is not one of the same port.
    pub fn with_tx_of(self, other: Self) -> Result<Self, LayoutError> {
        let is_same = self.bufs_base() == other.bufs_base()
            && (self.rings, self.buf_size) == (other.rings, other.buf_size);
        is_same
            .then_some(Self {
                tx_at: other.at,
                ..self
            })
            .ok_or(LayoutError::BufsDiffer)
    }

    /// The region that the port lies in.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Rings of a kind, bound or not.
    pub fn rings(&self, kind: RingKind) -> u32 {
        match (kind, self.only) {
            (RingKind::Tx | RingKind::Rx, Some(_)) => 1,
            _ => self.rings[self.listed(kind) as usize],
        }
    }

    /// The kind under which rings are listed in the region.
    fn listed(&self, kind: RingKind) -> RingKind {
        match kind {
            RingKind::Tx if self.is_host_side => RingKind::HostTx,
            RingKind::Rx if self.is_host_side => RingKind::HostRx,
            kind => kind,
        }
    }

    /// Bytes in each buffer.
    pub fn buf_size(&self) -> u16 {
        self.buf_size
    }

    /// Buffers that lie in the region, 0 and 1 included.
    pub fn bufs_cnt(&self) -> u32 {
        self.bufs_cnt
    }

    /// Where buffer 0 lies in the region, in bytes.
    pub fn bufs_at(&self) -> usize {
        self.bufs_at
    }

    /// A ring.
    ///
    /// # Errors
    /// [`LayoutError::NoRing`] or [`LayoutError::NotBound`] when there is none; what is wrong with
    /// it; [`LayoutError::BufsDiffer`] when its buffers are not those of the port's other rings.
    pub fn ring(&self, kind: RingKind, idx: u32) -> Result<RingMemory, LayoutError> {
        if idx >= self.rings(kind) {
            return Err(LayoutError::NoRing);
        }
        let idx = match (kind, self.only) {
            (RingKind::Tx | RingKind::Rx, Some(only)) => only,
            _ => idx,
        };
        let kind = self.listed(kind);
        if idx >= self.rings[kind as usize] {
            return Err(LayoutError::NoRing);
        }
        let before: u32 = self.rings[..kind as usize].iter().sum();
        let at = match kind {
            RingKind::Tx | RingKind::HostTx => self.tx_at,
            RingKind::Rx | RingKind::HostRx => self.at,
        };
        let ring_at = self.ring_at(at, (before + idx) as usize)?;
        let ring_at = ring_at.ok_or(LayoutError::NotBound)?;
        let (bufs_at, buf_size) = self.bufs_of(ring_at)?;
        if (bufs_at, buf_size) != (self.bufs_at, u32::from(self.buf_size)) {
            return Err(LayoutError::BufsDiffer);
        }
        let num_slots = self.number(ring_at, offset_of!(NetmapRing, num_slots))?;
        if !(2..=NUM_SLOTS_MAX).contains(&num_slots) {
            return Err(LayoutError::NumSlots { num_slots });
        }
        let ring_len = SLOTS_AT + num_slots as usize * SLOT_LEN;
        // Buffers lie behind the rings: no frame is made of a ring's memory.
        let base = self.region.address(ring_at, ring_len, 8);
        let base = base.filter(|_| ring_at + ring_len <= self.bufs_at);
        let base = base.ok_or(LayoutError::OutOfRegion)?;
        let wide = |field| {
            let value = self.region.load_u64(ring_at + field);
            value.ok_or(LayoutError::OutOfRegion)
        };
        let offset_mask = wide(offset_of!(NetmapRing, offset_mask))?;
        let buf_align = wide(offset_of!(NetmapRing, buf_align))?;
        // SAFETY: the ring with all its slots is inside the region and 8-aligned, as just checked;
        // the region is valid until the program ends and accessed atomically but for frames.
        Ok(unsafe { RingMemory::new(base, num_slots, offset_mask, buf_align) })
    }

    /// A pool over the region's buffers, all of them foreign. As many can be used as there are
    /// `metas`.
    ///
    /// # Safety
    /// Several pools over one region (a core each, or an end of a pipe each) never adopt the same
    /// buffer, and nothing but far sides accesses buffers by other means. Several pools with
    /// [`Buffers::Move`](crate::Buffers::Move) trust the far side not to pass a buffer of one on to
    /// another: a single pool checks that.
    pub unsafe fn pool<'m>(&self, metas: &'m mut [FrameMeta]) -> FramePool<'m> {
        let frames = metas.len().min(self.bufs_cnt as usize);
        let base = self.bufs_base();
        // SAFETY: the buffers are inside the region, which stays valid, and the caller promises
        // that a frame which is adopted is nobody else's.
        unsafe { FramePool::from_raw(base, self.buf_size, &mut metas[..frames]) }
    }

    /// Whether a pool is one over this region's buffers.
    pub(crate) fn has(&self, pool: &FramePool<'_>) -> bool {
        pool.base() == self.bufs_base() && pool.frame_size() == usize::from(self.buf_size)
    }

    /// Takes the extra buffers over into a pool: `frames_max` of them at most, the rest stays in
    /// the list. The first run of neighbours that holds `content_len` bytes is set aside for
    /// content; without such a run there is no content memory, and all are frames.
    ///
    /// # Errors
    /// [`LayoutError::OtherPool`], or [`LayoutError::ExtraList`] at the first name in the list that
    /// is wrong: the buffers before it have been taken.
    pub fn adopt_extra(
        &self,
        pool: &FramePool<'_>,
        frames_max: u32,
        content_len: usize,
    ) -> Result<ContentMemory, LayoutError> {
        if !self.has(pool) {
            return Err(LayoutError::OtherPool);
        }
        let bufs = content_len.div_ceil(usize::from(self.buf_size));
        let bufs = u32::try_from(bufs).map_err(|_| LayoutError::OutOfRegion)?;
        let run = self.find_run(frames_max, bufs)?;
        let mut buf_idx = self.bufs_head()?;
        for _ in 0..frames_max {
            if buf_idx == 0 {
                break;
            }
            let next = self.next_extra(buf_idx)?;
            let idx = FrameIdx(buf_idx);
            let is_new = match run {
                Some(first) if (first..first + bufs).contains(&buf_idx) => pool.reserve(idx),
                _ => pool.adopt(idx),
            };
            // A name that comes twice, or that a ring has.
            if !is_new {
                return Err(LayoutError::ExtraList { buf_idx });
            }
            buf_idx = next;
            self.set_bufs_head(buf_idx)?;
        }
        let Some(first) = run else {
            return Ok(ContentMemory::NONE);
        };
        let byte_len = bufs as usize * usize::from(self.buf_size);
        let at = self.bufs_at + first as usize * usize::from(self.buf_size);
        let base = self.region.address(at, byte_len, 1);
        let base = base.ok_or(LayoutError::OutOfRegion)?;
        // SAFETY: whole buffers inside the region, set aside in the pool a few lines above, so
        // that no frame is made of them; the region is valid until the program ends.
        Ok(unsafe { ContentMemory::new(base, byte_len, first, self.buf_size) })
    }

    /// Puts all frames that are home, and content memory, into the list of extra buffers, for the
    /// far side to find when the port is closed. How many those are.
    ///
    /// # Errors
    /// [`LayoutError::OutOfRegion`] when the region is not what it was.
    pub fn return_extra(
        &self,
        pool: &FramePool<'_>,
        content: ContentMemory,
    ) -> Result<u32, LayoutError> {
        let content = content.bufs();
        let frames = core::iter::from_fn(|| Some(pool.alloc(0)?.lend().0));
        let mut cnt = 0;
        // One by one, and out of the pool for good: there are no more than it has.
        for buf_idx in frames.chain(content) {
            let at = self.buf_at(buf_idx);
            let stored = self.region.store_u32(at, self.bufs_head()?);
            stored.ok_or(LayoutError::OutOfRegion)?;
            self.set_bufs_head(buf_idx)?;
            pool.forsake_lent(FrameIdx(buf_idx));
            cnt += 1;
        }
        Ok(cnt)
    }

    /// The first of `bufs` neighbours among the extra buffers; `None` when there is no such run.
    fn find_run(&self, frames_max: u32, bufs: u32) -> Result<Option<u32>, LayoutError> {
        if bufs == 0 {
            return Ok(None);
        }
        let mut buf_idx = self.bufs_head()?;
        // The lists that were looked at go down by one, and ours go up.
        let (mut low, mut high) = (0, 0);
        for _ in 0..frames_max.min(self.bufs_cnt) {
            if buf_idx == 0 {
                break;
            }
            if low != 0 && buf_idx + 1 == low {
                low = buf_idx;
            } else if low != 0 && buf_idx == high + 1 {
                high = buf_idx;
            } else {
                (low, high) = (buf_idx, buf_idx);
            }
            if high - low + 1 == bufs {
                return Ok(Some(low));
            }
            buf_idx = self.next_extra(buf_idx)?;
        }
        Ok(None)
    }

    /// The name behind an extra buffer's.
    fn next_extra(&self, buf_idx: u32) -> Result<u32, LayoutError> {
        if !(BUF_IDX_MIN..self.bufs_cnt).contains(&buf_idx) {
            return Err(LayoutError::ExtraList { buf_idx });
        }
        let next = self.region.load_u32(self.buf_at(buf_idx));
        next.ok_or(LayoutError::OutOfRegion)
    }

    fn bufs_head(&self) -> Result<u32, LayoutError> {
        self.number(self.at, offset_of!(NetmapIf, bufs_head))
    }

    fn set_bufs_head(&self, buf_idx: u32) -> Result<(), LayoutError> {
        let at = self.at + offset_of!(NetmapIf, bufs_head);
        let stored = self.region.store_u32(at, buf_idx);
        stored.ok_or(LayoutError::OutOfRegion)
    }

    /// Where a buffer lies in the region.
    fn buf_at(&self, buf_idx: u32) -> usize {
        self.bufs_at + buf_idx as usize * usize::from(self.buf_size)
    }

    /// The address of buffer 0.
    pub(crate) fn bufs_base(&self) -> core::ptr::NonNull<u8> {
        let bufs_len = self.bufs_cnt as usize * usize::from(self.buf_size);
        let base = self.region.address(self.bufs_at, bufs_len, 1);
        base.expect("`find_bufs` has counted the buffers that the region has")
    }

    /// Where the ring of an entry of a `ring_ofs` lies; `None` when it is not bound.
    fn ring_at(&self, if_at: usize, entry: usize) -> Result<Option<usize>, LayoutError> {
        let ofs = self.region.load_u64(if_at + RING_OFS_AT + 8 * entry);
        // The number is a signed one.
        let ofs = ofs.ok_or(LayoutError::OutOfRegion)?.cast_signed();
        if ofs == 0 {
            return Ok(None);
        }
        let ring_at = isize::try_from(ofs)
            .ok()
            .and_then(|ofs| if_at.checked_add_signed(ofs))
            .filter(|ring_at| self.region.address(*ring_at, SLOTS_AT, 8).is_some());
        ring_at.map(Some).ok_or(LayoutError::OutOfRegion)
    }

    /// Where a ring says that the buffers are, and how large.
    fn bufs_of(&self, ring_at: usize) -> Result<(usize, u32), LayoutError> {
        let buf_ofs = self
            .region
            .load_u64(ring_at + offset_of!(NetmapRing, buf_ofs));
        let buf_ofs = buf_ofs.ok_or(LayoutError::OutOfRegion)?.cast_signed();
        let bufs_at = isize::try_from(buf_ofs)
            .ok()
            .and_then(|ofs| ring_at.checked_add_signed(ofs))
            .filter(|at| self.region.address(*at, 0, 8).is_some());
        let bufs_at = bufs_at.ok_or(LayoutError::OutOfRegion)?;
        let buf_size = self.number(ring_at, offset_of!(NetmapRing, buf_size))?;
        Ok((bufs_at, buf_size))
    }

    fn find_bufs(&mut self, ring_at: usize) -> Result<(), LayoutError> {
        let (bufs_at, buf_size) = self.bufs_of(ring_at)?;
        self.buf_size = u16::try_from(buf_size)
            .ok()
            .filter(|size| *size >= BUF_SIZE_MIN && size.is_multiple_of(8))
            .ok_or(LayoutError::BufSize { buf_size })?;
        self.bufs_at = bufs_at;
        let bufs_cnt = (self.region.len() - bufs_at) / usize::from(self.buf_size);
        self.bufs_cnt = u32::try_from(bufs_cnt).unwrap_or(u32::MAX - 1);
        Ok(())
    }

    fn number(&self, at: usize, field: usize) -> Result<u32, LayoutError> {
        let value = self.region.load_u32(at + field);
        value.ok_or(LayoutError::OutOfRegion)
    }
}

#[cfg(test)]
mod tests;
