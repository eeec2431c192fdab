//! A `/dev/netmap` that is none: what was observed of the kernel's, on memory that is mapped twice,
//! with a strict [`Kring`] behind each ring. A rule that is broken is a panic.
//!
//! ```text
//!   netmap_if │ someone's │ the first binding's │ … │ rings │ … │ buffers
//!             0           1024
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec;
use std::vec::Vec;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use simoom_ring::MacAddr;

use crate::abi::{
    NetmapSlot, OPT_OFFSETS, OptOffsets, PortHdr, REG_ALL_NIC, REG_NIC_SW, REG_SW,
    REQ_PORT_HDR_GET, REQ_REGISTER, Register, ReqHeader, SlotFlags,
};
use crate::hosts::OpenError;
use crate::hosts::memory::Mapping;
use crate::hosts::netmap::{Adapter, Descriptor, Device, Way};
use crate::hosts::undo::{self, Undo};
use crate::{Interface, Kring, Region, RingKind};

/// Slots of each ring.
pub(super) const SLOTS: u32 = 16;
const BUF_SIZE: usize = 2_048;
const BUFS: u32 = 700;
const RINGS_AT: usize = 16 * 1_024;
const RING_LEN: usize = 256 + 16 * SLOTS as usize;
const BUFS_AT: usize = RINGS_AT + 32 * RING_LEN;
const MEMSIZE: usize = (BUFS_AT + BUFS as usize * BUF_SIZE).next_multiple_of(4_096);

/// The machine.
#[derive(Clone)]
pub(super) struct Fake(pub(super) Rc<RefCell<Machine>>);

pub(super) struct Machine {
    memory: OwnedFd,
    region: Region,
    next_if: usize,
    next_ring: usize,
    next_buf: u32,
    /// `None`: the module is not loaded.
    pub(super) opens: Option<Result<(), Errno>>,
    pub(super) adapter: Adapter,
    pub(super) mtu: u32,
    pub(super) rings: u32,
    /// Bytes of header of the port.
    pub(super) hdr_len: u32,
    /// Extra buffers that are left to be given.
    pub(super) extra_max: u32,
    pub(super) ports: BTreeMap<String, Port>,
    /// Requests in their order.
    pub(super) requests: Vec<String>,
    pub(super) syncs: Vec<(String, Way)>,
    /// How many offloads are off.
    pub(super) off: std::sync::Arc<AtomicUsize>,
    /// A refusal of all requests to come.
    pub(super) refusal: Option<Errno>,
}

/// A port that someone has bound.
#[derive(Default)]
pub(super) struct Port {
    /// Where each ring lies: hardware transmit, host transmit, and so on, as `ring_ofs` has them.
    rings: [Option<usize>; 4],
    krings: [Option<Kring<'static>>; 4],
    /// What was sent, and what will come in, on the wire and from the machine's stack.
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) to_host: Vec<Vec<u8>>,
    pub(super) from_host: VecDeque<Vec<u8>>,
    pub(super) is_gone: bool,
    /// A ring was put right, which `poll` says once.
    is_reset: bool,
    pub(super) resets: u32,
    /// What the tail of the transmit ring is to be after the next sync: someone else has it mapped.
    pub(super) lie: Option<u32>,
    /// A peer that is slow: nothing is sent until it is not.
    pub(super) is_stalled: bool,
}

/// A descriptor.
pub(super) struct FakeFd {
    machine: Rc<RefCell<Machine>>,
    bound: RefCell<Option<(String, u32, u64)>>,
}

impl Fake {
    pub(super) fn new(adapter: Adapter) -> Self {
        let mapping = Mapping::shared(MEMSIZE).expect("memory");
        let memory = mapping.fd().expect("shared").try_clone_to_owned();
        let region = mapping.into_region();
        Self(Rc::new(RefCell::new(Machine {
            memory: memory.expect("a descriptor"),
            region,
            next_if: 1_024,
            next_ring: RINGS_AT,
            next_buf: 2,
            opens: Some(Ok(())),
            adapter,
            mtu: 1_500,
            rings: 1,
            hdr_len: 0,
            extra_max: 400,
            ports: BTreeMap::new(),
            requests: Vec::new(),
            syncs: Vec::new(),
            off: Default::default(),
            refusal: None,
        })))
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        act(&mut self.0.borrow_mut())
    }

    /// Changes a port, once it is bound.
    pub(super) fn port<R>(&self, name: &str, act: impl FnOnce(&mut Port) -> R) -> R {
        self.with(|machine| act(machine.ports.get_mut(name).expect("bound")))
    }

    /// What is the matter with the names in the slots of a port that is being closed, and in the
    /// list at `if_at`: each buffer is freed once.
    pub(super) fn freed(&self, name: &str, if_at: usize) -> usize {
        self.with(|machine| {
            let mut freed = BTreeSet::new();
            let port = machine.ports.get(name).expect("bound");
            let mut free = |buf_idx: u32| {
                assert!(freed.insert(buf_idx), "double free on buffer {buf_idx}");
            };
            for at in port.rings.iter().flatten() {
                for slot in 0..SLOTS as usize {
                    let buf_idx = machine.region.load_u32(at + 256 + 16 * slot);
                    Some(buf_idx.expect("inside"))
                        .filter(|buf_idx| *buf_idx >= 2)
                        .into_iter()
                        .for_each(&mut free);
                }
            }
            let mut next = machine.region.load_u32(if_at + 32).expect("inside");
            while next != 0 {
                free(next);
                let at = BUFS_AT + next as usize * BUF_SIZE;
                next = machine.region.load_u32(at).expect("inside");
            }
            freed.len()
        })
    }
}

impl Device for Fake {
    type Fd = FakeFd;

    fn open(&self) -> Result<FakeFd, Errno> {
        self.0.borrow().opens.unwrap_or(Err(Errno::NOENT))?;
        Ok(FakeFd {
            machine: Rc::clone(&self.0),
            bound: RefCell::new(None),
        })
    }

    fn adapter(&self, name: &str) -> Adapter {
        match (name.contains(['{', '}']), name.contains(':')) {
            (true, _) => Adapter::Pipe,
            (_, true) => Adapter::Switch,
            _ => self.0.borrow().adapter,
        }
    }

    fn mac(&self, _name: &str) -> Option<MacAddr> {
        Some(MacAddr([2, 0, 0, 0, 0, 7]))
    }

    fn mtu(&self, _name: &str) -> Option<u32> {
        Some(self.0.borrow().mtu)
    }

    fn switch_off(&self, name: &str, names: &[&str]) -> io::Result<Option<(Undo, String)>> {
        if name != "eth0" {
            return Err(Errno::NODEV.into());
        }
        let off = std::sync::Arc::clone(&self.0.borrow().off);
        off.store(names.len(), Ordering::Relaxed);
        let undo = undo::later(move || off.store(0, Ordering::Relaxed));
        Ok(Some((undo, String::from("offloads off"))))
    }
}

impl Descriptor for FakeFd {
    unsafe fn ctrl(&self, header: &mut ReqHeader) -> Result<(), Errno> {
        let mut machine = self.machine.borrow_mut();
        if header.version != 14 && header.version != 15 {
            return Err(Errno::INVAL);
        }
        assert_eq!(header.reserved, 0);
        let end = header.name.iter().position(|byte| *byte == 0);
        let name = core::str::from_utf8(&header.name[..end.expect("ended")]).expect("a name");
        machine
            .requests
            .push(std::format!("{} {name}", header.reqtype));
        if let Some(error) = machine.refusal {
            return Err(error);
        }
        match header.reqtype {
            REQ_REGISTER => {
                if self.bound.borrow().is_some() {
                    return Err(Errno::BUSY);
                }
                // SAFETY: the body of a register request, by the rules of this call.
                let register = unsafe { &mut *(header.body as usize as *mut Register) };
                // SAFETY: as the header says; the tests use no other option.
                let offsets = unsafe { (header.options as usize as *mut OptOffsets).as_mut() };
                machine.register(name, register, offsets)?;
                *self.bound.borrow_mut() =
                    Some((name.to_string(), register.mode, register.flags.0));
                Ok(())
            }
            REQ_PORT_HDR_GET => {
                // SAFETY: the body of such a request.
                let body = unsafe { &mut *(header.body as usize as *mut PortHdr) };
                body.hdr_len = machine.hdr_len;
                Ok(())
            }
            _ => Err(Errno::INVAL),
        }
    }

    fn sync(&self, way: Way) -> Result<(), Errno> {
        let bound = self.bound.borrow();
        let (name, mode, flags) = bound.as_ref().ok_or(Errno::NXIO)?;
        self.machine.borrow_mut().sync(name, *mode, *flags, way)
    }

    fn map(&self, len: usize) -> Result<Mapping, OpenError> {
        assert!(self.bound.borrow().is_some(), "mmap before REGISTER");
        assert_eq!(len, MEMSIZE, "REGISTER's length, and all of it");
        let machine = self.machine.borrow();
        Mapping::of(machine.memory.try_clone().expect("a descriptor"), len)
    }

    fn has_error(&self) -> bool {
        let bound = self.bound.borrow();
        let Some((name, ..)) = bound.as_ref() else {
            return true;
        };
        let mut machine = self.machine.borrow_mut();
        let port = machine.ports.get_mut(name).expect("bound");
        core::mem::take(&mut port.is_reset) || port.is_gone
    }

    fn has_carrier(&self, _name: &str) -> bool {
        true
    }

    fn for_poll(&self) -> Result<OwnedFd, Errno> {
        eventfd(0, EventfdFlags::CLOEXEC)
    }
}

impl Machine {
    fn register(
        &mut self,
        name: &str,
        register: &mut Register,
        offsets: Option<&mut OptOffsets>,
    ) -> Result<(), Errno> {
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
        if let Some(offsets) = offsets {
            assert_eq!(offsets.option.reqtype, OPT_OFFSETS);
            assert_eq!(offsets.option.next, 0);
            if !can_gather {
                offsets.option.status = Errno::OPNOTSUPP.raw_os_error().cast_unsigned();
                return Err(Errno::OPNOTSUPP);
            }
            assert_eq!(is_only, 0x4000, "offsets take room from what is received");
        }
        let has_offsets = is_only == 0x4000;
        let bound = match register.mode {
            REG_ALL_NIC => [true, false, true, false],
            REG_SW if has_host => [false, true, false, true],
            REG_NIC_SW if has_host => [true; 4],
            _ => return Err(Errno::INVAL),
        };
        let mut port = self.ports.remove(name).unwrap_or_default();
        let if_at = self.next_if;
        self.next_if += 1_024;
        for (kind, is_bound) in bound.into_iter().enumerate() {
            let is_tx = kind < 2;
            let is_wanted = is_bound && is_only != if is_tx { 0x2000 } else { 0x4000 };
            if !is_wanted {
                continue;
            }
            let ring_at = *port.rings[kind].get_or_insert_with(|| self.new_ring(is_tx));
            if has_offsets {
                self.region.store_u64(ring_at + 56, 0xffff).expect("inside");
            }
            // One hardware ring of each kind at most is real; entries are there for all.
            let rings = if has_host { self.rings as usize } else { 1 };
            let entry = [0, rings, rings + 1, 2 * rings + 1][kind];
            let ofs = ring_at as u64 - if_at as u64;
            self.region
                .store_u64(if_at + 56 + 8 * entry, ofs)
                .expect("inside");
        }
        let rings = if has_host { self.rings } else { 1 };
        // Version 0; one ring of each kind to the host, whether there is one or not.
        for (at, value) in [(16, 0), (24, rings), (28, rings), (36, 1), (40, 1)] {
            self.region.store_u32(if_at + at, value).expect("inside");
        }
        let extra_bufs = register.extra_bufs.min(self.extra_max);
        let mut head = 0;
        for _ in 0..extra_bufs {
            let at = BUFS_AT + self.next_buf as usize * BUF_SIZE;
            self.region.store_u32(at, head).expect("inside");
            head = self.next_buf;
            self.next_buf += 1;
        }
        self.region.store_u32(if_at + 32, head).expect("inside");
        *register = Register {
            offset: if_at as u64,
            memsize: MEMSIZE as u64,
            tx_slots: SLOTS,
            rx_slots: SLOTS,
            tx_rings: 1,
            rx_rings: 1,
            host_tx_rings: u16::from(has_host),
            host_rx_rings: u16::from(has_host),
            mem_id: 1,
            extra_bufs,
            ..*register
        };
        let interface = Interface::new(self.region, if_at).expect("as it was laid out");
        let kinds = [
            RingKind::Tx,
            RingKind::HostTx,
            RingKind::Rx,
            RingKind::HostRx,
        ];
        for (idx, kind) in kinds.into_iter().enumerate() {
            if port.krings[idx].is_none() {
                let bufs = vec![0; SLOTS as usize].leak();
                port.krings[idx] = Kring::new(&interface, kind, 0, bufs);
            }
        }
        self.ports.insert(name.to_string(), port);
        Ok(())
    }

    /// A ring with a buffer in each slot.
    fn new_ring(&mut self, is_tx: bool) -> usize {
        let at = self.next_ring;
        self.next_ring += RING_LEN;
        let region = self.region;
        region.store_u64(at, (BUFS_AT - at) as u64).expect("inside");
        let tail = if is_tx { SLOTS - 1 } else { 0 };
        // The direction is the opposite of what the header says; the time is a former user's.
        let words = [
            (8, SLOTS),
            (12, BUF_SIZE as u32),
            (16, u32::from(is_tx) << 16),
            (28, tail),
            (40, 0x5eed),
        ];
        for (field, value) in words {
            region.store_u32(at + field, value).expect("inside");
        }
        for slot in 0..SLOTS as usize {
            let slot_at = at + 256 + 16 * slot;
            region.store_u32(slot_at, self.next_buf).expect("inside");
            region
                .store_u32(slot_at + 4, BUF_SIZE as u32)
                .expect("inside");
            self.next_buf += 1;
        }
        at
    }

    fn sync(&mut self, name: &str, mode: u32, flags: u64, way: Way) -> Result<(), Errno> {
        self.syncs.push((name.to_string(), way));
        let only = if way == Way::Tx { 0x2000 } else { 0x4000 };
        assert_eq!(flags & only, 0, "a sync of rings that are not bound");
        let can_gather = self.adapter.can_gather();
        let region = self.region;
        let port = self.ports.get_mut(name).expect("bound");
        if port.is_gone {
            return Err(Errno::IO);
        }
        let kinds: &[usize] = match (way, mode) {
            (Way::Tx, REG_ALL_NIC) => &[0],
            (Way::Tx, REG_SW) => &[1],
            (Way::Tx, _) => &[0, 1],
            (Way::Rx, REG_ALL_NIC) => &[2],
            (Way::Rx, REG_SW) => &[3],
            (Way::Rx, _) => &[2, 3],
        };
        for kind in kinds {
            let ring_at = port.rings[*kind].expect("bound");
            let kring = port.krings[*kind].as_mut().expect("bound");
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
            let queue = match kind {
                0 => Err(&mut port.sent),
                1 => Err(&mut port.to_host),
                2 => Ok(&mut port.incoming),
                _ => Ok(&mut port.from_host),
            };
            match queue {
                Err(sent) if !port.is_stalled => send(kring, region, can_gather, sent),
                Err(_) => {}
                Ok(incoming) => fill(kring, region, incoming),
            }
            kring.end();
            if *kind == 0
                && let Some(tail) = port.lie.take()
            {
                region.store_u32(ring_at + 28, tail).expect("inside");
            }
        }
        Ok(())
    }
}

/// Takes the frames out of a transmit ring; an adapter without chains takes each slot for one.
fn send(kring: &mut Kring<'_>, region: Region, can_gather: bool, sent: &mut Vec<Vec<u8>>) {
    let mut frame = Vec::new();
    while kring.ready() > 0 {
        let position = kring.position(0);
        let slot = kring.slot(position);
        let offset = usize::try_from(kring.offset(&slot)).expect("small");
        let at = BUFS_AT + slot.buf_idx as usize * BUF_SIZE + offset;
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
fn fill(kring: &mut Kring<'_>, region: Region, incoming: &mut VecDeque<Vec<u8>>) {
    while kring.ready() > 0
        && let Some(frame) = incoming.pop_front()
    {
        let position = kring.position(0);
        let buf_idx = kring.buf_idx(position);
        let at = BUFS_AT + buf_idx as usize * BUF_SIZE;
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
