//! What the fake kernel does: rings laid out, requests answered, frames moved.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::string::{String, ToString};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::vec;
use std::vec::Vec;

use rustix::io::Errno;

use super::{BUF_SIZE, Dims, RINGS_AT};
use crate::abi::{
    NetmapSlot, OPT_OFFSETS, OptOffsets, REG_ALL_NIC, REG_NIC_SW, REG_ONE_NIC, REG_SW, Register,
    SlotFlags,
};
use crate::hosts::netmap::{Adapter, Way};
use crate::{Interface, Kring, Region, RingKind};

/// The machine, as tests look at it and change it.
pub struct Machine {
    pub(super) dims: Dims,
    pub(super) memory: OwnedFd,
    pub(super) region: Region,
    next_if: usize,
    next_ring: usize,
    next_buf: u32,
    /// `None`: the module is not loaded.
    pub opens: Option<Result<(), Errno>>,
    /// What stands behind `eth0`.
    pub adapter: Adapter,
    /// Its MTU.
    pub mtu: u32,
    /// Ring pairs that it has.
    pub rings: u32,
    /// Bytes of header of the port.
    pub hdr_len: u32,
    /// Extra buffers that are left to be given.
    pub extra_max: u32,
    /// Those that were bound.
    pub ports: BTreeMap<String, Port>,
    /// Requests in their order.
    pub requests: Vec<String>,
    /// Calls to sync, in theirs.
    pub syncs: Vec<(String, Way)>,
    /// How many offloads are off.
    pub off: Arc<AtomicUsize>,
    /// A refusal of all requests to come.
    pub refusal: Option<Errno>,
}

/// A port that someone has bound.
#[derive(Default)]
pub struct Port {
    /// By kind (hardware transmit, host transmit, and so on, as `ring_ofs` has them) and number.
    pub(super) rings: BTreeMap<(usize, u32), Ring>,
    /// Those that a descriptor has.
    pub(super) owned: BTreeSet<(usize, u32)>,
    /// What was sent, and what will come in, on the wire and from the machine's stack.
    pub sent: Vec<Vec<u8>>,
    /// See `sent`.
    pub incoming: VecDeque<Vec<u8>>,
    /// The same of the NIC's rings but the first, by their numbers.
    pub sent_by: BTreeMap<u32, Vec<Vec<u8>>>,
    /// See `sent_by`.
    pub incoming_at: BTreeMap<u32, VecDeque<Vec<u8>>>,
    /// To the machine's own stack.
    pub to_host: Vec<Vec<u8>>,
    /// From it.
    pub from_host: VecDeque<Vec<u8>>,
    /// The interface was taken away.
    pub is_gone: bool,
    /// A ring was put right, which `poll` says once.
    pub(super) is_reset: bool,
    /// How often that was.
    pub resets: u32,
    /// What the tail of the transmit ring is to be after the next sync: someone else has it mapped.
    pub lie: Option<u32>,
    /// A peer that is slow: nothing is sent until it is not.
    pub is_stalled: bool,
}

/// A ring, and the kernel's end of it.
pub(super) struct Ring {
    pub(super) at: usize,
    kring: Option<Kring<'static>>,
}

/// What a descriptor has bound.
pub(super) struct Binding {
    pub(super) name: String,
    rings: Vec<(usize, u32)>,
}

impl Machine {
    pub(super) fn new(dims: Dims, region: Region, memory: OwnedFd, adapter: Adapter) -> Self {
        Self {
            dims,
            memory,
            region,
            next_if: 1_024,
            next_ring: RINGS_AT,
            next_buf: 2,
            opens: Some(Ok(())),
            adapter,
            mtu: 1_500,
            rings: 1,
            hdr_len: 0,
            extra_max: dims.extra_max,
            ports: BTreeMap::new(),
            requests: Vec::new(),
            syncs: Vec::new(),
            off: Arc::default(),
            refusal: None,
        }
    }

    pub(super) fn register(
        &mut self,
        name: &str,
        register: &mut Register,
        offsets: Option<&mut OptOffsets>,
    ) -> Result<Binding, Errno> {
        let is_pipe = name.contains(['{', '}']);
        let has_host = !is_pipe && !name.contains(':');
        if has_host && name != "eth0" {
            return Err(Errno::NXIO);
        }
        let is_only = register.flags.0 & 0x6000;
        let can_gather = self.adapter.can_gather() && has_host;
        if is_only != 0 && !can_gather {
            return Err(Errno::INVAL);
        }
        let has_offsets = offsets.is_some();
        if let Some(offsets) = offsets {
            check_offsets(offsets, can_gather, is_only)?;
        }
        let rings = if has_host { self.rings } else { 1 };
        let nic: Vec<_> = (0..rings).flat_map(|ring| [(0, ring), (2, ring)]).collect();
        let host = [(1, 0), (3, 0)];
        let ring = u32::from(register.ringid);
        let mut bound = match register.mode {
            REG_ALL_NIC => nic,
            REG_ONE_NIC if ring < rings => vec![(0, ring), (2, ring)],
            REG_SW if has_host => host.to_vec(),
            REG_NIC_SW if has_host => nic.into_iter().chain(host).collect(),
            _ => return Err(Errno::INVAL),
        };
        bound.retain(|(kind, _)| is_only != if *kind < 2 { 0x2000 } else { 0x4000 });
        let port = self.ports.entry(name.to_string()).or_default();
        if bound.iter().any(|ring| port.owned.contains(ring)) {
            return Err(Errno::BUSY);
        }
        port.owned.extend(&bound);
        let if_at = self.next_if;
        self.next_if += 1_024;
        self.enter(name, if_at, (rings, &bound), has_offsets);
        let extra_bufs = self.give_extra(if_at, register.extra_bufs);
        *register = Register {
            offset: if_at as u64,
            memsize: self.dims.memsize() as u64,
            tx_slots: self.dims.slots,
            rx_slots: self.dims.slots,
            tx_rings: 1,
            rx_rings: 1,
            host_tx_rings: u16::from(has_host),
            host_rx_rings: u16::from(has_host),
            mem_id: 1,
            extra_bufs,
            ..*register
        };
        let interface = Interface::new(self.region, if_at).expect("as it was laid out");
        let port = self.ports.get_mut(name).expect("just made");
        for (kind, ring) in &bound {
            let bufs = vec![0; self.dims.slots as usize].leak();
            let kring = Kring::new(&interface, KINDS[*kind], *ring, bufs);
            let real = port.rings.get_mut(&(*kind, *ring)).expect("just laid out");
            if real.kring.is_none() {
                real.kring = kring;
            }
        }
        Ok(Binding {
            name: name.to_string(),
            rings: bound,
        })
    }

    /// Writes a binding's `netmap_if`: where the rings are that it has bound.
    fn enter(
        &mut self,
        name: &str,
        if_at: usize,
        (rings, bound): (u32, &[(usize, u32)]),
        has_offsets: bool,
    ) {
        let mut port = self.ports.remove(name).unwrap_or_default();
        for (kind, ring) in bound {
            let real = port.rings.entry((*kind, *ring));
            let at = real.or_insert_with(|| Ring {
                at: self.new_ring(*kind < 2),
                kring: None,
            });
            let ring_at = at.at;
            if has_offsets {
                self.region.store_u64(ring_at + 56, 0xffff).expect("inside");
            }
            let first = [0, rings, rings + 1, 2 * rings + 1][*kind];
            let entry = if_at + 56 + 8 * (first + ring) as usize;
            let ofs = ring_at as u64 - if_at as u64;
            self.region.store_u64(entry, ofs).expect("inside");
        }
        // Version 0; one ring of each kind to the host, whether there is one or not.
        for (at, value) in [(16, 0), (24, rings), (28, rings), (36, 1), (40, 1)] {
            self.region.store_u32(if_at + at, value).expect("inside");
        }
        self.ports.insert(name.to_string(), port);
    }

    /// Makes a list of extra buffers; of how many.
    fn give_extra(&mut self, if_at: usize, wanted: u32) -> u32 {
        let extra_bufs = wanted.min(self.extra_max);
        let mut head = 0;
        for _ in 0..extra_bufs {
            let at = self.dims.buf_at(self.next_buf);
            self.region.store_u32(at, head).expect("inside");
            head = self.next_buf;
            self.next_buf += 1;
        }
        self.region.store_u32(if_at + 32, head).expect("inside");
        extra_bufs
    }

    /// A ring with a buffer in each slot.
    fn new_ring(&mut self, is_tx: bool) -> usize {
        let at = self.next_ring;
        self.next_ring += self.dims.ring_len();
        let slots = self.dims.slots;
        let region = self.region;
        region
            .store_u64(at, (self.dims.bufs_at() - at) as u64)
            .expect("inside");
        let tail = if is_tx { slots - 1 } else { 0 };
        // The direction is the opposite of what the header says; the time is a former user's.
        let words = [
            (8, slots),
            (12, BUF_SIZE as u32),
            (16, u32::from(is_tx) << 16),
            (28, tail),
            (40, 0x5eed),
        ];
        for (field, value) in words {
            region.store_u32(at + field, value).expect("inside");
        }
        for slot in 0..slots as usize {
            let slot_at = at + 256 + 16 * slot;
            region.store_u32(slot_at, self.next_buf).expect("inside");
            region
                .store_u32(slot_at + 4, BUF_SIZE as u32)
                .expect("inside");
            self.next_buf += 1;
        }
        at
    }

    pub(super) fn sync(&mut self, bound: &Binding, way: Way) -> Result<(), Errno> {
        let Binding { name, rings } = bound;
        self.syncs.push((name.clone(), way));
        let can_gather = self.adapter.can_gather();
        let (region, dims) = (self.region, self.dims);
        let port = self.ports.get_mut(name).expect("bound");
        if port.is_gone {
            return Err(Errno::IO);
        }
        let is_meant = |kind: usize| (kind < 2) == (way == Way::Tx);
        let mut rings = rings.iter().filter(|(kind, _)| is_meant(*kind)).peekable();
        assert!(rings.peek().is_some(), "a sync of rings that are not bound");
        for (kind, number) in rings {
            let ring = port.rings.get_mut(&(*kind, *number)).expect("bound");
            let (ring_at, kring) = (ring.at, ring.kring.as_mut().expect("bound"));
            if region.load_u32(ring_at + 20) == Some(u32::MAX) {
                // An index that makes none: put right, and the sync succeeds.
                kring.rewrite();
                port.is_reset = true;
                port.resets += 1;
                continue;
            }
            if let Err(fault) = kring.begin() {
                panic!("{name}: {fault}");
            }
            let queue = match (kind, number) {
                (0, 0) => Err(&mut port.sent),
                (0, number) => Err(port.sent_by.entry(*number).or_default()),
                (1, _) => Err(&mut port.to_host),
                (2, 0) => Ok(&mut port.incoming),
                (2, number) => Ok(port.incoming_at.entry(*number).or_default()),
                _ => Ok(&mut port.from_host),
            };
            match queue {
                Err(sent) if !port.is_stalled => send(kring, (region, dims), can_gather, sent),
                Err(_) => {}
                Ok(incoming) => fill(kring, (region, dims), incoming),
            }
            kring.end();
            if (*kind, *number) == (0, 0)
                && let Some(tail) = port.lie.take()
            {
                region.store_u32(ring_at + 28, tail).expect("inside");
            }
        }
        Ok(())
    }
}

/// What is said of offsets, and whether they can be had.
fn check_offsets(offsets: &mut OptOffsets, can_gather: bool, is_only: u64) -> Result<(), Errno> {
    assert_eq!(offsets.option.reqtype, OPT_OFFSETS);
    assert_eq!(offsets.option.next, 0);
    if !can_gather {
        offsets.option.status = Errno::OPNOTSUPP.raw_os_error().cast_unsigned();
        return Err(Errno::OPNOTSUPP);
    }
    assert_eq!(is_only, 0x4000, "offsets take room from what is received");
    Ok(())
}

/// Takes the frames out of a transmit ring; an adapter without chains takes each slot for one.
fn send(
    kring: &mut Kring<'_>,
    (region, dims): (Region, Dims),
    can_gather: bool,
    sent: &mut Vec<Vec<u8>>,
) {
    let mut frame = Vec::new();
    while kring.ready() > 0 {
        let position = kring.position(0);
        let slot = kring.slot(position);
        let offset = usize::try_from(kring.offset(&slot)).expect("small");
        let at = dims.buf_at(slot.buf_idx) + offset;
        let bytes = region.address(at, slot.len.into(), 1).expect("inside");
        // SAFETY: inside the region; the ring's user has given the slot, and only reads meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(bytes.as_ptr(), slot.len.into()) };
        frame.extend_from_slice(bytes);
        let has_more = slot.flags.contains(SlotFlags::MOREFRAG);
        assert!(can_gather || !has_more, "a chain on an adapter without");
        if !has_more {
            assert!(frame.len() >= 14, "a frame of {} bytes", frame.len());
            sent.push(core::mem::take(&mut frame));
        }
        kring.advance(1);
    }
}

/// Copies what came in into the buffers of a receive ring.
fn fill(kring: &mut Kring<'_>, (region, dims): (Region, Dims), incoming: &mut VecDeque<Vec<u8>>) {
    while kring.ready() > 0
        && let Some(frame) = incoming.pop_front()
    {
        let position = kring.position(0);
        let buf_idx = kring.buf_idx(position);
        let at = dims.buf_at(buf_idx);
        let to = region.address(at, frame.len(), 1).expect("inside");
        let from = core::ptr::NonNull::from(frame.as_slice()).cast();
        // SAFETY: inside the region, in a buffer that the ring's user has given.
        unsafe { to.copy_from_nonoverlapping(from, frame.len()) };
        let slot = NetmapSlot {
            buf_idx,
            len: u16::try_from(frame.len()).expect("short"),
            flags: SlotFlags::NONE,
            ptr: 0,
        };
        kring.write(position, slot);
        kring.advance(1);
    }
}

/// In the order of `ring_ofs`.
const KINDS: [RingKind; 4] = [
    RingKind::Tx,
    RingKind::HostTx,
    RingKind::Rx,
    RingKind::HostRx,
];
