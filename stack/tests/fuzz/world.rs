//! A stack with everything around it, and what must hold for it after every step.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::iface::Setup;
use simoom::tcp::{
    BodyNode, ConnId, ConnSlot, DemuxEntry, FlightEntry, GapEntry, ListenerId, SentNode, Settings,
    Storage, SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Cidr, Counters, DropReason, Duration, Instant, Polled, Stack};
use simoom_ring::{
    Caps, Frame, FrameMemory, FrameMeta, FramePool, LinkState, MacAddr, RxChecksum, RxPacket,
};

use super::ends::{Way, begins};
use super::far::{FAR_IPS, Far, LISTEN_PORT, OUR_IP, OUR_MAC, far_mac};
use super::rings::{Rings, TX_SLOTS};

thread_local! {
    /// Few frames, and enough of them. They are used again: a world gives all of them back.
    static POOLS: [&'static FramePool<'static>; 2] = [pool(48), pool(256)];
}

fn pool(frames: usize) -> &'static FramePool<'static> {
    let memory = vec![FrameMemory::ZERO; frames].leak();
    let metas: Vec<FrameMeta> = (0..frames).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(memory, metas.leak())))
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) caps: Caps,
    pub(crate) tcp: Settings,
    pub(crate) has_few_frames: bool,
    pub(crate) backlog: u16,
    pub(crate) conns: usize,
    pub(crate) sent: usize,
}

/// The stack under test.
pub(crate) struct World<A: Way> {
    pub(crate) stack: Stack<'static, A>,
    pub(crate) rings: Rings,
    pub(crate) app: A,
    pub(crate) now: Instant,
    pub(crate) far: Rc<RefCell<Far>>,
    /// Connections that the application knows.
    pub(crate) ids: Rc<RefCell<Vec<ConnId>>>,
    pub(crate) listeners: Vec<ListenerId>,
    /// Frames that somebody else has.
    pub(crate) hostages: Vec<Frame<'static>>,
    /// Whether the far sides answer ARP.
    pub(crate) is_arp_answered: bool,
    pub(crate) caps: Caps,
    pool: &'static FramePool<'static>,
    conns_max: usize,
}

/// The one place where a stack is made.
fn stack<A: Way>(
    plan: &Plan,
    pool: &'static FramePool<'static>,
    now: Instant,
) -> Stack<'static, A> {
    fn slice<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }
    let (conns, syns, time_waits) = (plan.conns, 6, 3);
    let storage = Storage {
        conns: slice::<ConnSlot<'_, A>>(conns).into(),
        syns: slice::<SynEntry>(syns).into(),
        time_waits: slice::<TimeWaitEntry>(time_waits).into(),
        bodies: slice::<BodyNode<'_>>(40).into(),
        gaps: slice::<GapEntry<'_>>(2).into(),
        flights: slice::<FlightEntry>(conns / 2 + 1).into(),
        sent: slice::<SentNode>(plan.sent).into(),
        timers: slice::<TimerNode>(conns + syns).into(),
        demux: slice::<DemuxEntry>(Storage::<A>::demux_len(conns, syns, time_waits)).into(),
    };
    Stack::new(Setup {
        pool,
        caps: plan.caps,
        mac: MacAddr(OUR_MAC),
        storage,
        tcp: plan.tcp,
        seed: 1,
        now,
    })
}

impl<A: Way> World<A> {
    /// A stack that has an address, listens, and knows its neighbors.
    pub(crate) fn new(plan: &Plan) -> Self {
        let pool = POOLS.with(|pools| pools[usize::from(!plan.has_few_frames)]);
        let now = Instant::from_micros(1_000_000);
        let far = Rc::new(RefCell::new(Far::new()));
        let ids = Rc::new(RefCell::new(Vec::new()));
        let mut world = Self {
            stack: stack(plan, pool, now),
            rings: Rings::new(plan.caps, far.clone()),
            app: A::new(far.clone(), ids.clone()),
            now,
            far,
            ids,
            listeners: Vec::new(),
            hostages: Vec::new(),
            is_arp_answered: true,
            caps: plan.caps,
            pool,
            conns_max: plan.conns,
        };
        world.configure();
        let listener = world.stack.listen(LISTEN_PORT, plan.backlog);
        world.listeners.extend(listener.ok());
        for ip in &FAR_IPS[..2] {
            world.arrives(&arp(1, (far_mac(*ip), *ip), ([0; 6], OUR_IP)));
        }
        world.pass(Duration::from_secs(3));
        world
    }

    /// Gives the stack its address.
    pub(crate) fn configure(&mut self) {
        let cidr = Cidr::new(core::net::Ipv4Addr::from(OUR_IP), 24).expect("24 bits");
        self.stack
            .configure(cidr, Some(simoom::Addr::v4(FAR_IPS[0].into())));
    }

    /// A frame arrives in one piece.
    pub(crate) fn arrives(&mut self, bytes: &[u8]) {
        self.arrives_as(bytes, RxChecksum::Unknown, usize::MAX);
    }

    /// A frame arrives, in pieces of `piece_len` bytes where the port does that. Without a frame
    /// in the pool it is lost, as on a real ring.
    pub(crate) fn arrives_as(&mut self, bytes: &[u8], csum: RxChecksum, piece_len: usize) {
        let most = self.pool.frame_size() - RX_HEADROOM;
        let piece_len = if self.caps.rx_large {
            piece_len.clamp(1, most)
        } else {
            most
        };
        let mut pieces = bytes.chunks(piece_len);
        let first = pieces.next().unwrap_or(&[]);
        let frame = |bytes: &[u8]| {
            let mut frame = self.pool.alloc(RX_HEADROOM)?;
            frame.append(bytes).ok()?;
            Some(frame)
        };
        let Some(first) = frame(first) else { return };
        let mut packet = RxPacket::plain(first);
        packet.csum = csum;
        for piece in pieces {
            if !self.caps.rx_large || packet.rest.frames() == PIECES_MAX {
                break;
            }
            let Some(piece) = frame(piece) else { return };
            packet.rest.push_back(piece, 0);
        }
        self.rings.rx.0.push_back(packet);
    }

    /// Polls until there is nothing more to do at once.
    pub(crate) fn poll(&mut self) {
        self.far.borrow_mut().now = self.now;
        for _ in 0..POLLS_MAX {
            let arrived = self.rings.rx.0.len();
            let before = self.stack.counters().clone();
            let polled = self.stack.poll(self.now, &mut self.rings, &mut self.app);
            let taken = (arrived - self.rings.rx.0.len()) as u64;
            let after = self.stack.counters();
            assert_eq!(
                after.rx_frames - before.rx_frames,
                taken,
                "each frame counts once"
            );
            let drops = rx_drops(&before, after);
            let dropped: u64 = drops.iter().map(|(_, cnt)| cnt).sum();
            assert!(dropped <= taken, "each is dropped once at most: {drops:?}");
            let levels = self.stack.levels();
            assert!(levels.conns <= self.conns_max, "{levels:?}");
            self.check_strays();
            self.answer_arp();
            if polled == Polled::Idle && self.rings.rx.0.is_empty() {
                return;
            }
        }
        panic!("the stack stays busy: {:?}", self.stack.levels());
    }

    /// All bytes are the application's own, unless a SYN of ours may have been lost before it came
    /// out (for want of a frame, an address, a neighbor): offsets are unknown then.
    fn check_strays(&mut self) {
        let counters = self.stack.counters();
        let mut tx_reasons = DropReason::ALL.iter().filter(|reason| is_tx(**reason));
        let is_syn_lost = tx_reasons.any(|reason| counters.dropped(*reason) > 0);
        for flow in &mut self.far.borrow_mut().flows {
            let strays = core::mem::take(&mut flow.strays);
            assert!(
                is_syn_lost || strays.is_empty(),
                "not what the application has queued: {strays:?}"
            );
        }
    }

    fn answer_arp(&mut self) {
        let asked = core::mem::take(&mut self.far.borrow_mut().asked);
        for (ip, by) in asked {
            if self.is_arp_answered && FAR_IPS.contains(&ip) {
                self.arrives(&arp(2, (far_mac(ip), ip), (OUR_MAC, by)));
            }
        }
    }

    /// Lets time pass, stopping at every timer on the way, if they are not too many.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.poll();
        let until = self.now + span;
        let mut stuck = 0;
        for _ in 0..STOPS_MAX {
            let soonest = self.now + Duration::from_micros(1);
            let next = self.stack.poll_at(self.now);
            stuck = if next > soonest { 0 } else { stuck + 1 };
            assert!(
                stuck < STUCK_MAX,
                "time stands still: {:?}",
                self.stack.levels()
            );
            if next.max(soonest) > until {
                break;
            }
            self.now = next.max(soonest);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    /// Somebody else takes so many frames out of the pool.
    pub(crate) fn take_frames(&mut self, frames: usize) {
        let taken = (0..frames).map_while(|_| self.pool.alloc(0));
        self.hostages.extend(taken);
    }

    /// Takes what waits in the accept queues.
    pub(crate) fn accept(&mut self) {
        for listener in &self.listeners {
            // Bounded by the connections that there are.
            while let Some(id) = A::accept(&mut self.stack, *listener) {
                self.ids.borrow_mut().push(id);
                let far = &self.far;
                far.borrow_mut().told(|| format!("accepted {id:?}"));
                self.stack
                    .with_conn(self.now, id, |conn, _| begins(&mut far.borrow_mut(), conn));
            }
        }
    }

    /// The end: nobody disturbs the stack any more, and the application gives everything up. Then
    /// nothing may be left, not in a table and not of the frames.
    pub(crate) fn end(mut self) {
        self.hostages.clear();
        self.rings.tx.slots = TX_SLOTS;
        self.rings.tx.is_held = false;
        self.is_arp_answered = true;
        self.stack.set_link(LinkState::Up, self.now);
        self.configure();
        self.poll();
        self.accept();
        for id in self.ids.borrow().clone() {
            self.stack.with_conn(self.now, id, |conn, _| conn.abort());
        }
        // Longer than TIME-WAIT, and than what the application was never told of is waited for.
        for _ in 0..20 {
            self.pass(Duration::from_secs(10));
        }
        let levels = self.stack.levels();
        let left = (levels.conns, levels.syns, levels.time_waits, levels.bodies);
        assert_eq!(left, (0, 0, 0, 0), "{levels:?}");
        assert_eq!((levels.flights, levels.sent), (0, 0), "{levels:?}");
        let pool = self.pool;
        assert!(pool.all_home(), "{pool:?}");
        let (now, ids) = (self.now, self.ids.take());
        for id in ids {
            let known = self.stack.with_conn(now, id, |_, _| ());
            assert!(known.is_none() && A::ACCEPTS_LATER, "told of every end");
        }
    }
}

/// What came in and was dropped between two looks.
fn rx_drops(before: &Counters, after: &Counters) -> Vec<(DropReason, u64)> {
    let reasons = DropReason::ALL.iter().copied();
    let grown = reasons.map(|reason| (reason, after.dropped(reason) - before.dropped(reason)));
    grown
        .filter(|(reason, cnt)| *cnt > 0 && !is_tx(*reason))
        .collect()
}

/// What goes out is dropped for this, not what comes in.
fn is_tx(reason: DropReason) -> bool {
    reason.name().starts_with("tx_")
}

/// A frame with an ARP packet, from the first to the second.
pub(crate) fn arp(
    op: u8,
    (sha, spa): ([u8; 6], [u8; 4]),
    (tha, tpa): ([u8; 6], [u8; 4]),
) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend(sha);
    bytes.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, op]);
    bytes.extend(sha);
    bytes.extend(spa);
    bytes.extend(tha);
    bytes.extend(tpa);
    bytes
}

/// What a driver leaves free in front.
const RX_HEADROOM: usize = 64;
/// Frames that a large receive has behind the first.
const PIECES_MAX: usize = 8;
/// Polls of one moment: each sends a ring's worth of at most a few megabytes.
const POLLS_MAX: usize = 3_000;
/// Timers that are met exactly; then the application is late.
const STOPS_MAX: usize = 400;
/// Timers of the same moment, one after another.
const STUCK_MAX: usize = 100;
