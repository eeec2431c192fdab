//! From a port that is bound to one that serves: tables, pool, content memory, rings.

use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

use simoom_ring::{FrameMeta, FramePool, Port};

use super::{OpenError, Opened, Syscalls, Wake, Wanted};
use crate::{
    ContentRange, Host, LayoutError, Memory, NetmapPort, NetmapQueue, RingKind, RxShadow, TxShadow,
};

/// A port that serves, with its first ring pair. Whoever ends it drops the queue first, and then
/// has [`NetmapPort::close`] give the host back.
pub struct Started<H: Host + 'static> {
    /// The port.
    pub port: NetmapPort<'static, H>,
    /// Its first ring pair.
    pub queue: NetmapQueue<'static, 'static, H>,
    /// The frames of its region.
    pub pool: &'static FramePool<'static>,
    /// What was bound and how, a line each, for a person.
    pub bound: Vec<String>,
    /// What to wait for.
    pub wake: Wake,
    /// The system calls of its far sides.
    pub syscalls: Syscalls,
}

impl<H: Host + 'static> Opened<H> {
    /// Takes the rings and buffers over. What this allocates, once a port, lasts until the program
    /// ends.
    ///
    /// # Errors
    /// [`OpenError::Layout`] when the region is not what the host says.
    pub fn start(self, wanted: &Wanted) -> Result<Started<H>, OpenError> {
        self.start_with(wanted.content_len, None)
    }

    /// The same for a further queue pair: it sends the content of the first one's port.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_beside(self, content: ContentRange) -> Result<Started<H>, OpenError> {
        self.start_with(0, Some(content))
    }

    fn start_with(
        self,
        content_len: usize,
        shared: Option<ContentRange>,
    ) -> Result<Started<H>, OpenError> {
        let Self {
            interface,
            host,
            bound,
            wake,
            syscalls,
        } = self;
        let metas: Vec<_> = (0..interface.bufs_cnt())
            .map(|_| FrameMeta::new())
            .collect();
        // SAFETY: the one pool over these buffers, which nobody else uses (`Opened::new`).
        let pool = unsafe { interface.pool(metas.leak()) };
        let pool: &'static FramePool<'static> = Box::leak(Box::new(pool));
        let content = interface.adopt_extra(pool, u32::MAX, content_len)?;
        let slots = |kind| {
            let slots = interface
                .ring(kind, 0)
                .map(|ring| ring.num_slots() as usize);
            slots.map_err(OpenError::Layout)
        };
        let memory = Memory {
            rx: vec![RxShadow::default(); slots(RingKind::Rx)?].leak(),
            tx: vec![TxShadow::default(); slots(RingKind::Tx)?].leak(),
        };
        let mut port = NetmapPort::new(interface, host, memory, content)?;
        if let Some(shared) = shared {
            port.share_content(shared);
        }
        let queue = port.queue(0, pool).ok_or(LayoutError::NoRing)?;
        Ok(Started {
            port,
            queue,
            pool,
            bound,
            wake,
            syscalls,
        })
    }
}
