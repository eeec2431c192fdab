//! Lays out a region as a kernel does, for hosts that are not one.
//!
//! ```text
//!   0      1024    …           rings                      buffers, page-aligned
//!   │ if 0 │ if 1 │ … │ tx 0 │ rx 0 │ tx 1 │ … │ 0 │ 1 │ slots' │ extra ones │
//! ```

use core::mem::offset_of;

use crate::abi::{NetmapIf, NetmapRing, RING_OFS_AT, SLOT_LEN, SLOTS_AT};
use crate::config::{IF_SIZE, NUM_SLOTS_MAX};
use crate::{LayoutError, Region};

/// What a region is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Ports: one for a host that drives a device, two for a pipe.
    pub ports: u16,
    /// Ring pairs of each port.
    pub rings: u16,
    /// Slots of each transmit ring, 2 at least.
    pub tx_slots: u32,
    /// Slots of each receive ring, 2 at least.
    pub rx_slots: u32,
    /// Extra buffers of each port.
    pub extra_bufs: u32,
    /// And of the first one besides: for content, which all of them send.
    pub content_bufs: u32,
    /// Bytes of each buffer: a multiple of 64.
    pub buf_size: u16,
    /// Packets may begin anywhere in a buffer.
    pub has_offsets: bool,
}

impl Plan {
    /// Bytes that the region needs; `None` for a plan that no region can hold.
    pub fn byte_len(&self) -> Option<usize> {
        let bufs = usize::try_from(self.bufs_cnt()?).ok()?;
        let bufs_len = bufs.checked_mul(self.buf_size.into())?;
        self.bufs_at()?.checked_add(bufs_len)
    }

    /// Where the `netmap_if` of a port lies.
    pub fn if_at(&self, port: u16) -> usize {
        usize::from(port) * IF_SIZE
    }

    /// Writes interfaces, rings and the lists of extra buffers. The region is zeroed memory that
    /// nobody uses yet.
    ///
    /// # Errors
    /// [`LayoutError::OutOfRegion`] when the region is smaller than [`byte_len`](Self::byte_len) or
    /// the plan cannot be; [`LayoutError::NumSlots`].
    pub fn lay_out(&self, region: Region) -> Result<(), LayoutError> {
        for num_slots in [self.tx_slots, self.rx_slots] {
            if !(2..=NUM_SLOTS_MAX).contains(&num_slots) {
                return Err(LayoutError::NumSlots { num_slots });
            }
        }
        let byte_len = self.byte_len().filter(|len| *len <= region.len());
        byte_len.ok_or(LayoutError::OutOfRegion)?;
        // 0 and 1 are never given out.
        let mut next_buf = 2;
        for port in 0..self.ports {
            let written = self.write_port(region, port, &mut next_buf);
            written.ok_or(LayoutError::OutOfRegion)?;
        }
        Ok(())
    }

    fn write_port(&self, region: Region, port: u16, next_buf: &mut u32) -> Option<()> {
        let at = self.if_at(port);
        let rings = u32::from(self.rings);
        region.store_u64(at, u64::from_ne_bytes(*b"simoom\0\0"))?;
        region.store_u32(at + offset_of!(NetmapIf, flags), 1)?;
        region.store_u32(at + offset_of!(NetmapIf, tx_rings), rings)?;
        region.store_u32(at + offset_of!(NetmapIf, rx_rings), rings)?;
        // As a kernel has it: one of each, never bound.
        region.store_u32(at + offset_of!(NetmapIf, host_tx_rings), 1)?;
        region.store_u32(at + offset_of!(NetmapIf, host_rx_rings), 1)?;
        for ring in 0..self.rings {
            for (is_tx, before) in [(true, 0), (false, usize::from(self.rings) + 1)] {
                let ring_at = self.ring_at(port, ring, is_tx)?;
                let entry = RING_OFS_AT + 8 * (before + usize::from(ring));
                region.store_u64(at + entry, u64::try_from(ring_at - at).ok()?)?;
                self.write_ring(region, ring_at, ring, is_tx, next_buf)?;
            }
        }
        let mut head = 0;
        for _ in 0..self.extra_bufs_of(port)? {
            let buf_at = self.bufs_at()? + *next_buf as usize * usize::from(self.buf_size);
            region.store_u32(buf_at, head)?;
            head = *next_buf;
            *next_buf += 1;
        }
        region.store_u32(at + offset_of!(NetmapIf, bufs_head), head)
    }

    fn write_ring(
        &self,
        region: Region,
        at: usize,
        ring: u16,
        is_tx: bool,
        next_buf: &mut u32,
    ) -> Option<()> {
        let num_slots = if is_tx { self.tx_slots } else { self.rx_slots };
        let tail = if is_tx { num_slots - 1 } else { 0 };
        let dir = u32::from(is_tx);
        region.store_u64(at, u64::try_from(self.bufs_at()? - at).ok()?)?;
        region.store_u32(at + offset_of!(NetmapRing, num_slots), num_slots)?;
        region.store_u32(at + offset_of!(NetmapRing, buf_size), self.buf_size.into())?;
        // ringid and dir, 16 bits each, the lower one first.
        let numbers = [u32::from(ring) | dir << 16, u32::from(ring) << 16 | dir];
        let ringid = numbers[usize::from(cfg!(target_endian = "big"))];
        region.store_u32(at + offset_of!(NetmapRing, ringid), ringid)?;
        region.store_u32(at + offset_of!(NetmapRing, tail), tail)?;
        let offset_mask = if self.has_offsets { 0xffff } else { 0 };
        region.store_u64(at + offset_of!(NetmapRing, offset_mask), offset_mask)?;
        for slot in 0..num_slots as usize {
            let slot_at = at + SLOTS_AT + slot * SLOT_LEN;
            region.store_u32(slot_at, *next_buf)?;
            // Fresh slots say the whole buffer: len and flags, 16 bits each.
            let len = u32::from(self.buf_size);
            let words = [len, len << 16];
            region.store_u32(slot_at + 4, words[usize::from(cfg!(target_endian = "big"))])?;
            *next_buf += 1;
        }
        Some(())
    }

    fn ring_at(&self, port: u16, ring: u16, is_tx: bool) -> Option<usize> {
        let pair = usize::from(port) * usize::from(self.rings) + usize::from(ring);
        let (tx_len, rx_len) = (ring_len(self.tx_slots)?, ring_len(self.rx_slots)?);
        let first = self.ifs_len()? + pair.checked_mul(tx_len.checked_add(rx_len)?)?;
        Some(if is_tx { first } else { first + tx_len })
    }

    fn bufs_at(&self) -> Option<usize> {
        let end = self.ring_at(self.ports, 0, true)?;
        end.checked_next_multiple_of(4096)
    }

    /// The interfaces; `None` when the offsets of all rings do not fit into one.
    fn ifs_len(&self) -> Option<usize> {
        let entries = 2 * (usize::from(self.rings) + 1);
        (RING_OFS_AT + 8 * entries <= IF_SIZE).then_some(usize::from(self.ports) * IF_SIZE)
    }

    fn bufs_cnt(&self) -> Option<u32> {
        let slots = self.tx_slots.checked_add(self.rx_slots)?;
        let bound = slots.checked_mul(self.rings.into())?;
        let port = bound.checked_add(self.extra_bufs)?;
        let ports = port.checked_mul(self.ports.into())?;
        ports.checked_add(self.content_bufs)?.checked_add(2)
    }

    fn extra_bufs_of(&self, port: u16) -> Option<u32> {
        match port {
            0 => self.extra_bufs.checked_add(self.content_bufs),
            _ => Some(self.extra_bufs),
        }
    }
}

/// Bytes of a ring of so many slots, to the next ring.
fn ring_len(num_slots: u32) -> Option<usize> {
    let slots_len = usize::try_from(num_slots).ok()?.checked_mul(SLOT_LEN)?;
    slots_len
        .checked_add(SLOTS_AT)?
        .checked_next_multiple_of(128)
}
