//! The kernel's side of a socket: rings in memory, buffers taken and given in any order.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use simoom_ring::{FramePool, LinkState, MacAddr, Port};
use simoom_sim::Rng;

use super::super::calls::{Calls, Sent};
use super::super::counters::Counters;
use super::super::rings::{Consumer, Desc, Entry, Producer, RingParts};
use super::super::rx::XdpRx;
use super::super::send::Sender;
use super::super::tx::XdpTx;
use super::super::{CHAIN_MAX_COPY, Umem};
use crate::tests::{memory, pool, region};
use crate::{
    Buffers, Host, Interface, Kring, NetmapPort, NetmapQueue, Plan, RingKind, RingMemory, Traits,
};

/// A ring's memory, with an index of the kernel's own.
pub(in super::super) struct FakeRing {
    words: &'static [AtomicU64],
    size: u32,
    entry_words: usize,
    at: Cell<u32>,
}

impl FakeRing {
    pub(in super::super) fn new(size: u32, entry_words: usize) -> Self {
        let words = 3 + size as usize * entry_words;
        let words: Vec<_> = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: words.leak(),
            size,
            entry_words,
            at: Cell::new(0),
        }
    }

    /// A ring whose indices are there already: wrap-around is not only for those who wait.
    pub(in super::super) fn starting(size: u32, entry_words: usize, at: u32) -> Self {
        let ring = Self::new(size, entry_words);
        ring.producer().store(at, Ordering::Relaxed);
        ring.consumer().store(at, Ordering::Relaxed);
        ring.at.set(at);
        ring
    }

    pub(in super::super) fn parts(&self) -> RingParts {
        let part = |idx: usize| NonNull::from(&self.words[idx]).cast::<u8>();
        // SAFETY: the entries begin with the fourth word.
        let entries = unsafe { NonNull::from(self.words).cast::<u8>().add(3 * 8) };
        RingParts {
            producer: part(0),
            consumer: part(1),
            flags: Some(part(2)),
            entries,
            size: self.size,
        }
    }

    fn number(&self, idx: usize) -> &AtomicU32 {
        // SAFETY: the first half of a word that all access by halves.
        unsafe { AtomicU32::from_ptr(NonNull::from(&self.words[idx]).cast().as_ptr()) }
    }

    pub(in super::super) fn producer(&self) -> &AtomicU32 {
        self.number(0)
    }

    pub(in super::super) fn consumer(&self) -> &AtomicU32 {
        self.number(1)
    }

    pub(in super::super) fn flags(&self) -> &AtomicU32 {
        self.number(2)
    }

    pub(in super::super) fn word(&self, entry: u32, word: usize) -> &AtomicU64 {
        let entry = (entry & (self.size - 1)) as usize;
        &self.words[3 + entry * self.entry_words + word]
    }

    /// Reads the next entry, as the kernel does.
    pub(in super::super) fn take<E: Entry>(&self) -> Option<E> {
        let produced = self.producer().load(Ordering::Acquire);
        if produced == self.at.get() {
            return None;
        }
        let at = self.at.get();
        let entry = E::read(|word| self.word(at, word).load(Ordering::Relaxed));
        self.at.set(at.wrapping_add(1));
        self.consumer().store(self.at.get(), Ordering::Release);
        Some(entry)
    }

    /// Writes the next entry; false when the user has not made room.
    pub(in super::super) fn put<E: Entry>(&self, entry: E) -> bool {
        let at = self.at.get();
        if at.wrapping_sub(self.consumer().load(Ordering::Acquire)) == self.size {
            return false;
        }
        entry.write(|word, value| self.word(at, word).store(value, Ordering::Relaxed));
        self.at.set(at.wrapping_add(1));
        self.producer().store(self.at.get(), Ordering::Release);
        true
    }
}

/// The kernel, its interface, and its clock.
pub(super) struct Kernel {
    pub(super) fill: FakeRing,
    pub(super) completion: FakeRing,
    pub(super) rx: FakeRing,
    pub(super) tx: FakeRing,
    interface: Interface,
    /// Buffers to receive into.
    free: Vec<u64>,
    /// Descriptors of packets that are being sent.
    sending: Vec<u64>,
    /// Packets that went out.
    pub(super) sent: Vec<Vec<u8>>,
    packet: Vec<u8>,
    pub(super) rng: Rng,
    /// Descriptors that a call sends at most; 0 refuses.
    pub(super) budget: u32,
    pub(super) answer: Sent,
    /// It has been lied for: nothing in the rings is to be relied on.
    pub(super) is_lying: bool,
    pub(super) calls_cnt: u32,
    pub(super) fill_calls_cnt: u32,
    pub(super) is_ended: bool,
    pub(super) now_us: u64,
}

impl Kernel {
    fn bytes(&self, addr: u64, len: usize) -> NonNull<u8> {
        let addr = usize::try_from(addr).expect("small");
        let at = self.interface.bufs_at() + addr;
        let buf_size = usize::from(self.interface.buf_size());
        assert!(addr % buf_size + len <= buf_size, "bytes of one buffer");
        let address = self.interface.region().address(at, len, 1);
        address.expect("in the UMEM")
    }

    /// Looks at the fill ring.
    pub(super) fn take_fill(&mut self) {
        while let Some(addr) = self.fill.take::<u64>() {
            let buf_size = u64::from(self.interface.buf_size());
            assert_eq!(addr % buf_size, 0, "the name of a buffer");
            assert!(
                !self.free.contains(&addr),
                "a buffer that is filled already"
            );
            assert!(!self.sending.contains(&addr), "a buffer that is being sent");
            self.free.push(addr);
        }
    }

    /// Receives a packet, a part in each descriptor; false when there is no room for it.
    pub(super) fn receive(&mut self, parts: &[&[u8]]) -> bool {
        self.take_fill();
        let room = self.rx.size
            - self
                .rx
                .at
                .get()
                .wrapping_sub(self.rx.consumer().load(Ordering::Acquire));
        if self.free.len() < parts.len() || (room as usize) < parts.len() {
            return false;
        }
        for (n, part) in parts.iter().enumerate() {
            let one = (self.rng.next_u64() % self.free.len() as u64) as usize;
            let addr = self.free.swap_remove(one) + 16;
            let to = self.bytes(addr, part.len());
            // SAFETY: bytes of a buffer that the user has given, as `bytes` has checked.
            unsafe { to.copy_from_nonoverlapping(NonNull::from(*part).cast(), part.len()) };
            let desc = Desc {
                addr,
                len: part.len() as u32,
                has_more: n + 1 < parts.len(),
            };
            assert!(self.rx.put(desc));
        }
        true
    }

    /// Sends some of what is in the transmit ring.
    pub(super) fn send(&mut self, budget: u32) {
        for _ in 0..budget {
            let Some(desc) = self.tx.take::<Desc>() else {
                return;
            };
            assert!(desc.len > 0, "the kernel takes no empty descriptor");
            let from = self.bytes(desc.addr, desc.len as usize);
            // SAFETY: bytes that the user has given to be read, as `bytes` has checked.
            let bytes = unsafe { core::slice::from_raw_parts(from.as_ptr(), desc.len as usize) };
            self.packet.extend_from_slice(bytes);
            self.sending.push(desc.addr);
            if !desc.has_more {
                self.sent.push(core::mem::take(&mut self.packet));
            }
        }
    }

    /// Says of some descriptors, in any order, that they are sent.
    pub(super) fn complete(&mut self, cnt: usize) {
        for _ in 0..cnt.min(self.sending.len()) {
            let one = (self.rng.next_u64() % self.sending.len() as u64) as usize;
            if self.completion.put(self.sending[one]) {
                self.sending.swap_remove(one);
            }
        }
    }
}

/// Calls of the far sides.
pub(super) struct FakeCalls(pub(super) Rc<RefCell<Kernel>>);

impl Calls for FakeCalls {
    fn send(&self) -> Sent {
        let mut kernel = self.0.borrow_mut();
        kernel.calls_cnt += 1;
        let budget = kernel.budget;
        if !kernel.is_lying {
            kernel.send(budget);
        }
        kernel.answer
    }

    fn wake_fill(&self) {
        let mut kernel = self.0.borrow_mut();
        kernel.fill_calls_cnt += 1;
        if !kernel.is_lying {
            kernel.take_fill();
        }
    }

    fn is_gone(&self) -> bool {
        let kernel = self.0.borrow();
        kernel.is_ended || kernel.answer == Sent::Gone
    }

    fn end(&self) {
        self.0.borrow_mut().is_ended = true;
    }

    fn now_us(&self) -> u64 {
        self.0.borrow().now_us
    }
}

/// A host with the real far sides and that kernel.
pub(super) struct FakeHost(Option<(XdpRx<FakeCalls>, XdpTx<FakeCalls>)>);

impl Host for FakeHost {
    type Rx = XdpRx<FakeCalls>;
    type Tx = XdpTx<FakeCalls>;

    fn traits(&self) -> Traits {
        Traits {
            mtu: 100,
            rx_large: true,
            hdr_len: 0,
            chain_max: CHAIN_MAX_COPY,
            buffers: Buffers::Shuffle,
            ..Traits::PLAIN
        }
    }

    fn mac(&self) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, 1])
    }

    fn link(&mut self) -> LinkState {
        LinkState::Up
    }

    fn far_sides(&mut self, _idx: u16) -> Option<(Self::Rx, Self::Tx)> {
        self.0.take()
    }
}

/// A port with its queue, and all that a test looks at.
pub(super) struct Bench {
    pub(super) kernel: Rc<RefCell<Kernel>>,
    pub(super) counters: Rc<Counters>,
    pub(super) pool: &'static FramePool<'static>,
    pub(super) port: NetmapPort<'static, FakeHost>,
    pub(super) queue: Option<NetmapQueue<'static, 'static, FakeHost>>,
    pub(super) rx_memory: RingMemory,
}

/// The part of content memory that a bench has.
pub(super) const CONTENT_LEN: usize = 4 * 256;

impl Bench {
    /// A port with rings of `slots`, a power of two.
    pub(super) fn new(slots: u32, seed: u64) -> Self {
        let plan = Plan {
            ports: 1,
            rings: 1,
            tx_slots: slots,
            rx_slots: slots,
            extra_bufs: 24,
            content_bufs: 0,
            buf_size: 256,
            has_offsets: true,
        };
        let region = region(plan.byte_len().expect("a small plan"));
        plan.lay_out(region).expect("room for the plan");
        let interface = Interface::new(region, 0).expect("as laid out");
        let umem = Umem {
            bufs_cnt: interface.bufs_cnt(),
            buf_size: interface.buf_size(),
        };
        let kernel = Kernel {
            fill: FakeRing::new(slots, u64::WORDS),
            completion: FakeRing::new(slots, u64::WORDS),
            rx: FakeRing::new(slots, Desc::WORDS),
            tx: FakeRing::new(slots, Desc::WORDS),
            interface,
            free: Vec::new(),
            sending: Vec::new(),
            sent: Vec::new(),
            packet: Vec::new(),
            rng: Rng::new(seed),
            budget: u32::MAX,
            answer: Sent::Done,
            is_lying: false,
            calls_cnt: 0,
            fill_calls_cnt: 0,
            is_ended: false,
            now_us: 0,
        };
        kernel.tx.flags().store(1, Ordering::Relaxed);
        // SAFETY: parts of rings that were just made, in leaked memory.
        let fill = unsafe { Producer::new(kernel.fill.parts()) };
        // SAFETY: as before.
        let completion = unsafe { Consumer::new(kernel.completion.parts()) };
        // SAFETY: as before.
        let rx = unsafe { Consumer::new(kernel.rx.parts()) };
        // SAFETY: as before.
        let tx = unsafe { Producer::new(kernel.tx.parts()) };
        let kernel = Rc::new(RefCell::new(kernel));
        let (calls, counters) = (
            Rc::new(FakeCalls(Rc::clone(&kernel))),
            Rc::new(Counters::default()),
        );
        let shared = || (Rc::clone(&calls), Rc::clone(&counters));
        let kring = |kind| {
            let bufs = vec![0; slots as usize].leak();
            Kring::new(&interface, kind, 0, bufs).expect("as laid out")
        };
        let (a, b) = shared();
        let sender = Rc::new(RefCell::new(Sender::new(a, b, tx)));
        let (a, b) = shared();
        let far_rx = XdpRx::new(
            a,
            b,
            umem,
            kring(RingKind::Rx),
            (fill, rx),
            Rc::clone(&sender),
        );
        let (a, b) = shared();
        let far_tx = XdpTx::new(a, b, umem, kring(RingKind::Tx), (sender, completion));
        let pool = pool(&interface);
        let content = interface.adopt_extra(pool, u32::MAX, CONTENT_LEN);
        let host = FakeHost(Some((far_rx, far_tx)));
        let port = NetmapPort::new(
            interface,
            host,
            memory(slots as usize),
            content.expect("a list in order"),
        );
        let mut port = port.expect("a port in order");
        let queue = port.queue(0, pool);
        assert!(queue.is_some());
        Self {
            kernel,
            counters,
            pool,
            port,
            queue,
            rx_memory: interface.ring(RingKind::Rx, 0).expect("as laid out"),
        }
    }

    pub(super) fn queue(&mut self) -> &mut NetmapQueue<'static, 'static, FakeHost> {
        self.queue.as_mut().expect("not dropped yet")
    }

    /// Drops the queue: the socket is ended and all frames are home.
    pub(super) fn end(mut self) {
        self.queue = None;
        assert!(self.kernel.borrow().is_ended);
        assert!(self.pool.all_home(), "{:?}", self.pool);
    }
}

/// Content that the port can refer to.
pub(super) fn content(port: &mut NetmapPort<'static, FakeHost>) -> &'static [u8] {
    let bytes: Vec<u8> = (0..CONTENT_LEN).map(|at| (at % 251) as u8).collect();
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    port.place(bytes).expect("room for it")
}
