//! The port and its queue over a fake device.

pub(crate) mod fake_device;
pub(crate) mod fake_ring;
pub(crate) mod host;

mod combinations;
mod corpus;
mod fuzzed;
mod hostile;
mod moving;
mod pairs;
mod starting;

use std::boxed::Box;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::vec;

use simoom_ring::{
    Fragment, Frame, FrameMemory, FrameMeta, FramePool, Port, Queue, RxPacket, RxRing, TxOffload,
    TxPacket, TxRing,
};

use crate::{Error, Memory, Options, VirtioNet, VirtioQueue};
use fake_device::{FakeDevice, FakeTransport};
use host::HostHal;

type TestPort = VirtioNet<'static, HostHal, FakeTransport>;
type TestQueue = VirtioQueue<'static, 'static, HostHal, FakeTransport>;

/// A port on `device`.
fn port(
    device: FakeDevice,
    options: Options,
) -> (Result<TestPort, Error>, Rc<RefCell<FakeDevice>>) {
    let (found, device) = FakeTransport::found(device);
    let memory = Box::leak(Box::new(Memory::new()));
    (VirtioNet::new(found, memory, options), device)
}

/// A pool that lives as long as the test program.
fn pool(frames: usize) -> &'static FramePool<'static> {
    let memory = vec![FrameMemory::ZERO; frames].leak();
    let metas: std::vec::Vec<_> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(memory, metas.leak())))
}

/// A started queue, its device, and the pool.
struct Bench {
    queue: TestQueue,
    port: TestPort,
    device: Rc<RefCell<FakeDevice>>,
    pool: &'static FramePool<'static>,
}

impl Bench {
    fn new(device: FakeDevice, frames: usize) -> Self {
        Self::over(device, pool(frames), Options::default())
    }

    fn over(device: FakeDevice, pool: &'static FramePool<'static>, options: Options) -> Self {
        let (port, device) = port(device, options);
        let mut port = port.expect("a device that is in order");
        let queue = port.queue(0, pool).expect("the first time");
        Self {
            queue,
            port,
            device,
            pool,
        }
    }

    fn device(&self) -> RefMut<'_, FakeDevice> {
        self.device.borrow_mut()
    }

    fn recv(&mut self) -> Option<RxPacket<'static>> {
        let (rx, _) = self.queue.rings();
        rx.sync();
        rx.recv()
    }

    /// A head frame with the driver's headroom and these bytes.
    fn head(&self, bytes: &[u8]) -> Frame<'static> {
        let headroom = self.port.caps().headroom.into();
        let mut frame = self.pool.alloc(headroom).expect("a free frame");
        frame.append(bytes).expect("bytes for one frame");
        frame
    }

    fn packet(&self, bytes: &[u8]) -> TxPacket<'static> {
        TxPacket::new(self.head(bytes), TxOffload::default())
    }

    fn send(&mut self, packet: TxPacket<'static>) -> Result<(), TxPacket<'static>> {
        self.queue.rings().1.send(packet)
    }

    fn sync_tx(&mut self) {
        self.queue.rings().1.sync();
    }

    /// Stops the device; every frame must be home then.
    fn end(self) {
        let Self { queue, pool, .. } = self;
        drop(queue);
        assert!(pool.all_home(), "{pool:?}");
    }
}

/// The shape of an Ethernet frame of `len` bytes that says `n` throughout.
fn frame_of(n: u8, len: usize) -> std::vec::Vec<u8> {
    vec![n; len]
}

fn with_fragments(
    mut packet: TxPacket<'static>,
    fragments: impl IntoIterator<Item = Fragment<'static>>,
) -> TxPacket<'static> {
    for fragment in fragments {
        packet.append(fragment).expect("three at most");
    }
    packet
}
