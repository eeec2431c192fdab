//! A `/dev/netmap` that is none: what was observed of the kernel's, on memory that is mapped twice,
//! with a strict [`Kring`] behind each ring. A rule that is broken is a panic.
//!
//! ```text
//!   netmap_if │ someone's │ the first binding's │ … │ rings │ … │ buffers
//!             0           1024
//! ```

//! For tests, in this crate and by feature `fake` in others: it plays the kernel at the seam of the
//! system calls ([`Device`], [`Descriptor`]), and a wire between two of its ports.

mod machine;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use simoom_ring::MacAddr;

use crate::abi::{OptOffsets, PortHdr, REQ_PORT_HDR_GET, REQ_REGISTER, Register, ReqHeader};
use crate::hosts::OpenError;
use crate::hosts::memory::Mapping;
use crate::hosts::netmap::{Adapter, Descriptor, Device, Way};
use crate::hosts::undo::{self, Undo};
use machine::{Binding, Ring};
pub use machine::{Machine, Port};

/// How large the region and what is in it are.
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    /// Slots of each ring.
    pub slots: u32,
    /// Buffers in all.
    pub bufs: u32,
    /// Extra buffers that a binding is given at most.
    pub extra_max: u32,
}

impl Dims {
    /// Small enough that each slot and each limit is met soon.
    pub const SMALL: Self = Self {
        slots: 16,
        bufs: 700,
        extra_max: 400,
    };

    fn ring_len(self) -> usize {
        256 + 16 * self.slots as usize
    }

    fn bufs_at(self) -> usize {
        RINGS_AT + RINGS_MAX * self.ring_len()
    }

    fn buf_at(self, buf_idx: u32) -> usize {
        self.bufs_at() + buf_idx as usize * BUF_SIZE
    }

    fn memsize(self) -> usize {
        self.buf_at(self.bufs).next_multiple_of(4_096)
    }
}

const BUF_SIZE: usize = 2_048;
const RINGS_AT: usize = 16 * 1_024;
const RINGS_MAX: usize = 32;

/// The machine's device. A clone is the same one.
#[derive(Clone)]
pub struct Fake(Rc<RefCell<Machine>>);

/// A descriptor.
pub struct FakeFd {
    machine: Rc<RefCell<Machine>>,
    bound: RefCell<Option<Binding>>,
}

impl Fake {
    /// A machine whose interface `eth0` has such an adapter.
    pub fn new(adapter: Adapter) -> Self {
        Self::sized(adapter, Dims::SMALL)
    }

    /// The same with a region of another size.
    pub fn sized(adapter: Adapter, dims: Dims) -> Self {
        let mapping = Mapping::shared(dims.memsize()).expect("memory");
        let memory = mapping.fd().expect("shared").try_clone_to_owned();
        let region = mapping.into_region();
        let machine = Machine::new(dims, region, memory.expect("a descriptor"), adapter);
        Self(Rc::new(RefCell::new(machine)))
    }

    /// Looks at the machine, or changes it.
    pub fn with<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        act(&mut self.0.borrow_mut())
    }

    /// Has a wire between two ports carry what they have sent; how many frames that were.
    pub fn cross(&self, one: &str, other: &str) -> usize {
        self.with(|machine| {
            let mut cnt = 0;
            for (from, to) in [(one, other), (other, one)] {
                let sent = machine
                    .ports
                    .get_mut(from)
                    .map(|port| core::mem::take(&mut port.sent));
                let sent = sent.unwrap_or_default();
                cnt += sent.len();
                if let Some(port) = machine.ports.get_mut(to) {
                    port.incoming.extend(sent);
                }
            }
            cnt
        })
    }

    /// Changes a port, once it is bound.
    pub fn port<R>(&self, name: &str, act: impl FnOnce(&mut Port) -> R) -> R {
        self.with(|machine| act(machine.ports.get_mut(name).expect("bound")))
    }

    /// What is the matter with the names in the slots of a port that is being closed, and in the
    /// list at `if_at`: each buffer is freed once.
    pub fn freed(&self, name: &str, if_at: usize) -> usize {
        self.with(|machine| {
            let mut freed = BTreeSet::new();
            let port = machine.ports.get(name).expect("bound");
            let mut free = |buf_idx: u32| {
                assert!(freed.insert(buf_idx), "double free on buffer {buf_idx}");
            };
            for Ring { at, .. } in port.rings.values() {
                for slot in 0..machine.dims.slots as usize {
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
                let at = machine.dims.buf_at(next);
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
        let off = Arc::clone(&self.0.borrow().off);
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
                let bound = machine.register(name, register, offsets)?;
                *self.bound.borrow_mut() = Some(bound);
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
        let bound = bound.as_ref().ok_or(Errno::NXIO)?;
        self.machine.borrow_mut().sync(bound, way)
    }

    fn map(&self, len: usize) -> Result<Mapping, OpenError> {
        assert!(self.bound.borrow().is_some(), "mmap before REGISTER");
        let machine = self.machine.borrow();
        let whole = machine.dims.memsize();
        assert_eq!(len, whole, "REGISTER's length, and all of it");
        Mapping::of(machine.memory.try_clone().expect("a descriptor"), len)
    }

    fn has_error(&self) -> bool {
        let bound = self.bound.borrow();
        let Some(Binding { name, .. }) = bound.as_ref() else {
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
