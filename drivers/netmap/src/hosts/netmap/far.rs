//! The far sides of the rings: a system call each.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::epoll;
use rustix::io::Errno;

use super::pass::HostRing;
use super::{Descriptor, Way};
use crate::hosts::{Syscalls, Wake};
use crate::{FarSide, Gone, RingMemory};

/// What the rings of a binding have in common.
pub(super) struct Shared<F> {
    fd: F,
    /// The binding of the transmit rings, where that is another.
    tx_fd: Option<F>,
    wake: Wake,
    waiting: Waiting,
    syscalls: Syscalls,
    is_gone: Cell<bool>,
}

/// How the end of sending is waited for.
pub(super) enum Waiting {
    /// By polling for `POLLOUT`, too.
    Poll,
    /// What is polled is `both`: receive rings at any time, transmit rings when they are asked for.
    Epoll {
        both: OwnedFd,
        /// Kept open, as the one that `both` knows.
        #[allow(dead_code)]
        fd: OwnedFd,
        tx_fd: OwnedFd,
    },
}

impl<F: Descriptor> Shared<F> {
    pub(super) fn new(
        fd: F,
        tx_fd: Option<F>,
        (wake, waiting): (Wake, Waiting),
        syscalls: Syscalls,
    ) -> Self {
        Self {
            fd,
            tx_fd,
            wake,
            waiting,
            syscalls,
            is_gone: Cell::new(false),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    pub(super) fn has_carrier(&self, name: &str) -> bool {
        self.fd.has_carrier(name)
    }

    #[inline]
    fn sync(&self, way: Way) -> Result<(), Gone> {
        if self.is_gone.get() {
            return Err(Gone);
        }
        self.syscalls.note();
        let fd = match (way, &self.tx_fd) {
            (Way::Tx, Some(tx_fd)) => tx_fd,
            _ => &self.fd,
        };
        let is_over = match fd.sync(way) {
            // A ring that was reset says so once, an interface that is gone for ever.
            Ok(()) => self.wake.take_error() && fd.has_error(),
            // Nothing is lost: the next sync finds the same.
            Err(Errno::INTR | Errno::AGAIN) => false,
            Err(_) => true,
        };
        self.is_gone.set(is_over);
        if is_over { Err(Gone) } else { Ok(()) }
    }

    /// Has the next sleep end when slots are given back.
    fn want_tx(&self) {
        match &self.waiting {
            Waiting::Poll => self.wake.want_tx(),
            Waiting::Epoll { both, tx_fd, .. } => {
                self.syscalls.note();
                let events = epoll::EventFlags::OUT | epoll::EventFlags::ONESHOT;
                let data = epoll::EventData::new_u64(0);
                // It can fail by a descriptor that is none only, and then there is no sleep either.
                let _ = epoll::modify(both, tx_fd, data, events);
            }
        }
    }

    /// Has the kernel write its own indices, by giving it some that make no sense.
    #[cold]
    fn reset(&self, memory: &RingMemory, way: Way) -> Result<(), Gone> {
        memory.store_head(u32::MAX);
        self.sync(way)?;
        match memory.load_indices().head < memory.num_slots() {
            true => Ok(()),
            false => Err(Gone),
        }
    }
}

/// The far side of a receive ring.
pub struct NetmapRx<F> {
    shared: Rc<Shared<F>>,
    memory: RingMemory,
    /// Where frames go that are not ours.
    to_host: Option<HostRing>,
}

impl<F: Descriptor> NetmapRx<F> {
    pub(super) fn new(
        shared: Rc<Shared<F>>,
        memory: RingMemory,
        to_host: Option<HostRing>,
    ) -> Self {
        Self {
            shared,
            memory,
            to_host,
        }
    }

    /// Has the kernel take what was passed on.
    #[inline]
    fn flush(&mut self) -> Result<(), Gone> {
        match &mut self.to_host {
            Some(to_host) if to_host.has_pending() => {
                to_host.publish();
                self.shared.sync(Way::Tx)
            }
            _ => Ok(()),
        }
    }
}

impl<F: Descriptor> FarSide for NetmapRx<F> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        self.flush()?;
        self.shared.sync(Way::Rx)
    }

    /// Nothing to wait for: `poll` syncs before it sleeps, and does not if there is something.
    fn arm(&mut self) -> bool {
        self.flush().is_err()
    }

    #[inline]
    fn divert(&mut self, frame: &[u8], buf_idx: u32) -> Option<u32> {
        self.to_host.as_mut()?.divert(frame, buf_idx)
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.shared.reset(&self.memory, Way::Rx)
    }

    /// The kernel knows no end but that of the binding. Until then it writes to the buffers that it
    /// was given, and to no others.
    fn stop(&mut self) {}
}

/// The far side of a transmit ring.
pub struct NetmapTx<F> {
    shared: Rc<Shared<F>>,
    memory: RingMemory,
    /// Where frames come from that are sent beside ours, and the ring back there.
    from_host: Option<(HostRing, RingMemory)>,
}

impl<F> NetmapTx<F> {
    pub(super) fn new(
        shared: Rc<Shared<F>>,
        memory: RingMemory,
        from_host: Option<(HostRing, RingMemory)>,
    ) -> Self {
        Self {
            shared,
            memory,
            from_host,
        }
    }
}

impl<F: Descriptor> FarSide for NetmapTx<F> {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        if let Some((from_host, _)) = &mut self.from_host
            && from_host.has_pending()
        {
            // The next sync for receiving gives the slots back.
            from_host.publish();
        }
        self.shared.sync(Way::Tx)
    }

    fn arm(&mut self) -> bool {
        wait_for_all(&self.memory);
        if let Some((_, to_host)) = &self.from_host {
            // It is polled with ours, and has free slots as a rule.
            wait_for_all(to_host);
        }
        self.shared.want_tx();
        false
    }

    #[inline]
    fn has_guests(&mut self) -> bool {
        let from_host = self.from_host.as_mut();
        from_host.is_some_and(|(from_host, _)| from_host.has_frames())
    }

    #[inline]
    fn guest(&mut self, spare: u32) -> Option<(u32, u16)> {
        self.from_host.as_mut()?.0.take(spare)
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.shared.reset(&self.memory, Way::Tx)
    }

    /// As for receive rings: what was published is sent.
    fn stop(&mut self) {}
}

/// Has the kernel wake us when it gives more slots of a transmit ring than it has by now.
fn wait_for_all(memory: &RingMemory) {
    let tail = memory.load_tail();
    if tail < memory.num_slots() {
        memory.store_cur(tail);
    }
}
