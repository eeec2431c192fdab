//! A device that does anything at all, as a program of bytes has it: used entries, indices and
//! lengths that are right or not, chains returned in any order, whole areas scribbled over, a
//! status that asks for a reset, other features after it. Nothing may panic or read what is not
//! there; every broken ring is reset and counted; at the end all frames are home and the port
//! works.
//!
//! The fuzz target of `drivers/virtio-net/fuzz` calls [`ring`], and so do the tests.

use std::boxed::Box;
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use simoom_ring::{
    CsumOffload, FRAME_SIZE, Fragment, FrameMemory, FrameMeta, FramePool, GsoKind, GsoOffload,
    Port, Queue, RxChecksum, RxPacket, RxRing, TxOffload, TxPacket, TxRing,
};
use virtio_drivers::transport::DeviceStatus;

use super::fake_device::{FakeDevice, FakeTransport};
use super::fake_ring::{Chain, FakeRing};
use super::host::HostHal;
use crate::{Features, Memory, Options, VirtioNet, VirtioQueue};

/// Runs a program against a port.
pub(crate) fn ring(bytes: &[u8]) {
    let mut bytes = Cursor(bytes);
    let memory = Box::into_raw(Box::new(Memory::<FakeTransport>::new()));
    let device = {
        // SAFETY: a box of our own, which nothing else refers to until it is freed below.
        let memory = unsafe { &mut *memory };
        run(memory, &mut bytes)
    };
    // SAFETY: port and queue are gone, and with them all that referred to it.
    drop(unsafe { Box::from_raw(memory) });
    if let Ok(device) = Rc::try_unwrap(device) {
        device.into_inner().recycle();
    }
}

fn run(memory: &'static mut Memory<FakeTransport>, bytes: &mut Cursor<'_>) -> Device {
    let kind = bytes.u8();
    let mut fake = match kind % 2 {
        0 => FakeDevice::modern(),
        _ => FakeDevice::legacy(),
    };
    let size = [16, 4, 8, 32][usize::from(kind >> 1) % 4];
    fake.size_max = [size; 2];
    let mut disable = Features::NONE;
    let optional = [
        Features::EVENT_IDX,
        Features::CSUM,
        Features::GUEST_CSUM,
        Features::MTU,
    ];
    for (feature, bit) in optional.into_iter().zip(3..) {
        if kind >> bit & 1 != 0 {
            disable = disable.union(feature);
        }
    }
    let (found, device) = FakeTransport::found(fake);
    let options = Options {
        disable,
        ..Options::default()
    };
    let mut port = VirtioNet::new(found, memory, options).expect("a device in order");
    let pool = POOL.with(|pool| *pool);
    let queue = port.queue(0, pool).expect("the first time");
    let mut world = World {
        queue,
        port,
        device: device.clone(),
        pool,
        kept: Vec::new(),
        held: [Vec::new(), Vec::new()],
        delivered: VecDeque::new(),
        starts: 1,
        has_lied: false,
        is_off: false,
        is_scribbled: false,
    };
    for _ in 0..OPERATIONS_MAX {
        if bytes.0.is_empty() {
            break;
        }
        world.step(bytes);
        world.check();
    }
    world.end();
    device
}

type Device = Rc<RefCell<FakeDevice>>;

/// A port, and the device behind it.
struct World {
    queue: VirtioQueue<'static, 'static, HostHal, FakeTransport>,
    port: VirtioNet<'static, HostHal, FakeTransport>,
    device: Device,
    pool: &'static FramePool<'static>,
    /// Packets that the stack has not given back.
    kept: Vec<RxPacket<'static>>,
    /// Chains that the device has taken and not returned, of each ring.
    held: [Vec<Chain>; 2],
    /// What an honest device has delivered and nobody has received.
    delivered: VecDeque<Vec<u8>>,
    /// Starts of the device that were seen.
    starts: u32,
    /// From then on anything may come in, and a reset may follow.
    has_lied: bool,
    /// The device has returned what it was not to, since it was started: a frame that it still
    /// has may be the stack's again, and it must not write to it.
    is_off: bool,
    /// What the driver wrote is not there any more, until the next start.
    is_scribbled: bool,
}

impl World {
    fn step(&mut self, bytes: &mut Cursor<'_>) {
        match bytes.u8() % 20 {
            0 | 1 => self.receive(bytes),
            2 | 3 => self.send(bytes),
            4 => self.queue.rings().1.sync(),
            5 => drop(self.queue.arm()),
            6 => self.kept.truncate(bytes.u8().into()),
            7 | 8 => self.deliver(bytes),
            9 => self.transmit(bytes),
            10 => self.take(bytes),
            11 => self.give_back(bytes),
            12 | 13 => self.lie_about_entry(bytes),
            14 => self.lie_about_index(bytes),
            15 => self.ask(bytes),
            16 => self.scribble(bytes),
            17 => self.change(bytes),
            18 => {
                // Long silence.
                for _ in 0..bytes.u8() {
                    let (rx, tx) = self.queue.rings();
                    rx.sync();
                    tx.sync();
                }
            }
            _ => drop(self.port.link()),
        }
    }

    fn device(&self) -> RefMut<'_, FakeDevice> {
        self.device.borrow_mut()
    }

    /// One of the rings, while the device runs.
    fn ring(&self, n: usize) -> Option<RefMut<'_, FakeRing>> {
        RefMut::filter_map(self.device(), |device| device.rings[n].as_mut()).ok()
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let counters = self.queue.counters();
        let starts = self.device().starts;
        if starts != self.starts {
            self.starts = starts;
            self.is_scribbled = false;
            self.is_off = false;
            self.held = [Vec::new(), Vec::new()];
            self.delivered.clear();
        }
        if !self.queue.is_dead() {
            assert_eq!(
                u64::from(starts),
                1 + counters.resets,
                "each reset is counted"
            );
        }
        assert!(self.has_lied || counters.resets == 0, "{counters:?}");
        assert!(counters.tx.finished <= counters.tx.packets, "{counters:?}");
        assert!(self.queue.rx_lent_cnt() <= 32 && self.queue.tx_outstanding_cnt() <= 32);
        let lent = self.queue.rx_lent_cnt() + self.kept.len();
        assert!(lent <= self.pool.owned_cnt() as usize);
    }

    /// The stack takes what there is, and keeps some of it.
    fn receive(&mut self, bytes: &mut Cursor<'_>) {
        let (most, keeps) = (bytes.u8() % 8, bytes.u8());
        let (rx, _) = self.queue.rings();
        let ready = rx.sync();
        assert!(ready <= 32, "{ready} in a ring of 32 at most");
        for n in 0..most {
            let Some(packet) = self.queue.rings().0.recv() else {
                break;
            };
            let frame = packet.frame.bytes();
            assert!(frame.len() >= 14 && frame.len() <= FRAME_SIZE);
            assert!(packet.rest.frames() < 32);
            if let RxChecksum::Partial {
                csum_start,
                csum_offset,
            } = packet.csum
            {
                let field_end = usize::from(csum_start) + usize::from(csum_offset) + 2;
                assert!(field_end <= packet.frame_len());
            }
            // Every byte can be read.
            let _sum = frame.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            if !self.has_lied {
                assert_eq!(Some(frame), self.delivered.pop_front().as_deref());
            }
            if keeps >> n & 1 != 0 && self.kept.len() < 24 {
                self.kept.push(packet);
            }
        }
    }

    /// The stack sends: some of it more than was agreed on.
    fn send(&mut self, bytes: &mut Cursor<'_>) {
        let (shape, len) = (bytes.u8(), bytes.u8());
        let headroom = if shape & 1 == 0 {
            12
        } else {
            usize::from(shape) % 16
        };
        let Some(mut head) = self.pool.alloc(headroom) else {
            return;
        };
        head.append(&vec![shape; len.into()]).expect("a short head");
        let csum = (shape & 2 != 0).then_some(CsumOffload {
            csum_start: 34,
            csum_offset: 16,
        });
        let gso = (shape & 4 != 0).then_some(GsoOffload {
            kind: [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::Udp][usize::from(len) % 3],
            gso_size: 1_000,
            hdr_len: 54,
        });
        let mut packet = TxPacket::new(head, TxOffload { csum, gso });
        for n in 0..shape >> 3 & 3 {
            let fragment = match (shape >> 5) + n {
                0 | 4 => Fragment::Content(&[]),
                1 | 5 => Fragment::Content(CONTENT),
                _ => {
                    let Some(mut frame) = self.pool.alloc(0) else {
                        return;
                    };
                    frame
                        .append(&vec![n; usize::from(len) * 4])
                        .expect("a short one");
                    Fragment::Frame(frame.share())
                }
            };
            packet.append(fragment).expect("three at most");
        }
        let (_, tx) = self.queue.rings();
        let space = tx.space();
        let sent = tx.send(packet);
        assert!(space == 0 || sent.is_ok(), "there was room");
    }

    /// The device returns a chain with bytes in it, as it should.
    fn deliver(&mut self, bytes: &mut Cursor<'_>) {
        let (kind, len) = (bytes.u8(), bytes.u16());
        if self.is_scribbled {
            return;
        }
        let Some(chain) = self.ring(0).and_then(|mut ring| ring.pop()) else {
            return;
        };
        self.check_chain(&chain, true);
        let hdr_len = self.device().hdr_len();
        let mut written = self.device().header(0, (0, 0));
        if kind & 1 != 0 {
            // A header that makes sense or none.
            written.iter_mut().for_each(|byte| *byte = bytes.u8());
            self.has_lied = true;
        }
        let frame_len = 14 + usize::from(len) % (FRAME_SIZE - 14 - hdr_len);
        written.resize(hdr_len + frame_len, kind);
        if !self.is_off {
            chain.write(&written);
        }
        if let Some(mut ring) = self.ring(0) {
            ring.push(chain.head.into(), written.len() as u32);
        }
        self.delivered.push_back(written.split_off(hdr_len));
    }

    /// The device sends a packet.
    fn transmit(&mut self, bytes: &mut Cursor<'_>) {
        let written_len = bytes.u8();
        if self.is_scribbled {
            return;
        }
        let Some(chain) = self.ring(1).and_then(|mut ring| ring.pop()) else {
            return;
        };
        self.check_chain(&chain, false);
        let _bytes = chain.read();
        if let Some(mut ring) = self.ring(1) {
            // Legacy devices write any length here.
            ring.push(chain.head.into(), written_len.into());
        }
    }

    /// The device takes a chain and keeps it for a while.
    fn take(&mut self, bytes: &mut Cursor<'_>) {
        let n = usize::from(bytes.u8() % 2);
        if self.is_off || self.held[n].len() >= 32 {
            return;
        }
        let Some(chain) = self.ring(n).and_then(|mut ring| ring.pop()) else {
            return;
        };
        self.check_chain(&chain, n == 0);
        self.held[n].push(chain);
    }

    /// The device returns one of those, in any order.
    fn give_back(&mut self, bytes: &mut Cursor<'_>) {
        let (n, which) = (usize::from(bytes.u8() % 2), usize::from(bytes.u8()));
        if self.is_off || self.held[n].is_empty() {
            return;
        }
        let at = which % self.held[n].len();
        let chain = self.held[n].swap_remove(at);
        let len = if n == 0 {
            self.device().hdr_len() + 60
        } else {
            0
        };
        if n == 0 {
            let mut written = self.device().header(0, (0, 0));
            written.resize(len, 0);
            chain.write(&written);
            self.delivered.push_back(vec![0; 60]);
        }
        if let Some(mut ring) = self.ring(n) {
            ring.push(chain.head.into(), len as u32);
        }
    }

    /// What the driver has put on a ring: memory that is ours to give, each frame once.
    fn check_chain(&self, chain: &Chain, is_rx: bool) {
        let base = self.pool.base().as_ptr() as u64;
        let frames = base..base + self.pool.region_len() as u64;
        let content = CONTENT.as_ptr() as u64..CONTENT.as_ptr() as u64 + CONTENT.len() as u64;
        for piece in &chain.pieces {
            assert_eq!(piece.is_writable, is_rx);
            let end = piece.addr + u64::from(piece.len);
            let is_in =
                |range: &core::ops::Range<u64>| range.contains(&piece.addr) && end <= range.end;
            assert!(is_in(&frames) || (!is_rx && is_in(&content)), "{piece:x?}");
        }
        if self.is_off {
            return;
        }
        let mut writable = BTreeSet::new();
        for held in self.held[0].iter().chain(is_rx.then_some(chain)) {
            assert!(writable.insert(held.pieces[0].addr), "a frame is lent once");
        }
        for kept in &self.kept {
            let at = kept.frame.as_ptr().as_ptr() as u64;
            let is_kept = |addr: &u64| (*addr..*addr + FRAME_SIZE as u64).contains(&at);
            assert!(!writable.iter().any(is_kept), "a frame has one owner");
        }
    }

    /// Any used entry, near what would be right.
    fn lie_about_entry(&mut self, bytes: &mut Cursor<'_>) {
        let (n, moves) = (usize::from(bytes.u8() % 2), bytes.u8() & 1 != 0);
        let (id, len) = (bytes.near(), bytes.near());
        let off = bytes.u8();
        let Some(mut ring) = self.ring(n) else { return };
        let idx = ring.used_idx.wrapping_add(u16::from(off % 4));
        ring.write_used(idx, id, len);
        if moves {
            ring.store_used_idx(idx.wrapping_add(1));
        }
        drop(ring);
        self.lies();
    }

    /// Any used.idx.
    fn lie_about_index(&mut self, bytes: &mut Cursor<'_>) {
        let (n, off) = (usize::from(bytes.u8() % 2), bytes.near());
        let Some(mut ring) = self.ring(n) else { return };
        let idx = ring.used_idx.wrapping_add(off as u16);
        ring.store_used_idx(idx);
        drop(ring);
        self.lies();
    }

    fn lies(&mut self) {
        (self.has_lied, self.is_off) = (true, true);
    }

    /// When to be kicked: any wish is the device's right.
    fn ask(&mut self, bytes: &mut Cursor<'_>) {
        let (n, flag, idx) = (usize::from(bytes.u8() % 2), bytes.u8() & 1, bytes.near());
        let Some(ring) = self.ring(n) else { return };
        ring.store_no_notify(flag.into());
        ring.store_avail_event(ring.last_avail_idx.wrapping_add(idx as u16));
    }

    /// Any bytes in all that is shared, the driver's own areas too.
    fn scribble(&mut self, bytes: &mut Cursor<'_>) {
        let (n, at, len) = (usize::from(bytes.u8() % 2), bytes.u16(), bytes.u8() % 32);
        let Some(ring) = self.ring(n) else { return };
        for step in 0..len {
            ring.scribble(u64::from(at) + u64::from(step), bytes.u8());
        }
        drop(ring);
        self.lies();
        self.is_scribbled = true;
    }

    /// The device wants a reset, or is another one after the next.
    fn change(&mut self, bytes: &mut Cursor<'_>) {
        let kind = bytes.u8();
        match kind % 8 {
            0..=3 => {
                self.device().status |= DeviceStatus::DEVICE_NEEDS_RESET;
                self.has_lied = true;
            }
            4 => {
                let offered = self.device().offered.difference(Features::EVENT_IDX);
                self.device().offered = offered;
            }
            5 => self.device().refuses_features = true,
            _ => self.device().config[6] = kind >> 3,
        }
    }

    /// The device keeps to the rules from here on: a port that is not given up works again, and
    /// all frames come home.
    fn end(mut self) {
        self.kept.clear();
        self.device().config[6] = 1;
        // What was broken is noticed, and what is only going to be.
        self.device().status |= DeviceStatus::DEVICE_NEEDS_RESET;
        self.port.link();
        self.queue.rings();
        if !self.queue.is_dead() {
            let (rx, tx) = self.queue.rings();
            assert_eq!(rx.sync(), 0, "as new");
            tx.sync();
            let frame = [7; 60];
            assert!(self.device().deliver(0, (0, 0), &frame));
            let (rx, tx) = self.queue.rings();
            assert_eq!(rx.sync(), 1);
            let packet = rx.recv().expect("it was delivered");
            assert_eq!(packet.frame.bytes(), frame);
            let sent = tx.send(TxPacket::new(packet.frame, TxOffload::default()));
            assert!(sent.is_ok(), "the ring is empty");
            tx.sync();
            let sent = self.device().transmit().expect("it was sent");
            assert_eq!(sent.frame, frame);
        }
        let Self { queue, pool, .. } = self;
        drop(queue);
        assert!(pool.all_home(), "{pool:?}");
    }
}

/// Numbers out of the program. Past its end everything is zero.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// A small number as a rule, and any at times.
    fn near(&mut self) -> u32 {
        match self.u8() {
            small @ 0..0x60 => small.into(),
            0x60..0x80 => FRAME_SIZE as u32 - 16 + u32::from(self.u8() % 32),
            0x80..0xc0 => self.u16().into(),
            _ => u32::from(self.u16()) << 16 | u32::from(self.u16()),
        }
    }
}

std::thread_local! {
    /// It is used again: every program gives all of it back.
    static POOL: &'static FramePool<'static> = {
        let memory = vec![FrameMemory::ZERO; 96].leak();
        let metas: Vec<FrameMeta> = (0..96).map(|_| FrameMeta::new()).collect();
        Box::leak(Box::new(FramePool::new(memory, metas.leak())))
    };
}

/// A body.
static CONTENT: &[u8] = &[3; 700];

/// Steps of one program.
const OPERATIONS_MAX: usize = 400;
