//! A host: two ports back to back in one process, over one region.
//!
//! ```text
//!   port 0  tx ring ──► Wire ──► rx ring  port 1        a Wire for each ring pair, both ways
//!           rx ring ◄──      ◄── tx ring
//! ```
//!
//! Both ends are one core's, and whoever syncs moves the packets: there is no thread. It applies
//! back-pressure: what does not fit into the peer's ring stays in ours.
//!
//! [`Buffers::Move`] is how netmap's own pipes are: the two buffers change places, nothing is
//! copied, and no content can be sent by reference. With [`Buffers::Stay`] the wire copies from one
//! buffer to the other, as a device's DMA would on two machines; then everything can be sent that a
//! device can send, also with a virtio-net header, which arrives as it was sent. With
//! [`Buffers::Shuffle`] it copies, too, and fills the buffers of a receive ring out of order.

use core::cell::RefCell;

use simoom_ring::{LinkState, MacAddr};

use crate::abi::{NetmapSlot, SlotFlags};
use crate::rx::after;
use crate::{Buffers, FarSide, Fault, Gone, Host, Interface, Kring, RingKind, Traits};

/// A ring pair of each end, connected crosswise.
#[derive(Debug)]
pub struct Wire<'m> {
    interface: Interface,
    buffers: Buffers,
    /// Of each end.
    tx: [Kring<'m>; 2],
    rx: [Kring<'m>; 2],
    is_stopped: [bool; 2],
    is_strict: bool,
    counters: WireCounters,
}

/// What has happened on a wire, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Packets moved.
    pub packets: u64,
    /// Packets dropped because the other end has been closed.
    pub dropped_stopped: u64,
    /// Packets dropped for being longer than the peer's ring has room for.
    pub dropped_long: u64,
    /// Rules broken by either end.
    pub faults: u64,
    /// The last of them.
    pub last_fault: Option<Fault>,
}

impl<'m> Wire<'m> {
    /// Slots for which [`new`](Self::new) needs a number each.
    pub fn bufs_len(interfaces: &[Interface; 2], idx: u16) -> usize {
        let kinds = [RingKind::Tx, RingKind::Rx];
        let rings = interfaces.iter().flat_map(|interface| {
            let ring = move |kind| interface.ring(kind, idx.into()).ok();
            kinds.into_iter().filter_map(ring)
        });
        rings.map(|ring| ring.num_slots() as usize).sum()
    }

    /// Connects ring pair `idx` of two ports that were just laid out in one region; `None` when
    /// they have none, or are of two regions, or there are fewer `bufs` than slots.
    pub fn new(
        interfaces: [Interface; 2],
        idx: u16,
        buffers: Buffers,
        bufs: &'m mut [u32],
    ) -> Option<Self> {
        let [first, second] = interfaces;
        if first.bufs_base() != second.bufs_base() || first.buf_size() != second.buf_size() {
            return None;
        }
        let mut rest = bufs;
        let mut kring = |interface: &Interface, kind| {
            let len = interface.ring(kind, idx.into()).ok()?.num_slots() as usize;
            let (bufs, left) = core::mem::take(&mut rest).split_at_mut_checked(len)?;
            rest = left;
            Kring::new(interface, kind, idx.into(), bufs)
        };
        Some(Self {
            interface: first,
            buffers,
            tx: [kring(&first, RingKind::Tx)?, kring(&second, RingKind::Tx)?],
            rx: [kring(&first, RingKind::Rx)?, kring(&second, RingKind::Rx)?],
            is_stopped: [false; 2],
            is_strict: false,
            counters: WireCounters::default(),
        })
    }

    /// From now on a broken rule is a panic: for tests.
    pub fn set_strict(&mut self) {
        self.is_strict = true;
    }

    /// What has happened so far.
    pub fn counters(&self) -> WireCounters {
        self.counters
    }

    /// The buffers that the wire may access now, by end: of the transmit rings, which it reads, and
    /// of the receive rings, which it writes.
    pub fn owned_bufs(&self, end: usize) -> [impl Iterator<Item = u32> + '_; 2] {
        [self.tx[end].owned_bufs(), self.rx[end].owned_bufs()]
    }

    #[inline]
    fn sync_tx(&mut self, end: usize) {
        let checked = self.tx[end].begin();
        self.note(checked);
        self.transfer(end);
        self.tx[end].end();
    }

    #[inline]
    fn sync_rx(&mut self, end: usize) {
        let checked = self.rx[end].begin();
        self.note(checked);
        self.transfer(1 - end);
        self.rx[end].end();
    }

    fn note(&mut self, checked: Result<(), Fault>) {
        let Err(fault) = checked else { return };
        assert!(!self.is_strict, "a rule of netmap's is broken: {fault}");
        self.counters.faults += 1;
        self.counters.last_fault = Some(fault);
    }

    /// Moves packets from an end's transmit ring to the other's receive ring, as far as they fit.
    #[inline]
    fn transfer(&mut self, from: usize) {
        if self.buffers == Buffers::Move && !self.is_stopped[1 - from] {
            self.swap_single(from);
        }
        // No more packets than there are slots to be sent.
        while let Some((slots_cnt, byte_len)) = self.next_packet(from) {
            let (peer, buf_size) = (1 - from, usize::from(self.interface.buf_size()));
            let needed = match self.buffers {
                Buffers::Move => slots_cnt as usize,
                Buffers::Stay | Buffers::Shuffle => byte_len.div_ceil(buf_size).max(1),
            };
            if self.is_stopped[peer] {
                self.counters.dropped_stopped += 1;
            } else if needed >= self.rx[peer].num_slots() as usize {
                self.counters.dropped_long += 1;
            } else if needed > self.rx[peer].ready() as usize {
                return;
            } else {
                match self.buffers {
                    Buffers::Move => self.swap_packet(from, slots_cnt),
                    Buffers::Stay => self.copy_packet(from, slots_cnt),
                    Buffers::Shuffle => {
                        self.shuffle(peer, needed as u32);
                        self.copy_packet(from, slots_cnt);
                    }
                }
                self.counters.packets += 1;
            }
            self.tx[from].advance(slots_cnt);
        }
    }

    /// Slots and bytes of the next packet to be sent.
    #[inline]
    fn next_packet(&self, from: usize) -> Option<(u32, usize)> {
        let tx = &self.tx[from];
        let (mut cnt, mut byte_len) = (0, 0);
        while cnt < tx.ready() {
            let slot = tx.slot(tx.position(cnt));
            byte_len += usize::from(slot.len);
            cnt += 1;
            if !slot.flags.contains(SlotFlags::MOREFRAG) {
                break;
            }
        }
        (cnt > 0).then_some((cnt, byte_len))
    }

    /// Lets the buffers of packets of one slot change places with empty ones, up to the first
    /// packet of more: most bursts have none.
    #[inline]
    fn swap_single(&mut self, from: usize) {
        let [first, second] = &mut self.rx;
        let rx = if from == 0 { second } else { first };
        let tx = &mut self.tx[from];
        let cnt = tx.ready().min(rx.ready());
        let (mut sent, mut filled) = (tx.first(), rx.first());
        let mut swapped_cnt = 0;
        while swapped_cnt < cnt {
            let slot = tx.slot(sent as usize);
            if slot.flags.contains(SlotFlags::MOREFRAG) {
                break;
            }
            // The names as they were checked: the slots may read differently now.
            let (full, empty) = (tx.buf_idx(sent as usize), rx.buf_idx(filled as usize));
            let ptr = tx.offset(&slot);
            let slot = NetmapSlot {
                buf_idx: full,
                len: slot.len,
                flags: SlotFlags::NONE,
                ptr,
            };
            rx.write(filled as usize, slot);
            let slot = NetmapSlot {
                buf_idx: empty,
                ..NetmapSlot::default()
            };
            tx.write(sent as usize, slot);
            sent = after(sent, tx.num_slots());
            filled = after(filled, rx.num_slots());
            swapped_cnt += 1;
        }
        tx.advance(swapped_cnt);
        rx.advance(swapped_cnt);
        self.counters.packets += u64::from(swapped_cnt);
    }

    /// Lets the buffers of a packet change places with empty ones.
    #[inline]
    fn swap_packet(&mut self, from: usize, slots_cnt: u32) {
        let (tx, rx) = (&mut self.tx[from], &mut self.rx[1 - from]);
        for n in 0..slots_cnt {
            let (sent, filled) = (tx.position(n), rx.position(0));
            let slot = tx.slot(sent);
            let empty = NetmapSlot {
                buf_idx: rx.buf_idx(filled),
                len: 0,
                flags: SlotFlags::NONE,
                ptr: 0,
            };
            // The name as it was checked: the slot may read differently now.
            let full = NetmapSlot {
                buf_idx: tx.buf_idx(sent),
                len: slot.len,
                flags: SlotFlags(slot.flags.0 & SlotFlags::MOREFRAG.0),
                ptr: tx.offset(&slot),
            };
            rx.write(filled, full);
            tx.write(sent, empty);
            rx.advance(1);
        }
    }

    /// Takes the buffers of the next `cnt` empty slots from those furthest away.
    fn shuffle(&mut self, end: usize, cnt: u32) {
        let rx = &mut self.rx[end];
        for n in 0..cnt.min(rx.ready() / 2) {
            let [near, far] = [n, rx.ready() - 1 - n].map(|n| rx.position(n));
            let bufs = [rx.buf_idx(far), rx.buf_idx(near)];
            for (position, buf_idx) in [near, far].into_iter().zip(bufs) {
                let slot = NetmapSlot {
                    buf_idx,
                    ..rx.slot(position)
                };
                rx.write(position, slot);
            }
        }
    }

    /// Copies a packet into as few empty buffers as it fits into.
    #[inline]
    fn copy_packet(&mut self, from: usize, slots_cnt: u32) {
        let buf_size = usize::from(self.interface.buf_size());
        let (tx, rx) = (&self.tx[from], &mut self.rx[1 - from]);
        let mut filled_len = 0;
        let finish = |rx: &mut Kring<'m>, len: usize, flags| {
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
        };
        for n in 0..slots_cnt {
            let position = tx.position(n);
            let slot = tx.slot(position);
            let offset = usize::try_from(tx.offset(&slot)).unwrap_or(buf_size);
            let offset = offset.min(buf_size);
            // Cut as a kernel cuts it, should the slot read differently now.
            let len = usize::from(slot.len).min(buf_size - offset);
            let mut done_len = 0;
            while done_len < len {
                if filled_len == buf_size {
                    finish(rx, filled_len, SlotFlags::MOREFRAG);
                    filled_len = 0;
                }
                let part_len = (len - done_len).min(buf_size - filled_len);
                let source = (tx.buf_idx(position), offset + done_len);
                let target = (rx.buf_idx(rx.position(0)), filled_len);
                copy(&self.interface, source, target, part_len);
                done_len += part_len;
                filled_len += part_len;
            }
        }
        finish(rx, filled_len, SlotFlags::NONE);
    }
}

/// Copies within the region, from and to a place in a buffer.
fn copy(interface: &Interface, source: (u32, usize), target: (u32, usize), len: usize) {
    let address = |(buf_idx, offset): (u32, usize)| {
        let buf_at = buf_idx as usize * usize::from(interface.buf_size());
        let at = interface.bufs_at() + buf_at + offset;
        interface.region().address(at, len, 1)
    };
    // Names were checked when the slots were given: both are in the region.
    let (Some(source), Some(target)) = (address(source), address(target)) else {
        return;
    };
    // SAFETY: both places are inside the region. They belong to the wire: the ends have given it
    // these slots, and have no reference to what is in them but for reading what is sent.
    unsafe { target.copy_from(source, len) };
}

/// One end of a pipe.
pub struct PipeHost<'m> {
    wires: &'m [RefCell<Wire<'m>>],
    end: usize,
    traits: Traits,
    mac: MacAddr,
    queues_out: usize,
}

impl<'m> PipeHost<'m> {
    /// End 0 or 1 of a pipe of as many ring pairs as there are wires. `traits` are as the embedder
    /// wishes, but for chains, which may be as long as the ring, and for what becomes of buffers.
    ///
    /// # Panics
    /// Without a wire, or for another end.
    pub fn new(wires: &'m [RefCell<Wire<'m>>], end: usize, traits: Traits, mac: MacAddr) -> Self {
        assert!(end < 2, "a pipe has two ends");
        let first = wires.first().expect("a pipe has a wire");
        let buffers = first.borrow().buffers;
        let traits = Traits {
            chain_max: u16::MAX,
            buffers,
            ..traits
        };
        Self {
            wires,
            end,
            traits,
            mac,
            queues_out: 0,
        }
    }
}

impl<'m> Host for PipeHost<'m> {
    type Rx = PipeRx<'m>;
    type Tx = PipeTx<'m>;

    fn traits(&self) -> Traits {
        self.traits
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Down when the other end has been closed.
    fn link(&mut self) -> LinkState {
        let is_closed = |wire: &RefCell<Wire<'_>>| wire.borrow().is_stopped[1 - self.end];
        match self.wires.iter().all(is_closed) {
            true => LinkState::Down,
            false => LinkState::Up,
        }
    }

    /// Ring pairs are handed out in their order.
    fn far_sides(&mut self, idx: u16) -> Option<(Self::Rx, Self::Tx)> {
        if usize::from(idx) != self.queues_out {
            return None;
        }
        let wire = self.wires.get(self.queues_out)?;
        self.queues_out += 1;
        let end = self.end;
        Some((PipeRx { wire, end }, PipeTx { wire, end }))
    }
}

/// The far side of an end's receive ring.
pub struct PipeRx<'m> {
    wire: &'m RefCell<Wire<'m>>,
    end: usize,
}

/// The far side of an end's transmit ring.
pub struct PipeTx<'m> {
    wire: &'m RefCell<Wire<'m>>,
    end: usize,
}

impl FarSide for PipeRx<'_> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        self.wire.borrow_mut().sync_rx(self.end);
        Ok(())
    }

    fn arm(&mut self) -> bool {
        let mut wire = self.wire.borrow_mut();
        wire.transfer(1 - self.end);
        wire.rx[self.end].has_news()
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.wire.borrow_mut().rx[self.end].rewrite();
        Ok(())
    }

    fn stop(&mut self) {
        self.wire.borrow_mut().is_stopped[self.end] = true;
    }
}

impl FarSide for PipeTx<'_> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        self.wire.borrow_mut().sync_tx(self.end);
        Ok(())
    }

    fn arm(&mut self) -> bool {
        self.wire.borrow().tx[self.end].has_news()
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.wire.borrow_mut().tx[self.end].rewrite();
        Ok(())
    }

    fn stop(&mut self) {
        let mut wire = self.wire.borrow_mut();
        // What was published and not sent is lost, as on a cable that is pulled.
        let left = wire.tx[self.end].ready();
        wire.tx[self.end].advance(left);
    }
}
