//! The other end's memory, which can be read and not believed.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::control::Control;
use crate::abi::{BUF_IDX_MIN, NetmapSlot, SlotFlags};
use crate::hosts::memory::Mapping;
use crate::rx::{after, wrapped};
use crate::{Interface, Kring, RingMemory};

/// The other end has broken a rule.
#[derive(Debug)]
pub(super) struct Fault;

/// The other end, while it is there.
pub(super) struct Peer {
    /// Ends with its process.
    pub(super) stream: UnixStream,
    /// Wakes it.
    pub(super) event: OwnedFd,
    pub(super) control: Control,
    interface: Interface,
    tx: RingMemory,
    /// The slot of its transmit ring that is read next.
    next: u32,
    read_cnt: u32,
    /// Dropped after all that refers to it.
    _memory: Mapping,
}

impl Peer {
    /// An end whose transmit ring is read from slot `next` on; `None` when the memory is no port's.
    pub(super) fn new(
        stream: UnixStream,
        event: OwnedFd,
        control: Control,
        memory: Mapping,
        next: u32,
    ) -> Option<Self> {
        let region = memory.region_to_read()?;
        let interface = Interface::new(region, 0).ok()?;
        let tx = interface.ring(crate::RingKind::Tx, 0).ok()?;
        (next < tx.num_slots()).then_some(Self {
            stream,
            event,
            control,
            interface,
            tx,
            next,
            read_cnt: 0,
            _memory: memory,
        })
    }

    /// Slots that are ready to be read.
    #[inline]
    fn ready(&self) -> Result<u32, Fault> {
        let (head, num_slots) = (self.tx.load_indices().head, self.tx.num_slots());
        match head < num_slots {
            true if head >= self.next => Ok(head - self.next),
            true => Ok(head + num_slots - self.next),
            false => Err(Fault),
        }
    }

    /// Whether there is something to read.
    pub(super) fn has_news(&self) -> bool {
        // A rule that is broken is news, too.
        self.ready().map_or(true, |cnt| cnt > 0)
    }

    /// Copies packets into a receive ring of ours, as far as they fit; how many slots of it were
    /// filled.
    ///
    /// # Errors
    /// [`Fault`]: this end is no longer to be read.
    pub(super) fn receive(&mut self, rx: &mut Kring<'_>, ours: &Interface) -> Result<u32, Fault> {
        let mut ready = self.ready()?;
        let mut filled_cnt = 0;
        while ready > 0 {
            let (slots_cnt, byte_len) = self.next_packet(ready)?;
            let needed = byte_len.div_ceil(usize::from(ours.buf_size())).max(1);
            if needed >= rx.num_slots() as usize {
                return Err(Fault);
            }
            if needed > rx.ready() as usize {
                break;
            }
            filled_cnt += self.copy_packet(slots_cnt, needed as u32, rx, ours)?;
            self.next = wrapped(self.next + slots_cnt, self.tx.num_slots());
            self.read_cnt = self.read_cnt.wrapping_add(slots_cnt);
            ready -= slots_cnt;
        }
        Ok(filled_cnt)
    }

    /// Slots that were read since [`new`](Self::new), for the control page.
    pub(super) fn tell(&self) {
        self.control.set_read(self.read_cnt);
    }

    /// Slots and bytes of the next packet: a burst ends with a whole one.
    #[inline]
    fn next_packet(&self, ready: u32) -> Result<(u32, usize), Fault> {
        let (mut at, mut byte_len) = (self.next, 0);
        for cnt in 1..=ready {
            let slot = self.tx.slot(at as usize);
            byte_len += usize::from(slot.len);
            if !slot.flags.contains(SlotFlags::MOREFRAG) {
                return Ok((cnt, byte_len));
            }
            at = after(at, self.tx.num_slots());
        }
        Err(Fault)
    }

    /// Copies a packet into as few buffers as it fits into; slots filled. It was measured to take
    /// `needed` of them: should a slot read differently now, it is cut there.
    #[inline]
    fn copy_packet(
        &self,
        slots_cnt: u32,
        needed: u32,
        rx: &mut Kring<'_>,
        ours: &Interface,
    ) -> Result<u32, Fault> {
        let buf_size = usize::from(ours.buf_size());
        let (mut at, mut to, mut filled_cnt) = (self.next, 0, 0);
        let mut copied = Ok(());
        'packet: for _ in 0..slots_cnt {
            // Read once; what is looked at below is our copy.
            let slot = self.tx.slot(at as usize);
            let Ok(mut from) = self.bytes_at(&slot) else {
                copied = Err(Fault);
                break;
            };
            let mut len = usize::from(slot.len);
            while len > 0 {
                if to == buf_size {
                    if filled_cnt + 1 == needed {
                        copied = Err(Fault);
                        break 'packet;
                    }
                    finish(rx, to, SlotFlags::MOREFRAG);
                    (filled_cnt, to) = (filled_cnt + 1, 0);
                }
                let part_len = len.min(buf_size - to);
                let target = rx.buf_idx(rx.position(0)) as usize * buf_size + to;
                copy(
                    (&self.interface, from),
                    (ours, ours.bufs_at() + target),
                    part_len,
                );
                (from, len, to) = (from + part_len, len - part_len, to + part_len);
            }
            at = after(at, self.tx.num_slots());
        }
        // Its end in any case: a chain is never left open.
        finish(rx, to, SlotFlags::NONE);
        copied.map(|()| filled_cnt + 1)
    }

    /// Where the bytes of a slot lie in the other's region.
    #[inline]
    fn bytes_at(&self, slot: &NetmapSlot) -> Result<usize, Fault> {
        let buf_size = usize::from(self.interface.buf_size());
        let offset = usize::try_from(slot.ptr & self.tx.offset_mask()).map_err(|_| Fault)?;
        let has_buf = (BUF_IDX_MIN..self.interface.bufs_cnt()).contains(&slot.buf_idx);
        let end = offset.checked_add(slot.len.into());
        match has_buf && end.is_some_and(|end| end <= buf_size) {
            true => Ok(self.interface.bufs_at() + slot.buf_idx as usize * buf_size + offset),
            false => Err(Fault),
        }
    }
}

/// Copies from a place in the one region to a place in the other.
#[inline]
fn copy(source: (&Interface, usize), target: (&Interface, usize), len: usize) {
    let address = |(interface, at): (&Interface, usize)| interface.region().address(at, len, 1);
    let (Some(source), Some(target)) = (address(source), address(target)) else {
        return;
    };
    // SAFETY: both are inside their regions. The source may change meanwhile, which makes other
    // bytes of it; the target is in a slot that we were given to fill.
    unsafe { target.copy_from(source, len) };
}

/// The next slot of a receive ring is filled.
#[inline]
fn finish(rx: &mut Kring<'_>, len: usize, flags: SlotFlags) {
    let position = rx.position(0);
    let slot = NetmapSlot {
        buf_idx: rx.buf_idx(position),
        // At most a buffer's size, which is a u16.
        len: len as u16,
        flags,
        ptr: 0,
    };
    rx.write(position, slot);
    rx.advance(1);
}
