//! The memory that stacks and pools are given, and stacks over it.

use std::cell::RefCell;
use std::collections::HashMap;

use simoom::iface::Setup;
use simoom::tcp::{
    App, BodyNode, ConnSlot, DemuxEntry, FlightEntry, GapEntry, SentNode, Settings, Storage,
    SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Instant, Stack};
use simoom_ring::{Caps, FrameMemory, FrameMeta, FramePool, MacAddr};

/// How large a host's tables are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) conns: usize,
    pub(crate) syns: usize,
    pub(crate) time_waits: usize,
    pub(crate) bodies: usize,
    pub(crate) flights: usize,
    pub(crate) sent: usize,
}

impl Sizes {
    pub(crate) const SMALL: Self = Self {
        conns: 64,
        syns: 64,
        time_waits: 64,
        bodies: 256,
        flights: 64,
        sent: 512,
    };
}

/// TCP's memory.
pub(crate) fn storage<A: App>(sizes: Sizes) -> Storage<'static, A> {
    let Sizes {
        conns,
        syns,
        time_waits,
        bodies,
        flights,
        sent,
    } = sizes;
    let demux_len = Storage::<A>::demux_len(conns, syns, time_waits);
    // A few have a gap at a time; when more do, their data comes again.
    let gaps = 16 + conns / 16;
    Storage {
        conns: slice::<ConnSlot<'_, A>>(conns).into(),
        syns: slice::<SynEntry>(syns).into(),
        time_waits: slice::<TimeWaitEntry>(time_waits).into(),
        bodies: slice::<BodyNode<'_>>(bodies).into(),
        gaps: slice::<GapEntry<'_>>(gaps).into(),
        flights: slice::<FlightEntry>(flights).into(),
        sent: slice::<SentNode>(sent).into(),
        timers: slice::<TimerNode>(conns + syns).into(),
        demux: slice::<DemuxEntry>(demux_len).into(),
    }
}

fn slice<T: Default>(len: usize) -> Vec<T> {
    (0..len).map(|_| T::default()).collect()
}

/// A stack at `addr`/24 over a port of these capabilities.
pub(crate) fn stack<A: App>(
    pool: &'static FramePool<'static>,
    (caps, mac): (Caps, MacAddr),
    storage: Storage<'static, A>,
    tcp: Settings,
    (seed, now): (u64, Instant),
    (addr, gateway): (std::net::Ipv4Addr, Option<std::net::Ipv4Addr>),
) -> Stack<'static, A> {
    let mut stack = Stack::new(Setup {
        pool,
        caps,
        mac,
        storage,
        tcp,
        seed: seed.into(),
        now,
    });
    let cidr = Cidr::new(addr, 24).expect("24 bits");
    stack.configure(cidr, gateway.map(Into::into));
    stack
}

/// A pool that lives for ever, one for each thread, `name` and length: they are used again.
pub(crate) fn pool(name: usize, frames: usize) -> &'static FramePool<'static> {
    thread_local! {
        static POOLS: RefCell<HashMap<(usize, usize), &'static FramePool<'static>>> =
            RefCell::default();
    }
    POOLS.with_borrow_mut(|pools| {
        *pools
            .entry((name, frames))
            .or_insert_with(|| leak_pool(frames))
    })
}

fn leak_pool(frames: usize) -> &'static FramePool<'static> {
    let memory = Box::leak(vec![FrameMemory::ZERO; frames].into_boxed_slice());
    let metas: Vec<FrameMeta> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(
        memory,
        Box::leak(metas.into_boxed_slice()),
    )))
}
