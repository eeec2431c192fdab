//! Several queue pairs, and the control queue that they are asked for by.

use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use simoom_ring::{
    Armed, Frame, FramePool, Port, Queue, RxPacket, RxRing, TxOffload, TxPacket, TxRing,
};

use super::fake_device::{FakeDevice, FakeTransport};
use super::host::HostHal;
use super::{TestQueue, pool};
use crate::config::COMMAND_LOOKS_MAX;
use crate::{Error, Features, Memory, Options, VirtioNet};

type TestPort = VirtioNet<'static, HostHal, FakeTransport>;

/// A device of so many pairs.
fn device(pairs: u16) -> FakeDevice {
    let mut device = FakeDevice::modern();
    device.config[8..10].copy_from_slice(&pairs.to_le_bytes());
    device
}

/// A port over memory for `PAIRS` of them.
fn port<const PAIRS: usize>(
    device: FakeDevice,
    queue_pairs_max: u16,
) -> (Result<TestPort, Error>, Rc<RefCell<FakeDevice>>) {
    let (found, device) = FakeTransport::found(device);
    let memory = Box::leak(Box::new(Memory::<_, PAIRS>::for_pairs()));
    let options = Options {
        queue_pairs_max,
        ..Options::default()
    };
    (VirtioNet::new(found, memory, options), device)
}

/// Two pairs that are both taken, and polled once.
struct Two {
    queues: [TestQueue; 2],
    pools: [&'static FramePool<'static>; 2],
    port: TestPort,
    device: Rc<RefCell<FakeDevice>>,
}

impl Two {
    fn new() -> Self {
        let (port, device) = port::<2>(device(2), 8);
        let mut port = port.expect("a device that is in order");
        let pools = [pool(32), pool(32)];
        let mut taken = 0;
        let queues = pools.map(|pool| {
            taken += 1;
            port.queue(taken - 1, pool).expect("the first time")
        });
        let mut two = Self {
            queues,
            pools,
            port,
            device,
        };
        two.poll();
        two
    }

    /// Polls both; what came in by each.
    fn poll(&mut self) -> [Vec<RxPacket<'static>>; 2] {
        self.queues.each_mut().map(|queue| {
            let (rx, tx) = queue.rings();
            rx.sync();
            let packets = std::iter::from_fn(|| rx.recv()).collect();
            tx.sync();
            packets
        })
    }

    /// The device's answer to the one command that there is.
    fn command(&self, ack: u8) -> Vec<u8> {
        let mut device = self.device.borrow_mut();
        let command = device.command(ack).expect("a command");
        assert!(device.command(ack).is_none(), "one at a time");
        command
    }

    /// Sends a packet of `n`s on pair `idx`; whether there was room.
    fn send(&mut self, idx: usize, n: u8) -> bool {
        let frame = head(self.pools[idx], n);
        let (_, tx) = self.queues[idx].rings();
        let has_space = tx.space() > 0;
        let packet = TxPacket::new(frame, TxOffload::default());
        assert_eq!(tx.send(packet).is_ok(), has_space);
        tx.sync();
        has_space
    }

    /// What left by pair `idx`.
    fn sent(&self, idx: usize) -> Option<Vec<u8>> {
        let mut device = self.device.borrow_mut();
        let ring = device.rings[2 * idx + 1].as_mut().expect("started");
        let chain = ring.pop()?;
        ring.push(chain.head.into(), 0);
        Some(device.sent(&chain).frame)
    }

    /// A packet for pair `idx`.
    fn deliver(&self, idx: usize, n: u8) {
        let mut device = self.device.borrow_mut();
        let mut bytes = device.header(0, (0, 0));
        bytes.extend([n; 60]);
        let ring = device.rings[2 * idx].as_mut().expect("started");
        let chain = ring.pop().expect("a buffer");
        chain.write(&bytes);
        ring.push(chain.head.into(), bytes.len() as u32);
    }

    /// Both pairs carry packets, each its own.
    fn check(&mut self) {
        for idx in [0, 1] {
            self.deliver(idx, 7 + idx as u8);
        }
        for (idx, packets) in self.poll().iter().enumerate() {
            let firsts: Vec<u8> = packets.iter().map(|one| one.frame.bytes()[0]).collect();
            assert_eq!(firsts, [7 + idx as u8]);
        }
        for idx in [0, 1] {
            assert!(self.send(idx, 9 + idx as u8));
            assert_eq!(self.sent(idx).unwrap()[0], 9 + idx as u8);
            assert!(self.sent(1 - idx).is_none());
        }
        self.poll();
    }

    /// Everything goes home.
    fn end(self) {
        drop(self.queues);
        assert!(self.pools.iter().all(|pool| pool.all_home()));
    }
}

fn head(pool: &'static FramePool<'static>, n: u8) -> Frame<'static> {
    let mut frame = pool.alloc(12).expect("a frame");
    frame.extend(60).expect("room").fill(n);
    frame
}

/// `VIRTIO_NET_CTRL_MQ`, `VQ_PAIRS_SET`, 2.
const TWO_PAIRS: [u8; 4] = [4, 0, 2, 0];
/// `VIRTIO_NET_CTRL_ANNOUNCE`, `ACK`.
const ANNOUNCED: [u8; 2] = [3, 0];

#[test]
fn there_are_as_many_pairs_as_device_memory_and_embedder_have() {
    let queues = |port: Result<TestPort, Error>| port.unwrap().caps().queues;
    assert_eq!(queues(port::<1>(device(4), 8).0), 1);
    assert_eq!(queues(port::<3>(device(4), 8).0), 3);
    assert_eq!(queues(port::<8>(device(4), 8).0), 4);
    assert_eq!(queues(port::<8>(device(4), 2).0), 2);
    assert_eq!(queues(port::<8>(device(4), 0).0), 1);
    for without in [Features::MQ, Features::CTRL_VQ] {
        let (port, device) = port::<8>(device(4).without(without), 8);
        assert_eq!(queues(port), 1);
        assert!(!device.borrow().accepted.contains(Features::MQ));
    }
    for pairs in [0, 0x8001] {
        let (port, _) = port::<8>(device(pairs), 8);
        assert_eq!(port.err(), Some(Error::BadConfig));
    }
}

#[test]
fn the_control_queue_is_behind_all_pairs_of_the_device() {
    for (pairs, without, expected) in [
        (1, Features::NONE, 2),
        (4, Features::NONE, 8),
        (4, Features::MQ, 2),
    ] {
        let (port, device) = port::<2>(device(pairs).without(without), 8);
        let queue = port.unwrap().queue(0, pool(8));
        assert!(queue.is_some());
        let device = device.borrow();
        assert!(device.rings[expected].is_some());
    }
}

#[test]
fn a_second_pair_is_served_when_the_device_says_so() {
    let mut two = Two::new();
    assert!(two.send(0, 1) && !two.send(1, 1), "only the first");
    assert!(two.sent(0).is_some());
    assert!(!two.queues[1].is_served());
    assert_eq!(two.queues[0].arm(), Armed::Ready, "an answer may come");
    assert_eq!(two.command(0), TWO_PAIRS);
    two.poll();
    assert!(two.queues[1].is_served());
    two.check();
    assert_eq!(two.queues[0].counters().commands_done, 1);
    assert!(two.device.borrow_mut().command(0).is_none());
    for queue in &mut two.queues {
        queue.rings();
        assert_eq!(queue.arm(), Armed::Sleep);
    }
    two.end();
}

/// It might have been left with more by whoever had it before.
#[test]
fn a_device_of_several_pairs_is_told_of_one_too() {
    for (pairs, expected) in [(1, None), (2, Some(std::vec![4, 0, 1, 0]))] {
        let (port, device) = port::<1>(device(pairs), 8);
        let mut queue = port.unwrap().queue(0, pool(8)).unwrap();
        queue.rings();
        assert_eq!(device.borrow_mut().command(0), expected);
        queue.rings();
        assert!(device.borrow_mut().command(0).is_none());
        assert_eq!(queue.arm(), Armed::Sleep);
    }
}

#[test]
fn a_pair_that_is_taken_later_is_asked_for_then() {
    let (port, device) = port::<2>(device(2), 8);
    let mut port = port.unwrap();
    assert!(port.queue(2, pool(8)).is_none(), "there are two");
    let mut first = port.queue(0, pool(8)).unwrap();
    first.rings();
    assert_eq!(device.borrow_mut().command(0).unwrap(), [4, 0, 1, 0]);
    first.rings();
    let mut second = port.queue(1, pool(8)).unwrap();
    first.rings();
    assert_eq!(device.borrow_mut().command(0).unwrap(), TWO_PAIRS);
    second.rings();
    assert!(!second.is_served(), "the first has not looked");
    first.rings();
    second.rings();
    assert!(second.is_served() && first.is_served());
    assert_eq!(device.borrow().starts, 1);
}

#[test]
fn pairs_that_are_refused_are_not_served() {
    let mut two = Two::new();
    assert_eq!(two.command(1), TWO_PAIRS);
    for _ in 0..10 {
        two.poll();
    }
    assert_eq!(two.queues[0].counters().commands_refused, 1);
    assert!(two.device.borrow_mut().command(0).is_none(), "asked once");
    assert!(two.send(0, 1) && !two.send(1, 1));
    assert!(two.sent(0).is_some() && two.sent(1).is_none());
    two.poll();
    assert_eq!(two.queues[0].arm(), Armed::Sleep);
    two.end();
}

#[test]
fn a_device_that_does_not_answer_is_asked_no_more() {
    let mut two = Two::new();
    for _ in 0..COMMAND_LOOKS_MAX {
        two.queues[0].rings();
    }
    let counters = two.queues[0].counters();
    assert_eq!((counters.commands_unanswered, counters.resets), (1, 0));
    two.poll();
    assert!(two.send(0, 1) && !two.send(1, 1));
    assert!(two.sent(0).is_some());
    two.poll();
    assert_eq!(two.queues[0].arm(), Armed::Sleep);
    // Not even for the other thing that there is to say.
    two.device.borrow_mut().config[6] = 3;
    two.port.link();
    assert!(two.port.announcement_due());
    assert_eq!(two.command(0), TWO_PAIRS, "late");
    two.poll();
    assert!(two.device.borrow_mut().command(0).is_none());
    assert!(!two.queues[1].is_served());
    two.end();
}

/// Used entries that no command has, and more of them than there are.
#[test]
fn a_control_queue_that_lies_is_asked_no_more() {
    for (used_idx, id) in [(1, 1_u32), (1, 77), (1, u32::MAX), (9, 0)] {
        let mut two = Two::new();
        {
            let mut device = two.device.borrow_mut();
            let idx = device.commands_idx();
            let ring = device.rings[idx].as_mut().unwrap();
            ring.write_used(0, id, 1);
            ring.store_used_idx(used_idx);
        }
        for _ in 0..10 {
            two.poll();
        }
        let counters = two.queues[0].counters();
        assert_eq!((counters.commands_unanswered, counters.resets), (1, 0));
        assert!(!two.queues[1].is_served());
        assert!(two.send(0, 1) && two.sent(0).is_some());
        two.poll();
        two.end();
    }
}

/// One pair finds out, all begin anew, and the second is asked for again.
#[test]
fn a_reset_is_of_all_pairs() {
    for breaker in [0, 1] {
        let mut two = Two::new();
        two.command(0);
        two.poll();
        two.check();
        two.deliver(1 - breaker, 5);
        {
            let mut device = two.device.borrow_mut();
            let ring = device.rings[2 * breaker].as_mut().unwrap();
            ring.store_used_idx(ring.used_idx.wrapping_add(999));
        }
        two.poll();
        // The breaker has found out by now, and the other has not been polled since it stopped.
        two.queues[breaker].rings();
        assert_eq!(two.device.borrow().starts, 1);
        assert!(!two.send(breaker, 1), "it does not run");
        two.queues[1 - breaker].rings();
        assert_eq!(two.device.borrow().starts, 2);
        assert_eq!(two.queues[breaker].counters().resets, 1);
        assert_eq!(two.queues[1 - breaker].counters().resets, 0);
        two.poll();
        two.poll();
        assert_eq!(two.command(0), TWO_PAIRS);
        two.poll();
        two.check();
        two.end();
    }
}

#[test]
fn an_announcement_is_asked_for_once_and_acknowledged() {
    for ack in [0, 1] {
        let mut two = Two::new();
        two.command(0);
        two.poll();
        assert!(!two.port.announcement_due());
        two.device.borrow_mut().config[6] = 3;
        two.port.link();
        assert!(two.port.announcement_due());
        assert!(!two.port.announcement_due(), "once");
        two.poll();
        assert_eq!(two.command(ack), ANNOUNCED);
        two.device.borrow_mut().config[6] = 1;
        two.poll();
        two.port.link();
        assert!(!two.port.announcement_due());
        two.poll();
        assert!(two.device.borrow_mut().command(0).is_none());
        let counters = two.queues[0].counters();
        let counted = (counters.commands_done, counters.commands_refused);
        assert_eq!(counted, if ack == 0 { (2, 0) } else { (1, 1) });
        two.check();
        two.end();
    }
    // Whoever has not been told of it does not ask.
    let device = device(1).without(Features::GUEST_ANNOUNCE);
    let (port, device) = port::<1>(device, 8);
    let mut port = port.unwrap();
    device.borrow_mut().config[6] = 3;
    port.link();
    assert!(!port.announcement_due());
}
