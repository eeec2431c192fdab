//! Two ports over a pipe whose wire is strict: any rule of netmap's that a port breaks is a panic.

mod chains;
mod closing;
mod fuzzed;
mod hostile;
mod memory;
mod moving;
mod stacks;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use simoom_ring::{
    Frame, FramePool, MacAddr, Port, Queue, RxPacket, RxRing, TxOffload, TxPacket, TxRing,
};

use crate::pipe::{PipeHost, Wire};
use crate::{Buffers, Interface, NetmapPort, NetmapQueue, Plan, Region, Traits};
pub(crate) use memory::{memory, pool, region};

pub(crate) type TestPort = NetmapPort<'static, PipeHost<'static>>;
pub(crate) type TestQueue = NetmapQueue<'static, 'static, PipeHost<'static>>;

/// What a pair of ports is made by.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) plan: Plan,
    pub(crate) buffers: Buffers,
    pub(crate) traits: Traits,
    pub(crate) content_len: usize,
}

impl Spec {
    /// Rings of so many slots, small buffers, frames that fit into one.
    pub(crate) fn new(tx_slots: u32, rx_slots: u32, buffers: Buffers) -> Self {
        Self {
            plan: Plan {
                ports: 2,
                rings: 1,
                tx_slots,
                rx_slots,
                extra_bufs: 8,
                content_bufs: 0,
                buf_size: 128,
                has_offsets: true,
            },
            buffers,
            traits: Traits {
                mtu: 100,
                ..Traits::PLAIN
            },
            content_len: 0,
        }
    }
}

pub(crate) struct End {
    pub(crate) port: TestPort,
    pub(crate) queue: Option<TestQueue>,
    pub(crate) pool: &'static FramePool<'static>,
}

pub(crate) struct Bench {
    pub(crate) region: Region,
    pub(crate) wires: &'static [RefCell<Wire<'static>>],
    pub(crate) ends: [End; 2],
}

impl Bench {
    pub(crate) fn new(spec: Spec) -> Self {
        let plan = spec.plan;
        let region = region(plan.byte_len().expect("a small plan"));
        plan.lay_out(region).expect("room for the plan");
        let interfaces =
            [0, 1].map(|port| Interface::new(region, plan.if_at(port)).expect("as laid out"));
        let wires: Vec<_> = (0..plan.rings)
            .map(|idx| {
                let bufs = vec![0; Wire::bufs_len(&interfaces, idx)].leak();
                let mut wire = Wire::new(interfaces, idx, spec.buffers, bufs).expect("two ports");
                wire.set_strict();
                RefCell::new(wire)
            })
            .collect();
        let wires: &'static [_] = wires.leak();
        let ends = [0, 1].map(|end| {
            let interface = interfaces[end];
            let pool = pool(&interface);
            let content = interface.adopt_extra(pool, u32::MAX, spec.content_len);
            let content = content.expect("a list in order");
            let mac = MacAddr([2, 0, 0, 0, 0, end as u8 + 1]);
            let host = PipeHost::new(wires, end, spec.traits, mac);
            let slots = plan.tx_slots.max(plan.rx_slots) * u32::from(plan.rings);
            let port = NetmapPort::new(interface, host, memory(slots as usize), content);
            let mut port = port.expect("a port in order");
            let queue = port.queue(0, pool);
            assert!(queue.is_some() && port.queue(0, pool).is_none());
            End { port, queue, pool }
        });
        Self {
            region,
            wires,
            ends,
        }
    }

    pub(crate) fn queue(&mut self, end: usize) -> &mut TestQueue {
        self.ends[end].queue.as_mut().expect("not dropped yet")
    }

    /// A head frame as the stack makes them: a little more headroom than the driver needs.
    pub(crate) fn head(&self, end: usize, bytes: &[u8]) -> Option<Frame<'static>> {
        let caps = self.ends[end].port.caps();
        let mut frame = self.ends[end].pool.alloc(usize::from(caps.headroom) + 4)?;
        frame.append(bytes).expect("bytes for one frame");
        Some(frame)
    }

    pub(crate) fn packet(&self, end: usize, bytes: &[u8]) -> Option<TxPacket<'static>> {
        Some(TxPacket::new(self.head(end, bytes)?, TxOffload::default()))
    }

    // The error is the packet on purpose, as in the trait.
    #[allow(clippy::result_large_err)]
    pub(crate) fn send(
        &mut self,
        end: usize,
        packet: TxPacket<'static>,
    ) -> Result<(), TxPacket<'static>> {
        self.queue(end).rings().1.send(packet)
    }

    pub(crate) fn sync_tx(&mut self, end: usize) {
        self.queue(end).rings().1.sync();
        self.audit();
    }

    pub(crate) fn sync_rx(&mut self, end: usize) -> usize {
        let ready = self.queue(end).rings().0.sync();
        self.audit();
        ready
    }

    pub(crate) fn recv(&mut self, end: usize) -> Option<RxPacket<'static>> {
        self.queue(end).rings().0.recv()
    }

    /// A buffer that is to be filled has one owner.
    pub(crate) fn audit(&self) {
        let mut written = BTreeSet::new();
        let wires: Vec<_> = self.wires.iter().map(|wire| wire.borrow()).collect();
        for wire in &wires {
            for end in [0, 1] {
                let [_, filled] = wire.owned_bufs(end);
                for buf in filled {
                    assert!(written.insert(buf), "buffer {buf} is in two receive slots");
                }
            }
        }
        for wire in &wires {
            for end in [0, 1] {
                let [mut sent, _] = wire.owned_bufs(end);
                assert!(sent.all(|buf| !written.contains(&buf)), "sent and written");
            }
        }
    }

    /// Drops both queues: all frames must be home, and no rule broken.
    pub(crate) fn end(mut self) {
        for end in &mut self.ends {
            end.queue = None;
            assert!(end.pool.all_home(), "{:?}", end.pool);
        }
        for wire in self.wires {
            assert_eq!(wire.borrow().counters().faults, 0);
        }
    }
}

/// All bytes of a received packet.
pub(crate) fn bytes_of(packet: &RxPacket<'_>) -> Vec<u8> {
    let mut bytes = packet.frame.bytes().to_vec();
    packet.rest.for_each(|more| bytes.extend_from_slice(more));
    bytes
}

/// A frame of `len` bytes that differ.
pub(crate) fn frame_of(n: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| n.wrapping_add(at as u8)).collect()
}
